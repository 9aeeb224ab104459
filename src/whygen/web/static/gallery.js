/**
 * The gallery: a map of all anchors, their groups by thresholds that can be moved, filters, and those that were chosen
 * with their pictures. What is shown stands in the address.
 */

import { all, ask, el, remember, shown } from "./dom.js";
import { besides, changeOf, drawSecond, offer, viewSecond } from "./gallery_beside.js";
import { Grid, save, shownOf } from "./gallery_grid.js";
import { DotMap, isPick, picked, short } from "./gallery_map.js";
import { load } from "./gallery_points.js";

const root = document.querySelector("[data-gallery]");
const address = root.dataset.gallery;
const by = (id) => document.getElementById(id);
const HOVER_WAIT = 5;
const SHARES_WAIT = 40;

let points;
let map;
let grid;
let beside = null;
let thresholds = {};
let passing;
let chosen = [];
/** How they were chosen, as the address has it; see `picked`. */
let picks = [];
const tags = new Map();
const colours = [];

/** What a group is called, by the code of an anchor as it is now. */
const groupOf = (row) => points.head.groups.find((each) => each.code === points.codes[row]) ?? points.head.groups[0];
/** Tags belong to these very anchors: another explanation may be saved into the folder. */
const storeName = () => `whygen tags ${address} ${points.head.of}`;
const percent = (part) => `${(100 * part).toFixed(1)}%`;

/* --- filters --- */

const filter = { groups: new Set(), label: "", role: "", flip: "", p: "", copies: "", back: "", change: "" };

/** A choice that the page offers. What an address asks for and the page does not offer filters nothing. */
function field(title, name, control) {
  control.addEventListener("change", () => {
    filter[name] = ["flip", "p"].includes(name) && control.value !== "" ? Number(control.value) : control.value;
    remember({ [name]: control.value });
    refilter();
  });
  control.value = filter[name];
  if (control.value !== String(filter[name])) control.value = filter[name] = "";
  offered.add(name);
  return el("label", {}, title, " ", control);
}

const offered = new Set();

const select = (...options) => el("select", {}, ...options.map(([value, text]) => el("option", { value }, text)));

function drawFilters() {
  const { head, arrays } = points;
  const boxes = head.groups.map((group) =>
    el("label", { class: "check" },
      el("input", { type: "checkbox", checked: filter.groups.has(group.code), onchange: (event) => {
        if (event.target.checked) filter.groups.add(group.code);
        else filter.groups.delete(group.code);
        remember({ groups: [...filter.groups].join(",") });
        refilter();
      } }), group.plain, group.name === group.plain ? null : el("span", { class: "code" }, group.name)));
  const asOptions = (values) => select(["", "all"], ...values.map((each) => [each, each]));
  by("filters").append(...[
    el("fieldset", { class: "checks" }, el("legend", {}, "Groups"), ...boxes),
    head.labels.length ? field("Label", "label", asOptions(head.labels)) : null,
    head.roles.length ? field("Role", "role", asOptions(head.roles)) : null,
    arrays.has("flip rate") ? field("Flip rate", "flip", select(["", "any"], ["0.05", "at most 5%"], ["0.2", "at most 20%"], ["-0.2", "above 20%: unsure"])) : null,
    arrays.has("p") ? field(head.kind === "texts" ? "p at most" : "Smallest p at most", "p", el("input", { type: "number", min: 0, max: 1, step: "any", placeholder: "1" })) : null,
    arrays.get("copies")?.some(Boolean) ? (head.kind === "texts"
      ? field("Counted", "copies", select(["", "all"], ["none", "counted"], ["only", "not counted"]))
      : field("Duplicates", "copies", select(["", "all"], ["none", "without copies"], ["only", "copies alone"]))) : null,
    arrays.has("comes back") ? field("Nearer than trivial", "back", select(["", "all"], ["yes", "yes"], ["no", "no"])) : null,
    beside ? field("Changed", "change", select(["", "all"], ["any", "any change"], ["learned", "learned"], ["forgotten", "forgotten"], ["moved", "moved"])) : null,
    el("button", { class: "quiet", type: "button", onclick: choosePassing }, "Choose all shown"),
  ].filter(Boolean));
  by("filters").addEventListener("submit", (event) => event.preventDefault());
  for (const name of ["label", "role", "flip", "p", "copies", "back", "change"]) {
    if (!offered.has(name)) filter[name] = "";
    if (filter[name] === "") remember({ [name]: null });
  }
}

function refilter() {
  passing = points.passing(filter);
  map.passing = passing;
  if (beside) beside.map.passing = passing;
  const left = passing.reduce((sum, each) => sum + each, 0);
  by("shown-count").textContent = left === points.n ? `${left.toLocaleString("en")}` : `${left.toLocaleString("en")} of ${points.n.toLocaleString("en")} shown`;
  chosen = picked(picks, passing, points, beside?.second);
  redraw();
  drawChosen();
}

/* --- the map --- */

/** An axis as its column is called, and as a person reads it. */
function titled(column) {
  const criterion = points.head.criteria.find((each) => column === `value ${each.name}`);
  return criterion ? `${criterion.name} (${criterion.unit})` : column.replace(/^figure /, "");
}

function axesNow() {
  const columns = points.columns;
  const kinds = points.head.criteria.map((each) => each.kind);
  const first = kinds.indexOf("intrinsic") >= 0 ? kinds.indexOf("intrinsic") : 0;
  const second = kinds.indexOf("extrinsic") >= 0 && kinds.indexOf("extrinsic") !== first ? kinds.indexOf("extrinsic") : -1;
  const across = columns.includes(shown().get("x")) ? shown().get("x") : columns[first];
  const up = columns.includes(shown().get("y")) ? shown().get("y") : second >= 0 ? columns[second] : columns.find((each) => each !== across) ?? across;
  return [across, up];
}

function viewMap() {
  const [across, up] = axesNow();
  const lines = [];
  const floors = [];
  for (const [axis, column] of [["x", across], ["y", up]]) {
    const criterion = points.head.criteria.find((each) => column === `value ${each.name}`);
    if (!criterion) continue;
    lines.push({ axis, name: criterion.name, value: thresholds[criterion.name], start: criterion.threshold, fixed: !points.head.movable });
    if (criterion.floor !== null) floors.push({ axis, value: criterion.floor });
  }
  const names = [across, up].map((column) => [titled(column), column.replace(/^(value|figure) /, "")]);
  map.view({ x: points.arrays.get(across), y: points.arrays.get(up), names, lines, floors });
  if (beside) viewSecond(beside, [across, up], names);
}

function redraw() {
  map.draw(points.codes, colours, passing, new Set(chosen));
  beside?.map.draw(beside.second.codes, colours, passing, new Set(chosen));
}

let hovering = -1;
let waiting = 0;

/** The picture of the anchor that is pointed at, beside it. */
function hover(row, where) {
  hovering = row;
  const tip = by("tip");
  for (const each of [map, beside?.map]) if (each && each !== where) each.ring(row);
  clearTimeout(waiting);
  if (row < 0) {
    tip.hidden = true;
    return;
  }
  const show = async () => {
    const [item] = await grid.items([row], false).catch(() => [null]);
    if (hovering !== row || item === null) return;
    const group = groupOf(row);
    tip.replaceChildren(shownOf(item), el("b", { dir: "auto" }, item.name), el("br"), group.plain, el("br"), item.p);
    tip.hidden = false;
    const box = where.canvas.getBoundingClientRect();
    const card = where.figure.closest(".card").getBoundingClientRect();
    const left = box.left - card.left + where.px[row] + 14;
    tip.style.left = `${Math.max(4, left + tip.offsetWidth > card.width ? left - tip.offsetWidth - 28 : left)}px`;
    tip.style.top = `${box.top - card.top + Math.max(0, where.py[row] - 30)}px`;
  };
  if (grid.known.has(String(row))) show();
  else waiting = setTimeout(show, HOVER_WAIT);
}

/* --- groups and thresholds --- */

let asking = null;
let again = false;
let later = 0;
let told = null;

const moved = () => points.head.criteria.filter((each) => thresholds[each.name] !== each.threshold);

/** Shares with their intervals and controls, by the code that the report uses; one request at a time. */
async function askShares() {
  if (asking) {
    again = true;
    return;
  }
  const at = moved().map((each) => `at=${encodeURIComponent(`${each.name}:${thresholds[each.name]}`)}`);
  const asked = thresholds;
  asking = ask(`${address}/shares?${[`of=${points.head.of}`, ...at].join("&")}`);
  try {
    told = await asking;
    // What was asked before the threshold moved on has the intervals of another place.
    if (asked === thresholds) drawShares(true);
    else again = true;
  } catch (error) {
    by("law").textContent = error.message;
  }
  asking = null;
  if (again) {
    again = false;
    askShares();
  }
}

function bar(part, ends, colour) {
  return el("svg:svg", { class: "fill", viewBox: "0 0 100 9", preserveAspectRatio: "none", "aria-hidden": "true" },
    el("svg:rect", { class: "bed", width: 100, height: 9 }),
    el("svg:rect", { class: colour ? null : "control", fill: colour, width: 100 * part, height: 9 }),
    ends ? el("svg:line", { class: "ends", "vector-effect": "non-scaling-stroke", x1: 100 * ends[0], x2: 100 * ends[1], y1: 4.5, y2: 4.5 }) : null);
}

/** The table of groups: counts at once from the numbers of the page, intervals and controls as they were told. */
function drawShares(settled) {
  const { counts, total } = points.counts();
  const controls = told?.controls ?? [];
  by("shares-head").replaceChildren(el("tr", {}, el("td"),
    ...["anchors", "share (95% interval)", ...controls.map((each) => each.name)].map((text) => el("th", { scope: "col", class: "num" }, text))));
  by("shares").replaceChildren(...points.head.groups.map((group) => {
    const count = counts.get(group.code);
    const part = total ? count / total : 0;
    const known = settled ? told?.groups[group.name] : null;
    return el("tr", { "data-group": group.name },
      el("th", { scope: "row" },
        el("svg:svg", { width: 12, height: 12, class: "dot-key", "aria-hidden": "true" }, el("svg:circle", { cx: 6, cy: 6, r: 5, fill: group.colour })),
        group.plain, group.name === group.plain ? null : el("span", { class: "code" }, group.name)),
      el("td", { class: "num count" }, count.toLocaleString("en")),
      el("td", { class: "num share" }, el("b", {}, known?.share ?? percent(part)), " ",
        el("span", { class: "soft small interval" }, known ? known.interval : "…"),
        bar(part, known?.interval ? [known.low, known.high] : null, group.colour)),
      ...controls.map((each) => {
        const cell = each.groups[group.name];
        return el("td", { class: "num", "data-name": each.name }, cell ? cell[1] : "–", cell ? bar(cell[0], null, null) : null);
      }));
  }));
  if (settled) by("law").textContent = law();
}

function law() {
  if (!told) return "";
  if (points.head.kind === "texts") return told.law;
  if (!moved().length) return "By the report's thresholds. Intervals hold both errors: anchors and reference are samples.";
  const flips = " Flip rates and p-values are the report's. Thresholds that were moved until shares please say less than those set before.";
  if (told.law === "anchors") return `Thresholds are held where you put them: intervals have the error of the anchors alone.${flips}`;
  const levels = Object.entries(told.levels).map(([name, level]) => `${name} ${level}`).join(", ");
  const rule = points.head.by_rule ? " Each threshold stands alone: the report's rule over all anchors (Benjamini-Hochberg) does not apply." : "";
  return `Chance that a sample like the reference is above: ${levels}. Intervals hold both errors.${rule}${flips}`;
}

/** Sliders for all thresholds, each with its value. */
function drawThresholds() {
  if (!points.head.criteria.length) return;
  const box = by("thresholds");
  box.replaceChildren(...points.head.criteria.map((each) => {
    const steps = points.steps(each.name);
    const values = points.arrays.get(`value ${each.name}`);
    const place = () => (steps ? steps.indexOf(thresholds[each.name]) : thresholds[each.name]);
    const ends = steps ? [0, steps.length - 1, 1] : [Math.min(...sample(values)), Math.max(...sample(values), each.threshold), "any"];
    const slider = el("input", {
      type: "range", min: ends[0], max: ends[1], step: ends[2], disabled: !points.head.movable, "aria-label": `Threshold of ${each.name}`,
      oninput: (event) => setThreshold(each.name, steps ? steps[Number(event.target.value)] : Number(event.target.value)),
      onchange: () => settle(),
    });
    slider.value = place();
    slider.setAttribute("aria-valuetext", short(thresholds[each.name]));
    return el("label", { "data-name": each.name }, `${each.name} ${each.strict ? "<" : "≤"} `, el("output", {}, short(thresholds[each.name])), slider);
  }), el("button", { class: "quiet", type: "button", disabled: true, id: "reset", onclick: () => {
    thresholds = points.start;
    settle(true);
  } }, "As in the report"));
  markMoved();
}

/** Some of the values, for the ends of a slider: all of many would overflow the arguments of a call. */
const sample = (values) => values.filter((value, at) => Number.isFinite(value) && at % Math.ceil(values.length / 5000) === 0);

function markMoved() {
  for (const label of all("#thresholds label")) {
    const name = label.dataset.name;
    const steps = points.steps(name);
    const slider = label.querySelector("input");
    const place = String(steps ? steps.indexOf(thresholds[name]) : thresholds[name]);
    if (slider.value !== place) slider.value = place;
    slider.setAttribute("aria-valuetext", short(thresholds[name]));
    label.querySelector("output").textContent = short(thresholds[name]);
  }
  const reset = by("reset");
  if (reset) reset.disabled = !moved().length;
}

function setThreshold(name, value) {
  if (value === thresholds[name]) return;
  thresholds = { ...thresholds, [name]: value };
  regrouped();
}

/** What hangs on the groups, drawn anew; intervals follow as soon as the viewer has them. */
function regrouped() {
  points.regroup(thresholds);
  passing = filter.groups.size ? points.passing(filter) : passing;
  markMoved();
  drawShares(false);
  viewMap();
  redraw();
  clearTimeout(later);
  later = setTimeout(askShares, SHARES_WAIT);
}

/** A threshold was let go: it goes into the address, and whatever was chosen is drawn by it. */
function settle(draw = false) {
  remember({ at: moved().map((each) => `${each.name}:${thresholds[each.name]}`).join("|") });
  if (draw) regrouped();
  refilter();
}

/* --- what was chosen --- */

function choose(now) {
  picks = now;
  remember({ chosen: picks.join("|") });
  chosen = picked(picks, passing, points, beside?.second);
  redraw();
  drawChosen();
}

const choosePassing = () => choose(["all"]);

/** A polygon that was drawn on a map, in the values of its axes. */
function lasso(polygon, add, second = false) {
  const corners = polygon.map((each) => each.map((value) => Number(value.toPrecision(7))).join(",")).join("~");
  const columns = axesNow().map((each) => points.columns.indexOf(each)).join(",");
  choose([...(add ? picks : []), `${corners}@${columns}${second ? ",second" : ""}`]);
}

/** Choose an anchor, or leave it out again. */
function pick(row) {
  const name = String(row);
  choose(picks.includes(name) ? picks.filter((each) => each !== name) : [...picks, name]);
}

function drawChosen() {
  const rows = points.worstFirst(chosen, thresholds);
  by("chosen-count").textContent = rows.length ? `${rows.length.toLocaleString("en")} ${points.head.kind === "texts" ? "text" : "anchor"}${rows.length === 1 ? "" : "s"}, ${points.head.kind === "texts" ? "the surest" : "the worst"} first` : "none yet: draw around dots above, or choose all that are shown";
  for (const button of all("#actions button")) button.disabled = button.id === "save-tagged" ? !tags.size : !rows.length;
  grid.show(rows);
}

/** The tags that the browser keeps; another page may have changed them. */
function readTags() {
  try {
    const kept = JSON.parse(localStorage.getItem(storeName()) ?? "[]");
    tags.clear();
    for (const [row, tag] of kept) if (row < points.n) tags.set(row, String(tag));
  } catch {
    // What cannot be read is not taken for no tags: those of this page stay.
  }
}

function retag(rows, text) {
  readTags();
  for (const row of rows) {
    if (text.trim()) tags.set(row, text.trim());
    else tags.delete(row);
  }
  try {
    localStorage.setItem(storeName(), JSON.stringify([...tags]));
  } catch {
    by("notices").append(el("p", { class: "warning" }, "The browser keeps no tags here: save the list before you leave."));
  }
  showTags();
}

function showTags() {
  grid.retagged();
  by("save-tagged").disabled = !tags.size;
}

function drawActions() {
  const name = el("input", { "aria-label": "Tag for all chosen", placeholder: "tag", maxlength: 200 });
  const saved = async (rows) => {
    try {
      await save(address, points.head.of, rows, tags);
    } catch (error) {
      by("notices").replaceChildren(el("p", { class: "warning", role: "alert" }, error.message));
    }
  };
  by("actions").append(
    el("label", {}, "Tag ", name),
    el("button", { class: "quiet", type: "button", onclick: () => retag(chosen, name.value) }, "Tag all chosen"),
    el("button", { class: "quiet", type: "button", onclick: () => saved(points.worstFirst(chosen, thresholds)) }, "Save chosen as CSV"),
    el("button", { class: "quiet", type: "button", id: "save-tagged", onclick: () => saved([...tags.keys()].sort((one, other) => one - other)) }, "Save tagged as CSV"),
    el("button", { class: "quiet", type: "button", onclick: () => choose([]) }, "Choose none"));
}

/* --- the page --- */

function recall() {
  const query = shown();
  picks = (query.get("chosen") ?? "").split("|").filter((each) => isPick(each, points.n));
  for (const name of ["label", "role", "copies", "back", "change"]) filter[name] = query.get(name) ?? "";
  for (const name of ["flip", "p"]) filter[name] = query.get(name) ? Number(query.get(name)) : "";
  filter.groups = new Set((query.get("groups") ?? "").split(",").filter(Boolean).map(Number).filter((code) => points.head.groups.some((each) => each.code === code)));
  thresholds = points.start;
  for (const part of (query.get("at") ?? "").split("|")) {
    const cut = part.lastIndexOf(":");
    const [name, value] = [part.slice(0, cut), Number(part.slice(cut + 1))];
    if (name in thresholds && Number.isFinite(value) && points.head.movable) thresholds = { ...thresholds, [name]: points.snap(name, value) };
  }
  readTags();
}

function drawAxes() {
  const [across, up] = axesNow();
  for (const [id, name, value] of [["across", "x", across], ["up", "y", up]]) {
    const control = by(id);
    control.append(...points.columns.map((column) => el("option", { value: column }, titled(column))));
    control.value = value;
    control.addEventListener("change", () => {
      remember({ [name]: control.value });
      viewMap();
      redraw();
    });
  }
}

async function start() {
  points = await load(`${address}/points`);
  by("headline").textContent = points.head.headline;
  by("notices").append(...points.head.missing.map((text) => el("p", { class: "warning" }, text)));
  for (const group of points.head.groups) colours[group.code] = [1, 3, 5].map((at) => parseInt(group.colour.slice(at, at + 2), 16));
  offer();
  beside = await besides(address, points).catch((error) => {
    by("notices").append(el("p", { class: "warning", role: "alert" }, `Not laid beside: ${error.message}`));
    return null;
  });
  if (points.head.kind === "texts") by("map-help").textContent = "Point at a dot for its text. Draw around dots to choose them; with Shift, to add. What has no value stands at the lower edge.";
  recall();
  grid = new Grid(address, by("grid"), by("more"), by("zoom"), {
    group: groupOf, tag: (row) => tags.get(row) ?? "", retag, change: (row) => changeOf(points, row),
    opened: (row) => remember({ open: row === null ? null : String(row) }), of: points.head.of,
    beside: beside && { address: beside.address, model: beside.told.model },
  });
  const told = { hover, pick, open: (row) => grid.open(row) };
  map = new DotMap(document.querySelector(".map"), {
    ...told, lasso,
    drag: (name, value) => (value === null ? settle() : setThreshold(name, points.snap(name, value))),
  });
  if (beside) {
    drawSecond(beside, map, {
      ...told, drag: () => {}, lasso: (polygon, add) => lasso(polygon, add, true),
    });
  }
  points.regroup(thresholds);
  drawAxes();
  drawFilters();
  passing = points.passing(filter);
  drawActions();
  drawThresholds();
  drawShares(false);
  viewMap();
  refilter();
  askShares();
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    map.resize();
    beside?.map.resize();
    redraw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("storage", (event) => {
    if (event.key !== storeName()) return;
    readTags();
    showTags();
  });
  const open = Number(shown().get("open") || NaN);
  if (open in points.reported) grid.open(open);
  root.dataset.ready = "yes";
}

start().catch((error) => {
  by("notices").append(el("p", { class: "warning", role: "alert" }, error.message));
  root.dataset.ready = "failed";
});
