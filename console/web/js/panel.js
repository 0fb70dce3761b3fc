import { h, problemBox } from "./dom.js";

/** Panel is a view that asks again every few seconds while it is looked at. */
export class Panel {
  constructor(title, seconds = 5) {
    this.open = new Set();
    this.problems = h("div");
    this.note = h("span", { class: "note" });
    this.end = h("span", { class: "end" });
    this.body = h("div", { class: "card busy" });
    this.element = h("div", { class: "view panel" }, h("div", { class: "panel-head" }, h("h1", null, title), this.note, this.end), this.problems, this.body);
    this.abort = new AbortController();
    this.timer = setInterval(() => { if (!document.hidden) this.refresh(); }, seconds * 1000);
    queueMicrotask(() => this.refresh());
  }

  async refresh() {
    if (this.asking) return;
    this.asking = true;
    try {
      await this.load(this.abort.signal);
      this.problems.replaceChildren();
      this.draw();
    } catch (err) {
      if (!this.abort.signal.aborted) this.problems.replaceChildren(problemBox(err));
    }
    this.body.classList.remove("busy");
    this.asking = false;
  }

  /** replace shows a new body and keeps the focus on the element of the same key. */
  replace(...children) {
    const key = document.activeElement?.dataset?.key;
    const { scrollTop, scrollLeft } = this.body;
    this.body.replaceChildren(...children);
    Object.assign(this.body, { scrollTop, scrollLeft });
    if (key) [...this.body.querySelectorAll("[data-key]")].find((el) => el.dataset.key === key)?.focus({ preventScroll: true });
  }

  /** toggle is the button that opens what is below a row. */
  toggle(key, text) {
    return h("button", {
      type: "button", class: "open", "data-key": key, "aria-expanded": String(this.open.has(key)), title: text,
      onclick: () => { if (!this.open.delete(key)) this.open.add(key); this.draw(); },
    }, h("span", null, text));
  }

  key() { return false; }

  destroy() {
    clearInterval(this.timer);
    this.abort.abort();
  }
}

/** head makes the head of a table; a name that begins with > is of numbers. */
export function head(...names) {
  return h("thead", null, h("tr", null, names.map((n) => h("th", { scope: "col", class: n.startsWith(">") ? "num" : undefined }, n.replace(/^>/, "")))));
}
export const num = (...content) => h("td", { class: "num" }, ...content);
