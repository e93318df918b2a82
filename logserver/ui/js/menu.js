// The menu of the columns: a disclosure that Escape or a press elsewhere closes.

import { el } from "./dom.js";
import { COLUMNS } from "./state.js";

// `changed()` after the state's columns are others; they keep the order of the table.
export function columnsMenu(state, changed) {
  const chosen = () => state.columns.split(",");
  const box = (name) => el("label", {}, el("input", { type: "checkbox", name: "column", value: name, checked: chosen().includes(name), onchange: (event) => {
    state.columns = COLUMNS.filter((one) => (one === name ? event.target.checked : chosen().includes(one))).join();
    changed();
  } }), " ", name.replace("_", " "));
  const menu = el("details", { class: "menu" }, el("summary", {}, "Columns"), el("fieldset", {}, el("legend", {}, "Beside the message"), ...COLUMNS.map(box)));
  menu.addEventListener("focusout", (event) => { if (!menu.contains(event.relatedTarget)) menu.open = false; });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    menu.open = false;
    menu.querySelector("summary").focus();
    event.stopPropagation();
  });
  return menu;
}
