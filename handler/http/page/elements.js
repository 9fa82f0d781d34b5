// The page's elements: finding and making them. The files of this page are put together into one script, see pages.py.

const $ = (id) => document.getElementById(id);

const SVG = ["svg", "circle", "text", "title"];

function element(tag, attributes = {}, ...children) {
  const made = SVG.includes(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const shortened = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);
