/**
 * One explanation: a click on a word shows the answers with and without it, a click on a sentence of the answer lights
 * up the words that drove it. What is chosen stands in the address.
 */

import { all, ask, el, remember, shown } from "./dom.js";

const words = all(".u[data-unit], .u[data-part]");
const unitOf = (word) => Number(word.dataset.unit ?? word.dataset.part);
const MARKS = { pos: "▲", neg: "▼" };
const plain = words.map((word) => {
  const mark = word.querySelector("sup")?.textContent ?? "";
  return { classes: word.className, tip: word.dataset.tip, mark, text: word.textContent.slice(0, word.textContent.length - mark.length) };
});
const here = location.pathname;
/** How the page is read, which is how everything on it is: what stands in the address may have been refused. */
const { query, of } = document.querySelector(".tools").dataset;
const stamped = `${query || "?"}&of=${of}`;

const sheet = el("section", { class: "sheet", hidden: true, "aria-label": "With and without a word", tabindex: "-1" });
document.querySelector("main").after(sheet);
const status = el("p", { class: "soft small", role: "status" });

/* --- a word --- */

let open = null;

/** One side of the comparison; what only it says is marked. */
function side(title, stretches) {
  const text = stretches.map((each) => (each.differs ? el("mark", {}, each.text) : each.text));
  return el("div", { class: "side" }, el("h3", {}, title), el("p", { dir: "auto" }, ...(text.length ? text : ["(nothing)"])));
}

/** How far the two answers may be laid to this one unit. */
const nearness = (others) =>
  others === 0
    ? "The two prompts differ in nothing else."
    : `The two prompts also differ in ${others} other place${others === 1 ? "" : "s"}: of all that were sent, these two lie nearest.`;

/** What was done with the unit and without it: two answers, and counts where answers can be counted. */
function compared(beside) {
  if (!beside) return [el("p", { class: "soft" }, "No answers with and without it were kept.")];
  const told = beside.same
    ? [el("p", { class: "soft" }, "An answer with it and one without it are the same. ", nearness(beside.others))]
    : [
        el("div", { class: "sides" }, side("An answer with it", beside.with), side("An answer without it", beside.without)),
        el("p", { class: "soft small" }, el("mark", {}, "Marked"), ": what only one of the two says. ", nearness(beside.others)),
      ];
  return beside.words ? told : [...told, counts(beside)];
}

/** How often the model did what, with the unit and without it. */
function counts(beside) {
  const cell = (value, of) => el("td", { class: "num" }, `${value} of ${of}`);
  const rows = beside.rows.map((row) =>
    el("tr", {}, el("th", { scope: "row", dir: "auto" }, row.text), cell(row.with, beside.with_count), cell(row.without, beside.without_count)));
  const head = ["what the model did", "with it", "without it"].map((text, i) =>
    el("th", { scope: "col", class: i ? "num" : null }, text));
  return el("table", { class: "plain" }, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows));
}

function close() {
  if (open === null) return;
  const word = words.find((each) => unitOf(each) === open);
  open = null;
  sheet.hidden = true;
  for (const each of words) each.setAttribute("aria-expanded", "false");
  remember({ unit: null });
  word?.focus({ preventScroll: true });
}

/** Show a unit; `move` is how far the buttons of the sheet go on. */
async function choose(unit, { focus = true } = {}) {
  open = unit;
  for (const each of words) each.setAttribute("aria-expanded", String(unitOf(each) === unit));
  remember({ unit: String(unit) });
  sheet.hidden = false;
  sheet.replaceChildren(el("div", {}, el("p", { class: "soft" }, "Reading the answers …")));
  let told;
  try {
    told = await ask(`${here}/units/${unit}${stamped}`);
  } catch (error) {
    told = { failed: error.message };
  }
  if (open !== unit) return; // another word was chosen meanwhile
  const step = (by) => {
    const at = words.findIndex((each) => unitOf(each) === unit);
    return words[at + by] ? () => choose(unitOf(words[at + by])) : null;
  };
  const button = (text, label, press) =>
    el("button", { class: "quiet", "aria-label": label, disabled: press === null, onclick: press ?? close }, text);
  const figures = told.failed ? "" : `${told.attribution}${told.interval ? `, interval ${told.interval}` : ""}${told.sure ? "" : ", not told apart from noise"}`;
  sheet.replaceChildren(
    el("div", {},
      el("h2", {}, el("bdi", {}, told.name ?? "A word"), el("span", { class: "figures" }, figures),
        el("span", { class: "buttons" }, button("←", "The word before", step(-1)), button("→", "The word after", step(1)), button("Close", "Close", close))),
      ...(told.failed ? [el("p", { class: "warning" }, told.failed)] : compared(told.beside))));
  if (focus) sheet.focus({ preventScroll: true });
  const word = words.find((each) => unitOf(each) === unit);
  const box = word?.getBoundingClientRect();
  if (box && (box.top < 0 || box.bottom > innerHeight - sheet.offsetHeight)) word.scrollIntoView({ block: "start" });
}

/** Words that stand in running text are buttons: one stop of the Tab key, arrows move among them. */
function makeButtons() {
  const inText = words.filter((word) => word.dataset.unit !== undefined);
  inText.forEach((word, at) => {
    word.setAttribute("role", "button");
    word.setAttribute("aria-expanded", "false");
    word.setAttribute("aria-label", word.dataset.tip ?? word.textContent);
    word.tabIndex = at === 0 ? 0 : -1;
    word.addEventListener("click", () => choose(unitOf(word)));
    word.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (event.key === "Enter" || event.key === " ") choose(unitOf(word));
      else if (by && inText[at + by]) {
        word.tabIndex = -1;
        inText[at + by].tabIndex = 0;
        inText[at + by].focus();
      } else return;
      event.preventDefault();
    });
  });
}

/* --- a sentence of the answer --- */

let matrix = null;
let lit = null;

/** The sign of a word that counts, which must not be told by its colour alone. */
function marked(word, text) {
  if (word.dataset.unit === undefined) return; // a part of a conversation has none
  const sup = word.querySelector("sup") ?? (text ? word.appendChild(el("sup", { "aria-hidden": "true" })) : null);
  if (sup) sup.textContent = text;
}

/** Colour the words by one sentence; by the whole answer again where it is null. */
function colour(cells) {
  words.forEach((word, at) => {
    const was = plain[at];
    const [sign, step, figure, sure] = cells?.[unitOf(word)] ?? [];
    const kept = was.classes.split(" ").filter((name) => !/^(pos|neg|zero|sure|s\d)$/.test(name));
    word.className = sign ? [...kept, sign, `s${step}`, ...(sure ? ["sure"] : [])].join(" ") : was.classes;
    marked(word, sign ? (sure ? MARKS[sign] ?? "" : "") : was.mark);
    if (!was.tip) return;
    word.dataset.tip = sign ? `${was.text}  to this sentence ${figure}${sure ? "" : "  not significant"}` : was.tip;
    if (word.hasAttribute("aria-label")) word.setAttribute("aria-label", word.dataset.tip);
  });
}

async function light(number, buttons) {
  const same = lit === number;
  lit = same ? null : number;
  buttons.forEach((button) => button.setAttribute("aria-pressed", String(Number(button.dataset.sentence) === lit)));
  remember({ sentence: lit === null ? null : String(lit) });
  if (same) {
    colour(null);
    status.textContent = "";
    return;
  }
  try {
    if (matrix === null) {
      status.textContent = "Reading the answers sentence by sentence …";
      matrix = await ask(`${here}/sentences${stamped}`);
    }
    if (lit !== number) return;
    const cells = matrix.sentences[number]?.units ?? null;
    colour(cells);
    status.textContent = cells
      ? `The words above are coloured by how they drove this sentence (${matrix.by}). Click it again for the whole answer.`
      : "This sentence was not read: it comes after those that were.";
  } catch (error) {
    colour(null);
    status.textContent = error.message;
  }
}

function makeSentences() {
  const block = document.querySelector("blockquote.output") ?? document.querySelector(".say.answer .body");
  const data = document.getElementById("said");
  if (!block || !data || !words.length) return;
  const rest = block.querySelector(".cut");
  const parts = JSON.parse(data.textContent).map((part) =>
    part.sentence === null
      ? part.text
      : el("span", { class: "sentence", role: "button", tabindex: "0", "aria-pressed": "false", "data-sentence": part.sentence }, part.text));
  block.replaceChildren(...parts, ...(rest ? [rest] : []));
  const buttons = all(".sentence", block);
  if (!buttons.length) return;
  for (const button of buttons) {
    const press = () => light(Number(button.dataset.sentence), buttons);
    button.addEventListener("click", press);
    button.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      press();
    });
  }
  status.textContent = "Click a sentence: the words that drove it light up.";
  block.after(status);
  const asked = shown().get("sentence");
  if (asked !== null && buttons[Number(asked)]) light(Number(asked), buttons);
}

/* --- the page --- */

// Where the model drew or spoke, or was asked over many inputs, the page itself shows what a word did.
if (document.querySelector(".tools").dataset.clicks !== undefined) makeButtons();
makeSentences();
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") close();
});
const order = document.getElementById(shown().get("order") ?? "");
if (order?.name === "order") order.checked = true;
for (const choice of all("input[name=order]")) choice.addEventListener("change", () => remember({ order: choice.id }));
const asked = shown().get("unit");
if (asked !== null && words.some((word) => unitOf(word) === Number(asked))) choose(Number(asked), { focus: false });
