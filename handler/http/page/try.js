// The page to try the endpoint: its content, its failures and its events. It sends requests only to the endpoint that it came from,
// and stores nothing.

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

// --- Failures, next to their fields -------------------------------------------------------------------------

function clearFailures() {
  for (const name of [...FIELDS, "request", "question", ...Object.values(PASSAGE_FIELDS)]) {
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
  showTypes(info?.output_dtypes ?? [FLOAT32]);
  $("question-prompt").replaceChildren(...choices("as above"));
  $("question-prompt").value = "query" in prompts ? "query" : "";
  $("question-prompt-field").hidden = !Object.keys(prompts).length;
  $("model").textContent = info ? `${info.model_id} · ${info.model_dtype} · up to ${info.max_input_length} tokens per text` : "";
  $("key-hint").textContent = known.open
    ? "This endpoint requires no key."
    : "Kept only in this tab's memory, until you close it.";
  showViews(info);
  showPrompt();
  showSnippet();
}

/** Offer the types of vectors that the model has; a type that it does not have is replaced with float32. */
function showTypes(types) {
  const chosen = chosenType();
  $("output_dtype").replaceChildren(...types.map((name) => element("option", {}, name)));
  $("output_dtype").value = types.includes(chosen) ? chosen : FLOAT32;
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
$("api").append(...Object.keys(APIS).map((name) => element("option", {}, name)));
$("api").addEventListener("change", showSnippet);
for (const [index, name] of Object.keys(LANGUAGES).entries()) {
  const tab = element("button", { type: "button", role: "tab", id: `tab-${index}`, "aria-controls": "snippet" }, name);
  tab.addEventListener("click", () => choose(tab));
  $("tabs").append(tab);
}
/** Let arrow keys move between the tabs of a list. */
function moveByArrows(list, chooseTab) {
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const tabs = [...list.children];
    const next = tabs.at((tabs.indexOf(event.target) + step) % tabs.length);
    chooseTab(next);
    next.focus();
  });
}
moveByArrows($("tabs"), choose);
moveByArrows($("views"), chooseView);
for (const tab of $("views").children) tab.addEventListener("click", () => chooseView(tab));
$("documents").addEventListener("submit", (event) => {
  event.preventDefault();
  busy($("documents").querySelector("button"), showPassages);
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
  if (!known.info) await readInfo(); // it says which type the endpoint returns by default
  known.answer = await embed();
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
    const body = inFloat32({ ...options(), ...(prompt && { prompt_name: prompt }), inputs: [$("question").value] });
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
