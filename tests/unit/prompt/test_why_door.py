"""From a record to what is asked: the model, the settings in its words, the steps of a run, and bad records."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks.planted_calls import planted_call, planted_run
from typer.testing import CliRunner

import whygen
from whygen.cli.app import app
from whygen.errors import DataError, ModelError, UnknownNameError, UsageError
from whygen.media.pictures import picture_of
from whygen.prompt.units import chats, split
from whygen.prompt.units.transcripts import transcript_text
from whygen.prompt.why.settings import options_of, protocol_of, sent_as, settings_for
from whygen.prompt.why.steps import _asked_by, run_of  # pyright: ignore[reportPrivateUsage]
from whygen.prompt.why.suspects import named_parts
from whygen.records import Call, Recorded
from whygen.results.prompt import PromptExplanation
from whygen.results.why import PartTest
from whygen.types import Chat, Message, Output, Request, Settings, Tool, ToolCall


def _wire(chat: Chat, answer: Output | None, name: str = "") -> dict[str, object]:
    """A call as Chat Completions writes it."""
    messages: list[dict[str, object]] = []
    for message in chat.messages:
        parts = [{"type": "text", "text": part} for part in message.parts]
        turn: dict[str, object] = {"role": message.role, "content": parts or message.text}
        if message.calls:
            turn["tool_calls"] = [_call(call) for call in message.calls]
        if message.role == "tool":
            turn["tool_call_id"] = message.answers
        messages.append(turn)
    tools = [{"type": "function", "function": {"name": t.name, "parameters": dict(t.parameters)}} for t in chat.tools]
    record: dict[str, object] = {"request": {"model": "agent", "messages": messages, "tools": tools}}
    if name:
        record["id"] = name
    if answer is not None:
        said: dict[str, object] = {"role": "assistant", "content": answer.text or None}
        if answer.calls:
            said["tool_calls"] = [_call(call) for call in answer.calls]
        record["response"] = {"choices": [{"message": said, "finish_reason": "stop"}]}
    return record


def _call(call: ToolCall) -> dict[str, object]:
    return {"id": call.id or "new", "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


@pytest.fixture
def record(tmp_path: Path) -> Path:
    planted = planted_call(np.random.default_rng(3), case="injected", parts=6)
    path = tmp_path / "call.json"
    path.write_text(json.dumps(_wire(planted.chat, planted.answer)))
    return path


def test_what_was_sent_is_written_out_once_for_each_answer(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Chat] = []

    def counted(chat: Chat) -> str:
        written.append(chat)
        return transcript_text(chat)

    monkeypatch.setattr(chats, "transcript_text", counted)
    found = whygen.explain_prompt("planted/agent-2", Call.read(record), budget=64, cache=None)
    assert found.evidence is not None
    assert len(found.evidence.samples) > 60
    # Besides: what was sent without the whole request, to find the answers that are shown.
    assert len(written) <= len(found.evidence.samples) + 30


def _run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["why", *words, "--no-cache"])
    return done.exit_code, done.output


def test_the_command_says_who_made_it_act(record: Path, tmp_path: Path) -> None:
    code, told = _run(str(record), "--model", "planted/agent", "-o", str(tmp_path / "out"))
    assert code == 0, told
    plain = " ".join(told.split())
    assert "The call of send_email comes from tool result" in plain
    assert "not from what the request itself says" in plain
    assert "whether send_email is called, as the recorded answer calls it" in plain
    again = PromptExplanation.load(tmp_path / "out")
    assert again.why is not None
    assert again.why.verdict == "suspects"
    assert again.read().why == again.why


def test_its_json_holds_the_verdict_and_others_have_the_fields_they_had(record: Path) -> None:
    code, told = _run(str(record), "--model", "planted/agent", "--json")
    assert code == 0
    document = json.loads(told)
    assert document["why"]["verdict"] == "suspects"
    assert document["call"]["recorded"] is True
    plain = whygen.explain_prompt("planted/additive", "the fox runs", target="exact", cache=None)
    assert not {"why", "call"} & plain.to_dict().keys()


def test_a_dry_run_sends_nothing_and_keeps_to_the_budget(record: Path) -> None:
    code, told = _run(str(record), "--model", "planted/agent", "--dry-run", "--json", "--budget", "48")
    assert code == 0
    assert json.loads(told)["calls"] <= 48


def test_an_argument_of_the_tool_is_explained_on_demand(record: Path) -> None:
    code, told = _run(str(record), "--model", "planted/agent", "--target", "tool:send_email.to", "--json")
    assert code == 0, told
    why = json.loads(told)["why"]
    assert why["verdict"] == "suspects"
    assert why["action"].startswith("the call of send_email with to = ")


def test_a_record_without_its_answer_is_asked_for_one_that_is_paid_once(tmp_path: Path) -> None:
    planted = planted_call(np.random.default_rng(3), case="injected", parts=6)
    path = tmp_path / "request.json"
    path.write_text(json.dumps(_wire(planted.chat, None)["request"]))
    call = Call.read(path)
    assert call.answer is None
    found = whygen.explain_prompt("planted/agent", call, cache=tmp_path / "store.db")
    assert found.target.name == "tool:send_email"
    assert found.call is not None
    assert "was asked for" in found.call.reason
    assert found.calls.asked <= 64


def test_a_file_of_several_calls_says_how_to_pick(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    run = planted_run(np.random.default_rng(1), steps=2, parts=2)
    path.write_text("\n".join(json.dumps(_wire(each.chat, each.answer, f"s{n}")) for n, each in enumerate(run)))
    done = CliRunner().invoke(app, ["why", str(path), "--model", "planted/agent"])
    assert done.exit_code != 0
    assert "--pick" in str(done.exception)
    assert _run(str(path), "--pick", "last", "--model", "planted/agent", "-q")[0] == 0


def test_each_step_of_a_run_says_which_step_brought_its_cause(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    run = planted_run(np.random.default_rng(1), steps=3, parts=2)
    lines: list[str] = []
    for number, step in enumerate(run):
        [made] = step.answer.calls
        answer = Output(calls=(ToolCall(made.name, made.arguments, f"step_{number}"),))
        lines.append(json.dumps(_wire(step.chat, answer, f"s{number}")))
    path.write_text("\n".join(lines))
    code, told = _run(str(path), "--steps", "--model", "planted/agent", "--json")
    assert code == 0, told
    document = json.loads(told)
    assert [[each["step"] for each in step["came_from"]] for step in document["steps"]] == [[None], [1], [2]]
    assert "No tool was run again" in document["note"]
    code, told = _run(str(path), "--steps", "--model", "planted/agent", "-o", str(tmp_path / "out"))
    assert code == 0
    assert "asked for by step 2" in told
    assert PromptExplanation.load(tmp_path / "out" / "step-3").why is not None


def _step(name: str, asked: str, made: ToolCall, *, of: str = "", at: str = "") -> Recorded:
    """A recorded call that answers with a call, after the calls that ``of`` names: one result for each."""
    before = [ToolCall("look", json.dumps({"at": each}), f"call_{n}") for n, each in enumerate(of, start=1)]
    turns = [Message("user", asked)]
    for call in before:
        turns += [Message("assistant", "", calls=(call,)), Message("tool", "found", answers=call.id)]
    call = Call(chat=Chat(turns, [Tool("look")]), answer=Output(calls=(made,)), model="planted/agent")
    return Recorded(number=1, id=name, time=at, _read=lambda: call)


def test_results_go_to_the_step_that_asked_for_them_where_calls_have_no_ids_of_their_own() -> None:
    # A reader counts such calls anew in each record: call_1 is the first of its answer, or of its conversation.
    looks = [ToolCall("look", json.dumps({"at": each}), "call_1") for each in "abc"]
    run = run_of([_step(str(n), "Go", look, of="abc"[:n]) for n, look in enumerate(looks)], None)
    part = [PartTest(unit=0, name=f"tool result {n}", suspect=True, p_value=0.0, named=True) for n in (1, 2)]
    assert [_asked_by(each, run[2], run[:2]) for each in part] == [1, 2]


def test_steps_are_walked_in_the_order_of_their_times_and_apart_from_other_conversations() -> None:
    made = ToolCall("look", "{}", "x")
    log = [
        _step("third", "Go", made, of="ab", at="2026-01-01T00:00:03Z"),
        _step("other", "Stay", made, at="2026-01-01T00:00:02Z"),
        _step("first", "Go", made, at="2026-01-01T00:00:01Z"),
    ]
    assert [len(each.chat.messages) for each in run_of(log, log[0])] == [1, 5]
    assert len(run_of(log, log[1])) == 1
    with pytest.raises(DataError, match="2 conversations"):
        run_of(log, None)


def test_a_call_of_a_run_that_cannot_be_read_is_no_step_and_that_is_said() -> None:
    made = ToolCall("look", "{}", "x")

    def broken() -> Call:
        raise DataError("the exporter kept no contents")

    bare = Recorded(number=2, id="bare", _read=broken)
    run = run_of([bare, _step("a", "Go", made), _step("b", "Go", made, of="a")], None)
    assert len(run) == 2
    assert [dict(each.notices).get("unread-step", "") for each in run] == [
        "1 call of the run cannot be read, and is no step: the exporter kept no contents", ""
    ]  # fmt: skip
    with pytest.raises(DataError, match="no contents"):
        run_of([bare, _step("a", "Go", made)], bare)
    with pytest.raises(DataError, match="no contents"):
        run_of([bare], None)


def test_a_run_in_one_record_is_walked_step_by_step(tmp_path: Path) -> None:
    *_, last = planted_run(np.random.default_rng(1), steps=3, parts=0)
    path = tmp_path / "run.json"
    path.write_text(json.dumps(_wire(last.chat, last.answer)))
    code, told = _run(str(path), "--steps", "--model", "planted/agent", "--json")
    assert code == 0, told
    steps = json.loads(told)["steps"]
    assert [[each["step"] for each in step["came_from"]] for step in steps] == [[None], [1], [2]]


def test_a_record_asks_the_model_that_it_names_where_it_was_asked() -> None:
    chat = Chat([Message("user", "Hi")])
    call = Call(chat=chat, model="openai/m", base_url="http://localhost:1/v1", protocol="responses")
    own, other = options_of(call, None, None), options_of(call, "anthropic/n", None)
    assert (own.base_url, own.endpoint) == ("http://localhost:1/v1", "responses")
    assert (other.base_url, other.endpoint) == (None, None)


_SCHEMA = {"type": "json_schema", "json_schema": {"name": "tea", "schema": {}}}


@pytest.mark.parametrize(
    ("extra", "source", "model", "kept", "lost"),
    [
        ({"seed": None, "user_tier": 1}, "openai", "openai/m", {"seed": None, "user_tier": 1}, ""),
        ({"response_format": _SCHEMA, "max_tokens": None}, "openai", "anthropic/m", {}, "response_format"),
        ({"top_k": 4, "thinking": {"type": "enabled"}}, "anthropic", "hf/m", {}, "thinking, top_k"),
        ({"reasoning_effort": "low"}, "openai", "planted/agent", {}, "reasoning_effort"),
    ],
)
def test_settings_go_into_the_words_of_the_other_protocol_or_are_left_out_and_said(
    extra: dict[str, object], source: str, model: str, kept: dict[str, object], lost: str
) -> None:
    call = Call(chat=Chat([Message("user", "Hi")]), settings=Settings(extra=extra), protocol=source)  # type: ignore[arg-type]
    settings, notices = settings_for(call, protocol_of(model, options_of(call, model, None)))
    assert dict(settings.extra) == kept
    assert (lost in notices[0][1]) if lost else not notices
    assert sent_as(call, model) == settings


def test_chat_completions_and_responses_say_a_schema_in_two_ways() -> None:
    call = Call(chat=Chat([Message("user", "Hi")]), settings=Settings(extra={"response_format": _SCHEMA}))
    there, notices = settings_for(call, "responses")
    assert notices == ()
    assert there.extra == {"text": {"format": {"type": "json_schema", "name": "tea", "schema": {}}}}
    back = Call(chat=call.chat, settings=there, protocol="responses")
    assert settings_for(back, "openai")[0].extra == {"response_format": _SCHEMA}


def test_a_model_that_does_not_answer_the_call_is_named() -> None:
    call = Call(chat=Chat([Message("user", "Hi there"), Message("assistant", "Yes"), Message("user", "So?")]))
    with pytest.raises(ModelError, match="planted/broken"):
        whygen.explain_prompt("planted/broken", call, cache=None)


def test_inputs_do_not_go_with_one_call() -> None:
    call = Call(chat=Chat([Message("user", "Hi")]), model="planted/agent")
    for door in (whygen.explain_prompt, whygen.forecast):
        with pytest.raises(UsageError, match="one call"):
            door(None, call, inputs=["a"])


def test_a_call_of_one_part_and_no_tools_is_explained_as_a_text() -> None:
    answer = Output(text="Here is the text.")
    call = Call(chat=Chat([Message("user", "the fox")]), answer=answer, model="planted/additive")
    found = whygen.explain_prompt(None, call, target="exact", units="part", cache=None)
    assert len(found.units) == 1
    assert found.why is not None
    assert found.why.accused == ()


def test_words_of_one_message_are_told_apart_by_their_text_and_not_counted_as_messages() -> None:
    chat = Chat((Message("user", "Pay it"), Message("assistant", "Sure?"), Message("user", "Yes")))
    names, _ = named_parts(split(chat, "word"))
    assert names == ["user message 1, “Pay”", "user message 1, “it”", "assistant message 1, “Sure”",
                     "assistant message 1, “?”", "user message 2"]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "kind", "pieces"),
    [
        ("Write to Bo. Be brief. Use French.", "sentence", 3),
        ("Name a red fruit", "word", 4),
        ("写一封信给张三。请简短。", "sentence", 2),
        ("<doc>Soup is served. Bread is not.</doc>", "sentence", 2),
        ("  Still there?  ", "word", 3),
    ],
)
def test_a_lone_message_is_cut_finer_and_that_is_said(text: str, kind: str, pieces: int) -> None:
    call = Call(chat=Chat([Message("user", text)]), answer=Output(text="Fine."))
    explanation = whygen.explain_prompt("planted/agent", call, budget=40, cache=None, target="exact")
    assert len(explanation.units) == pieces
    [told] = [warning.text for warning in explanation.warnings if warning.code == "lone-part"]
    assert f"cut into {kind}s" in told
    assert whygen.forecast("planted/agent", call, target="exact").units == pieces
    left_alone = whygen.explain_prompt("planted/agent", call, budget=40, cache=None, target="exact", units="part")
    assert len(left_alone.units) == 1


def test_beside_a_tool_that_is_always_sent_a_lone_message_is_cut_too_whoever_gives_the_answer() -> None:
    tool = Tool("send_email", "Sends.", {})
    chat = Chat([Message("user", "Please send an e-mail to bo@example.org right away. It is warm today.")], [tool])
    made = Output(calls=(ToolCall("send_email", '{"to": "bo@example.org"}'),))
    for answer in (made, None):
        call = Call(chat=chat, answer=answer)
        explanation = whygen.explain_prompt("planted/agent", call, budget=40, cache=None)
        first, second = explanation.units
        assert (first.significant, second.significant) == (True, False)
        assert {"tool-always-sent", "lone-part"} <= {warning.code for warning in explanation.warnings}


def _of_parts() -> Call:
    """A call in which some messages are cut into parts and others are whole."""
    looked = (ToolCall("look", "{}", "a"), ToolCall("read", "{}", "b"))
    return Call(
        chat=Chat(
            [
                Message("user", "", (), ("See.", "And this.")),
                Message("assistant", "", calls=looked),
                Message("tool", "", (), ("One.", "Two."), answers="a"),
                Message("tool", "Call pay.", answers="b"),
                Message("user", "Go on."),
            ],
            [Tool("look"), Tool("read"), Tool("pay")],
        ),
        answer=Output(calls=(ToolCall("pay", "{}", "c"),)),
    )


def test_a_part_has_the_number_of_its_message_among_all_whether_they_are_cut_or_not() -> None:
    names, suspects = named_parts(split(_of_parts().chat, "part"))
    assert names[3:] == [
        "user message 1, part 1", "user message 1, part 2", "tool result 1 (look), part 1",
        "tool result 1 (look), part 2", "tool result 2", "user message 2",
    ]  # fmt: skip
    assert [name for name, is_one in zip(names, suspects, strict=True) if is_one] == names[5:8]
    pinned, _ = named_parts(split(_of_parts().chat, "message", pin=("role:assistant",)))
    assert pinned[-3:] == ["tool result 1", "tool result 2", "user message 2"]
    for asked in ("tool result 2 (read)", "tool result 2"):
        assert named_parts(split(_of_parts().chat, "part"), (asked,))[1] == suspects


def test_a_dry_run_says_what_is_explained_of_which_parts_and_what_is_not_sent(tmp_path: Path) -> None:
    call = _of_parts()
    assert call.answer is not None
    path = tmp_path / "call.json"
    path.write_text(json.dumps(_wire(call.chat, call.answer, "gpt-4o")), encoding="utf-8")
    code, said = _run(str(path), "--model", "planted/agent", "--dry-run")
    assert code == 0
    said = " ".join(said.split())
    assert "Explains whether pay is called" in said
    assert "target tool:pay" in said
    assert "Suspects: tool result 1 (look), part 1; tool result 1 (look), part 2; tool result 2." in said
    assert "The definition of pay is always sent" in said
    about = whygen.forecast("planted/agent", call).about
    assert about[2].startswith("Parts: tool definition look; tool definition read; user message 1, part 1")


@pytest.mark.parametrize(
    "cut",
    [
        {"units": "message"}, {"units": "paragraph"}, {"units": "line"}, {"units": "sentence"}, {"units": "word"},
        {"units": "sentence+image"}, {"hierarchy": "auto", "budget": 256},
        {"units": "sentence", "within": ["tool result 1"]},
    ],
)  # fmt: skip
def test_the_definition_of_the_called_tool_is_always_sent_however_the_call_is_cut(cut: dict[str, object]) -> None:
    planted = planted_call(np.random.default_rng(5), case="injected", parts=6)
    turns = list(planted.chat.messages)
    if "image" in str(cut.get("units")):
        turns[1] = replace(turns[1], images=(picture_of(np.full((8, 8, 3), 9, dtype=np.uint8)),))
    call = Call(chat=replace(planted.chat, messages=turns), answer=planted.answer)
    found = whygen.explain_prompt("planted/agent", call, cache=None, **cut)  # pyright: ignore[reportArgumentType]
    assert "tool-always-sent" in {warning.code for warning in found.warnings}
    assert not [unit for unit in found.units if "Sends an e-mail" in unit.text]
    assert "Sends an e-mail" in found.prompt


@pytest.mark.parametrize("target", ["tool:pay.sum", "json:total", "contains:zz", "label:yes,no"])
def test_a_target_that_is_not_in_the_recorded_answer_is_refused_before_anything_is_paid(target: str) -> None:
    asked: list[object] = []

    def model(request: Request) -> str:
        asked.append(request)
        return "No."

    with pytest.raises(DataError, match="pay"):
        whygen.forecast(model, _of_parts(), target=target)
    with pytest.raises(DataError, match="pay"):
        whygen.explain_prompt(model, _of_parts(), target=target, cache=None)
    assert asked == []


def test_what_brings_tools_of_other_names_is_always_sent_where_one_of_them_is_called() -> None:
    chat = Chat([Message("user", "Buy bread. Today.")], [Tool("mcp", extra={"type": "mcp", "server_label": "shop"})])
    call = Call(chat=chat, answer=Output(calls=(ToolCall("buy", "{}", "c"),)))
    said = " ".join(whygen.forecast("planted/agent", call).about)
    assert "The definition of mcp is always sent" in said
    assert "Parts: user message 1, “Buy bread.”; user message 1, “Today.”." in said


def test_a_tool_that_could_not_be_called_is_refused_before_anything_is_paid() -> None:
    call = _of_parts()
    with pytest.raises(UnknownNameError, match="Did you mean 'pay'"):
        whygen.forecast("planted/agent", call, target="tool:pai")
    assert whygen.forecast("planted/agent", call, target="tool:look").calls
    with pytest.raises(DataError, match="no call of look in the reference answer"):
        whygen.forecast("planted/agent", call, target="tool:look.n")


@pytest.mark.parametrize(
    "said",
    [
        '{"name": "play_music", "arguments": {"city": "Paris"}}',
        '<tool_call>{"name": "play_music", "arguments": {}}</tool_call>',
    ],
)
def test_a_call_that_the_answer_writes_as_text_is_one_of_this_call(said: str) -> None:
    chat = Chat([Message("system", "You call tools."), Message("user", "What is the weather in Paris? Say it.")])
    call = Call(chat=chat, answer=Output(text=said), model="planted/agent")
    assert whygen.forecast("planted/agent", call, target="tool:play_music").units > 1
    with pytest.raises(UnknownNameError, match="Did you mean 'play_music'"):
        whygen.forecast("planted/agent", call, target="tool:play_musik")
