// The page to try the endpoint. It sends requests only to the endpoint that it came from, and stores nothing.

// --- Content of the page ------------------------------------------------------------------------------------

const EXAMPLES = {
  "Everyday": [
    "How is the weather?",
    "Is it raining outside?",
    "Today is a sunny day and I will get some ice cream.",
    "The restaurant around the corner serves good pasta.",
    "Where can I get something to eat?",
    "My laptop won't turn on.",
    "The computer does not start any more.",
  ],
  "Support": [
    "I forgot my password.",
    "How do I reset my login?",
    "My invoice shows the wrong amount.",
    "You charged my card twice.",
    "The parcel never arrived.",
    "When will my order be delivered?",
  ],
  "Same words": [
    "He sat on the bank of the river.",
    "She opened an account at the bank.",
    "We had a picnic by the water.",
    "The interest rate on savings went up.",
    "A mouse ran across the kitchen floor.",
    "Plug in the mouse and the keyboard.",
  ],
};
const SHOWN = 30; // texts drawn; all are embedded and searched
const FIELDS = ["texts", "key", "dimensions", "truncation_direction", "prompt_name", "normalize"];

const $ = (id) => document.getElementById(id);

/** The endpoint's address: behind a stage, this page is at /Prod/ or at /Prod/try, with or without a slash at the end. */
const BASE = location.origin + location.pathname.replace(/\/(try)?\/*$/, "") + "/";

/** The response of /info, whether it required no key, and the last result. */
const known = { info: null, open: false, answer: null };

const SVG = ["svg", "circle", "text", "title"];

function element(tag, attributes = {}, ...children) {
  const made = SVG.includes(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// --- Requests -----------------------------------------------------------------------------------------------

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

/** The options that differ from the endpoint's defaults, as a request has them. */
function options() {
  const chosen = {};
  const dimensions = $("dimensions").value.trim();
  if (!$("normalize").checked) chosen.normalize = false;
  if ($("prompt_name").value) chosen.prompt_name = $("prompt_name").value;
  if ($("truncation_direction").value) chosen.truncation_direction = $("truncation_direction").value;
  // A value that is not a number is sent as it is: the endpoint's sentence says what it must be.
  if (dimensions) chosen.dimensions = /^-?\d+$/.test(dimensions) ? Number(dimensions) : dimensions;
  return chosen;
}

const request = () => ({ inputs: lines().texts, ...options() });

async function embed() {
  const asked = request();
  const { content, headers } = await ask("", asked);
  return { asked: JSON.stringify(asked), texts: asked.inputs, vectors: content, units: content.map(unit), headers };
}

// --- Numbers ------------------------------------------------------------------------------------------------

const dot = (a, b) => a.reduce((sum, value, index) => sum + value * b[index], 0);
const percent = (share) => Math.round(share * 100);

function unit(vector) {
  const length = Math.sqrt(dot(vector, vector)) || 1;
  return vector.map((value) => value / length);
}

/** The two directions in which the vectors differ most (principal components), by power iteration on their Gram matrix. */
function projection(vectors) {
  const mean = vectors[0].map((_, index) => vectors.reduce((sum, vector) => sum + vector[index], 0) / vectors.length);
  const centred = vectors.map((vector) => vector.map((value, index) => value - mean[index]));
  const gram = centred.map((a) => centred.map((b) => dot(a, b)));
  const spread = gram.reduce((sum, row, index) => sum + row[index], 0);
  const axes = [0, 1].map(() => {
    let direction = unit(gram.map((_, index) => Math.cos(index + 1)));
    for (let turn = 0; turn < 200; turn++) direction = unit(gram.map((row) => dot(row, direction)));
    const strength = Math.max(0, dot(direction, gram.map((row) => dot(row, direction))));
    gram.forEach((row, i) => row.forEach((_, j) => (row[j] -= strength * direction[i] * direction[j])));
    return { strength, places: direction.map((value) => value * Math.sqrt(strength)) };
  });
  return {
    points: vectors.map((_, index) => axes.map((axis) => axis.places[index])),
    share: spread ? (axes[0].strength + axes[1].strength) / spread : 1,
  };
}

// --- Showing a result ---------------------------------------------------------------------------------------

const shortened = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);

function show(answer) {
  $("empty").hidden = true;
  $("answer").hidden = false;
  $("partly").hidden = answer.texts.length <= SHOWN;
  $("partly").textContent = `The first ${SHOWN} of ${answer.texts.length} texts are drawn; the search looks through all.`;
  $("ranking").replaceChildren();
  showFacts(answer);
  draw(answer);
}

function draw({ texts, vectors, units }) {
  const drawn = { texts: texts.slice(0, SHOWN), vectors: vectors.slice(0, SHOWN), units: units.slice(0, SHOWN) };
  showHeat(drawn);
  showVectors(drawn);
  $("map-section").hidden = drawn.texts.length < 3;
  if (drawn.texts.length >= 3) showMap(drawn);
}

function showFacts({ vectors, headers }) {
  const header = (name) => headers.get(name);
  const total = vectors.length;
  const warning = header("x-hf-warning")?.replace(/^truncation; /, "");
  const facts = [
    ["texts", total],
    ["dimensions", vectors[0].length],
    ["tokens", header("x-compute-tokens")],
    ["milliseconds", header("x-total-time"), `${header("x-inference-time")} in the model`],
    ["cached", header("x-cache-hits"), `of ${total}`],
    ["truncated", warning ? /\d+/.exec(warning)[0] : 0],
  ].filter(([, value]) => value !== null);
  $("facts").replaceChildren(
    ...facts.map(([name, value, more]) =>
      element("div", name === "truncated" && warning ? { class: "cut" } : {},
        element("dt", {}, name),
        element("dd", {}, String(value), ...(more ? [" ", element("small", {}, more)] : [])),
      ),
    ),
    ...(warning ? [wide("warning", warning)] : []),
    wide("model", [known.info?.model_id, header("x-model-sha")?.slice(0, 16)].filter(Boolean).join(" · ")),
  );
}

const wide = (name, value) => element("div", { class: "wide" }, element("dt", {}, name), element("dd", {}, value));

function showHeat({ texts, units }) {
  const number = (index) => element("span", { class: "number" }, String(index + 1));
  const pairs = [];
  const head = element("tr", {},
    element("th", { scope: "col" }, element("span", { class: "unseen" }, "Text")),
    ...texts.map((text, index) => element("th", { scope: "col", title: text }, String(index + 1))),
  );
  const rows = texts.map((text, row) =>
    element("tr", {},
      element("th", { scope: "row", title: text }, number(row), text),
      ...texts.map((other, column) => {
        const value = dot(units[row], units[column]);
        if (column > row) pairs.push([value, text, other]);
        const cell = element("td", { title: `${text} / ${other}` }, value.toFixed(2).replace("-0.00", "0.00"));
        cell.style.setProperty("--share", percent(Math.max(0, value)));
        return cell;
      }),
    ),
  );
  $("heat").replaceChildren(element("thead", {}, head), element("tbody", {}, ...rows));
  pairs.sort(([a], [b]) => b - a);
  const described = ([value, one, other]) => `“${shortened(one, 60)}” and “${shortened(other, 60)}” (${value.toFixed(2)})`;
  $("extremes").textContent = pairs.length > 1 ? `Most similar: ${described(pairs[0])}. Least: ${described(pairs.at(-1))}.` : "";
}

function showVectors({ texts, vectors }) {
  const colours = getComputedStyle(document.documentElement);
  const [positive, negative] = ["--accent", "--negative"].map((name) => colours.getPropertyValue(name));
  $("vectors").replaceChildren(
    ...texts.map((text, index) => {
      const vector = vectors[index];
      const most = vector.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-12);
      const first = vector.slice(0, 4).map((value) => value.toFixed(4)).join(", ");
      const strip = element("canvas", { width: vector.length, height: 1, role: "img", "aria-label": `${vector.length} numbers, the furthest from zero ${most.toFixed(3)}` });
      const pen = strip.getContext("2d");
      vector.forEach((value, place) => {
        pen.globalAlpha = Math.abs(value) / most;
        pen.fillStyle = value > 0 ? positive : negative;
        pen.fillRect(place, 0, 1, 1);
      });
      return element("li", {},
        element("p", { title: text }, element("span", { class: "number" }, String(index + 1)), text),
        strip,
        element("p", { class: "numbers" }, `${first}${vector.length > 4 ? ", …" : ""}`),
      );
    }),
  );
}

function showMap({ texts, units }) {
  const { points, share } = projection(units);
  $("map-hint").textContent = `The two directions in which these vectors differ most; they hold ${percent(share)} % of the differences.`;
  const width = $("map").clientWidth;
  const height = Math.min(420, Math.max(280, width * 0.55));
  const margin = { across: Math.min(90, width * 0.16), down: 34 };
  const scaled = (axis, size, room) => {
    const values = points.map((point) => point[axis]);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const share = (value) => (high - low > 1e-6 ? (value - low) / (high - low) : 0.5); // equal texts are drawn in the middle
    return values.map((value) => room + share(value) * (size - 2 * room));
  };
  const across = scaled(0, width, margin.across);
  const down = scaled(1, height, margin.down);
  const image = element("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": `Map of ${texts.length} texts: similar texts are close to each other.` });
  const taken = texts.map((_, index) => box(across[index] - 7, down[index] - 7, 14, 14));
  texts.forEach((text, index) => {
    image.append(element("circle", { cx: across[index], cy: down[index], r: 5 }, element("title", {}, text)));
    const label = placed(text, index, across[index], down[index], taken, width, height);
    taken.push(label.box);
    image.append(element("text", { x: label.box.left, y: label.box.top + 12 }, label.text));
  });
  $("map").replaceChildren(image);
}

const box = (left, top, width, height) => ({ left, top, right: left + width, bottom: top + height });
const apart = (a, b) => a.right < b.left || b.right < a.left || a.bottom < b.top || b.bottom < a.top;
const ruler = document.createElement("canvas").getContext("2d");

/** A label next to its point: the longest that overlaps nothing, or only the text's number. */
function placed(text, index, x, y, taken, width, height) {
  ruler.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  const number = String(index + 1);
  for (const length of [44, 32, 22, 14, 0]) {
    const label = length ? `${number} ${shortened(text, length)}` : number;
    const size = ruler.measureText(label).width + 2;
    for (const [left, top] of [[x + 10, y - 8], [x - size - 10, y - 8], [x - size / 2, y - 24], [x - size / 2, y + 9]]) {
      const room = box(left, top, size, 16);
      const inside = room.left > 2 && room.right < width - 2 && room.top > 2 && room.bottom < height - 2;
      if (inside && taken.every((other) => apart(room, other))) return { text: label, box: room };
    }
  }
  return { text: number, box: box(x + 9, y - 8, 14, 16) };
}

function rank(question, { texts, units }) {
  const scores = units.map((vector, index) => [dot(vector, question), texts[index]]).sort(([a], [b]) => b - a);
  $("ranking").replaceChildren(
    ...scores.slice(0, 10).map(([score, text]) => {
      const bar = element("span", { class: "bar" });
      bar.style.setProperty("--share", percent(Math.max(0, score)));
      return element("li", {}, element("span", {}, text), element("span", { class: "score" }, score.toFixed(2)), bar);
    }),
  );
}

// --- Failures, next to their fields -------------------------------------------------------------------------

function clearFailures() {
  for (const name of [...FIELDS, "request", "question"]) {
    $(`${name}-error`).hidden = true;
    $(name).removeAttribute("aria-invalid");
  }
}

function showFailure(failure) {
  const place = failure.field;
  $(`${place}-error`).textContent = failure.message;
  $(`${place}-error`).hidden = false;
  $("status").textContent = "";
  if (place === "request") return;
  $(place).setAttribute("aria-invalid", "true");
  $(place).focus();
  const line = place === "texts" && lines().places[failure.index];
  if (line) $("texts").setSelectionRange(...line);
}

/** Run an action while its button is disabled, and show the failure if a request fails. */
async function busy(button, action) {
  if (button.getAttribute("aria-disabled") === "true") return;
  clearFailures();
  button.setAttribute("aria-disabled", "true");
  try {
    await action();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    showFailure(error);
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

// --- Snippets -----------------------------------------------------------------------------------------------

const quoted = (value) => JSON.stringify(value);
const python = (value) => (typeof value === "boolean" ? { true: "True", false: "False" }[value] : quoted(value));
const shell = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const list = (texts, indent) => (texts.length ? `[\n${texts.map((text) => `${indent}    ${quoted(text)},\n`).join("")}${indent}]` : "[]");

/** The request on the screen, by language. The key is read from the environment, unless the endpoint requires none. */
const SNIPPETS = {
  "curl": ({ inputs, ...chosen }) =>
    [
      `curl -s ${shell(BASE)}`,
      ...(known.open ? [] : ['-H "Authorization: Bearer $API_KEY"']),
      "-H 'Content-Type: application/json'",
      `-d ${shell(JSON.stringify({ inputs, ...chosen }, null, 2))}`,
    ].join(" \\\n  "),
  "Python": ({ inputs, ...chosen }) => `${known.open ? "" : "import os\n\n"}from huggingface_hub import InferenceClient

client = InferenceClient(${quoted(BASE)}, token=${known.open ? '"none"' : 'os.environ["API_KEY"]'})
vectors = client.feature_extraction(
    ${list(inputs, "    ")},
${Object.entries(chosen).map(([name, value]) => `    ${name}=${python(value)},\n`).join("")})
`,
  "Python, OpenAI": ({ inputs, dimensions, ...chosen }) => `${known.open ? "" : "import os\n\n"}from openai import OpenAI

client = OpenAI(base_url=${quoted(`${BASE}v1`)}, api_key=${known.open ? '"none"' : 'os.environ["API_KEY"]'})
response = client.embeddings.create(
    model=${quoted(known.info?.model_id ?? "default")},
    input=${list(inputs, "    ")},
${dimensions === undefined ? "" : `    dimensions=${python(dimensions)},\n`}${Object.keys(chosen).length ? `    extra_body={${Object.entries(chosen).map(([name, value]) => `${quoted(name)}: ${python(value)}`).join(", ")}},\n` : ""})
vectors = [item.embedding for item in response.data]
`,
  "JavaScript": (body) => `const response = await fetch(${quoted(BASE)}, {
  method: "POST",
  headers: { ${known.open ? "" : '"Authorization": `Bearer ${process.env.API_KEY}`, '}"Content-Type": "application/json" },
  body: JSON.stringify(${JSON.stringify(body, null, 2).replaceAll("\n", "\n  ")}),
});
if (!response.ok) throw new Error((await response.json()).error);
const vectors = await response.json();
`,
};

function showSnippet() {
  const tab = $("tabs").querySelector('[aria-selected="true"]');
  $("snippet").setAttribute("aria-labelledby", tab.id);
  $("snippet").firstChild.textContent = SNIPPETS[tab.textContent](request());
  $("snippets-hint").textContent = known.open ? "This endpoint requires no key." : "The key is read from the environment variable API_KEY.";
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

// --- The model ----------------------------------------------------------------------------------------------

/** Read the model's name and prompts from /info, which may require the key. */
async function readInfo() {
  try {
    known.info = (await ask("info")).content;
    known.open ||= !$("key").value;
  } catch {
    known.info = null;
  }
  const { info } = known;
  const prompts = info?.prompts ?? {};
  const choices = (first) => [element("option", { value: "" }, first), ...Object.keys(prompts).map((name) => element("option", { value: name }, name))];
  const chosen = $("prompt_name").value;
  $("prompt_name").replaceChildren(...choices("the model's default"));
  $("prompt_name").value = chosen in prompts ? chosen : "";
  $("question-prompt").replaceChildren(...choices("as above"));
  $("question-prompt").value = "query" in prompts ? "query" : "";
  $("question-prompt-field").hidden = !Object.keys(prompts).length;
  $("model").textContent = info ? `${info.model_id} · ${info.model_dtype} · up to ${info.max_input_length} tokens per text` : "";
  $("key-hint").textContent = known.open
    ? "This endpoint requires no key."
    : "Kept only in this tab's memory, until you close it.";
  showPrompt();
  showSnippet();
}

function showPrompt() {
  const prompts = known.info?.prompts ?? {};
  const text = prompts[$("prompt_name").value];
  $("prompt_name-hint").textContent = text ? `Put before every text: “${text}”` : known.info && !Object.keys(prompts).length ? "This model has none." : "";
}

// --- Event listeners ----------------------------------------------------------------------------------------

$("docs").href = `${BASE}docs`;
$("texts").value = EXAMPLES.Everyday.join("\n");
for (const [name, texts] of Object.entries(EXAMPLES)) {
  const button = element("button", { type: "button" }, name);
  button.addEventListener("click", () => {
    $("texts").value = texts.join("\n");
    showSnippet();
  });
  $("examples").append(button);
}
for (const [index, name] of Object.keys(SNIPPETS).entries()) {
  const tab = element("button", { type: "button", role: "tab", id: `tab-${index}`, "aria-controls": "snippet" }, name);
  tab.addEventListener("click", () => choose(tab));
  $("tabs").append(tab);
}
$("tabs").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const tabs = [...$("tabs").children];
  const next = tabs.at((tabs.indexOf(event.target) + step) % tabs.length);
  choose(next);
  next.focus();
});
$("copy").addEventListener("click", copy);

$("request").addEventListener("input", showSnippet);
$("prompt_name").addEventListener("change", showPrompt);
$("key").addEventListener("change", readInfo);
$("texts").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("request").requestSubmit();
});

async function embedOnScreen() {
  $("status").textContent = "Embedding…";
  known.answer = await embed();
  if (!known.info) await readInfo();
  show(known.answer);
  // On a phone, the result is below all fields.
  if ($("answer").getBoundingClientRect().top > innerHeight) $("answer").scrollIntoView();
  $("status").textContent = `${known.answer.texts.length} ${known.answer.texts.length === 1 ? "text" : "texts"} embedded in ${known.answer.headers.get("x-total-time")} ms.`;
}

$("request").addEventListener("submit", (event) => {
  event.preventDefault();
  busy($("embed"), embedOnScreen);
});
$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const button = $("search").querySelector("button");
  busy(button, async () => {
    if (known.answer.asked !== JSON.stringify(request())) await embedOnScreen();
    const prompt = $("question-prompt").value;
    const body = { ...options(), ...(prompt && { prompt_name: prompt }), inputs: [$("question").value] };
    const asked = ask("", body).catch((failure) => {
      if (failure.field === "texts") failure.field = "question";
      throw failure;
    });
    rank(unit((await asked).content[0]), known.answer);
  });
});

const redraw = () => known.answer && draw(known.answer);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth !== width) redraw();
  width = innerWidth;
});

choose($("tabs").firstChild);
readInfo();
