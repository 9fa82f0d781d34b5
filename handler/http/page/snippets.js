// The request on the screen, as clients of several APIs send it.

const quoted = (value) => JSON.stringify(value);
const shell = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const indented = (text, indent) => text.replaceAll("\n", `\n${indent}`);
const json = (value, indent = "") => indented(JSON.stringify(value, null, 2), indent);

/** Write a value as Python does. */
function python(value, indent = "") {
  if (typeof value === "boolean") return value ? "True" : "False";
  if (value === null) return "None";
  if (typeof value !== "object") return quoted(value);
  const inner = `${indent}    `;
  const items = Array.isArray(value)
    ? value.map((item) => python(item, inner))
    : Object.entries(value).map(([name, item]) => `${quoted(name)}: ${python(item, inner)}`);
  const [first, last] = Array.isArray(value) ? "[]" : "{}";
  return items.length ? `${first}\n${items.map((item) => `${inner}${item},\n`).join("")}${indent}${last}` : first + last;
}

/** Write a call in Python, with one argument a line; arguments without a value are left out. */
function call(name, given) {
  const written = Object.entries(given).filter(([, value]) => value !== undefined);
  return `${name}(\n${written.map(([field, value]) => `    ${field}=${python(value, "    ")},\n`).join("")})`;
}

const SERVER = BASE.replace(/\/$/, "");
const model = () => known.info?.model_id ?? "default";
const pythonKey = () => (known.open ? '"none"' : 'os.environ["API_KEY"]');
const importOs = () => (known.open ? "" : "import os\n");
const imports = (line) => (known.open ? line : `import os\n\n${line}`);
/** Cohere, Voyage and Jina call float32 `float`. */
const providersType = () => (chosenType() === FLOAT32 ? "float" : chosenType());
const filled = (fields) => (Object.keys(fields).length ? fields : undefined);
const ITEMS = { rows: "content.data.map((item) => item.embedding)", pythonRows: '[item["embedding"] for item in content["data"]]' };

/** The fields of Cohere's body: a model's prompt is named as the kind of text, by its exact name. */
const cohereBody = ({ inputs, prompt_name, truncation_direction, dimensions, output_dtype, ...others }) => ({
  texts: inputs,
  input_type: prompt_name,
  embedding_types: [providersType()],
  output_dimension: dimensions,
  truncate: truncation_direction && "START",
  ...others,
});
const byType = () => ({ rows: `content.embeddings.${providersType()}`, pythonRows: `content["embeddings"]["${providersType()}"]` });

const openAICall = ({ inputs, dimensions, ...others }) => `${call("response = client.embeddings.create", {
  model: model(),
  input: inputs,
  dimensions,
  encoding_format: chosenType() === FLOAT32 ? undefined : "float", // the library reads base64, its default, as float32
  extra_body: filled(others),
})}
vectors = [item.embedding for item in response.data]
`;
const openAIBody = ({ inputs, ...others }) => ({ model: model(), input: inputs, ...others });

/** The APIs by name, a row each.
 *
 * `path` and `body` are the request, whose fields are those on the screen; `results` says where its response has the vectors. `keyed`
 * is the header with the key if it is not Authorization. `client` writes Python with the provider's `library`, which has no
 * argument for the options that it `lacks`. An API with `float32Only` has no types. `note` says what else to know.
 */
const APIS = {
  "Hugging Face": {
    path: "",
    body: (asked) => asked,
    results: () => ({ rows: "content", pythonRows: "content" }),
    library: "huggingface_hub",
    lacks: ["output_dtype"],
    client: ({ inputs, ...others }) => `${imports("from huggingface_hub import InferenceClient")}

client = InferenceClient(${quoted(BASE)}, token=${pythonKey()})
${call("vectors = client.feature_extraction", { text: inputs, ...others })}
`,
  },
  "OpenAI": {
    path: "v1/embeddings",
    body: openAIBody,
    results: () => ITEMS,
    library: "openai",
    client: (asked) => `${imports("from openai import OpenAI")}

client = OpenAI(base_url=${quoted(`${BASE}v1`)}, api_key=${pythonKey()})
${openAICall(asked)}`,
  },
  "Azure OpenAI": {
    path: "openai/deployments/embeddings/embeddings?api-version=2024-10-21",
    keyed: "api-key",
    body: openAIBody,
    results: () => ITEMS,
    library: "openai",
    client: (asked) => `${imports("from openai import AzureOpenAI")}

client = AzureOpenAI(azure_endpoint=${quoted(SERVER)}, api_version="2024-10-21", api_key=${pythonKey()})
${openAICall(asked)}`,
  },
  "Cohere": {
    path: "v2/embed",
    body: (asked) => ({ model: model(), ...cohereBody(asked) }),
    results: byType,
    library: "cohere",
    client: (asked) => {
      const { normalize, input_type = null, ...body } = cohereBody(asked);
      const more = normalize === undefined ? undefined : { additional_body_parameters: { normalize } };
      return `${imports("import cohere")}

client = cohere.ClientV2(base_url=${quoted(SERVER)}, api_key=${pythonKey()})
${call("response = client.embed", { model: model(), input_type, ...body, request_options: more })}
vectors = response.embeddings.${providersType() === "float" ? "float_" : providersType()}
`;
    },
  },
  "Voyage": {
    path: "v1/embeddings",
    body: ({ inputs, prompt_name, dimensions, output_dtype, ...others }) => ({
      model: model(),
      input: inputs,
      input_type: prompt_name,
      output_dimension: dimensions,
      output_dtype: providersType(),
      ...others,
    }),
    results: () => ITEMS,
    library: "voyageai",
    lacks: ["normalize", "truncation_direction"],
    client: ({ inputs, prompt_name, dimensions }) => `${imports("import voyageai")}

client = voyageai.Client(base_url=${quoted(`${BASE}v1`)}, api_key=${pythonKey()})
${call("result = client.embed", { texts: inputs, model: model(), input_type: prompt_name, output_dimension: dimensions, output_dtype: providersType() })}
vectors = result.embeddings
`,
  },
  "Jina": {
    path: "v1/embeddings",
    body: ({ inputs, prompt_name, normalize, output_dtype, ...others }) => ({
      model: model(),
      input: inputs,
      task: prompt_name,
      normalized: normalize,
      embedding_type: providersType(),
      ...others,
    }),
    results: () => ITEMS,
  },
  "Ollama": {
    path: "api/embed",
    body: ({ inputs, output_dtype, ...others }) => ({ model: model(), input: inputs, ...others }),
    results: () => ({ rows: "content.embeddings", pythonRows: 'content["embeddings"]' }),
    float32Only: true,
    library: "ollama",
    lacks: ["normalize", "prompt_name", "truncation_direction"],
    client: ({ inputs, dimensions }) => `${imports("import ollama")}

client = ollama.Client(host=${quoted(SERVER)}${known.open ? "" : ', headers={"Authorization": f"Bearer {os.environ[\'API_KEY\']}"}'})
${call("response = client.embed", { model: model(), input: inputs, dimensions })}
vectors = response.embeddings
`,
  },
  "Amazon Bedrock": {
    path: "model/cohere.embed-english-v3/invoke",
    body: cohereBody,
    results: byType,
    library: "boto3",
    note: "boto3 sends a key over HTTPS only.",
    client: (asked) => `import json
${importOs()}
import boto3

${known.open ? "" : 'os.environ["AWS_BEARER_TOKEN_BEDROCK"] = os.environ["API_KEY"]\n'}client = boto3.client(
    "bedrock-runtime",
    region_name="us-east-1",
    endpoint_url=${quoted(SERVER)},
${known.open ? '    aws_access_key_id="none",\n    aws_secret_access_key="none",\n' : ""})
body = ${python(stated(cohereBody(asked)))}
response = client.invoke_model(modelId="cohere.embed-english-v3", body=json.dumps(body))
content = json.loads(response["body"].read())
vectors = ${byType().pythonRows}
`,
  },
};

/** Leave out the fields without a value. */
const stated = (fields) => JSON.parse(JSON.stringify(fields));

/** Return the options of the request that an API's Python library has no argument for. */
const lacking = ({ lacks = [] }, asked) => lacks.filter((name) => asked[name] !== undefined);

/** The snippets by language; each takes a row of APIS and the request on the screen. Keys come from the environment. */
const LANGUAGES = {
  "curl": ({ path, body, keyed }, asked) =>
    [
      `curl -s ${shell(BASE + path)}`,
      ...(known.open ? [] : [`-H "${keyed ? `${keyed}: ` : "Authorization: Bearer "}$API_KEY"`]),
      "-H 'Content-Type: application/json'",
      `-d ${shell(json(stated(body(asked))))}`,
    ].join(" \\\n  "),
  "Python": (api, asked) => (api.client && !lacking(api, asked).length ? api.client(asked) : plainPython(api, asked)),
  "JavaScript": ({ path, body, keyed, results }, asked) => `const response = await fetch(${quoted(BASE + path)}, {
  method: "POST",
  headers: { ${known.open ? "" : keyed ? `"${keyed}": process.env.API_KEY, ` : '"Authorization": `Bearer ${process.env.API_KEY}`, '}"Content-Type": "application/json" },
  body: JSON.stringify(${json(stated(body(asked)), "  ")}),
});
if (!response.ok) throw new Error(await response.text());
const content = await response.json();
const vectors = ${results().rows};
`,
};

/** Python that needs no library. */
const plainPython = ({ path, body, keyed, results }, asked) => `import json
${importOs()}from urllib.request import Request, urlopen

headers = {
${known.open ? "" : keyed ? `    "${keyed}": os.environ["API_KEY"],\n` : '    "Authorization": f"Bearer {os.environ[\'API_KEY\']}",\n'}    "Content-Type": "application/json",
}
body = ${python(stated(body(asked)))}
with urlopen(Request(${quoted(BASE + path)}, json.dumps(body).encode(), headers)) as response:
    content = json.load(response)
vectors = ${results().pythonRows}
`;

/** Say where the key comes from, and what the API or its library does not have. */
function hints(name, language, asked) {
  const { library, float32Only, note } = APIS[name];
  const missing = lacking(APIS[name], asked);
  return [
    known.open ? "This endpoint requires no key." : "The key is read from the environment variable API_KEY.",
    float32Only && chosenType() !== FLOAT32 && `The API of ${name} has no types of vectors: this snippet gets float32.`,
    language === "Python" && library && missing.length && `The library ${library} cannot send ${missing.join(" and ")}: this snippet uses none.`,
    language === "Python" && note,
  ].filter(Boolean);
}

function showSnippet() {
  const tab = $("tabs").querySelector('[aria-selected="true"]');
  const asked = request();
  $("snippet").setAttribute("aria-labelledby", tab.id);
  $("snippet").firstChild.textContent = LANGUAGES[tab.textContent](APIS[$("api").value], asked);
  $("snippets-hint").textContent = hints($("api").value, tab.textContent, asked).join(" ");
}

function choose(tab) {
  for (const other of $("tabs").children) {
    other.setAttribute("aria-selected", String(other === tab));
    other.tabIndex = other === tab ? 0 : -1;
  }
  showSnippet();
}

async function copy() {
  const snippet = $("snippet").firstChild;
  try {
    await navigator.clipboard.writeText(snippet.textContent);
  } catch {
    // Without HTTPS, this is the only way to the clipboard.
    getSelection().selectAllChildren(snippet);
    document.execCommand("copy");
  }
  $("copy").textContent = "Copied";
  setTimeout(() => ($("copy").textContent = "Copy"), 1500);
}
