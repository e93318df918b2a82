// One model: why it does not serve, its rollout, and its figures over its logs on one time axis.

import { Strip } from "./charts.js";
import { el, failure } from "./dom.js";
import { bytes, compact, percent, seconds } from "./format.js";
import { LogsPage } from "./logs.js";
import { Marks } from "./marks.js";
import { stateOf } from "./models.js";
import { RolloutPanel } from "./rollout.js";
import { loadEvents, loadModels, loadPods, loadWhy, restartEvents, summed } from "./sources.js";

const REFRESH_MS = 15_000;

// [title, how it is shown, series from the model and its pods]
const FIGURES = [
  ["Requests/s", compact, (one) => [of(one, "requests_per_second")]],
  ["Errors", percent, (one) => [of(one, "error_ratio")]],
  ["p95 latency", seconds, (one) => [of(one, "p95_s"), of(one, "p50_s")]],
  ["CPU cores", compact, (_, pods) => [summed(pods, "cpu_cores")]],
  ["Memory", bytes, (_, pods) => [summed(pods, "memory_bytes")]],
  ["GPU cards used", compact, (_, pods) => [summed(pods, "gpu_cards")]],
];

export class ModelPage {
  constructor(root, { namespace, model, query, config }) {
    Object.assign(this, { namespace, model, config, seen: new Map(), restarts: [] });
    this.state = el("span");
    this.why = el("div");
    this.said = el("div");
    this.rollout = config.platform ? new RolloutPanel({ namespace, model, changed: () => this.load() }) : null;
    const below = el("div", { class: "split" });
    const above = el("div", { class: "above" }, el("h1", { title: `${namespace}/${model}` }, el("span", { class: "name" }, model), el("span", { class: "muted" }, namespace), this.state), this.why, this.rollout?.element, this.said);
    root.replaceChildren(el("div", { class: "split" }, above, below));
    const base = `#/models/${encodeURIComponent(namespace)}/${encodeURIComponent(model)}`;
    this.logs = new LogsPage(below, query, { linesMax: config.lines_max, fixed: { namespace, model }, base, charts: (axis) => this.charts(axis) });
    this.load();
    this.timer = setInterval(() => document.hidden || this.load(), REFRESH_MS);
  }

  close() {
    clearInterval(this.timer);
    this.controller?.abort();
    this.rollout?.close();
    this.logs.close();
  }

  key(event) { return this.logs.key(event); }

  charts(axis) {
    this.marks = new Marks(axis);
    this.strips = this.config.exporter ? FIGURES.map(([title, show]) => new Strip(axis, title, show)) : [];
    if (!this.config.exporter && !this.config.platform) return null;
    return el("div", { class: "panels" }, this.marks.element, ...this.strips.map((strip) => strip.element));
  }

  // Each neighbour may fail alone: what the others say is shown all the same.
  async load() {
    this.controller?.abort();
    this.controller = new AbortController();
    const { signal } = this.controller;
    const asked = { namespace: this.namespace, model: this.model, signal };
    const answers = await Promise.allSettled([this.figures(asked), loadEvents(this.config, asked), loadWhy(this.config, asked), this.rollout?.load(signal)]);
    if (signal.aborted) return;
    const [, events, why] = answers;
    this.marks?.set([...(events.value?.marks || []), ...this.restarts], events.value?.leftOut);
    this.explain(why.value?.findings || []);
    const failed = answers.filter(({ status, reason }) => status === "rejected" && reason.status !== 404 && reason.status !== 401);
    const told = new Set(failed.map(({ reason }) => reason.message));
    if (!this.config.exporter) this.said.replaceChildren(el("p", { class: "muted" }, "Figures come from the exporter, which is not configured (ui.exporter_url)."));
    else this.said.replaceChildren(...[...told].map((message) => failure({ message })));
  }

  async figures(asked) {
    if (!this.config.exporter) return;
    const [models, pods] = await Promise.all([loadModels(this.config, asked), loadPods(this.config, asked)]);
    const one = models.find((candidate) => candidate.model === this.model);
    this.state.replaceChildren(one ? stateOf(one) : el("span", { class: "muted" }, "not in the cluster"));
    if (!this.config.platform) this.restarts.push(...restartEvents(this.seen, pods, Date.now()));
    this.strips.forEach((strip, index) => strip.set(FIGURES[index][2](one, pods).map((points) => ({ points }))));
  }

  // Findings are {rule, about, found, todo, pod, container}; a pod's lines are one press away.
  explain(findings) {
    this.why.replaceChildren(...findings.map(({ about, found, todo, pod }) => el("div", { class: "why" },
      el("strong", {}, `${about}: ${found}`), el("div", {}, todo, " ", pod && el("button", { type: "button", onclick: () => this.logs.onFilter("pod", pod) }, "Its lines")))));
  }
}

function of(one, name) { return one ? one.points(name) : []; }
