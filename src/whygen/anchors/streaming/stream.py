"""`stream_anchors`: an explanation by more anchors than fit in memory.

Some of the anchors, evenly spaced, are explained in memory: their explanation has the thresholds, and whatever shares
are read against. Then every anchor is scored and put in its group by these thresholds, shard by shard, and
representatives are picked in passes over all of them. Memory holds one shard and a few numbers, however many there are.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from whygen._arguments import declared, typed
from whygen.anchors.calibrating import calibrate
from whygen.anchors.copies import may_coincide
from whygen.anchors.explain import opened_work, shown_of
from whygen.anchors.groups import GroupShare
from whygen.anchors.options import AnchorArguments, AnchorChoices
from whygen.anchors.reading import Phases, read_scores
from whygen.anchors.recording import Recorder, identified
from whygen.anchors.representing import settled_space
from whygen.anchors.scores import score_samples
from whygen.anchors.scoring import ModelAsked
from whygen.anchors.streaming.picking import Picked, Picking
from whygen.anchors.streaming.scored import VERSION, Arrays, ScoredShards, Scorer, digest_of_raw, require_alike
from whygen.anchors.streaming.sources import RawShard, damaged, read_shard, shards_of
from whygen.anchors.streaming.verdicts import StreamedGroups, judge
from whygen.anchors.work import Work
from whygen.calls import DEFAULT_STORE, Progress, RunOptions, Silent, open_store
from whygen.errors import DataError, StoreError, UnknownNameError, UsageError
from whygen.files import replaced
from whygen.models.protocols import ModelOptions
from whygen.results.anchors import AnchorExplanation, group_names
from whygen.results.anchors_scores import Scores
from whygen.results.files import make_folder
from whygen.results.prompt import Warned
from whygen.texts import counted
from whygen.version import __version__

HEAD = 2_000
"""Anchors that are explained in memory: evenly spaced among all where these can be read again, else the first."""
RESULT = "stream.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorStream:
    """What was found of all anchors.

    Attributes:
        model: its URI.
        n: anchors.
        shards: in so many shards.
        left_out: shards that were damaged, and why.
        criteria: what was measured.
        thresholds: by criterion.
        groups: what each group holds, with intervals.
        mean_flip_rate: share of the anchors that another run puts in another group.
        picked: representatives of each group that has members.
        space: where distances were measured.
        seconds: of each phase.
        warnings: what is to be said.
        sample: the explanation, in memory, of some of the anchors: the controls are there.
        folder: files of one number an anchor (``groups.npy``, ``flips.npy``, ``distinct.npy``) and of scores.
    """

    model: str
    n: int
    shards: int
    left_out: Mapping[str, str]
    criteria: tuple[str, ...]
    thresholds: Mapping[str, float]
    groups: tuple[GroupShare, ...]
    mean_flip_rate: float
    picked: Mapping[str, Picked]
    space: str
    seconds: Mapping[str, float]
    warnings: tuple[Warned, ...]
    sample: AnchorExplanation = field(repr=False)
    folder: Path

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; the explanation of the sample is a folder of its own."""
        own = {name: getattr(self, name) for name in ("model", "n", "shards", "mean_flip_rate", "space")}
        return {
            "schema": 1,
            "whygen": __version__,
            **own,
            "left_out": dict(self.left_out),
            "criteria": list(self.criteria),
            "thresholds": dict(self.thresholds),
            "groups": {each.group: asdict(each) for each in self.groups},
            "picked": {name: _picked_json(each) for name, each in self.picked.items()},
            "seconds": {name: round(each, 3) for name, each in self.seconds.items()},
            "warnings": [{"code": each.code, "text": each.text} for each in self.warnings],
            "sample": {"n": self.sample.n_anchors},
        }


def _picked_json(picked: Picked) -> dict[str, Any]:
    """Radii without the first, which is infinite."""
    radii = None if picked.radii is None else [None if math.isinf(each) else each for each in picked.radii]
    return {**asdict(picked), "rows": list(picked.rows), "radii": radii}


@typed("anchors", "folder", options=AnchorArguments)
def stream_anchors(
    model: str | object,
    anchors: object,
    folder: Path | str,
    *,
    selecting: Literal["passes", "candidates"] = "passes",
    damaged: Literal["stop", "skip"] = "stop",
    cache: Path | str | None = DEFAULT_STORE,
    options: ModelOptions | None = None,
    progress: Progress | None = None,
    run: RunOptions | None = None,
    **choices: Any,
) -> AnchorStream:
    """What `explain_anchors` says of groups and representatives, of anchors that do not fit in memory.

    Args:
        model: as in `explain_anchors`.
        anchors: a ``.npy`` file, an array (also a memory map), a folder of ``.npy``, ``.npz`` or ``.safetensors`` files
            (in the order of their names), or an iterable of samples or of batches. Labels are not read.
        folder: where scores and verdicts are written, about 16 bytes for each anchor, criterion and draw of the
            posterior. The same call again goes on from the shards that are there; of a model or a criterion that nobody
            can identify, if ``run`` has a name.
        selecting: in ``passes`` over all points, one a pick, or by ``candidates`` of each shard, in one pass.
        damaged: what to do about a shard that cannot be read: ``stop``, or ``skip`` it and say so.
        cache: as in `explain_anchors`, for the sample that is explained in memory.
        options: how the model is opened, and where it runs.
        progress: is told how many samples were scored.
        run: as in `explain_anchors`.
        **choices: as in `explain_anchors`, but for ``labels``, ``roles`` and ``trained``, which are of single anchors.

    Raises:
        DataError: if a shard is damaged, holds NaN, or does not fit the model; the message names it.
        StoreError: if the folder cannot be written; shards that are there stay.
        UsageError: if an argument cannot work, or needs all anchors at once.
    """
    given = _given({**choices, "options": options, "run": run})
    if options is not None and options.executor == "vllm":
        raise UsageError("executor='vllm' answers prompts. Anchors are scored by executor='ray', or here.")
    given["options"] = None if options is None else options.here
    for name, value, known in (
        ("selecting", selecting, ("passes", "candidates")),
        ("damaged", damaged, ("stop", "skip")),
    ):
        if value not in known:
            raise UnknownNameError(name, value, known)
    place = make_folder(Path(folder), by="folder=")
    clock, shown = Phases(), progress or Silent()
    source, name = shards_of(anchors)
    with clock.phase("sample"):
        head, shards = _head(source, skip=damaged == "skip")
        work, identity = opened_work(model, head, given)
        _require_streamed(work)
        with open_store(cache) as store:
            uri = work.subject.model.uri
            scores, asked = score_samples(work, Recorder(uri, identity, store, run=given["run"], total=work.cost()))
        sample = read_scores(scores, work.plan, partial(shown_of, work, asked), clock=Phases())
    if sample.ended is not None:
        raise UsageError(
            "The run ended before the first anchors were explained. Give it more time; its scores are kept."
        )
    going = _StreamRun(work, asked, scores, place, identity, given, stop=damaged == "stop")
    with clock.phase("criteria"):
        if options is not None and options.executor == "ray":
            going.score_on_ray(list(shards), model, head, options, shown)
        else:
            going.score(shards, shown)
    return going.result(sample, name, selecting, clock)


def _given(choices: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: each.default for name, each in _parameters().items() if name not in declared(AnchorChoices)}
    for name in choices:
        if name not in _parameters():
            raise UnknownNameError("argument of stream_anchors", name, _parameters())
    for name in ("labels", "roles", "trained", "twins", "baseline"):
        if choices.get(name) is not None:
            raise UsageError(f"{name}= is of single anchors, and a stream has none: explain fewer anchors in memory.")
    return {**known, **choices}


def _parameters() -> Mapping[str, Any]:
    import inspect

    return inspect.signature(AnchorArguments).parameters


def _head(source: Iterator[RawShard], *, skip: bool) -> tuple[NDArray[Any], Iterator[RawShard]]:
    """Samples to explain in memory, and the shards, of which those that cannot be read again are held."""
    first = next(source, None)
    if first is None:
        raise DataError("There are no anchors.")
    if first.stays:
        shards = [first, *source]
        return _evenly(shards, skip=skip), iter(shards)
    held: list[RawShard] = []
    parts: list[NDArray[Any]] = []
    for shard in itertools.chain([first], source):
        raw = read_shard(shard)
        held.append(replace(shard, read=lambda raw=raw: raw))
        parts.append(raw)
        if sum(map(len, parts)) >= HEAD:
            break
    return np.concatenate(parts)[:HEAD], itertools.chain(held, source)


def _evenly(shards: Sequence[RawShard], *, skip: bool) -> NDArray[Any]:
    """`HEAD` samples, from all shards as many as each has of all."""
    total = sum(shard.rows or 0 for shard in shards)
    step = max(1.0, total / HEAD)
    parts: list[NDArray[Any]] = []
    at = 0.0
    for shard in shards:
        if shard.rows is None and total:
            continue
        try:
            raw = read_shard(shard)
            require_alike(raw.shape[1:], parts[0].shape[1:] if parts else None)
        except DataError as error:
            if not skip:
                raise error if shard.name in str(error) else damaged(shard, error) from error
            continue
        if shard.rows is None:
            parts.append(np.asarray(raw[: max(1, HEAD // len(shards))]))
            continue
        wanted = np.unique(np.arange(at, len(raw), step).astype(np.int64))
        parts.append(np.array(raw[wanted]))
        at = (at - len(raw)) % step if len(raw) else at
    if not parts:
        raise DataError("No shard can be read.")
    return np.concatenate(parts)[:HEAD]


def _require_streamed(work: Work) -> None:
    """Refuse what needs all anchors at once.

    Raises:
        UsageError: naming it.
    """
    plan = work.plan
    if plan.space == "criteria":
        raise UsageError("space='criteria' is scaled by all anchors. Give space='pixels', 'latent' or 'features'.")
    if plan.loader != "as-is" or work.classifier is not None or plan.condition != "none":
        raise UsageError("A stream of anchors takes no classifier, no condition and no saturating loader.")
    if plan.multiplicity != "none":
        raise UsageError(f"multiplicity={plan.multiplicity!r} looks at all anchors at once. Leave it out.")


class _StreamRun:
    """All shards of one stream."""

    def __init__(
        self, work: Work, asked: ModelAsked, scores: Scores, folder: Path, identity: Mapping[str, Any] | None,
        given: Mapping[str, Any], *, stop: bool,
    ) -> None:  # fmt: skip
        self._work, self._asked, self._scores, self._folder, self._stop = work, asked, scores, folder, stop
        self._space = settled_space(
            work.plan.space, work.subject.anchors.shape, has_features=work.encoder is not None,
            has_latent=work.subject.model.encode is not None,
        )  # fmt: skip
        self._scorer = Scorer(asked, work, given["layout"], self._space, spools=True)
        self._given = given
        self._scored = ScoredShards(folder, self._key(identity))
        self._raw: list[RawShard] = []
        self._coincide = True
        self._first: tuple[int, ...] | None = None
        self._levels: list[tuple[float, float]] = []
        self.left_out: dict[str, str] = {}

    def _key(self, identity: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """What all scores depend on, beside the samples; None where nobody can know."""
        work = self._work
        about = [identified(each, work.run_name) for each in work.chosen.criteria]
        encoder = identified(work.encoder if self._space == "features" else None, work.run_name)
        if identity is None or encoder is None or None in about:
            return None
        bank = None if self._asked.bank is None else hashlib.sha256(self._asked.bank.samples.tobytes()).hexdigest()
        return json.loads(
            json.dumps(
                {"version": VERSION, "model": dict(identity), "criteria": about, "encoder": encoder, "bank": bank,
                 "seed": work.seed, "draws": work.noise.draws, "noise": work.noise.kind, "space": self._space},
                default=str,
            )
        )  # fmt: skip

    # --- scoring ------------------------------------------------------------------------------------------------------

    def score(self, shards: Iterator[RawShard], progress: Progress) -> None:
        """Score all shards, those that are there already excepted.

        Raises:
            DataError: if a shard cannot be used, and shards are not to be skipped.
        """
        shards, known = self._counted(shards)
        self._scorer = replace(self._scorer, spools=not all(each.stays for each in known))
        progress.begin(sum(each.rows or 0 for each in known), "samples")
        try:
            for number, shard in enumerate(shards):
                self._one(number, shard, progress)
        finally:
            progress.end()
        if not len(self._scored):
            raise DataError("No shard could be used. Look at what was left out: " + "; ".join(self.left_out.values()))

    def score_on_ray(
        self, shards: list[RawShard], model: object, head: NDArray[Any], options: ModelOptions, progress: Progress
    ) -> None:
        """The same on a cluster: shards come back in any order, and are counted in theirs."""
        from whygen.anchors.streaming.cluster import Place, ScoringRecipe, require_files, scored_on_ray

        require_files([each.place for each in shards], self._work.noise.kind)
        self._scorer = replace(self._scorer, spools=False)
        starts = np.cumsum([0, *(each.rows or 0 for each in shards)]).tolist()
        places = [
            Place(number, *each.place, first=starts[number])
            for number, each in enumerate(shards)
            if each.place is not None and not self._is_there(number, each)
        ]
        recipe = ScoringRecipe(model, head, self._given, self._asked.bank, self._space)
        progress.begin(sum(each.rows or 0 for each in shards), "samples")
        try:
            for number, found, digest in scored_on_ray(recipe, places, options) if places else ():
                if isinstance(found, dict):
                    self._scored.write(number, found, digest)
                    progress.advance(shards[number].rows or 0, cached=False)
                elif self._stop:
                    raise damaged(shards[number], found.error())
        finally:
            progress.end()
        self.score(iter(shards), Silent())

    def _is_there(self, number: int, shard: RawShard) -> bool:
        """Whether its scores are; one that cannot be read is for a worker to say."""
        try:
            return self._scored.known(number, digest_of_raw(read_shard(shard)))
        except DataError:
            return False

    def _counted(self, shards: Iterator[RawShard]) -> tuple[Iterator[RawShard], list[RawShard]]:
        first = next(shards)
        if not first.stays:
            return itertools.chain([first], shards), [first]
        known = [first, *shards]
        return iter(known), known

    def _one(self, number: int, shard: RawShard, progress: Progress) -> None:
        try:
            raw = read_shard(shard)
            digest = digest_of_raw(raw)
            is_known = self._scored.known(number, digest)
            if not is_known:
                self._scored.write(number, self._computed(shard, raw), digest)
        except DataError as error:
            if self._stop:
                raise
            self.left_out[shard.name] = str(error)
            return
        self._notice(raw)
        self._scored.add(number)
        self._raw.append(shard if shard.stays else replace(shard, read=_gone))
        progress.advance(len(raw), cached=is_known)

    def _computed(self, shard: RawShard, raw: NDArray[Any]) -> Arrays:
        start = sum(self._scored.rows(place) for place in range(len(self._scored)))
        try:
            require_alike(raw.shape[1:], self._first)
            return self._scorer.score(raw, start)
        except DataError as error:
            raise damaged(shard, error) from error

    def _notice(self, raw: NDArray[Any]) -> None:
        """Whether equal samples may be different ones: only if that is so of every shard."""
        self._first = raw.shape[1:]
        self._coincide = self._coincide and may_coincide(self._scorer.prepared(raw))

    # --- reading ------------------------------------------------------------------------------------------------------

    def result(
        self, sample: AnchorExplanation, source: str, by: Literal["passes", "candidates"], clock: Phases
    ) -> AnchorStream:
        """Verdicts and representatives, written down."""
        work, plan, scored = self._work, self._work.plan, self._scored
        calibration = calibrate(work.kind, plan, self._scores, self._scores.scored("reference"))
        kinds = work.chosen.kinds
        with clock.phase("groups"):
            groups = judge(
                scored, calibration, kinds, seed=work.seed, replicates=plan.replicates, count_copies=self._coincide,
                folder=self._folder,
            )  # fmt: skip
        with clock.phase("selection"):
            picked, told = self._picking(groups, kinds, by).run()
        copies = sum(int((~each).sum()) for each in groups.distinct)
        found = AnchorStream(
            model=sample.model, n=sum(map(len, groups.codes)), shards=len(scored), left_out=self.left_out,
            criteria=work.chosen.names, thresholds=dict(sample.thresholds), groups=groups.shares,
            mean_flip_rate=groups.mean_flip_rate, picked=picked, space=self._space, seconds=clock.seconds,
            warnings=(*self._said(copies, source), *told), sample=sample, folder=self._folder,
        )  # fmt: skip
        try:
            with replaced(self._folder / RESULT) as file:
                json.dump(found.to_dict(), file, allow_nan=False)
        except OSError as error:
            raise StoreError(f"{str(self._folder / RESULT)!r} cannot be written ({error.strerror}).") from error
        return found

    def _picking(self, groups: StreamedGroups, kinds: Sequence[Any], by: Literal["passes", "candidates"]) -> Picking:
        scored = self._scored
        inside = scored.holds_points()
        opens: list[Callable[[], NDArray[Any]]] = [
            partial(scored.array, place, "points") if inside else partial(self._points, shard)
            for place, shard in enumerate(self._raw)
        ]
        return Picking(
            self._work.plan, groups, group_names(kinds), opens,
            lambda place: np.asarray(scored.array(place, "draws")).mean(axis=0), self._work.seed, self._folder, by,
        )  # fmt: skip

    def _points(self, shard: RawShard) -> NDArray[Any]:
        """The samples of a shard as points; the file itself, where it holds them as the model takes them."""
        raw = read_shard(shard)
        if (
            raw.dtype == np.float32
            and self._work.subject.anchors.scale == 1.0
            and self._work.subject.anchors.offset == 0.0
        ):
            return raw.reshape(len(raw), -1)
        prepared = self._scorer.prepared(raw)
        return prepared.rows(slice(None)).reshape(len(prepared), -1)

    def _said(self, copies: int, source: str) -> Iterator[Warned]:
        if self.left_out:
            names = "; ".join(itertools.islice(self.left_out.values(), 3))
            yield Warned(
                code="skipped-shards", text=f"{counted(len(self.left_out), 'shard')} of {source} left out: {names}"
            )
        if copies:
            yield Warned(
                code="duplicate-anchors",
                text=f"Copies of earlier anchors: {copies:,}. Each distinct one is counted once.",
            )


def _gone() -> NDArray[Any]:
    raise DataError("these samples came once, and are gone")
