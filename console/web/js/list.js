import { h } from "./dom.js";

const rowHeight = 26;
const overscan = 12;

/**
 * List shows any number of rows and has only those on screen in the document.
 * One row is selected; arrows move it, Enter opens it.
 */
export class List {
  constructor({ render, open, more, label }) {
    this.items = [];
    this.selected = -1;
    this.renderRow = render;
    this.open = open;
    this.more = more;
    this.spacer = h("div", { class: "spacer", role: "presentation" });
    this.element = h("div", {
      class: "scroll", tabindex: "0", role: "listbox", "aria-label": label,
      onscroll: () => this.draw(), onkeydown: (e) => this.key(e),
    }, this.spacer);
    this.drawn = new Map();
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  /** set replaces all items. */
  set(items) {
    this.items = items;
    this.selected = -1;
    this.element.scrollTop = 0;
    this.redraw();
  }

  /** append adds older items at the end. */
  append(items) {
    this.items = this.items.concat(items);
    this.draw();
  }

  /** prepend adds newer items on top; what is being looked at stays in place. */
  prepend(items, max) {
    this.items = items.concat(this.items).slice(0, max);
    if (this.selected >= 0) {
      this.selected += items.length;
      if (this.selected >= this.items.length) this.selected = -1;
    }
    const atTop = this.element.scrollTop < rowHeight / 2;
    this.redraw();
    if (!atTop) this.element.scrollTop += items.length * rowHeight;
  }

  redraw() {
    for (const el of this.drawn.values()) el.remove();
    this.drawn.clear();
    this.draw();
  }

  draw() {
    this.spacer.style.height = `${this.items.length * rowHeight}px`;
    const top = this.element.scrollTop, height = this.element.clientHeight;
    const first = Math.max(0, Math.floor(top / rowHeight) - overscan);
    const last = Math.min(this.items.length, Math.ceil((top + height) / rowHeight) + overscan);
    for (const [i, el] of this.drawn) {
      if (i < first || i >= last) { el.remove(); this.drawn.delete(i); }
    }
    for (let i = first; i < last; i++) {
      if (this.drawn.has(i)) continue;
      const el = this.renderRow(this.items[i]);
      el.style.top = `${i * rowHeight}px`;
      el.id = `row-${i}`;
      el.setAttribute("role", "option");
      el.setAttribute("aria-setsize", this.items.length);
      el.setAttribute("aria-posinset", i + 1);
      el.addEventListener("click", () => { this.select(i); this.open(this.items[i]); });
      this.drawn.set(i, el);
      this.spacer.append(el);
    }
    this.mark();
    if (this.items.length && last >= this.items.length - 30) this.more();
  }

  mark() {
    for (const [i, el] of this.drawn) {
      el.classList.toggle("selected", i === this.selected);
      el.setAttribute("aria-selected", i === this.selected);
    }
    if (this.selected >= 0 && this.drawn.has(this.selected)) this.element.setAttribute("aria-activedescendant", `row-${this.selected}`);
    else this.element.removeAttribute("aria-activedescendant");
  }

  select(i) {
    if (!this.items.length) return;
    this.selected = Math.max(0, Math.min(this.items.length - 1, i));
    const top = this.selected * rowHeight, view = this.element;
    if (top < view.scrollTop) view.scrollTop = top;
    else if (top + rowHeight > view.scrollTop + view.clientHeight) view.scrollTop = top + rowHeight - view.clientHeight;
    this.draw();
  }

  get current() { return this.items[this.selected]; }

  key(e) {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const page = Math.max(1, Math.floor(this.element.clientHeight / rowHeight) - 1);
    const to = {
      ArrowDown: this.selected + 1, j: this.selected + 1, ArrowUp: this.selected - 1, k: this.selected - 1,
      PageDown: this.selected + page, PageUp: this.selected - page, Home: 0, End: this.items.length - 1,
    }[e.key];
    if (to !== undefined) {
      e.preventDefault();
      this.select(to);
      if (this.onMove) this.onMove(this.current);
    } else if (e.key === "Enter" && this.current) {
      e.preventDefault();
      this.open(this.current);
    }
  }
}
