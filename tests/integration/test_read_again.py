"""Reading a saved explanation again: the laws, from a folder and without a model.

Nothing changed gives the explanation itself, to the bit; another target gives what asking anew by it would have given.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

import whygen
from whygen import Chat, Edit, Message, Template
from whygen.cli import main
from whygen.errors import DataError, FormatError, UnknownNameError, UsageError
from whygen.media import pictures
from whygen.results.prompt import PromptExplanation
from whygen.types import Limits, Output, Request, Settings

PROMPT = "tell me a story about a red fox in the quiet harbour"
SHORT = "tell red fox harbour quiet"
WARM = Settings(temperature=0.7)
BEFORE = Path(__file__).parents[1] / "data" / "golden" / "prompt-v2"
CHAT = Chat((Message("system", "Tell a story."), Message("user", "Name a red fox in the quiet harbour.")))


def made(prompt: Any = PROMPT, model: object = "planted/additive", **choices: Any) -> PromptExplanation:
    return whygen.explain_prompt(model, prompt, **{"target": "tfidf", "cache": None, **choices})


def saved(explanation: PromptExplanation, folder: Path) -> PromptExplanation:
    return PromptExplanation.load(explanation.save(folder))


def assert_same(read: PromptExplanation, asked: PromptExplanation) -> None:
    """Everything but where it came from and what it cost."""
    for name in PromptExplanation.model_fields:
        if name not in {"calls", "read_from", "evidence", "versions", "advice"}:
            assert getattr(read, name) == getattr(asked, name), name
    assert read.evidence == asked.evidence


class Editor:
    """Darkens the upper half at the word ``night``."""

    uri = "test/editor"
    limits = Limits(max_batch=8)
    output_kind: Literal["picture"] = "picture"

    def answer(self, requests: list[Request]) -> list[Output]:
        return [self.draw(request.prompt) for request in requests]

    def draw(self, prompt: object) -> Output:
        assert isinstance(prompt, Edit)
        values = pictures.pixels(prompt.image)
        if "night" in prompt.instruction.split():
            values[:8] //= 4
        return Output(picture=pictures.picture_of(values))


def edited(**choices: Any) -> PromptExplanation:
    picture = pictures.picture_of(np.full((16, 16, 3), 200, dtype=np.uint8))
    how = {"target": "auto", "encoder": "patches", "budget": 40, **choices}
    return made(Edit(picture, "please make night now"), Editor(), **how)


def refuses_some(text: str) -> str:
    if "story" not in text and "quiet" not in text:
        raise RuntimeError("no")
    return f"I saw: {text}"


CASES: dict[str, Callable[[], PromptExplanation]] = {
    "sampled": made,
    "enumerated": lambda: made(SHORT),
    "shapley": lambda: made(estimand="shapley"),
    "shapley, enumerated": lambda: made(SHORT, estimand="shapley"),
    "local": lambda: made(estimand="local"),
    "loo": lambda: made(estimand="loo"),
    "keep": lambda: made(keep=0.8),
    "a model that samples": lambda: made(model="planted/noisy", settings=WARM, draws=2, references=2),
    "sets of answers": lambda: made(distribution="energy", draws=3, references=2, budget=120),
    "a stop rule": lambda: made(tolerance=0.2, budget=200),
    "matrix and sets": lambda: made(matrix="sentence", sets=0),
    "sets by further calls": lambda: made(sets=20),
    "irrelevant": lambda: made(irrelevant="exclude"),
    "log-probabilities": lambda: made(target="logprob"),
    "a span": lambda: made(target="logprob:red"),
    "a contrast": lambda: made(target="contrastive:a blue hen"),
    "a lexicon": lambda: made(operator="synonym", lexicon={"red": "blue", "fox": "hen", "story": "tale"}),
    "words pinned side by side": lambda: made("fox fox quiet, story of a fox", pin=["fox"]),
    "a chat": lambda: made(CHAT, pin=["role:system"]),
    "a template": lambda: made(Template("Tell {what} now.", {"what": "a story of a fox"}), units="part"),
    "an edit": edited,
    "regions": lambda: edited(units="region", regions=4, fill="blur"),
    "a sound": lambda: made("play a high bell please", "planted/synth", target="cosine"),
    "failed calls": lambda: made(model=refuses_some, budget=120, seed=1),
    "a score of one's own": lambda: made(target=lambda text: float(len(text.split()))),
    "published": lambda: made(preset="gsmile-images", target="token-set", kernel="letters"),
}


@pytest.mark.parametrize("case", CASES)
def test_nothing_changed_is_the_explanation_itself(case: str, tmp_path: Path) -> None:
    explanation = saved(CASES[case](), tmp_path / "run")
    read = explanation.read()
    assert_same(read, explanation)
    assert read.read_from is not None
    assert read.read_from.target == explanation.target.name
    assert (read.calls.made, read.calls.asked) == (0, explanation.calls.asked)
    again = saved(read, tmp_path / "read")
    assert again == read
    assert again.read().read_from == read.read_from


OTHERS: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    ({}, {"target": "contains:fox"}),
    ({}, {"target": "token-set"}),
    ({}, {"target": "label:fox,hen"}),
    ({}, {"target": "regex:fo.", "surrogate": "ridge"}),
    ({}, {"surrogate": "pairs"}),
    ({}, {"irrelevant": "exclude"}),
    ({"estimand": "shapley"}, {"target": "edit"}),
    ({"keep": 0.8}, {"target": "exact"}),
    ({"target": "logprob"}, {"target": "logprob:red"}),
    ({"target": "logprob:red"}, {"target": "logprob"}),
    ({"prompt": SHORT}, {"estimand": "shapley"}),
    ({"prompt": SHORT}, {"estimand": "local", "target": "exact"}),
    ({"prompt": SHORT, "estimand": "local"}, {"estimand": "banzhaf"}),
    ({"model": "planted/noisy", "settings": WARM, "draws": 2}, {"target": "token-set"}),
    ({"prompt": CHAT}, {"target": "contains:fox"}),
    ({"distribution": "energy", "draws": 3, "references": 2, "budget": 120}, {"target": "token-set"}),
    ({"matrix": "sentence", "sets": 0}, {"target": "token-set"}),
)


@pytest.mark.parametrize(("asked", "changes"), OTHERS, ids=lambda each: ", ".join(map(str, each.values())) or "plain")
def test_another_reading_is_what_asking_anew_gives(
    asked: dict[str, Any], changes: dict[str, Any], tmp_path: Path
) -> None:
    read = saved(made(**asked), tmp_path / "run").read(**changes)
    anew = made(**{**asked, **changes})
    assert_same(read, anew)


def test_an_edit_is_read_by_another_distance() -> None:
    read = edited().read(target="cosine")
    assert_same(read, edited(target="cosine"))


def test_a_callable_reads_answers_that_a_distance_asked_for() -> None:
    def words(text: str) -> float:
        return float(len(text.split()))

    read = made().read(target=words)
    assert read.units == made(target=words).units
    assert read.recipe is not None
    assert read.recipe.again == ("target",)


class Orders:
    """Calls a tool, and says nothing of it in its text."""

    uri = "test/orders"
    limits = Limits(max_batch=64)

    def answer(self, requests: list[Request]) -> list[Output]:
        return [self.call(str(request.prompt)) for request in requests]

    def call(self, prompt: str) -> Output:
        name = "order" if "tea" in prompt else "show"
        return Output(text=f"so {len(prompt)}", extra={"tool_calls": [{"name": name, "arguments": {"n": 1}}]})


def test_the_tools_that_were_called_are_kept(tmp_path: Path) -> None:
    prompt = "please order me one large tea"
    read = saved(made(prompt, Orders()), tmp_path / "run").read(target="tool")
    assert_same(read, made(prompt, Orders(), target="tool"))
    assert [unit.text for unit in read.units if unit.significant] == ["tea"]


def test_units_left_out_one_by_one_are_read_where_their_masks_were_asked() -> None:
    read = made(SHORT).read(estimand="loo")
    one_by_one = made(SHORT, estimand="loo")
    assert read.design == "leave-one-out"
    assert [unit.attribution for unit in read.units] == [unit.attribution for unit in one_by_one.units]


@pytest.mark.parametrize(
    ("asked", "changes", "message"),
    [
        ({}, {"target": "logprob"}, r"other calls\. Run explain_prompt\(\.\.\., target='logprob'\)"),
        ({"target": "logprob"}, {"target": "tfidf"}, "other calls"),
        ({"target": "logprob"}, {"target": "contrastive:a hen"}, "other calls"),
        ({}, {"estimand": "shapley"}, r"it needs others\. Run explain_prompt\(\.\.\., estimand='shapley'\)"),
        ({}, {"estimand": "loo"}, "it needs others"),
        ({"estimand": "loo"}, {"estimand": "banzhaf"}, "it needs others"),
        ({"estimand": "shapley"}, {"estimand": "banzhaf"}, "it needs others"),
        ({"keep": 0.8}, {"estimand": "local"}, "it needs others"),
        ({"hierarchy": "sentence>word", "prompt": "Tell a story. Name a fox. Be quiet.", "budget": 100}, {},
         "part by part"),
    ],
)  # fmt: skip
def test_what_needs_other_calls_is_refused_and_says_what_to_run(
    asked: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        made(**asked).read(**changes)


def test_names_are_checked_and_unmeasurable_targets_are_told() -> None:
    explanation = made()
    with pytest.raises(UnknownNameError, match="banzhaf"):
        explanation.read(estimand="banzaf")
    with pytest.raises(UnknownNameError, match="ridge"):
        explanation.read(surrogate="rigde")
    with pytest.raises(UnknownNameError, match="tfidf"):
        explanation.read(target="tfdif")
    with pytest.raises(DataError, match="is not in the output"):
        explanation.read(target="contains:walrus")


def test_the_json_alone_and_many_inputs_hold_no_answers(tmp_path: Path) -> None:
    folder = made().save(tmp_path / "run")
    with pytest.raises(UsageError, match="from its JSON file alone"):
        PromptExplanation.load(folder / "explanation.json").read()
    system = Chat((Message("system", "Tell a story. Name a fox."),))
    over = whygen.explain_prompt("planted/additive", system, inputs=["snow", "rain"], target="tfidf", cache=None)
    with pytest.raises(UsageError, match="over many inputs"):
        over.read(target="exact")


def test_answers_that_belong_to_no_mask_are_refused() -> None:
    explanation = made(SHORT)
    assert explanation.evidence is not None
    assert explanation.evidence.answers is not None
    for wrong in (np.zeros_like(explanation.evidence.answers), np.full_like(explanation.evidence.answers, -1)):
        changed = explanation.model_copy(update={"evidence": replace(explanation.evidence, answers=wrong)})
        with pytest.raises(FormatError, match="was changed"):
            changed.read()


def test_a_folder_of_before_answers_were_kept_is_read_too() -> None:
    old = PromptExplanation.load(BEFORE)
    read = old.read()
    assert [unit.attribution for unit in read.units] == [unit.attribution for unit in old.units]
    assert read.recipe is not None
    assert old.read(target="exact").target.name == "exact"


def test_the_command_writes_a_folder_and_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made().save(tmp_path / "run")
    command = ["read", str(tmp_path / "run"), "--target", "contains:fox", "--surrogate", "ridge"]
    with pytest.raises(SystemExit) as end:
        main([*command, "--json", "-o", str(tmp_path / "read")])
    assert end.value.code == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(json.dumps(made(target="contains:fox", surrogate="ridge").to_dict() | {
        "calls": printed["calls"]
    }))  # fmt: skip
    assert "the answers to target tfidf, banzhaf" in (tmp_path / "read" / "report.html").read_text("utf-8")
    assert PromptExplanation.load(tmp_path / "read").read_from is not None
    with pytest.raises(SystemExit) as end:
        main(["read", str(tmp_path / "run"), "--target", "logprob"])
    assert end.value.code == 2
    assert "whygen prompt --target logprob" in capsys.readouterr().err
