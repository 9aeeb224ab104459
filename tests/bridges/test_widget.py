"""The widget of a notebook: its Python side, and its page in a real browser, joined as anywidget joins them.

The page side is loaded from a blob as anywidget does, with a model of its protocol (`get`, `set`, `on`, `off`,
`save_changes`) whose changes go to the real widget object and whose answers come back from it.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

import whygen
from whygen.bridges import widget as room
from whygen.bridges.widget import ExplanationWidget
from whygen.errors import MissingExtraError, UsageError
from whygen.results import PromptExplanation

HOSTILE = "a fox </button><img src=x onerror=alert(1)> \u202e<b>ran</b> home"
MODEL = """
async ([esm, css, state]) => {
  const style = document.createElement("style");
  style.textContent = css;
  document.head.append(style);
  const url = URL.createObjectURL(new Blob([esm], { type: "text/javascript" }));
  const { default: widget } = await import(url);
  const heard = {};
  let dirty = {};
  const model = {
    get: (name) => state[name],
    set: (name, value) => {
      state[name] = dirty[name] = value;
      for (const f of heard[`change:${name}`] ?? []) f();
    },
    on: (name, f) => { (heard[name] ??= []).push(f); },
    off: (name, f) => { heard[name] = (heard[name] ?? []).filter((g) => g !== f); },
    save_changes: async () => {
      const sent = dirty;
      dirty = {};
      const back = await window.kernel(sent);
      Object.assign(state, back);
      for (const name of Object.keys(back)) for (const f of heard[`change:${name}`] ?? []) f();
    },
  };
  window.ended = widget.render({ model, el: document.querySelector("main") });
  window.listeners = () => Object.values(heard).flat().length;
}
"""
TRAITS = ("shown", "target", "estimand", "unit", "beside", "by_sentence", "sentences", "trouble")


@pytest.fixture(scope="module")
def explanation() -> PromptExplanation:
    return whygen.explain_prompt("planted/redundant", HOSTILE, target="token-set", budget=32, cache=None)


def opened(browser: Browser, widget: ExplanationWidget, *, width: int = 1200) -> Page:
    page = browser.new_page(viewport={"width": width, "height": 700})

    def kernel(sent: dict[str, Any]) -> dict[str, Any]:
        before = {name: getattr(widget, name) for name in TRAITS}
        with widget.hold_trait_notifications():  # as ipywidgets applies what a page sends
            for name, value in sent.items():
                setattr(widget, name, value)
        return {name: getattr(widget, name) for name in TRAITS if getattr(widget, name) != before[name]}

    page.expose_function("kernel", kernel)
    page.set_content("<!doctype html><html lang=en><title>widget</title><main><h1>Notebook</h1></main></html>")
    esm, css = (str(getattr(ExplanationWidget, name)) for name in ("_esm", "_css"))
    page.evaluate(MODEL, [esm, css, {name: getattr(widget, name) for name in TRAITS}])
    return page


def test_another_target_is_read_without_a_call_and_a_wrong_one_says_why(explanation: PromptExplanation) -> None:
    widget = explanation.view("widget")
    assert isinstance(widget, ExplanationWidget)
    widget.target = "edit"
    assert widget.shown["target"] == "edit"
    assert widget.reading == explanation.read(target="edit")
    assert widget.reading.calls.made == 0
    widget.target = "logprob"
    assert "needs other calls" in widget.trouble
    assert widget.shown["target"] == "edit"  # what was shown stays
    widget.target = ""
    assert (widget.trouble, widget.reading is explanation) == ("", True)


def test_a_word_that_no_mask_lacks_and_a_number_of_no_unit_show_nothing_false(explanation: PromptExplanation) -> None:
    widget = ExplanationWidget(explanation)
    widget.unit = 10_000
    assert widget.beside == {}
    widget.unit = 0
    assert re.search(r"in \d+ of \d+ answers with it, in \d+ of \d+ without it", widget.beside["sentence"])
    without = ExplanationWidget(PromptExplanation.model_validate(explanation.to_dict()))
    without.unit = 0
    assert without.beside == {}
    with pytest.raises(UsageError, match="explanation of a prompt"):
        ExplanationWidget(whygen)


def test_without_anywidget_the_message_names_the_extra(
    explanation: PromptExplanation, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "anywidget", None)
    monkeypatch.delitem(sys.modules, room.__name__)
    with pytest.raises(MissingExtraError, match=r"pip install 'whygen\[notebook\]'"):
        explanation.view("widget")


@pytest.mark.browser
def test_a_click_shows_both_answers_and_hostile_text_stays_text(
    browser: Browser, explanation: PromptExplanation
) -> None:
    widget = ExplanationWidget(explanation)
    page = opened(browser, widget)
    said: list[str] = []
    page.on("dialog", lambda dialog: said.append(dialog.message))
    expect(page.locator(".prompt button").first).to_have_text("a")
    assert page.locator("main img").count() == 0
    assert "<img" in page.locator(".prompt").inner_text().replace(" ", "")
    assert "\u202e" not in page.content()
    page.locator(".prompt button", has_text="fox").click()
    expect(page.locator(".beside")).to_contain_text("without it")
    assert widget.unit == 1
    assert page.locator(".beside .sides p").count() == 2
    page.locator(".prompt button", has_text="fox").press("Enter")  # the same again puts it away
    expect(page.locator(".beside")).to_be_hidden()
    assert said == []
    page.close()


@pytest.mark.browser
def test_the_page_reads_by_another_target_and_leaves_no_listener(
    browser: Browser, explanation: PromptExplanation
) -> None:
    widget = ExplanationWidget(explanation)
    page = opened(browser, widget, width=400)
    page.get_by_label("target, such as").fill("edit")
    page.get_by_label("estimand").select_option("local")
    page.get_by_role("button", name="Read the answers so").click()
    expect(page.get_by_label("target, such as")).to_have_attribute("placeholder", "edit")
    assert (widget.reading.target.name, widget.reading.estimand) == ("edit", "local")
    page.get_by_label("target, such as").fill("logprob")
    page.get_by_label("target, such as").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("needs other calls")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.evaluate("window.ended()")
    assert page.evaluate("window.listeners()") == 0
    page.close()


@pytest.mark.browser
def test_a_sentence_of_the_answer_lights_its_words(browser: Browser) -> None:
    told = whygen.explain_prompt("planted/additive", "a fox and soup", target="tfidf", budget=32, cache=None)
    page = opened(browser, ExplanationWidget(told))
    page.get_by_role("button", name="Which words brought each sentence?").click()
    page.locator(".sentence", has_text="fox").click()
    expect(page.locator(".sentence", has_text="fox")).to_have_attribute("aria-pressed", "true")
    steps = {word: page.locator(".prompt button", has_text=word).get_attribute("style") for word in ("fox", "soup")}
    assert steps["fox"] == "--step: 8;"  # as dark as can be
    assert steps["soup"] != steps["fox"]
    page.get_by_role("button", name="The answer as a whole").click()
    expect(page.locator(".sentence")).to_have_count(0)
    page.close()


@pytest.mark.browser
def test_the_page_has_no_fault_that_axe_knows(browser: Browser, explanation: PromptExplanation) -> None:
    widget = ExplanationWidget(explanation)
    widget.unit = 1
    page = opened(browser, widget)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.close()
