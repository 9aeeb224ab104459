// The page side of whygen.bridges.widget: an ES module as anywidget loads it. It draws what the model holds and sets
// `target`, `estimand` and `unit` when a person chooses. Texts come from prompts and answers of anybody: they are set as
// text, and never as markup.

/** An element with attributes and children; a text among the children stays a text. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** A property that a style attribute would need a policy for. */
function stepped(made, step) {
  made.style.setProperty("--step", String(step));
  return made;
}

function render({ model, el }) {
  const root = element("section", { class: "whygen", "aria-label": "whygen explanation" });
  const heading = element("div", { class: "headline", "aria-live": "polite" });
  const facts = element("div", { class: "soft" });
  const choices = element("form", { class: "choices" });
  const trouble = element("p", { class: "trouble", role: "alert" });
  const prompt = element("p", { class: "prompt", dir: "auto" });
  const beside = element("div", { class: "beside", "aria-live": "polite" });
  const answer = element("blockquote", { dir: "auto" });
  const table = element("table");
  const all = element("details", {}, element("summary", {}, "All figures"), table);
  const split = element("button", { type: "button", onclick: () => choose("by_sentence", !model.get("by_sentence")) });
  const said = element("details", { open: true }, element("summary", {}, "What the model said"), answer, split);
  let lit = -1; // the sentence whose words are lit
  root.append(heading, facts, choices, trouble, prompt, beside, said, all);
  el.append(root);

  const choose = (name, value) => {
    model.set(name, value);
    model.save_changes();
  };

  function drawChoices() {
    const shown = model.get("shown");
    const id = `whygen-targets-${Math.random().toString(36).slice(2)}`;
    const target = element("input", { list: id, size: "22", value: model.get("target"), placeholder: shown.target, autocomplete: "off", spellcheck: "false" });
    const names = shown.estimands.map((name) =>
      element("option", { value: name, selected: name === (model.get("estimand") || shown.estimand) }, name));
    const estimand = element("select", { onchange: () => read() }, ...names);
    const read = () => {
      model.set("target", target.value);
      choose("estimand", estimand.value);
    };
    choices.onsubmit = (event) => {
      event.preventDefault();
      read();
    };
    choices.replaceChildren(
      element("label", {}, "target, such as contains:fox", target),
      element("datalist", { id }, ...shown.targets.map((name) => element("option", { value: name }))),
      element("label", {}, "estimand", estimand),
      element("button", { type: "submit" }, "Read the answers so"),
      element("span", { class: "soft" }, "no model is asked"),
    );
  }

  function drawShown() {
    const shown = model.get("shown");
    heading.textContent = shown.headline;
    facts.replaceChildren(...shown.facts.map((fact) =>
      element("div", {}, `${fact.question} `, element("b", {}, fact.figure), ` ${fact.caption}`)),
    ...shown.warnings.map((text) => element("div", {}, `⚠ ${text}`)));
    prompt.replaceChildren(...shown.pieces.map((piece) => drawPiece(piece, shown)));
    drawAnswer();
    table.replaceChildren(
      element("thead", {}, element("tr", {}, ...[shown.noun, "attribution", `${shown.level} interval`, "p"].map((name) =>
        element("th", { scope: "col" }, name)))),
      element("tbody", {}, ...shown.by_size.map((place) => {
        const unit = shown.units[place];
        return element("tr", { class: unit.significant ? "sure" : null },
          element("td", { dir: "auto" }, `${unit.short} ${unit.mark}`), element("td", {}, unit.attribution_text),
          element("td", {}, unit.interval_text), element("td", {}, unit.p_text));
      })));
    drawChoices();
    drawBeside();
  }

  function drawAnswer() {
    const sentences = model.get("sentences");
    if (!sentences.length) lit = -1;
    split.textContent = sentences.length ? "The answer as a whole" : "Which words brought each sentence?";
    if (!sentences.length) answer.textContent = model.get("shown").answer;
    else {
      answer.replaceChildren(...sentences.flatMap((sentence, place) => [element("button", {
        type: "button", class: "sentence", "aria-pressed": String(lit === place),
        onclick: () => { lit = lit === place ? -1 : place; drawAnswer(); },
      }, sentence.text), " "]));
    }
    light(sentences[lit]);
  }

  /** Colours of the words: those of a sentence, or those of the whole answer. */
  function light(sentence) {
    for (const button of prompt.querySelectorAll("button")) {
      const place = Number(button.dataset.unit);
      const whole = model.get("shown").units[place];
      const [sign, step, sure] = sentence ? sentence.units[place] : [whole.sign, whole.step, whole.significant];
      button.className = `${sign}${sure ? " sure" : ""}`;
      stepped(button, step);
    }
  }

  function drawPiece(piece, shown) {
    if (piece.kind !== "unit") return element("span", { class: piece.kind === "pinned" ? "pinned" : null }, piece.text);
    const unit = shown.units[piece.unit];
    const label = `${piece.text}, ${unit.attribution_text}${unit.significant ? "" : ", not told apart from noise"}`;
    const button = element("button", {
      type: "button", class: `${unit.sign}${unit.significant ? " sure" : ""}`, "aria-label": label, title: label,
      "aria-pressed": String(model.get("unit") === piece.unit), "data-unit": String(piece.unit),
      onclick: () => choose("unit", model.get("unit") === piece.unit ? -1 : piece.unit),
    }, piece.text);
    return stepped(button, unit.step);
  }

  function drawBeside() {
    const unit = model.get("unit");
    for (const button of prompt.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.unit) === unit));
    }
    const found = model.get("beside");
    const chosen = model.get("shown").units[unit];
    beside.hidden = !chosen || !found.sentence;
    if (beside.hidden) return;
    const side = (title, stretches) => element("div", {}, element("b", {}, title),
      element("p", { dir: "auto", tabindex: "0" }, ...stretches.map((stretch) => element(stretch.differs ? "mark" : "span", {}, stretch.text))));
    beside.replaceChildren(
      element("div", {}, element("b", {}, chosen.short), ` ${chosen.attribution_text} (${chosen.interval_text}). ${found.sentence}`),
      found.with ? element("div", { class: "sides" }, side("with it", found.with), side("without it", found.without)) : "",
    );
  }

  function drawTrouble() {
    trouble.textContent = model.get("trouble");
    trouble.hidden = !trouble.textContent;
  }

  const drawings = { shown: drawShown, beside: drawBeside, unit: drawBeside, trouble: drawTrouble, sentences: drawAnswer };
  for (const [name, draw] of Object.entries(drawings)) model.on(`change:${name}`, draw);
  drawShown();
  drawTrouble();
  return () => {
    for (const [name, draw] of Object.entries(drawings)) model.off(`change:${name}`, draw);
  };
}

export default { render };
