"""Numbers of 100,000 anchors on their way to a page: one block of bytes, a JSON head and the arrays that it names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def packed(head: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """A head and arrays as one block: the length of the head in 4 bytes, the head as JSON, and the arrays.

    The head names each array with its type and its place; every array begins at a multiple of 8.
    """
    places, start = list[dict[str, Any]](), 0
    for name, array in arrays.items():
        places.append({"name": name, "type": array.dtype.name, "start": start, "length": array.size})
        start += -(-array.nbytes // 8) * 8
    text = json.dumps({**head, "arrays": places}, allow_nan=False).encode()
    text += b" " * (-(len(text) + 4) % 8)
    parts = [np.uint32(len(text)).tobytes(), text]
    for array in arrays.values():
        block = np.ascontiguousarray(array).tobytes()
        parts += [block, b"\0" * (-len(block) % 8)]
    return b"".join(parts)
