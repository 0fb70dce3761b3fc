import { h } from "./dom.js";
import { get } from "./api.js";
import { ago, dateTime, flatten, number } from "./format.js";
import { Panel, head, num } from "./panel.js";
import { fieldTable } from "./detail.js";

const pageSize = 100;

/** AlertsView: raised alerts, newest first; below each all that it says. */
export class AlertsView extends Panel {
  constructor(params, navigate) {
    super("Alerts");
    this.navigate = navigate;
    this.older = [];
    this.more = h("button", { type: "button", class: "more-button", hidden: true, onclick: () => this.loadMore() }, "Older alerts");
    this.body.after(this.more);
  }

  async load(signal) {
    const page = await get("/api/alerts", { size: pageSize }, signal);
    this.newest = page.hits;
    this.total = page.total;
    this.exact = page.total_exact;
    if (!this.older.length) this.next = page.next;
  }

  async loadMore() {
    this.more.disabled = true;
    try {
      const page = await get("/api/alerts", { size: pageSize, after: JSON.stringify(this.next) }, this.abort.signal);
      this.older = this.older.concat(page.hits);
      this.next = page.next;
      this.draw();
    } finally {
      this.more.disabled = false;
    }
  }

  draw() {
    if (!this.newest) return;
    this.note.textContent = `${number(this.total)}${this.exact ? "" : " or more"} raised`;
    this.more.hidden = !this.next;
    const seen = new Set();
    const hits = this.newest.concat(this.older).filter((x) => !seen.has(x._id) && seen.add(x._id));
    if (!hits.length) { this.replace(h("div", { class: "empty" }, h("b", null, "No alert was raised"), h("span", null, "Rules stand in pipeline files, under \"alerts\"."))); return; }
    this.replace(h("table", { class: "grid" }, head("Time", "Severity", "Rule", ">Events", "Summary"),
      h("tbody", null, hits.map((hit) => this.rows(hit)))));
  }

  rows(hit) {
    const a = hit._source, at = new Date(a["@timestamp"]);
    return [
      h("tr", { class: "main" }, h("td", { title: dateTime(at) }, dateTime(at).slice(0, 19), " ", h("span", { class: "unit" }, ago(at))), h("td", null, severity(a.severity)),
        h("td", null, this.toggle(hit._id, `${a.pipeline ?? ""} / ${a.rule ?? ""}`)), num(number(a.count ?? 1)), h("td", { class: "wide" }, firstLine(a.summary ?? ""))),
      this.open.has(hit._id) && h("tr", { class: "sub" }, h("td", { colspan: 5 }, this.detail(a))),
    ];
  }

  detail(a) {
    const { sample, summary, ...rest } = a;
    return h("div", { class: "detail-body" },
      h("p", null, h("button", { type: "button", class: "tiny", onclick: () => this.showLines(a) }, "Lines around it")),
      fieldTable({ summary, ...flatten(rest) }), sample && h("p", null, "The event that completed it:"), sample && fieldTable(withMessage(flatten(typeof sample === "string" ? parse(sample) : sample))));
  }

  showLines(a) {
    const p = new URLSearchParams({ range: "custom", from: new Date(a.first_event ?? a["@timestamp"]).getTime() - 10000, to: new Date(a.last_event ?? a["@timestamp"]).getTime() + 10000 });
    const ids = a.event_ids ?? [];
    if (ids.length === 1) p.set("q", `_id:"${ids[0].replace(/[\\"]/g, "\\$&")}"`);
    this.navigate("logs", p);
  }
}

// fieldTable leaves out message, which a line shows above it.
function withMessage(fields) {
  const { message, ...rest } = fields;
  return message === undefined ? rest : { "message ": message, ...rest };
}

function parse(text) {
  try { return JSON.parse(text); } catch { return { sample: text }; }
}

function severity(name) {
  const look = { critical: "bad", error: "bad", warning: "mid", info: "" }[name] ?? "";
  return h("span", { class: `badge ${look}` }, name ?? "–");
}

function firstLine(text) { return text.split("\n")[0].slice(0, 400); }
