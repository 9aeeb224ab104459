# pyright: basic
"""Products of many points on an accelerator, where there is one: distances and walks are made of them.

A product in single precision is as near to the true one on any device (no reduced formats are allowed), and whoever
uses it bounds its error or measures again by differences. So picks and neighbours are those of the processor.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from whygen.anchors.arrays import Points

WORTH: Final = 5e9
"""Multiplications from which on it is worth to bring points to an accelerator."""
HELD: Final = 0.5
"""Part of an accelerator's free memory that points may take."""


@cache
def accelerator() -> str | None:
    """The accelerator's name; None without one. torch is imported only where there is a sign of one."""
    if "torch" not in sys.modules and not any(map(Path.exists, map(Path, ("/dev/nvidiactl", "/dev/kfd")))):
        return None
    try:
        import torch
    except ImportError:
        return None
    return "cuda" if torch.cuda.is_available() else None


def chosen_device(device: str | None, multiplications: float) -> str | None:
    """The device as asked for; else an accelerator, where there is one and enough to do; None: numpy."""
    if device is not None:
        return device
    return accelerator() if multiplications >= WORTH else None


class OnDevice:
    """Points ``(n, dim)`` in single precision on a device.

    Args:
        points: held there whole, where they fit; else each part is brought when it is used.
        device: as torch names it.
    """

    def __init__(self, points: Points, device: str) -> None:
        import torch

        self._torch, self._device = torch, device
        self._points = points
        room = torch.cuda.mem_get_info()[0] * HELD if device.startswith("cuda") else np.inf
        self._held: Any = self._brought(points) if points.nbytes <= room else None

    def times(self, weights: NDArray[np.float32], rows: slice | None = None) -> NDArray[np.float32]:
        """Products of the points, or of some, with vectors ``(dim,)`` or ``(dim, k)``."""
        with self._full_precision():
            return (self._part(rows) @ self._brought(weights)).cpu().numpy()

    def nearest(
        self, asked: Points, rows: slice, squares: NDArray[np.float32], neighbours: int, *, own: bool
    ) -> NDArray[np.int64]:
        """For each of the points ``asked[rows]`` the place of its ``neighbours``-th nearest point.

        Args:
            asked: shape ``(m, dim)``.
            rows: which of them.
            squares: squared lengths of the points, ``(n,)``.
            neighbours: which neighbour.
            own: whether these are the points themselves, each not its own neighbour.
        """
        torch = self._torch
        with self._full_precision():
            block = self._brought(asked[rows])
            apart = self._brought(squares) - 2 * (block @ self._part(None).T)
            if own:
                places = torch.arange(len(block), device=self._device)
                apart[places, places + rows.start] = torch.inf
            found = torch.topk(apart, neighbours, dim=1, largest=False).indices[:, -1]
        return found.cpu().numpy().astype(np.int64)

    def _part(self, rows: slice | None) -> Any:
        if self._held is not None:
            return self._held if rows is None else self._held[rows]
        return self._brought(self._points if rows is None else self._points[rows])

    def _brought(self, array: NDArray[Any]) -> Any:
        plain = np.ascontiguousarray(array, dtype=np.float32)
        if not plain.flags.writeable:  # torch warns of arrays that are mapped into memory to be read
            plain = plain.copy()
        return self._torch.from_numpy(plain).to(self._device)

    def _full_precision(self) -> Any:
        """Without reduced formats, whatever the program has set: bounds rest on single precision."""
        if self._device.startswith("cuda"):
            return _without_tf32(self._torch)
        return self._torch.no_grad()


class _without_tf32:  # noqa: N801 - it is used as a function is
    def __init__(self, torch: Any) -> None:
        self._torch = torch

    def __enter__(self) -> None:
        self._before = self._torch.backends.cuda.matmul.allow_tf32
        self._torch.backends.cuda.matmul.allow_tf32 = False

    def __exit__(self, *raised: object) -> None:
        self._torch.backends.cuda.matmul.allow_tf32 = self._before
