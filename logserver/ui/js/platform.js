// What the platform tells: the models it deployed, why one does not serve, and what happened to one.

import { getJson } from "./api.js";

const VERSION_LABEL = "milepost.dev/version";
const ROLLOUT_VERBS = ["rollout", "step", "promote", "rollback", "migrate", "apply", "create", "revert", "scale"];

export function platformModel(namespace, model) {
  return `/platform/api/v1/models/${encodeURIComponent(namespace)}/${encodeURIComponent(model)}`;
}

// Rows by `namespace/name`: {state, version, revision, rollout, replicas, available}. A caller who may not list all
// namespaces gets those of `namespaces` that may be listed.
export async function loadRows(namespaces, { signal }) {
  try {
    return new Map(await rowsOf("", signal));
  } catch (error) {
    if (error.status !== 403) throw error;
    const each = await Promise.all(namespaces.map((namespace) => rowsOf(namespace, signal).catch((one) => { if (one.status !== 403) throw one; return []; })));
    return new Map(each.flat());
  }
}

async function rowsOf(namespace, signal) {
  const rows = [];
  let after = "";
  do {
    const answer = await getJson("/platform/api/v1/models", [["namespace", namespace], ["continue", after]].filter(([, value]) => value), { signal });
    rows.push(...answer.models.map((row) => [`${row.namespace}/${row.name}`, { ...row, version: row.labels?.[VERSION_LABEL] || "" }]));
    after = answer.continue;
  } while (after);
  return rows;
}

// Findings {rule, about, found, todo, pod, container}, the one to begin with first; null without a platform.
export async function loadWhy(config, { namespace, model, signal }) {
  if (!config.platform) return null;
  return getJson(`${platformModel(namespace, model)}/why`, [], { signal });
}

// What was done to a model and what happened to it, as marks {time (ms), kind, text}, and how many older ones there are.
export async function loadEvents(config, { namespace, model, signal }) {
  if (!config.platform) return { marks: [], leftOut: 0 };
  const { events, left_out: leftOut } = await getJson(`${platformModel(namespace, model)}/events`, [], { signal });
  const marks = events.map((event) => ({ time: event.at * 1000, kind: kindOf(event), text: textOf(event) }));
  return { marks, leftOut };
}

function kindOf({ kind, what, severity }) {
  if (kind === "restart" || what === "restart") return "restart";
  if (severity !== "info") return severity === "error" || kind === "operation" ? "failure" : "warning";
  return ROLLOUT_VERBS.includes(what) ? "rollout" : "change";
}

function textOf({ kind, what, detail, author, pod, container }) {
  if (kind === "pod") return detail;
  const where = [pod, container].filter(Boolean).join("/");
  return [`${what}${author ? ` by ${author}` : ""}`, where, detail].filter(Boolean).join(": ");
}
