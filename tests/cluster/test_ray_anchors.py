"""Anchors on a cluster: the figures of one process, shard by shard; what is damaged there is named here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from whygen.anchors.options import AnchorOptions
from whygen.anchors.streaming import AnchorStream, sources, stream_anchors
from whygen.errors import DataError, ModelError, UsageError
from whygen.models import ModelOptions

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
PLAN = AnchorOptions(replicates=20, controls="none", space="latent")


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "ROWS", 150)


def streamed(folder: Path, source: object, cluster: Any | None, uri: str = "py/planted_there:linear") -> AnchorStream:
    reference = np.random.default_rng(1).normal(size=(200, 6)).astype(np.float32)
    options = None if cluster is None else ModelOptions(executor="ray", address=cluster.address, workers=2)
    return stream_anchors(uri, source, folder, reference=reference, cache=None, preset=PLAN, options=options)


def saved(folder: Path) -> Path:
    anchors = np.random.default_rng(0).normal(size=(900, 6)).astype(np.float32)
    folder.mkdir()
    for number, part in enumerate(np.array_split(anchors, 2)):
        np.save(folder / f"part-{number}.npy", part)
    return folder


def test_anchors_on_a_cluster_are_those_of_one_process(cluster: Any, tmp_path: Path) -> None:
    source = saved(tmp_path / "parts")
    there, here = streamed(tmp_path / "there", source, cluster), streamed(tmp_path / "here", source, None)
    assert there.groups == here.groups
    assert there.picked == here.picked
    assert there.mean_flip_rate == here.mean_flip_rate
    for path in sorted((tmp_path / "here").glob("scores-*")):
        assert path.read_bytes() == (tmp_path / "there" / path.name).read_bytes()


def test_a_damaged_shard_is_named_and_what_came_before_is_kept(cluster: Any, tmp_path: Path) -> None:
    source = saved(tmp_path / "parts")
    whole = (source / "part-1.npy").read_bytes()
    (source / "part-1.npy").write_bytes(whole[:3000])
    with pytest.raises(DataError, match=r"part-1\.npy"):
        streamed(tmp_path / "out", source, cluster)
    (source / "part-1.npy").write_bytes(whole)
    assert streamed(tmp_path / "out", source, cluster).n == 900


def test_a_model_that_fails_on_workers_alone_is_said_once(cluster: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="only here"):
        streamed(tmp_path / "out", saved(tmp_path / "parts"), cluster, "py/planted_there:homesick")
    with pytest.raises(UsageError, match=r"\.npy files that every machine sees"):
        streamed(tmp_path / "out", np.zeros((90, 6), np.float32), cluster)


def test_a_shard_that_kills_its_workers_ends_the_run(cluster: Any, tmp_path: Path, log: Path) -> None:
    source = saved(tmp_path / "parts")
    anchors = np.load(source / "part-1.npy")
    anchors[101, 0] = 60.0  # between those that are tried here first
    np.save(source / "part-1.npy", anchors)
    with pytest.raises(ModelError, match="gave up on a shard"):
        streamed(tmp_path / "out", source, cluster, "py/planted_there:crashing")
    assert log.read_text().count("crashes") == 4
