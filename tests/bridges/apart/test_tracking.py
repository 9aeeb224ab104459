"""Explanations in the real MLflow, and in the real Weights & Biases without a network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.integration.test_export_anchors import explain

import whygen
from whygen.bridges.tracking import figures, log_to_mlflow, log_to_wandb
from whygen.results import PromptExplanation

pytestmark = pytest.mark.filterwarnings("default")


def prompt() -> PromptExplanation:
    return whygen.explain_prompt(
        lambda text: "yes" if "refund" in text else "no", "Grant the refund today <b>now</b>", target="exact",
        budget=40, cache=None,
    )  # fmt: skip


def test_mlflow_keeps_figures_table_and_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed here: `make test-bridges` has it")
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'runs.db'}")
    found = prompt()
    with mlflow.start_run() as run:
        log_to_mlflow(found)
        log_to_mlflow(explain(), name="anchors")
    kept = mlflow.MlflowClient().get_run(run.info.run_id).data.metrics
    assert kept["whygen/r2_heldout"] == found.fidelity.r2_heldout
    assert kept["whygen/significant"] == 1
    assert sum(kept[f"anchors/share_{name}"] for name in ("HIHE", "HILE", "LIHE", "LILE")) == pytest.approx(1.0)
    folder = Path(mlflow.artifacts.download_artifacts(run_id=run.info.run_id, dst_path=str(tmp_path / "got")))
    assert PromptExplanation.load(folder / "whygen") == found
    assert (folder / "whygen" / "report.html").is_file()
    table = json.loads((folder / "whygen" / "table.json").read_text())
    assert table["columns"][0] == "text"
    assert [row[0] for row in table["data"]] == [unit.text for unit in found.units]


def test_wandb_takes_figures_table_report_and_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb", reason="Weights & Biases is not installed here: `make test-bridges` has it")
    monkeypatch.chdir(tmp_path)
    for name in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    found = prompt()
    with wandb.init(mode="offline", project="test") as run:
        log_to_wandb(run, found)
        log_to_wandb(run, explain(), name="anchors")
        summary = dict(run.summary)
    assert summary["whygen/r2_heldout"] == found.fidelity.r2_heldout
    assert summary["whygen/table"]["nrows"] == len(found.units)
    table = next(tmp_path.rglob("*whygen/table*.table.json"))
    assert [row[0] for row in json.loads(table.read_text())["data"]] == [unit.text for unit in found.units]
    assert figures(found)["calls_asked"] == found.calls.asked
