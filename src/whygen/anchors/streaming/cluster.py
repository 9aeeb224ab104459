# pyright: basic
"""Shards of anchors scored on a Ray cluster, as a pipeline of Ray Data: files in, criteria out, written down here.

Each worker opens the model once, and reads its shards from the files, which every machine must see. What a worker or a
machine that dies had in hand is read and scored again by others (Ray Data does that); what was written down stays.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from whygen.anchors.bank import Bank
from whygen.anchors.scoring import ModelAsked
from whygen.anchors.streaming.scored import Arrays, Scorer, digest_of_raw
from whygen.errors import DataError, ModelError, UsageError
from whygen.models.protocols import ModelOptions
from whygen.models.ray.cluster import connect, resources_of
from whygen.models.ray.crew import DEATHS, Trouble, trouble_of
from whygen.safe import says


@dataclass(frozen=True, slots=True)
class ScoringRecipe:
    """What a worker makes its scorer of.

    Attributes:
        model: as it was given.
        head: samples that the model is tried on.
        given: the arguments of `explain_anchors`.
        bank: generated samples that anchors are compared with.
        space: where distances are measured.
    """

    model: Any
    head: NDArray[Any]
    given: Mapping[str, Any]
    bank: Bank | None
    space: str

    def scorer(self) -> Scorer:
        """The same as in the process that asks."""
        from whygen.anchors.explain import opened_work

        work, _ = opened_work(self.model, self.head, self.given)
        asked = ModelAsked(work.subject.model, self.bank, work.seed)
        return Scorer(asked, work, self.given["layout"], self.space, spools=False)


class _ScoringWorker:
    """Lives in the worker's process. Errors are handed back as rows, so that one is said once and not retried."""

    def __init__(self, recipe: ScoringRecipe) -> None:
        self._recipe = recipe
        self._scorer: Scorer | Trouble | None = None

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        told = {"number": row["number"], "digest": "", "arrays": b"", "kind": "", "error": ""}
        try:
            if self._scorer is None:
                self._scorer = self._opened()
            if isinstance(self._scorer, Trouble):
                return {**told, "kind": self._scorer.kind, "error": self._scorer.text, "number": -1}
            whole = np.load(row["path"], mmap_mode="r", allow_pickle=False)
            raw = whole[row["start"] : row["stop"]]
            arrays = self._scorer.score(raw, row["first"])
        except Exception as error:  # a damaged file, a number that is none, a model that fails on this shard
            trouble = trouble_of(DataError(str(error)) if isinstance(error, OSError | ValueError) else error)
            return {**told, "kind": trouble.kind, "error": trouble.text}
        plain = {name: np.ascontiguousarray(each) for name, each in arrays.items()}
        return {**told, "digest": digest_of_raw(raw), "arrays": save(plain)}

    def _opened(self) -> Scorer | Trouble:
        try:
            return self._recipe.scorer()
        except Exception as error:
            return trouble_of(error)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a shard's samples are: rows of a ``.npy`` file, and the number of the first among all."""

    number: int
    path: str
    start: int
    stop: int
    first: int


def scored_on_ray(
    recipe: ScoringRecipe, places: Sequence[Place], options: ModelOptions
) -> Iterator[tuple[int, Arrays | Trouble, str]]:
    """The arrays of each shard, as they come, with the digest of its samples; or why there are none.

    Raises:
        MissingError: if there is no cluster at the address.
        WhygenError: what loading the model raised.
    """
    library = connect(options.address)
    import ray.data  # pyright: ignore[reportMissingImports]

    number, resources = resources_of(library, options.workers, options.device)
    here = {**recipe.given, "options": options.here}
    rows = [{name: getattr(place, name) for name in Place.__slots__} for place in places]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray Data warns of settings of its own
        ray.data.DataContext.get_current().enable_progress_bars = False
        pipeline = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            _ScoringWorker,
            fn_constructor_args=(replace(recipe, given=here),),
            concurrency=min(number, len(rows)),
            max_task_retries=DEATHS,  # Ray Data's own is without end, and so would be a shard that kills its worker
            **resources,
        )
    for row in _rows(pipeline):
        if row["number"] < 0:
            raise Trouble(row["kind"], row["error"]).error()
        found = Trouble(row["kind"], row["error"]) if row["error"] else load(row["arrays"])
        yield int(row["number"]), found, row["digest"]


def _rows(pipeline: Any) -> Iterator[dict[str, Any]]:
    """What workers hand back, as it comes.

    Raises:
        ModelError: where Ray Data gave up.
    """
    rows = iter(pipeline.iter_rows())
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except Exception as error:  # of Ray: a shard whose workers died, or a cluster that is gone
            raise ModelError(
                f"The cluster gave up on a shard ({says(error).splitlines()[0][:300]}): its workers may crash on it, "
                "or lack memory. What was scored is kept: the same command goes on there."
            ) from error
        yield row


def require_files(paths: Sequence[tuple[str, int, int] | None], noise: str) -> None:
    """Refuse what cannot be sent to other machines as the name of a file.

    Raises:
        UsageError: naming what can.
    """
    if any(path is None for path in paths):
        raise UsageError(
            "executor='ray' reads anchors from .npy files that every machine sees: give one, or a folder of them."
        )
    if noise == "independent":
        raise UsageError(
            "executor='ray' scores shards in any order, and independent noise is drawn in one. Leave it out."
        )
