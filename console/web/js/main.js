import { LogsView } from "./logs.js";
import { AlertsView } from "./alerts.js";
import { TopicsView } from "./topics.js";
import { GroupsView } from "./groups.js";

const views = { logs: LogsView, alerts: AlertsView, topics: TopicsView, groups: GroupsView };
const main = document.getElementById("main");
let view, name, focusQuery = false;

/** navigate changes the address; force shows it again even if it is the same. */
function navigate(to, params, force) {
  const hash = `#/${to}${params?.size ? `?${params}` : ""}`;
  if (hash !== location.hash) location.hash = hash;
  else if (force) show();
}

/** show brings up what the address names. */
function show() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const wanted = views[path] ? path : "logs";
  const params = new URLSearchParams(query ?? "");
  for (const a of document.querySelectorAll("nav a")) {
    if (a.dataset.view === wanted) a.setAttribute("aria-current", "page"); else a.removeAttribute("aria-current");
  }
  document.title = `${wanted[0].toUpperCase()}${wanted.slice(1)} – Millrace`;
  if (wanted === name && view.apply) { view.apply(params); return; }
  view?.destroy();
  name = wanted;
  view = new views[wanted](params, navigate);
  main.replaceChildren(view.element);
  if (focusQuery) typeQuery();
}

/** typeQuery puts the cursor into the search box, in the logs view. */
function typeQuery() {
  focusQuery = name !== "logs";
  if (focusQuery) { navigate("logs"); return; }
  const q = document.getElementById("query");
  q.focus();
  q.select();
}

/* theme: what the system says, until it is chosen */
const dark = matchMedia("(prefers-color-scheme: dark)");
function theme() {
  let chosen = null;
  try { chosen = localStorage.getItem("theme"); } catch { /* storage may be off */ }
  document.documentElement.dataset.theme = chosen ?? (dark.matches ? "dark" : "light");
}
dark.addEventListener("change", theme);
document.getElementById("theme").addEventListener("click", () => {
  const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  try { localStorage.setItem("theme", next); } catch { /* then for this page only */ }
  document.documentElement.dataset.theme = next;
});

const help = document.getElementById("help");
document.getElementById("keys").addEventListener("click", () => help.showModal());

let afterG = 0;
document.addEventListener("keydown", (e) => {
  if (e.defaultPrevented || e.ctrlKey || e.metaKey || e.altKey || help.open) return;
  const typing = e.target.closest("input, select, textarea");
  if (typing) {
    if (e.key === "Escape") e.target.blur();
    return;
  }
  if (e.target.closest("button, a") && e.key === "Enter") return;
  if (Date.now() - afterG < 1200) {
    afterG = 0;
    const to = { l: "logs", a: "alerts", t: "topics", g: "groups" }[e.key];
    if (to) { e.preventDefault(); navigate(to); return; }
  }
  if (e.key === "/") {
    e.preventDefault();
    typeQuery();
  } else if (e.key === "?") help.showModal();
  else if (e.key === "g") afterG = Date.now();
  else if (view.key(e)) e.preventDefault();
});

window.addEventListener("hashchange", show);
theme();
show();
