// The question for an exact range of time, in the reader's own clock.

import { el } from "./dom.js";
import { clock } from "./format.js";

// `start` and `end` are ms or ISO texts to begin with. Returns {start, end} as ISO texts, or null.
export function askedRange(start, end) {
  const input = (name, label, at) => el("input", { name, type: "datetime-local", step: "1", required: true, "aria-label": label, value: clock(at, true).slice(0, 19).replace(" ", "T") });
  const from = input("from", "From", start), to = input("to", "To", end);
  const order = () => to.setCustomValidity(from.value && to.value && from.value >= to.value ? "The end must be after the start." : "");
  const dialog = el("dialog", { id: "range", "aria-labelledby": "range-title" },
    el("form", { method: "dialog", oninput: order }, el("h2", { id: "range-title" }, "Time range"),
      el("label", {}, "From ", from), el("label", {}, "To ", to),
      el("menu", {}, el("button", { value: "", formnovalidate: true, type: "button", onclick: () => dialog.close("") }, "Cancel"), el("button", { value: "use", class: "primary" }, "Search"))));
  document.body.append(dialog);
  order();
  return new Promise((answer) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      answer(dialog.returnValue === "use" ? { start: new Date(from.value).toISOString(), end: new Date(to.value).toISOString() } : null);
    });
    dialog.showModal();
    from.focus();
  });
}
