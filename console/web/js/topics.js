import { h } from "./dom.js";
import { get } from "./api.js";
import { bytes, number, rate } from "./format.js";
import { Panel, head, num } from "./panel.js";

const samplesMax = 60;

/** TopicsView: topics with size and rate; below each its partitions. */
export class TopicsView extends Panel {
  constructor() {
    super("Topics");
    this.samples = new Map();
    this.internal = h("input", { type: "checkbox", onchange: () => this.draw() });
    this.end.append(h("label", { class: "check" }, this.internal, "internal topics"));
    this.stats = h("div", { class: "stats" });
    this.body.before(this.stats);
  }

  async load(signal) {
    this.topics = (await get("/api/topics", null, signal)).topics;
    for (const t of this.topics) {
      if (t.records_per_second === null) continue;
      const list = this.samples.get(t.name) ?? [];
      list.push(t.records_per_second);
      this.samples.set(t.name, list.slice(-samplesMax));
    }
  }

  draw() {
    if (!this.topics) return;
    const shown = this.topics.filter((t) => this.internal.checked || !t.internal);
    const sum = (f) => shown.reduce((n, t) => n + (f(t) ?? 0), 0), known = shown.some((t) => t.records_per_second !== null);
    this.note.textContent = "";
    this.stats.replaceChildren(
      stat(number(shown.length), shown.length === 1 ? "topic" : "topics"), stat(number(sum((t) => t.records)), "records"), stat(bytes(sum((t) => t.size_bytes)), "on disk"),
      stat(known ? `${rate(sum((t) => t.records_per_second))}/s` : "…", "records written"), stat(known ? `${bytes(sum((t) => t.bytes_per_second))}/s` : "…", "bytes written"));
    if (!shown.length) { this.replace(h("div", { class: "empty" }, h("b", null, "No topics yet"), h("span", null, "They appear with the first record, or by \"millrace topic create\"."))); return; }
    this.replace(h("table", { class: "grid" }, head("Topic", ">Partitions", ">Replicas", ">Records", ">Size", ">Records/s", ">Bytes/s", "Last minutes", "State"),
      h("tbody", null, shown.map((t) => [
        h("tr", { class: "main" }, h("td", null, this.toggle(t.name, t.name)), num(t.partitions), num(t.replication_factor), num(number(t.records)), num(bytes(t.size_bytes)),
          num(rate(t.records_per_second)), num(t.bytes_per_second === null ? "…" : bytes(t.bytes_per_second)), h("td", null, spark(this.samples.get(t.name) ?? [])), h("td", null, state(t))),
        this.open.has(t.name) && h("tr", { class: "sub" }, h("td", { colspan: 9 }, partitions(t))),
      ]))));
  }
}

function stat(value, text) { return h("div", { class: "stat" }, h("b", null, value), h("span", null, text)); }

function state(t) {
  if (t.offline) return h("span", { class: "badge bad" }, `${t.offline} offline`);
  if (t.under_replicated) return h("span", { class: "badge mid" }, `${t.under_replicated} under-replicated`);
  return h("span", { class: "badge good" }, "healthy");
}

function partitions(t) {
  return h("table", { class: "grid" }, head(">Partition", ">Leader", ">Epoch", "Replicas", "In sync", ">Start", ">End", ">Size"),
    h("tbody", null, t.partition_list.map((p) => h("tr", null, num(p.partition), num(p.leader < 0 ? "none" : p.leader), num(p.leader_epoch < 0 ? "–" : p.leader_epoch),
      h("td", null, p.replicas.join(", ")), h("td", null, p.isr.join(", ")), num(p.start < 0 ? "–" : number(p.start)), num(p.end < 0 ? "–" : number(p.end)), num(p.size_bytes < 0 ? "–" : bytes(p.size_bytes))))));
}

/** spark draws the last rates as a line. */
function spark(values) {
  if (values.length < 2) return "";
  const most = Math.max(...values, 1e-9), step = 110 / (samplesMax - 1), from = 110 - step * (values.length - 1);
  const points = values.map((v, i) => `${(from + i * step).toFixed(1)} ${(22 - (v / most) * 19).toFixed(1)}`);
  return h("svg", { class: "spark", viewBox: "0 0 110 24", role: "img", "aria-label": `rate, at most ${rate(most)} records per second` },
    h("path", { class: "area", d: `M${from.toFixed(1)} 24 L${points.join(" L")} L110 24 Z` }), h("path", { d: `M${points.join(" L")}` }));
}
