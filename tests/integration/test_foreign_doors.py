"""What nobody here made, through the doors of the anchor wing: each works, or names a door that opens."""

# pyright: basic
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
for library in ("diffusers", "transformers", "datasets", "pandas"):
    pytest.importorskip(library)

from benchmarks import foreign, foreign_generators, foreign_sets  # noqa: E402


@pytest.fixture(scope="module")
def plain() -> np.ndarray:
    torch.manual_seed(foreign.SEED)
    return foreign.explained(foreign_generators.PLAIN())


def test_every_generator_works_or_names_its_door(tmp_path: Path, plain: np.ndarray) -> None:
    faults = {}
    for title, case in foreign.generator_cases(tmp_path).items():
        torch.manual_seed(foreign.SEED)
        how, shown = foreign.ended(case, foreign.explained, plain if title in foreign_generators.SPELLINGS else None)
        if how == "fault":
            faults[title] = shown
    assert faults == {}


def test_every_data_set_works_or_names_its_door(tmp_path: Path) -> None:
    expected = foreign_sets.UNIT.reshape(foreign_sets.N, -1)
    found = {
        title: foreign.ended(case, foreign.values_of, expected) for title, case in foreign.set_cases(tmp_path).items()
    }
    assert {title: shown for title, (how, shown) in found.items() if how == "fault"} == {}


def test_a_wrong_value_is_a_fault(plain: np.ndarray) -> None:
    """The comparison can fail: a spelling that is misread, or values that are shifted."""
    torch.manual_seed(foreign.SEED)
    swapped = foreign_generators.spelled("Swapped", encode=lambda self, x: self.gaussian(x)[::-1])
    how, _ = foreign.ended(foreign.Case(swapped), lambda model: foreign.explained(model, scale="logvar"), plain)
    assert how == "fault"
    shifted = foreign.Case(lambda: foreign_sets.UNIT * 0.9)
    how, _ = foreign.ended(shifted, foreign.values_of, foreign_sets.UNIT.reshape(foreign_sets.N, -1))
    assert how == "fault"
