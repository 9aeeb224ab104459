"""Scores written down shard by shard, in the store that recorded answers are in: a run that was killed goes on.

A shard is a question like any other: its key names all that its numbers depend on, and its answer are arrays. So what
holds for answers holds for scores: nothing is asked twice, two processes share, a signal or a deadline ends a run
between two shards, and what cannot be identified is kept for the run alone.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from whygen.anchors.samples import Prepared
from whygen.calls import EndedError, Progress, RunOptions, Silent, Store, make_runner
from whygen.models.latent import Generator
from whygen.stats.seeds import generator
from whygen.types import JsonValue, Limits, Output, Request, canonical_json

PROBED = 8
"""Samples that a model without a digest of its weights is known by."""
Arrays: TypeAlias = dict[str, NDArray[Any]]


class Shard(NamedTuple):
    """A part of the scoring."""

    key: Mapping[str, JsonValue] | None
    """What the numbers depend on, besides the model; None where a part of that cannot be known."""
    compute: Callable[[], Arrays]
    samples: int = 0
    """How many it scores, for progress."""


@dataclass(slots=True)
class _ShardModel:
    """The scoring as a model that is asked for shards, one after another."""

    uri: str
    identity: Mapping[str, JsonValue] | None
    limits: Limits = field(default_factory=lambda: Limits(max_batch=1))
    spelled: bool = False
    """Whether answers hold the numbers: what nobody may find again need not."""
    waiting: dict[str, Shard] = field(default_factory=dict[str, Shard])
    fresh: dict[str, Arrays] = field(default_factory=dict[str, Arrays])
    """What was computed since it was last asked for: it need not be read back from text."""

    def answer(self, requests: Sequence[Request]) -> list[Output]:
        return [self._computed(str(request.prompt)) for request in requests]

    def _computed(self, name: str) -> Output:
        self.fresh[name] = self.waiting[name].compute()
        return Output(text=base64.b64encode(save(_plain(self.fresh[name]))).decode() if self.spelled else "")


class Recorder:
    """Computes shards, or finds them recorded.

    Args:
        uri: of the model.
        identity: what makes the model answer as it does; None where nobody can know.
        store: where shards are looked up and recorded.
        progress: is told how many samples were scored.
        run: the deadline.
        total: samples in all.
    """

    def __init__(
        self,
        uri: str,
        identity: Mapping[str, JsonValue] | None,
        store: Store,
        *,
        progress: Progress | None = None,
        run: RunOptions | None = None,
        total: int = 0,
    ) -> None:
        self.identity = identity
        self._progress = progress or Silent()
        self._progress.begin(total, "samples")
        self._models = {True: _ShardModel(uri, identity), False: _ShardModel(uri, None)}
        only = None if run is None else RunOptions(deadline=run.deadline)
        first = make_runner(self._models[True], store, budget=None, progress=None, options=only)
        self._runners = {True: first, False: first.beside(self._models[False])}
        self._models[True].spelled = first.records
        self._asked = 0
        self.ended: EndedError | KeyboardInterrupt | None = None
        """Why nothing more is computed, if so."""

    @property
    def records(self) -> bool:
        """Whether shards outlive this process."""
        return self._runners[True].records

    def end(self) -> None:
        """Say that nothing more comes."""
        self._progress.end()

    def recorded(self, shards: Sequence[Shard]) -> int:
        """How many samples of these need not be scored any more."""
        known = [shard for shard in shards if shard.key is not None]
        answers = self._runners[True].recall([Request(prompt=_name(shard, 0)) for shard in known])
        return sum(shard.samples for shard, answer in zip(known, answers, strict=True) if answer is not None)

    def run(self, shards: Sequence[Shard]) -> list[Arrays]:
        """The arrays of all shards; of the first ones only, where the run ended before the last.

        Raises:
            ModelError: if the model raises. What was computed before is recorded.
        """
        if not shards:
            return []
        is_named = all(shard.key is not None for shard in shards)
        model, runner = self._models[is_named], self._runners[is_named]
        requests = [Request(prompt=_name(shard, self._asked + place)) for place, shard in enumerate(shards)]
        self._asked += len(shards)
        model.waiting = {str(request.prompt): shard for request, shard in zip(requests, shards, strict=True)}

        def watch(request: Request, answer: object) -> None:
            del answer
            name = str(request.prompt)
            self._progress.advance(model.waiting[name].samples, cached=name not in model.fresh)

        try:
            answers = list(runner.ask(requests, label="Scoring", watch=watch))
        except (EndedError, KeyboardInterrupt) as ended:
            self.ended = ended
            answers = list(runner.recall(requests))
        found: list[Arrays] = []
        for request, answer in zip(requests, answers, strict=True):
            if not isinstance(answer, Output):
                break
            name = str(request.prompt)
            found.append(model.fresh[name] if name in model.fresh else load(base64.b64decode(answer.text)))
        model.waiting, model.fresh = {}, {}
        return found


def identity_of_scores(model: Generator, prepared: Prepared, run: RunOptions | None) -> Mapping[str, JsonValue] | None:
    """What makes the model answer as it does; None where nobody can know, and nothing is recorded.

    Code and a person's word for it say nothing of weights that come from elsewhere. So where no digest of weights is
    known, what the model makes of a few random samples is part of its identity.
    """
    known = model.identity
    if known is None and run is not None and run.name is not None:
        known = {"run": run.name}
    if known is None:
        return None
    about: dict[str, JsonValue] = {"uri": model.uri, "scale": model.scale, **known}
    if "weights" not in known:
        answers = _answers(model, prepared)
        about["answers"] = hashlib.sha256(
            b"".join(np.ascontiguousarray(each).tobytes() for each in answers)
        ).hexdigest()
    return about


def _answers(model: Generator, prepared: Prepared) -> list[NDArray[Any]]:
    """What the model makes of a few random samples, and a few that it generates."""
    low, high = model.value_range if np.isfinite(model.value_range).all() else (-1.0, 1.0)
    drawn = generator(0, "probe").uniform(low, high, size=(PROBED, *prepared.shape)).astype(np.float32)
    found: list[NDArray[Any]] = []
    if model.encode is not None:
        mean, logvar = model.posterior(drawn)
        found += [mean, logvar]
        if model.decode is not None:
            found.append(np.asarray(model.decode(mean), dtype=np.float32))
    elif model.denoiser is None and (model.sampler is not None or model.decode is not None):
        found.append(np.asarray(model.sample(PROBED, generator(0, "probe", "samples")), dtype=np.float32))
    if model.log_prob is not None:
        found.append(np.asarray(model.log_prob(drawn), dtype=np.float64))
    if model.denoiser is not None:
        noise = generator(0, "probe", "noise").standard_normal((1, *prepared.shape), dtype=np.float32)
        ask: Any = model.denoiser.loss
        known: dict[str, Any] = {} if prepared.conditions is None else {"conditions": prepared.conditions[:1]}
        found.append(np.asarray(ask(drawn[:1], model.denoiser.levels[0], noise, **known), dtype=np.float64))
    return found


def _name(shard: Shard, place: int) -> str:
    """What asks for a shard. Without a key it is its place among all of the run."""
    return canonical_json(dict(shard.key)) if shard.key is not None else f"shard {place}"


def _plain(arrays: Arrays) -> Arrays:
    return {name: np.ascontiguousarray(each) for name, each in arrays.items()}


def digest_of(prepared: Prepared, within: slice | None = None) -> str:
    """sha256 of samples as the model takes them: of the raw values, and of how they are converted."""
    raw = prepared.raw if within is None else prepared.raw[within]
    how: tuple[object, ...] = (
        str(raw.dtype), raw.shape, prepared.order, prepared.scale, prepared.offset, prepared.shape,
    )  # fmt: skip
    if prepared.conditions is not None:
        how = (*how, prepared.conditions if within is None else prepared.conditions[within])
    found = hashlib.sha256(repr(how).encode())
    found.update(np.ascontiguousarray(raw).data)
    return found.hexdigest()


def as_bytes(values: Sequence[JsonValue]) -> NDArray[np.uint8]:
    """Labels as an array, which a shard is made of."""
    return np.frombuffer(json.dumps(list(values)).encode(), dtype=np.uint8)


def of_bytes(array: NDArray[np.uint8]) -> list[Any]:
    """The inverse of `as_bytes`."""
    return json.loads(array.tobytes())


def identified(thing: object, run: str | None) -> JsonValue:
    """What makes a criterion, an encoder or a function do what it does, as far as it can be known.

    Returns:
        None where nobody can know: a function may close over anything. The name of a run stands for such things.
    """
    if thing is None:
        return {}
    if (known := getattr(thing, "identity", None)) is not None:
        return dict(known)
    name = getattr(thing, "name", None) or getattr(thing, "__qualname__", type(thing).__name__)
    return None if run is None else {"name": str(name), "run": run}
