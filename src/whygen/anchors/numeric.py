# pyright: basic
"""Numbers as numpy has them, of whatever holds some: tensors on any device, sparse matrices, foreign arrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from whygen.errors import DataError

MAX_HELD = 2 * 2**30
"""Bytes that may be gathered item by item, or unpacked from a sparse matrix."""


def as_array(thing: Any, *, what: str) -> np.ndarray:
    """Numbers as numpy has them: of a tensor on any device, with or without gradients, bfloat16 as float32.

    Raises:
        DataError: if there is no array of numbers in it.
    """
    if np.ma.is_masked(thing):
        raise DataError(
            f"Some values of {what} are masked. Fill them (array.filled(value)), or leave those samples out."
        )
    _require_room(thing, what)
    try:
        array = np.asarray(_on_this_machine(thing))
        if array.dtype.name == "bfloat16":  # of jax or ml_dtypes: numpy knows no such kind
            array = array.astype(np.float32)
        if array.dtype == np.object_ and array.ndim >= 2:
            array = array.astype(np.float64)
    except Exception as error:  # foreign types: meta tensors, ragged lists, failing __array__ ...
        raise DataError(
            f"{what} of type {type(thing).__name__} cannot be read as an array of numbers: {first_line(error)}. "
            "Give arrays of one shape, (n, ...) with the samples along the first axis."
        ) from error
    if array.dtype == np.object_:
        raise DataError(
            f"{what} of type {type(thing).__name__} is no array of numbers. Give an array (n, ...) of one shape, "
            "pictures, paths of pictures, or a data set of (picture, label)."
        )
    return array


def _on_this_machine(thing: Any) -> Any:
    if is_sparse(thing):
        return thing.toarray()
    if hasattr(thing, "__dlpack__") and not hasattr(thing, "__array__"):
        return np.from_dlpack(thing)
    if not (callable(getattr(thing, "detach", None)) and callable(getattr(thing, "cpu", None))):
        return thing
    thing = thing.detach().cpu()
    if str(thing.dtype) in ("torch.bfloat16", "torch.float8_e4m3fn", "torch.float8_e5m2"):
        thing = thing.float()
    if "sparse" in str(getattr(thing, "layout", "")):
        thing = thing.to_dense()
    return thing.resolve_conj().resolve_neg() if hasattr(thing, "resolve_neg") else thing


def is_sparse(thing: Any) -> bool:
    """A sparse matrix or array of scipy, or of what is like it."""
    return callable(getattr(thing, "toarray", None)) and hasattr(thing, "nnz") and hasattr(thing, "shape")


def _require_room(thing: Any, what: str) -> None:
    """Refuse a sparse matrix that is too large when it is written out."""
    if not is_sparse(thing):
        return
    wanted = math.prod(thing.shape) * np.dtype(thing.dtype).itemsize
    if wanted > MAX_HELD:
        raise DataError(
            f"{what} is a sparse matrix of shape {tuple(thing.shape)}, which takes {wanted / 2**30:,.1f} GiB when it "
            f"is written out, more than {MAX_HELD // 2**30}. Give some of its rows: data[rows], chosen at random."
        )


def length(thing: Any) -> int | None:
    """How many there are; None where that is not said."""
    if is_sparse(thing):
        return int(thing.shape[0])
    try:
        return len(thing)
    except (TypeError, NotImplementedError, AttributeError):
        return None


def first_line(error: Exception) -> str:
    """The first line of what an error says, or its name."""
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
