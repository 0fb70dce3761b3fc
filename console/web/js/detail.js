import { h, copy } from "./dom.js";
import { dateTime, flatten, kind } from "./format.js";

// first are the fields that people look for first; the others follow by name.
const first = ["@timestamp", "log.level", "service.name", "host.name", "error.message", "tags"];

/** fieldTable shows all fields of a document; filter adds one to the query. */
export function fieldTable(fields, filter) {
  const names = Object.keys(fields).filter((n) => n !== "message")
    .sort((a, b) => (rank(a) - rank(b)) || (a < b ? -1 : 1));
  return h("table", { class: "fields" }, h("tbody", null, names.map((name) => h("tr", null,
    h("th", { scope: "row" }, name), h("td", null, String(fields[name])),
    filter && h("td", { class: "act" },
      h("button", { type: "button", class: "tiny", title: `Only lines with this ${name}`, "aria-label": `Only lines with this ${name}`, onclick: () => filter(name, fields[name], true) }, "+"),
      h("button", { type: "button", class: "tiny", title: `No lines with this ${name}`, "aria-label": `No lines with this ${name}`, onclick: () => filter(name, fields[name], false) }, "−"))))));
}

function rank(name) {
  const i = first.indexOf(name);
  return i < 0 ? first.length : i;
}

/** lineDetail shows one line in full. */
export function lineDetail(hit, { close, filter, step }) {
  const fields = flatten(hit._source);
  const at = new Date(fields["@timestamp"]);
  const level = fields["log.level"];
  return h("section", { class: "detail", "aria-label": "The line in full" },
    h("header", null,
      h("h2", null, dateTime(at), level && h("span", { class: `level k-${kind(level)}` }, level)),
      h("button", { type: "button", class: "tiny", title: "Newer line", "aria-label": "Newer line", onclick: () => step(-1) }, "↑"),
      h("button", { type: "button", class: "tiny", title: "Older line", "aria-label": "Older line", onclick: () => step(1) }, "↓"),
      h("button", { type: "button", class: "tiny", onclick: () => copy(String(fields.message ?? "")) }, "Copy text"),
      h("button", { type: "button", class: "tiny", onclick: () => copy(JSON.stringify(hit._source, null, 2)) }, "Copy JSON"),
      h("button", { type: "button", class: "tiny close", title: "Close (Esc)", "aria-label": "Close", onclick: close }, "✕")),
    h("div", { class: "body" },
      fields.message !== undefined && h("pre", null, String(fields.message)),
      fieldTable({ ...fields, _index: hit._index, _id: hit._id }, filter)));
}
