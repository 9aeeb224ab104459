"""An explanation by anchors made by hand, for tests of what is done with one."""

# pyright: basic
from __future__ import annotations

import numpy as np

from whygen.results.anchors import (
    GROUPS,
    AnchorEvidence,
    AnchorExplanation,
    CalibrationRecord,
    CoverageRecord,
    CriterionRecord,
    CurveRecord,
    Details,
    GroupRecord,
    LabelTableRecord,
    ReadingRecord,
    SelectionRecord,
    ThresholdRecord,
)
from whygen.results.prompt import Warned
from whygen.stats.seeds import generator


def anchor_explanation(n: int = 40, *, pictures: bool = True, label: str = "a") -> AnchorExplanation:
    rng = generator(0, "report")
    codes = np.arange(n, dtype=np.int8) % 4
    shown = np.arange(8)
    reading = ReadingRecord(label=None, group="HILE", count=10, read=7, share=0.7, low=0.4, high=0.9)
    images = rng.random((8, 6, 5, 1)).astype(np.float32) if pictures else None
    selection = SelectionRecord(
        name="k-dispersion", means="smallest distance", sense="max", objective=1.5, bound=3.0, gap=2.0, exact=False,
        metric="euclidean", first="nearest to the mean", diversity=2.0, covering_radius=1.0,
    )  # fmt: skip
    return AnchorExplanation(
        whygen="0",
        model=f"test/{label}",
        n_anchors=n,
        criteria=(
            CriterionRecord(name="kld", kind="intrinsic", unit="nats"),
            CriterionRecord(name="sse", kind="extrinsic", unit="squares"),
        ),
        calibration=CalibrationRecord(kind="conformal", n=79, role="held-out", alpha=0.025, level="per-criterion"),
        thresholds={"kld": 1.0, "sse": 1.2},
        groups={name: GroupRecord(count=n // 4, share=0.25, low=0.2, high=0.3) for name in GROUPS},
        mean_flip_rate=0.1,
        selected={name: (place, place + 4) for place, name in enumerate(GROUPS)},
        seed=0,
        versions={"whygen": "0"},
        warnings=(Warned(code="hile-majority", text=f"Look at {label}."),),
        details=Details(
            criteria_reason=f"because {label}", provenance="against 79 samples", realised_level=0.025,
            thresholds=(
                ThresholdRecord(criterion="kld", value=1.0, comparison="<=", spread=0.1),
                ThresholdRecord(criterion="sse", value=1.2, comparison="<=", spread=0.1),
            ),
            realised_low=0.01, realised_high=0.05, multiplicity="none", rounds=None, per_round=None,
            implied_quantile=None, draws=8, noise="shared", n_reference=79, reference_role="held-out",
            sources={"anchors": label}, bootstrap=dict.fromkeys(GROUPS, (0.1, 0.4)),
            label_table=LabelTableRecord(labels=(label, 1), counts=((10, 0, 5, 5), (0, 10, 5, 5))),
            delusion=(reading,), of_hile=reading, select="k-dispersion:2", space="pixels",
            selections=dict.fromkeys(GROUPS, selection), missable_mode=0.07, seconds={"criteria": 0.5},
            coverage=CoverageRecord(share=0.8, expected=0.97, normalised=0.82),
            curve=CurveRecord(counts=(1, 2, 3), radii=(3.0, 2.0, 1.9), enough=2),
        ),
        evidence=AnchorEvidence(
            draws=rng.random((2, n, 2)) * 2, codes=codes, flip_rate=rng.random(n), shown=shown,
            names=tuple(f"{label}{i}" for i in range(n)), labels=(label,) * n,
            originals=images, reconstructions=None if images is None else 1 - images,
        ),
    )  # fmt: skip
