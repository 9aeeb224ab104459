"""How an explanation is made, as data: the default, and what the authors' code does (METHODS B5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, Literal

from whygen._arguments import short
from whygen.anchors.criteria import CriterionLike
from whygen.anchors.selection import SELECTIONS
from whygen.anchors.selection.bulk import MedoidSolver
from whygen.errors import UnknownNameError, UsageError

CALIBRATIONS = ("auto", "conformal", "mean-max", "percentile", "std")
SPACES = ("auto", "pixels", "latent", "features", "criteria")
LEVELS = ("per-criterion", "joint")
MOST_OF: Mapping[str, int] = MappingProxyType({"rounds": 100_000, "per_round": 100_000_000, "replicates": 100_000})
"""More of these would take weeks, or more memory than there is."""
CONTROLS = ("untrained", "trivial", "foils", "generated")
"""What shares are read against, by name; see `whygen.anchors.controls`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every choice that shapes an explanation.

    Attributes:
        criteria: see `whygen.anchors.criteria.choose`.
        calibration: ``auto`` is conformal with a reference and mean-max without.
        alpha: level of conformal.
        level: what alpha is for: ``per-criterion`` or ``joint``.
        multiplicity: ``none`` or ``benjamini-hochberg``.
        percentile: for the calibration of that name.
        deviations: standard deviations above the mean, for ``std``.
        rounds: R of mean-max.
        per_round: N of mean-max; generated samples for percentile and std without a reference.
        draws: posterior draws, or ``mean``.
        noise: ``shared`` by all samples, or ``independent`` as in the authors' code.
        select: ``NAME:K``, with options after commas: ``k-center:8,outliers=5``, ``k-dispersion:8,solver=exact``.
        space: where distances are measured; ``auto``: features where there is an encoder, pixels of small simple
            images, else the latent.
        first: first pick of a selection: the ``typical`` member, or ``lowest-sum`` of the criteria.
        members: which members may be picked: the ``sure`` ones (and few others where they are few), or ``all``.
        medoids: the solver of k-medoids unless ``select`` names one: ``faster-pam``, or ``voronoi`` as published.
        loader: ``as-is``, or ``saturating``: every grey value of an anchor becomes white, as in the authors' loader.
        replicates: other runs behind the flip rates.
        controls: what shares are read against: ``auto`` (all), ``none``, or names of `CONTROLS` after commas.
    """

    criteria: str | Sequence[CriterionLike] = "auto"
    calibration: str = "auto"
    alpha: float = 0.025
    level: str = "per-criterion"
    multiplicity: Literal["none", "benjamini-hochberg"] = "none"
    percentile: float = 95.0
    deviations: float = 2.0
    rounds: int = 10
    per_round: int = 10_000
    draws: int | Literal["mean"] = 8
    noise: Literal["shared", "independent"] = "shared"
    select: str = "k-dispersion:8"
    space: str = "auto"
    first: Literal["typical", "lowest-sum"] = "typical"
    members: Literal["sure", "all"] = "sure"
    medoids: MedoidSolver = "faster-pam"
    loader: Literal["as-is", "saturating"] = "as-is"
    replicates: int = 200
    controls: str = "auto"

    def __post_init__(self) -> None:
        for argument, given, known in (
            ("calibration", self.calibration, CALIBRATIONS),
            ("space", self.space, SPACES),
            ("level", self.level, LEVELS),
        ):
            if given not in known:
                raise UnknownNameError(argument, given, known)
        _ = self.wanted_controls
        for name, most in MOST_OF.items():
            if not 1 <= getattr(self, name) <= most:
                raise UsageError(f"{name} is {short(getattr(self, name))}; give a whole number from 1 to {most:,}.")

    @property
    def wanted_controls(self) -> frozenset[str]:
        """Names of the controls to run.

        Raises:
            UnknownNameError: if there is no such control.
        """
        if self.controls in ("auto", "none"):
            return frozenset(CONTROLS if self.controls == "auto" else ())
        names = [name.strip() for name in self.controls.split(",")]
        for name in names:
            if name not in CONTROLS:
                raise UnknownNameError("control", name, (*CONTROLS, "auto", "none"))
        return frozenset(names)


OPTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "k-dispersion": ("solver", "drop_share", "neighbours"),
        "k-center": ("solver", "outliers"),
        "k-medoids": ("metric", "max_rounds", "solver"),
        "facility-location": ("metric",),
    }
)
DEFAULT = Plan()
PXGEN = Plan(
    criteria="kld,sse",
    calibration="mean-max",
    rounds=100,
    per_round=60_000,
    draws=1,
    noise="independent",
    select="k-dispersion:10",
    space="pixels",
    first="lowest-sum",
    members="all",
    medoids="voronoi",
    controls="none",
)
PRESETS: Mapping[str, Plan] = MappingProxyType({"pxgen": PXGEN, "pxgen-saturated": replace(PXGEN, loader="saturating")})
"""``pxgen`` is what the authors' code (commit 3a44daa) does; ``pxgen-saturated`` with the slip of its loader."""


def plan(preset: str | None, **given: Any) -> Plan:
    """The preset's plan (None: the default), with every argument that is not None in place of its own.

    Raises:
        UnknownNameError: if there is no such preset.
    """
    if preset is not None and preset not in PRESETS:
        raise UnknownNameError("preset", preset, PRESETS)
    base = DEFAULT if preset is None else PRESETS[preset]
    known = {field.name for field in fields(Plan)}
    return replace(base, **{name: value for name, value in given.items() if value is not None and name in known})


@dataclass(frozen=True, slots=True)
class Selecting:
    """A parsed ``select`` argument."""

    name: str
    k: int
    options: Mapping[str, int | float | str]


def parse_select(text: str) -> Selecting:
    """``NAME:K`` or ``NAME:K,option=value``.

    Raises:
        UnknownNameError: if no selection has that name.
        UsageError: if K is no whole number of at least 1, or an option is not ``name=value``.
    """
    head, *options = (part.strip() for part in text.split(","))
    name, _, count = head.partition(":")
    if name not in SELECTIONS:
        raise UnknownNameError("selection", name, SELECTIONS)
    if count and not (count.isascii() and count.isdigit() and int(count) > 0):
        raise UsageError(f"select is {text!r}; give NAME:K with K at least 1, such as k-dispersion:8.")
    parsed: dict[str, int | float | str] = {}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals or key not in OPTIONS[name]:
            raise UsageError(f"select is {text!r}; options of {name} are {', '.join(OPTIONS[name])}, as name=value.")
        parsed[key] = _number(value)
    return Selecting(name, int(count or 8), parsed)


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
