// The question before a change: what, to which model, with what effect. Escape and Cancel change nothing, and Cancel has
// the focus unless something must be filled in.

import { el } from "./dom.js";

// Fields are {name, label, options: [[value, text]]} or {name, label, type, min, value}. Returns {values, reason} or null.
export function confirmed({ title, effect, action, danger, fields }) {
  const inputs = fields.map(input);
  const reason = el("input", { name: "reason", autocomplete: "off", maxlength: "200", placeholder: "optional; kept in the model's history" });
  const cancel = el("button", { value: "", formnovalidate: true }, "Cancel");
  const go = el("button", { value: "go", class: danger ? "danger" : "primary" }, action);
  const dialog = el("dialog", { id: "confirm", "aria-labelledby": "confirm-title", "aria-describedby": "confirm-effect" },
    el("form", { method: "dialog" }, el("h2", { id: "confirm-title" }, title), el("p", { id: "confirm-effect" }, effect),
      ...inputs.map((one, index) => el("label", {}, fields[index].label, " ", one)), el("label", {}, "Reason ", reason), el("menu", {}, cancel, go)));
  document.body.append(dialog);
  // Enter in a field must not confirm by accident through Cancel, the first button of the form.
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches("input")) { event.preventDefault(); go.focus(); }
  });
  return new Promise((answer) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      answer(dialog.returnValue === "go" ? { values: Object.fromEntries(inputs.map((one) => [one.name, one.value])), reason: reason.value.trim() } : null);
    });
    dialog.showModal();
    (inputs[0] || cancel).focus();
  });
}

function input({ name, options, type, min, value }) {
  if (options) return el("select", { name, required: true }, ...options.map(([one, text]) => el("option", { value: one }, text)));
  return el("input", { name, type, min, value, required: true });
}
