"""Everything that takes the model's time, shard by shard. What comes of it is `Scores`; the rest is read from them.

What a reader needs of the samples themselves (their compressed sizes, their neighbours, their places in the space of
distances) is measured here too, so that a saved explanation can be read without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from whygen.anchors.arrays import finite_criteria
from whygen.anchors.bank import Bank, survey_bank
from whygen.anchors.criteria import Batch
from whygen.anchors.diagnostics import coverage
from whygen.anchors.facts import ends_of, facts_of, picture_factor, raw_of
from whygen.anchors.features import features
from whygen.anchors.foils import (
    MOST_COMPARED,
    Base,
    Foil,
    base_of,
    foils_each,
    make_foils,
    reconstructions,
    sizes,
    stand_ins,
)
from whygen.anchors.likeness import own_neighbours
from whygen.anchors.recording import Arrays, Recorder, Shard, as_bytes, digest_of, identified, of_bytes
from whygen.anchors.representing import settled_space
from whygen.anchors.samples import Prepared
from whygen.anchors.scoring import (
    DrawStream,
    Generation,
    ModelAsked,
    StandIns,
    finite_samples,
    give_back,
    score,
)
from whygen.anchors.sets import made_modes, measured_sets
from whygen.anchors.work import YARDSTICK_ROUNDS, AnchorForecast, Work, new_weights
from whygen.calls import EndedError
from whygen.errors import DataError, UsageError
from whygen.models.latent import Floats
from whygen.plugins import said_of
from whygen.results.anchors_pictures import shrunk
from whygen.results.anchors_scores import BaseRecord, Scores
from whygen.stats.seeds import generator
from whygen.types import JsonValue

VERSION = 1
"""Part of every key: raised when the same question is answered with other numbers than before."""
NEIGHBOURS = 5
NO_MODULE = (
    "an untrained copy cannot be had: the model is no torch module. Give Generator(untrained=...), a callable from a "
    "seed to a Generator with new weights"
)


def foresee(work: Work, recorder: Recorder) -> AnchorForecast:
    """Count what `score_samples` would score; nothing is."""
    total = work.cost()
    left = max(0, total - recorder.recorded(_Scoring(work, recorder).shards()))
    means = 1 if work.wants("trivial") else 0
    can = work.subject.model.abilities
    return AnchorForecast(
        samples=total, recorded=total - left, encoded=left if "posterior" in can else 0,
        decoded=left * (work.noise.draws + means) if "reconstruction" in can else 0,
        generated=work.bank_size if work.banked and work.generates else 0,
    )  # fmt: skip


def score_samples(work: Work, recorder: Recorder) -> tuple[Scores, ModelAsked]:
    """The criteria of all that is to be scored; of fewer anchors, and without controls, where the run ended early.

    Returns:
        The scores, and who was asked, with the samples that it generated.

    Raises:
        EndedError: if a deadline ended the run before the reference and some anchors were scored.
        KeyboardInterrupt: if a signal did.
        ModelError: if the model raises, or returns NaN or an infinite value.
    """
    try:
        scoring = _Scoring(work, recorder)
        return scoring.run(), scoring.own
    finally:
        recorder.end()


class _Scoring:
    """One run, and what was scored so far, by name."""

    def __init__(self, work: Work, recorder: Recorder) -> None:
        self._work = work
        self._given = len(work.subject.anchors)
        self._recorder = recorder
        self._arrays: Arrays = {}
        self._bases: dict[str, BaseRecord] = {}
        self._missing: dict[str, str] = {}
        self._more: dict[str, Any] = {}
        self.own = work.asked(None)
        self._features = (
            settled_space(
                work.plan.space,
                work.subject.anchors.shape,
                has_features=work.encoder is not None,
                has_latent=work.subject.model.encode is not None,
            )
            == "features"
        )
        self._ends = ends_of(work.base)
        self._about = self._common()

    def run(self) -> Scores:
        """In the order of need: without the reference there is no threshold, without anchors no explanation."""
        self._procedure(self._work, "own")
        for control in (self._metrics, self._modes, self._foils, self._yardstick, self._read, self._copy):
            if self._recorder.ended is None:
                control()
        facts = facts_of(self._work, self._recorder, self._said(), self._bases, self._missing).model_copy(
            update=self._more
        )
        return Scores(facts, {**self._arrays, **self._neighbours(), **raw_of(self._work.subject)})

    # --- a model and its samples -------------------------------------------------------------------------------------

    def _procedure(self, work: Work, which: Literal["own", "copy"]) -> None:
        """Reference, generated samples and anchors: what a calibration, and verdicts by it, rest on."""
        asked = self._asked(work, which)
        base = self._base(work, which, asked)
        within = "" if which == "own" else "copy/"
        if work.subject.reference is not None:
            done = self._set(work, f"{within}reference", work.subject.reference, base, asked)
            self._require(done == len(work.subject.reference))
        if work.rounds:
            self._require(self._rounds(work, f"{within}rounds", work.rounds, work.plan.per_round, asked))
        done = self._set(work, f"{within}anchors", work.subject.anchors, base, asked)
        self._require(done == len(work.subject.anchors) or (which == "own" and done > 0))
        if which == "own" and done < len(work.subject.anchors):
            self._work = replace(work, subject=work.subject.first(done))

    def _require(self, is_done: bool) -> None:
        if not is_done:
            ended = self._recorder.ended
            assert ended is not None  # noqa: S101 - what else left something out?
            if isinstance(ended, EndedError):
                text = "The deadline of this run is over, before the reference and the first anchors were scored."
                raise EndedError(f"{text}{self._kept()}", reason=ended.reason) from None
            raise ended

    def _asked(self, work: Work, which: Literal["own", "copy"]) -> ModelAsked:
        """Who is asked, with the samples that it generates to be compared with, where a criterion compares any."""
        if not work.banked:
            return work.asked(None)
        held, anew = work.subject.generated, 0
        if held is not None:
            rows = np.sort(generator(work.seed, "bank").permutation(len(held))[: work.bank_size])
            bank = Bank(held.rows(rows))
        else:
            shards = self._shards_of_bank(work, which)
            parts = self._recorder.run(shards)
            self._require(len(parts) == len(shards))
            latents = np.concatenate([part["latents"] for part in parts]) if "latents" in parts[0] else None
            bank = Bank(np.concatenate([part["samples"] for part in parts]), latents)
            anew = sum(int(part["anew"][0]) for part in parts if "anew" in part)
        if which == "own":
            known = work.base.rows(np.arange(min(len(work.base), MOST_COMPARED)))
            surveyed = survey_bank(bank, known, generator(work.seed, "survey"))
            self._more["generated"] = surveyed.model_copy(update={"anew": anew})
            self.own = work.asked(bank)
        return work.asked(bank)

    def _shards_of_bank(self, work: Work, which: Literal["own", "copy"]) -> list[Shard]:
        like = work.subject.anchors
        shards: list[Shard] = []
        for start in range(0, work.bank_size, like.batch_size):
            n = min(like.batch_size, work.bank_size - start)
            compute = partial(work.drawn, start, n)
            shards.append(Shard(self._key(work, f"bank/{which}", start=start, n=n), compute, n))
        return shards

    def _base(self, work: Work, which: Literal["own", "copy"], asked: ModelAsked) -> Base | None:
        """What trivial reconstructions are made of; None where they are not wanted."""
        if not work.wants("trivial") or work.way is None:
            return None
        prepared, way = work.base, work.way

        def compute() -> Arrays:
            typical, others = reconstructions(asked, prepared, generator(work.seed, "base"), way)
            return {"typical": typical, "others": others}

        found = self._recorder.run([Shard(self._key(work, which, base=digest_of(prepared)), compute)])
        self._require(len(found) == 1)
        base = base_of(
            prepared, (found[0]["typical"], found[0]["others"]), generator(work.seed, "base"),
            is_reference=work.subject.reference is not None,
        )  # fmt: skip
        self._bases[which] = BaseRecord(known=len(base.known), others=len(base.others), is_reference=base.is_reference)
        return base

    def shards(self) -> list[Shard]:
        """All that the model itself scores, and what its untrained copy does; the base is left out."""
        work, copy = self._work, self._work.of_copy(self._work.subject.model) if self._copies else None
        found: list[Shard] = []
        for each, within in ((work, ""), (copy, "copy/")):
            if each is None:
                continue
            subject, asked = each.subject, each.asked(None)
            if each.banked and each.generates:
                found += self._shards_of_bank(each, "copy" if within else "own")
            found += self._shards_of_set(each, f"{within}anchors", subject.anchors, {}, asked)
            if subject.reference is not None:
                found += self._shards_of_set(each, f"{within}reference", subject.reference, {}, asked)
            for place in range(each.rounds):
                found += self._shards_of_round(each, f"{within}rounds", place, each.plan.per_round, asked)
        asked = work.asked(None)
        if work.wants("foils"):
            for foil in self._foils_of(work):
                found += self._shards_of_set(work, f"foils/{foil.name}", foil.prepared, {}, asked)
        if work.wants("generated") and work.generates and work.kind != "mean-max":
            for place in range(YARDSTICK_ROUNDS):
                found += self._shards_of_round(work, "yardstick", place, work.per_round, asked)
        return found

    @property
    def _copies(self) -> bool:
        return self._work.wants("untrained") and self._work.subject.model.untrained is not None

    def _set(self, work: Work, path: str, prepared: Prepared, base: Base | None, asked: ModelAsked) -> int:
        """Score a set of samples; says how many were, the first ones."""
        others: StandIns = {} if base is None else stand_ins(base, own=path.removeprefix("copy/") == base.what)
        parts = self._recorder.run(self._shards_of_set(work, path, prepared, others, asked))
        for array in parts[0] if parts else ():
            axis = 1 if array == "draws" else 0
            self._arrays[f"{path}/{array}"] = np.concatenate([part[array] for part in parts], axis=axis)
        return sum(len(part["means"]) for part in parts)

    def _shards_of_set(
        self, work: Work, path: str, prepared: Prepared, others: StandIns, asked: ModelAsked
    ) -> list[Shard]:
        name = path.removeprefix("copy/")
        stream = work.noise.stream(*name.split("/"))
        based = work.wants("trivial") and not name.startswith("foils/")
        about: dict[str, JsonValue] = {"set": name, "base": digest_of(work.base) if based else None}
        if path == "anchors" and (factor := picture_factor(prepared)) > 1:
            about["pictures"] = factor  # the size of what is recorded depends on how many anchors there are
        shards: list[Shard] = []
        for start in range(0, len(prepared), prepared.batch_size):
            within = slice(start, min(start + prepared.batch_size, len(prepared)))
            compute = partial(self._scored, work, path, prepared, within, others=others, stream=stream, asked=asked)
            key = self._key(work, path, **about, start=start, samples=digest_of(prepared, within))
            shards.append(Shard(key, compute, within.stop - start))
        return shards

    def _scored(
        self, work: Work, path: str, prepared: Prepared, within: slice, *, others: StandIns, stream: DrawStream,
        asked: ModelAsked,
    ) -> Arrays:  # fmt: skip
        """One shard, with what readers need of the samples themselves."""
        own = not path.startswith("copy/")
        factor = picture_factor(prepared) if path == "anchors" else 0
        more: dict[str, list[NDArray[Any]]] = {}

        def watch(place: slice, batch: Batch, made: Floats | None) -> None:
            del place
            if own and work.plan.wanted_controls:
                more.setdefault("sizes", []).append(sizes(batch.samples, like=self._ends))
            for failed in batch.failed.values():
                more.setdefault("failed", []).append(failed)
            if made is not None and factor:
                steps = (prepared.pictures(made) * 255).round().astype(np.uint8)
                more.setdefault("made", []).append(shrunk(steps, factor))

        found = score(asked, prepared, work.chosen.criteria, stream, stand_ins=others, within=within, watch=watch)
        if self._features and path in ("anchors", "reference") and work.encoder is not None:
            more["features"] = [features(work.encoder, prepared.rows(within))]
        return {
            "draws": found.draws,
            "means": found.means,
            **{f"stand_ins/{name}": each for name, each in found.stand_ins.items()},
            **{name: np.concatenate(each) for name, each in more.items()},
        }

    def _rounds(self, work: Work, path: str, rounds: int, n: int, asked: ModelAsked) -> bool:
        """Generated samples: all values of the first round, the highest of the others. Whether all were scored."""
        for place in range(rounds):
            shards = self._shards_of_round(work, path, place, n, asked)
            parts = self._recorder.run(shards)
            if len(parts) < len(shards):
                return False
            values = np.concatenate([part["values"] for part in parts])
            self._arrays[f"{path}/{place}"] = values if place == 0 else values.max(axis=0, keepdims=True)
        return True

    def _shards_of_round(self, work: Work, path: str, place: int, n: int, asked: ModelAsked) -> list[Shard]:
        like = work.subject.anchors
        round_ = Generation(asked, like, work.chosen.criteria, work.noise, round_=place)
        shards: list[Shard] = []
        for start in range(0, n, like.batch_size):
            within = slice(start, min(start + like.batch_size, n))
            key = self._key(work, path, round=place, start=start, n=within.stop - start)
            compute = partial(_generated, round_, within, work.chosen.names, is_first=place == 0)
            shards.append(Shard(key, compute, within.stop - start))
        return shards

    # --- controls ----------------------------------------------------------------------------------------------------

    def _foils(self) -> None:
        """Foils made of the reference, or of the anchors where there is none."""
        work = self._work
        for foil in self._foils_of(work) if work.wants("foils") else ():
            if self._set(work, f"foils/{foil.name}", foil.prepared, None, self.own) < len(foil.prepared):
                self._drop(f"foils/{foil.name}/")

    @staticmethod
    def _foils_of(work: Work) -> list[Foil]:
        return make_foils(work.base, foils_each(work.scored), generator(work.seed, "foils"))

    def _yardstick(self) -> None:
        """Generated samples for the other calibration, and how much of the reference they cover."""
        work = self._work
        if not work.wants("generated") or work.kind == "mean-max":
            return
        try:
            if not self._rounds(work, "yardstick", YARDSTICK_ROUNDS, work.per_round, self.own):
                self._drop("yardstick/")
                return
        except UsageError as error:  # a model that nothing more can be generated by
            self._drop("yardstick/")
            self._missing["generated"] = str(error)
            return
        reference = work.subject.reference
        if reference is None or len(reference) <= NEIGHBOURS:
            return
        held = reference.rows(np.arange(min(len(reference), MOST_COMPARED)))

        def compute() -> Arrays:
            rng, like = generator(work.seed, "covered"), replace(reference, what="generated sample")
            made, _ = finite_samples(work.subject.model, like, work.per_round, rng, 0)
            points = made.reshape(work.per_round, -1)
            found = coverage(held.reshape(len(held), -1), points, neighbours=NEIGHBOURS)
            return {"covered": np.array([found.normalised])}

        key = self._key(work, "covered", samples=digest_of(reference, slice(0, len(held))), n=work.per_round)
        for part in self._recorder.run([Shard(key, compute)]):
            self._more["covered"] = float(part["covered"][0])

    def _read(self) -> None:
        """What a classifier reads in the reconstruction of each anchor."""
        work = self._work
        if work.classifier is None:
            return
        classifier, anchors, way = work.classifier, work.subject.anchors, work.way
        if way is None:
            self._missing["classifier"] = (
                "a classifier reads what the model gives back, and by these criteria nothing is"
            )
            return

        def compute() -> Arrays:
            _, made = give_back(self.own, anchors, np.arange(len(anchors)), way)
            with said_of(classifier, "classifier"):
                found = np.asarray(classifier(made))
            if found.shape != (len(anchors),):
                raise DataError(f"classifier gave shape {found.shape}; it must give one label for each sample.")
            return {"readings": as_bytes(found.tolist())}

        about = identified(classifier, self._work.run_name)
        key = None if about is None else self._key(work, "readings", samples=digest_of(anchors), classifier=about)
        for part in self._recorder.run([Shard(key, compute)]):
            self._more["readings"] = tuple(of_bytes(part["readings"]))

    def _metrics(self) -> None:
        """Generated against reference samples as sets."""
        work, bank = self._work, self.own.bank

        def draw(n: int) -> Arrays:
            return work.drawn(0, n) if bank is None else {"samples": bank.samples}

        try:
            found = measured_sets(work, self._recorder, draw, partial(self._key, work, "set metrics"))
        except UsageError as error:  # too few samples for the neighbours
            if work.plan.metrics != "auto":
                raise
            self._missing["metrics"] = str(error)
            return
        if found is not None:
            self._more["metrics"] = found

    def _modes(self) -> None:
        """Which labels the model does not make."""
        work = self._work
        try:
            self._more["modes"] = made_modes(work, self._recorder, self.own.bank, partial(self._key, work, "modes"))
        except UsageError as error:  # a model that nothing can be generated by
            self._missing["modes"] = str(error)

    def _copy(self) -> None:
        """The whole procedure on a copy of the model with new random weights."""
        work = self._work
        if not work.wants("untrained"):
            return
        if work.subject.model.untrained is None:
            self._missing["untrained"] = NO_MODULE
            return
        try:
            self._arrays["copy/rows"] = work.copied[0]
            self._procedure(work.of_copy(new_weights(work.subject.model, work.seed)), "copy")
        except (EndedError, KeyboardInterrupt):
            self._drop("copy/")
            if self._recorder.ended is None:
                raise
        except Exception as error:  # foreign code with weights that nobody chose: the control is left out, and said
            self._drop("copy/")
            cause = error if not isinstance(error.__cause__, Exception) else error.__cause__
            text = str(cause).splitlines()[0] if str(cause) else type(cause).__name__
            self._missing["untrained"] = f"an untrained copy cannot be had: {text}"

    def _drop(self, prefix: str) -> None:
        """Forget what was scored of a control that did not come to its end."""
        self._arrays = {name: each for name, each in self._arrays.items() if not name.startswith(prefix)}

    # --- what is known of all ----------------------------------------------------------------------------------------

    def _key(self, work: Work, path: str, **about: JsonValue) -> dict[str, JsonValue] | None:
        """What the numbers of a shard depend on; None where that cannot be known."""
        if self._about is None:
            return None
        return {**self._about, "path": path, "draws": work.noise.draws, **about}

    def _said(self) -> str:
        """Why the run ended, what it had by then, and what goes on."""
        ended, work, given = self._recorder.ended, self._work, self._given
        if ended is None:
            return ""
        why = "The deadline of this run is over." if isinstance(ended, EndedError) else "Interrupted."
        had = f"{len(work.subject.anchors):,} of {given:,} anchors are scored"
        some = "; they are the first, so of sorted anchors the shares are those of a part"
        some = some if len(work.subject.anchors) < given else ""
        left = [each for each in sorted(work.plan.wanted_controls) if not self._has(each)]
        without = f" Left out: {', '.join(left)}." if left else ""
        return f"{why} The run ended early: {had}{some}.{without}{self._kept()}"

    def _kept(self) -> str:
        return " Scores are recorded: the same call again goes on from here." if self._recorder.records else ""

    def _has(self, control: str) -> bool:
        """Whether a control was scored, or is known not to be had."""
        paths = {
            "untrained": "copy/anchors/",
            "foils": "foils/blends/",
            "generated": "yardstick/1",
            "trivial": "anchors/",
        }
        if control == "generated" and self._work.kind == "mean-max":
            return True
        return control in self._missing or any(name.startswith(paths[control]) for name in self._arrays)

    def _common(self) -> dict[str, JsonValue] | None:
        """What the numbers of every shard depend on, besides the model."""
        work, anchors = self._work, self._work.subject.anchors
        criteria = [identified(each, work.run_name) for each in work.chosen.criteria]
        encoder = identified(work.encoder if self._features else None, work.run_name)
        if None in (*criteria, encoder):
            return None
        return {
            "scores": VERSION, "seed": work.seed, "noise": work.noise.kind, "criteria": criteria, "features": encoder,
            "shape": list(anchors.shape), "layout": anchors.layout, "range": list(map(str, anchors.value_range)),
            "image": None if anchors.image is None else list(anchors.image),
            "ends": [float(each) for each in self._ends], "sizes": bool(work.plan.wanted_controls),
        }  # fmt: skip

    def _neighbours(self) -> Arrays:
        """For the test of likeness: the nearest neighbours among some of the anchors and of the reference."""
        subject, seed = self._work.subject, self._work.seed
        if subject.reference is None or not self._work.plan.wanted_controls:
            return {}
        counted = subject.anchors.only(subject.distinct)
        nearest = own_neighbours(counted, subject.reference, generator(seed, "likeness"))
        return {} if nearest is None else {"nearest": nearest}


def _generated(round_: Generation, within: slice, names: Sequence[str], *, is_first: bool) -> Arrays:
    """A part of a round; of later rounds only the maxima are ever read."""
    parts = [finite_criteria(each, names, what="generated sample") for each in round_.part(within)]
    values = np.concatenate(parts)
    return {"values": values if is_first else values.max(axis=0, keepdims=True)}
