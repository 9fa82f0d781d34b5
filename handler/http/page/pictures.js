// The result of a request: figures, similarities, map, vectors and search.

const SHOWN = 30; // texts drawn; all are embedded and searched
const NUMBER_BYTES = { float32: 4, int8: 1, uint8: 1, binary: 1, ubinary: 1 };

function show(answer) {
  $("empty").hidden = true;
  $("answer").hidden = false;
  $("partly").hidden = answer.texts.length <= SHOWN;
  $("partly").textContent = `The first ${SHOWN} of ${answer.texts.length} texts are drawn; the search looks through all.`;
  $("ranking").replaceChildren();
  showFacts(answer);
  draw(answer);
}

function draw({ type, ...rows }) {
  const [texts, vectors, units, typed] = [rows.texts, rows.vectors, rows.units, rows.typed].map((all) => all.slice(0, SHOWN));
  const drawn = { type, texts, vectors, units, typed };
  showHeat(drawn);
  showVectors(drawn);
  $("map-section").hidden = drawn.texts.length < 3;
  if (drawn.texts.length >= 3) showMap(drawn);
}

/** Return the size of a vector in words. */
function size(vector, type) {
  const [numbers, bytes] = [vector.length, vector.length * NUMBER_BYTES[type]].map((count) => count.toLocaleString("en"));
  return `${numbers} ${vector.length === 1 ? "number" : "numbers"}, ${bytes} ${bytes === "1" ? "byte" : "bytes"}`;
}

function showFacts({ vectors, headers, type, typed }) {
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
    wide("each vector", size(typed[0], type) + (type === FLOAT32 ? "" : ` as ${type} (as float32: ${size(vectors[0], FLOAT32)})`)),
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

function showVectors({ texts, vectors, type, typed }) {
  $("vectors-type").textContent = type === FLOAT32 ? "" : `The lines are the float32 numbers; the numbers below them are of the type ${type}.`;
  const colours = getComputedStyle(document.documentElement);
  const [positive, negative] = ["--accent", "--negative"].map((name) => colours.getPropertyValue(name));
  $("vectors").replaceChildren(
    ...texts.map((text, index) => {
      const vector = vectors[index];
      const most = vector.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-12);
      const first = typed[index].slice(0, 4).map((value) => (type === FLOAT32 ? value.toFixed(4) : value)).join(", ");
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
        element("p", { class: "numbers" }, `${first}${typed[index].length > 4 ? ", …" : ""}`),
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
