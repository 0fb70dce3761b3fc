import { h } from "./dom.js";
import { get } from "./api.js";
import { number, plural } from "./format.js";
import { Panel, head, num } from "./panel.js";

/** GroupsView: consumer groups with lag; below each its partitions and members. */
export class GroupsView extends Panel {
  constructor() { super("Consumer groups"); }

  async load(signal) { this.groups = (await get("/api/groups", null, signal)).groups; }

  draw() {
    if (!this.groups) return;
    this.note.textContent = `${plural(this.groups.length, "group")}, ${plural(this.groups.reduce((n, g) => n + g.lag, 0), "record")} behind`;
    if (!this.groups.length) { this.replace(h("div", { class: "empty" }, h("b", null, "No consumer groups yet"), h("span", null, "Pipelines and other consumers show up here with their lag."))); return; }
    this.replace(h("table", { class: "grid" }, head("Group", "State", ">Members", ">Partitions", ">Lag"),
      h("tbody", null, this.groups.map((g) => [
        h("tr", { class: "main" }, h("td", null, this.toggle(g.name, g.name)), h("td", null, state(g.state)), num(g.members.length), num(g.offsets.length), num(lag(g.lag))),
        this.open.has(g.name) && h("tr", { class: "sub" }, h("td", { colspan: 5 }, offsets(g))),
      ]))));
  }
}

function state(name) {
  const look = { Stable: "good", Empty: "", Dead: "bad", PreparingRebalance: "mid", CompletingRebalance: "mid" }[name] ?? "";
  return h("span", { class: `badge ${look}` }, name.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase());
}

function lag(n) { return n > 10000 ? h("span", { class: "badge mid" }, number(n)) : number(n); }

function offsets(g) {
  const clients = new Map(g.members.map((m) => [m.id, `${m.client_id} ${m.host}`]));
  if (!g.offsets.length) return h("p", null, g.members.length ? "No offset is committed yet." : "This group has neither members nor offsets.");
  return h("table", { class: "grid" }, head("Topic", ">Partition", ">Committed", ">End", ">Lag", "Member"),
    h("tbody", null, g.offsets.map((o) => h("tr", null, h("td", null, o.topic), num(o.partition), num(number(o.committed)), num(o.end < 0 ? "–" : number(o.end)), num(o.lag < 0 ? "–" : lag(o.lag)),
      h("td", { title: o.member ?? "" }, clients.get(o.member) ?? "–")))));
}
