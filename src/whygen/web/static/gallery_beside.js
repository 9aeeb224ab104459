/**
 * A second model by the same anchors beside the first: its own map, what changed beyond noise, and its pictures. The
 * comparison is that of `whygen compare`.
 */

import { all, ask, el, remember, shown } from "./dom.js";
import { DotMap } from "./gallery_map.js";
import { CHANGES, load } from "./gallery_points.js";

/** The choice of another explanation; a new one opens the page anew, with it in the address. */
export function offer() {
  const choice = document.getElementById("beside");
  if (!choice) return;
  const asked = shown().get("with") ?? "";
  if ([...choice.options].some((option) => option.value === asked)) choice.value = asked;
  choice.addEventListener("change", () => {
    remember({ with: choice.value, change: null });
    location.reload();
  });
}

/**
 * Load the other model that the address names; null where it names none.
 * @param {string} address of the first one's gallery
 * @param {Points} points of the first one, which get an array "change"
 */
export async function besides(address, points) {
  const other = shown().get("with");
  if (!other || !/^\w+$/.test(other)) return null;
  const [told, second] = await Promise.all([ask(`${address}/beside/${other}`), load(`/gallery/${other}/points`)]);
  const change = new Uint8Array(points.n);
  for (const [row, kind] of told.changed) change[row] = CHANGES.indexOf(kind);
  points.arrays.set("change", change);
  return { told, second, address: `/gallery/${other}`, map: null };
}

/** A second map below or beside the first, with the same axes. */
export function drawSecond(beside, first, told) {
  const figure = first.figure.cloneNode(true);
  figure.querySelector("canvas").setAttribute("aria-label", `The same anchors to ${beside.told.model}. Arrow keys go from anchor to anchor, Enter opens one.`);
  first.figure.after(figure);
  first.figure.parentElement.classList.add("two");
  const names = all(".side-name");
  for (const name of names) name.hidden = false;
  names[0].textContent = "this model";
  names[1].textContent = beside.told.model;
  beside.map = new DotMap(figure, told);
  document.getElementById("notices").append(el("p", { class: "beside-told" }, el("b", {}, "Beside the other: "), beside.told.headline, ...beside.told.notes.map((note) => el("span", { class: "soft" }, ` ${note}`))));
}

/** What the second map shows: its own values, its own thresholds, which stay. */
export function viewSecond(beside, columns, names) {
  const { second } = beside;
  const lines = [];
  const floors = [];
  columns.forEach((column, at) => {
    const axis = "xy"[at];
    const criterion = second.head.criteria.find((each) => column === `value ${each.name}`);
    if (!criterion) return;
    lines.push({ axis, name: criterion.name, value: criterion.threshold, start: criterion.threshold, fixed: true });
    if (criterion.floor !== null) floors.push({ axis, value: criterion.floor });
  });
  beside.map.view({ x: second.arrays.get(columns[0]), y: second.arrays.get(columns[1]), names, lines, floors });
}

/** How an anchor changed, in words; empty where it did not, beyond noise. */
export const changeOf = (points, row) => {
  const kind = points.arrays.get("change")?.[row] ?? 0;
  return kind ? CHANGES[kind] : "";
};
