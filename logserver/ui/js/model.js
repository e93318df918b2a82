// One model: its figures on one time axis above its logs, and why it does not serve.

import { panel } from "./charts.js";
import { el, failure } from "./dom.js";
import { bytes, compact, percent, seconds } from "./format.js";
import { LogsPage } from "./logs.js";
import { stateOf } from "./models.js";
import { loadModels, loadPods, loadWhy, summed } from "./sources.js";

const REFRESH_MS = 15_000;

export class ModelPage {
  constructor(root, { namespace, model, query, config }) {
    Object.assign(this, { namespace, model, config, restarts: new Map(), marks: [] });
    this.state = el("span");
    this.why = el("div");
    this.panels = el("div", { class: "panels" });
    const below = el("div", { class: "split" });
    const above = el("div", { class: "above" }, el("h1", {}, model, el("span", { class: "muted" }, namespace), this.state), this.why, this.panels);
    root.replaceChildren(el("div", { class: "split" }, above, below));
    const base = `#/models/${encodeURIComponent(namespace)}/${encodeURIComponent(model)}`;
    this.logs = new LogsPage(below, query, { fixed: { namespace, model }, base });
    this.load();
    this.timer = setInterval(() => this.load(), REFRESH_MS);
  }

  close() { clearInterval(this.timer); this.controller?.abort(); this.logs.close(); }

  key(event) { return this.logs.key(event); }

  async load() {
    if (!this.config.exporter) {
      this.panels.replaceChildren(el("p", { class: "muted" }, "Figures come from the exporter, which is not configured (ui.exporter_url)."));
      return;
    }
    this.controller?.abort();
    this.controller = new AbortController();
    const asked = { namespace: this.namespace, model: this.model, signal: this.controller.signal };
    try {
      const [models, pods] = await Promise.all([loadModels(this.config, asked), loadPods(this.config, asked)]);
      const one = models.find((candidate) => candidate.model === this.model);
      this.markRestarts(pods);
      this.draw(one, pods);
      await this.explain(one, asked);
    } catch (error) {
      if (error.name !== "AbortError") this.panels.replaceChildren(failure(error));
    }
  }

  // A restart shows on the axis at the time this page first saw its count grow.
  markRestarts(pods) {
    for (const pod of pods) {
      const before = this.restarts.get(pod.pod);
      if (before === undefined && this.restarts.size) this.marks.push({ time: Date.now(), text: `${pod.pod} started` });
      else if (before !== undefined && pod.restarts > before) this.marks.push({ time: Date.now(), text: `${pod.pod} restarted: ${pod.last_termination}` });
      this.restarts.set(pod.pod, pod.restarts);
    }
  }

  draw(one, pods) {
    this.state.replaceChildren(one ? stateOf(one) : el("span", { class: "muted" }, "not in the cluster"));
    const traffic = (name) => (one ? one.points(name) : []);
    const options = { marks: this.marks };
    this.panels.replaceChildren(
      panel("Requests/s", traffic("requests_per_second"), compact, options),
      panel("Errors", traffic("error_ratio"), percent, options),
      panel("p95 latency", traffic("p95_s"), seconds, options),
      panel("CPU cores", summed(pods, "cpu_cores"), compact, options),
      panel("Memory", summed(pods, "memory_bytes"), bytes, options),
      panel("GPU cards used", summed(pods, "gpu_cards"), compact, options),
    );
  }

  async explain(one, asked) {
    if (one?.state === "Available") { this.why.replaceChildren(); return; }
    const why = await loadWhy(this.config, asked);
    const findings = why?.findings || [];
    this.why.replaceChildren(...findings.map((finding) => el("div", { class: "why" }, el("strong", {}, finding.summary), el("div", {}, finding.advice))));
  }
}
