import { h, problemBox, toast } from "./dom.js";
import { get, address } from "./api.js";
import { List } from "./list.js";
import { Histogram } from "./histogram.js";
import { lineDetail } from "./detail.js";
import { clock, day, flatten, kind, kinds, localInput, number, plural, term } from "./format.js";

const ranges = [["5m", "Last 5 minutes", 300], ["15m", "Last 15 minutes", 900], ["1h", "Last hour", 3600], ["6h", "Last 6 hours", 21600],
  ["24h", "Last 24 hours", 86400], ["7d", "Last 7 days", 604800], ["30d", "Last 30 days", 2592000], ["custom", "From … to …", 0]];
const loadedMax = 20000, liveMax = 2000, pageSize = 200;

/** LogsView: search, histogram, list, one line in full, live tail. */
export class LogsView {
  constructor(params, navigate) {
    this.navigate = navigate;
    this.list = new List({ render: (hit) => this.row(hit), open: (hit) => this.show(hit), more: () => this.loadMore(), label: "Lines, newest first" });
    this.list.onMove = (hit) => { if (this.detail) this.show(hit, false); };
    this.histogram = new Histogram({ choose: (from, to) => this.chooseRange(from, to) });
    this.build();
    this.apply(params);
  }

  build() {
    this.input = h("input", { type: "search", id: "query", "aria-label": "Query in Lucene syntax", placeholder: "Search: level:ERROR AND timeout", autocomplete: "off", spellcheck: "false", autocapitalize: "off" });
    this.range = h("select", { id: "range", "aria-label": "Time range", onchange: () => this.rangeChanged() }, ranges.map(([v, text]) => h("option", { value: v }, text)));
    this.from = h("input", { type: "datetime-local", step: "1", "aria-label": "From" });
    this.to = h("input", { type: "datetime-local", step: "1", "aria-label": "To" });
    this.custom = h("span", { class: "custom", hidden: true }, this.from, "–", this.to);
    this.liveButton = h("button", { type: "button", class: "live", id: "live", "aria-pressed": "false", title: "Show new lines as they come (l)", onclick: () => this.setLive(!this.source) }, "Live");
    const form = h("form", { class: "query", role: "search", onsubmit: (e) => { e.preventDefault(); this.submit(); } },
      h("span", { class: "search" },
        h("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, h("circle", { cx: 7, cy: 7, r: 5 }), h("path", { d: "M11 11l4 4" })),
        this.input, h("kbd", { class: "hint", "aria-hidden": "true" }, "/")),
      this.range, this.custom, h("button", { class: "primary", id: "go" }, "Search"), this.liveButton);
    this.total = h("span", { class: "total", role: "status" });
    this.took = h("span");
    this.legend = h("span", { class: "legend" });
    this.chart = h("div", { class: "chart" }, h("div", { class: "chart-head" }, this.total, this.took, this.legend), this.histogram.element);
    this.problems = h("div");
    this.empty = h("div", { class: "empty", hidden: true });
    this.foot = h("div", { class: "foot", hidden: true });
    this.listing = h("div", { class: "listing" },
      h("div", { class: "row-head", "aria-hidden": "true" }, h("span", null, "Time"), h("span", null, "Level"), h("span", { class: "source" }, "Source"), h("span", null, "Message")),
      this.list.element, this.empty, this.foot);
    this.split = h("div", { class: "split" }, this.listing);
    this.element = h("div", { class: "view logs" }, form, h("div", null, this.problems, this.chart), this.split);
  }

  /** apply takes over what the address says, and searches. */
  apply(params) {
    this.input.value = params.get("q") ?? "";
    const range = params.get("range") ?? (params.has("from") ? "custom" : "1h");
    this.range.value = ranges.some(([v]) => v === range) ? range : "1h";
    const from = Number(params.get("from")), to = Number(params.get("to"));
    this.exact = this.range.value === "custom" && from > 0 && to >= from ? { from, to } : null;
    if (this.exact) { this.from.value = localInput(new Date(from)); this.to.value = localInput(new Date(to)); }
    this.custom.hidden = this.range.value !== "custom";
    this.search();
    const live = params.get("live") === "1";
    if (live !== Boolean(this.source) || live) this.setLive(live, false);
  }

  params() {
    const p = new URLSearchParams();
    if (this.input.value.trim()) p.set("q", this.input.value.trim());
    p.set("range", this.range.value);
    if (this.range.value === "custom") { const { from, to } = this.window(); p.set("from", from); p.set("to", to); }
    if (this.source) p.set("live", "1");
    return p;
  }

  window() {
    if (this.range.value !== "custom") {
      const now = Date.now();
      return { from: now - ranges.find(([v]) => v === this.range.value)[2] * 1000, to: now };
    }
    if (this.exact) return this.exact;
    const from = new Date(this.from.value).getTime(), to = new Date(this.to.value).getTime();
    const end = Number.isNaN(to) ? Date.now() : to;
    return { from: Number.isNaN(from) ? end - 3600e3 : from, to: end };
  }

  rangeChanged() {
    if (this.range.value === "custom") {
      const now = Date.now();
      if (!this.from.value) { this.from.value = localInput(new Date(now - 3600e3)); this.to.value = localInput(new Date(now)); }
      this.custom.hidden = false;
      this.from.focus();
      return;
    }
    this.submit();
  }

  chooseRange(from, to) {
    this.range.value = "custom";
    this.exact = { from: Math.floor(from), to: Math.ceil(to) };
    this.go(true);
  }

  /** submit searches for what the form says now. */
  submit() {
    this.exact = null;
    this.go(true);
  }

  /** go puts the search into the address; the page then applies it. */
  go(force) {
    this.navigate("logs", this.params(), force);
  }

  async search() {
    this.abort?.abort();
    this.abort = new AbortController();
    const signal = this.abort.signal;
    this.question = { q: this.input.value.trim(), ...this.window() };
    const { q, from, to } = this.question;
    this.next = null;
    this.closeDetail();
    this.listing.classList.add("busy");
    this.problems.replaceChildren();
    const ask = { q, since: from, until: to };
    const chart = get("/api/logs/histogram", { ...ask, bars: Math.max(20, Math.min(120, Math.floor(window.innerWidth / 12))) }, signal)
      .then((data) => this.showHistogram(data));
    const lines = get("/api/logs/search", { ...ask, size: pageSize }, signal).then((page) => {
      this.next = page.next;
      this.list.set(page.hits);
      this.took.textContent = `${page.took_ms} ms`;
      this.noteCount();
      return this.noteEmpty(page, signal);
    });
    const results = await Promise.allSettled([lines, chart]);
    if (signal.aborted) return;
    this.listing.classList.remove("busy");
    const failed = results.find((r) => r.status === "rejected")?.reason;
    if (failed) {
      this.problems.replaceChildren(problemBox(failed));
      if (results[0].status === "rejected") { this.list.set([]); this.total.textContent = ""; this.took.textContent = ""; this.noteCount(); this.empty.hidden = true; }
      if (results[1].status === "rejected") this.showHistogram(null);
    }
  }

  showHistogram(data) {
    this.histogram.set(data);
    this.total.textContent = data ? plural(data.total, "line") : "";
    const sums = this.histogram.levels;
    this.legend.replaceChildren(...kinds.filter((k) => sums[k]).map((k) => h("button", {
      type: "button", title: k === "other" ? "Lines without a known level" : `Only ${k}`,
      onclick: () => { if (k !== "other") this.addTerm(this.levelTerm(k)); },
    }, h("i", { class: `l-${k}` }), `${k} ${number(sums[k])}`)));
  }

  /** levelTerm finds all spellings of a level that the bars show. */
  levelTerm(k) {
    const names = new Set();
    for (const b of this.histogram.data?.buckets ?? []) for (const l of Object.keys(b.levels)) if (kind(l) === k) names.add(l);
    const terms = [...names].map((n) => term("log.level", n));
    return terms.length > 1 ? `(${terms.join(" OR ")})` : terms[0];
  }

  /** noteEmpty helps on when nothing was found. */
  async noteEmpty(page, signal) {
    this.empty.hidden = page.hits.length > 0 || Boolean(this.source);
    if (this.empty.hidden) return;
    this.empty.replaceChildren(h("b", null, "No lines in this time range"), h("span", null, "Looking for older ones …"));
    const newest = await get("/api/logs/search", { q: this.question.q, size: 1 }, signal);
    if (signal.aborted) return;
    if (!newest.hits.length) {
      this.empty.replaceChildren(h("b", null, this.question.q ? "No line matches" : "No lines yet"),
        h("span", null, this.question.q ? "There is none at any time. Check the spelling of fields and words." : "Lines show up here a second or two after they were written."));
      return;
    }
    const at = new Date(flatten(newest.hits[0]._source)["@timestamp"]).getTime();
    this.empty.replaceChildren(h("b", null, "No lines in this time range"),
      h("span", null, `The newest line that matches is of ${day(new Date(at))} ${clock(new Date(at)).slice(0, 8)}.`),
      h("button", { type: "button", class: "primary", onclick: () => this.chooseRange(at - 1800e3, at + 1000) }, "Go there"));
  }

  async loadMore() {
    if (!this.next || this.loading || this.source || this.list.items.length >= loadedMax) return;
    this.loading = true;
    const signal = this.abort.signal, { q, from, to } = this.question;
    try {
      const page = await get("/api/logs/search", { q, since: from, until: to, size: pageSize, after: JSON.stringify(this.next) }, signal);
      this.next = page.next;
      this.list.append(page.hits);
    } catch (err) {
      if (!signal.aborted) { this.next = null; this.problems.replaceChildren(problemBox(err)); }
    }
    this.loading = false;
    if (!signal.aborted) this.noteCount();
  }

  noteCount() {
    const n = this.list.items.length;
    this.foot.hidden = n === 0;
    this.foot.textContent = this.source ? `${number(n)} newest lines, live`
      : n >= loadedMax ? `${number(n)} lines loaded; narrow the range for more` : this.next ? `${number(n)} lines loaded, scroll for more` : `all ${number(n)} lines`;
  }

  row(hit) {
    const fields = hit.fields ??= flatten(hit._source);
    const at = new Date(fields["@timestamp"]), level = fields["log.level"], text = String(fields.message ?? "");
    const lines = text.split("\n"), k = kind(level);
    const el = h("div", { class: `row k-${k}` },
      h("span", { class: "time" }, h("span", { class: "date" }, `${day(at).slice(5)} `), clock(at)),
      h("span", { class: `level k-${k}` }, level ?? ""),
      h("span", { class: "source" }, String(fields["service.name"] ?? fields["host.name"] ?? "")),
      h("span", { class: "message" }, highlight(lines[0].slice(0, 600), this.words), lines.length > 1 && h("span", { class: "more" }, `+${lines.length - 1} lines`)));
    if (hit.fresh > Date.now() - 1200) el.classList.add("new");
    return el;
  }

  /** words are what can be marked in a message. */
  get words() {
    if (this.wordsOf !== this.question?.q) {
      this.wordsOf = this.question?.q;
      this.wordList = [];
      for (const m of (this.wordsOf ?? "").matchAll(/(?:^|[\s(])(-|!|NOT\s+)?(?:([\w.@-]+):)?(?:"([^"]+)"|([\p{L}\p{N}_.-]{2,})\*?(?![:\w]))/gu)) {
        const word = m[3] ?? m[4];
        if (!m[1] && (!m[2] || m[2] === "message") && !["AND", "OR", "NOT"].includes(word)) this.wordList.push(word.toLowerCase());
      }
    }
    return this.wordList;
  }

  show(hit, focus = true) {
    const detail = lineDetail(hit, {
      close: () => { this.closeDetail(); this.list.element.focus(); },
      filter: (name, value, only) => this.addTerm(`${only ? "" : "NOT "}${term(name, value)}`),
      step: (by) => { this.list.select(this.list.selected + by); this.show(this.list.current, false); },
    });
    this.detail?.remove();
    this.detail = detail;
    this.split.append(detail);
    this.split.classList.add("open");
    if (focus) this.list.element.focus({ preventScroll: true });
    this.list.draw();
  }

  closeDetail() {
    this.detail?.remove();
    this.detail = null;
    this.split.classList.remove("open");
  }

  addTerm(text) {
    const q = this.input.value.trim();
    this.input.value = !q ? text : /\sOR\s/.test(q) && !/^\(.*\)$/.test(q) ? `(${q}) AND ${text}` : `${q} AND ${text}`;
    this.go(true);
  }

  setLive(on, navigate = true) {
    this.source?.close();
    this.source = null;
    clearInterval(this.refresh);
    this.liveButton.setAttribute("aria-pressed", String(on));
    if (on) {
      this.empty.hidden = true;
      this.connect();
      this.refresh = setInterval(() => this.refreshChart(), 5000);
    }
    this.noteCount();
    if (navigate) history.replaceState(null, "", `#/logs?${this.params()}`);
  }

  connect() {
    // From a little before the search on, so that nothing falls between; what
    // is in the list already is known by its id.
    const since = Math.max(this.question.to, Date.now() - 30e3) - 15e3;
    const source = new EventSource(address("/api/logs/tail", { q: this.input.value.trim(), since }));
    this.source = source;
    source.addEventListener("open", () => { source.opened = true; });
    source.addEventListener("lines", (e) => {
      const { hits, skipped } = JSON.parse(e.data);
      this.problems.replaceChildren();
      if (skipped) toast(`${number(skipped)} more lines came than can be shown live`);
      if (!hits.length) return;
      const known = new Set(this.list.items.slice(0, 1000).map((x) => `${x._index}/${x._id}`));
      const fresh = hits.filter((x) => !known.has(`${x._index}/${x._id}`)).reverse();
      for (const x of fresh) x.fresh = Date.now();
      this.list.prepend(fresh, liveMax);
      this.noteCount();
    });
    source.addEventListener("problem", (e) => this.problems.replaceChildren(problemBox(asProblem(e.data))));
    source.addEventListener("end", () => { source.close(); if (this.source === source) setTimeout(() => { if (this.source === source) this.connect(); }, 1000); });
    source.onerror = async () => {
      if (source.readyState !== EventSource.CLOSED || this.source !== source) return;
      this.setLive(false);
      try { await get("/api/logs/search", { q: this.input.value.trim(), size: 1 }); this.problems.replaceChildren(problemBox({ message: "The live tail ended", hint: "Switch it on again; at most 32 may run at once." })); }
      catch (err) { this.problems.replaceChildren(problemBox(err)); }
    };
  }

  async refreshChart() {
    if (this.range.value === "custom" || document.hidden) return;
    const { from, to } = this.window(), signal = this.abort.signal;
    try {
      this.showHistogram(await get("/api/logs/histogram", { q: this.input.value.trim(), since: from, until: to, bars: 80 }, signal));
    } catch { /* the tail says what is wrong */ }
  }

  /** key handles the view's own shortcuts. */
  key(e) {
    if (e.key === "Escape" && this.detail) { this.closeDetail(); this.list.element.focus(); }
    else if (e.key === "l") this.setLive(!this.source);
    else if (["j", "k", "ArrowDown", "ArrowUp", "Enter"].includes(e.key) && document.activeElement !== this.list.element) { this.list.element.focus({ preventScroll: true }); this.list.key(e); }
    else return false;
    return true;
  }

  destroy() {
    this.abort?.abort();
    this.source?.close();
    this.source = null;
    clearInterval(this.refresh);
  }
}

function asProblem(text) {
  const { error, hint } = JSON.parse(text);
  return { message: error, hint };
}

/** highlight marks words in a text, as text nodes and <mark> elements. */
function highlight(text, words) {
  if (!words.length) return text;
  const lower = text.toLowerCase(), out = [];
  let at = 0;
  while (at < text.length) {
    let best = -1, length = 0;
    for (const w of words) {
      const i = lower.indexOf(w, at);
      if (i >= 0 && (best < 0 || i < best)) { best = i; length = w.length; }
    }
    if (best < 0 || lower.length !== text.length) break;
    out.push(text.slice(at, best), h("mark", null, text.slice(best, best + length)));
    at = best + length;
  }
  out.push(text.slice(at));
  return out;
}
