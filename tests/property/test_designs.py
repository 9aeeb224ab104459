"""Laws of the designs: the masks are distinct, paired, and as probable as they claim."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whygen.errors import BudgetError, UnknownNameError
from whygen.prompt import designs

SEEDS = st.integers(0, 2**32 - 1)


def distinct(masks: np.ndarray) -> int:
    return len(np.unique(masks, axis=0))


@given(st.integers(1, 10), st.booleans())
def test_enumerated_holds_every_mask_once(n: int, empty: bool) -> None:
    if n == 1 and not empty:
        return
    design = designs.enumerated(n, empty=empty)
    assert distinct(design.masks) == len(design.masks) == 2**n - (0 if empty else 2)
    assert design.enumerated


@given(st.integers(2, 40), st.integers(1, 40), SEEDS, st.booleans())
def test_complement_pairs_are_distinct_and_paired(n: int, pairs: int, seed: int, empty: bool) -> None:
    design = designs.complement_pairs(n, pairs, np.random.default_rng(seed), empty=empty)
    available = 2 ** (n - 1) - (not empty)
    assert len(design.masks) == 2 * min(pairs, available)
    assert distinct(design.masks) == len(design.masks)
    assert np.array_equal(design.masks[0::2], ~design.masks[1::2])
    assert np.array_equal(design.groups[0::2], design.groups[1::2])
    if not empty:
        assert design.masks.any(axis=1).all()


@given(st.integers(6, 40), st.integers(1, 20), SEEDS, st.booleans())
def test_independent_masks_are_distinct_and_begin_alike(n: int, pairs: int, seed: int, empty: bool) -> None:
    design = designs.independent(n, pairs, np.random.default_rng(seed), empty=empty)
    assert distinct(design.masks) == len(design.masks) == 2 * pairs
    assert np.bincount(design.groups).tolist() == [2] * pairs
    if not empty:
        assert design.masks.any(axis=1).all()
        assert not design.masks.all(axis=1).any()
    more = designs.independent(n, pairs + 3, np.random.default_rng(seed), empty=empty)
    assert np.array_equal(design.masks, more.masks[: len(design.masks)])


def test_every_independent_mask_is_equally_probable() -> None:
    rng = np.random.default_rng(0)
    drawn = np.concatenate([designs.independent(3, 2, rng).masks for _ in range(2000)])
    counts = np.bincount(drawn @ (1 << np.arange(3)), minlength=8)
    # Four of eight without replacement: the variance of a count is 2000 / 4, shared out over seven degrees of freedom.
    assert ((counts - 1000.0) ** 2 / (1000.0 * 4 / 7)).sum() < 24.3  # the 0.1% point of chi-squared


def test_by_size_independent_masks_follow_the_law_and_are_no_complements() -> None:
    design = designs.by_size(12, 2000, np.random.default_rng(3), repeats="fresh", halves="independent")
    assert len(design.masks) == 2000
    assert not np.array_equal(design.masks[0::2], ~design.masks[1::2])
    sizes = np.bincount(design.masks.sum(axis=1), minlength=13)[1:12]
    assert ((sizes - 2000 / 11) ** 2 / (2000 / 11)).sum() < 29.6  # the 0.1% point, ten degrees of freedom
    corners = design.masks.sum(axis=1)[0::2], design.masks.sum(axis=1)[1::2]
    assert abs(np.corrcoef(*corners)[0, 1]) < 0.12


@pytest.mark.parametrize(("n", "masks", "halves", "turning"), [(12, 24, "complement", 12), (12, 23, "independent", 6)])
def test_pairs_from_as_many_pairs_as_units_on(n: int, masks: int, halves: str, turning: int) -> None:
    assert designs.halves_for(n, masks) == halves
    assert designs.turning_point(n, masks) == turning


@given(st.integers(2, 30), st.integers(2, 20), SEEDS)
def test_more_pairs_begin_with_the_same_pairs(n: int, pairs: int, seed: int) -> None:
    few = designs.complement_pairs(n, pairs, np.random.default_rng(seed)).masks
    many = designs.complement_pairs(n, 2 * pairs, np.random.default_rng(seed)).masks
    assert np.array_equal(few, many[: len(few)])


def test_every_pair_is_equally_probable() -> None:
    rng = np.random.default_rng(0)
    drawn = np.concatenate([designs.complement_pairs(4, 2, rng).masks[0::2] for _ in range(4000)])
    codes = np.minimum(drawn @ (1 << np.arange(4)), ~drawn @ (1 << np.arange(4)))
    counts = np.bincount(codes, minlength=8)
    assert counts.sum() == 8000
    chi_squared = ((counts - 1000.0) ** 2 / 1000.0).sum()
    assert chi_squared < 24.3  # the 0.1% point of chi-squared with 7 degrees of freedom


@given(st.integers(2, 30), st.integers(8, 60), st.floats(0.2, 0.95), SEEDS)
def test_bernoulli_pays_for_no_mask_twice_and_stays_in_the_budget(n: int, calls: int, keep: float, seed: int) -> None:
    design = designs.bernoulli(n, calls, np.random.default_rng(seed), keep=keep)
    paid = np.unique(design.masks[~design.masks.all(axis=1)], axis=0)
    assert len(paid) <= calls
    assert len(design.masks) % 2 == 0


@pytest.mark.parametrize("keep", [0.3, 0.8])
def test_bernoulli_keeps_units_independently_with_the_stated_probability(keep: float) -> None:
    rng = np.random.default_rng(1)
    masks = np.concatenate([designs.bernoulli(6, 200, rng, keep=keep).masks[0::2] for _ in range(40)])
    error = 4.0 * np.sqrt(keep * (1 - keep) / len(masks))
    assert np.abs(masks.mean(axis=0) - keep).max() < error + 0.01
    assert np.abs(np.corrcoef(masks.T) - np.eye(6)).max() < 0.08


def test_leave_one_out_leaves_each_unit_out_once() -> None:
    assert np.array_equal(~designs.leave_one_out(3).masks, np.eye(3, dtype=bool))


@pytest.mark.parametrize(
    ("n", "calls", "empty", "fits"), [(6, 63, True, True), (6, 62, True, False), (6, 62, False, True)]
)
def test_enumeration_counts_the_full_mask_as_free(n: int, calls: int, empty: bool, fits: bool) -> None:
    assert designs.fits_enumeration(n, calls, empty=empty) is fits


def test_a_budget_below_what_is_needed_names_the_smallest_that_works() -> None:
    with pytest.raises(BudgetError, match="smallest budget that works is 11") as caught:
        designs.require(5, needed=8, overhead=3, what="ridge")
    assert caught.value.smallest == 11


@pytest.mark.parametrize("sizes", ["kernel", "leverage"])
def test_masks_by_size_follow_their_law(sizes: designs.Sizes) -> None:
    n, rows = 7, 6000
    design = designs.by_size(n, 2 * rows, np.random.default_rng(3), sizes=sizes, repeats="fresh")
    law = designs.size_law(n, sizes)
    counts = np.bincount(design.masks[0::2].sum(axis=1), minlength=n + 1)[1:n]
    assert counts.sum() == rows
    chi_squared = ((counts - rows * law) ** 2 / (rows * law)).sum()
    assert chi_squared < 20.5  # the 0.1% point of chi-squared with 5 degrees of freedom
    assert np.abs(design.masks[0::2].mean(axis=0) - 0.5).max() < 0.03
    assert np.array_equal(design.sizes, law)


@given(st.integers(2, 200), st.sampled_from(["kernel", "leverage"]))
def test_the_law_of_sizes_is_a_symmetric_law(n: int, sizes: designs.Sizes) -> None:
    law = designs.size_law(n, sizes)
    assert law.sum() == pytest.approx(1.0)
    assert law == pytest.approx(law[::-1])


def test_an_unknown_law_of_sizes_names_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="leverage"):
        designs.size_law(5, "leverages")  # type: ignore[arg-type]


@given(st.integers(2, 30), st.integers(8, 40), SEEDS, st.sampled_from(["shared", "fresh"]))
def test_a_larger_budget_begins_with_the_same_masks(n: int, calls: int, seed: int, repeats: designs.Repeats) -> None:
    for draw in (designs.by_size, lambda *a, **k: designs.bernoulli(*a, **k, keep=0.7)):
        few = draw(n, calls, np.random.default_rng(seed), repeats=repeats).masks
        many = draw(n, 2 * calls, np.random.default_rng(seed), repeats=repeats).masks
        assert np.array_equal(few, many[: len(few)])


def test_antithetic_rows_keep_a_unit_together_less_often_than_by_chance() -> None:
    masks = designs.bernoulli(6, 4000, np.random.default_rng(4), keep=0.7, repeats="fresh").masks
    together = (masks[0::2] & masks[1::2]).mean()
    assert together == pytest.approx(2 * 0.7 - 1, abs=0.03)  # u < p and 1 - u < p; by chance p^2


@given(st.integers(3, 12), st.integers(8, 60), st.lists(SEEDS, min_size=2, max_size=2, unique=True), st.booleans())
def test_the_law_of_a_design_by_layers_is_a_function_of_its_size(
    n: int, calls: int, seeds: list[int], empty: bool
) -> None:
    """No draw changes it, and layers that are asked whole come as often as it says."""
    for seed in seeds:
        rng = np.random.default_rng(seed)
        layers = designs.by_layers(n, min(calls, 2**n - 4), rng)
        law = designs.law_of_layers(n, min(calls, 2**n - 4))
        assert layers.sizes is not None
        assert np.array_equal(layers.sizes, law)
        assert law.sum() == pytest.approx(1.0)
        number = designs.by_number(n, calls, rng, keep=0.8, empty=empty)
        kept = designs.law_of_kept(n, calls, keep=0.8, empty=empty)
        assert number.kept is not None
        assert np.array_equal(number.kept, kept)
        counts = np.bincount(number.masks.sum(axis=1), minlength=n + 1)
        assert np.abs(counts - kept * len(number.masks)).max() <= 1.0 + 1e-9
