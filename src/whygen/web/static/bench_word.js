/** What is said of one word: its figures, the answers without it, what asking it alone costs, and a rule to keep it by. */

import { ask, el } from "./dom.js";
import { answers } from "./bench_marks.js";

/**
 * Open a word of a run that is over.
 * @param {import("./bench_run.js").RunView} view
 * @param {number} index of the word
 */
export async function showWord(view, index) {
  const unit = view.found.units[index];
  const panel = view.part.word;
  const body = el("div");
  const interval = unit.low === null ? "" : `, interval ${unit.interval_text}`;
  const verdict = unit.significant ? "It counts." : unit.low === null ? "How sure that is was not tested." : "That may be chance.";
  panel.hidden = false;
  panel.replaceChildren(...[
    el("h3", {}, `“${unit.text}”`),
    el("p", {}, `${unit.attribution_text}${interval}. ${verdict}`),
    view.form.source || regions(view) ? null : el("p", { class: "buttons" },
      view.found.one ? button("Delete it in the prompt", () => view.page.edit(view, index, { kind: "delete" })) : null,
      button("Always send it (pin)", () => view.page.edit(view, index, { kind: "pin" }))),
    body].filter(Boolean));
  let told;
  try {
    told = await ask(`/bench/runs/${view.id}/words/${index}`);
  } catch (error) {
    body.append(el("p", { class: "wrong" }, error.message));
    return;
  }
  if (view.open.word !== index) return; // another word was chosen meanwhile
  if (view.found.one) body.append(recorded(told.recorded), alone(view, index, ""));
  else body.append(el("p", { class: "soft" }, "It was asked of many inputs: each has answers of its own, which the page on the shelf shows."));
  if (view.found.one && !regions(view)) body.append(replaced(view, index));
  body.append(rules(view, index, told.rules));
}

/** Whether the parts are those of a picture, which has no text to change. */
const regions = (view) => view.form.units === "region";

const button = (text, act) => el("button", { type: "button", class: "quiet", onclick: act }, text);

/** The recorded answers to prompts without the word, one at a time. */
function recorded(each) {
  if (!each.length) return el("p", { class: "soft" }, "No answer without it is recorded.");
  const place = el("div");
  const which = el("span", { class: "soft small" });
  let at = 0;
  const show = () => {
    const one = each[at];
    const also = one.also.length ? `, and without ${one.also.map((text) => `“${text}”`).join(", ")}` : "";
    which.textContent = `${at + 1} of ${each.length}`;
    place.replaceChildren(answers(one, "With every word", `Without it${also}`), el("p", { class: "small soft" }, `It was asked: ${one.prompt || "(nothing)"}`));
  };
  const go = (by) => { at = (at + by + each.length) % each.length; show(); };
  show();
  const more = each.length > 1 ? el("p", { class: "buttons" }, button("Before", () => go(-1)), which, button("Next", () => go(1))) : null;
  return el("div", {}, el("h4", {}, "Answers with and without it, as recorded"), place, more);
}

/** Ask one prompt: the word alone left out, or another text in its place. The price stands on the button. */
function alone(view, index, put) {
  const result = el("div", { "aria-live": "polite" });
  const act = button("Leave out this word alone", async () => {
    act.disabled = true;
    try {
      const told = await ask(`/bench/runs/${view.id}/ask`, { unit: index, put });
      const caption = `${put ? `With “${put}” in its place` : "Without it"}${told.recorded ? " (recorded before)" : ""}`;
      result.replaceChildren(answers(told, "With every word", caption), el("p", { class: "small soft" }, `It was asked: ${told.prompt}`));
    } catch (error) {
      result.replaceChildren(el("p", { class: "wrong" }, error.message));
    }
    act.disabled = false;
  });
  if (put) act.textContent = `Ask with “${put}”`;
  ask(`/bench/runs/${view.id}/ask/price`, { unit: index, put }).then(
    (price) => { act.append(` (${price.text.replace(/\.$/, "")})`); },
    (error) => { result.replaceChildren(el("p", { class: "wrong" }, error.message)); act.disabled = true; });
  return el("div", {}, el("p", { class: "buttons" }, act), result);
}

/** Another text in the word's place: in one call, or in the prompt. */
function replaced(view, index) {
  const place = el("div");
  const input = el("input", { "aria-label": "Another text in its place", placeholder: "another text in its place", maxlength: "500" });
  const one = button("Ask once", () => { if (input.value) place.replaceChildren(alone(view, index, input.value)); });
  const edit = button("Put it into the prompt", () => { if (input.value) view.page.edit(view, index, { kind: "replace", put: input.value }); });
  return el("div", {}, el("div", { class: "row-of" }, input, one, view.form.source ? null : edit), place);
}

/** "Make this a test": rules of `whygen check` that hold now, and where they are written. */
function rules(view, index, offered) {
  if (!offered.length) return el("div");
  const result = el("div", { "aria-live": "polite" });
  const write = async (rule) => {
    try {
      const told = await ask(`/bench/runs/${view.id}/rule`, { unit: index, rule });
      result.replaceChildren(
        el("p", {}, `Written to ${told.file}. It holds now: ${told.verdict}.`),
        el("code", { class: "line" }, told.command));
    } catch (error) {
      result.replaceChildren(el("p", { class: "wrong" }, error.message));
    }
  };
  return el("div", {},
    el("h4", {}, "Make this a test"),
    ...offered.map((rule) => el("p", { class: "row-of" }, el("code", {}, rule), button("Write this rule", () => write(rule)))),
    result);
}
