"""Units of a recorded call: what people would call its parts, and what is sent without them."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path

import numpy as np
import pytest

import whygen
from whygen._arguments import declared, names_of
from whygen.errors import UnknownNameError, UsageError
from whygen.prompt.operators import Delete, Placeholder
from whygen.prompt.options import PromptOptions
from whygen.prompt.saved import units_of
from whygen.prompt.units import UNIT_KINDS, ChatUnits, split
from whygen.prompt.why.suspects import named_parts
from whygen.results.prompt import PromptExplanation
from whygen.types import Block, Chat, Message, Output, Picture, Request, Tool, ToolCall

SEARCH = Tool("search", "Find pages.", {"type": "object", "properties": {"q": {"type": "string"}}})
SEND = Tool("send_email", "Send an e-mail.")
HITS = json.dumps({"query": "x", "results": [{"text": "AAA"}, {"text": "BBB"}, {"text": "CCC"}], "n": 3})
CALL = Chat(
    [
        Message("system", "You are an agent.\n\n# Rules\n\nBe kind.\n\nNever send."),
        Message(
            "user", "Read:\n<documents>\n<document>A fox</document>\n<document>A cat</document>\n</documents>\nGo."
        ),
        Message("assistant", "Let me look.", calls=(ToolCall("search", '{"q": "x"}', "a1"),)),
        Message("tool", HITS, answers="a1"),
        Message("assistant", "Found."),
        Message("user", "", parts=("Hi", Picture(b"\x89PNG"), "What now?", Block({"type": "file"}, "openai"))),
    ],
    [SEARCH, SEND],
)


def cut(chat: Chat, kind: str = "part", **how: object) -> ChatUnits:
    units = split(chat, kind, **how)  # type: ignore[arg-type]
    assert isinstance(units, ChatUnits)
    return units


def names(units: ChatUnits) -> list[str]:
    return [section.name for section in units.named]


def without(units: ChatUnits, *gone: str) -> Chat:
    assert set(gone) <= set(names(units))
    sent = Delete().render(units, np.array([name not in gone for name in names(units)]))
    assert isinstance(sent, Chat)
    return sent


def test_parts_have_the_names_that_people_give_them() -> None:
    units = cut(CALL)
    assert names(units) == [
        "tool definition search", "tool definition send_email", "system, paragraph 1", "system, paragraph 2",
        "system, paragraph 3", "user message 1, text 1", "document 1", "document 2", "user message 1, text 2",
        "assistant message 1", "tool result 1 (search), what stands before", "tool result 1 (search), passage 1",
        "tool result 1 (search), passage 2", "tool result 1 (search), passage 3",
        "tool result 1 (search), what stands after", "assistant message 2", "user message 2, part 1",
        "user message 2, part 3", "user message 2, part 4",
    ]  # fmt: skip
    assert [section.kind for section in units.named][-10:-1] == [
        "part",
        "result",
        *["document"] * 3,
        "result",
        *["part"] * 3,
    ]
    assert units.texts[3] == "# Rules\n\nBe kind."


def test_a_result_of_which_entries_are_gone_is_still_json() -> None:
    units = cut(CALL)
    inside = [name for name in names(units) if name.startswith("tool result 1")]
    for size in range(len(inside) + 1):
        for gone in itertools.combinations(inside, size):
            left = json.loads(without(units, *gone).messages[3].text)
            kept = [each["text"] for each in left["results"]]
            assert kept == [
                t for t, i in zip(["AAA", "BBB", "CCC"], (1, 2, 3), strict=True) if f"{inside[i]}" not in gone
            ]
            assert ("query" in left, "n" in left) == (inside[0] not in gone, inside[-1] not in gone)


def test_what_is_gone_of_a_call_leaves_a_request_that_services_take() -> None:
    units = cut(CALL)
    quiet = without(units, "assistant message 1", "tool definition search", "document 1", "user message 2, part 4")
    assert quiet.messages[2] == Message("assistant", "", calls=CALL.messages[2].calls)
    assert quiet.tools == (SEND,)
    assert "<document>A cat</document>\n</documents>\nGo." in quiet.messages[1].text
    assert quiet.messages[5].parts == ("Hi", Picture(b"\x89PNG"), "What now?")
    bare = without(units, "tool definition search", "tool definition send_email")
    assert [(tool.name, tool.description) for tool in bare.tools] == [("search", "")]
    assert {code for code, _ in units.notices} == {"emptied-messages", "last-tool"}
    plain = cut(Chat([*CALL.messages[:3], Message("tool", "Rain.", answers="a1"), Message("user", "So?")], [SEARCH]))
    assert without(plain, "tool result 1 (search)").messages[3] == Message("tool", "…", answers="a1")
    assert "emptied-results" in dict(plain.notices)


def test_a_tool_that_must_be_called_is_always_offered() -> None:
    units = cut(Chat(CALL.messages, CALL.tools, "send_email"))
    assert "tool definition send_email" not in names(units)
    assert "send_email" in dict(units.notices)["tool-choice"]
    free = cut(Chat(CALL.messages[:1] + CALL.messages[-1:], [SEND], "required"))
    nothing = without(free, "tool definition send_email")
    assert (nothing.tools, nothing.tool_choice) == ((), "auto")


def test_named_parts_are_cut_finer_and_the_rest_is_not() -> None:
    units = cut(CALL, "word", within=["document 2", "tool definition search"])
    assert units.texts[:3] == ("Find", "pages", ".")
    assert [text for text, name in zip(units.texts, names(units), strict=True) if name == "document 2"][:3] == [
        "<",
        "document",
        ">",
    ]
    assert "You are an agent." in units.texts
    every = cut(CALL, "sentence", within=["tool result"])
    assert sum(name.startswith("tool result 1") for name in names(every)) >= 5
    with pytest.raises(UnknownNameError, match="tool result 1"):
        cut(CALL, "word", within=["tool result 7"])
    for kind in ("part", "message"):
        with pytest.raises(UsageError, match="no finer cut"):
            cut(CALL, kind, within=["document 1"])
    with pytest.raises(UsageError, match="is for the parts of a Chat"):
        split("a text", "word", within=["x"])


def test_parts_can_be_pinned_by_name() -> None:
    units = cut(CALL, pin=["part:tool definition", "part:document 1", "role:system"])
    assert names(units)[:2] == ["user message 1, text 1", "document 2"]
    with pytest.raises(UsageError, match="part:document 1, "):
        cut(CALL, pin=["part:appendix"])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[1] fox\n[2] river\n\nWhich?", ["passage 1", "passage 2", "text"]),
        ("Document 3: fox\nlong\nDocument 4: river", ["document 3", "document 4"]),
        ("سند ۱: روباه\nسند ۲: رود\n\nکدام؟", ["document 1", "document 2", "text"]),
        ("文档1：狐狸\n文档2：河\n\n哪一个？", ["document 1", "document 2", "text"]),
        ("### Source\nfox\n\n### Source\nriver", ["passage 1", "passage 2"]),
        ("one\n---\ntwo\n---\nthree", ["passage 1", "passage 2", "passage 3"]),
        ("Ask.\n\none\n---\ntwo\n\nWhat?", ["passage 1", "passage 2"]),
        ("Context:\nfox is red\n\nriver is long\n\nQuestion: why?", ["passage 1", "passage 2"]),
        ("Memories:\n- likes tea\n- owns a fox\n\nHello!", ["memory 1", "memory 2"]),
        ("What I know about the user (memories):\n1. likes tea\n2. owns a fox\n\nHello!", ["memory 1", "memory 2"]),
        ("<memory>likes tea</memory>\nHello!", ["memory 1", "text"]),
        ("<instructions>be kind</instructions>\n<query>why</query>", ["<instructions>", "<query>"]),
        ("Q: a\nA: b\n\nQ: c\nA: d\n\nQ: e\nA:", ["example 1", "example 2", "text"]),
        ("<examples><example>a</example><example>b</example></examples>\nNow c.", ["example 1", "example 2", "text"]),
        ('[{"title": "fox"}, {"title": "river"}]', ["passage 1", "passage 2"]),
        ("<p>one</p><p>two</p><div>three</div>", []),
        ("if (a < b) { return c > d; }\n\nx[1] = 3\nx[2] = 4", []),
    ],
)
def test_passages_are_found_by_their_marks(text: str, wanted: list[str]) -> None:
    many = [Message("user", f"{i}") if i % 2 else Message("assistant", f"{i}") for i in range(1, 8)]
    units = cut(Chat([*many, Message("assistant", "Yes."), Message("user", text)]))
    found = [name.removeprefix("user message 5, ") for name in names(units)[8:]]
    assert [name for name in found if name in wanted] == wanted
    assert wanted or found == ["user message 5"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Ask.\n\none\n---\ntwo\n\nmore\n---\nthree\n\nlast\n\nWhat?", ["one", "two\n\nmore", "three\n\nlast"]),
        ("Ask.\n\nBriefly.\n\none\n---\ntwo\n---\nthree\n\nWhat?", ["one", "two", "three"]),
        ("Ask.\n\none\n\nmore\n---\ntwo\n\nmore\n\nWhat?", ["one\n\nmore", "two\n\nmore"]),
        ("one\n---\ntwo\n\nmore\n---\nthree\n\nDo it.", ["one", "two\n\nmore", "three\n\nDo it."]),
        ("A\n---\nSee: x\n\nSee: y\n\nSee: z\n---\nB", ["A", "See: x\n\nSee: y\n\nSee: z", "B"]),
    ],
)
def test_lines_of_dashes_part_documents_of_several_paragraphs(text: str, wanted: list[str]) -> None:
    units = cut(Chat([Message("user", text)]))
    assert isinstance(units, ChatUnits)
    assert [part for part, each in zip(units.texts, names(units), strict=True) if "passage" in each] == wanted


def test_a_pattern_of_ones_own_says_what_a_passage_is() -> None:
    units = cut(Chat([Message("user", "#a fox\n#b river\nWhich?")]), passages=r"^#.*$")
    assert units.texts == ("#a fox", "#b river", "Which?")
    with pytest.raises(UsageError, match="no regular expression"):
        cut(CALL, passages="(")


def test_examples_in_turns_go_together_and_conversations_do_not() -> None:
    shots = [
        Message("user", "Review: great"), Message("assistant", "good"), Message("user", "Review: awful"),
        Message("assistant", "bad"), Message("user", "Review: fine"),
    ]  # fmt: skip
    units = cut(Chat([Message("system", "Judge."), *shots]))
    assert names(units) == ["system", "example 1", "example 2", "user message 3"]
    assert without(units, "example 1").messages == (Message("system", "Judge."), *shots[2:])
    finer = cut(Chat([Message("system", "Judge."), *shots]), "word", within=["example 2"])
    gone = [n != "example 2" for n in names(finer)]
    assert Delete().render(finer, np.array(gone)) == Chat([Message("system", "Judge."), *shots[:2], shots[4]])
    said = Placeholder("___").render(units, np.array([True, False, True, True]))
    assert isinstance(said, Chat)
    assert [message.text for message in said.messages[1:3]] == ["___", "…"]
    talk = [Message("user", "Hi"), Message("assistant", "Hello, how are you?"), Message("user", "Well"),
            Message("assistant", "Glad to hear it."), Message("user", "Bye")]  # fmt: skip
    assert "example 1" not in names(cut(Chat(talk)))


def test_levels_go_from_messages_to_parts_to_words() -> None:
    found = whygen.explain_prompt(
        "planted/additive", CALL, hierarchy="auto", budget=400, target="token-set", cache=None
    )
    tree = found.tree
    assert tree is not None
    assert tree.levels == ("message", "part", "sentence", "word")
    opened = [(node.kind, found.prompt[node.start : node.end]) for node in tree.nodes if node.opened]
    assert [kind for kind, _ in opened] == ["message", "part"]
    assert opened[1][1] == "<document>A fox</document>"
    assert max(found.units, key=lambda unit: unit.attribution).text == "fox"
    with pytest.raises(UnknownNameError, match="level"):
        whygen.explain_prompt("planted/additive", "one two", hierarchy="message>word", cache=None)


def test_a_call_and_its_answers_come_back_from_their_folder(tmp_path: Path) -> None:
    def agent(request: Request) -> Output:
        sends = isinstance(request.prompt, Chat) and any("fox" in each.text for each in request.prompt.messages)
        return Output(
            text="" if sends else "Done.", calls=(ToolCall("send_email", '{"to": "x"}', "n1"),) if sends else ()
        )

    plain = Chat([*CALL.messages[:5], Message("user", "", parts=("Hi", Block({"type": "file"}, "openai")))], CALL.tools)
    found = whygen.explain_prompt(agent, plain, units="part", target="exact", budget=64, cache=None)
    found.save(tmp_path / "call")
    again = PromptExplanation.load(tmp_path / "call")
    assert again == found
    assert again.evidence is not None
    assert {sample.said for sample in again.evidence.samples} == {"Done.", 'send_email({"to": "x"})'}
    assert again.recipe is not None
    assert again.recipe.units == "part"
    assert units_of(again).pieces == cut(plain).pieces
    assert units_of(again).source == plain


def test_every_kind_of_unit_says_what_it_is() -> None:
    assert set(UNIT_KINDS) == set(names_of(declared(PromptOptions)["units"].hint))


def test_marks_without_end_are_read_in_time() -> None:
    begun = time.process_time()
    hostile = [
        "<a " * 20_000, "<document>" * 20_000, "[1] x\n" * 20_000, "word " + " " * 50_000 + "x\n",
        "Memories:\n" * 5_000,
        "[" * 20_000, '{"a":' * 5_000, "\n \n" * 30_000, "".join(f"[{i}] x\n" for i in range(9_000)), "Q:\n\n" * 10_000,
        "".join(f"<t{i}>" for i in range(10_000)), "\n\n".join(f"label{i}: x" for i in range(9_000)), "---\n" * 20_000,
    ]  # fmt: skip
    for text in hostile:
        cut(Chat([Message("user", text + "x")]))
    assert time.process_time() - begun < 20


def test_a_long_call_is_cut_in_well_under_a_second() -> None:
    turns = [Message("system", "Be kind. " * 200)]
    for i in range(13):
        turns += [
            Message("user", f"Please look at number {i}. " * 60),
            Message("assistant", "", calls=(ToolCall("search", "{}", f"c{i}"),)),
            Message("tool", json.dumps([{"text": f"hit {j} " * 40} for j in range(8)]), answers=f"c{i}"),
        ]
    chat = Chat([*turns, Message("assistant", "Done."), Message("user", "And?")], [SEARCH, SEND])
    begun = time.process_time()
    units = cut(chat)
    assert time.process_time() - begun < 0.5
    assert len(units) > 100


def test_documents_and_results_without_a_text_of_their_own_came_from_outside_too() -> None:
    found = Block({"type": "search_result", "source": "s", "title": "t", "content": []}, "anthropic")
    paper = Block({"type": "document", "source": {"type": "base64", "data": "JVBERg=="}}, "anthropic")
    sound = Block({"type": "input_audio", "input_audio": {}}, "openai")
    chat = Chat([
        Message("user", "", (), (found, paper, sound, "Why?")),
        Message("assistant", "", calls=(ToolCall("f", "{}", "c"),)),
        Message("tool", "", (), (found, "text"), answers="c"),
    ])  # fmt: skip
    _, suspects = named_parts(cut(chat))
    assert suspects == [True, True, False, False, True, True]
