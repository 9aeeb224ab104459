/** The shelf while one types: rows that do not match are hidden, and the address keeps what was typed. */

import { all, remember } from "./dom.js";

const search = document.querySelector("input[name=q]");
const rows = all("table.cards tbody tr");
const count = document.getElementById("count");
const button = document.getElementById("compare");

/** The same rule as the server's: every word stands somewhere in the row. */
function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of rows) {
    row.hidden = !words.every((word) => row.dataset.searched.includes(word));
    if (!row.hidden) shown += 1;
  }
  if (count) count.textContent = shown.toLocaleString("en") + count.dataset.after;
  remember({ q: search.value.trim() });
}

/** Two can be compared: a third tick takes the place of the one before. */
function pick(event) {
  const fixed = all("input[type=hidden][name=pick]").length;
  const ticked = all("input[type=checkbox][name=pick]:checked");
  if (ticked.length + fixed > 2) ticked.find((box) => box !== event.target).checked = false;
  if (button) button.disabled = fixed + all("input[type=checkbox][name=pick]:checked").length !== 2;
}

if (rows.length) {
  search.addEventListener("input", filter);
  for (const box of all("input[type=checkbox][name=pick]")) box.addEventListener("change", pick);
  pick({});
  // Going back, a browser ticks again what was ticked, and writes what was typed, after this script has run.
  addEventListener("pageshow", () => { pick({}); filter(); });
}
for (const choice of all("form.find select")) choice.addEventListener("change", () => choice.form.requestSubmit());
if (document.getElementById("waiting")) setTimeout(() => location.reload(), 300);
document.addEventListener("keydown", (event) => {
  if (search && event.key === "/" && document.activeElement === document.body) {
    event.preventDefault();
    search.focus();
  }
});
