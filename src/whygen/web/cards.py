"""What the shelf shows of an explanation: read from its document alone, and again only when that has changed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from whygen.errors import WhygenError
from whygen.evaluation.result import DOCUMENT as EVALUATION
from whygen.report.texts import clip, number, visible
from whygen.results import AnchorExplanation, Explanation, PromptExplanation, load
from whygen.results.anchors_words import headline as anchors_headline
from whygen.results.files import DETAILS, DOCUMENT, read_document
from whygen.results.summary.texts import headline as texts_headline
from whygen.results.summary.words import headline as prompt_headline
from whygen.safe import clean, says
from whygen.web.documents import told
from whygen.web.state import Shelved

MOST_PROMPT = 400
"""Characters of a prompt that the search looks through."""
NOT_SHOWN = "not shown"
"""The kind of what cannot be: damaged, too large, newer than this version, without rights."""
KINDS = {"text": "prompt", "chat": "chat", "template": "template", "edit": "edit", "inputs": "template"}


@dataclass(frozen=True, slots=True)
class Card:
    """A row of the shelf. ``stamp`` is what the document was when it was read."""

    id: str
    shown: str
    stamp: tuple[int, ...]
    kind: str = ""
    headline: str = ""
    prompt: str = ""
    model: str = ""
    calls: int | None = None
    fidelity: float | None = None
    warnings: tuple[str, ...] = ()
    evaluated: bool = False
    compares: bool = True
    """Whether it can be laid beside another one."""
    trouble: str = ""
    """Why it cannot be shown; empty if it can."""

    @property
    def date(self) -> str:
        """When it was saved, by this computer's clock."""
        return self._moment.astimezone().strftime("%Y-%m-%d %H:%M")

    @property
    def date_iso(self) -> str:
        return self._moment.isoformat(timespec="seconds")

    @property
    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self.stamp[0] / 1e9, UTC)

    @property
    def fidelity_text(self) -> str:
        return number(self.fidelity, 2)

    def is_of(self, place: Shelved) -> bool:
        """Whether the document is still the one that was read; one that is gone is read again, which says so."""
        with suppress(WhygenError):
            return place.stamp() == self.stamp
        return False

    @property
    def searched(self) -> str:
        """What the search looks through, in lower case."""
        parts = (self.headline, self.prompt, self.model, self.shown, self.kind, *self.warnings, self.trouble)
        return " ".join(parts).lower()


def card_of(place: Shelved) -> Card:
    """What a document says; a damaged one becomes a card that says what is wrong with it."""
    bare = Card(place.id, visible(place.shown), (0,))
    try:
        bare = replace(bare, stamp=place.stamp())
        if place.name != DOCUMENT:
            return _document(bare, place)
        bare = replace(bare, evaluated=(place.folder / EVALUATION).is_file())
        return _described(bare, load(place.file), place)
    except WhygenError as error:
        return replace(bare, kind=NOT_SHOWN, compares=False, trouble=str(error))
    except OSError as error:
        return replace(bare, kind=NOT_SHOWN, compares=False, trouble=f"It cannot be read ({error.strerror}).")
    except Exception as error:  # one strange file must not keep the others from being shown
        return replace(bare, kind=NOT_SHOWN, compares=False, trouble=f"It cannot be read ({clean(says(error))}).")


def _document(bare: Card, place: Shelved) -> Card:
    """The row of what is no explanation."""
    found = told(place)
    return replace(
        bare,
        kind=found.kind,
        headline=visible(found.headline),
        prompt=visible(clip(found.prompt, MOST_PROMPT)[0]),
        model=visible(found.model),
        calls=found.calls,
        warnings=tuple(visible(code) for code in found.warnings),
        compares=False,
    )


def _described(bare: Card, found: Explanation, place: Shelved) -> Card:
    told = replace(bare, model=visible(found.model), warnings=tuple(visible(each.code) for each in found.warnings))
    if isinstance(found, PromptExplanation):
        details = _details(place.folder / DETAILS)
        return replace(
            told,
            kind="recorded call" if found.call is not None else _kind(details),
            headline=prompt_headline(found),
            prompt=visible(clip(_said(found, details), MOST_PROMPT)[0]),
            calls=found.calls.asked,
            fidelity=found.fidelity.r2_heldout,
        )
    if isinstance(found, AnchorExplanation):
        return replace(told, kind="anchors", headline=visible(anchors_headline(found)))
    return replace(told, kind="texts", headline=visible(texts_headline(found)))


def _details(file: Path) -> dict[str, Any]:
    """What stands beside the document; nothing where that cannot be read."""
    with suppress(WhygenError, OSError):
        return read_document(file)
    return {}


def _kind(details: dict[str, Any]) -> str:
    """What was explained: a plain prompt unless the details say otherwise."""
    with suppress(TypeError, LookupError):
        return KINDS.get(details["recipe"]["source"], "prompt")
    return "prompt"


def _said(found: PromptExplanation, details: dict[str, Any]) -> str:
    """What a person would call the prompt: the last user's message of a chat, an instruction without its regions."""
    with suppress(TypeError, LookupError, ValueError):
        if details["recipe"]["source"] == "inputs":
            return found.prompt
        if details["recipe"]["units"] == "region":
            return found.prompt[: found.units[0].start]
        said = [each for each in details["sections"] if each["kind"] == "message" and each["name"] == "user"]
        return found.prompt[int(said[-1]["start"]) : int(said[-1]["end"])] or found.prompt
    return found.prompt
