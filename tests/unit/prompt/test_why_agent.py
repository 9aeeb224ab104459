"""Who made the planted agent act: recorded calls of known cause, from the record to the verdict."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from benchmarks.planted_calls import CASES, Case, PlantedCall, planted_call, planted_run
from benchmarks.why_rules import NOISE, PAY, RULES, RuledModel, ruled_call

import whygen
from whygen.errors import UnknownNameError, UsageError
from whygen.models.planted.agent import LANGUAGES, TOOLS, PlantedAgent, act
from whygen.prompt.why import words
from whygen.prompt.why.door import aim_at
from whygen.records import Call
from whygen.results.prompt import PromptExplanation, TargetRecord
from whygen.results.why import Why
from whygen.types import Chat, Message, Output, Request, Tool, ToolCall

VERDICTS: dict[Case, str] = {
    "user": "request", "injected": "suspects", "redundant": "suspects", "together": "suspects",
    "user-and-result": "both", "user-or-result": "either",
}  # fmt: skip


def sends(output: Output) -> float:
    return float(any(call.name == "send_email" for call in output.calls))


def _planted(case: Case, parts: int = 6, *, language: str = "en", seed: int = 0) -> PlantedCall:
    return planted_call(np.random.default_rng([seed, parts]), case=case, parts=parts, language=language)


def _why(planted: PlantedCall, *, model: str = "planted/agent", **choices: object) -> PromptExplanation:
    call = Call(chat=planted.chat, answer=planted.answer, model=model)
    return whygen.explain_prompt(None, call, target=sends, cache=None, **choices)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("case", CASES)
def test_the_agent_acts_for_its_drivers_alone(case: Case, language: str) -> None:
    planted = _planted(case, 14, language=language)
    assert planted.acts(()) is (case != "quiet")
    others = [place for place in range(len(planted.chat.messages)) if place not in planted.drivers]
    assert planted.acts(others) is (case != "quiet")
    assert not planted.acts(planted.drivers)
    assert len([message for message in planted.chat.messages if message.text]) == 14


def test_the_agent_keeps_to_the_tools_it_has_and_does_nothing_twice() -> None:
    order = Message("user", LANGUAGES["en"].order.format(to="a@example.org"))
    assert act(Chat([order], TOOLS)) == ToolCall("send_email", '{"to": "a@example.org"}')
    assert act(Chat([order], TOOLS[1:])) is None
    assert act(Chat([order], TOOLS, "none")) is None
    done = Message("assistant", "", calls=(ToolCall("send_email", '{"to": "a@example.org"}', "x"),))
    assert act(Chat([order, done, Message("tool", "sent", answers="x")], TOOLS)) is None


def test_the_noisy_agent_gives_another_answer_as_often_as_it_says() -> None:
    planted = _planted("injected")
    requests = [Request(prompt=planted.chat, draw=draw) for draw in range(2000)]
    acted = np.mean([sends(output) for output in PlantedAgent("agent-10").answer(requests)])
    assert abs(acted - 0.9) < 4 * np.sqrt(0.09 / 2000)


def test_each_step_of_a_run_follows_from_the_result_before_it() -> None:
    for step in planted_run(np.random.default_rng(0), steps=3):
        assert not step.acts(step.drivers)
        assert act(step.chat) == step.answer.calls[0]


@pytest.mark.parametrize("case", VERDICTS)
def test_the_verdict_names_who_made_the_agent_act(case: Case) -> None:
    planted = _planted(case, 9, language=list(LANGUAGES)[CASES.index(case) % len(LANGUAGES)])
    explanation = _why(planted)
    why = explanation.why
    assert why is not None
    assert why.verdict == VERDICTS[case], why.sentences
    results = {
        f"tool result {planted.results.index(place) + 1}" for place in planted.drivers if place in planted.results
    }
    assert {part.name.partition(" (")[0] for part in why.accused} == results
    assert explanation.calls.asked <= 64
    assert why.whole.taken == why.whole.drawn
    assert why.empty is not None
    assert why.empty.taken == 0


def test_two_results_that_order_the_same_are_each_enough_and_two_halves_are_not() -> None:
    redundant, together = _why(_planted("redundant", 9)).why, _why(_planted("together", 9)).why
    assert redundant is not None
    assert together is not None
    assert (redundant.together, together.together) == ("each", "all")


def test_a_call_in_which_nothing_happened_is_told_so() -> None:
    why = _why(_planted("quiet")).why
    assert why is not None
    assert why.verdict == "nothing"
    assert why.accused == ()


def test_the_json_of_a_recorded_call_holds_to_its_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    document = _why(_planted("quiet")).to_dict()
    assert "why" in document
    held = jsonschema.Draft202012Validator(PromptExplanation.model_json_schema(mode="serialization"))
    assert held.is_valid(document)
    assert not held.is_valid(document | {"surplus": 1})
    assert not held.is_valid(document | {"why": {}})


def test_the_fewest_parts_that_change_the_action_are_its_proof() -> None:
    planted = _planted("injected", 12)
    explanation = _why(planted)
    assert explanation.sets is not None
    assert explanation.why is not None
    [accused] = explanation.why.accused
    assert explanation.sets.changing[0].units == (accused.unit,)
    assert explanation.evidence is not None
    with_it, without = (explanation.evidence.samples[place] for place in explanation.why.shown)
    assert (with_it.effect, without.effect) == (1.0, 0.0)


def test_a_part_that_a_person_names_is_a_suspect_too() -> None:
    explanation = _why(_planted("user"), suspect=["user message"])
    assert explanation.why is not None
    assert explanation.why.verdict == "suspects"
    with pytest.raises(UnknownNameError, match="user message"):
        _why(_planted("user"), suspect=["user massage"])


def test_suspects_need_a_chat() -> None:
    with pytest.raises(UsageError, match="parts of a chat"):
        whygen.explain_prompt("planted/additive", "the fox runs", suspect=["fox"], cache=None)


def test_a_record_that_names_no_model_says_what_to_give() -> None:
    with pytest.raises(UsageError, match="--model"):
        whygen.explain_prompt(None, Call(chat=_planted("user").chat), cache=None)


def test_a_recorded_answer_that_does_not_come_again_is_still_what_is_explained() -> None:
    # The record says the agent sent an e-mail; the agent of today never would.
    planted = _planted("quiet")
    call = Call(chat=planted.chat, answer=Output(calls=(ToolCall("send_email"),)), model="planted/agent")
    explanation = whygen.explain_prompt(None, call, target=sends, cache=None)
    why = explanation.why
    assert why is not None
    assert why.verdict == "nothing"
    assert explanation.sets is None, "no parts keep what never came"
    assert "ask that one (--model)" in why.sentences[0]
    assert (why.whole.taken, why.whole.drawn) == (0, 3)
    assert any("0 of 3" in sentence for sentence in why.sentences)


def test_why_is_kept_in_the_folder(tmp_path) -> None:  # type: ignore[no-untyped-def]
    explanation = _why(_planted("injected"))
    again = PromptExplanation.load(explanation.save(tmp_path / "saved"))
    assert again.why == explanation.why
    assert again.call == explanation.call
    assert again.call is not None
    assert again.call.recorded


@pytest.mark.parametrize(
    ("answer", "target"),
    [
        (Output(calls=(ToolCall("send_email"),)), "tool:send_email"),
        (Output(calls=(ToolCall("mail.send"),)), 'tool:"mail.send"'),
        (Output(calls=(ToolCall("a"), ToolCall("b"))), "tool"),
        (Output(text="I'm sorry, but I can't help with that."), "refusal"),
        (Output(finish="refused"), "refusal"),
        (Output(text='{"price": 3}'), "json:price"),
        (Output(text='{"price": 3, "name": "tea"}'), "exact"),
        (Output(text="[1, 2]"), "auto"),
        (Output(text="The meeting begins at nine."), "auto"),
        (Output(), "auto"),
    ],
)
def test_the_target_follows_from_what_was_answered(answer: Output, target: str) -> None:
    aim = aim_at(answer, recorded=True)
    assert aim.target == target
    assert "recorded answer" in aim.reason


def test_the_rate_of_wrong_accusations_is_the_one_that_was_measured() -> None:
    results = json.loads((Path(__file__).parents[3] / "benchmarks/results/agent_1812.json").read_text())
    clean = [row for row in results["figures"]["rows"] if row["way"] == "why" and row["case"] == "user"]
    assert sum(row["calls"] for row in clean) == words.CLEAN_CALLS
    assert sum(round(row["accused"] * row["calls"]) for row in clean) == words.CLEAN_ACCUSED
    why = _why(_planted("injected")).why
    assert why is not None
    assert f"{words.CLEAN_ACCUSED} of {words.CLEAN_CALLS}" in why.sentences[-1]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("tool:send_email", "answering without a call of send_email"),
        ('tool:"mail.send"', "the call of mail.send"),
        ("tool", "the call of mail.send"),
        ('tool:"mail.send".to', "the call of mail.send with to = 'a'"),
        ('tool:"mail.send".body', f"the call of mail.send with body = {repr('long' * 50)[:59]}…"),
        ('tool:"mail.send".cc.name', "the call of mail.send with this cc.name"),
        ("refusal", "answering without a refusal"),
        ("exact", "this answer (exact)"),
    ],
)
def test_what_was_done_is_said_in_words_of_bounded_length(name: str, told: str) -> None:
    made = ToolCall("mail.send", json.dumps({"to": "a", "body": "long" * 50}))
    record = TargetRecord(name=name, distance="", unit="")
    assert words.action(record, Output(calls=(made,))) == told
    assert words.action(TargetRecord(name="refusal", distance="", unit=""), Output(finish="refused")) == "the refusal"


def _desk(results: int = 6) -> Chat:
    """A desk with so many results of a tool, number by number."""
    turns = [Message("system", "You are the desk."), Message("user", "Read them.")]
    for number in range(results):
        turns.append(Message("assistant", "", calls=(ToolCall("read", json.dumps({"n": number}), f"c{number}"),)))
        turns.append(Message("tool", f"Note {number}.", answers=f"c{number}"))
    return Chat(turns, (Tool("pay", "Pays."), Tool("read", "Reads.")))


def _paid(*rule: Sequence[str]) -> Callable[[Request], Output]:
    """A model that pays where all of one of these lists of texts are sent."""

    def model(request: Request) -> Output:
        assert isinstance(request.prompt, Chat)
        said = " ".join(message.text for message in request.prompt.messages)
        acts = any(all(text in said for text in texts) for texts in rule)
        return Output(calls=(ToolCall("pay", "{}", "p"),)) if acts else Output(text="Read.")

    return model


def _found(model: Callable[[Request], Output], **choices: object) -> Why:
    call = Call(chat=_desk(), answer=Output(calls=(ToolCall("pay", "{}", "p"),)))
    why = whygen.explain_prompt(model, call, cache=None, **choices).why  # pyright: ignore[reportArgumentType]
    assert why is not None
    return why


def test_an_action_that_comes_whatever_is_taken_away_is_not_laid_to_the_budget() -> None:
    why = _found(_paid([]))
    assert why.verdict == "untold"
    assert why.sentences[0].startswith("The call of pay comes whatever is taken away, in ")
    pinned = _found(_paid(["Note 2"]), pin=["part:tool result 3"])
    assert "no part that can be left out is needed" in pinned.sentences[0]


def test_an_action_that_takes_much_at_once_says_so_and_has_its_proof() -> None:
    why = _found(_paid([f"Note {number}" for number in range(6)]))
    assert why.verdict == "untold"
    assert why.masked is not None
    assert why.masked.high < 0.3
    assert "it takes many of them at once" in why.sentences[0]
    assert any("taken away: 0 of" in sentence for sentence in why.sentences)


@pytest.mark.parametrize("seed", range(4))
def test_what_comes_mostly_without_the_named_parts_is_never_said_to_come_from_them(seed: int) -> None:
    why = _found(_paid(["Note 0"], ["Note 1"], ["Note 2"], ["Note 3"], ["Note 4"]), seed=seed)
    if why.comes_anyway:
        assert why.verdict in {"open", "untold"}
        assert " comes without " in why.sentences[0]
    else:
        assert why.missing is None or why.missing.low <= 0.5
    assert any(part.named for part in why.parts) or "no part is needed by itself" in why.sentences[0]


@pytest.mark.parametrize("other", [12345678901234567892, 7])
def test_a_number_that_is_a_name_is_the_same_only_digit_by_digit(other: int) -> None:
    def model(request: Request) -> str:
        assert isinstance(request.prompt, Chat)
        kept = any("Note 2" in message.text for message in request.prompt.messages)
        return json.dumps({"id": 12345678901234567891 if kept else other})

    call = Call(chat=_desk(), answer=Output(text='{"id": 12345678901234567891}'))
    why = whygen.explain_prompt(model, call, cache=None).why
    assert why is not None
    assert [part.name for part in why.parts if part.named] == ["tool result 3"]


def test_a_field_that_no_target_can_name_is_left_to_the_whole_answer() -> None:
    assert aim_at(Output(text='{"n[0]": 1}'), recorded=True).target == "auto"
    assert aim_at(Output(text='{"n": 1, "a.b": 2}'), recorded=True).target == "json:n"


def test_refusals_are_no_warning_where_a_refusal_is_what_is_explained() -> None:
    def model(request: Request) -> Output:
        assert isinstance(request.prompt, Chat)
        kept = "You are the desk" in request.prompt.messages[0].text
        return Output(text="I cannot help with that.", finish="refused") if kept else Output(text="Note 3 says so.")

    call = Call(chat=_desk(), answer=Output(text="I cannot help with that.", finish="refused"))
    found = whygen.explain_prompt(model, call, cache=None)
    assert found.why is not None
    assert found.why.sentences[0].startswith("The refusal comes from the request's own system (")
    assert not {"refused-reference", "odd-answers"} & {warning.code for warning in found.warnings}
    as_text = whygen.explain_prompt(model, call, target="exact", cache=None)
    assert {"refused-reference", "odd-answers"} <= {warning.code for warning in as_text.warnings}


def test_a_number_in_a_json_is_the_one_that_was_recorded_or_another() -> None:
    def model(request: Request) -> str:
        assert isinstance(request.prompt, Chat)
        said = request.prompt.messages[-1].text
        return json.dumps({"total": 431 if "431" in said else 0, "unit": "EUR"})

    docs = [
        f'<document index="{n}">\n{text}\n</document>' for n, text in enumerate(("May is paid.", "June: 431.", "July."))
    ]
    asked = Chat([Message("system", "Answer as JSON."), Message("user", "\n".join([*docs, "\nHow much is June?"]))])
    call = Call(chat=asked, answer=Output(text='{"total": 431, "unit": "EUR"}'))
    found = whygen.explain_prompt(model, call, target="json:total", cache=None)
    why = found.why
    assert why is not None
    assert (why.verdict, [part.name for part in why.parts if part.named]) == ("suspects", ["document 1"])
    assert why.sentences[0].startswith("The field total = 431 comes from document 1 (")
    assert max(unit.attribution for unit in found.units) == pytest.approx(431)  # its size stays that of the number
    kept = whygen.explain_prompt(model, call, target="json:unit", cache=None).why
    assert kept is not None
    assert kept.sentences[0].startswith('The field unit = "EUR" comes whatever is taken away')


@pytest.mark.parametrize(
    ("before", "made", "target"),
    [
        ([], '{"n": 9}', "tool:read"),
        (['{"n": 1}', '{"n": 2}'], '{"n": 9}', "tool:read.n"),
        (['{"n": 1}', '{"n": 9}'], '{"n": 9}', "tool:read"),  # nothing about it is new
        (['{"n": 1, "how": "all"}'], '{"n": 9, "how": "all"}', "tool:read.n"),
        (['{"n": 1, "how": "all"}'], '{"n": 9, "how": "top"}', "tool:read"),  # two are
        (['{"n": "a"}'], json.dumps({"n": "word " * 40}), "tool:read"),  # no model writes that twice
        (['{"n": 1}'], '{"n": [1, 2]}', "tool:read"),
        (['no JSON'], '{"n": 9}', "tool:read.n"),
        (['{"n": 1}'], "no JSON", "tool:read"),
        (['{"n[0]": 1}'], '{"n[0]": 2}', "tool:read"),  # a target reads that as a place in a list
        (['{"a\\"b": 1}'], '{"a\\"b": 2}', "tool:read"),
        (['{"جهت": "شمال"}'], '{"جهت": "جنوب"}', "tool:read.جهت"),
        (['{"fast": true}'], '{"fast": false}', "tool:read.fast"),
    ],
)  # fmt: skip
def test_where_a_tool_was_called_before_its_new_argument_is_explained(
    before: list[str], made: str, target: str
) -> None:
    earlier = [ToolCall("pay", '{"n": 3}', "p"), *(ToolCall("read", each, "r") for each in before)]
    aim = aim_at(Output(calls=(ToolCall("read", made, "z"),)), recorded=True, before=earlier)
    assert aim.target == target
    if "." in target or '"top"' in made:  # what is explained, or how it can be, is said
        assert "called before" in aim.reason


@pytest.mark.parametrize("name", RULES)
def test_each_rule_of_the_other_model_gets_its_verdict_without_noise(name: str) -> None:
    rule = RULES[name]
    chat, words_of, places = ruled_call(np.random.default_rng([1, list(RULES).index(name)]), rule)
    model = RuledModel(rule, words_of, 0.0)
    why = whygen.explain_prompt(model, Call(chat=chat, answer=Output(calls=(PAY,))), cache=None, interactions=0).why
    assert why is not None
    assert why.verdict == rule.verdict
    asked = [chat.messages[places[mark]] for mark in rule.drivers]
    assert len(asked) == len(rule.drivers)
    assert all(words_of[mark] in chat.messages[places[mark]].text for mark in rule.marks)


def test_the_figures_of_the_rules_are_those_of_the_docs_and_keep_the_rate() -> None:
    root = Path(__file__).parents[3]
    found = json.loads((root / "benchmarks/results/why_rules.json").read_text(encoding="utf-8"))["figures"]
    rows, sums = found["rows"], found["sums"]
    assert {(row["rule"], row["noise"]) for row in rows} == {(name, noise) for name in RULES for noise in NOISE}
    calls, wrong, left = (sum(row[name] for row in rows) for name in ("calls", "wrong", "open"))
    accused, clean = (sum(row[name] for row in sums) for name in ("clean: accused", "clean"))
    assert all(row["clean: accused"] / row["clean"] <= 0.05 for row in sums)
    told = " ".join((root / "docs/why.md").read_text(encoding="utf-8").split())
    assert f"{wrong} of {calls} verdicts are wrong, {left} stay open, and {accused} of {clean} clean requests" in told


def test_what_masks_leave_open_is_asked_of_the_accused_parts_alone_and_read_back(tmp_path: Path) -> None:
    planted = planted_call(np.random.default_rng([0, 9]), case="together", parts=9, language="en")
    call = Call(chat=planted.chat, answer=planted.answer, model="planted/agent-2")
    found = whygen.explain_prompt(None, call, cache=None, seed=0)
    why = found.why
    assert why is not None
    assert why.kept is not None
    assert 2 * why.kept.low - 1 < 0.5  # which alone would leave it open
    assert why.alone is not None
    assert (why.verdict, why.alone.taken, why.alone.drawn, found.calls.asked) == ("suspects", 8, 8, 64)
    assert "With nothing else sent at all: 8 of 8 answers (68–100%)." in why.sentences
    found.save(tmp_path / "out")
    assert PromptExplanation.load(tmp_path / "out").read().why == why
