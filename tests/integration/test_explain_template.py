"""A template over many inputs, the whole way: what is found, what is sent, what is counted and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import whygen
from whygen.calls import Budget, Interrupted, RunOptions
from whygen.errors import BudgetError, DataError, UnknownNameError, UsageError
from whygen.models.python import batched
from whygen.results.prompt import PromptExplanation
from whygen.types import Chat, Failure, Limits, Message, Output, Request, Settings, Template

SYSTEM = "Tell of a fox. Make it rhyme. Be kind. Sing."
CHAT = Chat((Message("system", SYSTEM),))
INPUTS = [f"{'long' if i % 2 else 'short'} wish {i}" for i in range(8)]
TEMPLATE = Template("Tell of a {animal}. Be kind.\n{passages}\nQuestion: {question}", {"animal": "fox"})


def teller(messages: Sequence[dict[str, str]]) -> str:
    """Tells of a fox whatever the user says, and rhymes where the wish is long."""
    told = " ".join(message["content"] for message in messages).lower()
    wish = messages[-1]["content"]
    fox = " the fox runs" if "fox" in told else ""
    rhyme = " and it rhymes well" if "rhyme" in told and "long" in wish else ""
    return f"{wish}{fox}{rhyme}"


def explain(model: object = teller, template: Chat | Template = CHAT, inputs=INPUTS, **options) -> PromptExplanation:
    options.setdefault("target", "token-set")
    options.setdefault("cache", None)
    return whygen.explain_prompt(model, template, inputs=inputs, **options)


def test_what_matters_for_every_input_and_what_for_some() -> None:
    explanation = explain(over="these")
    found = {unit.text: unit for unit in explanation.units}
    assert list(found) == ["Tell of a fox.", "Make it rhyme.", "Be kind.", "Sing."]
    assert found["Tell of a fox."].attribution > found["Make it rhyme."].attribution > 0
    assert found["Be kind."].attribution == found["Sing."].attribution == 0
    assert [unit.significant for unit in explanation.units] == [True, True, False, False]
    rhyme = [record.attributions[1] for record in explanation.inputs]
    assert [value > 1e-9 for value in rhyme] == ["long" in text for text in INPUTS]


def test_the_attribution_is_the_mean_over_inputs_and_each_is_what_the_input_alone_shows() -> None:
    explanation = explain(budget=2000)
    each = np.array([record.attributions for record in explanation.inputs])
    assert explanation.masks == "enumerated"
    assert [record.text for record in explanation.inputs] == INPUTS
    np.testing.assert_allclose(each.mean(axis=0), [unit.attribution for unit in explanation.units], atol=1e-12)
    alone = explain(inputs=INPUTS[1:2], over="these", budget=250)
    np.testing.assert_allclose(each[1], [unit.attribution for unit in alone.units], atol=1e-12)


@pytest.mark.parametrize("estimand", ["banzhaf", "shapley"])
def test_sampled_attributions_of_inputs_average_to_the_estimate(estimand: str) -> None:
    chat = Chat(
        (Message("system", " ".join(f"Rule {i} holds." for i in range(20)) + " Tell of a fox. Make it rhyme."),)
    )
    explanation = explain(template=chat, budget=8 * 60, estimand=estimand)
    each = np.array([record.attributions for record in explanation.inputs])
    np.testing.assert_allclose(each.mean(axis=0), [unit.attribution for unit in explanation.units], atol=1e-12)
    assert explanation.masks == "sampled"
    assert {unit.text for unit in explanation.units if unit.significant} >= {"Tell of a fox."}


def test_where_nothing_is_sampled_the_interval_is_student_t_over_inputs() -> None:
    from scipy.stats import t

    explanation = explain(budget=2000)
    each = np.array([record.attributions for record in explanation.inputs])
    half = t.ppf(0.975, 7) * each.std(axis=0, ddof=1) / np.sqrt(8)
    differ = np.ptp(each, axis=0) > 1e-9
    found = np.array([u.high - u.attribution for u in explanation.units])
    np.testing.assert_allclose(found[differ], half[differ], atol=1e-9)
    assert differ.any()
    assert not differ.all()
    assert explanation.evidence is not None
    # Eight inputs that agree may have missed a third of all inputs, where this part does as much as any.
    assert (found[~differ] > 0.3 * np.ptp(explanation.evidence.effects)).all()
    assert [unit.significant for unit in explanation.units][2:] == [False, False]
    assert explanation.interval.method.endswith("for inputs like these")
    assert explain(budget=2000, over="these").interval.method.endswith("for these 8 inputs")


def test_a_part_that_matters_for_a_tenth_of_all_inputs_is_held_by_six_of_them() -> None:
    held = []
    for seed in range(12):
        rare = np.random.default_rng(seed).random(6) < 0.1

        def model(messages: Sequence[dict[str, str]]) -> str:
            told, wish = messages[0]["content"], messages[-1]["content"]
            return f"{('fox' in told) + ('rhyme' in told) * rare[int(wish.split()[-1])]:g}"  # noqa: B023

        explanation = explain(model, inputs=[f"wish {i}" for i in range(6)], target=float, budget=6 * 20)
        rhyme = explanation.units[1]
        assert rhyme.low is not None
        assert rhyme.high is not None
        held.append(rhyme.low <= 0.1 <= rhyme.high)
        assert explanation.units[0].significant
    assert all(held)


def test_where_no_input_shows_a_difference_there_is_an_interval_only_where_the_target_has_an_end() -> None:
    inputs = [f"wish {i}" for i in range(6)]
    own = explain(lambda _: "3", inputs=inputs, target=float, budget=6 * 20)
    assert all(unit.low is None and unit.p_value is None for unit in own.units)  # they were [0, 0]
    assert own.interval.method.startswith("none: every perturbed prompt of every input had one effect")
    ended = explain(lambda _: "yes", inputs=inputs, target="contains:yes", budget=6 * 20)
    assert all(unit.high - unit.low > 0.5 for unit in ended.units)


def test_inputs_that_differ_widen_the_interval_for_inputs_like_them() -> None:
    chat = Chat(
        (Message("system", " ".join(f"Rule {i} holds." for i in range(20)) + " Tell of a fox. Make it rhyme."),)
    )
    like, these = (explain(template=chat, budget=8 * 80, over=over) for over in ("like-these", "these"))
    assert [u.attribution for u in like.units] == [u.attribution for u in these.units]
    widths = [[u.high - u.low for u in e.units if u.high is not None and u.low is not None] for e in (like, these)]
    assert all(a >= b - 1e-9 for a, b in zip(*widths, strict=True))
    assert widths[0][-1] > 2 * widths[1][-1]


def test_masks_are_shared_and_the_budget_is_kept() -> None:
    asked: list[Request] = []

    class Counting:
        uri = "py/counting"
        limits = Limits(max_batch=8)

        def answer(self, requests):
            asked.extend(requests)
            return [Output(text=f"{request.prompt} {request.sampling_seed % 3}") for request in requests]

    explanation = explain(Counting(), inputs=INPUTS[:3], budget=3 * 30)
    assert len(asked) <= explanation.calls.asked <= 90
    chats = [request.prompt.messages for request in asked if isinstance(request.prompt, Chat)]
    systems = [{chat[:-1] for chat in chats if chat[-1].text == text} for text in INPUTS[:3]]
    assert systems[0] == systems[1] == systems[2]
    assert {chat[-1].text for chat in chats} == set(INPUTS[:3])


def test_a_dry_run_counts_what_would_be_asked() -> None:
    forecast = whygen.forecast(teller, CHAT, inputs=INPUTS, budget=640)
    explanation = explain(budget=640)
    assert forecast.calls == explanation.calls.asked <= 640
    assert forecast.units == 4


class Stops:
    """Answers as `teller` does, until so many calls were made; then a person presses Ctrl-C, once."""

    uri = "py/stops"
    limits = Limits(max_batch=1)

    def __init__(self, after: int) -> None:
        self.left, self.made = after, 0

    def answer(self, requests: Sequence[Request]) -> list[Output]:
        self.left, self.made = self.left - 1, self.made + len(requests)
        if self.left == 0:
            raise KeyboardInterrupt
        messages = [request.prompt.messages for request in requests if isinstance(request.prompt, Chat)]
        return [Output(text=teller([{"content": part.text} for part in parts])) for parts in messages]


def test_ctrl_c_leaves_the_inputs_that_were_asked_to_the_end_and_goes_on_later(tmp_path: Path) -> None:
    store = tmp_path / "calls.sqlite"
    with pytest.raises(Interrupted) as stop:
        explain(Stops(8 * 3 + 15 * 4 + 3), cache=store, budget=8 * 20)
    part = stop.value.explanation
    assert part.ended == "interrupt"
    assert 2 <= len(part.inputs) < 8
    alone = explain(inputs=INPUTS[: len(part.inputs)], budget=20 * len(part.inputs))
    assert [unit.attribution for unit in part.units] == [unit.attribution for unit in alone.units]
    rest = Stops(10**6)
    whole = explain(rest, cache=store, budget=8 * 20)
    assert whole.ended is None
    assert whole.calls.asked > whole.calls.made == rest.made


def test_ctrl_c_before_two_inputs_is_no_explanation() -> None:
    with pytest.raises(KeyboardInterrupt) as stop:
        explain(Stops(8 * 3 + 5))
    assert not isinstance(stop.value, Interrupted)


def test_a_bound_ends_the_run_with_what_it_had() -> None:
    part = explain(budget=8 * 20, run=RunOptions(spending=Budget(calls=100)))
    assert part.ended is not None
    assert 2 <= len(part.inputs) < 8
    assert part.calls.asked <= 100


def test_a_batch_for_each_input_is_refused_before_anything_is_asked() -> None:
    for ask in (whygen.explain_prompt, whygen.forecast):
        with pytest.raises(UsageError, match="16 batches, one after another"):
            ask(teller, CHAT, inputs=INPUTS, target="token-set", run=RunOptions(batch="provider"))


def test_a_lone_sentence_is_cut_into_words_unless_units_are_named() -> None:
    chat = Chat((Message("system", "Tell of a fox."),))
    assert [unit.text for unit in explain(template=chat).units] == ["Tell", "of", "a", "fox", "."]
    assert [unit.text for unit in explain(template=chat, units="sentence").units] == ["Tell of a fox."]


def test_open_fields_and_documents_differ_and_the_rest_is_attributed() -> None:
    inputs = [{"question": f"Why {i}?", "passages": [f"Reason {i}.", "None."]} for i in range(4)]

    @batched
    def reader(prompts: Sequence[str]) -> list[str]:
        return [("fox " if "fox" in prompt else "") + prompt.splitlines()[-1] for prompt in prompts]

    explanation = explain(reader, TEMPLATE, inputs, units="part", budget=200)
    assert explanation.prompt == "Tell of a fox. Be kind.\n{passages}\nQuestion: {question}"
    assert [unit.text for unit in explanation.units] == ["Tell of a", "fox", ".", "Be kind.", "Question:"]
    assert explanation.units[1].attribution > 0
    assert explanation.inputs[2].text == "question: Why 2?\npassages: Reason 2.\nNone."
    assert {section.name for section in explanation.sections} == {"animal", "passages", "question"}


def test_it_is_saved_loaded_and_shown_like_any_other(tmp_path: Path) -> None:
    explanation = explain()
    assert whygen.load(explanation.save(tmp_path / "e")) == explanation
    assert "Tell of a fox." in explanation.to_html()


def test_a_pair_that_failed_for_one_input_is_left_out_for_all() -> None:
    class Failing:
        uri = "py/failing"
        limits = Limits()

        def answer(self, requests):
            return [self.one(request.prompt) for request in requests]

        def one(self, chat: Chat) -> Output | Failure:
            texts = [message.text for message in chat.messages]
            if texts[-1] == INPUTS[0] and texts[0] == "Sing.":
                return Failure(kind="permanent", message="no singing")
            return Output(text=teller([{"content": text} for text in texts]))

    explanation = explain(Failing(), budget=2000)
    assert explanation.evidence is not None
    assert len(explanation.evidence.masks) == 14
    assert explanation.calls.failed == 1
    assert "failed-calls" in [warning.code for warning in explanation.warnings]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"inputs": []}, UsageError, "inputs is empty"),
        ({"inputs": ["a"]}, UsageError, "at least two, or over='these'"),
        ({"inputs": ["a", "b", "a"]}, UsageError, "Inputs 1 and 3 make the same prompt"),
        ({"inputs": [{"a": "b"}, {"a": "c"}]}, UsageError, "give user messages"),
        ({"inputs": ["\ud800", "b"]}, DataError, "not valid Unicode"),
        ({"over": "those"}, UnknownNameError, "Did you mean 'these'"),
        ({"estimand": "local"}, UnknownNameError, "estimand over many inputs"),
        ({"units": "field"}, UsageError, "needs a Template"),
        ({"template": TEMPLATE, "inputs": ["a", "b"]}, UsageError, "give a dict with passages, question"),
        (
            {"template": TEMPLATE, "inputs": [{"question": "a"}, {"question": "b"}]},
            UsageError,
            "'passages' has no value",
        ),
        ({"template": Template("{a}", {"a": "b"}), "inputs": [{}, {}]}, UsageError, "Every field of the template"),
        ({"budget": 40}, BudgetError, "leaves 5 calls for each of 8 inputs"),
        ({"tolerance": 0.1}, UsageError, "tolerance=0.1 is for one prompt"),
        ({"template": SYSTEM}, UsageError, "template is a str"),
        ({"units": [(0, 4)]}, UsageError, "give a kind of unit"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_paid(options, error, message: str) -> None:
    def never(prompt: object) -> str:
        raise AssertionError("it was asked")

    with pytest.raises(error, match=message):
        explain(never, **options)


def test_the_smallest_budget_that_is_named_works() -> None:
    with pytest.raises(BudgetError) as refused:
        explain(budget=40)
    assert explain(budget=refused.value.smallest).calls.asked <= refused.value.smallest
    with pytest.raises(BudgetError):
        explain(budget=refused.value.smallest - 1)


def test_few_inputs_are_told() -> None:
    assert "few-inputs" in [warning.code for warning in explain(inputs=INPUTS[:3]).warnings]
    assert "few-inputs" not in [warning.code for warning in explain(inputs=INPUTS[:3], over="these").warnings]


def test_noise_is_measured_for_every_input() -> None:
    def noisy(request: Request) -> str:
        assert isinstance(request.prompt, Chat)
        told = teller([{"content": message.text} for message in request.prompt.messages])
        return f"{told} {request.sampling_seed % 2}"

    explanation = explain(noisy, settings=Settings(temperature=1.0), budget=640)
    assert explanation.noise.differs
    assert explanation.fidelity.noise_ceiling is not None
    assert explanation.calls.asked <= 640
