# pyright: reportUnnecessaryIsInstance=false
# What a plug-in gives may be of any kind, whatever it promises.
"""Whether a criterion scores samples, and an encoder makes vectors of outputs, as whygen asks them to."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from whygen.anchors.choosing import by_name
from whygen.anchors.criteria import Batch, CriterionLike
from whygen.encoders import (
    HasVocabulary,
    ImageEncoder,
    TextEncoder,
    TextFunction,
    TimedEncoder,
    load_image_encoder,
    load_text_encoder,
    load_timed_encoder,
)  # fmt: skip
from whygen.errors import UsageError
from whygen.media.films import video_of
from whygen.media.pictures import picture_of
from whygen.media.sounds import sound_of
from whygen.testing.clauses import does, near, numbers, require
from whygen.types import OutputKind

TEXTS = ("Paris is", "the river Seine, where boats", "a", "", "Naïve café 東京!", "a")


def check_criterion(criterion: CriterionLike, *, shape: tuple[int, ...] = (12, 12, 1), seed: int = 0) -> None:
    """That a criterion gives each sample one number, low where the model knows it.

    Args:
        criterion: a name, a `Criterion`, or a function ``(samples, reconstructions) -> (b,)``.
        shape: of a sample.
        seed: of the samples, their posteriors and reconstructions.

    Raises:
        AssertionError: with what is wrong, and what is asked.
        UsageError: if the criterion asks the model for more than a posterior: only the model tells whether it is right.
    """
    [found] = by_name([criterion], None).criteria
    if more := sorted(found.needs - {"posterior"}):
        raise UsageError(
            f"The criterion {found.name!r} needs {', '.join(more)} of a model, and here is none. Score samples with a "
            "model that can: whygen.explain_anchors(model, samples, criteria=[...])."
        )
    right = found.name and "," not in found.name and found.unit and found.kind in {"intrinsic", "extrinsic"}
    asked = "It has a name without commas, a unit, and the kind 'intrinsic' or 'extrinsic'."
    require(right, f"The criterion is {found}", asked)
    rng = np.random.default_rng(seed)
    samples = rng.random((6, *shape)).astype(np.float32)
    noise = rng.normal(size=samples.shape)
    close, far = ((samples + by * noise).clip(0, 1).astype(np.float32) for by in (0.05, 0.4))
    mean, logvar = (rng.normal(size=(6, 3)).astype(np.float32) for _ in range(2))

    def scores(rows: slice, made: NDArray[np.float32]) -> NDArray[np.float64]:
        batch = Batch(samples[rows], mean[rows], logvar[rows], images=_as_images, span=1.0)
        asked = "begin(batch) gives a function from reconstructions to one finite number for each sample."
        scorer = does("begin", asked, found.begin, batch)
        kept = made.copy(), samples.copy()
        given = does("The scorer", asked, scorer, made[rows])
        require(np.array_equal(made, kept[0]) and np.array_equal(samples, kept[1]), "It changed what it scored", asked)
        return numbers("What the scorer gives", given, (len(samples[rows]),), asked)

    every = slice(None)
    together = scores(every, close)
    require(
        near(together, scores(every, close)), "The same samples got other scores", "Scores come from a batch alone."
    )
    apart = np.concatenate([scores(slice(i, i + 1), close) for i in range(len(samples))])
    require(near(together, apart, 1e-5), "A score depends on the samples beside it", "Each sample is scored by itself.")
    distorted, exact = scores(every, far), scores(every, samples)
    if found.kind == "intrinsic":
        asked = "An intrinsic criterion reads the posterior; give kind='extrinsic' to one that reads reconstructions."
        require(near(together, distorted), "An intrinsic criterion depends on the reconstructions", asked)
        return
    require(exact.mean() <= distorted.mean(), "Exact reconstructions score higher than distorted ones",
             "Low means that the model knows the sample: give a distance, not a likeness.")  # fmt: skip


def _as_images(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    return samples.reshape(len(samples), *samples.shape[1:3], -1)


def check_encoder(encoder: object, *, media: OutputKind = "text", texts: Sequence[str] = TEXTS, seed: int = 0) -> None:
    """That an encoder makes vectors of what models answer with, each by itself.

    Of an encoder that remembers what it encoded, whether a vector depends on others cannot be seen: check it without
    its memory too.

    Args:
        encoder: a name, ``py/package.module:callable``, an encoder, or a function from texts to vectors.
        media: what it encodes.
        texts: those that an encoder of texts is tried on.
        seed: of the pictures, sounds and videos that the others are tried on.

    Raises:
        AssertionError: with what is wrong, and what is asked.
    """
    require(media in get_args(OutputKind), f"media is {media!r}", f"It is one of {', '.join(get_args(OutputKind))}.")
    rng = np.random.default_rng(seed)
    if media == "text":
        _check_text_encoder(_opened_texts(encoder), texts)
    elif media == "picture":
        _check_image_encoder(load_image_encoder(encoder) if isinstance(encoder, str) else encoder, rng)
    else:
        _check_timed_encoder(load_timed_encoder(media, encoder), rng)


def _opened_texts(encoder: object) -> object:
    if isinstance(encoder, str):
        return load_text_encoder(encoder)
    if callable(encoder) and not isinstance(encoder, TextEncoder):
        return TextFunction(getattr(encoder, "__qualname__", type(encoder).__name__), encoder)
    return encoder


def _check_name(encoder: object) -> None:
    name = getattr(encoder, "name", None)
    require(isinstance(name, str) and name, f"name is {name!r}", "It is what records call the encoder.")


def _check_text_encoder(encoder: object, texts: Sequence[str]) -> None:
    asked = (
        "An encoder of texts has name, sentences(texts) -> (n, d) of length one, and tokens(texts) -> n sets (t, d)."
    )
    if not isinstance(encoder, TextEncoder):
        raise AssertionError(f"A {type(encoder).__name__} encodes no texts. {asked}")  # noqa: TRY004
    _check_name(encoder)
    _check_vectors("sentences", encoder.sentences, texts, asked, unit=True)
    _check_sets("tokens", encoder.tokens, texts, asked, unit=True)
    if isinstance(encoder, HasVocabulary):
        words = encoder.vocabulary()
        vectors = numbers("word_vectors", encoder.word_vectors(), (len(words), -1), "One for each word of vocabulary.")
        _check_lengths("word_vectors", vectors, "They have length one.")


def _check_image_encoder(encoder: object, rng: np.random.Generator) -> None:
    asked = "An encoder of pictures has name, images(pictures) -> (n, d), patches -> n sets (p, d), means -> (n, d)."
    if not isinstance(encoder, ImageEncoder):
        raise AssertionError(f"A {type(encoder).__name__} encodes no pictures. {asked}")  # noqa: TRY004
    _check_name(encoder)
    sizes = ((32, 32), (24, 40), (40, 16))
    pictures = [picture_of(rng.integers(0, 256, (*size, 3), dtype=np.uint8)) for size in sizes]
    _check_vectors("images", encoder.images, pictures, asked)
    _check_vectors("means", encoder.means, pictures, asked)
    _check_sets("patches", encoder.patches, pictures, asked)


def _check_timed_encoder(encoder: TimedEncoder, rng: np.random.Generator) -> None:
    asked = "An encoder of sounds or videos has name, kind, unit, tracks(media) -> n tracks, and nothing() -> (d,)."
    _check_name(encoder)
    require(encoder.unit, "unit is empty", asked)
    if encoder.kind == "sound":
        media = [sound_of(rng.uniform(-1, 1, n).astype(np.float32), 8000) for n in (4000, 2400)]
    else:
        media = [video_of(rng.integers(0, 256, (n, 12, 16, 3), dtype=np.uint8), 8.0) for n in (4, 3)]
    nothing = numbers("nothing()", does("nothing", asked, encoder.nothing), (-1,), asked)

    def points(given: Sequence[Any]) -> list[NDArray[np.float64]]:
        return [track.points for track in encoder.tracks(given)]

    sets = _check_sets("tracks", points, media, asked)
    same = all(each.shape[1] == len(nothing) for each in sets)
    require(same, f"nothing() has {len(nothing)} numbers, and a point {sets[0].shape[1]}", asked)


def _check_vectors(
    what: str, encode: Callable[[Sequence[Any]], object], given: Sequence[Any], asked: str, *, unit: bool = False
) -> None:
    together = numbers(what, does(what, asked, encode, given), (len(given), -1), asked)
    alone = np.concatenate([numbers(what, encode([one]), (1, -1), asked) for one in given])
    require(near(together, alone, 1e-5), f"{what}: a vector depends on what is encoded beside it", asked)
    again = numbers(what, encode(list(reversed(given))), (len(given), -1), asked)[::-1]
    require(near(together, again, 1e-5), f"{what}: a vector depends on the order", asked)
    if unit:
        _check_lengths(what, together, asked)


def _check_sets(
    what: str, encode: Callable[[Sequence[Any]], Sequence[object]], given: Sequence[Any], asked: str, *,
    unit: bool = False,
) -> list[NDArray[np.float64]]:  # fmt: skip
    found = does(what, asked, encode, given)
    require(len(found) == len(given), f"{what} gives {len(found)} sets for {len(given)}", asked)
    sets = [numbers(what, each, (-1, -1), asked) for each in found]
    require(len({each.shape[1] for each in sets}) == 1, f"{what} gives points of different sizes", asked)
    for each, one in zip(sets, given, strict=True):
        alone = numbers(what, encode([one])[0], (-1, -1), asked)
        require(near(each, alone, 1e-5), f"{what}: a set depends on what is encoded beside it", asked)
        if unit:
            _check_lengths(what, each, asked)
    return sets


def _check_lengths(what: str, vectors: NDArray[np.float64], asked: str) -> None:
    lengths = np.linalg.norm(vectors, axis=1)
    worst = float(lengths[np.abs(lengths - 1).argmax()])
    require(math.isclose(worst, 1.0, abs_tol=1e-4), f"{what}: a vector has length {worst:.4g}", asked)
