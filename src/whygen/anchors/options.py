"""What can be chosen of an explanation by anchors: one frozen object, declared once, and presets that are such objects.

`explain_anchors`, ``whygen anchors`` and the documentation are made from the declarations (see `whygen.prompt.options`
for those of prompts). The presets are what the authors' code does (METHODS B5).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, ParamSpec, Protocol, TypeAlias, TypeVar, cast, get_args

from numpy.typing import NDArray

from whygen._arguments import Option, check_fields, declared, documented, short, told, typed
from whygen.anchors.criteria import CriterionLike
from whygen.anchors.features import FeatureEncoder
from whygen.anchors.selection import SELECTIONS
from whygen.anchors.selection.bulk import MedoidSolver
from whygen.anchors.set_metrics import wanted_metrics
from whygen.calls import DEFAULT_STORE, Progress, RunOptions
from whygen.encoders import ImageEncoder
from whygen.errors import UnknownNameError, UsageError, meant
from whygen.models.latent import Floats, Layout
from whygen.models.protocols import ModelOptions
from whygen.results.recipe import AskedRecord
from whygen.safe import without_secrets
from whygen.types import JsonValue

CalibrationName: TypeAlias = Literal["auto", "conformal", "mean-max", "percentile", "std"]
SpaceName: TypeAlias = Literal["auto", "pixels", "latent", "features", "criteria"]
LevelName: TypeAlias = Literal["per-criterion", "joint"]
MultiplicityName: TypeAlias = Literal["none", "benjamini-hochberg"]
ControlName: TypeAlias = Literal["untrained", "trivial", "foils", "generated"]
ConditionName: TypeAlias = Literal["none", "labels"]
PresetName: TypeAlias = Literal["pxgen", "pxgen-saturated"]
Labels: TypeAlias = Sequence[str | int] | NDArray[Any]

MOST_OF: Mapping[str, int] = MappingProxyType(
    {"rounds": 100_000, "per_round": 100_000_000, "replicates": 100_000, "bank": 10_000_000}
)
"""More of these would take weeks, or more memory than there is."""
CONTROLS: tuple[str, ...] = get_args(ControlName)
"""What shares are read against, by name; see `whygen.anchors.controls`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorChoices:
    """The choices that shape an explanation by anchors, as far as they are arguments of `explain_anchors`."""

    criteria: Annotated[
        str | Sequence[CriterionLike],
        Option(
            "What is measured of a sample: auto, or names such as kld,sse.",
            "Or `Criterion` objects, or callables (samples, reconstructions) -> (b,).",
            panel="What to measure",
        ),
    ] = "auto"
    calibration: Annotated[
        CalibrationName,
        Option("{names}: where thresholds come from.", "auto is conformal with a reference, else mean-max."),
    ] = "auto"
    alpha: Annotated[float, Option("Chance that a sample like the reference is called low; 0.025.")] = 0.025
    level: Annotated[LevelName, Option("{names}: whether alpha is for each criterion, or for all together.")] = (
        "per-criterion"
    )
    multiplicity: Annotated[
        MultiplicityName,
        Option("none, or benjamini-hochberg over the anchors.", "That bounds the share of false ones among the low."),
    ] = "none"
    rounds: Annotated[int, Option("R of mean-max.")] = 10
    per_round: Annotated[
        int,
        Option("N of mean-max.", "For percentile and std without a reference, how many samples the model generates."),
    ] = 10_000
    draws: Annotated[
        int | Literal["mean"],
        Option("Posterior draws that criteria are averaged over, 8; or mean, for the posterior mean."),
    ] = 8
    bank: Annotated[
        int,
        Option(
            "Generated samples that anchors are compared with, 5000.",
            "For the criteria nearest-sample and realism; more of them find nearer ones.",
            panel="For experts: the samples",
        ),
    ] = 5_000
    condition: Annotated[
        ConditionName,
        Option(
            "{names}: what a model that is told classes or captions is told of a sample.",
            "labels: the label of each anchor and reference sample; none: what stands for none, if the model has that.",
            panel="For experts: the samples",
        ),
    ] = "none"
    select: Annotated[
        str,
        Option(
            "How representatives are picked: k-dispersion:8, k-center:8,outliers=5 ...",
            "That is NAME:K, with options after commas.",
            panel="What to explain",
        ),
    ] = "k-dispersion:8"
    space: Annotated[
        SpaceName,
        Option(
            "{names}: where distances are measured.",
            "auto is features where there is an encoder, pixels of small simple images, else the latent.",
        ),
    ] = "auto"
    metrics: Annotated[
        str,
        Option(
            "Of generated samples against the reference, as sets: auto, all, none, or of fid,kid,precision,recall,"
            "density,coverage.",
            "auto is all where generated samples are at hand, else none; they are measured in the encoder's space.",
        ),
    ] = "auto"
    false_positives: Annotated[
        float,
        Option(
            "Share of held-out samples that may be called memorised, where anchors have roles; 0.05.",
            "Over all criteria together.",
        ),
    ] = 0.05
    controls: Annotated[
        ControlName | Literal["auto", "none"] | str,
        Option(
            "What shares are read against: auto (all that can be had), none, or of untrained,trivial,foils,generated.",
            "untrained is a copy with new random weights; trivial the mean, a flat and the nearest sample in the place "
            "of the reconstruction; foils are shuffled, noise, blends, other labels; generated is another calibration. "
            "They take about as long again as the scoring, less where there are many anchors.",
        ),
    ] = "auto"


@documented
@told
@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorOptions(AnchorChoices):
    """Every choice that shapes an explanation by anchors.

    Some are set by presets, or by an object like this, alone: ``percentile`` and ``deviations`` of the calibrations of
    these names, ``noise``, ``first``, ``members``, ``medoids``, ``loader`` and ``replicates``.
    """

    percentile: float = 95.0
    """For the calibration of that name."""
    deviations: float = 2.0
    """Standard deviations above the mean, for the calibration ``std``."""
    noise: Literal["shared", "independent"] = "shared"
    """Whether all samples share the noise of a draw, or each has its own as in the authors' code."""
    first: Literal["typical", "lowest-sum"] = "typical"
    """First pick of a selection: the typical member, or that of the lowest sum of the criteria."""
    members: Literal["sure", "all"] = "sure"
    """Which members may be picked: the sure ones (and few others where they are few), or all."""
    medoids: MedoidSolver = "faster-pam"
    """The solver of k-medoids unless ``select`` names one; ``voronoi`` is the published one."""
    loader: Literal["as-is", "saturating"] = "as-is"
    """``saturating``: every grey value of an anchor becomes white, as in the authors' loader."""
    replicates: int = 200
    """Other runs behind the flip rates."""

    def __post_init__(self) -> None:
        check_fields(self)
        for argument, given, known in (
            ("calibration", self.calibration, get_args(CalibrationName)),
            ("space", self.space, get_args(SpaceName)),
            ("level", self.level, get_args(LevelName)),
            ("multiplicity", self.multiplicity, get_args(MultiplicityName)),
            ("condition", self.condition, get_args(ConditionName)),
        ):
            if given not in known:
                raise UnknownNameError(argument, given, known)
        _ = self.wanted_controls
        _ = wanted_metrics(self.metrics)
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


@documented
@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorArguments(AnchorChoices):
    """What `explain_anchors` takes by name. Only the signature is used: editors complete what it shows."""

    reference: Annotated[
        object | None,
        Option("Real samples that the model has not seen; thresholds rest on them.", panel="What to explain"),
    ] = None
    reference_role: Annotated[
        Literal["held-out", "training"],
        Option("held-out; or training, if the model has seen the reference after all."),
    ] = "held-out"
    labels: Annotated[Labels | None, Option("Of the anchors: a file with one a line.", panel="What to explain")] = None
    twins: Annotated[
        object | None,
        Option(
            "Of each text: how many are made, 9; or a file of them.",
            "A twin is the same text with other numbers and names. Or your own: one, or equally many, for each text.",
            panel="For experts: the samples",
        ),
    ] = None
    baseline: Annotated[
        object | None,
        Option("A language model that has not seen the texts.", panel="For experts: the model"),
    ] = None
    fdr: Annotated[float, Option("Expected share of false ones among the texts called known by heart; 0.05.")] = 0.05
    roles: Annotated[
        str | Sequence[str] | None,
        Option(
            "What the anchors are to the model: training, held-out or foreign; or a file with one a line.",
            "One for all, or one for each; anchors may be given by role instead.",
            panel="For experts: the samples",
            flag="--role",
        ),
    ] = None
    preset: Annotated[
        PresetName | AnchorOptions | None, Option("pxgen, or pxgen-saturated: what the authors' code does.")
    ] = None
    encoder: Annotated[
        str | ImageEncoder | FeatureEncoder | None,
        Option(
            "Features of samples: patches, dinov2, a vision model's name or folder, or py/package.module:callable.",
            panel="What to measure",
        ),
    ] = None
    classifier: Annotated[
        Callable[[Floats], Any] | None,
        Option("Labels of samples: py/package.module:callable.", panel="For experts: the samples"),
    ] = None
    trained: Annotated[
        Sequence[Hashable] | NDArray[Any] | None,
        Option("Labels that the model was trained on, such as 0,1,7.", panel="For experts: the samples"),
    ] = None
    layout: Annotated[
        Layout | None, Option("Of arrays: flat, NHW, NHWC or NCHW.", panel="For experts: the samples")
    ] = None
    size: Annotated[
        tuple[int, int] | None,
        Option("Resize pictures to HxW, such as 28x28.", panel="For experts: the samples"),
    ] = None
    mode: Annotated[
        Literal["L", "RGB"] | None,
        Option("Convert pictures to L (grey) or RGB.", panel="For experts: the samples"),
    ] = None
    shape: Annotated[
        tuple[int | None, ...] | None,
        Option("Of one sample, where the model does not say: 28,28.", panel="For experts: the model"),
    ] = None
    value_range: Annotated[
        tuple[float, float] | None,
        Option("Lowest and highest value of samples: 0,1 or -1,1.", panel="For experts: the model"),
    ] = None
    scale: Annotated[
        Literal["logvar", "std", "var"] | None,
        Option("What encode returns beside the mean: logvar, std or var.", panel="For experts: the model"),
    ] = None
    seed: Annotated[int, Option("Of everything random.", panel="For experts: the run")] = 0
    cache: Path | str | None = DEFAULT_STORE
    options: ModelOptions | None = None
    progress: Progress | None = None
    run: RunOptions | None = None


P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)


class AnchorDoor(Protocol[P, R_co]):
    """A function of a model and anchors whose options editors complete."""

    def __call__(self, model: object, anchors: object, *args: P.args, **kwargs: P.kwargs) -> R_co: ...


def takes(arguments: Callable[P, object], *own: str) -> Callable[[Callable[..., R_co]], AnchorDoor[P, R_co]]:
    """As `whygen.prompt.arguments.takes`, for functions of anchors."""
    del arguments
    return cast("Callable[[Callable[..., R_co]], AnchorDoor[P, R_co]]", typed(*own, options=AnchorChoices))


OPTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "k-dispersion": ("solver", "drop_share", "neighbours"),
        "k-center": ("solver", "outliers"),
        "k-medoids": ("metric", "max_rounds", "solver"),
        "facility-location": ("metric",),
    }
)
DEFAULT = AnchorOptions()
PXGEN = AnchorOptions(
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
PRESETS: Mapping[str, AnchorOptions] = MappingProxyType(
    {"pxgen": PXGEN, "pxgen-saturated": replace(PXGEN, loader="saturating")}
)
"""``pxgen`` is what the authors' code (commit 3a44daa) does; ``pxgen-saturated`` with the slip of its loader."""


def choose_options(preset: str | AnchorOptions | None, given: Mapping[str, Any]) -> AnchorOptions:
    """A preset (None: the default) with every choice that is not None in place of its own.

    Raises:
        UnknownNameError: if there is no such preset.
    """
    if isinstance(preset, str) and preset not in PRESETS:
        raise UnknownNameError("preset", preset, PRESETS)
    base = DEFAULT if preset is None else PRESETS[preset] if isinstance(preset, str) else preset
    known = {field.name for field in fields(AnchorOptions)}
    return replace(base, **{name: value for name, value in given.items() if value is not None and name in known})


MOST_WRITTEN = 2_000
"""Characters of an argument that is written down; what is longer is given by hand."""


def asked_of(model: object, anchors: object, given: Mapping[str, Any]) -> AskedRecord:
    """What was asked, as far as it can be written down.

    Args:
        model: as it was given.
        anchors: as they were given.
        given: the other arguments by name. How the run was made (its deadline, its name) is no part of them.
    """
    defaults = {each.name: each.default for each in fields(AnchorArguments)}
    told = {
        name: value
        for name, value in given.items()
        if name != "run" and not (value is None or (isinstance(value, _PLAIN) and value == defaults.get(name)))
    }
    written = {name: _written(value) for name, value in {"model": model, "anchors": anchors, **told}.items()}
    kept: dict[str, Any] = {name: value for name, value in written.items() if value is not None}
    return AskedRecord(given=kept, by_hand=tuple(name for name, value in written.items() if value is None))


def read_since(asked: AskedRecord, changes: Mapping[str, Any]) -> AskedRecord:
    """What was asked, with the options by which its scores were read since: asked so, it says the same.

    Criteria stand apart. Those that were scored and are not read any more may still say what comes back.
    """
    written = {name: _written(value) for name, value in changes.items() if name not in ("criteria", *asked.by_hand)}
    criteria = changes.get("criteria")
    names = [each.strip() for each in criteria.split(",")] if isinstance(criteria, str) else criteria
    kept: dict[str, Any] = {name: value for name, value in written.items() if value is not None}
    return AskedRecord(
        given={**asked.given, **kept},
        by_hand=(*asked.by_hand, *(name for name, value in written.items() if value is None)),
        only=asked.only if names is None else tuple(names),
    )


_PLAIN = (str, int, float)


def _written(value: Any) -> JsonValue:
    """A text, a number, a path, a short list or mapping of these, or the options of a model; None for anything else."""
    if isinstance(value, ModelOptions):
        value = {name: each for name in declared(ModelOptions) if (each := getattr(value, name)) is not None}
    if isinstance(value, Mapping):
        named = cast("Mapping[Any, Any]", value)
        parts = _listed(list(named.values()))
        return None if parts is None else {str(name): each for name, each in zip(named, parts, strict=True)}
    return _listed(cast("Sequence[Any]", value)) if isinstance(value, list | tuple) else _one(value)


def _listed(values: Sequence[Any]) -> list[str | int | float] | None:
    parts = [_one(each) for each in values[: MOST_WRITTEN + 1]]  # a list of samples is not looked through
    known = [each for each in parts if each is not None]
    return known if len(known) == len(parts) and sum(len(str(each)) for each in known) <= MOST_WRITTEN else None


def _one(value: Any) -> str | int | float | None:
    if isinstance(value, int | float):
        return value
    text = str(value) if isinstance(value, str | Path) else None
    return None if text is None or len(text) > MOST_WRITTEN or without_secrets(text) != text else text


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
    name, colon, count = head.partition(":")
    if name.isascii() and name.isdigit() and not count:
        raise UsageError(f"select is {text!r}, which is how many, and not how. Type k-dispersion:{name}.")
    if name not in SELECTIONS:
        written, _, count = head.replace("=", ":", not colon).partition(":")
        raise UnknownNameError("selection", written, SELECTIONS, beside=f":{count}" if count else "")
    if count and not (count.isascii() and count.isdigit() and int(count) > 0):
        raise UsageError(f"select is {text!r}; give NAME:K with K at least 1, such as k-dispersion:8.")
    parsed: dict[str, int | float | str] = {}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals or key not in OPTIONS[name]:
            allowed = OPTIONS[name]
            raise UsageError(
                f"select is {text!r}; options of {name} are {', '.join(allowed)}, as name=value.{meant(key, allowed)}"
            )
        parsed[key] = _number(value)
    return Selecting(name, int(count or 8), parsed)


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
