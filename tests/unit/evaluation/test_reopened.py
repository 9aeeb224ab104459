"""Chats, templates and edits are put together again from their record, and asked again as they were asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import whygen
from whygen import Chat, Message, PromptExplanation, Template
from whygen.calls import Budget, Interrupted, RunOptions, open_store
from whygen.errors import UsageError
from whygen.evaluation.case import Lab
from whygen.evaluation.evaluate import evaluate
from whygen.evaluation.measures.stability import said, suffixed
from whygen.media import pictures
from whygen.prompt.edits import EditUnits, RegionUnits, split_edit
from whygen.prompt.operators import load_operator
from whygen.prompt.saved import units_of
from whygen.prompt.units import ChatUnits, Units, split
from whygen.prompt.units import chat_record as record_of_chat
from whygen.types import Edit, Failure, JsonValue, Limits, Output, Picture, Request

CHAT = Chat(
    (
        Message("system", "Tell a story.  Be kind.\n"),
        Message("user", ""),
        Message("user", "about a red fox in the quiet harbour"),
    )
)
TEMPLATE = Template(
    "Answer from: {passages} Question: {question}",
    {"passages": ["a red fox", "the quiet harbour", "no story"], "question": "which fox?"},
)
ASKS = ("faithfulness", "stability", "consistency", "operators")


def scene() -> Picture:
    values = np.full((24, 24, 3), 200, dtype=np.uint8)
    values[12:, :12] = (40, 160, 40)
    values[12:, 12:] = (160, 40, 40)
    return pictures.picture_of(values)


EDIT = Edit(scene(), "please make night now")


class Editor:
    """Darkens the upper half at the word ``night``, and doubles what is red."""

    uri = "test/editor"
    limits = Limits(max_batch=8)
    output_kind: Literal["picture"] = "picture"

    @property
    def identity(self) -> Mapping[str, JsonValue]:
        return {"uri": self.uri}

    def answer(self, requests: Sequence[Request]) -> list[Output | Failure]:
        return [self.draw(request) for request in requests]

    def draw(self, request: Request) -> Output:
        prompt = request.prompt
        assert isinstance(prompt, Edit)
        values = pictures.pixels(prompt.image)
        if "night" in prompt.instruction.split():
            values[:12] //= 4
        values[..., 0] = 255 - values[..., 0]
        return Output(picture=pictures.picture_of(values))


def chat(**choices: object) -> PromptExplanation:
    return whygen.explain_prompt("planted/additive", CHAT, **{"target": "token-set", "cache": None, **choices})  # type: ignore[arg-type]


def edit(**choices: object) -> PromptExplanation:
    return whygen.explain_prompt(Editor(), EDIT, **{"encoder": "patches", "cache": None, "budget": 60, **choices})  # type: ignore[arg-type]


def template(units: str) -> PromptExplanation:
    return whygen.explain_prompt("planted/additive", TEMPLATE, units=units, target="token-set", cache=None)


MADE: dict[str, Callable[[], PromptExplanation]] = {
    "chat": chat,
    "messages": lambda: chat(units="message"),
    "chat, pinned": lambda: chat(pin=["role:system", "fox"]),
    "template, parts": lambda: template("part"),
    "template, documents": lambda: template("document"),
    "template, fields": lambda: template("field"),
    "template, words": lambda: template("word"),
    "edit": edit,
    "edit, pinned": lambda: edit(pin=["now"]),
    "regions": lambda: edit(units="region", regions=4),
    "regions, blurred": lambda: edit(units="region", regions=4, fill="blur"),
    "sound": lambda: spoken("synth", "play a high bell please"),
    "film": lambda: spoken("film", "a red circle moves left"),
}


def spoken(name: str, prompt: str) -> PromptExplanation:
    return whygen.explain_prompt(f"planted/{name}", prompt, target="cosine", cache=None)


def lab_of(found: PromptExplanation, **choices: object) -> Lab:
    model = Editor() if found.model == Editor.uri else None
    return Lab(found, open_store(None), 3000, model=model, choices=choices)


@pytest.mark.parametrize("name", MADE)
def test_what_is_asked_is_what_was_asked(name: str) -> None:
    """The recorded effects come back: of masks asked again, and of the whole explanation."""
    found = MADE[name]()
    assert found.evidence is not None
    lab = lab_of(found)
    again = lab.effects(found.evidence.masks[:12])[:, 0]
    assert again == pytest.approx(found.evidence.effects[:12], abs=1e-6)
    assert lab.ask_calls() <= 64  # what it was explained with
    told = lab.explain(seed=found.seed)
    assert [u.text for u in told.units] == [u.text for u in found.units]
    assert [u.attribution for u in told.units] == pytest.approx([u.attribution for u in found.units], abs=1e-5)


def cuts() -> dict[str, Units]:
    return {
        "text": split("tell a story, now "),
        "chat": split(CHAT, "word", pin=["role:system"]),
        "messages": split(CHAT, "message"),
        "documents": split(TEMPLATE, "document"),
        "edit": split_edit(EDIT),
        "regions": split_edit(EDIT, "region", regions=4),
    }


@pytest.mark.parametrize("name", cuts())
def test_a_suffix_is_always_sent_and_is_no_unit(name: str) -> None:
    units = cuts()[name]
    longer = suffixed(units, " ###")
    assert longer.texts == units.texts
    assert "".join(longer.parts) == longer.text
    delete = load_operator("delete").prepare(longer, None)  # type: ignore[arg-type]
    for mask in np.vstack([np.eye(len(units), dtype=bool), np.zeros((1, len(units)), dtype=bool)]):
        sent = delete.render(longer, mask)
        text = sent.messages[-1].text if isinstance(sent, Chat) else getattr(sent, "instruction", sent)
        assert text.endswith("###")
    whole = longer.prompt
    if isinstance(longer, ChatUnits):
        assert [m.text for m in whole.messages] == [
            *(m.text for m in CHAT.messages[:-1]),
            CHAT.messages[-1].text + " ###",
        ]  # type: ignore[union-attr]
    elif isinstance(longer, EditUnits | RegionUnits):
        assert whole == Edit(EDIT.image, EDIT.instruction + " ###")
    else:
        assert whole == units.text + " ###"


@pytest.mark.parametrize("name", ["text", "chat", "messages", "documents", "edit"])
def test_saying_the_same_changes_nothing_and_new_words_stand_at_the_old_places(name: str) -> None:
    units = cuts()[name]
    assert said(units, units.parts) == units
    other = said(
        units, load_operator("placeholder", placeholder="a b c").parts(units, np.zeros(len(units), dtype=bool))
    )
    assert other.texts == ("a b c",) * len(units)
    kept = [units.text[a:b] for a, b in units.pinned]
    assert [other.text[a:b] for a, b in other.pinned] == kept
    full = np.ones(len(units), dtype=bool)
    delete = load_operator("delete").prepare(other, None)  # type: ignore[arg-type]
    assert delete.render(other, full) == other.prompt
    if isinstance(other, ChatUnits):
        again = split(other.chat, "message")
        assert (again.text, again.sections) == (other.text, other.sections)


@given(
    st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), st.text(max_size=20)), min_size=1, max_size=4)
)
@pytest.mark.parametrize("kept", [True, False])
def test_any_chat_comes_back_from_its_record(kept: bool, messages: list[tuple[str, str]]) -> None:
    chat = Chat(tuple(Message(role, text) for role, text in messages))  # type: ignore[arg-type]
    try:
        units = split(chat, "word")
    except whygen.errors.WhygenError:
        return
    blank = chat_record(units, kept=kept)
    assert units_of(blank, fill="mean") == ChatUnits(
        units.text,
        units.pieces,
        units.sections,
        chat=chat,
        slots=units.slots,  # type: ignore[attr-defined]
    )


_ONE: list[PromptExplanation] = []


def chat_record(units: Units, *, kept: bool = True) -> PromptExplanation:
    """An explanation whose prompt is cut so, of before or after chats were kept; its numbers do not matter."""
    if not _ONE:
        _ONE.append(whygen.explain_prompt("planted/additive", "tell story fox", target="token-set", cache=None))
    first = _ONE[0].units[0]
    cut = tuple(
        first.model_copy(update={"text": text, "start": start, "end": end})
        for text, (start, end) in zip(units.texts, units.spans, strict=True)
    )
    return _ONE[0].model_copy(
        update={
            "prompt": units.text,
            "units": cut,
            "pinned": units.pinned,
            "sections": units.sections,
            "chat": record_of_chat(units) if kept else None,
            "evidence": None,
        }
    )


@pytest.mark.parametrize("name", ["chat", "edit", "template, parts"])
def test_every_metric_works_on_chats_templates_and_edits_from_their_folder(name: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    found = MADE[name]()
    labels = [index == 0 for index in range(len(found.units))]
    how = {"model": Editor()} if name == "edit" else {}
    words = {"story": "tale", "night": "dusk"}
    judged = evaluate(
        found.save(tmp_path / "saved"), labels=labels, budget=3000, repeats=2, lexicon=words,
        cache=tmp_path / "calls.sqlite", **how,  # type: ignore[arg-type]
    )  # fmt: skip
    assert {row.metric for row in judged.measures} >= {"accuracy", "cost", *ASKS}
    assert judged.measure("generalised_jaccard_suffix").value is not None
    assert judged.calls.made > 0
    again = evaluate(
        tmp_path / "saved",
        metrics="faithfulness",
        budget=3000,
        cache=tmp_path / "calls.sqlite",
        **how,  # type: ignore[arg-type]
    )
    assert again.calls.made == 0


def test_a_paraphrase_of_an_instruction_is_cut_as_it_was_and_one_of_a_chat_is_told() -> None:
    how = {"metrics": "stability", "budget": 3000, "repeats": 2, "cache": None, "paraphrases": "kindly make night now"}
    judged = evaluate(edit(), model=Editor(), **how)  # type: ignore[arg-type]
    assert judged.measure("generalised_jaccard_paraphrase").value is not None
    left = {each.metric: each.reason for each in evaluate(chat(), **how).left_out}  # type: ignore[arg-type]
    assert "plain text" in left["stability under 'kindly make night now'"]


def test_how_regions_were_painted_over_is_kept_and_found_out_where_it_is_not() -> None:
    found = edit(units="region", regions=4, fill="#000000")
    how = {"metrics": "consistency", "model": Editor(), "budget": 3000, "cache": None}
    assert evaluate(found, **how).measure("repeatability").value is not None  # type: ignore[arg-type]
    old = found.model_copy(update={"recipe": None, "schema_version": 2})
    with pytest.raises(UsageError, match="fill="):
        Lab(old, open_store(None), 3000, model=Editor(), encoder="patches").effects(
            np.zeros((1, len(found.units)), dtype=bool)
        )
    assert evaluate(old, fill="#000000", encoder="patches", **how).measure("repeatability").value is not None  # type: ignore[arg-type]


def test_another_editor_is_found_out() -> None:
    class Other(Editor):
        def draw(self, request: Request) -> Output:
            drawn = super().draw(request).picture
            assert drawn is not None
            return Output(picture=pictures.picture_of(pictures.pixels(drawn) // 2))

    with pytest.raises(UsageError, match="answers the whole prompt otherwise"):
        # Few masks were asked, so that others are: where all are on record nobody is asked again.
        evaluate(edit(budget=12), metrics="faithfulness", model=Other(), budget=900, cache=None)


@pytest.mark.parametrize("metric", ASKS)
def test_what_was_not_kept_is_refused_by_name(metric: str) -> None:
    shown = Chat((Message("user", "tell a story of this fox", (scene(),)),))
    seen = whygen.explain_prompt("planted/additive", shown, target="token-set", cache=None)
    assert seen.evidence is not None
    seen = seen.model_copy(update={"evidence": replace(seen.evidence, images=())})  # as earlier versions saved it
    with pytest.raises(UsageError, match=f"{metric} asks the model again.*chat with images"):
        evaluate(seen, metrics=metric, budget=900, cache=None)
    written = chat_record(split(Chat((Message("user", "what is [1 image, always sent]"),)), "word"))
    assert len(units_of(written, fill="mean")) == len(written.units)


def test_templates_over_many_inputs_give_the_figures_that_ask_nothing() -> None:
    system = Chat((Message("system", "Tell a story. Name a fox. Be quiet."),))
    found = whygen.explain_prompt(
        "planted/additive", system, inputs=["about a harbour", "about snow"], target="token-set", cache=None
    )
    judged = evaluate(found, labels=[1, 1, 0], budget=900, cache=None)
    assert {row.metric for row in judged.measures} >= {"accuracy", "cost"}
    assert judged.calls.asked == 0
    for each in ("stability", "consistency", "operators"):
        reason = next(left.reason for left in judged.left_out if left.metric == each)
        assert "many inputs" in reason


class Leaves:
    """A progress whose watcher leaves after so many answers: the run then ends as by Ctrl-C."""

    def __init__(self, after: int) -> None:
        self._left = after

    @property
    def stopped(self) -> bool:
        return self._left <= 0

    def begin(self, total: int, label: str) -> None: ...

    def advance(self, n: int, *, cached: bool) -> None:
        self._left -= n

    def end(self) -> None: ...


def test_an_evaluation_that_is_interrupted_asks_nothing_more_and_keeps_its_figures() -> None:
    found = whygen.explain_prompt("planted/additive", "a red fox", target="token-set", cache=None)
    with pytest.raises(Interrupted) as stop:
        evaluate(found, budget=900, cache=None, progress=Leaves(after=3), run=RunOptions(name="mine"))
    kept = stop.value.explanation
    assert kept.ended == "interrupt"
    assert kept.measure("wr2_heldout").value is not None
    assert kept.calls.asked <= 8
    assert {left.metric for left in kept.left_out if "interrupted" in left.reason} >= set(ASKS[1:])


def test_all_that_an_evaluation_asks_is_within_one_budget() -> None:
    found = whygen.explain_prompt("planted/additive", "a red fox", target="token-set", cache=None)
    whole = evaluate(found, budget=900, cache=None)
    bounded = RunOptions(spending=Budget(calls=whole.calls.made - 5))
    kept = evaluate(found, budget=900, cache=None, run=bounded)
    assert kept.ended == "cost"
    assert kept.calls.made <= whole.calls.made - 5
    assert "The budget is spent" in kept.left_out[-1].reason
