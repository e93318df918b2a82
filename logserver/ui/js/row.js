// One log line on the page: a row, and what opens below it.

import { el } from "./dom.js";
import { clock, pieces, podColor, prettyJson } from "./format.js";

export function rowOf(item, view) {
  if (item.gap) return gapRow(item, view);
  const [first, ...others] = item.message.split("\n");
  const selected = view.isSelected(item);
  const cell = (name, attributes, ...content) => el("span", { class: name, role: "gridcell", ...attributes }, ...content);
  const row = el("div", {
    class: `row ${item.level}${item.id === view.here ? " here" : ""}`, role: "row", "data-id": item.id, id: selected ? "selected-line" : null,
    "aria-selected": String(selected), onclick: (event) => view.onOpen(item, event),
  },
    cell("time", { title: item.ts }, clock(item.ts, view.withDay)),
    cell("level", {}, item.level === "unknown" ? "·" : item.level),
    cell("pod", { style: `color: ${podColor(item.pod)}`, title: `${item.namespace}/${item.pod}/${item.container}` }, origin(item)),
    cell("message", {}, ...marked(view.wrap ? item.message : first, view.hits), !view.wrap && others.length ? el("span", { class: "more" }, `  +${others.length} lines`) : null),
  );
  if (view.isOpen(item)) row.append(detail(item, view));
  return row;
}

function gapRow(item, view) {
  const fetch = item.fetch && el("button", { type: "button", onclick: () => view.onFetch(item) }, "Fetch them");
  return el("div", { class: "row gap", role: "row" }, el("span", { role: "gridcell", style: "grid-column: 1 / -1" }, item.gap, " ", fetch));
}

function origin(item) {
  const pod = item.pod || item.node;
  return item.container && !pod.includes(item.container) ? `${pod}/${item.container}` : pod;
}

export function marked(text, hits) {
  return pieces(text, hits).map(([piece, hit]) => (hit ? el("mark", {}, piece) : piece));
}

function detail(item, view) {
  const json = prettyJson(item.message);
  const names = ["ts", "namespace", "model", "predictor", "pod", "container", "node", "stream", "level", "trace_id", "file", "file_offset"];
  const place = ["position", `${item.topic}/${item.partition}@${item.offset}`];
  const facts = [...names.map((name) => [name, item[name]]), place, ...Object.entries(item.labels || {}).map(([name, value]) => [`label ${name}`, value])];
  return el("div", { class: "detail", role: "gridcell", onclick: (event) => event.stopPropagation() },
    el("div", { class: "actions" },
      el("button", { type: "button", onclick: () => view.onContext(item) }, "Lines around it"),
      el("button", { type: "button", onclick: () => view.onLink(item) }, "Copy link"),
      el("button", { type: "button", onclick: () => view.onCopy(item.message) }, "Copy message"),
      item.pod && el("button", { type: "button", onclick: () => view.onFilter("pod", item.pod) }, "Only this pod"),
      item.model && el("button", { type: "button", onclick: () => view.onFilter("model", item.model) }, "Only this model"),
    ),
    el("pre", { tabindex: "0", "aria-label": "Whole message" }, ...marked(json || item.message, view.hits)),
    el("dl", {}, facts.filter(([, value]) => value !== "" && value !== undefined).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, String(value))])),
  );
}
