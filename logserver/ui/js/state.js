// What a logs page shows, as a URL and as the parameters of the API: pure functions, so every view can be linked to.

export const FIELDS = ["namespace", "model", "predictor", "pod", "container", "node"];
export const RANGES = ["5m", "15m", "1h", "6h", "24h", "7d"];
export const COLUMNS = ["time", "level", "namespace", "model", "predictor", "pod", "container", "node", "stream", "trace_id"];
const UNITS_MS = { ns: 1e-6, us: 1e-3, "µs": 1e-3, ms: 1, s: 1e3, m: 60e3, h: 3_600e3, d: 86_400e3, w: 604_800e3 };
const MODES = { contains: "q", words: "words", regex: "regex" };

export function emptyState() {
  return { ...Object.fromEntries(FIELDS.map((field) => [field, ""])), level: [], stream: "", text: "", mode: "contains", ignoreCase: false, since: "15m", start: "", end: "", live: false, wrap: false, columns: "time,level,pod", id: "" };
}

export function fromQuery(query) {
  const params = new URLSearchParams(query);
  const state = emptyState();
  for (const field of [...FIELDS, "stream", "text", "mode", "since", "start", "end", "id"]) {
    if (params.has(field)) state[field] = params.get(field);
  }
  if (!MODES[state.mode]) state.mode = "contains";
  state.level = params.getAll("level");
  if (params.has("columns")) state.columns = COLUMNS.filter((name) => params.get("columns").split(",").includes(name)).join();
  for (const flag of ["ignoreCase", "live", "wrap"]) state[flag] = params.get(flag) === "1";
  if (!state.since) state.since = emptyState().since;
  return state;
}

export function toQuery(state) {
  const params = new URLSearchParams();
  const usual = emptyState();
  for (const [name, value] of Object.entries(state)) {
    if (Array.isArray(value)) value.forEach((one) => params.append(name, one));
    else if (value !== usual[name]) params.set(name, value === true ? "1" : value);
  }
  return params.toString();
}

// `since` stays beside start and end: it is what a zoom goes back to.
export function isZoomed(state) { return Boolean(state.start || state.end); }

// A field may hold several values separated by commas, each with `!` and `*`, as the API reads them.
export function filterParams(state) {
  const params = [];
  for (const field of FIELDS) {
    for (const value of state[field].split(",").map((one) => one.trim()).filter(Boolean)) params.push([field, value]);
  }
  for (const level of state.level) params.push(["level", level]);
  if (state.stream) params.push(["stream", state.stream]);
  if (state.text) params.push([MODES[state.mode], state.text]);
  if (state.text && state.ignoreCase) params.push(["ignore_case", "true"]);
  return params;
}

export function timeParams(state) {
  if (isZoomed(state)) return [["start", state.start], ["end", state.end]].filter(([, value]) => value);
  return [["since", state.since]];
}

// The range as [start, end] in ms; null when it is written in a way that only the API reads, or has no start.
export function rangeMs(state, now) {
  const end = state.end ? Date.parse(state.end) : now;
  const start = isZoomed(state) ? Date.parse(state.start) : now - durationMs(state.since);
  return start < end ? [start, end] : null;
}

// As the API reads it: a bare number is seconds. NaN when it is no duration.
function durationMs(text) {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1e3;
  if (!/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h|d|w))+$/.test(text)) return NaN;
  return [...text.matchAll(/([\d.]+)([a-zµ]+)/g)].reduce((sum, [, count, unit]) => sum + count * UNITS_MS[unit], 0);
}
