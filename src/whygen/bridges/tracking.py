# pyright: basic
"""An explanation in MLflow and Weights & Biases: its figures, its table, and its folder with the report."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from whygen._arguments import typed
from whygen.errors import MissingExtraError
from whygen.results import AnchorExplanation, Explanation, PromptExplanation
from whygen.results.files import REPORT
from whygen.results.summary import write_html


def figures(explanation: Explanation) -> dict[str, float]:
    """The figures of an explanation that a run can be compared by; those that are not known are left out."""
    found: dict[str, float | None]
    if isinstance(explanation, PromptExplanation):
        fidelity, calls = explanation.fidelity, explanation.calls
        found = {
            "r2_heldout": fidelity.r2_heldout, "r2_chance": fidelity.r2_chance, "noise_ceiling": fidelity.noise_ceiling,
            "calls_asked": calls.asked, "calls_made": calls.made, "warnings": len(explanation.warnings),
            "significant": sum(unit.significant is True for unit in explanation.units),
        }  # fmt: skip
    else:
        shares = {f"share_{name.replace(' ', '_')}": group.share for name, group in explanation.groups.items()}
        found = {**shares, "warnings": len(explanation.warnings)}
        if isinstance(explanation, AnchorExplanation):
            found["flip_rate"] = explanation.mean_flip_rate
    return {name: float(value) for name, value in found.items() if value is not None}


@contextmanager
def _folder(explanation: Explanation) -> Generator[Path, None, None]:
    """The saved explanation with its report, for as long as it is read."""
    with TemporaryDirectory(prefix="whygen-") as place:
        folder = Path(explanation.save(Path(place) / "explanation"))
        write_html(explanation, folder / REPORT)
        yield folder


@typed()
def log_to_mlflow(explanation: Explanation, *, name: str = "whygen") -> None:
    """Write an explanation to the active run of MLflow: metrics ``name/...``, the table and the folder as artifacts.

    Args:
        explanation: of any kind.
        name: what stands before each metric, and the folder of the artifacts.

    Raises:
        MissingExtraError: if MLflow is not installed.
    """
    try:
        import mlflow  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise MissingExtraError("log_to_mlflow", extra="mlflow", package="mlflow") from None
    mlflow.log_metrics({f"{name}/{key}": value for key, value in figures(explanation).items()})
    mlflow.log_table(explanation.table(), f"{name}/table.json")
    with _folder(explanation) as folder:
        mlflow.log_artifacts(str(folder), name)


@typed("run")
def log_to_wandb(run: Any, explanation: Explanation, *, name: str = "whygen") -> None:
    """Write an explanation to a run of Weights & Biases: figures, a table, the report, and the folder as an artifact.

    Args:
        run: as ``wandb.init`` gives it.
        explanation: of any kind.
        name: what stands before each figure, and the name of the artifact.

    Raises:
        MissingExtraError: if Weights & Biases is not installed.
    """
    try:
        import wandb  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise MissingExtraError("log_to_wandb", extra="wandb", package="wandb") from None
    table = explanation.table()
    rows = [list(row) for row in zip(*table.values(), strict=True)]
    logged = {f"{name}/{key}": value for key, value in figures(explanation).items()}
    logged[f"{name}/table"] = wandb.Table(columns=list(table), data=rows, allow_mixed_types=True)
    with _folder(explanation) as folder:
        logged[f"{name}/report"] = wandb.Html((folder / REPORT).read_text(encoding="utf-8"), inject=False)
        run.log(logged)
        artifact = wandb.Artifact(name, type="explanation")
        artifact.add_dir(str(folder))
        run.log_artifact(artifact)
