"""Whether an answer refuses: what the provider says, else what stands at its beginning, in fifteen languages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

from whygen.prompt.targets.structured import AGREES, AnswerAgreement, Reading
from whygen.results.prompt import TargetRecord
from whygen.texts import language_of, name_of_language, nfc
from whygen.types import Failure, Output

REFUSES_WITHIN = 160
"""Characters at the beginning of an answer in which a refusal is looked for."""

_SURE = 24
"""Letters from which an answer in another language counts as one: shorter ones may be a name or a number."""


@cache
def refusals() -> dict[str, re.Pattern[str]]:
    """For each language that refusals are read in, what they say; ``refusals.tsv`` holds a pattern a line."""
    rows = resources.files("whygen.prompt.targets").joinpath("refusals.tsv").read_text(encoding="utf-8").splitlines()
    found: dict[str, list[str]] = {}
    for code, pattern in (nfc(row).split("\t") for row in rows[1:]):
        found.setdefault(code, []).append(pattern)
    return {code: re.compile("|".join(patterns), re.IGNORECASE) for code, patterns in found.items()}


def languages_read() -> str:
    """Names of the languages, for people."""
    names = [name_of_language(code) for code in refusals()]
    return f"{', '.join(names[:-1])} and {names[-1]}"


def read_refusal(output: Output) -> Reading:
    """Whether an answer refuses; without a value where it is in a language that is not read.

    The provider's word goes first. Then the patterns of all languages, as an answer may begin in one and go on in
    another; that none is found counts as an answer only in a language that is read.
    """
    text = nfc(output.text).strip()
    if output.finish == "refused":
        return Reading("value", "refused")
    beginning = text[:REFUSES_WITHIN].lower().replace("\u2019", "'")
    if any(pattern.search(beginning) for pattern in refusals().values()):
        return Reading("value", "refused")
    language = language_of(text)
    if language is None or language in refusals() or sum(map(str.isalpha, text)) < _SURE:
        return Reading("value", "answered")
    name = "a language that is not known here" if language == "other" else name_of_language(language)
    return Reading(f"an answer in {name}")


@dataclass(frozen=True, slots=True)
class Refusal(AnswerAgreement):
    """Whether the model refuses, as it did. A request that the provider refused is an answer here, not a failure."""

    def heard(self, failure: Failure) -> Output | Failure:
        """An output with the provider's words, where it refused."""
        return Output(text=failure.message, finish="refused") if failure.kind == "refused" else failure


def refusal_target() -> Refusal:
    """Whether the model refuses, as it did; positive pulls towards refusing if it refused, else towards answering."""
    distance = f"refusal, as the provider says or by phrases in {languages_read()}"
    advice = (
        f"Refusals are read in {languages_read()}. For another language give target='regex:PATTERN' of what a refusal "
        "says there, or a function of your own"
    )
    return Refusal(TargetRecord(name="refusal", distance=distance, unit=AGREES), read_refusal, advice=advice)
