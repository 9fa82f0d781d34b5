// The search in the deployment's documents: the best passages, each marked in as much of its document as is known.
//
// A passage knows the characters of its document that it has: from `start` to before `end`. So passages of one document that touch
// or overlap are shown as one excerpt, with each marked in it.

const NEIGHBOURS = 1; // passages before and after one that are shown around it
const RERANKED = 50;
const PASSAGE_FIELDS = { query: "passage-query", k: "passage-count" };

/** Return a result of /search as a passage. Places count characters, of which JavaScript has two for some. */
function passage({ id, score, metadata }) {
  const { document: name, chunk, start, end, title } = metadata;
  const characters = [...(metadata.text ?? "")];
  const placed = name !== undefined && characters.length > 0 && characters.length === end - start;
  return { id, score, document: name, chunk, title: title ?? name ?? id, characters, start: placed ? start : 0, end: placed ? end : characters.length, placed };
}

/** Return the characters of a passage that an excerpt does not have yet; null if the two do not touch. */
function continuation(excerpt, next) {
  if (next.start <= excerpt.end) return next.characters.slice(excerpt.end - next.start);
  // Between two neighbours there are only blanks, which no passage has: a border of words or of paragraphs.
  const blanks = next.start - excerpt.end;
  return next.chunk === excerpt.chunk + 1 ? [blanks > 1 ? "\n" : " ", ..." ".repeat(blanks - 1), ...next.characters] : null;
}

/** Join passages of one document that touch or overlap. The excerpts are in the order of their best passages. */
function excerpts(passages, around = []) {
  const joined = [];
  const context = new Set(around);
  const inOrder = [...passages, ...around].sort((one, other) => one.start - other.start || one.end - other.end);
  for (const next of inOrder) {
    const open = joined.findLast((one) => one.placed && next.placed && one.document === next.document);
    const shown = context.has(next) ? [] : [next];
    const more = open && continuation(open, next);
    if (more) {
      open.characters.push(...more);
      open.end = Math.max(open.end, next.end);
      open.chunk = next.chunk;
      open.passages.push(...shown);
    } else {
      joined.push({ ...next, characters: [...next.characters], passages: shown });
    }
  }
  return joined.filter((one) => one.passages.length).sort((one, other) => bestScore(other) - bestScore(one));
}

/** Return the text of an excerpt, in which its passages are marked and the best of them is marked most. */
function marked({ start, end, characters, passages }) {
  const best = passages.reduce((one, other) => (other.score > one.score ? other : one));
  const borders = [...new Set([start, end, ...passages.flatMap((one) => [one.start, one.end])])].sort((one, other) => one - other);
  return borders.slice(1).map((to, index) => {
    const from = borders[index];
    const text = characters.slice(from - start, to - start).join("");
    const covering = passages.filter((one) => one.start <= from && one.end >= to);
    if (!covering.length) return text;
    return element("mark", covering.includes(best) ? { class: "best" } : {}, text);
  });
}

const bestScore = ({ passages }) => Math.max(...passages.map(({ score }) => score));

/** Show an excerpt as an item of the list. */
function excerptItem(excerpt, query) {
  const place = excerpt.placed ? `characters ${excerpt.start.toLocaleString("en")} to ${excerpt.end.toLocaleString("en")}` : "";
  const item = element("li", {},
    element("p", { class: "from" }, element("b", {}, excerpt.title), " ", element("span", { class: "quiet" }, place)),
    element("span", { class: "score" }, bestScore(excerpt).toFixed(2)),
    element("p", { class: "excerpt" }, ...marked(excerpt)),
  );
  if (excerpt.placed && excerpt.chunk !== undefined) {
    const more = element("button", { type: "button" }, "Show what is around it");
    more.addEventListener("click", () => busy(more, () => showAround(item, excerpt, query)));
    item.append(more);
  }
  return item;
}

/** Ask for the passages before and after an excerpt, and show it in the middle of them. */
async function showAround(item, excerpt, query) {
  const chunks = excerpt.passages.map(({ chunk }) => chunk);
  const [first, last] = [Math.min(...chunks) - NEIGHBOURS, Math.max(...chunks) + NEIGHBOURS];
  const filter = { document: excerpt.document, chunk: { $gte: Math.max(0, first), $lte: last } };
  const found = await searchDocuments({ query, k: Math.min(100, last - first + 1), filter });
  const known = new Set(excerpt.passages.map(({ id }) => id));
  const [around] = excerpts(excerpt.passages, found.filter(({ id }) => !known.has(id)));
  const shown = excerptItem(around, query);
  shown.querySelector("button")?.remove();
  item.replaceWith(shown);
}

/** Send a search; a failure is shown next to the field of this form that it is about. */
async function searchDocuments(body) {
  try {
    return (await ask("search", body)).content.map(passage);
  } catch (failure) {
    const name = Object.keys(PASSAGE_FIELDS).find((field) => failure.message.includes(`\`${field}\``));
    failure.field = PASSAGE_FIELDS[name] ?? "passage-query";
    throw failure;
  }
}

async function showPassages() {
  const query = $("passage-query").value;
  const count = $("passage-count").value.trim();
  $("passage-status").textContent = "Searching…";
  $("passages").replaceChildren();
  try {
    const k = /^\d+$/.test(count) ? Number(count) : count || 10;
    const found = await searchDocuments({ query, k, ...($("passage-rerank").checked && { rerank: Math.max(RERANKED, Number(k) || 0) }) });
    $("passages").replaceChildren(...excerpts(found).map((excerpt) => excerptItem(excerpt, query)));
    $("passage-status").textContent = found.length ? `${found.length} ${found.length === 1 ? "passage" : "passages"}` : "The index has no passage.";
  } catch (failure) {
    $("passage-status").textContent = "";
    throw failure;
  }
}

/** Show one of the two views: a request with texts of the reader's own, or the search in the documents. */
function chooseView(tab) {
  for (const other of $("views").children) {
    const chosen = other === tab;
    other.setAttribute("aria-selected", String(chosen));
    other.tabIndex = chosen ? 0 : -1;
    $(other.getAttribute("aria-controls")).hidden = !chosen;
  }
}

/** Offer the search where the deployment has an index; /info says so. */
function showViews(info) {
  const searchable = Boolean(info?.search);
  $("views").hidden = !searchable;
  for (const tab of $("views").children) {
    const view = $(tab.getAttribute("aria-controls"));
    if (searchable) view.setAttribute("role", "tabpanel");
    else view.removeAttribute("role");
  }
  if (!searchable) chooseView($("views").firstElementChild);
}
