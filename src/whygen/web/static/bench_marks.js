/**
 * Drawings of the bench: words with their colours, bars with intervals, two answers with what each has alone.
 * Colours are classes of the report's style (`pos s1` ... `pos s8`), so that both look alike.
 */

import { el } from "./dom.js";

const LEVELS = 8;
const FAINT = 2;
const UNSEEN = 0.005; // share of the largest below which a value is no more than a zero
const MOST_DECIMALS = 9; // numbers that need more are written with a power of ten
const MARKS = { pos: "▲", neg: "▼", zero: "·" };

/** Which way a value points. */
export const signOf = (value) => (value > 0 ? "pos" : value < 0 ? "neg" : "zero");

/** Whether an interval leaves zero out. */
export const isSure = (low, high) => low !== null && high !== null && (low > 0 || high < 0);

/**
 * What a word looks like.
 * @param {number|null} value its attribution
 * @param {number} largest of all words, in size
 * @param {boolean} sure
 */
export function look(value, largest, sure) {
  if (value === null || !(largest > 0)) return { classes: "u", mark: "" };
  const sign = signOf(value);
  const share = Math.min(1, Math.abs(value) / largest);
  const level = share < UNSEEN ? 0 : Math.min(sure ? LEVELS : FAINT, Math.ceil(LEVELS * share));
  return { classes: `u ${sign} s${level}${sure ? " sure" : ""}`, mark: sure ? MARKS[sign] : "" };
}

/** A figure with its sign, and three figures of the largest: as `decimals_for` and `signed` write it in a report. */
export function figure(value, largest) {
  if (value === null) return "–";
  const decimals = largest > 0 ? Math.max(0, 2 - Math.floor(Math.log10(largest))) : 3;
  const size = Math.abs(value);
  const text = decimals > MOST_DECIMALS && size >= 0.5 * 10 ** -decimals
    ? size.toExponential(2).replace(/-(\d)$/, "-0$1")
    : size.toFixed(Math.min(decimals, MOST_DECIMALS));
  return (Number(text) === 0 ? "" : value > 0 ? "+" : "−") + text;
}

/**
 * Bars with intervals, the strongest words first.
 * @param {{text: string, value: number|null, low: number|null, high: number|null, sure: boolean}[]} words
 * @param {number} [most] how many
 */
export function bars(words, most = 8) {
  const known = words.filter((word) => word.value !== null);
  const sorted = [...known].sort((a, b) => Math.abs(b.value) - Math.abs(a.value)).slice(0, most);
  const ends = known.flatMap((word) => [word.value, word.low, word.high]).filter((end) => end !== null);
  const reach = Math.max(0, ...ends.map(Math.abs)) || 1;
  const rows = sorted.map((word) => el("tr", { class: word.sure ? "sure" : "unsure" },
    el("th", { scope: "row", dir: "auto" }, word.text),
    el("td", { class: "chart" }, bar(word, reach)),
    el("td", { class: "num" }, figure(word.value, reach)), // no finer than its interval
    el("td", { class: "num soft opt" }, word.low === null ? "" : `${figure(word.low, reach)} to ${figure(word.high, reach)}`)));
  return el("table", { class: "bars" },
    el("caption", { class: "hidden" }, "The strongest words, with intervals"),
    el("thead", { class: "hidden" }, el("tr", {}, ...["Word", "Drawn", "Attribution", "Interval"].map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, ...rows));
}

/** One bar: zero in the middle, the interval as a line over it. */
function bar(word, reach) {
  const at = (value) => 100 + (98 * value) / reach;
  const from = Math.min(at(0), at(word.value));
  const parts = [
    el("svg:line", { class: "whole", x1: 0, x2: 200, y1: 8, y2: 8 }),
    el("svg:rect", { class: `bar ${signOf(word.value)}${word.sure ? "" : " unsure"}`, x: from, y: 3, height: 10, width: Math.abs(at(word.value) - at(0)) }),
    el("svg:line", { class: "zero", x1: 100, x2: 100, y1: 0, y2: 16, stroke: "currentColor", "stroke-opacity": 0.5 }),
  ];
  if (word.low !== null) {
    parts.push(el("svg:line", { class: "whisker", x1: at(word.low), x2: at(word.high), y1: 8, y2: 8 }));
  }
  return el("svg:svg", { viewBox: "0 0 200 16", preserveAspectRatio: "none", width: "100%", height: 16, "aria-hidden": "true" }, ...parts);
}

/** A text in stretches; what it has alone is marked, and said to those who hear the page. */
function marked(stretches) {
  if (!stretches.length) return [el("span", { class: "soft" }, "(an empty answer)")];
  return stretches.map((part) => (part.own ? el("mark", {}, part.text) : part.text));
}

/**
 * Two answers side by side.
 * @param {{with: Object[], without: Object[], same: boolean, cut: boolean}} beside
 * @param {string} before caption of the first
 * @param {string} after caption of the second
 */
export function answers(beside, before, after) {
  const drawn = beside.pictures ?? {};
  const one = (side, caption) => el("figure", { class: side },
    el("figcaption", {}, caption),
    drawn[side] ? el("img", { class: "given", src: drawn[side], alt: caption })
      : el("blockquote", { class: "output", tabindex: "0", dir: "auto" }, ...marked(beside[side])));
  return el("div", {},
    el("div", { class: "answers" }, one("with", before), one("without", after)),
    beside.same && !drawn.with ? el("p", { class: "small soft" }, "Both answers are the same.") : null,
    beside.cut ? el("p", { class: "small soft" }, "Long answers are cut here.") : null);
}

/**
 * Parts of a text as buttons in it. One is in the tab order; the arrows go to the others.
 * @param {{text: string, unit: number|null}[]} pieces the whole text
 * @param {string} classes of the buttons
 * @param {(unit: number) => void} choose
 */
export function buttonsOf(pieces, classes, choose) {
  const buttons = [];
  const nodes = pieces.map((piece) => {
    if (piece.unit === null) return piece.text;
    const button = el("span", {
      class: classes, role: "button", tabindex: piece.unit ? "-1" : "0", "aria-pressed": "false",
      onclick: () => choose(piece.unit),
      onkeydown: (event) => {
        if (event.key === "Enter" || event.key === " ") choose(piece.unit);
        else if (!step(event.key, buttons, piece.unit)) return;
        event.preventDefault();
      },
    }, piece.text);
    buttons[piece.unit] = button;
    return button;
  });
  return { nodes, buttons };
}

/** Move from one of several buttons to another, by the arrows, Home and End. */
function step(key, buttons, from) {
  const far = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -buttons.length, End: buttons.length }[key];
  if (!far) return false;
  const to = buttons[Math.max(0, Math.min(buttons.length - 1, from + far))];
  buttons.forEach((each) => each.setAttribute("tabindex", each === to ? "0" : "-1"));
  to.focus();
  return true;
}

/** Colour words by values. */
export function colour(words, values, low, high, sure) {
  const largest = Math.max(0, ...values.filter((value) => value !== null).map(Math.abs));
  words.forEach((word, index) => {
    const shown = look(values[index], largest, sure[index]);
    word.setAttribute("class", shown.classes);
    word.querySelector("sup").textContent = shown.mark;
    const interval = low && low[index] !== null ? `  interval ${figure(low[index], largest)} to ${figure(high[index], largest)}` : "";
    const verdict = values[index] === null ? "not known yet" : sure[index] ? "" : "  not sure";
    const changed = word.dataset.changed ? `  ${word.dataset.changed}` : "";
    word.setAttribute("data-tip", `${figure(values[index], largest)}${interval}${verdict}${changed}`);
  });
}
