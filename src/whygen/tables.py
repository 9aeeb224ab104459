# pyright: basic
"""Tables from strangers, unpacked within a bound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def read_parquet(path: Path, *, most: int) -> pa.Table:
    """A table, unpacked no further than a bound: a small file can unpack to any size, and what it says of itself is
    its own word.

    Raises:
        ValueError: if it unpacks to more bytes than ``most``.
        OSError: if it cannot be read.
        pyarrow.ArrowException: if it is no parquet file.
    """
    left, batches = most, list[pa.RecordBatch]()
    with pq.ParquetFile(path) as file:
        groups = range(file.metadata.num_row_groups)
        if sum(file.metadata.row_group(group).total_byte_size for group in groups) > most:
            raise ValueError(f"it unpacks to over {most // 2**20:,} MiB")
        for batch in file.iter_batches(batch_size=256):
            left -= batch.nbytes
            if left < 0:
                raise ValueError(f"it unpacks to over {most // 2**20:,} MiB")
            batches.append(batch)
        return pa.Table.from_batches(batches, schema=batches[0].schema if batches else file.schema_arrow)


def read_rows(path: Path, *, most: int) -> list[dict[str, Any]]:
    """The rows of a parquet file, unpacked within a bound.

    Raises:
        ValueError: if it is no parquet file, or unpacks to more bytes than ``most``.
        OSError: if it cannot be read.
    """
    try:
        return read_parquet(path, most=most).to_pylist()
    except pa.ArrowException as error:
        raise ValueError(str(error)) from None
