"""`explain_anchors` for language models and texts. The steps stand here in their order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from whygen._arguments import declared, short
from whygen.anchors.options import AnchorChoices, asked_of
from whygen.anchors.texts import reading
from whygen.anchors.texts.loading import TextAnchor, TextSet, load_parts, load_texts, load_twins
from whygen.anchors.texts.measured import TextSide
from whygen.anchors.texts.models import open_text_model
from whygen.anchors.texts.preparing import Ready, plain, prepare
from whygen.anchors.texts.remarks import overlap
from whygen.anchors.texts.scoring import (
    Pair,
    TextsAsked,
    can_continue,
    continuation_for,
    continue_texts,
    needs_heads,
    request_for,
    score_texts,
)
from whygen.anchors.texts.telling import require_levels, told
from whygen.anchors.texts.twins import make_twins, name_pool
from whygen.calls import Interrupted, Progress, Runner, make_runner, open_store
from whygen.errors import DataError, UsageError
from whygen.models import Model, ModelOptions, Tokenizes
from whygen.results.prompt import Warned
from whygen.results.texts import TextAnchorExplanation
from whygen.texts import counted
from whygen.types import Request
from whygen.version import __version__, versions

TWINS = 9
"""Twins of each text, unless told otherwise: a text beats them all by chance once in ten."""
MOST_TWINS = 999
_OF_SAMPLES = frozenset(declared(AnchorChoices)) - {"alpha", "false_positives"} | {
    "preset", "encoder", "classifier", "trained", "layout", "size", "mode", "shape", "value_range", "scale",
}  # fmt: skip
"""Options of `explain_anchors` that speak of samples with an encoder and a decoder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextWork:
    """What is to be scored.

    Attributes:
        model: that is explained.
        baseline: that has not seen the texts, or None.
        heads: whether the first word of a text is given, not scored.
        anchors: texts and twins.
        reference: the same of held-out texts, or None.
        levels: how it is read.
        twins: how they were made: ``automatic``, ``given`` or ``none``.
        source: where the anchors are from.
        seed: of the twins.
        said: of what was found while reading.
    """

    model: Model
    baseline: Model | None
    heads: bool
    anchors: TextSide
    reference: TextSide | None
    levels: reading.Levels
    twins: str
    source: str
    seed: int
    said: list[Warned] = field(default_factory=list[Warned])

    @property
    def sides(self) -> list[TextSide]:
        return [self.anchors, *([] if self.reference is None else [self.reference])]

    def pairs(self) -> list[Pair]:
        """Every text and twin, once."""
        return list(dict.fromkeys(pair for side in self.sides for pair in side.pairs()))


@dataclass(frozen=True, slots=True, kw_only=True)
class TextForecast:
    """What would be asked of the models.

    Attributes:
        texts: anchors and reference that can be scored.
        scored: texts and twins whose log-probabilities are asked for, of the model and of the baseline.
        continued: continuations that are asked for.
        recorded: of both, those that are recorded already.
    """

    texts: int
    scored: int
    continued: int
    recorded: int


def explain_texts(
    model: object, anchors: object, given: Mapping[str, Any], *, cache: Path | str | None, progress: Progress | None
) -> TextAnchorExplanation:
    """Which texts a language model knows by heart, whose kind it knows, and which it invents or does not know.

    Args:
        model: a URI or a model that gives log-probabilities of a given text.
        anchors: texts, as `load_texts` takes them.
        given: the arguments of `explain_anchors`.
        cache: where answers are recorded.
        progress: is told how many were scored.

    Raises:
        UsageError: if an argument cannot work, or the model gives no log-probabilities.
        DataError: if anchors, reference or twins are no texts.
    """
    work = _opened(model, anchors, given)
    asked = TextsAsked()
    with open_store(cache) as store:
        runner = make_runner(work.model, store, budget=None, progress=progress, options=given["run"])
        _measure(work, runner, asked)
        noticed = [Warned(code=each.code, text=each.text) for each in store.notices]
        explanation = _read(work, asked, str(runner.tally), noticed)
    if explanation.scores is not None:
        kept = explanation.scores.model_copy(update={"asked": asked_of(model, anchors, given)})
        explanation = explanation.model_copy(update={"scores": kept})
    if asked.reason == "interrupt":
        raise Interrupted(explanation)
    return explanation


def foresee_texts(
    model: object, anchors: object, given: Mapping[str, Any], *, cache: Path | str | None
) -> TextForecast:
    """How much `explain_texts` would ask with these arguments; nothing is asked."""
    work = _opened(model, anchors, given)
    requests = [request_for(pair, heads=work.heads) for pair in work.pairs()]
    continued = sum(can_continue(work.model, ready) for side in work.sides for ready in side.ready if not ready.state)
    with open_store(cache) as store:
        runner = make_runner(work.model, store, budget=None, progress=None, options=given["run"])
        recorded = _recorded(runner, requests)
        if work.baseline is not None:
            recorded += _recorded(runner.beside(work.baseline), requests)
    both = 1 if work.baseline is None else 2
    texts = sum(not ready.state for side in work.sides for ready in side.ready)
    return TextForecast(texts=texts, scored=both * len(requests), continued=continued, recorded=recorded)


def _recorded(runner: Runner, requests: Sequence[Request]) -> int:
    return sum(answer is not None for answer in runner.recall(requests))


def _opened(model: object, anchors: object, given: Mapping[str, Any]) -> TextWork:
    """What is to be scored, checked as far as it can be before anything is."""
    _require_texts(model, anchors)
    _require_options(given)
    levels = reading.Levels(
        alpha=_or(given, "alpha", 0.025), fdr=given["fdr"], role=given["reference_role"],
        automatic=isinstance(_count(given["twins"]), int | None), false_positives=_or(given, "false_positives", 0.05),
    )  # fmt: skip
    require_levels(levels)
    texts = load_parts(anchors, roles=given["roles"], labels=given["labels"])
    held = None if given["reference"] is None else load_texts(given["reference"], "reference")
    twins, automatic = _twins_of(given["twins"], texts)
    options: ModelOptions | None = given["options"]
    opened = open_text_model(model, options)
    baseline = None if given["baseline"] is None else open_text_model(given["baseline"], options)
    heads = needs_heads(opened) or (baseline is not None and needs_heads(baseline))
    said: list[Warned] = []
    if held is not None:
        held = _without_overlap(held, texts, said)
    if texts.dropped:
        said.append(Warned(code="blank-lines", text=f"{counted(texts.dropped, 'blank line')} of the anchors left out."))
    ready = prepare(texts.anchors, opened, heads=heads)
    others = None if held is None else prepare(held.anchors, opened, heads=heads)
    how: dict[str, Any] = {"seed": given["seed"], "known": [*ready, *(others or ())], "size": _size(opened)}
    made = _automatic(ready, automatic, **how) if twins is None else _given(ready, twins, opened, heads=heads)
    reference = None
    if others is not None:
        reference = TextSide(ready=others, twins=_automatic(others, automatic if twins is None else 0, **how))
    return TextWork(
        model=opened, baseline=baseline, heads=heads, anchors=TextSide(ready=ready, twins=made), reference=reference,
        levels=levels, twins="given" if twins is not None else "automatic" if automatic else "none",
        source=texts.source, seed=given["seed"], said=said,
    )  # fmt: skip


def _require_texts(model: object, anchors: object) -> None:
    """Refuse numbers, which a model that has learned the score of a density may have been given."""
    kind = getattr(getattr(anchors, "dtype", None), "kind", "")
    if kind and kind in "fiub" and callable(getattr(model, "score", None)):
        raise UsageError(
            f"The anchors are numbers, and {type(model).__name__} is taken for a language model, as it has score: that "
            "must give log-probabilities of texts. The gradient of a log-density tells no level of it: give "
            "whygen.models.Generator(log_prob=...), or sampler=..., of what it can do besides."
        )


def _require_options(given: Mapping[str, Any]) -> None:
    """Refuse what speaks of samples, and what cannot be."""
    for name in sorted(_OF_SAMPLES):
        if given.get(name) is not None:
            raise UsageError(
                f"{name}={short(given[name])} speaks of samples that a model encodes and decodes, and the anchors are "
                "texts. Leave it out. Texts take reference, reference_role, roles, labels, twins, baseline, alpha, fdr "
                "and false_positives."
            )


def _or(given: Mapping[str, Any], name: str, usual: float) -> Any:
    return usual if given.get(name) is None else given[name]


def _count(given: object) -> object:
    """A number of twins that was typed, as a number."""
    return int(given) if isinstance(given, str) and given.isascii() and given.isdecimal() else given


def _twins_of(given: object, texts: TextSet) -> tuple[list[list[str]] | None, int]:
    """Twins as they were given, or how many are to be made."""
    if given is None:
        return None, TWINS
    given = _count(given)
    if isinstance(given, bool) or (isinstance(given, int) and not 0 <= given <= MOST_TWINS):
        raise UsageError(f"twins is {given}; give how many of each text, 0 to {MOST_TWINS}, or the twins themselves.")
    if isinstance(given, int):
        return None, given
    return load_twins(given, texts.anchors), 0


def _automatic(
    ready: Sequence[Ready], m: int, *, seed: int, known: Sequence[Ready], size: Callable[[str], int]
) -> list[tuple[str, ...]]:
    """Twins with numbers and names of their own, none of them a text that is known."""
    texts = frozenset(each.text for each in known)
    names = name_pool(texts)
    return [
        () if each.state or not m else make_twins(each.text, m, seed=seed, names=names, size=size, avoid=texts)
        for each in ready
    ]


def _size(model: Model) -> Callable[[str], int]:
    """Tokens of a name inside a text; its characters where the model does not tell."""

    @cache
    def size(name: str) -> int:
        try:
            return len(model.token_spans(f" {name}")) if isinstance(model, Tokenizes) else len(name)
        except DataError:
            return len(name)

    return size


def _given(ready: Sequence[Ready], twins: list[list[str]], model: Model, *, heads: bool) -> list[tuple[str, ...]]:
    """Twins of a person, cut as the texts are; one that is the text itself, or cannot be scored, leaves it without."""
    found: list[tuple[str, ...]] = []
    for each, own in zip(ready, twins, strict=True):
        fit = prepare([TextAnchor(twin, each.prompt) for twin in own], model, heads=heads)
        usable = all(not twin.state and plain(twin.text) != plain(each.text) for twin in fit)
        found.append(tuple(twin.text for twin in fit) if usable and not each.state else ())
    return found


def _without_overlap(held: TextSet, texts: TextSet, said: list[Warned]) -> TextSet:
    """The reference without the anchors: a text is no measure of itself."""
    known = {plain(each.text) for each in texts.anchors}
    kept = tuple(each for each in held.anchors if plain(each.text) not in known)
    if len(kept) < len(held.anchors):
        said.append(overlap(len(held.anchors) - len(kept)))
    return replace(held, anchors=kept)


def _measure(work: TextWork, runner: Runner, asked: TextsAsked) -> None:
    """Ask for everything; a run that ended keeps what it came to."""
    scores = score_texts(runner, work.pairs(), asked, heads=work.heads, label="Scoring texts")
    other = None
    if work.baseline is not None:
        helping = runner.beside(work.baseline)
        other = score_texts(helping, work.pairs(), asked, heads=work.heads, label="Scoring by the baseline")
    for side in work.sides:
        side.scores, side.other = scores, other
    for side in work.sides:
        wanted = {
            place: found
            for place in side.scored()
            if (own := side.own(place)) is not None
            and (found := continuation_for(work.model, side.ready[place], own, heads=work.heads)) is not None
        }
        if wanted and asked.ended is None:
            side.continued = continue_texts(runner, wanted, asked)


def _read(work: TextWork, asked: TextsAsked, calls: str, noticed: Sequence[Warned]) -> TextAnchorExplanation:
    ended = [] if asked.ended is None else [Warned(code="ended", text=str(asked.ended))]
    found = told(
        work.anchors, work.reference, work.levels, work.seed, said=[*ended, *work.said], noticed=noticed
    )  # fmt: skip
    return TextAnchorExplanation(
        whygen=__version__,
        model=work.model.uri,
        baseline=None if work.baseline is None else work.baseline.uri,
        twins=work.twins,
        source=work.source,
        seed=work.seed,
        versions=versions(("numpy", "scipy", "torch", "transformers", "openai")),
        calls=calls,
        ended=asked.reason,
        **found,
    )
