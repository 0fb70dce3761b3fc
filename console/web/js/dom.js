// Elements are made here only. Text reaches the page as text nodes: nothing in
// these files parses HTML.

const svgNames = new Set(["svg", "g", "rect", "path", "line", "text", "title", "circle"]);

/** h makes an element: properties beginning with "on" are listeners, others attributes. */
export function h(name, props, ...children) {
  const el = svgNames.has(name) && name !== "title" || props?.svg
    ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [k, v] of Object.entries(props ?? {})) {
    if (v === undefined || v === null || v === false || k === "svg") continue;
    if (k.startsWith("on")) el.addEventListener(k.slice(2), v);
    else if (k === "value" || k === "checked" || k === "disabled" || k === "hidden") el[k] = v;
    else el.setAttribute(k, v === true ? "" : v);
  }
  el.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return el;
}

/** toast says something for a moment, and to screen readers. */
export function toast(text) {
  document.querySelector(".toast")?.remove();
  const el = h("div", { class: "toast", role: "status" }, text);
  document.body.append(el);
  setTimeout(() => el.remove(), 1800);
}

/** copy puts text into the clipboard, where the browser allows it. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied");
  } catch {
    toast("The browser does not allow copying here");
  }
}

/** problemBox shows an error and what to do about it. */
export function problemBox(err) {
  return h("div", { class: "problem", role: "alert" }, h("b", null, err.message), err.hint ? h("span", null, err.hint) : null);
}
