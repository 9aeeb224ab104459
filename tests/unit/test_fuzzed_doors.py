"""Random command lines and Python calls end in a result or in an error that says what to do, never in a traceback."""

import pytest
from benchmarks.fuzz_doors import fuzz


@pytest.mark.parametrize("door", ["lines", "calls"])
def test_no_line_and_no_call_ends_in_a_foreign_error(door: str) -> None:
    found = fuzz(80, seed=11, doors=(door,))[door]
    assert found["faults"] == []
    assert len(found["ended"]) > 2
