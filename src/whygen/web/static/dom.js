/**
 * Elements made without markup: the policy of the viewer forbids strings that become markup (trusted types), so
 * whatever a model said can only ever be text.
 */

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element.
 * @param {string} name of the tag; "svg:rect" makes one of a drawing
 * @param {Object} [given] attributes; `on...` are listeners, `class`, `data-...`, and booleans as HTML has them
 * @param {...(Node|string|null|undefined)} children nodes, or text
 * @returns {Element}
 */
export function el(name, given = {}, ...children) {
  const made = name.startsWith("svg:") ? document.createElementNS(SVG, name.slice(4)) : document.createElement(name);
  for (const [key, value] of Object.entries(given)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** The elements of the page that a selector finds, as an array. */
export const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];

/**
 * JSON from the viewer.
 * @param {string} address
 * @param {Object|Blob} [body] what is sent; with one it is a POST. A file is sent as it is
 * @throws {Error} whose message a person can read
 */
export async function ask(address, body) {
  const sent = body === undefined
    ? { headers: { Accept: "application/json" } }
    : {
        method: "POST",
        headers: { Accept: "application/json", "Content-Type": body instanceof Blob ? "application/octet-stream" : "application/json" },
        body: body instanceof Blob ? body : JSON.stringify(body),
      };
  let answer;
  try {
    answer = await fetch(address, sent);
  } catch {
    throw new Error("The viewer does not answer. Is `whygen view` still running?");
  }
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.error ?? `The viewer answered ${answer.status}.`);
  return told;
}

/** Parameters of the address, to read. */
export const shown = () => new URLSearchParams(location.search);

/**
 * Put what is shown into the address, so that a link shows the same again. Empty values are left out.
 * @param {Object<string, string|null>} changed
 */
export function remember(changed) {
  const query = shown();
  for (const [name, value] of Object.entries(changed)) {
    if (value === null || value === undefined || value === "") query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  history.replaceState(null, "", text ? `?${text}` : location.pathname);
}
