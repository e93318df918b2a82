// What happened, on the time axis: rollouts, restarts, promotions. Marks that would lie on each other are one.

import { el } from "./dom.js";
import { clock } from "./format.js";

const NEAR = 0.012; // of the axis: about the width of a mark
const AROUND_MS = 60_000;
const TOLD_MAX = 6;
const GLYPHS = { rollout: "▲", restart: "↻", failure: "✕", warning: "!", change: "●" };

export class Marks {
  constructor(axis) {
    this.axis = axis;
    this.events = [];
    this.element = el("ol", { class: "marks", "aria-label": "What happened" });
    axis.addEventListener("range", () => this.draw());
  }

  // Events are {time (ms), kind: rollout | restart | failure | warning | change, text}; `leftOut` older ones are not there.
  set(events, leftOut = 0) {
    this.events = [...events].sort((a, b) => a.time - b.time);
    if (leftOut) this.events.unshift({ time: this.events[0].time, kind: "change", text: `${leftOut} events before this are left out` });
    this.draw();
  }

  draw() {
    const focused = this.element.contains(document.activeElement) ? document.activeElement.dataset.time : null;
    this.element.replaceChildren(...this.groups().map((group) => this.mark(group)));
    if (focused) this.element.querySelector(`[data-time="${focused}"]`)?.focus();
  }

  groups() {
    const groups = [];
    for (const event of this.events.filter(({ time }) => time >= this.axis.start && time <= this.axis.end)) {
      const group = groups.at(-1);
      if (group && this.axis.ratio(event.time) - this.axis.ratio(group[0].time) < NEAR) group.push(event);
      else groups.push([event]);
    }
    return groups;
  }

  mark(group) {
    const worst = ["failure", "restart", "rollout", "warning", "change"].find((kind) => group.some((event) => event.kind === kind));
    const told = group.slice(0, TOLD_MAX).map((event) => `${clock(event.time).slice(0, 8)} ${event.text}`);
    if (group.length > TOLD_MAX) told.push(`and ${group.length - TOLD_MAX} more`);
    const at = group[0].time;
    const place = this.axis.ratio(at);
    return el("li", { style: `left: ${place * 100}%` },
      el("button", { type: "button", class: `mark ${worst}`, "data-time": at, "aria-label": `${told.join("; ")}: show the lines around it`, onclick: () => this.axis.zoom(at - AROUND_MS, group.at(-1).time + AROUND_MS) }, GLYPHS[worst]),
      el("span", { class: `told${place > 0.6 ? " left" : ""}`, role: "presentation", "aria-hidden": "true" }, told.join("\n")));
  }
}
