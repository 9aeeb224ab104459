"""Run benchmarks by name, or all that need nothing but the installed package."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

NAMES = (
    "anchor_scores", "house",
    "first_minute", "coverage", "coverage_noise", "ceilings", "r2_interval", "significance", "sizes", "labels",
    "distances", "operators", "overhead", "editing", "store", "anchors_selection", "long_prompts", "long_pairs",
    "estimator_overhead", "methods", "aims", "coverage_default", "stochastic", "distance_ablation", "kernels",
    "prompt_length",
    "architectures", "templates", "templates_noise", "matrices_noise", "minimal", "chance_levels", "comparisons",
    "fuzz_doors", "shares", "runs_faults", "odd_servers", "foreign", "long_sounds", "agent", "memorised_texts",
    "units_of_calls", "picture_shares", "trim", "why_rules", "family_time",
)  # fmt: skip
NEED_EXTRA = ("remote", "editing_sizes", "selection_rivals", "agent_rivals")
"""The official client of OpenAI; diffusers; published code for selection; larpie and promptdebug."""
NEED_DATA = (
    "anchors_pipeline",
    "first_sentences",
    "flip_rates",
    "influence",
    "retrain",
    "anchor_ablations",
    "anchor_time",
    "audit",
    "generators",
    "planted_copies",
    "denoisers",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMES, help=f"of {', '.join(NAMES + NEED_EXTRA + NEED_DATA)}")
    parser.add_argument("--data", type=Path, help="folder with mnist.npz, for the benchmarks of the anchor wing")
    chosen = parser.parse_args()
    for name in chosen.names:
        print(f"\n# {name}\n", flush=True)
        importlib.import_module(f"benchmarks.{name}").main(chosen.data)


if __name__ == "__main__":
    main()
