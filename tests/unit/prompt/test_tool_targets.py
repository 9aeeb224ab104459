"""Targets of calls: which tools, whether one, with what, read of what the provider says or of the text."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whygen.errors import DataError, UsageError
from whygen.models.written import calls_written
from whygen.prompt.targets import Counts, load_target
from whygen.prompt.targets.tools import calls_of, named_tool_target
from whygen.types import Output, ToolCall

ORDER = '{"to": "ann@x.org", "items": [{"sku": "A-1", "n": 2}, {"sku": "B"}], "urgent": true}'


def calling(*calls: tuple[str, str], text: str = "") -> Output:
    return Output(text=text, calls=tuple(ToolCall(name, arguments) for name, arguments in calls))


ORDERED = calling(("order", ORDER))
NOTHING = Output(text="Shall I order it?")


def effect(name: str, *outputs: Output, reference: Output = ORDERED) -> list[float]:
    return load_target(name).effects(outputs, [reference]).tolist()


def test_which_tools_are_called_in_order() -> None:
    both = calling(("search", "{}"), ("order", ORDER))
    assert effect("tool", ORDERED, calling(("order", "{}")), both, calling(("search", "{}")), NOTHING) == [
        1,
        1,
        0,
        0,
        0,
    ]
    assert effect("tool", both, calling(("order", ""), ("search", "")), reference=both) == [1, 0]
    assert effect("tool", NOTHING, ORDERED, reference=NOTHING) == [1, 0]


def test_whether_a_tool_is_called_beside_others_or_not_at_all() -> None:
    both = calling(("search", "{}"), ("order", ORDER))
    assert effect("tool:order", ORDERED, both, calling(("search", "{}")), NOTHING) == [1, 1, 0, 0]
    assert effect("tool:order", ORDERED, NOTHING, reference=NOTHING) == [0, 1]
    target = load_target("tool:order")
    assert isinstance(target, Counts)
    assert target.outcomes([ORDERED, NOTHING], [ORDERED]) == ("calls order", "does not call order")
    assert target.unread([NOTHING]) == ()


@pytest.mark.parametrize(
    ("path", "same", "other"),
    [
        ("to", '{"to": "ann@x.org"}', '{"to": "bob@x.org"}'),
        ("items[0].sku", '{"items": [{"sku": "A-1"}]}', '{"items": [{"sku": "A-2"}]}'),
        ("items.0.sku", '{"items": [{"sku": "A-1"}]}', '{"items": []}'),
        ("items[0].n", '{"items": [{"n": 2.0}]}', '{"items": [{"n": "2"}]}'),
        ("items", '{"items": [{"n": 2, "sku": "A-1"}, {"sku": "B"}]}', '{"items": [{"sku": "B"}, {"sku": "A-1"}]}'),
        ("urgent", '{"urgent": true}', '{"urgent": 1}'),
    ],
)
def test_an_argument_agrees_by_its_value(path: str, same: str, other: str) -> None:
    found = effect(f"tool:order.{path}", calling(("order", same)), calling(("order", other)), NOTHING)
    assert found == [1, 0, 0]


def test_an_argument_of_several_calls_is_all_of_their_values() -> None:
    twice = calling(("order", '{"to": "a"}'), ("search", '{"to": "z"}'), ("order", '{"to": "b"}'))
    once = calling(("order", '{"to": "a"}'))
    assert effect("tool:order.to", twice, once, reference=twice) == [1, 0]


def test_answers_without_the_argument_are_counted_by_reason_and_are_read() -> None:
    target = load_target("tool:order.to")
    assert isinstance(target, Counts)
    others = [NOTHING, calling(("search", "{}")), calling(("order", '{"to')), calling(("order", "{}"))]
    assert target.outcomes([ORDERED, *others], [ORDERED]) == (
        '"ann@x.org"', "no call of order", "no call of order", "arguments that are no JSON",
        "no argument 'to' of order",
    )  # fmt: skip
    assert target.unread(others) == ()


@pytest.mark.parametrize(
    ("name", "reference", "said"),
    [
        ("tool:order.from", ORDERED, r"no argument 'from' of order .* which calls 'order\("),
        ("tool:search.q", ORDERED, "no call of search"),
        ("tool:order.to", NOTHING, "Shall I order it"),
        ("logprob", ORDERED, "call of a tool"),
    ],
)
def test_a_reference_without_it_is_refused_and_says_what_is_called(name: str, reference: Output, said: str) -> None:
    with pytest.raises(DataError, match=said):
        load_target(name).check(reference)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "name", ["tool:", "tool: ", "tool:.to", "tool:order.", "tool:order..to", "tool:order.a[x", "tool:a]"]
)
def test_a_name_that_leads_nowhere_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="Write 'tool:send_email'"):
        load_target(name)


def test_a_name_with_a_full_stop_stands_in_quotes() -> None:
    reading = calling(("files.read", '{"path": "a"}'))
    assert effect('tool:"files.read"', reading, ORDERED, reference=reading) == [1, 0]
    assert effect('tool:"files.read".path', reading, ORDERED, reference=reading) == [1, 0]


def test_targets_of_texts_read_a_call_as_its_name_and_arguments() -> None:
    assert ORDERED.said.startswith('order({"items": [')
    assert calling(("order", '{"b":1, "a":2}'), text="So:").said == 'So:\norder({"a": 2, "b": 1})'
    assert effect("exact", calling(("order", ORDER.replace(" ", ""))), NOTHING) == [0, -1]
    assert effect("contains:ann@x.org", ORDERED, calling(("order", "{}"))) == [1, 0]
    assert effect("regex:urgent", ORDERED, NOTHING) == [1, 0]
    assert effect("json:to", ORDERED, calling(("order", '{"to": "b"}'))) == [1, 0]
    assert load_target(len).effects([calling(("now", ""))], [ORDERED]).tolist() == [len("now()")]


WRITTEN = {
    "hermes": '<tool_call>\n{"name": "order", "arguments": {"to": "a"}}\n</tool_call>',
    "qwen coder": "<tool_call>\n<function=order>\n<parameter=to>\na\n</parameter>\n</function>\n</tool_call>",
    "llama": '<|python_tag|>{"name": "order", "parameters": {"to": "a"}}<|eom_id|>',
    "llama without its tag": '{"name": "order", "parameters": {"to": "a"}}',
    "mistral": '[TOOL_CALLS] [{"name": "order", "arguments": {"to": "a"}}]</s>',
    "mistral 11": '[TOOL_CALLS]order[ARGS]{"to": "a"}</s>',
    "mistral small": '[TOOL_CALLS]order[CALL_ID]abc123def[ARGS]{"to": "a"}',
}


@pytest.mark.parametrize("form", WRITTEN)
def test_a_call_that_is_written_as_text_is_found(form: str) -> None:
    left, calls = calls_written(WRITTEN[form], {"order"})
    assert (left, [(call.name, call.values) for call in calls]) == ("", [("order", {"to": "a"})])
    assert calls_of(Output(text=WRITTEN[form])) == calls


def test_several_calls_are_found_and_what_is_said_before_stays() -> None:
    pair = WRITTEN["hermes"] + "\n" + WRITTEN["hermes"].replace("order", "search")
    left, calls = calls_written(f"I look. {pair}", ())
    assert (left, [call.name for call in calls]) == ("I look.", ["order", "search"])
    [mistral] = [calls_written('[TOOL_CALLS]a{"x": 1}[TOOL_CALLS]b{"y": 2}', ())]
    assert [call.name for call in mistral[1]] == ["a", "b"]
    llama = '<|python_tag|>{"name": "a", "parameters": {}}; {"name": "b", "parameters": {}}'
    assert [call.name for call in calls_written(llama, ())[1]] == ["a", "b"]


@pytest.mark.parametrize(
    "text",
    ['{"name": "Ann", "age": 3}', "[1, 2]", "{", "Use <tool_call> for calls.", "<|python_tag|>print(1)", "x order y"],
)
def test_a_text_that_calls_no_tool_stays_a_text(text: str) -> None:
    assert calls_written(text, {"order"}) == (text, ())


@given(st.text(alphabet=st.sampled_from('<>/=[]{}":, \nabtool_cfunctionparameter|pyhgTOLCALS')))
def test_any_text_can_be_read(text: str) -> None:
    calls_written(text, {"a"})
    calls_of(Output(text=text))


@given(st.text())
def test_any_name_of_a_target_is_one_or_is_refused(argument: str) -> None:
    with suppress(UsageError):
        named_tool_target(argument)
