/** Buttons that copy a text of the page: shown where there is a script to do it. */

import { all } from "./dom.js";

for (const button of all("[data-copies]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const text = document.getElementById(button.dataset.copies);
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(text); // without the right to the clipboard, it is there to be copied by hand
    }
  });
}
