"""What of a record is left out or changed, said once for each kind, with how often and where first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from whygen.records.fields import Field
from whygen.safe import without_secrets

_COUNTED = {
    "reasoning": "Reasoning of the model was left out ({n}, first at {where}): it tells what the model had read, so "
    "that a piece taken out would still be known.",
    "image-link": "{n} of its images {are} given by a link (first at {where}). {They} {are} sent so, and the "
    "provider fetches {them}; nothing is fetched here, so that such an image is a unit as a whole and has no regions.",
    "image-missing": "The data of {n} image{s} is not in the record (first at {where}): whatever kept it shortened "
    "or masked them. The model is asked without them; all else is explained.",
    "image-detail": "How closely {n} image{s} {were} to be looked at (detail, first at {where}) is not sent: the "
    "provider chooses.",
    "file-link": "{n} file{s} {are} named by an id or a link alone (first at {where}). {They} {are} sent so, and "
    "only the account that holds {them} can ask; {their} text cannot be explained.",
    "name": "The name{s} of {n} speaker{s} (name, first at {where}) {are} not sent.",
    "tool-error": "The mark that a tool had failed (is_error, {n}, first at {where}) is not sent; its text is.",
    "tool-id": "{n} result{s} of tools {do} not say which call {they} {answer} (first at {where}): {they} {were} "
    "given to the calls before them, in order.",
    "unknown-part": "{n} part{s} of a kind that is not known (first at {where}) {are} sent as they are, and cannot "
    "be explained inside.",
    "lost-part": "{n} part{s} that only {their} own service can read again (first at {where}) {were} left out.",
    "half-character": "{n} text{s} held half of a character (first at {where}), cut by whatever kept them: U+FFFD "
    "stands there now.",
    "key": "What looks like a key or a password was taken out of {n} text{s} (first at {where}), and [key] stands "
    "there: the model is sent that, and nothing of it is saved.",
    "own-tool": "{n} call{s} or result{s} of tools that the protocol has itself, such as a shell (first at {where}), "
    "{are} sent as of functions of the same names, so that what they gave back can be explained.",
    "own-block": "{n} call{s} or result{s} of tools that the service runs itself (first at {where}) {are} sent "
    "unchanged, always, and cannot be explained.",
    "whole-part": "{n} file{s} or sound{s} (first at {where}) {are} sent unchanged, and cannot be explained inside.",
    "prefix": "The last turn of the assistant was to be gone on with ({where}): the mark that says so is not sent.",
    "earlier-turns": "Earlier turns are kept by the provider ({where}) and not in the record. They are sent by that "
    "id as long as the provider knows it, and cannot be explained.",
    "empty-message": "{n} message{s} {have} no content in the record (first at {where}): whatever kept it left out "
    "parts such as images. {They} {are} sent empty; the rest is explained as it stands.",
}  # fmt: skip

_SEVERAL = {
    "s": "s", "are": "are", "were": "were", "have": "have", "do": "do", "answer": "answer", "they": "they",
    "They": "They", "them": "them", "their": "their",
}  # fmt: skip
_ONE = {
    "s": "", "are": "is", "were": "was", "have": "has", "do": "does", "answer": "answers", "they": "it",
    "They": "It", "them": "it", "their": "its",
}  # fmt: skip
"""Words that go by a number."""


@dataclass
class Notices:
    """Collects them while a record is read."""

    _counted: dict[str, tuple[int, str]] = field(default_factory=dict[str, "tuple[int, str]"])
    _said: dict[str, str] = field(default_factory=dict[str, str])

    def count(self, code: str, where: Field) -> None:
        """One more of a kind."""
        times, first = self._counted.get(code, (0, where.place))
        self._counted[code] = (times + 1, first)

    def say(self, code: str, text: str) -> None:
        """A notice of its own words; the first of a code stays."""
        self._said.setdefault(code, text)

    def failed(self, told: str) -> None:
        """That an error came back in place of an answer."""
        self.say(
            "answer-error",
            f"The service answered with an error, and with nothing to explain: {without_secrets(told)[:300]}. The "
            "model is asked for an answer first.",
        )

    def leave(self, whose: str, names: Sequence[str]) -> None:
        """Settings that only one protocol has."""
        self.say(
            "settings-left",
            f"Settings that only {whose} has are not sent: {', '.join(names[:8])}. Answers may differ for this alone.",
        )

    def __contains__(self, code: str) -> bool:
        return code in self._counted or code in self._said

    def where(self, code: str) -> str:
        """Where the first of a kind was; empty where there was none."""
        return self._counted.get(code, (0, ""))[1]

    @property
    def all(self) -> tuple[tuple[str, str], ...]:
        """Pairs of a code and a text."""
        counted = {
            code: _COUNTED[code].format(n=n, where=where, **(_ONE if n == 1 else _SEVERAL))
            for code, (n, where) in self._counted.items()
        }
        return tuple({**counted, **self._said}.items())
