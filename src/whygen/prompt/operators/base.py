"""What every operator is, and those that ask nobody: deletion, a placeholder, a text for each unit, noise.

An operator says what stands at each piece of the prompt under a mask; how the pieces make one prompt again is the
units' own affair (`Units.join`), so that chats and templates need no operators of their own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from whygen.calls import Notice, Progress, Runner, Store
from whygen.encoders import TextEncoder
from whygen.errors import UsageError
from whygen.models import AddsNoise, Model, ModelOptions
from whygen.prompt.units import Sent, Units
from whygen.safe import is_stop, says
from whygen.stats.seeds import generator
from whygen.types import Request, Settings

Mask: TypeAlias = NDArray[np.bool_]
"""Which units are kept, shape ``(n,)``; True: kept."""


def _memory() -> Store:
    return Store(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What an operator may use to get ready.

    Attributes:
        model: the model that is explained.
        encoder: where synonyms are looked for, open or by name.
        store: where the calls of a helping model are recorded.
        options: how a helping model is opened.
        progress: told how far the helping model is.
        seed: of what is drawn: samples of an infill model, noise.
        runner: what asks the explained model: a helping model spends from the same budget, by the same deadline.
    """

    model: Model | None = None
    encoder: str | TextEncoder = "auto"
    store: Store = field(default_factory=_memory)
    options: ModelOptions | None = None
    progress: Progress | None = None
    seed: int = 0
    runner: Runner | None = None


class Operator(ABC):
    """Decides what stands at each piece of a prompt. One mask gives one prompt, whatever was rendered before.

    Attributes:
        name: what is written into the record.
        notices: what the person should know of the replacements.
        by_settings: whether the settings, and not the text, tell masks apart.
    """

    name: str
    notices: tuple[Notice, ...] = ()
    by_settings: bool = False

    def calls(self, units: Units) -> int:
        """Calls of a helping model that `prepare` will ask for."""
        del units
        return 0

    def prepare(self, units: Units, tools: Tools) -> Operator:
        """The same operator, ready for these units. Nothing of the explained model is asked."""
        del units, tools
        return self

    @abstractmethod
    def parts(self, units: Units, mask: Mask) -> list[str]:
        """What stands at each of ``units.pieces``, white space included."""

    def render(self, units: Units, mask: Mask) -> Sent:
        """The prompt that is sent for this mask.

        Raises:
            UsageError: if an operator of somebody's own gives other than a text for each piece.
        """
        parts = self.parts(units, mask)
        if len(parts) != len(units.pieces):
            raise UsageError(
                f"operator={self.name!r} gave {len(parts)} texts for {len(units.pieces)} pieces: parts(units, mask) "
                "gives one for each of units.pieces, and an empty one takes a piece away."
            )
        return units.join(parts)

    def settings(self, units: Units, mask: Mask, settings: Settings) -> Settings:
        """The settings that the prompt is sent with."""
        del units, mask
        return settings


@dataclass(frozen=True)
class Delete(Operator):
    """Take the unit out, with the white space before it; the order of the rest is kept."""

    name: str = "delete"

    def parts(self, units: Units, mask: Mask) -> list[str]:
        return [part if kept else "" for part, kept in zip(units.parts, units.kept(mask.tolist()), strict=True)]


@dataclass(frozen=True)
class Placeholder(Operator):
    """Put a given string where the unit was; the white space around it stays."""

    text: str
    name: str = "placeholder"

    def parts(self, units: Units, mask: Mask) -> list[str]:
        standing = zip(units.pieces, units.kept(mask.tolist()), strict=True)
        return [units.text_at(piece, None if kept else self.text) for piece, kept in standing]


@dataclass(frozen=True)
class Substitute(Operator):
    """Put a text of its own in place of each unit; the white space around it stays.

    Attributes:
        name: where the replacements come from, such as ``synonym``.
        replacements: what stands for unit i when it is not kept.
        notices: what the person should know of them.
    """

    name: str
    replacements: tuple[str, ...]
    notices: tuple[Notice, ...] = ()

    def parts(self, units: Units, mask: Mask) -> list[str]:
        if len(self.replacements) != len(units):
            raise UsageError(
                f"operator={self.name!r} holds {len(self.replacements)} replacements, and the prompt has {len(units)} "
                "units: give one for each, in order."
            )
        return [
            units.text_at(piece, None if piece.unit is None or mask[piece.unit] else self.replacements[piece.unit])
            for piece in units.pieces
        ]


class Unprepared(Operator):
    """An operator that must see the units first: `prepare` hands back the one that renders."""

    def parts(self, units: Units, mask: Mask) -> list[str]:
        raise not_ready(self.name)


@dataclass(frozen=True)
class Rewrite(Unprepared):
    """Put what a function makes of each unit in its place: ``function(text) -> text``; an empty one takes it away.

    Attributes:
        function: takes the visible text of a unit; the same text must give the same text. Equal units are asked for
            once.
        name: what is written into the record.
    """

    function: Callable[[str], object]
    name: str

    def prepare(self, units: Units, tools: Tools) -> Operator:
        """Ask the function for every unit.

        Raises:
            UsageError: if it raises, gives no text, or changes no unit.
        """
        del tools
        found = {text: self._of(text) for text in dict.fromkeys(units.texts)}
        replacements = tuple(found[text] for text in units.texts)
        return substitute(self.name, units, replacements, advice="Let the function change them, or pin them.")

    def _of(self, text: str) -> str:
        try:
            made = self.function(text)
        except BaseException as error:  # code of others, which may do anything
            if is_stop(error):
                raise
            raise UsageError(f"operator={self.name!r} raised {says(error)}, given {shown([text])}.") from error
        if isinstance(made, str):
            return made
        raise UsageError(
            f"operator={self.name!r} gave a {type(made).__name__} for {shown([text])}: it must give the text that "
            "stands in its place, and an empty one to take it away."
        )


def not_ready(name: str) -> UsageError:
    """That an operator was asked to render before `Operator.prepare`."""
    return UsageError(
        f"operator={name!r} has not seen the units yet: operator.prepare(units, tools) gives the one that renders."
    )


def substitute(name: str, units: Units, replacements: tuple[str, ...], *, advice: str) -> Substitute:
    """The operator that puts these in place of the units; those that change nothing are told.

    Raises:
        UsageError: if no replacement differs from its unit.
    """
    same = [text for text, new in zip(units.texts, replacements, strict=True) if new == text]
    if len(same) == len(replacements):
        raise UsageError(f"operator={name!r} changes none of the {len(same)} units: nothing can be learned. {advice}")
    if not same:
        return Substitute(name, replacements)
    text = (
        f"operator={name!r} changes nothing at {len(same)} of {len(replacements)} units, and these get no attribution "
        f"of their own: {shown(same)}. {advice}"
    )
    return Substitute(name, replacements, (Notice("replacement-unchanged", text),))


def shown(texts: list[str], *, most: int = 12) -> str:
    """Texts quoted and listed, each once, long ones and long lists cut."""
    distinct = list(dict.fromkeys(texts))
    listed = ", ".join(repr(text if len(text) <= 40 else text[:39] + "…") for text in distinct[:most])
    return listed + (f" and {len(distinct) - most} more" if len(distinct) > most else "")


SCALE = 4.0
"""Length of the noise in average embeddings: at 1 a model of many dimensions still reads the word."""


@dataclass(frozen=True)
class EmbeddingNoise(Operator):
    """Add noise to the embeddings of every token that shares a character with a dropped unit.

    A token's noise is the same under every mask, so that what is attributed is a game: the unit, or its noisy self.

    Attributes:
        scale: how long the noise is on average, in mean norms of the model's input embeddings.
        seed: of the noise; None until `prepare` has drawn it.
    """

    scale: float = SCALE
    seed: int | None = None
    name: str = "noise"
    by_settings: bool = True

    def __post_init__(self) -> None:
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise UsageError(f"noise={self.scale!r}: give a scale above 0, such as {SCALE:g} average embeddings.")

    def prepare(self, units: Units, tools: Tools) -> Operator:
        """Check that the model can add the noise, and draw the seed.

        Raises:
            UsageError: if it cannot. `DataError`: if it cannot find the tokens of this prompt.
        """
        model = tools.model
        if not isinstance(model, AddsNoise):
            which = "No model was given" if model is None else f"{model.uri} does not let its embeddings be changed"
            raise UsageError(
                f"operator={self.name!r} adds noise inside the model. {which}: use a local one (hf/ORG/NAME, hf/PATH, "
                "demo/storyteller), or operator='delete'."
            )
        if not isinstance(units.prompt, str):
            raise UsageError(f"operator={self.name!r} needs a plain text, and this is a chat. Use operator='delete'.")
        ready = replace(self, seed=int(generator(tools.seed, "noise").integers(2**31)))
        nothing = np.zeros(len(units), dtype=bool)
        model.noisy_tokens(Request(prompt=units.prompt, settings=ready.settings(units, nothing, Settings())))
        return ready

    def parts(self, units: Units, mask: Mask) -> list[str]:
        del mask
        if self.seed is None:
            raise not_ready(self.name)
        return list(units.parts)

    def settings(self, units: Units, mask: Mask, settings: Settings) -> Settings:
        if self.seed is None:
            raise not_ready(self.name)
        if mask.all():
            return settings
        spans = [list(span) for span, kept in zip(units.spans, mask.tolist(), strict=True) if not kept]
        noise = {"spans": spans, "scale": self.scale, "seed": self.seed}
        return replace(settings, extra={**settings.extra, "embedding_noise": noise})
