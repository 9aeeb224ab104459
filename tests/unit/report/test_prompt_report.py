"""The report of a prompt: a dict that is JSON, a page that needs nothing, a terminal that nothing can command."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import re
import sys
from base64 import b64encode
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from example_explanations import STORY, prompt_explanation
from whygen import report
from whygen.errors import MissingExtraError, StoreError, UsageError
from whygen.report.html import EMBEDDED_ID
from whygen.results import PromptExplanation
from whygen.results.evidence import Sample
from whygen.results.prompt import Calls, IntervalRecord, Reference, TargetRecord, UnitAttribution, Warned
from whygen.results.records import AnswerSets, OutputSentence, SentenceMatrix, UnitSet
from whygen.results.summary import print_terminal, summarise, write_html

HOSTILE = (
    "</script><script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31m\u202e{{ 7*7 }}\x00[bold]\ud800' \"&amp;"
)
VOID = {"meta", "br", "img", "input", "link", "hr"}


class Reader(HTMLParser):
    """Tags in balance, and what there is of them."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.embedded = ""
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.embedded += data
        elif "style" not in self.open:
            self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    return reader


def page_of(explanation: PromptExplanation) -> str:
    return report.html(summarise(explanation))


def words_of(explanation: PromptExplanation) -> str:
    """The text of the page, with single spaces."""
    return " ".join(read(page_of(explanation)).text.split())


def printed(explanation: PromptExplanation, *, width: int = 100, **options: Any) -> str:
    stream = io.StringIO()
    print_terminal(explanation, Console(file=stream, width=width, **options))
    return stream.getvalue()


def hostile() -> PromptExplanation:
    prompt = f"Say {HOSTILE.encode('utf-8', 'replace').decode()} now"
    explanation = prompt_explanation(prompt=prompt, pinned=(), pairs=6)
    assert explanation.evidence is not None
    samples = tuple(
        Sample(s.kind, s.mask, s.draw, s.prompt + HOSTILE, HOSTILE, "stop", s.effect)
        for s in explanation.evidence.samples
    )
    evidence = type(explanation.evidence)(
        explanation.evidence.masks, explanation.evidence.effects, explanation.evidence.predicted,
        explanation.evidence.groups, samples,
    )  # fmt: skip
    return explanation.model_copy(
        update={
            "evidence": evidence,
            "model": HOSTILE,
            "design": HOSTILE,
            "reference": Reference.model_construct(text=HOSTILE, n=1),
            "target": TargetRecord.model_construct(name=HOSTILE, distance=HOSTILE, unit=HOSTILE),
            "warnings": (Warned.model_construct(code=HOSTILE, text=HOSTILE),),
            "versions": {HOSTILE: HOSTILE},
            "settings": {HOSTILE: HOSTILE},
        }
    )


def many(count: int) -> PromptExplanation:
    prompt = " ".join(f"word{i}" for i in range(count))
    return prompt_explanation(prompt=prompt, pinned=(), pairs=8)


def with_readings(explanation: PromptExplanation, *, text: str = "A fox slept.") -> PromptExplanation:
    """With a matrix of two sentences and one set of units of each kind."""
    n = len(explanation.units)
    values = np.linspace(-1, 1, 2 * n).reshape(n, 2)
    rows = [tuple(tuple(row) for row in (values + shift).tolist()) for shift in (0.0, -0.1, 0.1)]
    one = UnitSet.model_construct(units=(0,), texts=(text,), effect=-0.5, row=0, prompt=text, output=text, minimal=True)
    matrix = SentenceMatrix.model_construct(
        sentences=tuple(OutputSentence.model_construct(text=text, start=0, end=9) for _ in range(2)),
        target=TargetRecord.model_construct(name="tfidf", distance=text, unit=text),
        attributions=rows[0], low=rows[1], high=rows[2], left_out=3,
    )  # fmt: skip
    sets = AnswerSets.model_construct(threshold=-0.2, rule=text, changing=(one,), keeping=(), calls=4)
    return explanation.model_copy(update={"matrix": matrix, "sets": sets})


def plain(**changes: Any) -> PromptExplanation:
    return prompt_explanation(pairs=12, **changes)


SHAPES = {
    "whole": plain,
    "json alone": lambda: plain(evidence=None, settings={}, pinned=(), surrogate=""),
    "no interval": lambda: plain(
        units=tuple(
            u.model_copy(update={"low": None, "high": None, "p_value": None, "significant": False})
            for u in plain().units
        )
    ),
    "all zero": lambda: plain(
        units=tuple(u.model_copy(update={"attribution": 0.0, "low": 0.0, "high": 0.0}) for u in plain().units)
    ),
    "no unit": lambda: plain(units=(), evidence=None),
    "one unit": lambda: prompt_explanation(prompt="fox", pinned=(), pairs=6),
    "sixty": lambda: many(60),
    "six hundred": lambda: many(600),
    "nothing said": lambda: plain(reference=Reference(text="", n=3)),
    "matrix and sets": lambda: with_readings(plain()),
    "matrix of sixty": lambda: with_readings(many(70)),
    "hostile": hostile,
    "hostile readings": lambda: with_readings(hostile(), text=HOSTILE),
}


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_is_shown(name: str, tmp_path: Path) -> None:
    explanation = SHAPES[name]()
    summary = summarise(explanation)
    json.dumps(summary, allow_nan=False)
    reader = read(report.html(summary))
    assert json.loads(reader.embedded) == explanation.to_dict()
    for width in (24, 60, 100, 200):
        assert max(len(line) for line in printed(explanation, width=width).splitlines()) <= width
    assert write_html(explanation, tmp_path / "a" / "r.html").read_text(encoding="utf-8") == report.html(summary)


def test_a_page_loads_and_runs_nothing() -> None:
    page = page_of(hostile())
    reader = read(page)
    kinds = [(tag, attrs.get("type")) for tag, attrs in reader.tags if tag == "script"]
    assert kinds == [("script", "application/json")]
    assert not {tag for tag, _ in reader.tags} & {"link", "iframe", "img", "object", "embed", "form", "base"}
    for _, attributes in reader.tags:
        assert not any(name.startswith("on") or name in ("src", "style", "srcdoc") for name in attributes)
        assert (attributes.get("href") or "#").startswith("#")  # a word leads to its place in the page
    assert not re.search(r"url\(|@import|https?://", re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL))


def test_the_policy_allows_this_style_sheet_alone() -> None:
    page = page_of(plain())
    style = re.findall(r"<style>(.*?)</style>", page, flags=re.DOTALL)
    assert len(style) == 1
    digest = b64encode(hashlib.sha256(style[0].encode()).digest()).decode()
    assert f"default-src &#39;none&#39;; style-src &#39;sha256-{digest}&#39;" in page


def test_hostile_text_is_seen_and_inert() -> None:
    page = page_of(hostile())
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert not set(page) & {"\x1b", "\u202e", "\x00", "\ud800"}
    text = read(page).text
    for seen in ("</script><script>alert(1)", "⟨U+001B⟩[31m⟨U+202E⟩{{ 7*7 }}⟨U+0000⟩[bold]⟨U+D800⟩"):
        assert seen in text
    page.encode()


def test_hostile_text_commands_no_terminal() -> None:
    text = printed(hostile(), force_terminal=True, color_system="truecolor", no_color=False)
    assert "\x00" not in text
    assert "\u202e" not in text
    assert set(re.findall(r"\x1b(.)", text)) == {"["}
    bare = printed(hostile(), force_terminal=False)
    assert "\x1b" not in bare
    assert "[bold]" in bare
    assert "⟨U+001B⟩[31m" in bare


def test_a_long_output_is_cut_with_a_note() -> None:
    explanation = plain(reference=Reference(text="x" * 100_000, n=1))
    assert "96,000 more characters" in read(page_of(explanation)).text
    assert "99,400 more characters" in " ".join(printed(explanation).split())
    assert json.loads(read(page_of(explanation)).embedded)["reference"]["text"] == "x" * 100_000


def test_what_was_not_tested_is_not_called_noise() -> None:
    explanation = SHAPES["no interval"]().model_copy(
        update={"interval": IntervalRecord(level=0.95, method="none: leave-one-out draws each mask once")}
    )
    for text in (read(page_of(explanation)).text, " ".join(printed(explanation).split())):
        assert "“fox” pulls most strongly towards this output; how sure that is was not tested." in text
        assert "No interval: leave-one-out draws each mask once." in text
        assert "not tested against noise" in text
        for claim in ("stands out", "stand out", "not told apart from noise", "Thin lines"):
            assert claim not in text
    assert "It has no interval." in page_of(SHAPES["no interval"]())
    still = tuple(unit.model_copy(update={"attribution": 0.0}) for unit in explanation.units)
    assert "No word changed this output" in page_of(explanation.model_copy(update={"units": still}))


def banded(reach: float) -> PromptExplanation:
    """With a band that reaches so far to both sides of every attribution."""
    units = tuple(
        u.model_copy(update={"band_low": u.attribution - reach, "band_high": u.attribution + reach})
        for u in plain().units
    )
    return plain(units=units)


def test_the_band_is_drawn_and_told_where_there_is_one() -> None:
    """A reader who picks the largest of many units must see what holds for all of them at once."""
    assert "Read all at once" not in words_of(plain())
    assert "Read all at once" not in printed(plain())
    sizes = sorted((abs(u.attribution) for u in plain().units), reverse=True)
    first = banded((sizes[0] + sizes[1]) / 2)
    told = "Read all at once (95% band), “fox” keeps its sign."
    assert told in words_of(first)
    assert told in " ".join(printed(first).split())
    assert page_of(first).count('class="band"') == 2 * len(first.units)
    assert "Read all at once (95% band), none keeps its sign." in words_of(banded(10.0))


def test_the_axis_has_room_for_the_band() -> None:
    axis = summarise(banded(10.0))["axis_range"]
    assert axis["low"] < -9.0
    assert axis["high"] > 9.0


def test_what_was_taken_away_is_struck_through() -> None:
    summary = summarise(plain())
    row = next(row for row in summary["samples"]["rows"] if not row["kind"])
    assert "".join(part["text"] for part in row["parts"]) == STORY
    gone = {part["text"] for part in row["parts"] if part["state"] == "gone"}
    explanation = plain()
    assert explanation.evidence is not None
    mask = explanation.evidence.masks[0]
    assert gone == {unit.text for unit, kept in zip(explanation.units, mask, strict=True) if not kept}


def test_a_mask_that_is_not_the_samples_is_not_used() -> None:
    explanation = plain()
    assert explanation.evidence is not None
    e = explanation.evidence
    shifted = type(e)(np.roll(e.masks, 1, axis=0), e.effects, e.predicted, e.groups, e.samples)
    rows = summarise(explanation.model_copy(update={"evidence": shifted}))["samples"]["rows"]
    sent = [sample.prompt for sample in e.samples]
    assert [row["parts"][0]["text"] for row in rows if row["parts"][0]["state"] == "sent"][3:5] == sent[3:5]


def test_pieces_give_the_prompt_back() -> None:
    summary = summarise(plain())
    assert "".join(piece["text"] for piece in summary["pieces"]) == STORY
    assert summary["pieces"][0] == {"kind": "pinned", "text": "You are a storyteller. ", "unit": None}


def test_spans_that_overlap_or_run_backwards_show_no_text_twice() -> None:
    units = tuple(
        UnitAttribution(
            text="x", start=start, end=end, attribution=0.1, low=None, high=None, p_value=None, significant=True
        )
        for start, end in ((0, 5), (3, 8), (9, 9), (10, 400), (12, 11))
    )
    summary = summarise(plain().model_copy(update={"prompt": "0123456789abcdef", "units": units, "evidence": None}))
    assert "".join(piece["text"] for piece in summary["pieces"]) == "0123456789abcdef"


def test_units_fold_after_forty() -> None:
    page = page_of(many(60))
    assert "20 more words" in page
    text = printed(many(60))
    assert "20 smaller ones are in the report" in text
    assert sum(bool(re.match(r"  word\d+ ", line)) for line in text.splitlines()) == 40


def test_the_sign_is_told_without_colour() -> None:
    text = printed(prompt_explanation(), no_color=True)
    assert "fox▲" in text
    assert "dragon▼" in text
    assert "\x1b[38" not in printed(prompt_explanation(), force_terminal=True, no_color=True)
    ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    print_terminal(prompt_explanation(), Console(file=ascii_only, width=100))
    ascii_only.seek(0)
    assert "fox^" in ascii_only.read()


def test_warnings_come_first_and_calls_are_told() -> None:
    explanation = plain(calls=Calls(asked=64, made=1_200, cached=3, failed=2))
    text = printed(explanation)
    assert text.index("Few masks") < text.index("Prompt\n")
    told = "64 answers asked for, 1,200 calls sent, 1,139 of them again after a failure, 3 from the store, 2 failed"
    assert told in " ".join(text.split())
    assert told in page_of(explanation)
    assert "64 answers asked for, 62 calls sent, 2 from the store, 0 failed" in page_of(
        plain(calls=Calls(asked=64, made=62, cached=2, failed=0))
    )


def test_log_probabilities_are_said_to_be_scored() -> None:
    target = TargetRecord(name="logprob", distance="log-probability of the reference", unit="nats")
    explanation = plain(target=target)
    assert explanation.evidence is not None
    e = explanation.evidence
    scored = tuple(Sample(s.kind, s.mask, s.draw, s.prompt, "", "scored", s.effect) for s in e.samples)
    silent = explanation.model_copy(update={"evidence": type(e)(e.masks, e.effects, e.predicted, e.groups, scored)})
    assert "scored, not written" in page_of(silent)


def test_the_matrix_and_the_sets_are_drawn_where_there_are_any() -> None:
    page = page_of(with_readings(plain()))
    assert page.count('<table class="heat">') == 1
    assert "A fox slept." in page
    assert "No call with fewer words kept the answer." in page
    assert "minimal: none can be left out" in page
    assert "4 further calls went into making them smaller and testing them" in page
    assert "3 later sentences are left out" in page
    without = page_of(plain())
    assert "heat" not in re.sub(r"<style>.*?</style>", "", without, flags=re.DOTALL)
    assert "that matter</h2>" not in without


def test_of_many_units_the_strongest_make_the_matrix() -> None:
    found = summarise(with_readings(many(70)))["matrix"]
    assert found["units_left_out"] == 10
    assert found["names"][:30] == [f"word{i}" for i in range(30)]
    assert found["names"][30:] == [f"word{i}" for i in range(40, 70)]
    pale = [cell["step"] for row in found["cells"] for cell in row if cell["text"].strip("+−") < "0.09"]
    assert max(pale, default=0) <= 2


def test_hostile_readings_are_inert() -> None:
    page = page_of(with_readings(hostile(), text=HOSTILE))
    assert [tag for tag, _ in read(page).tags if tag in {"script", "img"}] == ["script"]
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_missing_effects_leave_holes_not_errors() -> None:
    explanation = plain()
    assert explanation.evidence is not None
    e = explanation.evidence
    holes = np.full_like(e.effects, np.nan)
    bare = explanation.model_copy(update={"evidence": type(e)(e.masks, holes, holes, e.groups, ())})
    summary = summarise(bare)
    assert summary["scatter"] is None
    read(report.html(summary))


def test_only_the_first_samples_are_shown() -> None:
    text = read(page_of(prompt_explanation(pairs=120))).text
    assert "251 prompts were sent." in text
    assert "The first 200 are shown; all are in samples.jsonl." in text


def test_a_notebook_frames_the_page() -> None:
    """The whole report, for who asks for it; a cell shows the compact view by itself."""
    shown = plain().view("full")._repr_html_()
    assert shown.startswith("<iframe sandbox srcdoc=")
    assert EMBEDDED_ID in shown
    assert "<main>" not in shown


def test_a_folder_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "r.html").mkdir()
    with pytest.raises(StoreError, match="cannot be written"):
        write_html(plain(), tmp_path / "r.html")


def test_a_summary_can_be_written_too(tmp_path: Path) -> None:
    summary = json.loads(json.dumps(summarise(plain())))
    assert write_html(summary, tmp_path / "r.html").read_text(encoding="utf-8") == plain().to_html()


def test_plots_need_their_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'whygen\[plots\]'"):
        plain().plot_attributions()


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="needs the extra plots")
def test_plots_draw_on_the_axes_given(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure()
    left, right = figure.subplots(1, 2)
    explanation = prompt_explanation(prompt="pay $5 or $6 now", pinned=(), pairs=8)
    assert explanation.plot_attributions(ax=left) is left
    assert explanation.plot_fidelity(ax=right) is right
    assert [tick.get_text() for tick in left.get_yticklabels()][1] == r"\$5"
    figure.savefig(tmp_path / "both.png")
    assert plain().plot_attributions().figure is not figure
    with pytest.raises(UsageError, match="has no evidence"):
        plain(evidence=None).plot_fidelity()
