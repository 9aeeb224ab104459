"""Whether a test turns red when a constant or a rule of the intervals of short and long prompts is changed on purpose.

Each mutation is made in a copy of the package, against which its test is run. The list and what it found are in
docs/decisions/0010-mutations.md.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
TESTS = ("tests/property/test_coverage.py", "tests/property/test_level_coverage.py")
FIT, STATS, PROMPT = "prompt/crossfit.py", "stats/intervals.py", "prompt/intervals.py"
OPENED = "prompt/long/levels.py"
EFFECTS, DESIGNS = "prompt/effects.py", "prompt/designs.py"

ERROR = "test_the_standard_error_is_that_of_a_mean_and_no_unit_has_less_than_the_average_variance"
SHARE = "test_what_was_asked_of_a_layer_takes_its_share_off_the_variance"
TAILS = "test_degrees_of_freedom_are_those_of_the_tails_times_the_share_that_a_fold_is_fitted_to"
NOISE = "test_noise_of_masks_that_are_known_is_added_and_never_over_what_the_scores_show"
MISSED = "test_noise_of_known_masks_is_what_was_missed_of_them_as_far_as_repeats_allow"
FLAT = "test_where_no_mask_differed_the_rule_of_three_says_how_far_one_may"
VERDICT = "test_an_estimate_is_significant_exactly_where_its_interval_excludes_zero"
CERTAIN = "test_an_estimate_without_error_is_certain"
LEVELS = "test_levels_and_limits_are_those_that_were_measured"
UNBIASED = "test_scores_are_unbiased_over_what_chance_may_draw"
COHERENT = "test_value_interval_and_verdict_never_contradict_each_other"
KNOWN = "test_masks_that_are_all_known_leave_nothing_to_chance"
ROUNDING = "test_rounding_has_no_sign_in_the_scale_of_the_effects"
BAND = "test_a_band_holds_all_units_at_once_where_intervals_one_by_one_do_not"
LIMITS = "test_limits_of_a_level_are_those_of_its_scores_its_sum_and_what_was_not_seen"
SURER = "test_no_value_of_a_level_is_surer_than_its_interval"


class Mutation(NamedTuple):
    """In a file of the package ``old`` becomes ``new``, and ``test`` should fail."""

    file: str
    old: str
    new: str
    test: str


MUTATIONS = (
    Mutation(FIT, "/ (groups - 1.0) / groups)", "/ groups / groups)", ERROR),
    Mutation(FIT, "spread = moderated(", "spread = (", ERROR),
    Mutation(STATS, "np.maximum(variance, variance.mean())", "np.minimum(variance, variance.mean())", ERROR),
    Mutation(STATS, "np.maximum(variance, variance.mean())", "np.maximum(variance, np.median(variance))", ERROR),
    Mutation(FIT, "* np.sqrt(self.unasked)[:, None]", "", SHARE),
    Mutation(FIT, "np.sqrt(self.unasked)[:, None]", "self.unasked[:, None]", SHARE),
    Mutation(FIT, "* (self.folds - 1.0) / self.folds", "", TAILS),
    Mutation(STATS, "np.maximum(kurtosis - 1.0, 1e-9)", "np.maximum(kurtosis, 1e-9)", TAILS),
    Mutation(STATS, "2.0 * groups / np.maximum(", "groups / np.maximum(", TAILS),
    Mutation(STATS, "min(2.0, groups - 1.0), groups - 1.0)", "min(2.0, groups - 1.0), groups)", TAILS),
    Mutation(FIT, "np.maximum(self.noise - self.shown, 0.0)", "self.noise", NOISE),
    Mutation(FIT, "np.minimum(noise, spread / np.maximum(self.shown, 1e-300))", "noise", NOISE),
    Mutation(FIT, "added = np.maximum(added, missed)", "added = added", MISSED),
    Mutation(FIT, "min(1.0, most / self.missed)", "1.0", MISSED),
    Mutation(FIT, "degrees = 3.0 * variance**2", "degrees = 1.0 * variance**2", MISSED),
    Mutation(STATS, "variance**2 / degrees for", "variance**2 for", MISSED),
    Mutation(FIT, "(1.0 - SEEN) ** (1.0 / groups)", "(1.0 - SEEN) ** (2.0 / groups)", FLAT),
    Mutation(FIT, "SEEN = 0.95", "SEEN = 0.9", FLAT),
    Mutation(FIT, "rate * self.reach * span", "rate * span", FLAT),
    Mutation(STATS, "stdtrit(degrees, 0.5 + level / 2)", "stdtrit(degrees, level)", VERDICT),
    Mutation(STATS, "stdtrit(self.degrees, 0.975)", "stdtrit(self.degrees, 0.95)", VERDICT),
    Mutation(STATS, "2.0 * stdtr(self.degrees, -ratio)", "stdtr(self.degrees, -ratio)", VERDICT),
    Mutation(STATS, "half = wider * self.half_width(level)", "half = self.half_width(level)", VERDICT),
    Mutation(STATS, "np.where(self.estimate == 0.0, 0.0, np.inf)", "np.full(len(self.estimate), np.inf)", CERTAIN),
    Mutation(PROMPT, "LEVEL = 0.95", "LEVEL = 0.9", LEVELS),
    Mutation(PROMPT, "LEVEL_OF_LOOKS = 0.96", "LEVEL_OF_LOOKS = 0.95", LEVELS),
    Mutation(FIT, "FEWEST_GROUPS = 4", "FEWEST_GROUPS = 3", LEVELS),
    Mutation(FIT, "(share[held] * left)[:, None]", "share[held][:, None]", UNBIASED),
    Mutation(FIT, "TRANSLATION = 0.5", "TRANSLATION = 1.0", COHERENT),
    Mutation(PROMPT, "error.p_values(level)", "error.p_values(0.9)", COHERENT),
    Mutation(EFFECTS, "size * np.log(keep)", "(n - size) * np.log(keep)", KNOWN),
    Mutation(DESIGNS, "return chance[::-1] / (1.0", "return chance / (1.0", UNBIASED),
    Mutation("stats/signs.py", "max(rounding, ", "max(0.0, ", ROUNDING),
    Mutation(STATS, "np.quantile(largest, level)", "np.quantile(largest, 0.5)", BAND),
    Mutation(OPENED, "scores.var(axis=0, ddof=1)", "scores.var(axis=0, ddof=0)", LIMITS),
    Mutation(OPENED, "deltas.std(ddof=1)", "deltas.std(ddof=0)", LIMITS),
    Mutation(OPENED, "variance = moderated(", "variance = (", LIMITS),
    Mutation(
        OPENED, "student_half_width(variance, degrees)", "student_half_width(variance, degrees, level=0.9)", LIMITS
    ),
    Mutation(OPENED, "np.hypot(own, whole / n)", "own", LIMITS),
    Mutation(OPENED, "(len(np.unique(observed.groups)) + 1.0)", "len(np.unique(observed.groups))", LIMITS),
    Mutation(OPENED, "np.sqrt(unseen) * span / (len(deltas) + 1.0)", "0.0", LIMITS),
    Mutation(OPENED, "stdtrit(degrees, 0.975)", "stdtrit(degrees, 0.95)", SURER),
)


def caught(mutation: Mutation, folder: Path) -> bool:
    """Whether the test fails with the mutation, in a copy of the package that ``folder`` holds.

    Raises:
        ValueError: if the file has no such place any longer.
    """
    source = ROOT / "src" / "whygen" / mutation.file
    text = source.read_text(encoding="utf-8")
    if mutation.old not in text:
        raise ValueError(f"{mutation.file} has no {mutation.old!r}: bring the list up to date.")
    target = folder / "whygen" / mutation.file
    target.write_text(text.replace(mutation.old, mutation.new, 1), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", mutation.test, *TESTS]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(folder)}, capture_output=True, check=False
        )
    finally:
        target.write_text(text, encoding="utf-8")
    return done.returncode == 1


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(ROOT / "src" / "whygen", folder / "whygen")
        found = [caught(mutation, folder) for mutation in MUTATIONS]
    for mutation, red in zip(MUTATIONS, found, strict=True):
        told = "yes" if red else "NO"
        print(f"| `{mutation.file}` | `{mutation.old}` | `{mutation.new}` | `{mutation.test}` | {told} |")
    print(f"{sum(found)} of {len(found)} turn a test red")


if __name__ == "__main__":
    main()
