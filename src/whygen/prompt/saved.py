"""A saved explanation opened again, offline: its recipe, its units, the answers, and the effects it was estimated from.

Pieces come from the spans of units and of what was pinned, messages from the sections, the picture of an edit from the
evidence. Folders of before recipes were kept (schema 2) get theirs from `recorded`, as far as their fields tell.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from whygen.errors import UsageError
from whygen.media import pictures
from whygen.prompt import designs
from whygen.prompt.edits import EditUnits, RegionUnits, filled
from whygen.prompt.effects import Effects
from whygen.prompt.estimands import load_estimand
from whygen.prompt.kernels import Dropped
from whygen.prompt.noise import Steadiness
from whygen.prompt.options import PRESETS, PromptOptions
from whygen.prompt.pictured import picture_cut, split_pictured
from whygen.prompt.units import ChatUnits, Piece, Slot, TemplateUnits, Units, laid, split, transcript
from whygen.prompt.units.templates import doubled
from whygen.records import Call
from whygen.results.evidence import Evidence, Sample
from whygen.results.prompt import ChatRecord, PromptExplanation
from whygen.results.recipe import DesignRecipe, ModelRecipe, OperatorRecipe, Recipe, TargetRecipe
from whygen.types import (
    Chat,
    Edit,
    Masks,
    Message,
    Output,
    Picture,
    Settings,
    Sound,
    Source,
    Template,
    TokenScore,
    ToolCall,
)

SIMPLE = frozenset({"optimal-transport", "cosine", "tfidf", "token-set", "edit", "exact", "tool", "refusal"})
"""Targets that their name says wholly."""

NAMED = frozenset({"json", "label", "regex"})
"""Targets whose argument is in their name."""

OVERHEAD = 3
"""Calls before any mask: the reference and two repeats."""

_IMAGES = re.compile(r"\[(1 image|\d+ images), always sent\]$")
_SETS = re.compile(r"([\w-]+) between sets of (\d+) draws and (\d+) references, on (.*)", re.DOTALL)


def recorded(explanation: PromptExplanation) -> Recipe:
    """The recipe of an explanation; of a folder of before recipes were kept, as far as its other fields tell it.

    What such a folder cannot tell is at its default: a placeholder, a lexicon, the argument of a target (which is then
    in `Recipe.again`). Whoever asks the model again compares with what was recorded, and says what to give.
    """
    if explanation.recipe is not None:
        return explanation.recipe
    sets = _SETS.fullmatch(explanation.target.distance)
    preset = PRESETS.get(explanation.preset, PRESETS[None])
    samples = () if explanation.evidence is None else explanation.evidence.samples
    return Recipe(
        source=_source(explanation),
        model=ModelRecipe(uri=explanation.model),
        budget=_asked(explanation, samples),
        units=_kind(explanation),
        operator=OperatorRecipe(name=explanation.operator),
        regions=preset.regions,
        fill=preset.fill,
        target=TargetRecipe(name=explanation.target.name, verb=_verb(explanation)),
        estimand=explanation.estimand,
        design=_law(explanation, preset),
        kernel=str(preset.kernel),
        scale="min-max" if explanation.target.unit.startswith("min-max") else "none",
        surrogate="auto" if explanation.surrogate == "wls" else explanation.surrogate or "auto",
        draws=_draws(samples),
        references=explanation.reference.n,
        steadiness=_steadiness(explanation),
        distribution=None if sets is None else sets[1],
        empty=preset.empty,
        hierarchy=None if explanation.tree is None else ">".join(explanation.tree.levels),
        again=() if _is_named(explanation) else ("target",),
    )


def _source(explanation: PromptExplanation) -> Any:
    if explanation.inputs:
        return "inputs"
    if explanation.chat is not None:
        return "chat"
    kinds = {section.kind for section in explanation.sections}
    if explanation.evidence is not None and (drawn := explanation.evidence.pictures) is not None and drawn.input:
        return "edit"
    return "chat" if "message" in kinds else "template" if kinds else "text"


def _kind(explanation: PromptExplanation) -> str:
    """The kind of units that cuts the prompt as it was cut; words where it was cut at spans of one's own."""
    wanted = [(unit.start, unit.end) for unit in explanation.units]
    for kind in ("word", "whitespace", "sentence", "line", "paragraph"):
        if list(split(explanation.prompt, kind).spans) == wanted:
            return kind
    return "word"


def _verb(explanation: PromptExplanation) -> Literal["answer", "score"]:
    return "score" if explanation.target.distance.startswith("log-probability") else "answer"


def _is_named(explanation: PromptExplanation) -> bool:
    """Whether the name of the target says it wholly."""
    target, evidence = explanation.target, explanation.evidence
    drawn = evidence is not None and (evidence.pictures is not None or evidence.media is not None)
    return (
        (drawn and ":" not in target.name)
        or target.name in SIMPLE
        or target.distance == "log-probability of the reference"
        or (target.name.partition(":")[0] in NAMED and ":" in target.name)
    )


def _steadiness(explanation: PromptExplanation) -> Steadiness:
    if explanation.noise.source == "none":
        return "known"
    return "differs" if explanation.noise.differs or explanation.settings.get("temperature") else "so far"


def _draws(samples: Sequence[Sample]) -> int:
    """Answers that were drawn for each mask."""
    rows = [sample.mask for sample in samples if sample.kind == "mask" and sample.mask is not None]
    return max((rows.count(row) for row in set(rows)), default=1)


def _asked(explanation: PromptExplanation, samples: Sequence[Sample]) -> int:
    """Answers that explaining again asks for at most; fewer where masks were drawn that need none."""
    if explanation.evidence is None:
        return max(explanation.calls.asked, OVERHEAD + 1)
    redraws = sum(sample.kind == "redraw" for sample in samples)
    drawn = _draws(samples) * _paid(explanation, explanation.evidence.masks)
    return max(explanation.calls.asked, OVERHEAD + explanation.reference.n - 1 + redraws + drawn)


def _paid(explanation: PromptExplanation, masks: Masks) -> int:
    """How many masks a budget must pay for to draw these; see `whygen.prompt.designs.bernoulli`."""
    if explanation.noise.differs or "antithetic" not in explanation.design:
        return len(masks)
    distinct = len(np.unique(masks[~masks.all(axis=1)], axis=0))
    return max(distinct, -(-len(masks) // 4))


def _law(explanation: PromptExplanation, preset: PromptOptions) -> DesignRecipe:
    """The law of a design by its name and the masks; of a part of a design by layers, the shares of the masks."""
    keep, n, name = explanation.keep, len(explanation.units), explanation.design
    masks = np.empty((0, n), dtype=bool) if explanation.evidence is None else explanation.evidence.masks
    sizes = kept = None
    distinct = name in {"complement pairs", "independent masks"} and n <= designs.MAX_ENUMERATED
    if name == designs.LAYERED and n > 2 and len(masks):
        sizes, distinct = designs.law_of_layers(n, len(masks)), True
    elif name.startswith(designs.NUMBERED) and len(masks):
        kept, distinct = designs.law_of_kept(n, len(masks) - 1, keep=keep), True
    elif load_estimand(explanation.estimand).shares_total and explanation.masks == "sampled":
        sizes = designs.size_law(n, "kernel" if "(kernel)" in name else "leverage")
    return DesignRecipe(
        name=preset.design if isinstance(preset.design, str) else "own",
        keep=keep,
        sizes=None if sizes is None else tuple(sizes.tolist()),
        kept=None if kept is None else tuple(kept.tolist()),
        drawn_from=2.0**n if distinct else float(len(masks)) if explanation.masks == "enumerated" else None,
    )


def units_of(explanation: PromptExplanation, *, fill: str = "mean") -> Units:
    """The prompt as it was cut, put together again from its record.

    Args:
        explanation: what was saved.
        fill: what stood for a region of a picture that was taken away.

    Raises:
        UsageError: if the pictures of a chat are cut otherwise now.
    """
    drawn = None if explanation.evidence is None else explanation.evidence.pictures
    if drawn is not None and drawn.input is not None and explanation.chat is None:
        cut = _plain(explanation)
        if drawn.regions is None:
            return EditUnits(cut.text, cut.pieces, image=drawn.input)
        return _regions(explanation, drawn.input, drawn.regions, fill)
    if explanation.chat is not None:
        return _chat(explanation, explanation.chat)
    kinds = {section.kind for section in explanation.sections}
    if "message" in kinds:
        return _earlier_chat(explanation)
    return _template(explanation) if kinds else _plain(explanation)


def lacks_images(explanation: PromptExplanation) -> bool:
    """Whether messages of a chat came with images that were not kept, as folders of earlier versions have none.

    In folders of before the chat was kept, such messages end with a note that no unit holds.
    """
    if explanation.chat is not None:
        chat = _chat_of(explanation, explanation.chat)
        return any(not image.data for message in chat.messages for image in message.images)
    return any(
        section.kind == "message"
        and _IMAGES.search(explanation.prompt[section.start : section.end])
        and all(not unit.start < section.end <= unit.end for unit in explanation.units)
        for section in explanation.sections
    )


def _plain(explanation: PromptExplanation) -> Units:
    return Units(explanation.prompt, _pieces(explanation))


def _regions(explanation: PromptExplanation, image: Picture, regions: NDArray[np.int32], fill: str) -> RegionUnits:
    """The instruction is what is pinned first; the regions are listed under it."""
    edit = Edit(image, explanation.prompt[: min(explanation.pinned)[1]])
    return RegionUnits(
        explanation.prompt, _pieces(explanation), edit=edit, labels=regions.astype(np.int64),
        fill=filled(pictures.pixels(image), fill),
    )  # fmt: skip


def _chat_of(explanation: PromptExplanation, record: ChatRecord) -> Chat:
    """The chat with its images, as far as they were kept."""
    kept = () if explanation.evidence is None else explanation.evidence.images
    return Chat.from_json(record.request, pictures={hashlib.sha256(each.data).hexdigest(): each for each in kept})


def _pictured(explanation: PromptExplanation, chat: Chat) -> ChatUnits | None:
    """The chat cut with its pictures, where they were units; None where they were not, or not kept.

    Raises:
        UsageError: if they are cut otherwise now.
    """
    recipe = explanation.recipe
    if recipe is None or not isinstance(recipe.units, str) or lacks_images(explanation):
        return None
    options = PromptOptions(
        units=recipe.units, pin=recipe.pin, within=recipe.within, passages=recipe.passages, regions=recipe.regions,
        fill=recipe.fill,
    )  # fmt: skip
    if (cut := picture_cut(chat, options)) is None:
        return None
    units = split_pictured(chat, options, *cut)
    if list(units.spans) != [(unit.start, unit.end) for unit in explanation.units]:
        raise UsageError(
            "The pictures of this chat are cut into other regions now: another version of scikit-image is installed. "
            "Explain again; answers on record cost nothing."
        )
    return units


def _chat(explanation: PromptExplanation, record: ChatRecord) -> ChatUnits:
    chat = _chat_of(explanation, record)
    if (pictured := _pictured(explanation, chat)) is not None:
        return pictured
    slots = transcript(chat).slots
    pieces = _pieces(explanation, ends=[place for slot in slots for place in (slot.start, slot.end)])
    return ChatUnits(
        explanation.prompt, pieces, explanation.sections, chat=chat, slots=slots, lists=record.lists, pairs=record.pairs
    )


def _earlier_chat(explanation: PromptExplanation) -> ChatUnits:
    """A chat of before it was kept. Messages are what their sections hold; pieces of one do not reach into the next."""
    sections = explanation.sections
    texts = [explanation.prompt[section.start : section.end] for section in sections]
    chat = Chat([Message(cast("Any", each.name), text) for each, text in zip(sections, texts, strict=True)])
    slots = tuple(
        Slot(section.start, section.end, message=number, inner=(section.start, section.end))
        for number, section in enumerate(sections)
    )
    ends = [place for section in sections for place in (section.start, section.end)]
    return ChatUnits(explanation.prompt, _pieces(explanation, ends=ends), sections, chat=chat, slots=slots)


def _template(explanation: PromptExplanation) -> TemplateUnits:
    """The rendered text; the template itself was not kept, and is not needed to leave parts of it out."""
    documents = [section for section in explanation.sections if section.kind == "document"]
    lists = tuple(
        (field.start, field.end)
        for field in explanation.sections
        if field.kind == "field" and any(field.start <= each.start and each.end <= field.end for each in documents)
    )
    whole = Template(explanation.prompt)
    return TemplateUnits(explanation.prompt, _pieces(explanation), explanation.sections, template=whole, lists=lists)


def source_of(explanation: PromptExplanation) -> Source | Call:
    """What was explained, put together again from its record, so that it can be explained again.

    Raises:
        UsageError: if a part of it was not kept; the message says which.
    """
    recipe = recorded(explanation)
    if explanation.inputs:
        raise UsageError(
            "This explains a template over many inputs, and only a part of each was kept. Give them again."
        )
    if recipe.source == "edit":
        units = units_of(explanation, fill=recipe.fill)
        if not isinstance(units, EditUnits | RegionUnits):
            raise UsageError("What the instruction changes was not kept: give the picture, sound or video again.")
        return units.prompt
    if explanation.chat is not None:
        if lacks_images(explanation):
            raise UsageError("The images of the chat were not kept: explain it again from where it came from.")
        chat = _chat_of(explanation, explanation.chat)
        return chat if explanation.call is None else _call_of(explanation, chat)
    kinds = {section.kind for section in explanation.sections}
    if "message" in kinds:
        raise UsageError("This chat was explained by an earlier version, which did not keep it.")
    return _written(explanation) if kinds else explanation.prompt


def _call_of(explanation: PromptExplanation, chat: Chat) -> Call:
    """The recorded call, with its answer where the record held one."""
    assert explanation.call is not None  # noqa: S101 - asked of calls alone
    held = references(explanation.evidence) if explanation.call.recorded else ()
    if explanation.call.recorded and not held:
        raise UsageError(
            "There is no recorded answer: load the folder that -o or save() wrote, not the JSON file alone."
        )
    return Call(
        chat=chat,
        model=explanation.call.model or "",
        settings=settings_of(explanation),
        answer=held[0] if held else None,
        protocol=explanation.call.protocol,
        origin=explanation.call.origin,
    )


def _written(explanation: PromptExplanation) -> Template:
    """The template that renders to the prompt: its fields stand where the record says they stood."""
    text, fields, at, between = "", dict[str, str | list[str]](), 0, Template("").between
    whole = explanation.prompt
    for field in sorted((each for each in explanation.sections if each.kind == "field"), key=lambda each: each.start):
        inside = [
            each for each in explanation.sections
            if each.kind == "document" and field.start <= each.start and each.end <= field.end
        ]  # fmt: skip
        text += f"{doubled(whole[at : field.start])}{{{field.name}}}"
        fields[field.name] = [whole[each.start : each.end] for each in inside] or whole[field.start : field.end]
        between = next((whole[one.end : other.start] for one, other in pairwise(inside)), between)
        at = field.end
    return Template(text + doubled(whole[at:]), fields, between)


def _pieces(explanation: PromptExplanation, *, ends: Sequence[int] = ()) -> tuple[Piece, ...]:
    """Units and what was pinned, without gaps."""
    free = [(unit.start, unit.end) for unit in explanation.units]
    return laid(explanation.prompt, free, explanation.pinned, ends=ends)


def settings_of(explanation: PromptExplanation) -> Settings:
    """How the model generated.

    Raises:
        UsageError: if the explanation does not say.
    """
    kept = dict(explanation.settings)
    if not kept:
        raise UsageError(
            "The explanation does not say how the model generated (details.json): load its folder, not the JSON "
            "file alone."
        )
    stop = tuple(cast("list[str]", kept.pop("stop", [])))
    return Settings(stop=stop, **cast("dict[str, Any]", kept))


def outputs(evidence: Evidence | None) -> list[Output]:
    """What was answered, one output for each sample."""
    return [] if evidence is None else [_output(evidence, place) for place in range(len(evidence.samples))]


def references(evidence: Evidence | None) -> tuple[Output, ...]:
    """The answers to the whole prompt that others are compared with."""
    samples = () if evidence is None else evidence.samples
    return tuple(out for sample, out in zip(samples, outputs(evidence), strict=True) if sample.kind == "reference")


def _output(evidence: Evidence, place: int) -> Output:
    sample = evidence.samples[place]
    medium = None if evidence.media is None else evidence.media.of(place)
    return Output(
        text=sample.output,
        finish=cast("Any", sample.finish),
        picture=None if evidence.pictures is None else evidence.pictures.of(place),
        sound=medium if isinstance(medium, Sound) else None,
        frames=None if isinstance(medium, Sound) else medium,
        scores=None if sample.scores is None else tuple(TokenScore(*score) for score in sample.scores),
        calls=tuple(ToolCall.from_json(call) for call in sample.calls or ()),
        extra=sample.extra or {},
    )


def design_of(explanation: PromptExplanation) -> designs.Design:
    """The masks that were answered, as a design with the law by which they were drawn."""
    evidence, law, n = explanation.evidence, recorded(explanation).design, len(explanation.units)
    masks = np.empty((0, n), dtype=bool) if evidence is None else evidence.masks
    groups = np.empty(0, dtype=np.int64) if evidence is None else evidence.groups
    # A design that was asked whole stays so where a failed call took a pair away.
    population = len(np.unique(groups)) if explanation.masks == "enumerated" else law.population
    return designs.Design(
        name=explanation.design,
        masks=masks,
        groups=groups,
        keep=law.keep,
        population=population,
        sizes=None if law.sizes is None else np.array(law.sizes),
        kept=None if law.kept is None else np.array(law.kept),
        drawn_from=math.inf if law.drawn_from is None else law.drawn_from,
    )


def effects_of(explanation: PromptExplanation, metric: str) -> Effects:
    """The effects that an explanation was estimated from, with the law by which their masks were drawn.

    Args:
        explanation: with its evidence.
        metric: what needs them; messages name it.

    Raises:
        UsageError: if the explanation came without them.
    """
    evidence = explanation.evidence
    if evidence is None or not len(evidence.effects):
        raise UsageError(
            f"{metric} needs the masks and answers, and this explanation has none: it was loaded from its JSON file "
            "alone, or explained part by part. Load the folder that -o or save() wrote, or explain without hierarchy."
        )
    near, estimand = evidence.nearness, load_estimand(explanation.estimand)
    if near is None and estimand.weighted:
        near = Dropped().weights(evidence.masks, (), "")
    shared = estimand.shares_total
    total = float(sum(unit.attribution for unit in explanation.units)) if shared else None
    return design_of(explanation).observed(evidence.effects, total=total, nearness=near)
