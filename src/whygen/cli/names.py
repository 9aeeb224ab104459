"""The names that options take: what `whygen list` shows of each, and what a shell completes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from whygen import plugins


@dataclass(frozen=True, slots=True)
class Names:
    """A kind of names.

    Attributes:
        own: whygen's own, each with what it is; nothing is imported for them before they are asked for.
        option: the option that takes them.
    """

    own: Callable[[], Mapping[str, str]]
    option: str


def _targets() -> Mapping[str, str]:
    from whygen.prompt.targets import OWN

    return {name: _TARGETS[name] for name in OWN}


def _criteria() -> Mapping[str, str]:
    from whygen.anchors.choosing import CRITERIA

    return {name: _CRITERIA[name] for name in ("auto", *CRITERIA)}


def _encoders() -> Mapping[str, str]:
    from whygen.encoders import OWN

    return {name: _ENCODERS[name] for name in OWN}


def _units() -> Mapping[str, str]:
    from whygen.prompt.units import UNIT_KINDS

    return UNIT_KINDS


def _declared(option: str, words: Mapping[str, str]) -> Mapping[str, str]:
    """The names that an option of a prompt declares."""
    from whygen._arguments import declared, names_of
    from whygen.prompt.options import PromptOptions

    return {name: words[name] for name in names_of(declared(PromptOptions)[option].hint)}


_TARGETS: Final[Mapping[str, str]] = {
    "auto": "the best that the answers and what is installed allow",
    "optimal-transport": "how far the words of the answer are from those of the reference, by meaning",
    "cosine": "how far the answer is from the reference, by one vector each",
    "tfidf": "which words both share, rare ones more",
    "token-set": "which words both share",
    "edit": "how many letters would have to be changed",
    "exact": "whether the answer is the same, letter by letter",
    "logprob": "how likely the model finds what it said; logprob:SPAN a part of it",
    "contains": "contains:SPAN: whether the answer still holds this text",
    "contrastive": "contrastive:TEXT: what it said rather than this text",
    "json": "json:FIELD: whether a field of a JSON answer stays what it was",
    "label": "label:A,B: which of these labels the answer names",
    "tool": "which tools are called; tool:NAME, tool:NAME.ARGUMENT",
    "refusal": "whether the answer is a refusal",
    "regex": "regex:PATTERN: whether the answer matches",
    "sinkhorn": "optimal transport, smoothed: for pictures with many patches",
    "energy": "energy distance between the patches of two pictures",
    "euclidean": "distance between one vector of each picture",
    "pixel": "difference of two pictures, pixel by pixel",
    "coordinate-wasserstein": "the distance of the published method for pictures",
    "in-time": "difference of two sounds or videos, moment by moment",
    "consistency": "how much a video changes from frame to frame",
}

_OPERATORS: Final[Mapping[str, str]] = {
    "delete": "the unit is left out",
    "placeholder": "a given text stands for it (--placeholder)",
    "synonym": "another word of its kind stands for it; works offline",
    "neutral": "a model fills the gap (--infill MODEL)",
    "paraphrase": "a model says it in other words (--paraphraser MODEL)",
    "noise": "its embeddings get noise; of a local model",
}

_ESTIMANDS: Final[Mapping[str, str]] = {
    "banzhaf": "what a unit does on average, the others kept or not by a coin: for most questions",
    "shapley": "on average over all orders; the values add up to what the whole prompt does",
    "local": "near the whole prompt, as the published method does",
    "loo": "what is lost if only this unit goes: few calls, blind to what is said twice",
}

_CRITERIA: Final[Mapping[str, str]] = {
    "auto": "what suits the model and the samples",
    "kld": "how far the posterior of a sample is from the prior",
    "sse": "error of the reconstruction, summed over pixels",
    "mse": "error of the reconstruction, a pixel",
    "dssim": "how unlike the reconstruction looks (structural similarity)",
    "nll": "how unlikely the model finds the sample",
    "nll-complexity": "the same, less what its complexity explains",
    "inversion": "how near the generator comes to the sample, if it searches",
    "denoising-loss": "how badly the model removes noise from the sample",
    "iw-elbo": "a tight bound on how likely a VAE finds the sample",
    "feature-l2": "error of the reconstruction, in features of an encoder",
    "fid-pair": "its square: the Frechet distance of two single pictures",
    "realism": "how far inside of what the model makes the sample lies",
    "nearest-sample": "distance to the nearest sample that the model made",
    "redenoised": "how far the sample is from what comes back after noise was added and removed",
    "round-trip": "how far it is from what comes back after it was taken to noise",
}

_ENCODERS: Final[Mapping[str, str]] = {
    "auto": "the best that is installed",
    "sentence-transformers/all-MiniLM-L6-v2": "texts; comes with whygen[encoder], offline",
    "patches": "pictures, by their pixels",
    "colour": "pictures, by their colours",
    "dinov2": "pictures, by what they show (a download)",
    "clip": "pictures, by what they show (a download)",
    "log-mel": "sounds, by their spectrum",
    "frame-colours": "videos, by the colours of their frames",
}

KINDS: Final[Mapping[str, Names]] = {
    "targets": Names(_targets, "target"),
    "units": Names(_units, "units"),
    "operators": Names(partial(_declared, "operator", _OPERATORS), "operator"),
    "estimands": Names(partial(_declared, "estimand", _ESTIMANDS), "estimand"),
    "criteria": Names(_criteria, "criteria"),
    "encoders": Names(_encoders, "encoder"),
}
"""What can be listed."""


def rows(kind: str) -> Iterator[tuple[str, str, str]]:
    """Names of a kind, who brings each, and what each of whygen's own is."""
    own = KINDS[kind].own()
    yield from ((name, "whygen", says) for name, says in own.items())
    others = plugins.entries(f"whygen.{kind}", own)
    yield from ((name, each.package or each.value, "") for name, each in others.items())


def completing(option: str, allowed: Iterable[str] = ()) -> Callable[[str], list[tuple[str, str]]] | None:
    """What a shell asks for the values of an option; None where nothing is known of them.

    Args:
        option: its name.
        allowed: the names that its type allows, where they are not of a listed kind.
    """
    kind = next((kind for kind, names in KINDS.items() if names.option == option), None)
    names = [(name, "") for name in allowed]
    if kind is None and not names:
        return None

    def complete(incomplete: str) -> list[tuple[str, str]]:
        offered = names if kind is None else [(name, says or whose) for name, whose, says in rows(kind)]
        before, comma, begun = incomplete.rpartition(",")  # of a list, the last one
        return [(f"{before}{comma}{name}", says) for name, says in offered if name.startswith(begun)]

    return complete


def complete_kind(incomplete: str) -> list[str]:
    """What can be listed."""
    return [kind for kind in KINDS if kind.startswith(incomplete)]


def complete_model(incomplete: str) -> list[tuple[str, str]]:
    """URIs of models: the names that a provider knows, models whose price is known, else the provider alone.

    Nothing is asked of a server, and no model is opened.
    """
    from whygen.models import providers
    from whygen.models.prices import LISTED
    from whygen.models.registry import known_names

    found: list[tuple[str, str]] = []
    for name, provider in providers().items():
        known = [f"{name}/{each}" for each in known_names(provider)]
        uris = known or [uri for uri in LISTED if uri.startswith(f"{name}/")] or [f"{name}/"]
        found += [(uri, provider.summary) for uri in uris]
    return [(uri, says) for uri, says in found if uri.startswith(incomplete)]
