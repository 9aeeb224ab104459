/**
 * One run on the bench: what it has found so far, what it costs, and in the end its words and sentences.
 * The run belongs to the server: this view only listens, and a view made anew hears all of it again.
 */

import { ask, el } from "./dom.js";
import { bars, buttonsOf, colour, isSure } from "./bench_marks.js";
import { showWord } from "./bench_word.js";

const WHOLE = "Choose a sentence to see its own words.";
/** What is said where the run itself says nothing. */
const ENDED = { failed: "The run failed.", stopped: "The run ended early.", done: "" };

/** An answer: a text, or a picture. */
const said = (told) => (told.picture
  ? el("p", {}, el("img", { class: "given", src: told.picture, alt: "What it drew" }))
  : el("blockquote", { class: "output", tabindex: "0", dir: "auto" }, told.answer || "(an empty answer)"));

export class RunView {
  /**
   * @param {string} id of the run
   * @param {Object} page what the page does: `edit(change)`, `again(form)`, `chosen(name, value)`, `over(view)`
   * @param {{word: number|null, sentence: number|null}} open what is open from the beginning
   */
  constructor(id, page, open) {
    this.id = id;
    this.page = page;
    this.open = open;
    this.form = null;
    this.found = null;
    this.words = [];
    this.part = {
      top: el("p", { class: "top-line" }),
      title: el("h2", {}, "…"),
      said: el("p", { class: "wrong", role: "alert", hidden: true }),
      progress: el("progress", { max: 1, value: 0, "aria-label": "Calls" }),
      cost: el("p", { class: "cost" }),
      stop: el("button", { type: "button", class: "quiet", onclick: () => this.stop() }, "Stop: this is enough"),
      again: el("button", { type: "button", hidden: true, onclick: () => page.again(this.form) }, "Go on"),
      prompt: el("div"),
      notices: el("div"),
      looking: el("p", { class: "looking" }),
      bars: el("div"),
      answer: el("div", { hidden: true }),
      word: el("div", { class: "word", hidden: true }),
      status: el("p", { class: "hidden", role: "status" }),
    };
    const part = this.part;
    this.section = el("section", { class: "card run", "aria-label": page.name }, part.top, part.title, part.notices, part.said, part.progress,
      part.cost, el("p", { class: "buttons" }, part.stop, part.again), part.prompt, part.word, part.looking, part.bars, part.answer, part.status);
  }

  /** Listen until the run is over. Whoever was away hears what was missed; the browser says how far it heard. */
  async begin() {
    let run;
    try {
      run = await ask(`/bench/runs/${this.id}`);
    } catch (error) {
      this.fail(error.message);
      return;
    }
    this.form = run.form;
    this.part.top.append(el("span", { class: "uri" }, run.form.model), el("span", {}, run.quote.text));
    this.part.title.textContent = "Asking …";
    this.source = new EventSource(`/bench/runs/${this.id}/events`);
    const on = (kind, act) => this.source.addEventListener(kind, (event) => act(JSON.parse(event.data)));
    on("asking", () => { this.part.title.textContent = "Asking for the answer to the whole prompt …"; });
    on("began", (told) => this.began(told));
    on("calls", (told) => this.counted(told));
    on("note", (told) => { this.part.looking.textContent = told.text; });
    on("promise", (told) => { this.part.looking.textContent = told.text; });
    on("look", (told) => this.looked(told));
    on("over", (told) => this.over(told));
    this.source.onerror = () => {
      // A browser tries a line that broke again, and gives up one that was refused: a viewer that was started anew has another token.
      const refused = this.source.readyState === EventSource.CLOSED;
      this.part.cost.textContent = refused
        ? "The viewer no longer lets this page in: it was started anew. Open the address that it printed then. What was answered is recorded, and the same question goes on from there."
        : "The viewer does not answer; this page tries again. The run goes on as long as the viewer does.";
      this.part.stop.hidden = refused;
    };
    if (run.status === "waiting") this.part.title.textContent = "Waits: the model is answering another run, or is being opened.";
  }

  /** Listen no more. The run goes on. */
  close() {
    this.source?.close();
    this.section.remove();
  }

  async stop() {
    this.part.stop.disabled = true;
    this.part.stop.textContent = "Stopping: what is on its way is recorded";
    try {
      await ask(`/bench/runs/${this.id}/stop`, {});
    } catch (error) {
      this.fail(error.message);
    }
  }

  fail(text) {
    this.part.said.hidden = false;
    this.part.said.textContent = text;
    this.part.stop.hidden = true;
    this.part.progress.hidden = true;
    this.part.title.textContent = "There is nothing to show.";
  }

  draw(pieces) {
    const { nodes, buttons } = buttonsOf(pieces, "u", (unit) => this.choose("word", unit));
    buttons.forEach((word) => word.append(el("sup", { "aria-hidden": "true" })));
    this.words = buttons;
    this.texts = buttons.map((word) => word.firstChild.textContent);
    this.part.prompt.replaceChildren(el("p", { class: "prompt", dir: "auto" }, ...nodes));
  }

  began(told) {
    this.draw(told.pieces);
    const which = told.of > 1 ? `${told.number} of ${told.of}: ` : "";
    this.part.title.textContent = `${which}The words get their colours as answers come.`;
    this.part.answer.hidden = false;
    this.part.answer.replaceChildren(el("h3", {}, "What it answered"), said(told));
    this.part.looking.textContent = told.looks ? "No word is known yet." : "So few prompts are asked that only the end says something.";
  }

  counted(told) {
    const done = told.made + told.cached;
    this.part.progress.max = told.of;
    this.part.progress.value = done;
    const recorded = told.cached ? ` (${told.cached} were recorded and cost nothing)` : "";
    this.part.cost.textContent = `${done} of ${told.of} calls${recorded}${told.spent ? ` · ${told.spent}` : ""}`;
  }

  looked(told) {
    const sure = told.values.map((_, i) => told.low !== null && isSure(told.low[i], told.high[i]));
    this.last = told;
    colour(this.words, told.values, told.low, told.high, sure);
    this.part.bars.replaceChildren(bars(this.texts.map((text, i) => ({
      text, value: told.values[i], low: told.low?.[i] ?? null, high: told.high?.[i] ?? null, sure: sure[i],
    }))));
    const many = sure.filter(Boolean).length;
    this.part.looking.textContent = told.level === null
      ? `Look ${told.number} of ${told.of}, after ${told.answered} of ${told.masks} prompts: a first idea, of which nothing says yet how sure it is.`
      : `Look ${told.number} of ${told.of}, after ${told.answered} of ${told.masks} prompts. You look several times, so each interval is drawn at `
        + `${(100 * told.level).toFixed(1)}%: with 95%, none of a word's ${told.of} intervals misses, whenever you stop.`;
    this.part.status.textContent = `${many} of ${sure.length} words are sure after ${told.answered} prompts.`;
  }

  async over(told) {
    this.source.close();
    this.status = told.status;
    this.part.stop.hidden = true;
    this.part.progress.hidden = true;
    this.part.again.hidden = told.status === "done";
    this.part.again.textContent = "Go on: what was answered costs nothing";
    const said = told.said || ENDED[told.status];
    this.part.said.hidden = !said;
    this.part.said.textContent = said;
    if (!told.explained) {
      this.part.title.textContent = "There is nothing to show.";
      this.part.looking.textContent = "";
      this.page.over(this);
      return;
    }
    const run = await ask(`/bench/runs/${this.id}`);
    this.found = run.found;
    if (run.many) this.list(run);
    else this.finish(run);
    this.page.over(this);
  }

  /** Many prompts: a line for each, which leads to its own page. */
  list(run) {
    this.part.title.textContent = run.many.headline;
    this.part.status.textContent = run.many.headline;
    this.part.looking.textContent = run.many.notes.join(" ");
    this.part.answer.hidden = true;
    this.part.bars.replaceChildren();
    this.part.prompt.replaceChildren(
      el("ol", { class: "past many" }, ...run.many.lines.map((line) => el("li", {},
        line.shelf ? el("a", { href: line.shelf }, el("bdi", {}, line.prompt)) : el("bdi", {}, line.prompt), " ",
        el("span", { class: line.failed ? "wrong" : "soft" }, line.said)))),
      el("p", {}, el("a", { href: run.shelf }, "All of them on one page, with what they share")));
  }

  finish(run) {
    const found = run.found;
    this.part.title.textContent = found.headline;
    // The parts of levels, and the template of many inputs, are known in the end alone.
    if (this.words.length !== found.units.length || !found.one) this.draw(found.pieces);
    this.part.answer.hidden = false;
    this.part.answer.replaceChildren(el("h3", {}, "What it answered"), said(found));
    this.whole();
    const few = found.units.every((unit) => unit.low === null) ? "" : ` Intervals: ${found.level}, each by itself.`;
    const looked = found.ended === "interrupt" && this.last
      ? " You stopped while you looked: these intervals are those of a moment chosen beforehand. The wider ones that were shown during the run hold whenever one stops."
      : "";
    this.part.looking.textContent = `${found.meaning ?? ""}${few}${looked}`;
    this.part.status.textContent = found.headline;
    const facts = el("dl", { class: "made" }, ...found.facts.map((fact) => el("div", {}, el("dt", {}, fact.question), el("dd", {}, fact.text))));
    const warnings = found.warnings.filter((warning) => warning.code !== "ended-early").map((warning) => el("p", { class: "warning" }, warning.text));
    const links = run.shelf ? el("p", {}, el("a", { href: run.shelf }, "All of it, on the shelf")) : null;
    this.part.notices.replaceChildren(...warnings);
    this.part.bars.append(el("details", {}, el("summary", {}, "How sure, how well it predicts, how much is noise"), facts), links ?? "");
    this.sentences();
    if (this.open.word !== null) this.choose("word", this.open.word);
  }

  /** Mark the words that changed against another run: the i-th of a text is the i-th of it there. */
  flag(pairs) {
    const seen = {};
    for (const pair of pairs) {
      const nth = (seen[pair.text] = (seen[pair.text] ?? -1) + 1);
      const word = this.words.filter((_, i) => this.texts[i] === pair.text)[nth];
      if (word && pair.changed) word.dataset.changed = `changed by ${pair.difference} (${pair.interval})`;
    }
    this.whole();
  }

  /** Colours and bars of the whole answer. */
  whole() {
    const units = this.found.units;
    this.paint(units.map((unit) => ({ text: unit.text, value: unit.attribution, low: unit.low, high: unit.high, sure: Boolean(unit.significant) })));
  }

  paint(words) {
    const column = (name) => words.map((word) => word[name]);
    colour(this.words, column("value"), column("low"), column("high"), column("sure"));
    const table = bars(words);
    const old = this.part.bars.querySelector("table");
    if (old) old.replaceWith(table);
    else this.part.bars.prepend(table);
  }

  /** The answer as sentences that can be chosen; each has words of its own, read from the answers there are. */
  async sentences() {
    const read = await ask(`/bench/runs/${this.id}/sentences`);
    if (read.trouble) return; // an answer that has no sentences stays as it is
    const { nodes, buttons } = buttonsOf(read.pieces, "sentence", (index) => this.choose("sentence", index));
    this.read = read;
    this.buttons = buttons;
    this.of = el("p", { class: "small soft" }, WHOLE);
    this.part.answer.replaceChildren(el("h3", {}, "What it answered"), el("p", { class: "output", dir: "auto" }, ...nodes), this.of);
    if (this.open.sentence !== null) this.choose("sentence", this.open.sentence);
  }

  /** A word or a sentence was chosen; the same again closes it. */
  choose(kind, index) {
    if (!this.found) return;
    const buttons = kind === "word" ? this.words : this.buttons;
    if (!buttons || index >= buttons.length) return;
    const opens = buttons[index].getAttribute("aria-pressed") !== "true";
    buttons.forEach((button, i) => {
      button.setAttribute("aria-pressed", String(opens && i === index));
      button.setAttribute("tabindex", i === index ? "0" : "-1");
    });
    this.open[kind] = opens ? index : null;
    this.page.chosen(this, kind, opens ? index : null);
    if (kind === "sentence") this.lightUp(opens ? index : null);
    else if (opens) showWord(this, index);
    else this.part.word.hidden = true;
  }

  lightUp(sentence) {
    if (sentence === null) {
      this.whole();
      this.of.textContent = WHOLE;
      return;
    }
    const at = (rows, i) => rows?.[i]?.[sentence] ?? null;
    const read = this.read;
    this.paint(this.found.units.map((unit, i) => ({
      text: unit.text, value: at(read.values, i), low: at(read.low, i), high: at(read.high, i), sure: Boolean(at(read.sure, i)),
    })));
    this.of.textContent = `The colours are those of this sentence alone, by the same answers (${read.by}). Choose it again for the whole answer.`;
    this.part.status.textContent = "The words of this sentence are coloured.";
  }
}
