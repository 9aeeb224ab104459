"""How fast the viewer is in headless Chromium: a large report, a shelf, and a gallery of 100,000 anchors.

    python -m benchmarks.viewer
    python -m benchmarks.viewer gallery    the gallery alone
    python -m benchmarks.viewer first      the first opening of the report, alone

Makes explanations from a seed, serves them, prints the median and the slowest of several rounds, and keeps both in
``results/viewer.json`` with how busy the machine was. A page counts as open when it has been painted after its load
event; a hover is answered when the figures of the word have been painted. First openings are those of a viewer that
was started for each of them, in a process of its own, two seconds after its shelf.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks import record

UNITS, MASKS, SHELVED, ROUNDS, FIRST, SEED = 500, 512, 500, 9, 4, 5
ANCHORS, REFERENCE, SIDE, LATENT = 100_000, 5_000, 24, 6
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
POINT = """async ([x, y]) => {
  const canvas = document.querySelector("canvas"), tip = document.querySelector("#tip");
  const box = canvas.getBoundingClientRect(), before = performance.now();
  tip.hidden = true;
  canvas.dispatchEvent(new PointerEvent("pointermove", { clientX: box.left + x, clientY: box.top + y, bubbles: true }));
  while (tip.hidden && performance.now() - before < 2000) await new Promise(done => setTimeout(done, 1));
  await new Promise(requestAnimationFrame);
  await new Promise(done => setTimeout(done));
  return performance.now() - before;
}"""
"""From the pointer's event until the picture of the anchor has been painted."""
DRAG = """async step => {
  const slider = document.querySelector("#thresholds input"), before = performance.now();
  slider.value = Number(slider.value) + step;
  slider.dispatchEvent(new Event("input", { bubbles: true }));
  await new Promise(requestAnimationFrame);
  await new Promise(done => setTimeout(done));
  const moved = performance.now() - before;
  const waits = () => document.querySelector("#shares .interval").textContent === "…";
  while (waits()) await new Promise(done => setTimeout(done, 2));
  return [moved, performance.now() - before];
}"""
"""Until groups and dots have been painted by the moved threshold, and until the intervals have."""
LASSO = """async share => {
  const canvas = document.querySelector("canvas"), box = canvas.getBoundingClientRect(), before = performance.now();
  const [x, y, w, h] = [60, 12, share * (box.width - 90), box.height - 60];
  const at = (kind, [left, top]) => canvas.dispatchEvent(new PointerEvent(kind, {
    clientX: box.left + left, clientY: box.top + top, bubbles: true, button: 0, pointerId: 1 }));
  canvas.setPointerCapture = () => {};  // there is no real pointer
  document.querySelector("#grid").replaceChildren();
  at("pointerdown", [x, y]);
  for (const corner of [[x + w, y], [x + w, y + h], [x, y + h]]) at("pointermove", corner);
  at("pointerup", [x, y + h]);
  const drawn = () => document.querySelectorAll("#grid img");
  while (!drawn().length || [...drawn()].some(img => !img.complete)) await new Promise(requestAnimationFrame);
  await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
  return performance.now() - before;
}"""
"""From the press of the pointer until the pictures of the first chosen anchors have been painted."""
MORE = """async () => {
  const drawn = () => document.querySelectorAll("#grid img"), had = drawn().length, before = performance.now();
  document.querySelector("#more").click();
  while (drawn().length === had || [...drawn()].some(img => !img.complete)) await new Promise(requestAnimationFrame);
  window.scrollTo(0, document.body.scrollHeight);
  await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
  return performance.now() - before;
}"""
"""From a click on "show more" until the page was scrolled down to the next pictures, and they have been painted."""
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


def anchors(folder: Path) -> None:
    """A gallery of 100,000 pictures, by a linear autoencoder."""
    import whygen
    from whygen.anchors.options import AnchorOptions
    from whygen.models.latent import Generator

    rng = np.random.default_rng(SEED)
    axes = np.linalg.qr(rng.normal(size=(SIDE * SIDE, LATENT)))[0].T.astype(np.float32)

    def pictures(n: int) -> np.ndarray:
        noise = rng.normal(0, 0.05, size=(n, SIDE * SIDE)) * rng.gamma(2, 1, size=(n, 1))
        whole = 0.5 + 2 * rng.normal(size=(n, LATENT)) @ axes + noise
        return (np.clip(whole, 0, 1) * 255).astype(np.uint8).reshape(n, SIDE, SIDE)

    model = Generator(
        encode=lambda x: (((x.reshape(len(x), -1) - 0.5) @ axes.T) / 2, np.full((len(x), LATENT), -4.0, np.float32)),
        decode=lambda z: np.clip(0.5 + 2 * z @ axes, 0, 1).astype(np.float32).reshape(-1, SIDE, SIDE),
        shape=(SIDE, SIDE), value_range=(0.0, 1.0), scale="logvar", uri="planted/linear",
    )  # fmt: skip
    # Distances are measured by the criteria alone: who stands for a group is not what is timed here.
    quick = AnchorOptions(controls="none", draws="mean", replicates=5, space="criteria")
    whygen.explain_anchors(
        model, pictures(ANCHORS), labels=rng.integers(10, size=ANCHORS), reference=pictures(REFERENCE), cache=None,
        preset=quick,
    ).save(folder / "anchors")  # fmt: skip
    print(f"gallery: {ANCHORS:,} anchors of {SIDE} by {SIDE}")


Told = list[dict[str, object]]
"""A row for each figure."""


def told(rows: Told, name: str, times: list[float], *, most: float | None = None) -> None:
    """A line, and a row: the median, the slowest, and what was asked for."""
    rows.append({
        "what": name, "median_ms": round(median(times), 1), "slowest_ms": round(max(times), 1), "rounds": len(times),
        "asked_ms": most, "load": round(os.getloadavg()[0], 1),
    })  # fmt: skip
    limit = "" if most is None else f"   asked: under {most:,.0f} ms: {'yes' if median(times) < most else 'NO'}"
    print(f"{name:<58} median {median(times):8.1f} ms   slowest {max(times):8.1f} ms{limit}")


def measure(rows: Told, door: str, address: str, ids: dict[str, str], *, browser: Any) -> None:
    """Every figure of what there is."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    page = context.new_page()
    page.goto(door)
    page.wait_for_url(address + "/")
    if "large" in ids:
        _report(rows, page, address, f"/explanations/{ids['large']}")
    if "anchors" in ids:
        _gallery(rows, page, f"{address}/gallery/{ids['anchors']}")
    context.close()


def first_openings(rows: Told, folder: Path, browser: Any) -> None:
    """The report opened in viewers that were just started, and then once more."""
    from whygen.web.state import State

    (place,) = State((folder / "large",), "").look().places
    command = [str(Path(sys.executable).parent / "whygen"), "view", str(folder / "large"), "--no-browser"]
    times: list[tuple[float, float]] = []
    for _ in range(FIRST):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as viewer:
            assert viewer.stdout is not None
            door = viewer.stdout.readline().strip()
            page = browser.new_page(viewport={"width": 1200, "height": 900})
            page.goto(door)
            page.wait_for_selector("h1")
            page.wait_for_timeout(2_000)
            address = f"{door.partition('/?')[0]}/explanations/{place.id}"
            times.append((_opened(page, address), _opened(page, address)))
            page.close()
            viewer.terminate()
    told(rows, "report, the first time in a new process", [first for first, _ in times], most=1000)
    told(rows, "report, the second time there", [second for _, second in times], most=1000)


def _opened(page: Any, address: str) -> float:
    page.goto(address, wait_until="load")
    return float(page.evaluate(PAINTED))


def _gallery(rows: Told, page: Any, gallery: str) -> None:
    """The gallery; once it has been read, which takes the time of its file."""

    def opened() -> float:
        page.goto(gallery, wait_until="load")
        page.wait_for_selector("[data-ready=yes]")
        return float(page.evaluate(PAINTED))

    told(rows, "gallery of 100,000, the first time (read from disk)", [opened()])
    told(rows, "gallery, opened, all dots painted", [opened() for _ in range(ROUNDS)], most=1000)
    rng = np.random.default_rng(SEED)
    spots = rng.uniform((90, 180), (300, 320), size=(ROUNDS, 2)).tolist()
    told(rows, "hover on a dot, until its picture is painted", [page.evaluate(POINT, spot) for spot in spots], most=50)
    drags = [page.evaluate(DRAG, -20 - step) for step in range(ROUNDS)]
    told(rows, "threshold moved, until groups and dots are painted", [moved for moved, _ in drags])
    told(rows, "threshold moved, until the intervals are", [settled for _, settled in drags])
    shares = rng.uniform(0.2, 1.0, size=ROUNDS).tolist()
    told(rows, "lasso, until the first chosen pictures are painted", [page.evaluate(LASSO, each) for each in shares])
    told(rows, "24 more pictures, scrolled to and painted", [page.evaluate(MORE) for _ in range(ROUNDS)])


def _report(rows: Told, page: Any, address: str, large: str) -> None:
    """A large report, and the shelf."""
    told(rows, "report, the first time (it is read from disk)", [_opened(page, address + large)])
    told(rows, "report, opened", [_opened(page, address + large) for _ in range(ROUNDS)], most=1000)
    rng = np.random.default_rng(SEED)
    told(
        rows,
        "hover on a word, until its figures are painted",
        [_hover(page, int(i)) for i in rng.choice(60, ROUNDS)],
        most=50,
    )
    told(
        rows, "click on a word, until both answers are painted", [_click(page, int(i)) for i in rng.choice(60, ROUNDS)]
    )
    told(rows, "shelf of 500, opened", [_opened(page, address + "/") for _ in range(ROUNDS)])
    told(rows, "shelf of 500, a letter typed", [_typed(page) for _ in range(ROUNDS)])


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


def served(folder: Path, then: Callable[[str, str, dict[str, str]], None]) -> None:
    """Serve a folder while ``then`` is called with the door, the address, and the ids of what lies in it."""
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
    ids = {place.shown: place.id for place in State((folder,), "").look().places}
    try:
        then(f"{address}/?token=benchmark", address, ids)
    finally:
        server.should_exit = True
        thread.join(10)


def main() -> None:
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("needs a Chromium on this machine")
    only, rows = sys.argv[1:2], Told()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        if only != ["gallery"]:
            explanations(Path(folder))
        if only != ["first"]:
            anchors(Path(folder))
        browser = driver.chromium.launch(executable_path=chromium, args=QUIET)
        if only != ["gallery"]:
            first_openings(rows, Path(folder), browser)
        if only != ["first"]:
            served(Path(folder), lambda door, address, ids: measure(rows, door, address, ids, browser=browser))
        browser.close()
    record.add_rows("viewer", rows, key=["what"])


if __name__ == "__main__":
    main()
