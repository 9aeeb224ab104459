from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from whygen.stats.seeds import generator

STEP = st.text(max_size=5) | st.integers(-(2**70), 2**70)
PATH = st.lists(STEP, max_size=4).map(tuple)
SEED = st.integers(-(2**70), 2**70)


@given(SEED, PATH)
def test_same_path_same_stream(seed: int, path: tuple[str | int, ...]) -> None:
    assert np.array_equal(generator(seed, *path).random(4), generator(seed, *path).random(4))


@given(SEED, PATH, SEED, PATH)
def test_different_paths_differ(
    seed: int, path: tuple[str | int, ...], other_seed: int, other: tuple[str | int, ...]
) -> None:
    assume((seed, path) != (other_seed, other))
    assert not np.array_equal(generator(seed, *path).random(4), generator(other_seed, *other).random(4))


@pytest.mark.parametrize(
    ("one", "other"),
    [((0, "1"), (0, 1)), ((0, "a", "b"), (0, "ab")), ((0, 1), (1, 0)), ((0, "a"), (0, "a", ""))],
)
def test_paths_do_not_run_together(one: tuple[int, str | int], other: tuple[int, str | int]) -> None:
    assert generator(*one).integers(2**62) != generator(*other).integers(2**62)


def test_numpy_integers_name_the_same_stream() -> None:
    assert generator(int(np.int64(3)), "x", int(np.int32(2))).random() == generator(3, "x", 2).random()
    assert generator(np.int64(3), "x", np.int32(2)).random() == generator(3, "x", 2).random()  # pyright: ignore[reportArgumentType]


def test_a_fraction_is_refused() -> None:
    with pytest.raises(TypeError):
        generator(0.5)  # pyright: ignore[reportArgumentType]


def test_streams_look_independent() -> None:
    draws = np.stack([generator(0, "masks", row).standard_normal(2000) for row in range(20)])
    correlations = np.asarray(np.corrcoef(draws)) - np.eye(20)
    assert np.abs(correlations).max() < 0.12


def test_the_stream_of_a_name_never_changes() -> None:
    """A saved seed must give the same explanation in later versions."""
    assert generator(0, "masks").integers(0, 1000, 5).tolist() == [384, 954, 896, 958, 746]
    assert generator(7, "folds", 2).integers(0, 1000, 5).tolist() == [659, 297, 818, 126, 538]
