// One log line on the page: a row of the chosen columns and the message, and what opens below it.

import { el } from "./dom.js";
import { clock, pieces, podColor, prettyJson } from "./format.js";

export const SELECTED = "selected-line"; // the id of the selected row
const TAIL = /-[^-]+$/; // of a pod's name: what tells the replicas apart

// What a column shows, as [text or elements, attributes of the cell]; the others show the line's own field.
const CELLS = {
  time: (item, view) => [clock(item.ts, view.withDay), { title: item.ts }],
  level: (item) => [item.level === "unknown" ? "·" : item.level],
  pod: (item, view) => [whose(item, view.shows("container")), { style: `color: ${podColor(item.pod)}`, title: `${item.namespace}/${item.pod}/${item.container}` }],
};

// The grid of a row; the widths are the style sheet's.
export function gridOf(columns) {
  return [...columns.map((name) => `var(--width-${name}, minmax(5rem, 10rem))`), "minmax(0, 1fr)"].join(" ");
}

export function rowOf(item, view) {
  const row = item.gap ? gapRow(item, view) : lineRow(item, view);
  markSelected(row, view.isSelected(item));
  return row;
}

export function markSelected(row, selected) {
  row.setAttribute("aria-selected", String(selected));
  if (selected) row.id = SELECTED; else row.removeAttribute("id");
}

function lineRow(item, view) {
  const row = el("div", {
    class: `row ${item.level}${item.id === view.here ? " here" : ""}`, role: "row", "data-id": item.id,
    onclick: () => getSelection().toString() || view.onOpen(item), // not at the end of selecting
  }, ...view.columns.map((name) => columnCell(name, item, view)), messageCell(item, view));
  if (view.isOpen(item)) row.append(detail(item, view));
  return row;
}

function cell(name, attributes, ...content) {
  return el("span", { class: name, role: "gridcell", ...attributes }, ...content);
}

function columnCell(name, item, view) {
  const [content, attributes] = CELLS[name]?.(item, view) ?? [item[name] ?? "", { title: `${name}: ${item[name] || "none"}` }];
  return cell(name, attributes, ...[content].flat());
}

function messageCell(item, view) {
  const [first, ...others] = item.message.split("\n");
  if (view.wrap || !others.length) return cell("message", {}, ...marked(item.message, view.hits));
  return cell("message", {}, ...marked(first, view.hits), el("span", { class: "more" }, `  +${others.length} lines`));
}

function gapRow(item, view) {
  const fetch = item.fetch && el("button", { type: "button", onclick: () => view.onFetch(item) }, "Fetch them");
  return el("div", { class: "row gap", role: "row" }, el("span", { role: "gridcell", style: "grid-column: 1 / -1" }, item.gap, " ", fetch));
}

// A name too long for its column is cut in the middle: the replicas of a model differ in their end alone.
function whose(item, withoutContainer) {
  const name = item.pod || item.node;
  const end = TAIL.exec(name)?.[0] ?? "";
  const container = !withoutContainer && item.container && !name.includes(item.container) ? `/${item.container}` : "";
  return [el("span", { class: "head" }, name.slice(0, name.length - end.length)), el("span", { class: "end" }, end + container)];
}

function marked(text, hits) {
  return pieces(text, hits).map(([piece, hit]) => (hit ? el("mark", {}, piece) : piece));
}

function detail(item, view) {
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
    el("pre", { tabindex: "0", "aria-label": "Whole message" }, ...marked(prettyJson(item.message) || item.message, view.hits)),
    el("dl", {}, facts.filter(([, value]) => value !== "" && value !== undefined).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, String(value))])),
  );
}
