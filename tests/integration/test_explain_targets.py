"""Targets of every kind the whole way, several from one set of calls, the matrix and the sets in the result."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny_models
import whygen
from faults.server import FaultServer
from whygen.encoders import nearby_encoder
from whygen.errors import BudgetError, DataError, ModelError, UsageError
from whygen.models import ModelOptions, load_model
from whygen.models.planted.texts import SENTENCES, PlantedModel
from whygen.prompt.targets import load_target
from whygen.remote import Service
from whygen.results import PromptExplanation
from whygen.types import Failure, Limits, Request, Settings

PROMPT = "Write about a fox and a piano near the castle, please."


class Counted:
    """A model that counts what reaches it. Nobody can know what it is, so nothing is found again by a later run."""

    limits = Limits(max_batch=64)
    identity = None

    def __init__(self, name: str) -> None:
        self.inner, self.asked = PlantedModel(name), list[Request]()
        self.uri = self.inner.uri

    def answers_alike(self, settings: Settings) -> bool:
        return self.inner.answers_alike(settings)

    def answer(self, requests: Any) -> Any:
        self.asked += requests
        return self.inner.answer(requests)

    def score(self, requests: Any) -> Any:
        self.asked += requests
        return self.inner.score(requests)


def explain(model: object = "planted/additive", prompt: str = PROMPT, **options: Any) -> PromptExplanation:
    options.setdefault("cache", None)
    options.setdefault("budget", 128)
    return whygen.explain_prompt(model, prompt, **options)


def significant(explanation: PromptExplanation) -> list[str]:
    return [unit.text for unit in explanation.units if unit.significant]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("logprob:snowy field", ["fox"]),
        ("logprob:piano", ["piano"]),
        ("contains:castle", ["castle"]),
        ("regex:(?i)lava|melody", ["piano"]),
        (re.compile("walls"), ["castle"]),
        (len, ["fox", "piano", "castle"]),
        (lambda answer: "fox" in answer, ["fox"]),
        (f"contrastive:{SENTENCES['volcano']}", ["fox", "piano", "castle"]),
    ],
)
def test_each_target_finds_its_own_words(target: Any, expected: list[str]) -> None:
    assert significant(explain(target=target)) == expected


def test_this_rather_than_that() -> None:
    tea = f"Here is the text. {SENTENCES['soup']}"
    explanation = explain(target=load_target("contrastive", alternative=tea, distance="token-set"))
    assert significant(explanation) == ["fox", "piano", "castle"]
    assert explanation.noise.level is None
    assert "rather than" in explanation.target.distance


def test_a_refusal_is_explained_though_the_provider_refuses_the_request() -> None:
    with pytest.raises(ModelError, match="dangerous word"):
        explain("planted/timid", "a volcano near the sea")
    explanation = explain("planted/timid", "a volcano near the sea", target="refusal")
    assert significant(explanation) == ["volcano"]
    assert explanation.reference.text == "I cannot talk about that"
    assert {sample.finish for sample in explanation.evidence.samples} == {"refused", "stop"}


def test_an_answer_as_data() -> None:
    def shop(prompt: str) -> str:
        price = 2 + 3 * ("tea" in prompt) + 5 * ("large" in prompt)
        return (
            f'{{"price": {price}, "tool": "{"order" if "order" in prompt else "show"}"}}' if "json" in prompt else "?"
        )

    prompt = "order one large tea as json"
    priced = explain(shop, prompt, target="json:price")
    price = {unit.text: unit.attribution for unit in priced.units}
    assert price["large"] == pytest.approx(2.5)
    assert price["tea"] == pytest.approx(1.5)
    [warning] = [warning for warning in priced.warnings if warning.code == "unread-answers"]
    assert "64 of 125 answers cannot be read (64 times no JSON)" in warning.text
    assert price["one"] == pytest.approx(0.0, abs=1e-12)
    assert significant(explain(shop, prompt, target="tool")) == ["order", "json"]
    with pytest.raises(DataError, match="no field 'cost' in the reference answer"):
        explain(shop, prompt, target="json:cost")


def test_a_span_that_is_not_in_the_output_is_refused_before_any_mask() -> None:
    model = Counted("additive")
    with pytest.raises(DataError, match=r"'snowman' is not in the output, which is 'Here is the text\. A red fox"):
        explain(model, target="logprob:snowman")
    assert len(model.asked) == 1


def test_a_score_that_breaks_costs_nothing_the_second_time(tmp_path: Path) -> None:
    def judge(answer: str) -> float:
        return float("nan") if "castle" not in answer else 1.0

    with pytest.raises(UsageError, match="no finite number, for 'Here is the text"):
        explain(target=judge, cache=tmp_path / "calls.sqlite")
    again = explain(target="token-set", cache=tmp_path / "calls.sqlite")
    assert again.calls.made == 0


@pytest.mark.parametrize("name", ["additive", "noisy"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"draws": 2},
        {"estimand": "shapley"},
        {"estimand": "loo"},
        {"keep": 0.8},
        {"keep": 0.8, "draws": 2},
        {"irrelevant": "exclude"},
    ],
)
def test_one_set_of_calls_answers_many_targets(name: str, options: dict[str, Any]) -> None:
    model = Counted(name)
    targets: list[Any] = ["token-set", "contains:fox", "edit", re.compile("melody")]
    how = {"settings": Settings(temperature=1.0), "seed": 3, "cache": None, "budget": 90, **options}
    first = explain(model, target=targets[0], **how)
    asked = len(model.asked)
    others = [first.read(target=target) for target in targets[1:]]
    assert first.calls.made == asked
    assert all(other.calls.made == 0 for other in others)
    assert all(other.calls.asked == other.calls.cached == first.calls.asked for other in others)
    for target, explanation in zip(targets, (first, *others), strict=True):
        alone = explain(PlantedModel(name), target=target, **how)
        recipe = explanation.recipe.model_copy(update={"model": alone.recipe.model})  # nobody knows what `Counted` is
        same = {"calls": alone.calls, "recipe": recipe, "evidence": None, "units": (), "read_from": None}
        assert explanation.model_copy(update=same) == alone.model_copy(update={"evidence": None, "units": ()})
        for one, other in zip(explanation.units, alone.units, strict=True):
            assert one.model_dump() == pytest.approx(other.model_dump(), abs=1e-12)
        assert explanation.evidence.effects == pytest.approx(alone.evidence.effects, abs=1e-12)
        assert explanation.evidence.samples == alone.evidence.samples
    assert len(model.asked) == asked


def test_another_span_costs_no_call_and_spans_add_up(tmp_path: Path) -> None:
    model = load_model(f"hf/{tiny_models.save('gpt2', tmp_path)}")
    how: dict[str, Any] = {"cache": None, "budget": 40, "settings": Settings(max_tokens=12), "surrogate": "ols"}
    prompt = "Paris lies on the river"
    whole = explain(model, prompt, target="logprob", **how)
    text = whole.reference.text
    letters = [whole.read(target=load_target("logprob", span=(at, at + 1))) for at in range(len(text))]
    assert not any(letter.calls.made for letter in letters)
    assert whole.masks == "enumerated"
    assert np.isfinite([unit.attribution for unit in letters[0].units]).all()
    spans = [whole.read(target=load_target("logprob", span=span)) for span in cut(model, text)]
    assert len(spans) > 2
    total = np.sum([[unit.attribution for unit in each.units] for each in spans], axis=0)
    assert total == pytest.approx([unit.attribution for unit in whole.units], abs=1e-4)


def cut(model: Any, text: str) -> list[tuple[int, int]]:
    """The text in three spans whose ends are ends of tokens."""
    [scored] = model.score([Request(prompt="", continuation=text)])
    ends = sorted({score.end for score in scored.scores})
    third = max(1, len(ends) // 3)
    bounds = [0, ends[third - 1], ends[2 * third - 1], len(text)]
    return list(pairwise(bounds))


def test_answers_to_a_contrast_serve_every_span() -> None:
    model = Counted("additive")
    contrast = explain(model, target=f"contrastive:{SENTENCES['soup']}", budget=60)
    held, span = explain(model, target="contains:piano"), contrast.read(target="logprob:piano")
    assert len(model.asked) == contrast.calls.made + held.calls.made
    assert contrast.calls.asked <= 60
    assert len(contrast.evidence.masks) == 2 * ((60 - 1 - 4) // 4)
    assert significant(span) == significant(held) == ["piano"]


def test_a_contrast_pays_two_calls_a_mask_and_says_so() -> None:
    model = Counted("additive")
    with pytest.raises(BudgetError, match="of 2 calls") as refused:
        explain(model, target=f"contrastive:{SENTENCES['soup']}", budget=12)
    assert model.asked == []
    explanation = explain(model, target=f"contrastive:{SENTENCES['soup']}", budget=refused.value.smallest)
    assert len(model.asked) == explanation.calls.asked <= refused.value.smallest


def test_a_contrast_of_log_probabilities_is_not_explained_level_by_level() -> None:
    with pytest.raises(UsageError, match="scores two texts for each prompt"):
        whygen.explain_prompt(
            "planted/additive", PROMPT, hierarchy="auto", target=f"contrastive:{SENTENCES['soup']}", cache=None
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "logprob", "references": 2}, "scores one"),
        ({"target": "tool", "matrix": "sentence"}, "reads the answer as one"),
        ({"target": "edit", "matrix": "word"}, "Unknown matrix"),
        ({"target": "edit", "sets": -1}, "sets=-1"),
        ({"target": "tool", "distribution": "energy", "draws": 2, "references": 2}, "compares answers"),
        (
            {"target": "edit", "distribution": "energy", "draws": 2, "references": 2, "sets": 0},
            "Leave out matrix and sets, or distribution",
        ),
    ],
)
def test_what_cannot_go_together_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        whygen.explain_prompt("planted/additive", PROMPT, cache=None, **options)


@pytest.mark.parametrize("target", ["token-set", "logprob"])
@pytest.mark.parametrize("options", [{}, {"estimand": "shapley"}, {"estimand": "loo"}, {"draws": 2}])
def test_the_matrix_says_which_word_drove_which_sentence(target: str, options: dict[str, Any], tmp_path: Path) -> None:
    model = Counted("additive")
    explanation = explain(model, target=target, matrix="sentence", **options)
    assert len(model.asked) == explanation.calls.made
    matrix = explanation.matrix
    assert matrix is not None
    order = [unit.text for unit in explanation.units]
    strongest = [order[row] for row in matrix.array().argmax(axis=0)]
    assert strongest[1:] == ["fox", "piano", "castle"]
    assert [one.text for one in matrix.sentences][1:] == [SENTENCES[word] for word in strongest[1:]]
    if target == "logprob":
        whole = [unit.attribution for unit in explanation.units]
        assert matrix.array().sum(axis=1) == pytest.approx(whole, abs=0.05)
    explanation.save(tmp_path / "saved")
    assert whygen.load(tmp_path / "saved") == explanation
    assert "matrix" not in explanation.to_dict()


def test_sets_of_units_from_recorded_and_from_further_calls(tmp_path: Path) -> None:
    prompt = "Tell me something nice about a fox and perhaps a vixen, in a few short words"
    model = Counted("redundant")
    recorded = explain(model, prompt, target="exact", sets=0)
    assert recorded.sets is not None
    assert recorded.sets.calls == 0
    assert all({"fox", "vixen"} <= set(one.texts) for one in recorded.sets.changing)
    rows = [one.row for one in recorded.sets.changing]
    assert all(recorded.evidence.effects[row] < recorded.sets.threshold for row in rows)
    model = Counted("redundant")
    sharp = explain(model, prompt, target="exact", sets=24, budget=128)
    alone = explain(Counted("redundant"), prompt, target="exact", budget=128)
    assert [unit.attribution for unit in sharp.units] == [unit.attribution for unit in alone.units]
    assert len(model.asked) == sharp.calls.asked == alone.calls.asked + sharp.sets.calls <= 128 + 24
    assert sharp.sets is not None
    assert sharp.sets.changing[0].texts == ("fox", "vixen")
    assert sharp.sets.changing[0].minimal
    assert {one.texts for one in sharp.sets.keeping if len(one.texts) == 1} <= {("fox",), ("vixen",)}
    assert len(sharp.sets.keeping[0].texts) == 1
    assert sharp.sets.keeping[0].output == sharp.reference.text
    assert sharp.sets.changing[0].output != sharp.reference.text
    further = [sample for sample in sharp.evidence.samples if sample.kind == "further"]
    assert len(further) == sharp.sets.calls
    sharp.save(tmp_path / "saved")
    assert whygen.load(tmp_path / "saved") == sharp


def test_a_further_call_that_fails_is_counted_and_shows_nothing() -> None:
    class Fickle(Counted):
        def answer(self, requests: Any) -> Any:
            answers = super().answer(requests)
            short = [len(request.prompt.split()) < 4 for request in requests]
            failure = Failure(kind="permanent", message="too short", advice="Say more.")
            return [failure if one else answer for one, answer in zip(short, answers, strict=True)]

    prompt = "Tell me something nice about a fox and perhaps a vixen, in a few short words"
    explanation = explain(Fickle("redundant"), prompt, target="exact", sets=24)
    assert explanation.sets is not None
    assert all(len(one.prompt.split()) >= 4 for one in (*explanation.sets.changing, *explanation.sets.keeping))
    assert "failed-calls" in [warning.code for warning in explanation.warnings]


@pytest.mark.parametrize(
    ("listed", "action", "target", "encoder"),
    [
        (("test", "nomic-embed-text", "bge-embed"), "ok", "optimal-transport", "openai/bge-embed"),
        (("test",), "ok", "tfidf", None),
        (("test", "nomic-embed-text"), "404", "tfidf", None),
        (("test", "nomic-embed-text"), "html", "tfidf", None),
    ],
)
def test_a_server_on_this_machine_compares_by_its_own_embeddings_where_none_are_installed(
    listed: tuple[str, ...], action: str, target: str, encoder: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for room in ("prompt.question", "prompt.targets.registry"):
        monkeypatch.setattr(f"whygen.{room}.has_text_encoder", lambda: False)
    script = lambda received: action if "embeddings" in received.path else "ok"  # noqa: E731 - a script is a function
    with FaultServer(script, models=listed) as server:
        options = ModelOptions(base_url=server.url)
        whygen.forecast("openai/test", "One two three.", budget=20, options=options)
        assert not server.received
        found = whygen.explain_prompt("openai/test", "One two three.", budget=20, cache=None, options=options)
        assert found.target.name == target
        assert (encoder is None) or found.target.distance.endswith(f"by {encoder}")
        named = whygen.explain_prompt(
            "openai/test", "One two three.", budget=20, cache=None, options=options, target="tfidf"
        )
        assert named.target.name == "tfidf"
    assert sum(received.path == "/v1/models" for received in server.received) == 1


def test_a_hierarchy_compares_by_the_embeddings_of_its_server_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for room in ("prompt.question", "prompt.targets.registry"):
        monkeypatch.setattr(f"whygen.{room}.has_text_encoder", lambda: False)
    long = "\n\n".join(f"Story {number} is of a fox. It runs. It hides in the wood." for number in range(4))
    with FaultServer(models=("test", "bge-embed")) as server:
        found = whygen.explain_prompt(
            "openai/test", long, budget=60, cache=None, hierarchy="auto", options=ModelOptions(base_url=server.url)
        )
    assert found.target.name == "optimal-transport"
    assert found.target.distance.endswith("by openai/bge-embed")


def test_a_server_elsewhere_is_not_asked_unbidden() -> None:
    with FaultServer(models=("embed",)) as server:
        away = Service("openai", server.url.replace("127.0.0.1", "example.invalid"))
        assert nearby_encoder(away) is None
        assert nearby_encoder(Service("openai", server.url)) is not None
