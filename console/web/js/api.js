/** Problem is an answer of the server that says what went wrong and what to do. */
export class Problem extends Error {
  constructor(message, hint, status) {
    super(message);
    this.hint = hint;
    this.status = status;
  }
}

/** get asks the API; parameters that are empty are left out. */
export async function get(path, params, signal) {
  let response;
  try {
    response = await fetch(address(path, params), { signal, headers: { Accept: "application/json" } });
  } catch (err) {
    if (err.name === "AbortError") throw err;
    throw new Problem("Millrace does not answer", "Is the process still running? The page goes on trying.", 0);
  }
  let body;
  try {
    body = await response.json();
  } catch (err) {
    if (err.name === "AbortError") throw err;
    throw new Problem(`The answer (${response.status}) cannot be read`, "Load the page again.", response.status);
  }
  if (!response.ok) throw new Problem(body.error ?? `Error ${response.status}`, body.hint ?? "", response.status);
  return body;
}

export function address(path, params) {
  const query = new URLSearchParams();
  for (const [k, v] of Object.entries(params ?? {})) {
    if (v !== undefined && v !== null && v !== "") query.set(k, v);
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}
