const pad = (n, width = 2) => String(n).padStart(width, "0");

export function clock(date) {
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}.${pad(date.getMilliseconds(), 3)}`;
}
export function day(date) {
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
}
export function dateTime(date) {
  return Number.isNaN(date.getTime()) ? "–" : `${day(date)} ${clock(date)}`;
}
/** localInput is a date as <input type=datetime-local> takes it. */
export function localInput(date) {
  return `${day(date)}T${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}
export const number = (n) => Number(n).toLocaleString("en-US");

export const plural = (n, word) => `${number(n)} ${word}${n === 1 ? "" : "s"}`;

export function bytes(n) {
  if (n === null || n === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let i = 0;
  while (n >= 1024 && i < units.length - 1) { n /= 1024; i++; }
  return `${i === 0 ? Math.round(n) : n.toFixed(n < 10 ? 2 : 1)} ${units[i]}`;
}
export function rate(n) {
  if (n === null || n === undefined) return "…";
  return n === 0 ? "0" : n < 10 ? n.toFixed(1) : number(Math.round(n));
}
export function ago(date) {
  const s = Math.max(0, (Date.now() - date.getTime()) / 1000);
  if (s < 60) return `${Math.floor(s)} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ago`;
  return `${Math.floor(s / 86400)} d ago`;
}

/** kind sorts the many names of levels into the few that have a colour. */
export function kind(level) {
  switch (String(level ?? "").toLowerCase()) {
    case "fatal": case "critical": case "crit": case "emerg": case "emergency": case "alert": case "panic": return "fatal";
    case "error": case "err": case "severe": case "e": return "error";
    case "warn": case "warning": case "w": return "warn";
    case "info": case "information": case "informational": case "notice": case "i": return "info";
    case "debug": case "trace": case "verbose": case "fine": case "finer": case "finest": case "d": return "debug";
    default: return "other";
  }
}
export const kinds = ["fatal", "error", "warn", "info", "debug", "other"];

/** flatten opens a document into dotted names. */
export function flatten(doc, prefix = "", out = {}) {
  for (const [k, v] of Object.entries(doc ?? {})) {
    if (v !== null && typeof v === "object" && !Array.isArray(v)) flatten(v, `${prefix}${k}.`, out);
    else if (v !== null) out[prefix + k] = Array.isArray(v) ? v.map((x) => (typeof x === "object" ? JSON.stringify(x) : x)).join(", ") : v;
  }
  return out;
}

/** term writes a field and its value as Lucene's syntax wants it. */
export function term(field, value) {
  const name = field.replace(/[\\+\-!(){}[\]^"~*?:/ &|]/g, "\\$&");
  return `${name}:"${String(value).replace(/[\\"]/g, "\\$&")}"`;
}
