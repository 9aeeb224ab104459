"""Every target by name, and the one door to them all."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, cast

from whygen import distances, plugins
from whygen._arguments import typed
from whygen.encoders import TextEncoder, has_text_encoder, load_text_encoder
from whygen.encoders.registry import PACKAGED
from whygen.errors import UnknownNameError, UsageError
from whygen.prompt.targets.called import Score, compiled, pattern_target, score_target
from whygen.prompt.targets.compared import ContrastiveDistance, PlainTexts, SentenceVectors, TokenSets
from whygen.prompt.targets.media import PICTURE_TARGETS, TIMED_TARGETS
from whygen.prompt.targets.protocol import Compares, Target
from whygen.prompt.targets.scored import (
    Contains,
    ContrastiveLogProbability,
    LogProbability,
    Span,
    SpanLogProbability,
    check_span,
    span_name,
)
from whygen.prompt.targets.structured import json_target, label_target, refusal_target
from whygen.prompt.targets.tools import named_tool_target, tool_target
from whygen.results.prompt import TargetRecord

TargetLike: TypeAlias = str | re.Pattern[str] | Target | Score
"""A name, with its argument after a colon; a compiled pattern; a target; or a callable that scores an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What was given besides the name; None where nothing was."""

    encoder: str | TextEncoder | None = None
    span: Span | None = None
    alternative: str | None = None
    distance: str | None = None
    labels: tuple[str, ...] | None = None
    argument: str | None = None
    """What stood after the colon of the name."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How a target is made, which wishes it takes, and which of them the text after a colon means."""

    make: Callable[[Wishes], Target]
    takes: frozenset[str] = frozenset()
    colon: str | None = None


def _opened(wishes: Wishes) -> TextEncoder:
    encoder = "auto" if wishes.encoder is None else wishes.encoder
    return load_text_encoder(encoder) if isinstance(encoder, str) else encoder


def _by(encoder: TextEncoder) -> str:
    """Names an encoder that is not the one that comes with whygen."""
    return "" if encoder.name == PACKAGED else f" by {encoder.name}"


def _optimal_transport(wishes: Wishes) -> Target:
    unit = "optimal transport between token embeddings (0 to 2)"
    encoder = _opened(wishes)
    record = TargetRecord(name="optimal-transport", distance=f"exact optimal transport{_by(encoder)}", unit=unit)
    return TokenSets(record, encoder, distances.optimal_transport)


def _cosine(wishes: Wishes) -> Target:
    encoder, unit = _opened(wishes), "1 - cosine (0 to 2)"
    record = TargetRecord(name="cosine", distance=f"cosine of sentence embeddings{_by(encoder)}", unit=unit)
    return SentenceVectors(record, encoder, distances.cosine)


def _texts(name: str, unit: str) -> Kind:
    return Kind(lambda _: PlainTexts(TargetRecord(name=name, distance=name, unit=unit), distances.TEXTS[name]))


def _logprob(wishes: Wishes) -> Target:
    if wishes.span is None:
        return LogProbability(TargetRecord(name="logprob", distance="log-probability of the reference", unit="nats"))
    distance = f"log-probability of {span_name(wishes.span)} in the reference"
    unit = "nats; a token that is partly in the span counts wholly"
    return SpanLogProbability(TargetRecord(name="logprob", distance=distance, unit=unit), wishes.span)


def _contains(wishes: Wishes) -> Target:
    if wishes.span is None:
        raise UsageError("target='contains' needs a part of the output: 'contains:snow', or span='snow'.")
    distance = f"whether the answer still contains {span_name(wishes.span)}"
    return Contains(TargetRecord(name="contains", distance=distance, unit="1 if it does, else 0"), wishes.span)


def _contrastive(wishes: Wishes) -> Target:
    alternative = wishes.alternative
    if alternative is None or not alternative.strip():
        raise UsageError("target='contrastive' needs the other output: alternative='the text it could have said'.")
    beside = f"the reference rather than {alternative!r}"
    if wishes.distance in {None, "logprob"}:
        _refuse_unused("contrastive' with distance='logprob", wishes, {"alternative", "distance"})
        record = TargetRecord(name="contrastive", distance=f"log-probability of {beside}", unit="nats")
        return ContrastiveLogProbability(record, alternative)
    base = load_target(wishes.distance or "auto", encoder="auto" if wishes.encoder is None else wishes.encoder)
    if not isinstance(base, Compares):
        raise UsageError(
            f"distance={wishes.distance!r} compares no two texts. For a contrast use 'logprob', 'optimal-transport', "
            "'cosine', 'tfidf', 'token-set', 'edit' or 'exact'."
        )
    record = TargetRecord(name="contrastive", distance=f"{base.record.distance}: {beside}", unit=base.record.unit)
    return ContrastiveDistance(record, base, alternative)


def _json(wishes: Wishes) -> Target:
    return json_target(wishes.argument or "")


def _tool(wishes: Wishes) -> Target:
    return tool_target() if wishes.argument is None else named_tool_target(wishes.argument)


def _labels(wishes: Wishes) -> Target:
    return label_target(wishes.labels or tuple((wishes.argument or "").split(",")))


def _regex(wishes: Wishes) -> Target:
    if not wishes.argument:
        raise UsageError("target='regex' needs a pattern: 'regex:PATTERN', or target=re.compile(...).")
    return pattern_target(compiled(wishes.argument))


TARGETS: dict[str, Kind] = {
    "optimal-transport": Kind(_optimal_transport, frozenset({"encoder"})),
    "cosine": Kind(_cosine, frozenset({"encoder"})),
    "tfidf": _texts("tfidf", "1 - cosine of TF-IDF (0 to 1)"),
    "token-set": _texts("token-set", "Jaccard distance of words (0 to 1)"),
    "edit": _texts("edit", "edits over the longer length (0 to 1)"),
    "exact": _texts("exact", "0 if equal, else 1"),
    "logprob": Kind(_logprob, frozenset({"span"}), colon="span"),
    "contains": Kind(_contains, frozenset({"span"}), colon="span"),
    "contrastive": Kind(_contrastive, frozenset({"alternative", "distance", "encoder"}), colon="alternative"),
    "json": Kind(_json, frozenset({"argument"}), colon="argument"),
    "label": Kind(_labels, frozenset({"labels", "argument"}), colon="argument"),
    "tool": Kind(_tool, frozenset({"argument"}), colon="argument"),
    "refusal": Kind(lambda _: refusal_target()),
    "regex": Kind(_regex, frozenset({"argument"}), colon="argument"),
}


OWN = tuple(dict.fromkeys(("auto", *TARGETS, *PICTURE_TARGETS, *TIMED_TARGETS)))
"""Names that are whygen's own, of targets of texts, pictures, sounds and videos."""


def known_targets() -> list[str]:
    """Names of targets: whygen's own, and those of installed packages."""
    return [*OWN, *plugins.entries(plugins.TARGETS, OWN)]


def unknown_target(given: str) -> UnknownNameError:
    """That there is no such target, with the one to type: ``contains fox`` too is ``contains:fox``."""
    head, colon, argument = given.partition(":")
    if not colon and (parts := _ARGUED.fullmatch(given)):
        head, argument = parts["name"], parts["argument"]
    word = given.replace("'", "")
    hint = f"To look for this text in the answer: 'contains:{word}'." if word.strip() else ""
    return UnknownNameError("target", head, known_targets(), beside=f":{argument}" if argument else "", hint=hint)


_ARGUED = re.compile(r"(?P<name>[\w-]+)(?:\s+|\s*[=(]\s*)['\"]?(?P<argument>.+?)['\"]?\s*\)?")
"""A target and its argument as other languages write them."""


def brought_target(target: TargetLike) -> TargetLike:
    """A target that an installed package or ``py/package.module:callable`` brings, in place of its name.

    What is brought is a `Target`, its class, a compiled pattern, or a callable that scores an answer. Any other target,
    and any name of whygen's own, is given back as it is.

    Raises:
        UsageError: if it is none of these, or a path that cannot be read.
        MissingError: if there is no such module or attribute, or an installed one cannot be loaded.
    """
    if not isinstance(target, str) or target.partition(":")[0] in OWN:
        return target
    found = plugins.brought(plugins.TARGETS, target, argument="target")
    if found is None:
        return target
    if isinstance(found, re.Pattern | Target) or callable(found):
        return cast("TargetLike", found)
    raise UsageError(
        f"target={target!r} is a {type(found).__name__}: it must be a target, its class, a compiled pattern, or a "
        "callable that scores an answer."
    )


@typed()
def load_target(
    name: TargetLike = "auto",
    *,
    encoder: str | TextEncoder = "auto",
    span: Span | None = None,
    alternative: str | None = None,
    distance: str | None = None,
    labels: Sequence[str] | None = None,
) -> Target:
    """The target that is meant; ``auto`` is optimal transport with the installed encoder, else TF-IDF (METHODS A5).

    Args:
        name: ``auto`` or a key of `TARGETS`, which may carry its argument: ``logprob:snow``, ``contains:snow``,
            ``contrastive:TEXT``, ``json:price``, ``label:yes,no``, ``tool:send_email``, ``tool:send_email.to``,
            ``regex:PATTERN``. Or a compiled pattern, a
            callable that scores an answer (its text, or the `Output` if its parameter is annotated so), or a target;
            ``py/package.module:callable`` for one of these, or a name that an installed package brings
            (entry point group ``whygen.targets``).
        encoder: name or folder of a sentence encoder, or an open one, for the targets that need it.
        span: the part of the output to explain, for ``logprob`` and ``contains``: a text (``snow#2`` for its second
            occurrence), or characters (start, end).
        alternative: for ``contrastive``: the text that the model did not say.
        distance: for ``contrastive``: ``logprob`` (the default) or a distance, for models that only answer.
        labels: for ``label``: the texts that the answer may name.

    Raises:
        UnknownNameError: if there is no such target.
        UsageError: if something is given that the target does not use, or missing that it needs.
    """
    chosen = None if encoder == "auto" else encoder
    many = None if labels is None else tuple(labels)
    wishes = Wishes(encoder=chosen, span=span, alternative=alternative, distance=distance, labels=many)
    name = brought_target(name)
    if isinstance(name, str):
        return _named(name, wishes)
    _refuse_unused(getattr(name, "pattern", type(name).__name__), wishes, frozenset())
    if isinstance(name, re.Pattern):
        return pattern_target(name)
    if isinstance(name, Target):
        return name
    if callable(name):
        return score_target(name)
    raise UsageError(f"target is a {type(name).__name__}: give a name, a compiled pattern, a callable or a target.")


def _named(name: str, wishes: Wishes) -> Target:
    if name == "auto":
        name = "optimal-transport" if wishes.encoder is not None or has_text_encoder() else "tfidf"
    head, colon, argument = name.partition(":")
    if head not in TARGETS:
        raise unknown_target(name)
    kind = TARGETS[head]
    given = wishes
    if colon:
        given = _with_argument(head, kind, wishes, argument)
    _refuse_unused(head, given, kind.takes)
    if given.span is not None:
        check_span(given.span)
    return kind.make(given)


def _with_argument(head: str, kind: Kind, wishes: Wishes, argument: str) -> Wishes:
    if kind.colon is None:
        raise UsageError(f"target='{head}:{argument}': {head!r} takes nothing after a colon. Use target={head!r}.")
    given = getattr(wishes, kind.colon)
    if given is not None:
        raise UsageError(f"target='{head}:{argument}' and {kind.colon}={given!r}: give one of them.")
    return replace(wishes, **{kind.colon: argument})  # pyright: ignore[reportArgumentType] - fields of text alone


def _refuse_unused(name: str, wishes: Wishes, takes: frozenset[str] | set[str]) -> None:
    for field in Wishes.__dataclass_fields__:
        value = getattr(wishes, field)
        if value is None or field in takes:
            continue
        users = [f"{other!r}" for other, kind in TARGETS.items() if field in kind.takes]
        raise UsageError(
            f"{field}={value!r} is given, but target={name!r} uses none. Leave it out, or use {' or '.join(users)}."
        )
