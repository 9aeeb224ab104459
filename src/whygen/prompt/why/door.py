"""A recorded call, from the record to the explanation: which model, how, what of it, and whom to suspect."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, cast

from whygen.errors import ModelError, UnknownNameError, UsageError
from whygen.prompt.ask import ask
from whygen.prompt.assemble import explained
from whygen.prompt.findings import find
from whygen.prompt.options import DEFAULT, PromptOptions, check_hierarchy, check_rounds, choose
from whygen.prompt.question import check, check_cut
from whygen.prompt.session import Session, SessionOptions, open_session
from whygen.prompt.targets import TARGETS, ReadsReference, load_target
from whygen.prompt.targets.structured import read_refusal
from whygen.prompt.targets.tools import calls_of, tool_named
from whygen.prompt.why.settings import Notices, model_of, options_of, protocol_of, settings_for
from whygen.prompt.why.suspects import named_parts
from whygen.records import Call
from whygen.records.makers import NO_MODEL
from whygen.results.prompt import PromptExplanation, Warned
from whygen.results.why import CallRecord
from whygen.safe import read_json
from whygen.texts import nfc
from whygen.types import Chat, Failure, Output, Request, Tool, ToolCall

PROOF = 8
"""Calls of the budget that are its proof: the accused parts sent alone, where it is open whether the request's own are
needed (`whygen.prompt.why.verdict`), else the fewest parts which change the action."""

FINER: Final = ("sentence", "word")
"""What a lone part is cut into: the first that makes two pieces of it."""

LEAST_FOR_PROOF = 40
"""Under this budget all calls go to masks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallQuestion:
    """A recorded call, ready to be asked again.

    Attributes:
        model: what is asked.
        how: settings, store and bounds of the run.
        chosen: the options; the target is ``auto`` where it is to be chosen from an answer that is not there yet.
        aim: the target that was chosen from the recorded answer, and why; None where a person chose it.
        notices: what of the record was left out or is said otherwise.
    """

    call: Call
    model: object
    how: SessionOptions
    chosen: PromptOptions
    aim: Aim | None
    notices: Notices


def call_question(
    model: object,
    call: Call,
    *,
    preset: str | PromptOptions | None,
    choices: Mapping[str, Any],
    how: SessionOptions,
) -> CallQuestion:
    """What is asked about a call; nothing is opened or sent.

    Raises:
        UsageError: for a choice that cannot work, or a record that names no model where none is given.
    """
    asked = model_of(call, model)
    options = options_of(call, model, how["options"])
    settings, notices = settings_for(call, protocol_of(asked, options))
    how = {**how, "settings": how["settings"] or settings, "options": options}
    aim = None
    if "target" not in choices and preset is None and call.answer is not None:
        aim = aim_at(call.answer, recorded=True, before=_before(call.chat))
    given = {**({} if aim is None else {"target": aim.target}), **choices}
    if given.get("hierarchy") is None:
        given = {"units": "part", "suspect": (), **given}
    chosen = _with_proof(choose(preset, given), choices)
    check_rounds(chosen, how["run"])
    check(call.chat, chosen)
    _check_tool(chosen.target, call)
    _check_answer(chosen.target, call)
    chosen, told_of = _cut(chosen, call.chat, call.answer, choices)
    told = [each for each in call.notices if asked is call.model or each[0] not in NO_MODEL]
    return CallQuestion(
        call=call, model=asked, how=how, chosen=chosen, aim=aim, notices=(*told, *notices, *told_of)
    )  # fmt: skip


def _with_proof(chosen: PromptOptions, choices: Mapping[str, Any]) -> PromptOptions:
    """Some of the budget for the fewest parts that change the action, unless that was chosen."""
    if "sets" in choices or chosen.budget < LEAST_FOR_PROOF or chosen.distribution is not None:
        return chosen
    if chosen.scale != "none" or chosen.hierarchy is not None or chosen.tolerance is not None:
        return chosen
    return replace(chosen, budget=chosen.budget - PROOF, sets=PROOF)


def _with_tools(chosen: PromptOptions, chat: Chat, answer: Output | None) -> tuple[PromptOptions, Notices]:
    """Always send the definition of a tool that is called: without it nobody could call it, whatever made them."""
    made = {call.name for call in answer.calls} if answer is not None else set[str]()
    lacking = bool(made - {tool.name for tool in chat.tools})
    called = list(dict.fromkeys(tool.name for tool in chat.tools if tool.name in made or (lacking and _gives(tool))))
    pins = [f"part:tool definition {name}" for name in called]
    if not pins:
        return chosen, ()
    text = f"The definition of {', '.join(called)} is always sent: without it there is no call to explain."
    return replace(chosen, pin=tuple(dict.fromkeys((*chosen.pin, *pins)))), (("tool-always-sent", text),)


def _check_tool(target: object, call: Call) -> None:
    """Refuse to explain the call of a tool that could not be called, before anything is paid.

    Raises:
        UnknownNameError: naming the tools that can be.
    """
    if not isinstance(target, str) or not target.startswith("tool:") or any(map(_gives, call.chat.tools)):
        return
    known = [tool.name for tool in call.chat.tools]
    known += [each.name for each in calls_of(call.answer or Output())]  # also as text: a schema may ask for one so
    name = tool_named(target.removeprefix("tool:"))
    if known and name is not None and name not in map(nfc, known):
        raise UnknownNameError("tool of this call", name, set(known))


def _check_answer(target: object, call: Call) -> None:
    """Refuse a target that is not in the recorded answer, so that a dry run says so as well.

    Raises:
        DataError: showing the answer.
    """
    if call.answer is None or not isinstance(target, str):
        return
    head = target.partition(":")[0]
    if head not in TARGETS or "encoder" in TARGETS[head].takes:  # an encoder is opened for no dry run
        return
    found = load_target(target)
    if isinstance(found, ReadsReference):
        found.check(call.answer)


def _gives(tool: Tool) -> bool:
    """Whether a definition brings tools whose names are their own: a server's (MCP), or one of the protocol itself."""
    return tool.extra.get("type", "function") not in {"function", "custom"}


def _cut(
    chosen: PromptOptions, chat: Chat, answer: Output | None, choices: Mapping[str, Any]
) -> tuple[PromptOptions, Notices]:
    """What is always sent, and a lone part cut finer: that it is needed as a whole says nothing.

    Raises:
        UsageError: for units, pins or suspects that the call does not have.
    """
    chosen, told = _with_tools(chosen, chat, answer)
    units = check_cut(chat, chosen)
    if chosen.hierarchy is not None or units is None or len(units) != 1 or {"units", "within", "suspect"} & {*choices}:
        return chosen, told
    [name], _ = named_parts(units)
    for kind in FINER:
        finer = replace(chosen, units=kind, within=("*",))
        if len(check_cut(chat, finer) or ()) > 1:
            text = f"Only the {name} can be left out, so it is cut into {kind}s; --units and --within cut it otherwise."
            return finer, (*told, ("lone-part", text))
    return chosen, told


def said_of(question: CallQuestion) -> tuple[str, ...]:
    """What would be explained, of which parts, and what of the record is not sent as it was: lines for people."""
    aim, chosen = question.aim, question.chosen
    if aim is not None:
        said = [f"Explains {aim.reason} (target {aim.target})."]
    elif question.call.answer is None and chosen.target == "auto":
        said = ["The record holds no answer: the model is asked for one first, and that is explained."]
    else:
        said = [f"Explains target {chosen.target}."]
    units = None if chosen.hierarchy is not None else check_cut(question.call.chat, chosen)
    if units is not None:
        names, suspects = named_parts(units, chosen.suspect or ())
        accused = [name for name, is_one in zip(names, suspects, strict=True) if is_one]
        others = [name for name, is_one in zip(names, suspects, strict=True) if not is_one]
        said += [f"{title}: {_listed(each)}." for title, each in (("Suspects", accused), ("Parts", others)) if each]
    return (*said, *(text for _, text in question.notices))


def _listed(names: Sequence[str]) -> str:
    shown = "; ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown}; and {len(names) - _SHOWN} more"


_SHOWN: Final = 12


def explain_call(
    model: object,
    call: Call,
    *,
    preset: str | PromptOptions | None,
    choices: Mapping[str, Any],
    how: SessionOptions,
) -> PromptExplanation:
    """Which parts of a recorded call made the model answer as it did; see `whygen.explain_prompt`.

    Raises:
        UsageError: for a choice that cannot work.
        MissingError: if the model, an encoder or an extra is missing.
        ModelError: if the model does not answer the call.
    """
    asked = call_question(model, call, preset=preset, choices=choices, how=how)
    chosen, aim, notices = asked.chosen, asked.aim, asked.notices
    if chosen.hierarchy is not None:
        from whygen.prompt.long import explain_hierarchy

        check_hierarchy(chosen)
        explanation = explain_hierarchy(asked.model, call.chat, chosen, **asked.how)
        told = tuple(Warned(code=code, text=text) for code, text in notices)
        known = {"call": _record(call, aim), "warnings": (*told, *explanation.warnings)}
        return explanation.model_copy(update=known)
    with open_session(asked.model, chosen, **asked.how) as session:
        if aim is None and "target" not in choices and chosen.target == DEFAULT.target:
            answer = _answer(session, call)
            aim = aim_at(answer, recorded=False, before=_before(call.chat))
            chosen, told = _cut(replace(chosen, target=aim.target), call.chat, answer, choices)
            notices = (*notices, *told)
        question = session.question(call.chat, chosen)
        asker = session.asker(question, session.runner(chosen.budget + question.plan.beside))
        asker.recorded, asker.told = call.answer, notices
        found = find(ask(asker, question), question.plan, asker.meter, how["seed"])
        explanation = explained(found, asker, further=chosen.sets or 0)
    return explanation.model_copy(update={"call": _record(call, aim)})


def _record(call: Call, aim: Aim | None) -> CallRecord:
    return CallRecord(
        protocol=call.protocol, model=call.model or None, origin=call.origin, recorded=call.answer is not None,
        reason="" if aim is None else aim.reason,
    )  # fmt: skip


def _answer(session: Session, call: Call) -> Output:
    """What the model says to the whole call now; it is recorded, and paid for once."""
    [found] = session.runner(1).ask([Request(prompt=call.chat, settings=session.settings)])
    if isinstance(found, Failure):
        if found.kind == "refused":
            return Output(text=found.message, finish="refused")
        raise ModelError(f"{session.model.uri} did not answer the call ({found.kind}): {found.sentence}")
    return found


def no_inputs(call: Call) -> UsageError:
    """That a recorded call is one call."""
    return UsageError(
        f"inputs goes with a template, and {call.origin or 'a recorded call'} is one call. Leave inputs out, or "
        "explain call.chat over inputs."
    )


class Aim(NamedTuple):
    """A target and why it was chosen."""

    target: str
    reason: str


def aim_at(answer: Output, *, recorded: bool, before: Sequence[ToolCall] = ()) -> Aim:
    """What to explain of an answer.

    Args:
        answer: the recorded one, else what the model says now.
        recorded: whether it stood in the record.
        before: calls that stand in the conversation already.
    """
    who = "the recorded answer" if recorded else "the answer, which the record does not hold and was asked for,"
    names = list(dict.fromkeys(call.name for call in answer.calls))
    if len(names) == 1 and '"' not in names[0]:
        return _of_one_tool(answer.calls, before, who)
    if names:
        return Aim("tool", f"which tools are called, as {who} calls {', '.join(names)}")
    if read_refusal(answer).value == "refused":
        return Aim("refusal", f"whether the model refuses, as {who} does")
    fields = _fields(answer.text)
    if len(fields) == 1:
        return Aim(f"json:{fields[0]}", f"the field {fields[0]} of the JSON, as {who} is JSON")
    if fields:
        others = ", ".join(f"json:{name}" for name in fields)
        return Aim("exact", f"the whole JSON, as {who} is JSON; --target {others} explains a field of it")
    return Aim("auto", f"the text, as {who} calls no tool and refuses nothing")


def _before(chat: Chat) -> list[ToolCall]:
    return [each for message in chat.messages for each in message.calls]


LONGEST_ARGUMENT = 80
"""Characters of an argument that is a choice; a longer one is a text that a model hardly writes twice."""


def _of_one_tool(calls: Sequence[ToolCall], before: Sequence[ToolCall], who: str) -> Aim:
    """Whether the tool is called; where it was called before, with which argument, if one alone is new."""
    name, values = calls[0].name, calls[0].values
    head = f"tool:{_quoted(name)}"
    earlier: list[object] = [each.values for each in before if each.name == name]
    given = cast("dict[str, object]", values) if isinstance(values, dict) and len(calls) == 1 and earlier else {}
    new = [
        field
        for field, value in given.items()
        if _is_plain(field) and all(_held(each, field) != value for each in earlier)
    ]
    short = (
        isinstance(given[new[0]], str | int | float) and len(str(given[new[0]])) <= LONGEST_ARGUMENT if new else False
    )
    if len(new) == 1 and short:
        return Aim(f"{head}.{new[0]}", f"with which {new[0]} {name} is called, as it was called before with another")
    told = ", ".join(f"{head}.{field}" for field in new)
    again = f"; it was called before, and --target {told} explains what it is called with" if told else ""
    return Aim(head, f"whether {name} is called, as {who} calls it{again}")


def _held(values: object, field: str) -> object:
    return cast("dict[str, object]", values).get(field) if isinstance(values, dict) else None


def _quoted(name: str) -> str:
    return f'"{name}"' if re.search(r"[.\[\]]", name) else name


def _fields(text: str) -> list[str]:
    """The fields of an answer that is a JSON object and nothing else."""
    try:
        value: object = read_json(text.strip())
    except ValueError:
        return []
    if not isinstance(value, dict):
        return []
    return [name for name in cast("dict[str, object]", value) if _is_plain(name)]


def _is_plain(field: str) -> bool:
    """Whether a field can be named in a target as it stands there."""
    return bool(field) and field == field.strip() and not set(field) & set(".[]\"'")
