/**
 * A map of anchors by two columns: dots on a canvas, the nearest one found through a grid of cells, a lasso, and
 * threshold lines that can be dragged. It knows places and rows, and nothing of what they mean.
 */

import { el } from "./dom.js";

const LEFT = 56;
const BOTTOM = 40;
const TOP = 10;
const RIGHT = 14;
const CELL = 8;
const REACH = 9;
/** The part of the values that an axis shows; what lies beyond stands at its edge. */
const SHOWN = 0.995;

/** Round numbers between two ends. */
function ticks(low, high, about = 6) {
  const raw = (high - low) / about;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= raw) ?? raw;
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step / 1e6; at += step) found.push(Math.abs(at) < step / 1e6 ? 0 : at);
  return found;
}

/** A number as short as it can be read. */
export const short = (value) =>
  value === 0 ? "0" : Math.abs(value) >= 1e5 || Math.abs(value) < 1e-3 ? value.toExponential(1) : String(Number(value.toPrecision(4)));

export class DotMap {
  /**
   * @param {HTMLElement} figure with a canvas and a drawing over it
   * @param {{hover: function(number, DotMap), open: function(number), pick: function(number), lasso: function(number[][], boolean), drag: function(string, number)}} told
   */
  constructor(figure, told) {
    this.figure = figure;
    this.canvas = figure.querySelector("canvas");
    this.over = figure.querySelector("svg");
    this.told = told;
    this.cells = new Map();
    this.focused = -1;
    this.#listen();
  }

  /**
   * What is shown.
   * @param {{x: Float64Array, y: Float64Array, names: string[][], lines: {axis: string, name: string, value: number, fixed: boolean}[], floors: {axis: string, value: number}[]}} view
   */
  view(view) {
    // Lines move far more often than dots: the dots stay where they are while their columns do.
    const same = this.shown?.x === view.x && this.shown?.y === view.y;
    this.shown = view;
    if (same) return;
    this.ends = [range(view.x, view.lines.filter((each) => each.axis === "x")), range(view.y, view.lines.filter((each) => each.axis === "y"))];
    this.resize();
  }

  /** Measure the box, and place every dot in it. */
  resize() {
    const box = this.figure.querySelector(".plot-box").getBoundingClientRect();
    this.width = Math.max(220, Math.floor(box.width));
    this.height = Math.max(240, Math.min(560, Math.floor(this.width * 0.9)));
    this.scale = devicePixelRatio || 1;
    this.canvas.width = Math.round(this.width * this.scale);
    this.canvas.height = Math.round(this.height * this.scale);
    this.canvas.style.height = `${this.height}px`;
    this.over.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    this.over.style.height = `${this.height}px`;
    const { x, y } = this.shown;
    const n = x.length;
    this.px = new Float32Array(n);
    this.py = new Float32Array(n);
    this.cells.clear();
    for (let row = 0; row < n; row++) {
      this.px[row] = this.toX(x[row]);
      this.py[row] = this.toY(y[row]);
      const key = this.#cell(this.px[row], this.py[row]);
      const held = this.cells.get(key);
      if (held) held.push(row);
      else this.cells.set(key, [row]);
    }
  }

  toX(value) {
    const [low, high] = this.ends[0];
    return LEFT + (this.width - LEFT - RIGHT) * clip((value - low) / (high - low));
  }

  toY(value) {
    const [low, high] = this.ends[1];
    return this.height - BOTTOM - (this.height - BOTTOM - TOP) * clip((value - low) / (high - low));
  }

  fromX(at) {
    const [low, high] = this.ends[0];
    return low + ((at - LEFT) / (this.width - LEFT - RIGHT)) * (high - low);
  }

  fromY(at) {
    const [low, high] = this.ends[1];
    return low + ((this.height - BOTTOM - at) / (this.height - BOTTOM - TOP)) * (high - low);
  }

  #cell(x, y) {
    return Math.floor(x / CELL) * 4096 + Math.floor(y / CELL);
  }

  /**
   * Draw the dots.
   * @param {Uint8Array} codes group of each anchor
   * @param {number[][]} colours by code, red green blue
   * @param {Uint8Array} passing which anchors the filters leave
   * @param {Set<number>} chosen
   */
  draw(codes, colours, passing, chosen) {
    this.passing = passing;
    const pen = this.canvas.getContext("2d", { willReadFrequently: true });
    const css = getComputedStyle(this.figure);
    const [ink, line, card] = ["--soft", "--line", "--card"].map((name) => css.getPropertyValue(name).trim());
    pen.setTransform(this.scale, 0, 0, this.scale, 0, 0);
    pen.fillStyle = card;
    pen.fillRect(0, 0, this.width, this.height);
    this.#frame(pen, ink, line);
    const image = pen.getImageData(0, 0, this.canvas.width, this.canvas.height);
    const wide = passing.length > 20000 ? 1.6 : passing.length > 2000 ? 3.4 : 5.4;
    const size = Math.max(2, Math.round(wide * this.scale));
    const pale = hex(line);
    const paint = (row, [r, g, b], weight) => {
      const left = Math.round(this.px[row] * this.scale - size / 2);
      const top = Math.round(this.py[row] * this.scale - size / 2);
      for (let down = 0; down < size; down++) {
        let at = ((top + down) * image.width + left) * 4;
        for (let right = 0; right < size; right++, at += 4) {
          image.data[at] += (r - image.data[at]) * weight;
          image.data[at + 1] += (g - image.data[at + 1]) * weight;
          image.data[at + 2] += (b - image.data[at + 2]) * weight;
        }
      }
    };
    for (let row = 0; row < passing.length; row++) if (!passing[row]) paint(row, pale, 0.5);
    for (let row = 0; row < passing.length; row++) if (passing[row]) paint(row, colours[codes[row]], 0.72);
    pen.putImageData(image, 0, 0);
    pen.strokeStyle = css.getPropertyValue("--ink").trim();
    pen.lineWidth = 1.2;
    if (chosen.size <= 4000) {
      pen.beginPath();
      for (const row of chosen) {
        pen.moveTo(this.px[row] + 4, this.py[row]);
        pen.arc(this.px[row], this.py[row], 4, 0, 7);
      }
      pen.stroke();
    }
    this.#drawLines();
  }

  #frame(pen, ink, line) {
    pen.font = "11px system-ui, sans-serif";
    pen.fillStyle = ink;
    pen.strokeStyle = line;
    pen.lineWidth = 1;
    const bottom = this.height - BOTTOM;
    pen.textAlign = "center";
    for (const tick of ticks(...this.ends[0], this.width < 420 ? 4 : 6)) {
      stroke(pen, this.toX(tick), TOP, this.toX(tick), bottom);
      pen.fillText(short(tick), this.toX(tick), bottom + 14);
    }
    // The long name of an axis where there is room for it, else the short one.
    const name = (names, room) => names.find((each) => pen.measureText(each).width <= room) ?? names.at(-1);
    pen.fillText(name(this.shown.names[0], this.width - LEFT - RIGHT), LEFT + (this.width - LEFT - RIGHT) / 2, this.height - 8);
    pen.textAlign = "right";
    for (const tick of ticks(...this.ends[1])) {
      stroke(pen, LEFT, this.toY(tick), this.width - RIGHT, this.toY(tick));
      pen.fillText(short(tick), LEFT - 5, this.toY(tick) + 4);
    }
    pen.save();
    pen.translate(12, TOP + (bottom - TOP) / 2);
    pen.rotate(-Math.PI / 2);
    pen.textAlign = "center";
    pen.fillText(name(this.shown.names[1], bottom - TOP), 0, 0);
    pen.restore();
  }

  /** Thresholds as lines with a broad grip each, and floors as dotted ones. */
  #drawLines() {
    const bottom = this.height - BOTTOM;
    const place = (each) => (each.axis === "x"
      ? { x1: this.toX(each.value), x2: this.toX(each.value), y1: TOP, y2: bottom }
      : { x1: LEFT, x2: this.width - RIGHT, y1: this.toY(each.value), y2: this.toY(each.value) });
    const floors = this.shown.floors.map((each) => el("svg:line", { class: "floor", ...place(each) }));
    const lines = this.shown.lines.flatMap((each) => [
      el("svg:line", { class: "threshold", ...place(each) }),
      ...(each.fixed ? [] : [el("svg:line", { class: `grip ${each.axis}`, "data-name": each.name, ...place(each), onpointerdown: (event) => this.#dragLine(event, each) })]),
    ]);
    this.mark = el("svg:circle", { class: "at", r: 6, cx: -20, cy: -20 });
    this.noose = el("svg:polygon", { class: "noose", points: "" });
    this.over.replaceChildren(...floors, ...lines, this.mark, this.noose);
    this.#showMark();
  }

  #dragLine(event, line) {
    event.preventDefault();
    event.stopPropagation();
    const grip = event.currentTarget;
    const move = (moved) => {
      const box = this.canvas.getBoundingClientRect();
      this.told.drag(line.name, line.axis === "x" ? this.fromX(moved.clientX - box.left) : this.fromY(moved.clientY - box.top));
    };
    const end = () => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", end);
      removeEventListener("pointercancel", end);
      this.told.drag(line.name, null);
    };
    // The line is drawn anew while it moves: the window listens, not the line.
    addEventListener("pointermove", move);
    addEventListener("pointerup", end);
    addEventListener("pointercancel", end);
    grip.blur?.();
  }

  /** The nearest anchor that the filters leave, within reach of a place; -1: none. */
  nearest(x, y) {
    let best = -1;
    let least = REACH * REACH;
    for (let across = -2; across <= 2; across++) {
      for (let down = -2; down <= 2; down++) {
        for (const row of this.cells.get(this.#cell(x + across * CELL, y + down * CELL)) ?? []) {
          if (!this.passing[row]) continue;
          const far = (this.px[row] - x) ** 2 + (this.py[row] - y) ** 2;
          if (far < least) [best, least] = [row, far];
        }
      }
    }
    return best;
  }

  /** Ring an anchor; -1: none. */
  ring(row) {
    this.focused = row;
    this.#showMark();
  }

  #showMark() {
    const row = this.focused;
    this.mark?.setAttribute("cx", row < 0 ? -20 : this.px[row]);
    this.mark?.setAttribute("cy", row < 0 ? -20 : this.py[row]);
  }

  #listen() {
    let path = null;
    const at = (event) => {
      const box = this.canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    this.canvas.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      path = [at(event)];
      this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      const place = at(event);
      if (path) {
        path.push(place);
        this.noose.setAttribute("points", path.map((each) => each.map(Math.round).join(",")).join(" "));
      } else {
        this.ring(this.nearest(...place));
        this.told.hover(this.focused, this);
      }
    });
    this.canvas.addEventListener("pointerup", (event) => {
      const drawn = path;
      path = null;
      this.noose.setAttribute("points", "");
      if (!drawn) return;
      const spread = Math.max(...drawn.map(([x, y]) => Math.abs(x - drawn[0][0]) + Math.abs(y - drawn[0][1])));
      if (spread < 6) {
        const row = this.nearest(...drawn[0]);
        if (row >= 0) this.told.open(row);
      } else this.told.lasso(thinned(drawn).map(([x, y]) => [this.fromX(x), this.fromY(y)]), event.shiftKey);
    });
    this.canvas.addEventListener("pointercancel", () => {
      path = null;
      this.noose.setAttribute("points", "");
    });
    this.canvas.addEventListener("pointerleave", () => {
      if (document.activeElement === this.canvas) return;
      this.ring(-1);
      this.told.hover(-1, this);
    });
    this.canvas.addEventListener("keydown", (event) => this.#key(event));
    this.canvas.addEventListener("blur", () => {
      this.ring(-1);
      this.told.hover(-1, this);
    });
  }

  /** Arrow keys go to the nearest anchor in their direction; Enter opens it, Space chooses it. */
  #key(event) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (way) this.ring(this.focused < 0 ? this.passing.indexOf(1) : this.#next(way));
    else if (event.key === "Enter" && this.focused >= 0) this.told.open(this.focused);
    else if (event.key === " " && this.focused >= 0) this.told.pick(this.focused);
    else return;
    event.preventDefault();
    if (way) this.told.hover(this.focused, this);
  }

  #next([across, down]) {
    const here = this.focused;
    let best = here;
    let least = Infinity;
    for (let row = 0; row < this.px.length; row++) {
      if (!this.passing[row] || row === here) continue;
      const dx = this.px[row] - this.px[here];
      const dy = this.py[row] - this.py[here];
      const along = dx * across + dy * down;
      const aside = Math.abs(dx * down) + Math.abs(dy * across);
      if (along > 0.5 && along + 3 * aside < least) [best, least] = [row, along + 3 * aside];
    }
    return best;
  }
}

/**
 * The anchors that picks choose, of those that the filters leave, whatever the map shows now.
 * @param {string[]} picks "all", an anchor by its number, or a polygon: its corners as "x,y~x,y~...", then "@", the
 *   places of the two columns that it was drawn by, and ",second" where it was drawn for the second model
 * @param {Uint8Array} passing which anchors the filters leave
 * @param {Points} points
 * @param {Points} [second]
 * @returns {number[]}
 */
export function picked(picks, passing, points, second) {
  const rows = new Set();
  for (const each of picks) {
    const [corners, drawn] = each.split("@");
    if (each === "all") for (const row of passing.keys()) rows.add(row);
    else if (drawn === undefined) rows.add(Number(each));
    else {
      const [x, y, which] = drawn.split(",");
      const from = which ? second : points;
      const polygon = corners.split("~").map((corner) => corner.split(",").map(Number));
      const sides = [x, y].map((at) => axis(from, points.columns[at]));
      if (sides.every(Boolean)) for (const row of within(polygon, ...sides)) rows.add(row);
    }
  }
  return [...rows].filter((row) => passing[row]);
}

/** Whether a part of an address is a pick among n anchors. */
export const isPick = (text, n) => text === "all" || (/^\d+$/.test(text) && Number(text) < n) || /^[-+.,~e\d]+@\d+,\d+(,second)?$/.test(text);

/** The values of a column and the ends of its axis; null where there is none. */
function axis(points, column) {
  const values = points?.arrays.get(column);
  if (!values) return null;
  const lines = points.head.criteria.filter((each) => column === `value ${each.name}`);
  return { values, ends: range(values, lines.map((each) => ({ start: each.threshold }))) };
}

/** Anchors within a polygon in the values of two columns; what lies beyond an axis stands at its edge. */
function within(polygon, across, up) {
  const part = (value, [low, high]) => (value - low) / (high - low);
  const spots = polygon.map(([x, y]) => [part(x, across.ends), part(y, up.ends)]);
  const found = [];
  for (let row = 0; row < across.values.length; row++) {
    if (inside(spots, clip(part(across.values[row], across.ends)), clip(part(up.values[row], up.ends)))) found.push(row);
  }
  return found;
}

/** What has no value stands at the lower edge. */
const clip = (share) => (Number.isNaN(share) ? 0 : Math.min(1, Math.max(0, share)));
const hex = (text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));

function stroke(pen, x1, y1, x2, y2) {
  pen.beginPath();
  pen.moveTo(x1, y1);
  pen.lineTo(x2, y2);
  pen.stroke();
}

/** From the least value to nearly the largest, and past the thresholds. */
function range(values, lines) {
  const finite = Float64Array.from(values).filter(Number.isFinite).sort();
  if (!finite.length) return [0, 1];
  let low = finite[0];
  let high = finite[Math.min(finite.length - 1, Math.floor(SHOWN * finite.length))];
  for (const line of lines) {
    low = Math.min(low, line.start);
    high = Math.max(high, line.start + 0.2 * (line.start - low));
  }
  // Values that differ by their rounding alone would have marks nearer to each other than numbers can be.
  const room = Math.max(0.03 * (high - low), Math.abs(high) * 1e-6) || 0.5;
  return [low - room, high + room];
}

/** At most 40 corners of a path. */
function thinned(path) {
  const step = Math.ceil(path.length / 40);
  return path.filter((_, at) => at % step === 0);
}

/** Whether a place lies in a polygon (even-odd rule). */
function inside(spots, x, y) {
  let within = false;
  for (let at = 0, before = spots.length - 1; at < spots.length; before = at++) {
    const [ax, ay] = spots[at];
    const [bx, by] = spots[before];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) within = !within;
  }
  return within;
}
