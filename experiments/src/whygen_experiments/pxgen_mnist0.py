# pyright: basic
"""``whygen reproduce pxgen-mnist0``: the paper's VAE on MNIST zeros, explained by the 10,000 test digits.

Preset and default side by side over training seeds: thresholds, groups by digit, time of each phase, whether a digit
classifier reads what comes out of HILE anchors as zeros, and k-dispersion beside k-center. Settings: METHODS B5.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression  # pyright: ignore[reportMissingTypeStubs]

from whygen.anchors.data import SampleSet, load_samples
from whygen.anchors.explain import explain_anchors
from whygen.anchors.selection import Selection, diversity, k_center, k_dispersion, k_medoids, nearest_pick
from whygen.errors import DataError, MissingError
from whygen.models.latent import Floats, LatentModel
from whygen.models.latent.loading import load_latent
from whygen.results.anchors import AnchorExplanation
from whygen.stats.seeds import generator

NAME = "pxgen-mnist0"
TRAINED = 0
TRAINING = 4000
"""The first 4,000 zeros train the model; the others are the reference that it has not seen."""
SEEDS = (1, 2, 3)
READER_IMAGES = 10_000
PICKS = 10
OUTLIER_SHARE = 0.05
NEIGHBOURS = 5
IDX = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}
OPENML = "mnist_784"
Say = Callable[[str], None]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Mnist:
    """Images ``(n, 28, 28)`` uint8 and labels ``(n,)``."""

    train_images: Bytes
    train_labels: Bytes
    test_images: Bytes
    test_labels: Bytes

    @property
    def zeros(self) -> Bytes:
        return self.train_images[self.train_labels == TRAINED]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedResult:
    """One training seed: the preset and the default on the same model."""

    seed: int
    training_seconds: float
    explanations: dict[str, AnchorExplanation]
    """By mode: ``pxgen``, ``pxgen-saturated`` and ``default``."""
    picks: tuple[dict[str, Any], ...] = field(default=())
    """k-dispersion and k-center of groups of the default, side by side."""


def load_mnist(path: str | Path | None) -> Mnist:
    """MNIST from an ``.npz`` with train_images ..., a folder of idx files, or (no path) from OpenML.

    Raises:
        MissingError: if there is nothing at the path, or no network.
        DataError: if it is not MNIST.
    """
    if path is None:
        return _from_openml()
    place = Path(path)
    if place.is_dir() and (place / "mnist.npz").is_file():
        place = place / "mnist.npz"
    arrays = _from_idx(place) if place.is_dir() else _from_npz(place)
    mnist = Mnist(**arrays)
    if mnist.train_images.shape != (60_000, 28, 28) or mnist.test_images.shape != (10_000, 28, 28):
        raise DataError(f"{str(place)!r} is not MNIST: images have shapes {mnist.train_images.shape} and "
                        f"{mnist.test_images.shape}, not (60000, 28, 28) and (10000, 28, 28).")  # fmt: skip
    return mnist


def _from_npz(place: Path) -> dict[str, Bytes]:
    if not place.is_file():
        raise MissingError(f"There is nothing at {str(place)!r}. Give mnist.npz or a folder of idx files with --data.")
    try:
        with np.load(place, allow_pickle=False) as archive:
            return {name: cast("Bytes", archive[name]) for name in IDX}
    except (KeyError, ValueError, OSError) as error:
        raise DataError(f"{str(place)!r} has no arrays {', '.join(IDX)}: {error}.") from error


def _from_idx(folder: Path) -> dict[str, Bytes]:
    found: dict[str, Bytes] = {}
    for name, file in IDX.items():
        places = [folder / file, folder / f"{file}.gz"]
        place = next((each for each in places if each.is_file()), None)
        if place is None:
            raise MissingError(f"The folder {str(folder)!r} has no {file} (or .gz), nor mnist.npz.")
        found[name] = cast("Bytes", load_samples(place).samples)
    return found


def _from_openml() -> Mnist:
    from sklearn.datasets import fetch_openml  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

    try:
        fetched = cast("Any", fetch_openml(OPENML, version=1, as_frame=False))
    except OSError as error:
        raise MissingError(f"MNIST cannot be fetched from OpenML ({error}). Give it with --data PATH.") from error
    images = fetched.data.astype(np.uint8).reshape(-1, 28, 28)
    labels = fetched.target.astype(np.uint8)
    return Mnist(images[:60_000], labels[:60_000], images[60_000:], labels[60_000:])


def train(mnist: Mnist, seed: int) -> tuple[object, float]:
    """The paper's VAE trained with one seed, and the seconds it took."""
    from whygen_experiments.mlp_vae import train_mlp_vae

    began = time.perf_counter()
    data = (mnist.zeros[:TRAINING].reshape(TRAINING, -1) / 255).astype(np.float32)
    return train_mlp_vae(data, seed=seed, uri=f"{NAME}, seed {seed}"), time.perf_counter() - began


def digit_reader(mnist: Mnist) -> Callable[[Floats], NDArray[np.int64]]:
    """A digit classifier that knows nothing of the model: multinomial logistic regression on training digits."""
    images, labels = mnist.train_images[:READER_IMAGES], mnist.train_labels[:READER_IMAGES]
    reader: Any = LogisticRegression(max_iter=200, C=0.1).fit(images.reshape(len(images), -1) / 255, labels)
    return lambda samples: reader.predict(samples.reshape(len(samples), -1)).astype(np.int64)


def reproduce(
    mnist: Mnist,
    *,
    seeds: Sequence[int] = SEEDS,
    rounds: int = 100,
    per_round: int = 60_000,
    trainer: Callable[[Mnist, int], tuple[object, float]] = train,
    say: Say = lambda _: None,
) -> tuple[SeedResult, ...]:
    """Train and explain with every seed.

    Args:
        mnist: the data.
        seeds: of training and explanation.
        rounds: R of the preset's mean-max; the authors' 100 take some minutes a seed.
        per_round: N of the preset's mean-max.
        trainer: gives a model and the seconds its training took; the paper's VAE unless one is at hand already.
        say: is told what is being done.
    """
    reader = digit_reader(mnist)
    results: list[SeedResult] = []
    for seed in seeds:
        say(f"seed {seed}: training")
        module, seconds = trainer(mnist, seed)
        model = load_latent(module)
        explanations = {
            mode: _explain(model, mnist, mode, seed, rounds, per_round, reader, say)
            for mode in ("default", "pxgen", "pxgen-saturated")
        }
        picks = tuple(_compare_picks(mnist, explanations["default"]))
        results.append(SeedResult(seed=seed, training_seconds=seconds, explanations=explanations, picks=picks))
    return tuple(results)


def _explain(  # noqa: PLR0917 - one call for each mode, and nothing else calls it
    model: LatentModel,
    mnist: Mnist,
    mode: str,
    seed: int,
    rounds: int,
    per_round: int,
    reader: Callable[[Floats], NDArray[np.int64]],
    say: Say,
) -> AnchorExplanation:
    say(f"seed {seed}: explaining ({mode})")
    choices: dict[str, Any] = {"select": "k-dispersion:10"}
    if mode != "default":
        # The slip concerns anchors only, thresholds are those of the preset: a tenth of the rounds shows it.
        fewer = max(1, rounds // 10) if mode == "pxgen-saturated" else rounds
        choices = {"preset": mode, "rounds": fewer, "per_round": per_round}
    found = explain_anchors(
        model,
        SampleSet(
            samples=mnist.test_images, labels=tuple(int(label) for label in mnist.test_labels), source="MNIST test"
        ),
        reference=SampleSet(samples=mnist.zeros[TRAINING:], source="MNIST zeros, not trained on"),
        classifier=reader,
        trained=(TRAINED,),
        seed=seed,
        **choices,
    )
    return cast("AnchorExplanation", found)  # of pictures


def _compare_picks(mnist: Mnist, explanation: AnchorExplanation) -> list[dict[str, Any]]:
    """Ten picks each of HIHE and LILE in pixel space: diversity, coverage, outliers (METHODS B4: measured)."""
    points = (mnist.test_images.reshape(len(mnist.test_images), -1) / 255).astype(np.float32)
    rows: list[dict[str, Any]] = []
    for group in ("HIHE", "LILE"):
        members = explanation.members(group)
        if len(members) < 2:
            continue
        among = points[members]
        outlying = _outlying(among)
        for name, picked in _selections(among, explanation.seed).items():
            distances, _ = nearest_pick(among, picked.indices)
            rows.append(
                {
                    "group": group,
                    "selection": name,
                    "diversity": diversity(among, picked.indices),
                    "covering radius": float(distances.max()),
                    "mean distance to a pick": float(distances.mean()),
                    "share of outliers": float(outlying[picked.indices].mean()),
                }
            )
    return rows


def _selections(points: NDArray[np.float32], seed: int) -> dict[str, Selection]:
    """Plain k-center is farthest-first as k-dispersion is, and picks the same; with outliers it does not."""
    return {
        "k-dispersion": k_dispersion(points, PICKS),
        "k-dispersion, 5% outliers left out": k_dispersion(points, PICKS, drop_share=OUTLIER_SHARE),
        "k-center": k_center(points, PICKS),
        "k-center, 5% outliers": k_center(points, PICKS, outliers=int(OUTLIER_SHARE * len(points))),
        "k-medoids (the authors' k-center)": k_medoids(points, PICKS, rng=generator(seed, "medoids"), solver="voronoi"),
    }


def _outlying(points: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The twentieth of the points that lie farthest from their fifth neighbour."""
    from sklearn.neighbors import NearestNeighbors  # pyright: ignore[reportMissingTypeStubs]

    search: Any = NearestNeighbors(n_neighbors=NEIGHBOURS + 1, algorithm="brute").fit(points)
    reach = search.kneighbors(points)[0][:, -1]
    return reach >= np.quantile(reach, 1 - OUTLIER_SHARE)
