"""From a model and samples to criteria, batch by batch: what each criterion needs is asked of the model, and no more.

Where a criterion compares with reconstructions: encode, draw from the posterior, decode, compare.

The random numbers of posterior draw s are one vector, shared by all anchors **and** all reference samples. A score is
then one fixed function of the sample, so scores of exchangeable samples are exchangeable (what conformal p-values
rest on), a permutation of the anchors permutes the answer, and no score depends on its batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whygen._arguments import short
from whygen.anchors.arrays import Criteria
from whygen.anchors.bank import Bank
from whygen.anchors.criteria import RECONSTRUCTION, Batch, Criterion, Scorer, Way
from whygen.anchors.samples import Prepared
from whygen.anchors.ways import settled
from whygen.errors import DataError, NoNumberError, UsageError
from whygen.models.latent import Floats, Generator, answering
from whygen.results.anchors_scores import Scored
from whygen.stats.seeds import generator

NoiseKind: TypeAlias = Literal["mean", "shared", "independent"]
Tick: TypeAlias = Callable[[int], None]
"""Called with the number of samples just done."""
StandIn: TypeAlias = Callable[[slice, Floats], Floats]
"""From the place of a batch and its samples to what stands in for their reconstructions, of the same shape."""
Numbered: TypeAlias = int | NDArray[np.int64]
"""The number of the first sample of a batch, or of each."""
POSTERIOR_MEAN = "posterior mean"
"""What the model gives back without noise, and what is shown: the decoded mean of the posterior, or another way's."""
SKIPPED = 4096
"""So many samples' noise is drawn at once where it is only skipped."""
DRAWS_AT_MOST = 10_000
"""More posterior draws than this make no figure steadier, and take days."""
StandIns: TypeAlias = Mapping[str, Sequence[StandIn]]
"""By name; of several the lowest score counts."""


@dataclass(frozen=True, slots=True)
class DrawNoise:
    """The random numbers of the posterior draws.

    ``shared`` is one vector a draw for all samples; ``independent`` is the paper's, one vector a draw and sample
    (streams are read in the order of the samples, so batches do not matter); ``mean`` draws nothing.
    """

    seed: int
    draws: int
    kind: NoiseKind = "shared"

    def stream(self, *path: str | int) -> DrawStream:
        """The noise for one set of samples; ``path`` names the set, and counts for independent noise only."""
        named = path if self.kind == "independent" else ()
        return DrawStream(self, [generator(self.seed, "posterior", s, *named) for s in range(self.draws)])


class DrawStream:
    """Hands out the noise of the next samples in line."""

    def __init__(self, noise: DrawNoise, generators: Sequence[np.random.Generator]) -> None:
        self._kind = noise.kind
        self._generators = generators
        self._shared: list[Floats] = []
        self.at = 0
        """Samples that noise was handed out for."""

    def skip_to(self, start: int, dim: int) -> None:
        """Leave out the noise of samples that were scored before, up to the one at ``start``."""
        while self._kind == "independent" and self.at < start:
            self.next(min(start - self.at, SKIPPED), dim)
        self.at = start

    def next(self, n: int, dim: int) -> list[Floats]:
        """For each draw an array that broadcasts to ``(n, dim)``."""
        self.at += n
        if self._kind == "mean":
            return [np.zeros((1, dim), np.float32)]
        if self._kind == "independent":
            return [each.standard_normal((n, dim), dtype=np.float32) for each in self._generators]
        if not self._shared:
            self._shared = [each.standard_normal((1, dim), dtype=np.float32) for each in self._generators]
        return self._shared


def noise_for(draws: int | Literal["mean"], *, seed: int, kind: NoiseKind = "shared") -> DrawNoise:
    """The noise of ``draws`` posterior draws, or of none: ``"mean"`` decodes the posterior mean."""
    if draws == "mean":
        return DrawNoise(seed, 1, "mean")
    whole = isinstance(draws, int) and not isinstance(draws, bool)  # pyright: ignore[reportUnnecessaryIsInstance]
    if not whole or not 1 <= draws <= DRAWS_AT_MOST:
        raise UsageError(f"draws is {short(draws)}; give a whole number from 1 to {DRAWS_AT_MOST:,}, or 'mean'.")
    return DrawNoise(seed, draws, kind)


@dataclass(frozen=True, slots=True)
class ModelAsked:
    """Who is asked: the model or its untrained copy, with the samples that it generated to be compared with."""

    model: Generator
    bank: Bank | None = None
    seed: int = 0


def score(
    model: Generator | ModelAsked,
    prepared: Prepared,
    criteria: Sequence[Criterion],
    stream: DrawStream,
    *,
    stand_ins: StandIns | None = None,
    tick: Tick | None = None,
    within: slice | None = None,
    watch: Callable[[slice, Batch, Floats | None], None] | None = None,
) -> Scored:
    """The criteria of every sample under every draw, and of whatever stands in for what the model gives back.

    Args:
        model: who is asked, with its bank where a criterion needs one.
        prepared: the samples.
        criteria: what is measured.
        stream: noise of the posterior draws.
        stand_ins: what stands in for what the model gives back.
        tick: told how many samples were scored.
        within: score these samples alone, as they are scored among all.
        watch: shown each batch: its place, the batch, and what the model gives back without noise (None without
            stand-ins, which need it).

    Raises:
        NoNumberError: if the model returns NaN or an infinite value; the message names the first bad sample.
        DataError: if what it returns has another shape than what it was given.
        UsageError: if the model cannot do what a criterion needs.
    """
    asked = model if isinstance(model, ModelAsked) else ModelAsked(model)
    criteria = settled(criteria, asked.model)
    draws: list[Criteria] = []
    means: list[Floats] = []
    others: dict[str, list[Criteria]] = {name: [] for name in stand_ins or {}}
    for place, samples in prepared.batches(asked.model.batch_size or prepared.batch_size, within):
        batch = _batch(asked, prepared, samples, place.start)
        if within is not None:
            stream.skip_to(place.start, batch.mean.shape[1])
        scorers = [criterion.scorer(batch) for criterion in criteria]
        draws.append(_score_batch(prepared, criteria, scorers, batch, stream))
        means.append(batch.mean)
        made = None
        if stand_ins:
            without_noise = [_given_back(batch, prepared, each.way) for each in criteria]
            made = next((each for each in without_noise if each is not None), samples)
            columns = [scorer(made if own is None else own) for scorer, own in zip(scorers, without_noise, strict=True)]
            others.setdefault(POSTERIOR_MEAN, []).append(np.column_stack(columns))
        for name, some in (stand_ins or {}).items():
            others[name].append(_lowest(scorers, [stand_in(place, samples) for stand_in in some]))
        if watch is not None:
            watch(place, batch, made)
        if tick is not None:
            tick(len(samples))
    stood_in = {name: np.concatenate(parts) for name, parts in others.items()}
    return Scored(np.concatenate(draws, axis=1), np.concatenate(means), stood_in)


LEAST_ANEW = 10
"""So many samples may be drawn anew however few are asked for."""


def finite_samples(
    model: Generator, like: Prepared, n: int, rng: np.random.Generator, first: int
) -> tuple[Floats, int]:
    """``n`` generated samples, and how many were drawn anew since they held NaN or an infinite value.

    The few samples of a flow that overflow say nothing of the others. A model more than half of whose samples are no
    numbers is refused: it has diverged, or its weights are not there. So is a decoder, whose latents are all in order.

    Raises:
        DataError: if samples have another shape, or are not as many as were asked for.
        NoNumberError: if too many samples are no numbers.
    """
    kept, anew, missing = list[Floats](), 0, n
    while missing:
        asked = max(missing, LEAST_ANEW) if kept else missing  # one at a time the first of each call would decide
        some = np.asarray(model.sample(asked, rng), dtype=np.float32)
        if len(some) != asked:
            raise DataError(
                f"sample of {model.uri} gave {len(some)} samples, and {asked} were asked for. If it "
                "has no more than so many, give these themselves: an array, or samples/PATH of a folder."
            )
        good = np.isfinite(some.reshape(asked, -1)).all(axis=1)
        anew += asked - int(good.sum())
        if model.sampler is None or some.shape[1:] != like.shape or anew > max(n // 2, LEAST_ANEW):
            some = checked(some, model, like, "sample", first)
        kept.append(some[good][:missing])
        missing -= len(kept[-1])
    return np.concatenate(kept), anew


class Generation:
    """One round of generated samples, scored in order as the paper calibrates (METHODS B2).

    Its random numbers are one stream, so a run that goes on draws those of what was scored before, and scores it not.
    """

    def __init__(
        self,
        model: Generator | ModelAsked,
        like: Prepared,
        criteria: Sequence[Criterion],
        noise: DrawNoise,
        *,
        round_: int,
    ) -> None:
        self._asked = model if isinstance(model, ModelAsked) else ModelAsked(model)
        self._model = self._asked.model
        self._like = replace(like, what="generated sample", conditions=None)
        self._criteria = settled(criteria, self._model)
        self._rng = generator(noise.seed, "generated", round_)
        self._stream = noise.stream("generated", round_)
        self._at = 0

    def part(self, within: slice, *, tick: Tick | None = None) -> Iterator[Criteria]:
        """The criteria of samples ``within`` the round, which must come after those that were asked for before.

        Yields:
            Averages over the draws, ``(b, c)`` for each batch.
        """
        self._skip_to(within.start)
        while self._at < within.stop:
            start = self._at
            samples = self._sample(min(self._size, within.stop - start))
            batch = _batch(self._asked, self._like, samples, start)
            self._stream.skip_to(start, batch.mean.shape[1])
            scorers = [criterion.scorer(batch) for criterion in self._criteria]
            values = _score_batch(self._like, self._criteria, scorers, batch, self._stream)
            if tick is not None:
                tick(len(samples))
            yield values.mean(axis=0)

    @property
    def _size(self) -> int:
        return self._model.batch_size or self._like.batch_size

    def _sample(self, n: int) -> Floats:
        start, self._at = self._at, self._at + n
        return finite_samples(self._model, self._like, n, self._rng, start)[0]

    def _skip_to(self, start: int) -> None:
        while self._at < start:
            n = min(self._size, start - self._at)
            if self._model.sampler is None and self._model.latent_dim is not None:  # nobody needs to decode these
                self._rng.standard_normal((n, self._model.latent_dim), dtype=np.float32)
                self._at += n
            else:
                self._sample(n)


def give_back(
    model: Generator | ModelAsked, prepared: Prepared, rows: NDArray[np.int64], way: Way = RECONSTRUCTION
) -> tuple[Floats, Floats]:
    """Samples and what the model gives back for them without noise, both in the model's shape."""
    asked = model if isinstance(model, ModelAsked) else ModelAsked(model)
    size = asked.model.batch_size or prepared.batch_size
    parts: list[Floats] = []
    made: list[Floats] = []
    for start in range(0, len(rows), size):
        some = rows[start : start + size]
        parts.append(prepared.rows(some))
        batch = _batch(asked, prepared, parts[-1], some)
        made.append(checked(batch.compared(way), asked.model, prepared, way.method, some))
    if not parts:
        nothing = np.zeros((0, *prepared.shape), np.float32)
        return nothing, nothing
    return np.concatenate(parts), np.concatenate(made)


def _lowest(scorers: Sequence[Scorer], made: Sequence[Floats]) -> Criteria:
    """The lowest score that something in the place of a reconstruction has, ``(b, c)``."""
    return np.min([np.column_stack([scorer(each) for scorer in scorers]) for each in made], axis=0)


def _batch(asked: ModelAsked, prepared: Prepared, samples: Floats, first: Numbered) -> Batch:
    """Samples, with their posterior where the model has one."""
    model = asked.model
    if model.encode is None:
        mean = logvar = np.zeros((len(samples), 0), np.float32)
    else:
        mean, logvar = _encode(model, samples, prepared, first)
    low, high = prepared.value_range
    rows = np.arange(first, first + len(samples)) if isinstance(first, int) else first
    return Batch(
        samples, mean, logvar, prepared.images, high - low, model=model, bank=asked.bank, seed=asked.seed,
        value_range=prepared.value_range, first=first if isinstance(first, int) else int(first[0]), what=prepared.what,
        conditions=prepared.conditions_of(rows),
    )  # fmt: skip


def _given_back(batch: Batch, prepared: Prepared, way: Way | None) -> Floats | None:
    """What the model gives back that way, without noise; None for an intrinsic criterion, which compares nothing."""
    if way is None:
        return None
    return checked(batch.compared(way), batch.asked, prepared, way.method, batch.first)


def _score_batch(
    prepared: Prepared, criteria: Sequence[Criterion], scorers: Sequence[Scorer], batch: Batch, stream: DrawStream
) -> Criteria:
    """The criteria under every draw, ``(S, b, c)``: those that no reconstruction enters have one value in all."""
    draws = stream.next(len(batch.samples), batch.mean.shape[1])
    values = np.empty((len(draws), len(batch.samples), len(scorers)))
    drawn = [c for c, each in enumerate(criteria) if each.way is RECONSTRUCTION]
    for c, (each, scorer) in enumerate(zip(criteria, scorers, strict=True)):
        if c not in drawn:
            made = _given_back(batch, prepared, each.way)
            values[:, :, c] = scorer(batch.samples if made is None else made)
    if not drawn:
        return values
    with np.errstate(over="ignore"):
        spread = np.exp(batch.logvar / 2)
    for s, noise in enumerate(draws):
        with answering(f"decode of {batch.asked.uri}", _about(prepared, batch.samples, batch.first)):
            made = batch.asked.decoded(batch.mean + spread * noise)
        made = checked(made, batch.asked, prepared, "decode", batch.first)
        for c in drawn:
            values[s, :, c] = scorers[c](made)
    return values


def _encode(model: Generator, samples: Floats, prepared: Prepared, first: Numbered) -> tuple[Floats, Floats]:
    with answering(f"encode of {model.uri}", _about(prepared, samples, first)):
        mean, logvar = model.posterior(samples)
    if mean.ndim != 2 or mean.shape != logvar.shape or len(mean) != len(samples):
        raise DataError(
            f"encode of {model.uri} gave a mean of shape {mean.shape} and a log-variance of shape {logvar.shape} for "
            f"{len(samples)} samples; both must be ({len(samples)}, d)."
        )
    _finite(mean, model, prepared, "encode (mean)", first)
    _finite(logvar, model, prepared, "encode (log-variance)", first)
    return mean, logvar


def _about(prepared: Prepared, samples: Floats, first: Numbered) -> str:
    """Which samples a model was asked about, for an error."""
    start = first if isinstance(first, int) else int(first[0])
    several = "" if len(samples) == 1 else f"{len(samples)} samples from "
    return f" for {several}{prepared.what} {start}{' on' if several else ''}"


def checked(made: Floats, model: Generator, prepared: Prepared, method: str, first: Numbered) -> Floats:
    """What the model made as float32, of the shape of the samples and finite.

    Raises:
        DataError: if it has another shape.
        NoNumberError: if a value is NaN or infinite.
    """
    values, shape = np.asarray(made, dtype=np.float32), prepared.shape
    if values.shape[1:] != shape:
        raise DataError(
            f"{method} of {model.uri} gave samples of shape {values.shape[1:]}, and it was given samples of shape "
            f"{shape}. Give anchors of the size that the model makes."
        )
    _finite(values, model, prepared, method, first)
    return values


_CAUSE = "Look at that sample and at the model in evaluation mode; a log-variance that overflows is the usual cause."
_CAUSES = {"sample": "Look at what the model generates in evaluation mode, and whether its weights were loaded."}


def _finite(values: Floats, model: Generator, prepared: Prepared, method: str, first: Numbered) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()):  # one pass for the usual case: a sum hides no NaN and no infinity
            return
    wrong = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))
    if wrong.size == 0:  # finite values whose sum is not
        return
    rows = (first + wrong if isinstance(first, int) else np.asarray(first)[wrong]).tolist()
    raise NoNumberError(
        f"{method} of {model.uri} gave NaN or an infinite value for {prepared.what} {rows[0]}. "
        f"{_CAUSES.get(method, _CAUSE)}",
        what=prepared.what, rows=rows,
    )  # fmt: skip
