"""SHAP 0.54, which needs Python 3.12: as 0.51."""

from __future__ import annotations

from benchmarks.rivals.adapters.shap import METHODS

__all__ = ["METHODS"]
