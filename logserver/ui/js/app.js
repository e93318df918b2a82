// The frame: which page is shown, the theme, the keys, and the question for a token.

import { getJson, setToken } from "./api.js";
import { LogsPage } from "./logs.js";
import { ModelPage } from "./model.js";
import { ModelsPage } from "./models.js";

const THEME_KEY = "milepost-theme";
const HEALTH_MS = 10_000;

let page = null;
let declined = false; // the question for a token was closed without one
let config = { exporter: false, platform: false, lines_max: 50_000 };

// Hash routes: #/models, #/models/NAMESPACE/NAME, #/logs, each with ?query.
function route() {
  const [path, query = ""] = location.hash.slice(1).split("?");
  const [, name = "models", namespace, model] = path.split("/").map(decodeURIComponent);
  const root = document.getElementById("main");
  declined = false;
  page?.close();
  if (name === "logs") page = new LogsPage(root, query, { linesMax: config.lines_max });
  else if (namespace && model) page = new ModelPage(root, { namespace, model, query, config });
  else page = new ModelsPage(root, query, config);
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.page === (name === "logs" ? "logs" : "models")) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${model || (name === "logs" ? "Logs" : "Models")} · Milepost`;
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  document.documentElement.style.setProperty("--pod-lightness", theme === "dark" ? "78%" : "48%");
  localStorage.setItem(THEME_KEY, theme);
}

function initialTheme() {
  return localStorage.getItem(THEME_KEY) || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, select, textarea, dialog")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.target.closest("button, a, summary") && (event.key === "Enter" || event.key === " ")) return;
  if (event.key === "?") document.getElementById("help").showModal();
  else if (event.key === "t") document.getElementById("theme").click();
  else if (page?.key?.(event)) event.preventDefault();
}

// Several requests of a page are refused at once: who closed the question is not asked again by the rest of them.
function askForToken(event) {
  const dialog = document.getElementById("sign-in");
  document.getElementById("sign-in-why").textContent = event.detail;
  if (dialog.open || declined) return;
  dialog.returnValue = "";
  dialog.showModal();
}

// Closing the dialog without a token leaves the page as it is, until another one is opened.
function useToken() {
  const input = document.getElementById("token");
  declined = document.getElementById("sign-in").returnValue !== "use";
  if (declined) return;
  setToken(input.value.trim());
  input.value = "";
  route();
}

async function showHealth() {
  const output = document.getElementById("health");
  try {
    const response = await fetch("/readyz");
    const ready = await response.json();
    output.textContent = ready.ready ? "" : `not storing new lines: ${ready.problem || "starting"}`;
    output.className = ready.ready ? "" : "notice";
  } catch {
    output.textContent = "the log-server does not answer";
    output.className = "notice";
  }
}

async function start() {
  setTheme(initialTheme());
  document.getElementById("theme").addEventListener("click", () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
  document.getElementById("keys").addEventListener("click", () => document.getElementById("help").showModal());
  document.addEventListener("keydown", onKey);
  document.addEventListener("sign-in", askForToken);
  document.getElementById("sign-in").addEventListener("close", useToken);
  try { config = await getJson("config.json"); } catch { /* an older server: logs alone */ }
  window.addEventListener("hashchange", route);
  route();
  showHealth();
  setInterval(showHealth, HEALTH_MS);
}

start();
