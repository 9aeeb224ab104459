/**
 * The bench: a question, its price, one or two runs beside each other. Whatever is chosen stands in the address, so that
 * a link, a reload or a second tab shows the same; the runs themselves belong to the server.
 */

import { all, ask, el, remember, shown } from "./dom.js";
import { RunView } from "./bench_run.js";

const form = document.getElementById("form");
const price = document.getElementById("price");
const why = document.getElementById("why");
const beside = document.getElementById("why-beside");
const runs = document.getElementById("runs");
const compared = document.getElementById("compared");
const FIELDS = ["model", "kind", "prompt", "inputs", "picture", "source", "target", "text", "units", "estimand", "budget", "width", "temperature", "tokens", "seed"];
const LONGEST_IN_ADDRESS = 1500;
const PLACES = ["run", "beside"];
/** What each kind of question calls its text and its calls, and what it is cut into at first. */
const KINDS = {
  prompt: { text: "Prompt", calls: "Calls at most", units: "word" },
  inputs: { text: "Template: what stands the same for all inputs, such as “Tell me about {input}.”; without a field it is the system prompt", calls: "Calls at most, all inputs together", units: "sentence" },
  each: { text: "Prompts, one a line", calls: "Calls at most, for each prompt", units: "word" },
  edit: { text: "What to change in the picture", calls: "Calls at most", units: "word" },
};
const views = {};
let pins = [];
let asked = 0;

/** The question as it stands in the form. */
function question() {
  const sent = {};
  for (const name of FIELDS) sent[name] = form.elements[name].value;
  if (!takesText()) sent.text = "";
  sent.pin = pins;
  return sent;
}

function fill(sent) {
  for (const name of FIELDS) {
    const value = sent[name];
    if (value === undefined) continue;
    const field = form.elements[name];
    const known = field.tagName !== "SELECT" || [...field.options].some((option) => option.value === String(value));
    if (known) field.value = value ?? "";
  }
  pins = Array.isArray(sent.pin) ? sent.pin : pins;
  changed();
}

const takesText = () => "takesText" in form.elements.target.selectedOptions[0].dataset;

/** Something in the form changed: show what belongs to it, put it into the address, and say the new price. */
function changed() {
  document.getElementById("text-field").hidden = !takesText();
  const kind = form.elements.kind.value;
  document.getElementById("inputs-field").hidden = kind !== "inputs";
  document.getElementById("picture-field").hidden = kind !== "edit";
  document.getElementById("prompt-name").textContent = KINDS[kind].text;
  document.getElementById("budget-name").textContent = KINDS[kind].calls;
  shownPicture();
  const list = document.getElementById("pins");
  list.hidden = !pins.length;
  list.replaceChildren("Always sent: ", ...pins.flatMap((pin) => [
    el("button", { type: "button", class: "chip", "aria-label": `Pin no more: ${pin}`, onclick: () => { pins = pins.filter((each) => each !== pin); changed(); } }, el("bdi", {}, pin), " ×"), " ",
  ]));
  askedAgain();
  // What is set in a hidden field becomes its default.
  const usual = (field) => (field.type === "hidden" ? "" : field.tagName === "SELECT" ? field.options[0].value : field.defaultValue);
  const defaults = Object.fromEntries(FIELDS.map((name) => [name, usual(form.elements[name])]));
  const sent = question();
  const kept = Object.fromEntries(FIELDS.map((name) => [name, sent[name] === defaults[name] ? null : sent[name]]));
  for (const name of ["prompt", "inputs"]) if (sent[name].length > LONGEST_IN_ADDRESS) kept[name] = null; // its run still knows it
  remember({ ...kept, pin: pins.length ? JSON.stringify(pins) : null });
  foresee();
}

let drawn = "";
/** The picture that is to be changed. */
function shownPicture() {
  const id = form.elements.picture.value;
  if (id === drawn) return;
  drawn = id;
  document.getElementById("picture-shown").replaceChildren(...(id
    ? [el("img", { src: `/bench/pictures/${encodeURIComponent(id)}`, alt: "The picture that is to be changed", class: "given" })] : []));
}

/** A picture was chosen: the viewer remembers it by an id, which stands in the address. */
async function upload(file) {
  if (!file) return;
  try {
    const told = await ask("/bench/pictures", file);
    fill({ picture: told.picture });
  } catch (error) {
    say(error.message, true);
  }
}

let source = null;
/** What is asked again from the shelf stands in the place of the editor: it is read, and not changed here. */
async function askedAgain() {
  const id = form.elements.source.value;
  const place = document.getElementById("asked");
  document.getElementById("prompt-field").hidden = Boolean(id);
  place.hidden = !id;
  if (source === id) return;
  source = id;
  if (!id) return;
  const instead = el("button", { type: "button", class: "quiet", onclick: () => { fill({ source: "", units: "word" }); } }, "Type a prompt instead");
  try {
    const told = await ask(`/bench/sources/${encodeURIComponent(id)}`);
    if (source !== id) return;
    place.replaceChildren(
      el("p", {}, `This ${told.kind} is asked again, as `, el("a", { href: told.shelf }, "its explanation"), " has it. "),
      el("pre", { tabindex: "0", dir: "auto", "aria-label": "What is asked" }, told.text),
      el("p", { class: "buttons" }, instead));
  } catch (error) {
    if (source !== id) return;
    place.replaceChildren(el("p", { class: "wrong" }, error.message), el("p", { class: "buttons" }, instead));
  }
}

let waiting = null;
/** The price, once nothing was typed for a moment; a later question's answer is the one that counts. */
function foresee() {
  clearTimeout(waiting);
  why.disabled = beside.disabled = true;
  const mine = ++asked; // from here on, an answer to what stood there before enables nothing
  waiting = setTimeout(async () => {
    if (!form.elements.source.value && !form.elements.prompt.value.trim()) {
      say(form.elements.kind.value === "edit" ? "Choose a picture, and type what to change: the price is said here before anything is sent."
        : "Type a prompt: its price is said here before anything is sent.");
      return;
    }
    try {
      const told = await ask("/bench/price", question());
      if (mine !== asked) return;
      if (told.trouble) {
        say(told.trouble, true);
        return;
      }
      say(`${told.units} ${told.units === 1 ? "unit" : "units"}: ${told.text}`);
      why.disabled = beside.disabled = false;
    } catch (error) {
      if (mine === asked) say(error.message, true);
    }
  }, 250);
}

function say(text, trouble = false) {
  price.textContent = text;
  price.classList.toggle("wrong", trouble);
}

/** Begin a run, in the first place or beside. */
async function begin(place) {
  why.disabled = beside.disabled = true;
  try {
    const run = await ask("/bench/runs", question());
    open(place, run.id);
  } catch (error) {
    say(error.message, true);
  }
  why.disabled = beside.disabled = false;
}

/** Show a run in one of the two places. */
function open(place, id, chosen = { word: null, sentence: null }) {
  views[place]?.close();
  if (place === "run" && views.beside && !id) delete views.beside;
  compared.hidden = true;
  const view = new RunView(id, page(place), chosen);
  views[place] = view;
  const both = PLACES.filter((name) => views[name]).map((name) => views[name].section);
  runs.replaceChildren(...both);
  runs.classList.toggle("two-runs", both.length > 1);
  beside.hidden = false;
  remember({ [place]: id, [name(place, "word")]: chosen.word, [name(place, "sentence")]: chosen.sentence });
  view.begin().then(list);
}

/** What is open of the first run stands as `word`, of the one beside as `beside-word`. */
const name = (place, kind) => (place === "run" ? kind : `beside-${kind}`);

/** What a run may do with the page. */
function page(place) {
  return {
    name: place === "run" ? "The first run" : "The run beside it",
    again: (sent) => { fill(sent); begin(place); },
    chosen: (view, kind, index) => remember({ [name(place, kind)]: index === null ? null : String(index) }),
    over: () => { list(); compare(); },
    edit: (view, index, change) => edit(view, index, change),
  };
}

/** Delete, replace or pin a word: the form is changed, and nothing is sent to the model. */
async function edit(view, index, change) {
  if (change.kind === "pin") {
    fill({ ...view.form, pin: [...new Set([...view.form.pin, view.found.units[index].text])] });
  } else {
    // The viewer knows the prompt as it was sent, hidden characters included, and how a word is left out of it.
    const told = await ask(`/bench/runs/${view.id}/ask/price`, { unit: index, put: change.put ?? "" });
    fill({ ...view.form, prompt: told.prompt });
  }
  form.elements.prompt.focus();
}

/** Two runs that are over: which words changed, each with the interval of its difference. */
async function compare() {
  const both = PLACES.map((place) => views[place]);
  if (!both.every((view) => view?.found?.one)) return;
  compared.hidden = false;
  try {
    const told = await ask(`/bench/compare?first=${both[0].id}&second=${both[1].id}`);
    const rows = told.units.map((unit) => el("tr", { class: unit.changed ? "changed" : "" },
      el("th", { scope: "row" }, unit.text),
      ...[unit.first, unit.second, unit.difference, unit.interval ?? "–"].map((text) => el("td", { class: "num" }, text)),
      el("td", {}, unit.changed ? "changed" : "")));
    const only = [["the first", told.only_first], ["the second", told.only_second]]
      .filter(([, texts]) => texts.length)
      .map(([which, texts]) => el("p", { class: "small" }, `Only in ${which}: ${texts.join(", ")}.`));
    compared.replaceChildren(
      el("h2", {}, told.said),
      ...told.notes.map((note) => el("p", { class: "small soft" }, note)),
      ...only,
      el("div", { class: "wide", tabindex: "0", role: "group", "aria-label": "Differences" }, el("table", {},
        el("thead", {}, el("tr", {}, ...["Word", "First", "Second", "Difference*", "Its interval", "Verdict"].map((text, at) => el("th", { scope: "col", class: at > 0 && at < 5 ? "num" : null }, text)))),
        el("tbody", {}, ...rows))),
      el("p", { class: "small soft" }, "* Second less first. Where the two answers differ, both runs are measured against both answers; First and Second are what each run shows, against its own."));
    both.forEach((view) => view.flag(told.units));
  } catch (error) {
    compared.replaceChildren(el("p", { class: "wrong" }, error.message));
  }
}

/** The runs that this viewer knows, also those of other tabs. */
async function list() {
  const told = await ask("/bench/runs").catch(() => ({ runs: [] }));
  document.getElementById("past").hidden = !told.runs.length;
  document.getElementById("past-list").replaceChildren(...told.runs.map((run) => el("li", {},
    el("a", { href: `/bench?run=${run.id}` }, el("bdi", {}, run.name)),
    ` ${run.form.model} · ${run.status}`)));
}

function start() {
  const given = shown();
  const place = (text) => (text === null || !/^\d{1,6}$/.test(text) ? null : Number(text));
  const typed = Object.fromEntries(FIELDS.filter((field) => given.has(field)).map((field) => [field, given.get(field)]));
  const usual = given.has("source") ? "part" : KINDS[given.get("kind")]?.units ?? "word";
  const sent = { units: usual, ...typed };
  try {
    sent.pin = JSON.parse(given.get("pin") ?? "[]").filter((pin) => typeof pin === "string");
  } catch {
    sent.pin = [];
  }
  fill(sent);
  form.addEventListener("input", changed);
  form.elements.kind.addEventListener("change", () => fill({ units: KINDS[form.elements.kind.value].units }));
  document.getElementById("picture-file").addEventListener("change", (event) => upload(event.target.files[0]));
  form.addEventListener("submit", (event) => { event.preventDefault(); begin("run"); });
  beside.addEventListener("click", () => begin("beside"));
  for (const which of PLACES) {
    const id = given.get(which);
    if (id) open(which, id, { word: place(given.get(name(which, "word"))), sentence: place(given.get(name(which, "sentence"))) });
  }
  const cut = !given.has("prompt") || (given.get("kind") === "inputs" && !given.has("inputs")); // too long for an address
  if (cut && !given.has("source") && given.has("run")) {
    ask(`/bench/runs/${given.get("run")}`).then((run) => fill(run.form), () => {});
  }
  list();
}

if (form) start();
