"""Each operator: what stands where a unit was, what it costs, and what is said when it cannot work."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny_models
from whygen.calls import open_store
from whygen.encoders import has_text_encoder, load_text_encoder
from whygen.errors import DataError, MissingError, ModelError, UnknownNameError, UsageError
from whygen.models import FillsMask, load_model
from whygen.models.replay import ReplayModel
from whygen.prompt.operators import (
    Delete,
    EmbeddingNoise,
    Operator,
    OperatorOptions,
    Substitute,
    Tools,
    load_operator,
)
from whygen.prompt.operators.synonyms import same_word, written_like
from whygen.prompt.units import split
from whygen.types import Failure, Limits, Output, Request, Settings, TokenScore

PROMPT = "Tell a story of the old castle and the Dog."
packaged = pytest.mark.skipif(not has_text_encoder(), reason="needs the extra `encoder`")


def prepared(name: str, prompt: str = PROMPT, *, units: str = "word", tools: Tools | None = None, **options: Any):
    """The operator, ready, and what stands for each unit."""
    cut = split(prompt, units)
    operator = load_operator(name, OperatorOptions(**options)).prepare(cut, tools or Tools())
    assert isinstance(operator, Substitute)
    return operator, dict(zip(cut.texts, operator.replacements, strict=True))


class Model:
    """Answers by a rule, and writes down what it was asked."""

    uri = "test/model"
    limits = Limits(max_batch=100)

    def __init__(self, rule: Callable[[Request], Output | Failure]) -> None:
        self.rule = rule
        self.asked: list[Request] = []

    def answer(self, requests: Sequence[Request]) -> list[Output | Failure]:
        self.asked += requests
        return [self.rule(request) for request in requests]


class Masked(Model):
    mask = "<?>"


class Continuing(Model):
    continues_text = True


class Scoring(Continuing):
    """Finds a continuation the likelier, the more often it holds ``likes``."""

    likes = "snow"

    def score(self, requests: Sequence[Request]) -> list[Output | Failure]:
        self.asked += requests
        found = [str(request.continuation) for request in requests]
        return [
            Output(finish="scored", scores=(TokenScore(0, len(text), float(text.count(self.likes))),)) for text in found
        ]


def fillers(*texts: str) -> Callable[[Request], Output]:
    return lambda _: Output(text=texts[0], extra={"fillers": [[text, 0.1] for text in texts]})


# Synonyms


@packaged
def test_the_encoder_knows_words_and_near_ones_are_used_alike() -> None:
    encoder = load_text_encoder(device="cpu")
    words, vectors = encoder.vocabulary(), encoder.word_vectors()  # type: ignore[attr-defined]
    assert len(words) == len(set(words)) == len(vectors) > 10_000
    assert all(len(word) > 1 and word.isalpha() for word in words)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0)
    near = vectors @ vectors[words.index("castle")]
    assert near[words.index("fortress")] > 0.3 > near[words.index("rapidly")]


@packaged
def test_a_synonym_is_another_word_in_the_capitals_of_the_unit() -> None:
    operator, found = prepared("synonym", "Tell the story of an old CASTLE, quickly: 3 Stories, Zzyzx!")
    assert found["CASTLE"] == "FORTRESS"
    assert found["quickly"] == "rapidly"
    assert found["Stories"][0].isupper()
    assert not any(same_word(text, other) for text, other in found.items() if text != other)
    assert {text for text, other in found.items() if text == other} == {",", ":", "3", "Zzyzx", "!"}
    ((code, told),) = operator.notices
    assert code == "replacement-unchanged"
    assert "6 of 15 units" in told
    assert "'Zzyzx'" in told


@packaged
def test_synonyms_are_the_same_again_and_each_word_of_a_sentence_has_its_own() -> None:
    _, once = prepared("synonym", "The old castle. A dog!", units="sentence")
    _, again = prepared("synonym", "The old castle. A dog!", units="sentence")
    assert once == again
    assert "fortress." in once["The old castle."]


def test_a_lexicon_stands_for_the_encoder(tmp_path: Path) -> None:
    (tmp_path / "words.json").write_text(json.dumps({"castle": "fort", "DOG": "cat"}), encoding="utf-8")
    (tmp_path / "words.tsv").write_text("castle\tfort\n\ndog\tcat\n", encoding="utf-8")
    for lexicon in ({"Castle": "fort", "dog": "cat"}, tmp_path / "words.json", str(tmp_path / "words.tsv")):
        operator, found = prepared("synonym", lexicon=lexicon)
        assert (found["castle"], found["Dog"], found["old"]) == ("fort", "Cat", "old")
        assert "the lexicon" in operator.notices[0].text


def test_a_lexicon_that_cannot_work_says_why(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[1]", encoding="utf-8")
    (tmp_path / "number.json").write_text('{"a": 1}', encoding="utf-8")
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    (tmp_path / "no_tab.tsv").write_text("a b\n", encoding="utf-8")
    (tmp_path / "empty.json").write_text("{}", encoding="utf-8")
    cases: list[tuple[object, type[Exception], str]] = [
        ({}, UsageError, "lexicon is empty"),
        (tmp_path / "empty.json", UsageError, "lexicon is empty"),
        (tmp_path / "none.json", MissingError, "is not there"),
        (tmp_path / "words.csv", DataError, "must end with .json or .tsv"),
        (tmp_path / "list.json", DataError, "holds a list"),
        (tmp_path / "number.json", DataError, "'a': 1"),
        (tmp_path / "broken.json", DataError, "cannot be read"),
        (tmp_path / "no_tab.tsv", DataError, "line 1 has no tab"),
    ]
    for lexicon, error, says in cases:
        with pytest.raises(error, match=says):
            load_operator("synonym", OperatorOptions(lexicon=lexicon))  # type: ignore[arg-type]


def test_replacements_that_change_nothing_at_all_are_refused() -> None:
    with pytest.raises(UsageError, match="changes none of the 11 units"):
        prepared("synonym", lexicon={"elephant": "mammoth"})


def test_an_encoder_without_words_of_its_own_is_refused() -> None:
    class Plain:
        name = "plain"

        def sentences(self, texts):
            return np.zeros((len(texts), 2))

        def tokens(self, texts):
            return [np.zeros((1, 2)) for _ in texts]

    with pytest.raises(UsageError, match=r"'plain' has no vocabulary.*lexicon="):
        prepared("synonym", tools=Tools(encoder=Plain()))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("castle", "castles", True),
        ("story", "stories", True),
        ("write", "wrote", True),
        ("run", "ran", True),
        ("happy", "happiness", True),
        ("found", "finds", True),
        ("it", "its", True),
        ("snow", "snowfall", True),
        ("Castle", "CASTLE", True),
        ("castle", "fortress", False),
        ("dog", "cat", False),
        ("in", "on", False),
        ("walked", "strolled", False),
        (",", ".", False),
    ],
)
def test_forms_of_one_word_are_told_by_their_spelling(one: str, other: str, *, same: bool) -> None:
    assert same_word(one, other) is same


@pytest.mark.parametrize(
    ("word", "model", "written"),
    [("fort", "CASTLE", "FORT"), ("fort", "Castle", "Fort"), ("fort", "castle", "fort"), ("the", "A", "The")],
)
def test_capitals_are_those_of_the_unit(word: str, model: str, written: str) -> None:
    assert written_like(word, model) == written


# Fillers


def test_a_mask_is_filled_with_the_likeliest_that_is_not_the_unit(tmp_path: Path) -> None:
    model = load_model(f"hf/{tiny_models.save_masked(tmp_path)}")
    assert isinstance(model, FillsMask)
    operator, _ = prepared("neutral", infill=model)
    units = split(PROMPT)
    for place, (unit, filler) in enumerate(zip(units.texts, operator.replacements, strict=True)):
        mask = np.arange(len(units)) != place
        shown = Substitute("hole", tuple("[MASK]" for _ in units.texts)).render(units, mask)
        (answer,) = model.answer([Request(prompt=shown)])
        assert isinstance(answer, Output)
        listed = [str(text) for text, _ in answer.extra["fillers"]]  # type: ignore[union-attr,misc]
        assert filler.lower() in listed
        skipped = listed[: listed.index(filler.lower())]
        assert all(same_word(text, unit) or text.isalnum() != unit.isalnum() for text in skipped)


def test_fillers_keep_the_kind_and_the_capitals_of_the_unit() -> None:
    _, found = prepared("neutral", infill=Masked(fillers("castles", ".", "rain", ",")))
    assert found["castle"] == "rain"
    assert found["Dog"] == "Castles"
    assert found["."] == ","


def test_a_continuing_model_is_shown_the_left_context_and_scores_the_rest() -> None:
    texts = {0: " castles are", 1: " rain, snow", 2: " snow falls"}
    model = Scoring(lambda request: Output(text=texts.get(request.draw, " fog.")))
    _, found = prepared("neutral", "the old castle.", infill=model)
    assert found["castle"] == "snow"
    left = {str(request.prompt) for request in model.asked if request.continuation is None}
    assert left == {"", "the", "the old", "the old castle"}
    assert " snow." in {request.continuation for request in model.asked if request.prompt == "the old"}


def test_without_scores_the_filler_that_comes_most_often_is_taken() -> None:
    model = Continuing(lambda request: Output(text=" rain." if request.draw in {1, 4} else " snow!"))
    _, found = prepared("neutral", "the old castle", infill=model)
    assert found["castle"] == "snow"


def test_a_real_causal_model_fills_in_and_the_second_run_is_free(tmp_path: Path) -> None:
    folder = tiny_models.save("gpt2", tmp_path / "model")
    with open_store(tmp_path / "calls.sqlite") as store:
        _, once = prepared("neutral", infill=f"hf/{folder}", tools=Tools(store=store))
    model = load_model(f"hf/{folder}")
    model.answer = model.score = _never  # type: ignore[method-assign,attr-defined]
    with open_store(tmp_path / "calls.sqlite") as store:
        _, again = prepared("neutral", infill=model, tools=Tools(store=store))
    assert once == again
    assert not any(same_word(text, other) for text, other in once.items() if text != other)


def _never(requests: Sequence[Request]) -> list[Output | Failure]:
    raise AssertionError(f"{len(requests)} calls that were recorded before")


def test_a_model_that_answers_is_asked_for_what_could_stand_there() -> None:
    model = Model(lambda _: Output(text=' "rain" \n'))
    _, found = prepared("neutral", infill=model)
    assert found["castle"] == "rain"
    assert "Tell a story of the old ___ and the Dog." in str(model.asked[6].prompt)
    _, found = prepared("neutral", infill=lambda prompt: prompt[-3:], instruction="{left}|{right}")
    assert found["castle"] == "og."


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (Masked(lambda _: Failure(kind="refused", message="not that", advice="Ask nicely.")), "not that. Ask nicely"),
        (Masked(lambda _: Output(text="", extra={"fillers": []})), "its answer is empty"),
        (Model(lambda _: Output(text="I cannot help.", finish="refused")), "it refused: 'I cannot help.'"),
        (Model(lambda _: Output(text=" \n")), "its answer is empty"),
        (Model(lambda _: Output(text="Sure! Here is a story about a castle.")), "it answered at length"),
        (Continuing(lambda _: Output(text="")), "its answer is empty"),
    ],
)
def test_an_infill_model_that_refuses_is_named_with_the_unit(model: Model, says: str) -> None:
    with pytest.raises(ModelError, match=says) as raised:
        prepared("neutral", "castle", infill=model)
    assert "test/model gave no replacement for unit 1, 'castle'" in str(raised.value)
    assert "infill=" in str(raised.value)


def test_a_fill_mask_model_refuses_sentences() -> None:
    with pytest.raises(UsageError, match="fills in one word"):
        prepared("neutral", units="sentence", infill=Masked(fillers("rain")))


# Paraphrases


def test_each_unit_is_asked_for_once_and_marks_not_at_all() -> None:
    model = Model(lambda request: Output(text=f'"{str(request.prompt).splitlines()[-1]} or so"'))
    units = split("A dog. A dog. A cat!", "sentence")
    operator = load_operator("paraphrase", OperatorOptions(paraphraser=model))
    assert operator.calls(units) == 2
    ready = operator.prepare(units, Tools())
    assert isinstance(ready, Substitute)
    assert ready.replacements == ("A dog. or so", "A dog. or so", "A cat! or so")
    assert len(model.asked) == 2
    assert ready.render(units, np.array([True, False, True])) == "A dog. A dog. or so A cat!"


def test_a_function_gets_the_unit_alone_unless_it_is_told_more() -> None:
    _, found = prepared("paraphrase", paraphraser=str.upper)
    assert found["castle"] == "CASTLE"
    _, found = prepared("paraphrase", paraphraser=str.upper, instruction="say {text}!")
    assert found["castle"] == "SAY CASTLE!"


def test_paraphrases_that_change_nothing_are_listed_or_refused() -> None:
    operator, found = prepared("paraphrase", paraphraser=lambda text: "fort" if text == "castle" else text)
    assert found["castle"] == "fort"
    assert "10 of 11 units" in operator.notices[0].text
    with pytest.raises(UsageError, match="changes none of the 11 units"):
        prepared("paraphrase", paraphraser=lambda text: text)


def test_a_paraphrase_that_does_not_end_is_refused() -> None:
    with pytest.raises(ModelError, match=r"unit 1, 'Tell' \(it wrote over 68 tokens"):
        prepared("paraphrase", paraphraser=Model(lambda _: Output(text="and and", finish="length")))


def test_paraphrases_are_recorded(tmp_path: Path) -> None:
    counted = Model(lambda request: Output(text=str(request.prompt)[-3:].upper()))
    for _ in range(2):
        with open_store(tmp_path / "calls.sqlite") as store:
            prepared("paraphrase", "one two", paraphraser=counted, tools=Tools(store=store))
    assert len(counted.asked) == 2


# Noise


def test_noise_leaves_the_text_and_speaks_through_the_settings() -> None:
    units = split(PROMPT)
    model = load_model("demo/storyteller")
    operator = load_operator("noise", OperatorOptions(noise=2.0)).prepare(units, Tools(model=model, seed=5))
    mask = np.array([text != "castle" for text in units.texts])
    assert operator.render(units, mask) == PROMPT
    settings = operator.settings(units, mask, Settings(max_tokens=8))
    noise = settings.extra["embedding_noise"]
    assert noise["spans"] == [[PROMPT.index("castle"), PROMPT.index("castle") + 6]]  # type: ignore[index,call-overload]
    assert settings.max_tokens == 8
    assert operator == load_operator("noise", OperatorOptions(noise=2.0)).prepare(units, Tools(model=model, seed=5))
    assert operator != load_operator("noise", OperatorOptions(noise=2.0)).prepare(units, Tools(model=model, seed=6))


def test_noise_needs_a_model_whose_embeddings_can_be_reached(tmp_path: Path) -> None:
    (tmp_path / "calls.jsonl").write_text("", encoding="utf-8")
    for model in (Model(fillers("a")), None):
        with pytest.raises(UsageError, match=r"hf/PATH, demo/storyteller\), or operator='delete'"):
            load_operator("noise").prepare(split(PROMPT), Tools(model=model))
    assert not hasattr(ReplayModel, "noisy_tokens")
    with pytest.raises(UsageError, match="noise=0"):
        load_operator("noise", OperatorOptions(noise=0.0))


# The door


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("delete", {"noise": 2.0, "lexicon": {"a": "b"}}, "was given lexicon, noise: lexicon goes with"),
        ("noise", {"infill": "hf/x"}, "infill goes with operator='neutral'"),
        ("synonym", {"instruction": "{text}"}, "instruction goes with operator='neutral' or 'paraphrase'"),
        ("neutral", {}, "infill="),
        ("paraphrase", {}, "paraphraser="),
        ("paraphrase", {"paraphraser": str.upper, "instruction": "go"}, "must hold {text}"),
        ("neutral", {"infill": str.upper, "instruction": "{text}"}, "must hold {left}"),
        ("placeholder", {"placeholder": ""}, "placeholder is empty"),
    ],
)
def test_options_that_do_not_go_together_are_refused(name: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        load_operator(name, OperatorOptions(**options))


def test_an_operator_of_one_s_own_is_taken_as_it_is() -> None:
    class Shout(Operator):
        name = "shout"

        def parts(self, units, mask):
            return [units.text_at(p) if mask[p.unit] else units.text_at(p).upper() for p in units.pieces]

    units = split("a dog")
    mine = load_operator(Shout())
    assert mine.prepare(units, Tools()).render(units, np.array([True, False])) == "a DOG"
    with pytest.raises(UsageError, match="takes no options"):
        load_operator(mine, OperatorOptions(noise=1.0))
    with pytest.raises(UsageError, match="operator is a int"):
        load_operator(3)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="Did you mean 'synonym'"):
        load_operator("synonyms")


def test_what_is_not_ready_does_not_render() -> None:
    units = split(PROMPT)
    with pytest.raises(UsageError, match=r"operator.prepare\(units, tools\)"):
        load_operator("synonym").render(units, np.zeros(len(units), dtype=bool))
    with pytest.raises(UsageError, match="holds 1 replacements, and the prompt has 11"):
        Substitute("mine", ("a",)).render(units, np.zeros(len(units), dtype=bool))
    assert Delete().prepare(units, Tools()) == Delete()
    with pytest.raises(UsageError, match=r"operator.prepare\(units, tools\)"):
        EmbeddingNoise().render(units, np.zeros(len(units), dtype=bool))
