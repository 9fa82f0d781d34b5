// Requests to the endpoint, and the fields of the form that they are made of.

const FIELDS = ["texts", "key", "output_dtype", "dimensions", "truncation_direction", "prompt_name", "normalize"];
const FLOAT32 = "float32";

/** The endpoint's address: behind a stage, this page is at /Prod/ or at /Prod/try, with or without a slash at the end. */
const BASE = location.origin + location.pathname.replace(/\/(try)?\/*$/, "") + "/";

/** The response of /info, whether it required no key, and the last result. */
const known = { info: null, open: false, answer: null };

/** A failed request: the sentence of the response, and the field that it is about, if that is known. */
class Failure extends Error {
  constructor(sentence, status, type) {
    super(sentence);
    const named = FIELDS.find((name) => sentence.includes(`\`${name}\``));
    const aboutTexts = /`inputs|batch size|inputs at a time|request body/.test(sentence) || type === "Empty" || type === "Tokenizer";
    this.field = status === 401 ? "key" : (named ?? (aboutTexts ? "texts" : "request"));
    this.index = Number(/`inputs\[(\d+)\]`/.exec(sentence)?.[1] ?? NaN);
  }
}

async function ask(path, body) {
  const headers = {};
  if ($("key").value) headers.Authorization = `Bearer ${$("key").value}`;
  if (body) headers["Content-Type"] = "application/json";
  let response, text;
  try {
    response = await fetch(BASE + path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
    text = await response.text();
  } catch (error) {
    throw new Failure(`The endpoint cannot be reached: ${error.message}`);
  }
  let content = {};
  try {
    content = JSON.parse(text);
  } catch {
    if (response.ok) throw new Failure("The response is not JSON");
  }
  if (response.ok) return { content, headers: response.headers };
  // A gateway's own errors have `message`.
  throw new Failure(content.error ?? content.message ?? `Status ${response.status}`, response.status, content.error_type);
}

/** The texts, one for each line that is not empty, with the start and the end of their lines in the text area. */
function lines() {
  const found = { texts: [], places: [] };
  let start = 0;
  for (const line of $("texts").value.split("\n")) {
    if (line.trim()) {
      found.texts.push(line);
      found.places.push([start, start + line.length]);
    }
    start += line.length + 1;
  }
  return found;
}

const chosenType = () => $("output_dtype").value;
const defaultType = () => known.info?.output_dtype ?? FLOAT32;

/** The options that differ from the endpoint's defaults, as a request has them. */
function options() {
  const chosen = {};
  const dimensions = $("dimensions").value.trim();
  if (!$("normalize").checked) chosen.normalize = false;
  if ($("prompt_name").value) chosen.prompt_name = $("prompt_name").value;
  if ($("truncation_direction").value) chosen.truncation_direction = $("truncation_direction").value;
  // A value that is not a number is sent as it is: the endpoint's sentence says what it must be.
  if (dimensions) chosen.dimensions = /^-?\d+$/.test(dimensions) ? Number(dimensions) : dimensions;
  if (chosenType() !== defaultType()) chosen.output_dtype = chosenType();
  return chosen;
}

/** The same request for float32 vectors: everything that is computed here is computed from these. */
const inFloat32 = ({ output_dtype, ...others }) => (defaultType() === FLOAT32 ? others : { ...others, output_dtype: FLOAT32 });

const request = () => ({ inputs: lines().texts, ...options() });

/** Send the request on the screen, and for a small type of vectors also the same request for float32, from which they are made. */
async function embed() {
  const asked = request();
  const type = chosenType();
  const { content, headers } = await ask("", asked);
  const vectors = type === FLOAT32 ? content : (await ask("", inFloat32(asked))).content;
  return { asked: JSON.stringify(asked), texts: asked.inputs, type, typed: content, vectors, units: vectors.map(unit), headers };
}
