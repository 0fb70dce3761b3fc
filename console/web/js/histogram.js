import { h } from "./dom.js";
import { kind, kinds, number, clock, day, dateTime } from "./format.js";

const height = 92, axis = 16, topPad = 6;

/** Histogram draws lines over time, stacked by level, and lets a range be chosen. */
export class Histogram {
  constructor({ choose }) {
    this.choose = choose;
    this.svg = h("svg", { height, role: "img", "aria-label": "Lines over time" });
    this.tip = h("div", { class: "tip", hidden: true });
    this.element = h("div", null, this.svg, this.tip);
    this.svg.addEventListener("pointermove", (e) => this.move(e));
    this.svg.addEventListener("pointerleave", () => { if (this.from === undefined) this.leave(); });
    this.svg.addEventListener("pointerdown", (e) => this.down(e));
    this.svg.addEventListener("pointerup", (e) => this.up(e));
    this.svg.addEventListener("pointercancel", () => this.leave());
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  set(data) {
    this.data = data;
    this.bars = (data?.buckets ?? []).map((b) => {
      const by = {};
      let known = 0;
      for (const [level, n] of Object.entries(b.levels)) { by[kind(level)] = (by[kind(level)] ?? 0) + n; known += n; }
      if (b.count > known) by.other = (by.other ?? 0) + b.count - known;
      return { start: b.start_ms, count: b.count, by };
    });
    this.draw();
  }

  /** levels are the sums over all bars. */
  get levels() {
    const sums = {};
    for (const b of this.bars ?? []) for (const [k, n] of Object.entries(b.by)) sums[k] = (sums[k] ?? 0) + n;
    return sums;
  }

  x(ms) { return ((ms - this.data.from_ms) / (this.data.until_ms - this.data.from_ms)) * this.width; }
  time(x) { return this.data.from_ms + (Math.max(0, Math.min(this.width, x)) / this.width) * (this.data.until_ms - this.data.from_ms); }

  draw() {
    this.width = this.element.clientWidth;
    this.svg.replaceChildren();
    if (!this.data || !this.width) return;
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${height}`);
    const most = Math.max(1, ...this.bars.map((b) => b.count)), room = height - axis - topPad;
    this.svg.append(
      h("line", { class: "grid", x1: 0, x2: this.width, y1: height - axis + 0.5, y2: height - axis + 0.5 }),
      h("line", { class: "grid", x1: 0, x2: this.width, y1: topPad + 0.5, y2: topPad + 0.5, "stroke-dasharray": "2 4" }),
      h("text", { x: this.width, y: topPad + 11, "text-anchor": "end" }, number(most)));
    const wide = Math.max(1, this.x(this.data.from_ms + this.data.interval_ms) - (this.data.interval_ms > 0 ? 1.2 : 0));
    for (const b of this.bars) {
      let y = height - axis;
      const x = Math.max(0, this.x(b.start)), right = Math.min(this.width, this.x(b.start) + wide);
      for (const k of kinds) {
        if (!b.by[k]) continue;
        const tall = Math.max((b.by[k] / most) * room, 0.8);
        y -= tall;
        this.svg.append(h("rect", { class: `l-${k}`, x: x.toFixed(1), y: y.toFixed(1), width: Math.max(1, right - x).toFixed(1), height: tall.toFixed(1) }));
      }
    }
    this.hover = h("rect", { class: "hover", y: topPad, height: height - axis - topPad, width: 0 });
    this.range = h("rect", { class: "range", y: topPad, height: height - axis - topPad, width: 0 });
    this.svg.append(this.hover, this.range, ...this.ticks());
    this.svg.setAttribute("aria-label", `${number(this.data.total)} lines over time, at most ${number(most)} in one bar`);
  }

  ticks() {
    const span = this.data.until_ms - this.data.from_ms, n = Math.max(2, Math.floor(this.width / 150)), out = [];
    for (let i = 0; i <= n; i++) {
      const at = new Date(this.data.from_ms + (span * i) / n);
      const text = span > 2 * 86400e3 ? day(at).slice(5) + " " + clock(at).slice(0, 5) : span > 120e3 ? clock(at).slice(0, span > 3600e3 ? 5 : 8) : clock(at);
      out.push(h("text", { x: (this.width * i) / n, y: height - 3, "text-anchor": i === 0 ? "start" : i === n ? "end" : "middle" }, text));
    }
    return out;
  }

  at(e) { return e.clientX - this.svg.getBoundingClientRect().left; }

  down(e) {
    if (!this.data || e.button !== 0) return;
    this.from = this.at(e);
    this.svg.setPointerCapture(e.pointerId);
  }

  up(e) {
    if (this.from === undefined) return;
    const [a, b] = [this.from, this.at(e)].sort((x, y) => x - y);
    this.leave();
    if (b - a > 4) this.choose(this.time(a), this.time(b));
    else {
      const bar = this.barAt(this.time(b));
      if (bar) this.choose(bar.start, bar.start + this.data.interval_ms - 1);
    }
  }

  barAt(time) { return this.bars.find((b) => time >= b.start && time < b.start + this.data.interval_ms); }

  move(e) {
    if (!this.data || !this.range) return;
    const x = this.at(e);
    if (this.from !== undefined) {
      const [a, b] = [Math.max(0, Math.min(this.from, x)), Math.min(this.width, Math.max(this.from, x))];
      this.range.setAttribute("x", a);
      this.range.setAttribute("width", b - a);
    }
    const bar = this.barAt(this.time(x));
    if (!bar) { this.tip.hidden = true; this.hover.setAttribute("width", 0); return; }
    this.hover.setAttribute("x", this.x(bar.start));
    this.hover.setAttribute("width", Math.max(1, this.x(this.data.from_ms + this.data.interval_ms)));
    this.tip.replaceChildren(h("b", null, dateTime(new Date(bar.start))),
      ...kinds.filter((k) => bar.by[k]).map((k) => h("div", null, h("i", { class: `l-${k}` }), k, h("span", null, number(bar.by[k])))));
    this.tip.hidden = false;
    this.tip.style.left = `${Math.max(0, Math.min(this.width - 160, x + 14))}px`;
  }

  leave() {
    this.from = undefined;
    this.tip.hidden = true;
    this.hover?.setAttribute("width", 0);
    this.range?.setAttribute("width", 0);
  }
}
