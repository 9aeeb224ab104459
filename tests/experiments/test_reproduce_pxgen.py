"""The reproduction of PXGen on a small stand-in for MNIST: every step runs and every table is there."""

# pyright: basic
from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from whygen.errors import DataError, MissingError
from whygen.stats.seeds import generator
from whygen_experiments.pxgen_mnist0 import IDX, Mnist, load_mnist, reproduce
from whygen_experiments.pxgen_mnist0_tables import figures, markdown, write

pytest.importorskip("torch")
from whygen_experiments.mlp_vae import Schedule, Sizes, train_mlp_vae


def drawn(labels: np.ndarray, seed: int) -> np.ndarray:
    """Rings for zeros, bars for ones, in shades that make each its own: copies count once."""
    rng = generator(seed, "stand-in")
    y, x = np.mgrid[:28, :28] - 13.5
    rings = np.abs(np.hypot(x, y)[None] - rng.uniform(6, 9, len(labels))[:, None, None]) < 1.5
    bars = np.abs(x[None] - rng.uniform(-4, 4, len(labels))[:, None, None]) < 1.5
    shade = rng.integers(160, 256, (len(labels), 28, 28))
    return np.where((labels == 0)[:, None, None], rings, bars).astype(np.uint8) * shade.astype(np.uint8)


@pytest.fixture(scope="module")
def mnist() -> Mnist:
    train, test = np.repeat([0, 1], [4080, 40]).astype(np.uint8), np.tile([0, 1], 30).astype(np.uint8)
    train = train[generator(0, "mix").permutation(len(train))]
    return Mnist(drawn(train, 0), train, drawn(test, 1), test)


def trainer(mnist: Mnist, seed: int) -> tuple[object, float]:
    data = (mnist.zeros[:400].reshape(400, -1) / 255).astype(np.float32)
    sizes, schedule = Sizes(values=784, hidden=32, latent=4), Schedule(epochs=15)
    return train_mlp_vae(data, seed=seed, sizes=sizes, schedule=schedule), 1.5


def test_every_step_runs_and_every_table_is_there(mnist: Mnist, tmp_path: Path) -> None:
    said: list[str] = []
    results = reproduce(mnist, seeds=(1, 2), rounds=2, per_round=100, trainer=trainer, say=said.append)
    assert [result.seed for result in results] == [1, 2]
    assert len(said) == 8
    text = markdown(results)
    for heading in ("Thresholds", "Groups by digit", "classifier", "k-center", "Seconds"):
        assert heading in text
    assert figures(results[0].explanations["default"])["zeros HIHE"] > 50
    page = write(results, tmp_path / "docs")
    assert (tmp_path / "docs" / "HIHE.png").is_file()
    assert "![HIHE](HIHE.png)" in page.read_text()
    assert all(line.count("|") == rows[0].count("|") for rows in _tables(text) for line in rows)


def _tables(text: str) -> list[list[str]]:
    blocks = [[line for line in block.splitlines() if line.startswith("|")] for block in text.split("\n\n")]
    return [block for block in blocks if block]


def test_mnist_is_read_from_idx_and_npz_and_nothing_else_passes_for_it(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"mnist\.npz"):
        load_mnist(tmp_path / "nowhere.npz")
    with pytest.raises(MissingError, match="train-images-idx3-ubyte"):
        load_mnist(tmp_path)
    for file in IDX.values():
        images = "images" in file
        header = (
            bytes([0, 0, 8, 3 if images else 1])
            + struct.pack(">I", 2)
            + (struct.pack(">II", 28, 28) if images else b"")
        )
        with gzip.open(tmp_path / f"{file}.gz", "wb") as stream:
            stream.write(header + bytes(2 * 784 if images else 2))
    with pytest.raises(DataError, match="is not MNIST"):
        load_mnist(tmp_path)
    np.savez(tmp_path / "mnist.npz", x=np.zeros(3))
    with pytest.raises(DataError, match="has no arrays"):
        load_mnist(tmp_path / "mnist.npz")
