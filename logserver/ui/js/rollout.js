// A model's rollout: where it is, and what may be done about it now. Every change is confirmed in a dialog that names the
// model and what will happen; its progress is the platform's own, line by line.

import { follow, getJson } from "./api.js";
import { confirmed } from "./confirm.js";
import { el } from "./dom.js";
import { clock } from "./format.js";
import { platformModel } from "./platform.js";

const LINES_SHOWN = 200;
const VERBS = ["pause", "resume", "promote", "abort", "rollback", "restart", "scale"];
const ROLLOUT_ONLY = ["pause", "resume", "promote", "abort"];
const LABELS = { pause: "Pause", resume: "Resume", promote: "Promote", abort: "Abort", rollback: "Roll back…", restart: "Restart…", scale: "Scale…" };

export class RolloutPanel {
  // `changed()` when something was done, so that the page looks anew.
  constructor({ namespace, model, changed }) {
    Object.assign(this, { namespace, model, changed, path: platformModel(namespace, model) });
    this.tracks = el("div", { class: "tracks" });
    this.buttons = el("div", { class: "verbs", role: "group", "aria-label": "Rollout" });
    this.refused = el("div", { role: "alert" });
    this.progress = el("ol", { class: "progress", role: "log", "aria-label": "Progress", tabindex: "0", hidden: true });
    this.element = el("section", { class: "rollout", "aria-label": "Rollout", hidden: true }, el("div", { class: "line" }, this.tracks, this.buttons), this.refused, this.progress);
  }

  close() { this.stop?.(); }

  // A model without a record of the platform has no controls; that is not a failure.
  async load(signal) {
    const [status, history, permissions] = await Promise.all([
      optional(`${this.path}/status`, signal), optional(`${this.path}/history`, signal), optional(`${this.path}/permissions`, signal)]);
    if (signal?.aborted) return;
    Object.assign(this, { status, history, permissions });
    this.element.hidden = !status || status.state === "absent";
    if (!this.element.hidden) this.draw();
  }

  draw() {
    const { status } = this;
    const tracks = status.tracks.map((track) => el("span", { class: `track ${track.role}`, title: track.unready || "ready" },
      el("strong", {}, track.role), ` ${track.predictor} `, el("span", { class: "muted" }, `revision ${track.revision}, ${track.available}/${track.wanted} ready`)));
    const told = [status.rollout && `rollout of ${status.rollout}`, !status.rollout && status.operation, status.migration].filter(Boolean);
    this.tracks.replaceChildren(el("span", { class: `state ${kindOf(status.state)}` }, status.state), ...tracks, ...told.map((text) => el("span", { class: "muted" }, text)));
    const focused = this.buttons.contains(document.activeElement) ? document.activeElement.dataset.verb : null;
    this.buttons.replaceChildren(...VERBS.filter((verb) => this.offered(verb)).map((verb) => this.button(verb)));
    if (focused) this.buttons.querySelector(`[data-verb="${focused}"]`)?.focus();
  }

  // What the model's state rules out is not offered; what the caller may not do is, disabled and with the reason.
  offered(verb) {
    const known = this.permissions?.verbs?.[verb];
    const { rollout, state } = this.status;
    if (ROLLOUT_ONLY.includes(verb) !== Boolean(rollout) && verb !== "rollback") return false;
    if (verb === "pause" && state === "paused") return false;
    if (verb === "resume" && state !== "paused") return false;
    if (verb === "rollback" && !this.earlier().length) return false;
    return !known || known.possible || !known.allowed;
  }

  button(verb) {
    const known = this.permissions?.verbs?.[verb];
    const refused = known && !known.allowed ? known.why || "not permitted" : "";
    return el("button", { type: "button", "data-verb": verb, disabled: Boolean(refused) || this.running, title: refused || null, class: verb === "abort" ? "danger" : null, onclick: () => this.ask(verb) }, LABELS[verb]);
  }

  earlier() {
    const stable = this.status.tracks.find((track) => track.role === "stable")?.revision;
    return (this.history?.revisions || []).filter((revision) => revision.number !== stable).reverse();
  }

  async ask(verb) {
    const answer = await confirmed(this.question(verb));
    if (!answer) return;
    const params = [...Object.entries(answer.values), ["reason", answer.reason]].filter(([, value]) => value !== "");
    await this.carryOut(verb, params);
  }

  question(verb) {
    const { tracks, rollout } = this.status;
    const [stable, candidate] = ["stable", "candidate"].map((role) => tracks.find((track) => track.role === role));
    const to = (track) => (track ? `revision ${track.revision} (${track.predictor})` : "the stable track");
    const effects = {
      pause: `The rollout stays where it is: ${rollout}.`,
      resume: `The rollout goes on: its step is held and judged anew.`,
      promote: `All requests go to ${to(candidate)}; ${to(stable)} is drained and removed.`,
      abort: `All requests go back to ${to(stable)}; ${to(candidate)} is drained and removed.`,
      rollback: rollout ? `The rollout is aborted and the model runs the revision chosen here.` : `The model, which runs ${to(stable)}, runs the revision chosen here.`,
      restart: `Every pod of ${to(stable)} is replaced, one after another.`,
      scale: `${to(stable)[0].toUpperCase()}${to(stable).slice(1)} gets another number of replicas; it has ${stable?.wanted ?? "?"}.`,
    };
    const fields = [];
    if (verb === "rollback") fields.push({ name: "to", label: "Revision", options: this.earlier().map((one) => [String(one.number), revisionText(one)]) });
    if (verb === "scale") fields.push({ name: "replicas", label: "Replicas", type: "number", min: 0, value: stable?.wanted ?? 1 });
    return { title: `${LABELS[verb].replace("…", "")} ${this.namespace}/${this.model}?`, effect: effects[verb], action: LABELS[verb].replace("…", ""), danger: ["abort", "rollback"].includes(verb), fields };
  }

  async carryOut(verb, params) {
    this.refused.replaceChildren();
    try {
      const job = await getJson(`${this.path}/${verb}`, params, { method: "POST" });
      this.watch(job);
    } catch (error) {
      this.refuse(verb, error);
    }
    this.changed();
  }

  refuse(verb, error) {
    const faults = (error.problem?.faults || []).map((fault) => el("li", {}, fault.rule || fault.what || JSON.stringify(fault)));
    this.refused.replaceChildren(el("div", { class: "failure" }, el("strong", {}, `${verb} of ${this.namespace}/${this.model} was refused: `), error.message, faults.length ? el("ul", {}, ...faults) : null));
  }

  // Follow a job to its end. A platform that was restarted has forgotten the job, not what was asked for.
  watch(job) {
    this.stop?.();
    this.running = true;
    this.progress.hidden = false;
    this.progress.replaceChildren();
    this.tell(`${job.verb} of ${job.model}`);
    const ended = (text, kind) => { this.stop(); this.running = false; this.tell(text, kind); this.changed(); };
    let told = 0, before = 0;
    this.stop = follow(`/platform/api/v1/jobs/${job.id}/events`, [], {
      state: (state) => { if (state === "live") told = 0; else before = Math.max(before, told); },
      failure: (error) => ended(error.status === 404 ? "the platform was restarted; the model's state above says what it does now" : error.message, "busy"),
      event: ({ event, data }) => {
        if (event === "end") { const end = JSON.parse(data); ended(`${end.state} ${end.error}`.trim(), end.state === "done" ? "good" : end.state === "failed" ? "bad" : "busy"); }
        else if (event === "progress" && ++told > before) this.tell(JSON.parse(data)); // a new connection tells all of them anew
      },
    });
  }

  tell(text, kind = "") {
    if (kind && this.progress.lastChild?.dataset.text === text) this.progress.lastChild.remove(); // the job's own last line
    this.progress.append(el("li", { class: kind && `state ${kind}`, "data-text": text }, el("time", { class: "muted" }, clock(Date.now()).slice(0, 8)), " ", text));
    while (this.progress.children.length > LINES_SHOWN) this.progress.firstChild.remove();
    this.progress.scrollTop = this.progress.scrollHeight;
  }
}

async function optional(path, signal) {
  try { return await getJson(path, [], { signal }); } catch (error) {
    if ([404, 405].includes(error.status)) return null; // no such model, or an older platform
    throw error;
  }
}

function kindOf(state) { return { ready: "good", failed: "bad", unready: "bad" }[state] || "busy"; }

function revisionText({ number, at, author, reason }) {
  const day = clock(at * 1000, true).slice(0, 16);
  return `${number}, ${day} by ${author}${reason ? `: ${reason}` : ""}`;
}
