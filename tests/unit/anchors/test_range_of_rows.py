"""Rows of numbers whose range nobody stated: a table's go to the model as they are, a picture's are refused."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import whygen
from whygen.errors import DataError
from whygen.models.latent import Floats


@dataclass
class Coder:
    """Keeps the first two numbers of a row and loses the others; says nothing of their range."""

    value_range: tuple[float, float] | None = None

    def encode(self, rows: Floats) -> tuple[Floats, Floats]:
        return rows[:, :2], np.full((len(rows), 2), -4.0, rows.dtype)

    def decode(self, latents: Floats) -> Floats:
        return np.pad(latents, ((0, 0), (0, self.width - 2)))

    width = 8


class Flat(Coder):
    """The same of flattened pictures of 6 x 6."""

    width = 36


def table(n: int, seed: int) -> Floats:
    return np.random.default_rng(seed).normal(size=(n, 8)).astype(np.float32)


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (100.0, -3.0), (1e4, 1e5)])
def test_a_table_of_any_size_goes_in_as_it_is(scale: float, shift: float) -> None:
    found = whygen.explain_anchors(
        Coder(), scale * table(40, 0) + shift, reference=scale * table(60, 1) + shift, criteria="mse"
    )
    assert "range-open" in {warned.code for warned in found.warnings}
    assert len(found) == 40


def test_a_table_of_counts_goes_in_as_well() -> None:
    counts = np.random.default_rng(0).poisson(40, (100, 8))
    found = whygen.explain_anchors(Coder(), counts[:40], reference=counts[40:], criteria="mse")
    assert "range-open" in {warned.code for warned in found.warnings}


def test_a_reference_alone_can_go_beyond() -> None:
    inside = np.clip(np.abs(table(40, 0)), 0, 1)
    found = whygen.explain_anchors(Coder(), inside, reference=table(60, 1), criteria="mse")
    assert "range-open" in {warned.code for warned in found.warnings}


def test_a_range_that_somebody_stated_holds() -> None:
    with pytest.raises(DataError, match=r"the model takes 0\.\.1"):
        whygen.explain_anchors(Coder(), table(40, 0), reference=table(60, 1), criteria="mse", value_range=(0, 1))
    with pytest.raises(DataError, match=r"the model takes 0\.\.1"):
        whygen.explain_anchors(Coder(value_range=(0.0, 1.0)), table(40, 0), reference=table(60, 1), criteria="mse")


def test_flattened_pictures_of_0_to_255_are_told_so() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (40, 36)).astype(np.float32)
    with pytest.raises(DataError, match="divide them by 255"):
        whygen.explain_anchors(Flat(), pictures, reference=pictures, criteria="mse")
