/**
 * The chosen anchors with their pictures or texts, one of them enlarged, their tags, and the list that is saved of them.
 */

import { all, ask, el } from "./dom.js";

const PAGE = 24;

/** The pictures of an anchor, or its text. */
export function shownOf(item) {
  if (item.text) return el("p", { class: "anchor-text", dir: "auto" }, item.prompt ? el("span", { class: "soft" }, `${item.prompt} → `) : null, item.text);
  if (!item.images.length) return el("p", { class: "small" }, item.values);
  return el("span", { class: "imgs" }, ...item.images.map((each) =>
    el("span", { class: "img" },
      el("img", { class: each.coarse ? "coarse" : null, src: each.png, width: each.width, alt: `${each.name} of ${item.name}` }),
      el("i", { "aria-hidden": "true" }, each.name))));
}

/** P-values and how often the verdict flips, as far as there is any. */
const figuresOf = (item) => (item.flip ? `${item.p}; flips ${item.flip}` : item.p);

export class Grid {
  /**
   * @param {string} address of the gallery
   * @param {Element} box
   * @param {Element} more the button that shows more of them
   * @param {HTMLDialogElement} zoom
   * @param {{group: function(number): Object, tag: function(number): string, retag: function(number[], string),
   *   change: function(number): string, opened: function(number|null), of: string, beside: {address: string, model: string}|null}} told
   */
  constructor(address, box, more, zoom, told) {
    Object.assign(this, { address, box, more, zoom, told });
    this.rows = [];
    this.known = new Map();
    more.addEventListener("click", () => this.#add());
    zoom.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (by && event.target.tagName !== "INPUT") this.#step(by);
    });
    zoom.addEventListener("click", (event) => { if (event.target === zoom) zoom.close(); });
    zoom.addEventListener("close", () => told.opened(null));
  }

  /** Show these rows, in this order. */
  async show(rows) {
    this.rows = rows;
    this.drawn = 0;
    this.run = Symbol("what is shown");
    this.box.replaceChildren();
    await this.#add();
  }

  async #add() {
    const { run } = this;
    const rows = this.rows.slice(this.drawn, this.drawn + PAGE);
    this.drawn += rows.length;
    this.more.hidden = this.drawn >= this.rows.length;
    this.more.textContent = `Show ${Math.min(PAGE, this.rows.length - this.drawn)} more`;
    if (!rows.length) return;
    const waiting = el("p", { class: "soft" }, "Reading …");
    this.box.append(waiting);
    try {
      const items = await this.items(rows, true);
      if (run === this.run) waiting.replaceWith(...items.map((item) => this.#card(item)));
    } catch (error) {
      if (run === this.run) waiting.replaceWith(el("p", { class: "warning", role: "alert" }, error.message));
    }
  }

  /** Anchors with what the viewer knows of them; asked for once. */
  async items(rows, near) {
    const key = (row) => `${row}${near ? "+" : ""}`;
    const unknown = rows.filter((row) => !this.known.has(key(row)));
    if (unknown.length) {
      const told = await ask(`${this.address}/anchors?rows=${unknown.join(",")}&near=${near}&of=${this.told.of}`);
      if (this.told.beside) await this.#addSecond(told, unknown);
      if (this.known.size > 3000) this.known.clear();
      for (const item of told) this.known.set(key(item.index), item);
    }
    return rows.map((row) => this.known.get(key(row)));
  }

  /** What the second model gave back, after what the first did. */
  async #addSecond(items, rows) {
    const { address, model } = this.told.beside;
    const others = await ask(`${address}/anchors?rows=${rows.join(",")}&near=false`);
    others.forEach((other, at) => {
      const [, returned] = other.images;
      if (returned) items[at].images.splice(2, 0, { ...returned, name: `by ${model}` });
      items[at].second = `${other.plain} (${other.group})`;
    });
  }

  #named(item) {
    const group = this.told.group(item.index);
    const dot = el("svg:svg", { width: 12, height: 12, class: "dot-key", "aria-hidden": "true" }, el("svg:circle", { cx: 6, cy: 6, r: 5, fill: group.colour }));
    return [el("b", { dir: "auto" }, item.name), " ", dot, group.plain, group.name === group.plain ? null : " ", group.name === group.plain ? null : el("span", { class: "code" }, group.name)];
  }

  #card(item) {
    const tag = this.told.tag(item.index);
    return el("button", { class: "pic opener", "data-row": item.index, onclick: () => this.open(item.index) },
      shownOf(item),
      el("span", { class: "cap" }, ...this.#named(item), el("br"), figuresOf(item),
        item.second ? el("span", { class: "second" }, el("br"), `${this.told.change(item.index) || "no change beyond noise"}; to the other: ${item.second}`) : null,
        tag ? el("span", { class: "tag mine" }, tag) : null));
  }

  /** Enlarge an anchor. */
  async open(row) {
    this.at = row;
    let item;
    try {
      [item] = await this.items([row], true);
    } catch (error) {
      this.zoom.replaceChildren(el("p", { class: "warning" }, error.message), this.#button("Close", () => this.zoom.close()));
      if (!this.zoom.open) this.zoom.showModal();
      return;
    }
    if (this.at !== row) return;
    this.told.opened(row);
    const held = this.zoom.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
    const field = el("input", { value: this.told.tag(row), maxlength: 200, "aria-label": "Tag of this anchor", placeholder: "tag", onchange: (event) => this.told.retag([row], event.target.value) });
    this.zoom.replaceChildren(...[
      el("h2", {}, ...this.#named(item)),
      el("div", { class: "large" }, shownOf(item)),
      el("p", { class: "small" }, figuresOf(item)),
      el("p", { class: "soft small" }, item.text ? null : "By the report's thresholds: ", item.why),
      item.second ? el("p", { class: "small" }, `To ${this.told.beside.model} it is: ${item.second}; ${this.told.change(row) || "no change beyond noise"}.`) : null,
      el("p", { class: "find" }, el("label", {}, "Tag ", field),
        this.#button("←", () => this.#step(-1), "The anchor before", this.#beside(-1) === null),
        this.#button("→", () => this.#step(1), "The anchor after", this.#beside(1) === null),
        this.#button("Close", () => this.zoom.close())),
    ].filter(Boolean));
    if (!this.zoom.open) this.zoom.showModal();
    // What had the focus was drawn anew: without it the next arrow key would go nowhere.
    const buttons = all("button:enabled", this.zoom);
    (buttons.find((each) => each.getAttribute("aria-label") === (held ?? "The anchor after")) ?? buttons[0]).focus();
  }

  #button(text, press, label, disabled = false) {
    return el("button", { class: "quiet", type: "button", "aria-label": label ?? text, disabled, onclick: press }, text);
  }

  /** The row before or after the enlarged one among those that are chosen; null: none. */
  #beside(by) {
    const at = this.rows.indexOf(this.at);
    return at < 0 ? null : this.rows[at + by] ?? null;
  }

  #step(by) {
    const next = this.#beside(by);
    if (next !== null) this.open(next);
  }

  /** Tags have changed: draw them anew. */
  retagged() {
    for (const card of this.box.querySelectorAll("[data-row]")) {
      const row = Number(card.dataset.row);
      card.querySelector(".mine")?.remove();
      const tag = this.told.tag(row);
      if (tag) card.querySelector(".cap").append(el("span", { class: "tag mine" }, tag));
    }
  }
}

/**
 * Save a list of rows as a file that a spreadsheet reads.
 * @param {string} address of the gallery
 * @param {string} of which anchors the page was opened for
 * @param {number[]} rows
 * @param {Map<number, string>} tags
 */
export async function save(address, of, rows, tags) {
  const wanted = Object.fromEntries(rows.filter((row) => tags.get(row)).map((row) => [row, tags.get(row)]));
  const answer = await fetch(`${address}/list?of=${of}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "text/csv, application/json" },
    body: JSON.stringify({ rows, tags: wanted }),
  });
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error ?? `The viewer answered ${answer.status}.`);
  const link = el("a", { href: URL.createObjectURL(await answer.blob()), download: "anchors.csv" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
