"""Units by output sentences, and several targets, read from the outputs of one run."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tiny_models
from whygen.errors import DataError, UsageError
from whygen.models import load_model
from whygen.models.planted.texts import SENTENCES, PlantedModel
from whygen.prompt.answers import Answers, Draws
from whygen.prompt.designs import Design
from whygen.prompt.effects import Effects
from whygen.prompt.intervals import Estimate, cross_fit, enumerated_estimate, sampled_estimate
from whygen.prompt.noise import Steadiness, measure
from whygen.prompt.operators import Delete
from whygen.prompt.options import PromptOptions
from whygen.prompt.plan import Plan
from whygen.prompt.reading import Meter, read
from whygen.prompt.sentences import sentence_effects, sentence_matrix
from whygen.prompt.surrogates import load_surrogate
from whygen.prompt.targets import load_target
from whygen.prompt.units import split
from whygen.results.recipe import ModelRecipe
from whygen.types import Masks, Output, Request, TokenScore

PROMPT = "Write about fox and castle, quickly"
REFERENCE = Output(text=f"Here is the text. {SENTENCES['fox']} {SENTENCES['castle']}")


def answers_to(
    masks: Masks, first: Sequence[Draws], repeats: Sequence[Output], *, references: Sequence[Output] = (REFERENCE,),
    empty: Sequence[Output] = (), steadiness: Steadiness = "known", groups: Sequence[int] | None = None,
) -> Answers:  # fmt: skip
    """Answers to masks; the repeats stand for a mask that keeps everything."""
    rows = np.arange(len(masks)) if groups is None else np.array(groups)
    return Answers(
        model=ModelRecipe(uri="planted/additive"),
        units=split(PROMPT),
        operator=Delete(),
        design=Design(name="given", masks=masks, groups=rows),
        prompts=[""] * len(masks),
        references=tuple(references),
        repeats=tuple(repeats),
        first=tuple(first),
        stands=masks.all(axis=1),
        empty=tuple(empty),
        steadiness=steadiness,
    )


def heard(masks: Masks, *, score: bool = False, groups: Sequence[int] | None = None) -> Answers:
    """What the additive planted model says to every mask."""
    model, units = PlantedModel("additive"), split(PROMPT)
    continuation = REFERENCE.text if score else None
    prompts = [Delete().render(units, mask) for mask in masks]
    requests = [Request(prompt=prompt, continuation=continuation) for prompt in [PROMPT, PROMPT, *prompts]]
    outputs = [one for one in (model.score if score else model.answer)(requests) if isinstance(one, Output)]
    return answers_to(masks, [(output,) for output in outputs[2:]], outputs[:2], groups=groups)


def plan_of(estimand: str = "banzhaf") -> Plan:
    return Plan(options=PromptOptions(estimand=estimand), surrogate=load_surrogate("ols"))


def every_mask(n: int) -> Masks:
    return np.array(list(itertools.product([False, True], repeat=n)), dtype=bool)


def enumerated(told: Answers):
    def estimate(meter: Meter) -> Estimate:
        effects = read(told, plan_of(), meter)
        return enumerated_estimate(effects, effects.noise)

    return estimate


@pytest.mark.parametrize("name", ["token-set", "tfidf", "edit", "exact", "logprob"])
def test_each_word_drives_its_own_sentence(name: str) -> None:
    units = split(PROMPT)
    masks = every_mask(len(units))
    told = heard(masks, score=name == "logprob")
    matrix = sentence_matrix(told, load_target(name), enumerated(told))
    assert [one.text for one in matrix.sentences] == ["Here is the text.", SENTENCES["fox"], SENTENCES["castle"]]
    assert all(REFERENCE.text[one.start : one.end] == one.text for one in matrix.sentences)
    fox, castle = units.texts.index("fox"), units.texts.index("castle")
    found = matrix.array()
    assert found.shape == (len(units), 3)
    assert found[fox, 1] > 0.2
    assert found[castle, 2] > 0.2
    others = np.ones_like(found, dtype=bool)
    others[fox, 1] = others[castle, 2] = False
    assert np.abs(found[others]).max() < 0.3 * found[[fox, castle], [1, 2]].min()
    assert matrix.sure()[fox, 1]
    assert not matrix.sure()[:, 0].any()


def test_log_probabilities_of_sentences_add_up_to_the_whole() -> None:
    rng = np.random.default_rng(0)
    half = rng.random((24, len(split(PROMPT)))) < 0.5
    masks = np.vstack([half, ~half])
    told = heard(masks, score=True, groups=[*range(24)] * 2)

    def estimate(meter: Meter) -> Estimate:
        generator = np.random.default_rng(7)
        return sampled_estimate(cross_fit(read(told, plan_of(), meter), load_surrogate("ols"), generator), generator)

    matrix = sentence_matrix(told, load_target("logprob"), estimate)
    whole = estimate(Meter(load_target("logprob"), told.references))
    assert matrix.array().sum(axis=1) == pytest.approx(whole.attributions, abs=1e-9)
    assert matrix.low is not None
    assert (np.array(matrix.low) <= matrix.array()).all()


def test_tokens_of_a_real_model_belong_to_one_sentence_each(tmp_path: Path) -> None:
    model = load_model(f"hf/{tiny_models.save('llama', tmp_path)}")
    text = " Boats pass.\n\nThe river, naïve 東京!  And France?\n"
    outputs = model.score([Request(prompt=prompt, continuation=text) for prompt in ("Paris", "a river")])  # type: ignore[attr-defined]
    measure = sentence_effects(load_target("logprob"), Output(text=text))
    assert [one for one, _ in measure.columns] == ["Boats pass.", "The river, naïve 東京!", "And France?"]
    whole = [sum(score.logprob for score in output.scores) for output in outputs]
    assert measure(outputs).sum(axis=1) == pytest.approx(whole, abs=1e-9)


def test_a_token_over_two_sentences_belongs_to_that_of_its_first_visible_character() -> None:
    reference = Output(text="No. Yes.")
    cut = [(0, 2, -1.0), (2, 5, -2.0), (5, 8, -4.0), (8, 12, -8.0)]  # the last is of another text
    output = Output(finish="scored", scores=tuple(TokenScore(*token) for token in cut))
    measure = sentence_effects(load_target("logprob"), reference)
    assert measure([output]).tolist() == [[-3.0, -4.0]]
    assert sentence_effects(load_target("logprob"), reference, most=1)([output]).tolist() == [[-3.0]]
    spaced = Output(finish="scored", scores=(TokenScore(0, 3, -1.0), TokenScore(3, 8, -2.0)))
    assert measure([spaced]).tolist() == [[-1.0, -2.0]]


@given(st.permutations(["One fox.", "Two foxes!", "A castle?"]), st.sampled_from(["token-set", "tfidf", "edit"]))
def test_the_order_of_sentences_and_what_is_said_besides_do_not_count(order: list[str], name: str) -> None:
    measure = sentence_effects(load_target(name), Output(text="One fox. A castle?"))
    assert measure([Output(text=" ".join(order))]).tolist() == [[0.0, 0.0]]
    alone = measure([Output(text="A castle?"), Output(text="")])
    assert alone[0, 1] == 0.0
    assert alone[0, 0] < 0.0
    assert alone[1].tolist() == [-1.0, -1.0]


def test_many_targets_read_what_each_reads_alone() -> None:
    masks = every_mask(len(split(PROMPT)))
    told = heard(masks)
    targets = [load_target(name) for name in ("token-set", "edit", "contains:fox", "regex:castle", "refusal")]
    outputs = [draws[0] for draws in told.first if draws[0] is not None]
    for target in targets:
        effects = read(told, plan_of(), Meter(target, told.references))
        assert effects.values == pytest.approx(target.effects(outputs, told.references), abs=1e-12)
        assert effects.noise.variance == 0.0
        assert effects.total is None


def test_noise_comes_from_the_draws_of_masks_or_is_not_known() -> None:
    def numbers(*values: float | None) -> Draws:
        return tuple(None if value is None else Output(text=str(value)) for value in values)

    def effects(
        first: Sequence[Draws], again: Sequence[Draws] = (), empty: Sequence[Output] = (), estimand: str = "banzhaf"
    ):
        told = answers_to(
            masks, first, [Output(text="1"), Output(text="3")], references=(), empty=empty, steadiness="so far"
        )  # fmt: skip
        return read(replace(told, again=tuple(again)), plan_of(estimand), Meter(load_target(float)))

    masks = np.array([[True, False], [False, True], [True, True]])
    drawn = effects([numbers(1, 3), numbers(0, 4), numbers(None, None)])
    assert drawn.values.tolist() == [2.0, 2.0, 2.0]
    assert (drawn.noise.repeats, drawn.noise.odd) == (2, 2)
    assert drawn.noise.pool == pytest.approx((2.0 + 8.0) / 2)
    again = effects(
        [numbers(1), numbers(2), numbers(None)],
        [numbers(None), numbers(5), numbers(None)],
        [Output(text="0")],
        "shapley",
    )
    assert again.noise.pool == pytest.approx(4.5)
    assert again.values.tolist() == [1.0, 3.5, 2.0]
    assert again.total == pytest.approx(2.0)
    # The whole prompt, where a model is surest, was asked twice, and no mask was.
    assert effects([numbers(1), numbers(2), numbers(None)]).noise.source == "unknown"


def test_each_output_is_measured_once() -> None:
    measured: list[str] = []

    def length(text: str) -> float:
        measured.append(text)
        return float(len(text))

    meter, one, two = Meter(load_target(length)), Output(text="a"), Output(text="bb")
    assert meter.table([(one, None), (two, one)]).tolist()[1] == [2.0, 1.0]
    assert meter([two, one, two]).tolist() == [2.0, 1.0, 2.0]
    assert measured == ["a", "bb"]


def test_what_has_no_sentences_is_refused() -> None:
    with pytest.raises(DataError, match="no sentence to explain"):
        sentence_effects(load_target("tfidf"), Output(text=" \n "))
    with pytest.raises(UsageError, match="'refusal' reads the answer as one"):
        sentence_effects(load_target("refusal"), REFERENCE)


def test_cells_are_corrected_over_all_of_them() -> None:
    """Noise alone: an interval of 5% of the cells leaves zero out, and one run in twenty calls a cell at most."""
    rng, n, runs, called, outside = np.random.default_rng(5), 4, 60, 0, []
    masks, told = every_mask(n), heard(every_mask(len(split(PROMPT))))
    for _ in range(runs):
        draws = rng.normal(size=(len(masks), 3, 3))
        columns = iter([(draws[:, :, place], measure(draws[:, :, place])) for place in range(3)])

        def estimate(_: Meter) -> Estimate:
            drawn, noise = next(columns)  # noqa: B023
            return enumerated_estimate(Effects(masks, drawn.mean(axis=1), np.arange(len(masks))), noise)

        matrix = sentence_matrix(told, load_target("token-set"), estimate)
        called += bool(matrix.sure().any())
        outside.append(matrix.excludes_zero().mean())
    assert called <= 8
    assert 0.02 <= np.mean(outside) <= 0.08


def test_a_matrix_of_an_earlier_version_is_read_by_its_intervals() -> None:
    told = heard(every_mask(len(split(PROMPT))))
    matrix = sentence_matrix(told, load_target("edit"), enumerated(told))
    old = matrix.model_copy(update={"significant": None})
    assert (old.sure() == old.excludes_zero()).all()
