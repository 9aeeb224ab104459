"""What strangers hand over is read within bounds: depth of JSON, unpacked size; and files take their place whole."""

from __future__ import annotations

import gzip
import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import whygen
from whygen.anchors import arrow, data, files
from whygen.calls import RecordedCall, open_store
from whygen.errors import DataError, FormatError, WhygenError
from whygen.models import Generator
from whygen.models.prices import read_prices
from whygen.prompt.chat_files import read_chat
from whygen.prompt.targets.structured import json_in
from whygen.remote.reading import Malformed, document
from whygen.safe import DEEPEST, read_json
from whygen.tables import read_parquet
from whygen.types import Output, Request

DEEP = ('{"a":' * 200 + "1" + "}" * 200, "[" * 200 + "]" * 200, "[" * 100_000, '[{"a":' * 60_000)


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@given(st.integers(1, 3 * DEEPEST))
def test_json_is_read_to_its_bound_and_no_deeper(depth: int) -> None:
    for text in (nested(depth), nested(depth).encode(), f'{{"a": {nested(depth - 1) or 1}, "b": ["[[[["]}}'):
        if depth <= DEEPEST:
            assert read_json(text) == json.loads(text)
        else:
            with pytest.raises(ValueError, match="nested deeper than 100 levels"):
                read_json(text)


def test_brackets_in_texts_and_beside_each_other_are_no_depth() -> None:
    wide = json.dumps([["[" * 500], *([[1]] * 500)])
    assert read_json(wide) == json.loads(wide)


@pytest.mark.parametrize("deep", DEEP)
def test_deep_json_is_refused_wherever_it_stands(deep: str, tmp_path: Path) -> None:
    file = tmp_path / "deep.json"
    file.write_text(deep, encoding="utf-8")
    for read, wanted in ((read_prices, DataError), (read_chat, DataError), (whygen.load, WhygenError)):
        with pytest.raises(wanted):
            read(file)
    with pytest.raises(Malformed):
        document(deep.encode())
    assert not any(list(json_in(deep)))


def test_a_saved_explanation_with_a_deep_document_is_damaged(tmp_path: Path) -> None:
    made = whygen.explain_prompt(lambda text: text, "a fox ran", target="token-set", cache=None, budget=16)
    folder = made.save(tmp_path / "saved")
    for name in ("explanation.json", "details.json"):
        kept = (folder / name).read_bytes()
        (folder / name).write_bytes(kept.rstrip()[:-1] + b',"x":' + DEEP[1].encode() + b"}")
        with pytest.raises(FormatError):
            whygen.load(folder)
        (folder / name).write_bytes(kept)
    assert whygen.load(folder).units == made.units


@pytest.mark.parametrize("honest", [True, False])
def test_a_table_that_unpacks_beyond_the_bound_is_refused(honest: bool, tmp_path: Path) -> None:
    """By its own word, or, where a dictionary hides the size, once so much was unpacked."""
    file = tmp_path / "bomb.parquet"
    cell = b"x" * 2**20
    column = pa.array([cell] * 64) if honest else pa.array([cell] * 64).dictionary_encode()
    pq.write_table(pa.table({"image": column}), file, compression="zstd", use_dictionary=not honest, store_schema=False)
    assert file.stat().st_size < 2**18
    with pytest.raises(ValueError, match="unpacks to over 16 MiB"):
        read_parquet(file, most=16 * 2**20)
    assert read_parquet(file, most=2**30).num_rows == 64


def test_anchors_behind_a_bomb_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for room in (arrow, files):
        monkeypatch.setattr(room, "MAX_BYTES", 2**20)
    pq.write_table(pa.table({"image": pa.array([b"x" * 2**20] * 8)}), tmp_path / "a.parquet", compression="zstd")
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros((4, 1024, 1024), np.float32))
    head = struct.pack(">HBB3I", 0, 8, 3, 64, 512, 512)
    (tmp_path / "a-ubyte.gz").write_bytes(gzip.compress(head + bytes(64 * 512 * 512)))
    for name in ("a.parquet", "a.npz", "a-ubyte.gz"):
        assert (tmp_path / name).stat().st_size < 2**17
        with pytest.raises(DataError, match=r"unpacks to|claims"):
            data.load_samples(tmp_path / name)


def recorded(path: Path, number: int) -> None:
    with open_store(path) as store:
        requests = [Request(prompt=f"story {each}") for each in range(number)]
        store.put_many([
            RecordedCall(key=request.digest, uri="test/x", identity={"uri": "test/x"}, request=request.to_json(),
                 output=Output(text="y" * 2000))
            for request in requests
        ])  # fmt: skip


EXPORT = """
import sys
from whygen.cli import main
main(["cache", "export", sys.argv[1], "--model", "test/x", "--cache", sys.argv[2]])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_kill_during_an_export_leaves_the_earlier_file(tmp_path: Path) -> None:
    store, file = tmp_path / "calls.sqlite", tmp_path / "out.jsonl"
    recorded(store, 4000)
    file.write_text("the earlier one", encoding="utf-8")
    process = subprocess.Popen([sys.executable, "-c", EXPORT, str(file), str(store)], stdout=subprocess.DEVNULL)
    while process.poll() is None and not list(tmp_path.glob(".out.jsonl.*")):
        time.sleep(0.0005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    if process.returncode != 0:
        assert file.read_text(encoding="utf-8") == "the earlier one"
    subprocess.run([sys.executable, "-c", EXPORT, str(file), str(store)], check=True, stdout=subprocess.DEVNULL)
    assert len(file.read_text(encoding="utf-8").splitlines()) == 4001


@pytest.mark.parametrize("how", ["same", "link", "hard link", "log"])
def test_an_export_onto_its_source_is_refused(how: str, tmp_path: Path) -> None:
    store = tmp_path / "calls.sqlite"
    recorded(store, 3)
    place = {"same": store, "log": tmp_path / "calls.sqlite-wal"}.get(how, tmp_path / "other")
    if how == "link":
        place.symlink_to(store)
    elif how == "hard link":
        os.link(store, place)
    with open_store(store):  # a reader keeps the log beside it
        done = subprocess.run(
            [sys.executable, "-c", EXPORT, str(place), str(store)], capture_output=True, text=True, check=False
        )
    assert done.returncode == 2
    assert "itself" in done.stderr
    with open_store(store) as kept:
        assert len(list(kept.calls())) == 3


def test_a_file_name_that_is_no_utf8_is_spelled_out_in_what_is_saved(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/scans/bl\xe4"
    os.makedirs(folder)
    rng = np.random.default_rng(0)
    for number in range(12):
        with open(folder + b"/caf\xe9%d.png" % number, "wb") as file:
            Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(file, "png")
    found = whygen.explain_anchors(
        Generator(sampler=lambda n, rng: rng.random((n, 8, 8), dtype=np.float32), shape=(8, 8), value_range=(0.0, 1.0)),
        tmp_path / "scans",
        reference=rng.random((60, 8, 8), dtype=np.float32),
        cache=None,
    )
    found.save(tmp_path / "kept")
    kept = whygen.load(tmp_path / "kept")
    assert kept.table()["name"][0].endswith("caf\\udce90.png")
    assert "caf" in kept.to_html()
