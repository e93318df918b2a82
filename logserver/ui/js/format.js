// Times, sizes and texts as people read them; pure functions.

export const LEVELS = ["fatal", "error", "warn", "info", "debug", "trace", "unknown"];

export function clock(stamp, withDay) {
  const moment = new Date(stamp);
  const pad = (number, width = 2) => String(number).padStart(width, "0");
  const time = `${pad(moment.getHours())}:${pad(moment.getMinutes())}:${pad(moment.getSeconds())}.${pad(moment.getMilliseconds(), 3)}`;
  return withDay ? `${moment.getFullYear()}-${pad(moment.getMonth() + 1)}-${pad(moment.getDate())} ${time}` : time;
}

export function compact(number) {
  if (number === null || number === undefined || Number.isNaN(number)) return "–";
  const size = Math.abs(number);
  if (size >= 1e9) return `${(number / 1e9).toFixed(1)}G`;
  if (size >= 1e6) return `${(number / 1e6).toFixed(1)}M`;
  if (size >= 1e4) return `${(number / 1e3).toFixed(1)}k`;
  return size >= 100 || Number.isInteger(number) ? String(Math.round(number)) : number.toPrecision(2);
}

export function bytes(number) {
  if (number === null || number === undefined) return "–";
  let unit = 0;
  while (number >= 1024 && unit < 4) { number /= 1024; unit++; }
  return `${number >= 100 || unit === 0 ? Math.round(number) : number.toFixed(1)} ${["B", "KiB", "MiB", "GiB", "TiB"][unit]}`;
}

export function seconds(number) {
  if (number === null || number === undefined || Number.isNaN(number)) return "–";
  if (number < 1) return `${(number * 1000).toPrecision(3)} ms`;
  return `${number.toPrecision(3)} s`;
}

// A span of time in ms, in the greatest unit that it fills.
export function span(ms) {
  const [size, unit] = [[86_400_000, "d"], [3_600_000, "h"], [60_000, "min"], [1000, "s"], [1, "ms"]].find(([one]) => ms >= one) ?? [1, "ms"];
  return `${compact(ms / size)} ${unit}`;
}

export function percent(ratio) {
  return ratio === null || ratio === undefined ? "–" : `${(ratio * 100).toFixed(ratio < 0.1 ? 2 : 1)} %`;
}

// The same pod has the same colour on every page and in every session. In oklch all hues of one lightness have about the
// same contrast, which the theme's `--pod-lightness` keeps above 4.5. The golden angle puts names that differ in their last
// letter, as replicas' do, far apart.
export function podColor(pod) {
  let hash = 0;
  for (const letter of pod) hash = (hash * 31 + letter.codePointAt(0)) >>> 0;
  return `oklch(var(--pod-lightness) 0.14 ${Math.round((hash * 137.508) % 360)})`;
}

// The message as indented JSON, or null when it is none.
export function prettyJson(message) {
  if (!/^\s*[{[]/.test(message)) return null;
  try { return JSON.stringify(JSON.parse(message), null, 2); } catch { return null; }
}

// Split a text into [text, isHit] pieces by an expression; an empty match ends the search.
export function pieces(text, expression) {
  if (!expression) return [[text, false]];
  const found = [];
  let from = 0;
  for (const match of text.matchAll(expression)) {
    if (!match[0] || found.length > 200) break;
    found.push([text.slice(from, match.index), false], [match[0], true]);
    from = match.index + match[0].length;
  }
  found.push([text.slice(from), false]);
  return found.filter(([piece]) => piece);
}

export function hitExpression(state) {
  const escape = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const flags = state.ignoreCase ? "gi" : "g";
  if (!state.text) return null;
  if (state.mode === "words") return new RegExp(state.text.split(/\s+/).filter(Boolean).map(escape).join("|"), flags);
  if (state.mode === "contains") return new RegExp(escape(state.text), flags);
  try { return new RegExp(state.text, flags); } catch { return null; } // RE2 knows more than this browser
}
