"""How fast the viewer is in headless Chromium: opening a large report, answering a pointer, a click, a search.

    python -m benchmarks.viewer

Makes explanations from a seed, serves them, and prints the median and the slowest of several rounds. A page counts as
open when it has been painted after its load event; a hover is answered when the figures of the word have been painted.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

UNITS, MASKS, SHELVED, ROUNDS, SEED = 500, 512, 500, 9, 5
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
HOVER = """word => {
  const at = document.querySelector(`.u[data-unit='${word}']`);
  window.took = new Promise(done => at.addEventListener("mouseover", event => requestAnimationFrame(() => {
    getComputedStyle(at, "::after").content;  // the figures are laid out
    setTimeout(() => done(performance.now() - event.timeStamp));  // and painted
  }), { once: true }));
}"""
CLICK = """async word => {
  const before = performance.now();
  document.querySelector(`.u[data-unit='${word}']`).click();
  while (!document.querySelector(".sheet .side")) await new Promise(requestAnimationFrame);
  await new Promise(requestAnimationFrame);
  return performance.now() - before;
}"""
TYPE = """async () => {
  const box = document.querySelector("input[name=q]"), before = performance.now();
  box.value = box.value ? "" : "word25";
  box.dispatchEvent(new Event("input"));
  await new Promise(requestAnimationFrame);
  await new Promise(done => setTimeout(done));
  return performance.now() - before;
}"""
PAINTED = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))))"
"""Milliseconds since the navigation began, when what was asked before has been painted."""


def answer(prompt: str) -> str:
    """A model of 500 words of which 20 matter: each brings a sentence of its own."""
    words = set(prompt.split())
    return (
        " ".join(f"Sentence {i} speaks of word{25 * i}." for i in range(20) if f"word{25 * i}" in words) or "Nothing."
    )


def explanations(folder: Path) -> None:
    """A report of 500 words and 512 perturbed prompts, and a shelf of 500 explanations."""
    import whygen

    prompt = " ".join(f"word{i}" for i in range(UNITS))
    found = whygen.explain_prompt(answer, prompt, budget=MASKS + 3, target="tfidf", seed=SEED)
    assert found.evidence is not None
    print(f"report: {len(found.units)} units, {len(found.evidence.masks)} perturbations")
    found.save(folder / "large")
    small = whygen.explain_prompt(answer, "word0 word25 and word50", budget=16, target="tfidf", seed=SEED)
    small.save(folder / "shelf" / "0")
    for i in range(1, SHELVED):
        shutil.copytree(folder / "shelf" / "0", folder / "shelf" / str(i))


def told(name: str, times: list[float], *, most: float | None = None) -> None:
    """A line: the median, the slowest, and what was asked for."""
    limit = "" if most is None else f"   asked: under {most:,.0f} ms: {'yes' if median(times) < most else 'NO'}"
    print(f"{name:<58} median {median(times):8.1f} ms   slowest {max(times):8.1f} ms{limit}")


def measure(door: str, address: str, large: str, browser: Any) -> None:
    """Print every figure."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    page = context.new_page()
    page.goto(door)
    page.wait_for_url(address + "/")

    def opened(path: str) -> float:
        page.goto(address + path, wait_until="load")
        return float(page.evaluate(PAINTED))

    first = opened(large)
    print(f"{'report, the first time (it is read from disk)':<58}        {first:8.1f} ms")
    told("report, opened", [opened(large) for _ in range(ROUNDS)], most=1000)
    rng = np.random.default_rng(SEED)
    told(
        "hover on a word, until its figures are painted",
        [_hover(page, int(i)) for i in rng.choice(60, ROUNDS)],
        most=50,
    )
    told("click on a word, until both answers are painted", [_click(page, int(i)) for i in rng.choice(60, ROUNDS)])
    told("shelf of 500, opened", [opened("/") for _ in range(ROUNDS)])
    told("shelf of 500, a letter typed", [_typed(page) for _ in range(ROUNDS)])
    context.close()


def _hover(page: Any, word: int) -> float:
    """From the pointer's event to the paint that follows; timed inside the page, without the driver's own way."""
    box = page.locator(f".u[data-unit='{word}']").bounding_box()
    page.mouse.move(5, 5)
    page.evaluate(HOVER, word)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    return float(page.evaluate("window.took"))


def _click(page: Any, word: int) -> float:
    page.keyboard.press("Escape")
    return float(page.evaluate(CLICK, word))


def _typed(page: Any) -> float:
    return float(page.evaluate(TYPE))


def served(folder: Path, then: Callable[[str, str, str], None]) -> None:
    """Serve a folder while ``then`` is called with the door, the address, and the path of the large report."""
    from whygen.web import serving
    from whygen.web.app import application
    from whygen.web.state import State

    listening = serving.listen(0)
    app = application([folder], token="benchmark")  # noqa: S106 - of a server that lives for a minute
    server = serving.server(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    large = next(p.id for p in State((folder,), "").look().places if p.shown == "large")
    try:
        then(f"{address}/?token=benchmark", address, f"/explanations/{large}")
    finally:
        server.should_exit = True
        thread.join(10)


def main() -> None:
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("needs a Chromium on this machine")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        explanations(Path(folder))
        browser = driver.chromium.launch(executable_path=chromium, args=QUIET)
        served(Path(folder), lambda door, address, large: measure(door, address, large, browser))
        browser.close()


if __name__ == "__main__":
    main()
