// Elements without a framework: `el("div", {class: "x", onclick: f}, "text", child)`. Text never becomes markup.

export function el(name, attributes = {}, ...children) {
  const svg = ["svg", "path", "rect", "line", "title"].includes(name) && attributes.svg !== false;
  const node = svg && name !== "title" ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false || key === "svg") continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== false));
  return node;
}

export function svgTitle(text) {
  const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
  title.textContent = text;
  return title;
}

// Make these the children of a node, in this order; what is among them already stays where it is, with its focus and what
// is selected in it.
export function place(node, children) {
  const wanted = new Set(children);
  for (const child of [...node.children]) if (!wanted.has(child)) child.remove();
  let next = node.firstElementChild;
  for (const child of wanted) {
    if (child === next) next = next.nextElementSibling; else node.insertBefore(child, next);
  }
}

export function failure(error) {
  return el("div", { class: "failure", role: "alert" }, error.message || String(error));
}
