"""How a check says what is wrong and what is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from whygen.safe import is_stop, says

T = TypeVar("T")


def require(holds: object, wrong: str, asked: str) -> None:
    """Say what is wrong and what is asked, unless it holds."""
    if not holds:
        raise AssertionError(f"{wrong}. {asked}")


def does(what: str, asked: str, function: Callable[..., T], *given: object) -> T:
    """What a function gives; whatever it raises is told."""
    try:
        return function(*given)
    except AssertionError:
        raise
    except BaseException as error:  # code of others, which may do anything
        if is_stop(error):
            raise
        raise AssertionError(f"{what} raised {says(error)}. {asked}") from error


def numbers(what: str, values: object, shape: tuple[int, ...], asked: str) -> NDArray[np.float64]:
    """Finite numbers of a shape; -1 in it stands for any size but none."""
    found = np.asarray(does(what, asked, np.asarray, values))
    fits = found.ndim == len(shape) and all(n == m or (m < 0 < n) for n, m in zip(found.shape, shape, strict=True))
    require(fits, f"{what} has shape {found.shape}, not {str(shape).replace('-1', 'any')}", asked)
    require(found.dtype.kind in "fiub", f"{what} holds {found.dtype}, no numbers", asked)
    require(np.isfinite(found).all(), f"{what} holds NaN or infinite numbers", asked)
    return found.astype(np.float64)


def near(one: NDArray[Any], other: NDArray[Any], by: float = 1e-6) -> bool:
    """Whether two arrays are the same but for rounding."""
    return one.shape == other.shape and bool(np.allclose(one, other, rtol=by, atol=by))
