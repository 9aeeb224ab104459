"""``whygen reproduce gsmile-life``: the published run on a real language model, by the preset and by the default.

The recorded prompts and answers are played back as a model, so both columns go through `explain_prompt`. The published
distances need the GoogleNews vectors (3.6 GB); without them the recorded distances are used, number by number.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import whygen
from whygen.encoders import TextEncoder
from whygen.errors import DataError, MissingError
from whygen.prompt.designs import Design
from whygen.prompt.targets import Target, Verb
from whygen.results.prompt import PromptExplanation, TargetRecord
from whygen.types import Floats, Masks, Output

NAME = "gsmile-life"
PACKAGED = Path(__file__).parent / "data" / "gsmile_life.json"
MAX_BYTES = 16 * 2**20
_FIELDS = ("prompt", "reference_output", "masks", "perturbed_prompts", "outputs", "output_wmd", "prompt_wmd")


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run on a real model: prompts, answers, and the two distances that were computed from them.

    Attributes:
        prompt: the whole prompt.
        reference: the answer to it.
        masks: shape ``(m, n)``.
        prompts: what was sent for each mask, scrambled as it was.
        outputs: what came back.
        output_distances: word mover's distance of each answer to the reference, shape ``(m,)``.
        prompt_distances: word mover's distance of each prompt to the whole prompt, shape ``(m,)``.
        published: coefficients as printed, shape ``(n,)``.
    """

    prompt: str
    reference: str
    masks: Masks
    prompts: tuple[str, ...]
    outputs: tuple[str, ...]
    output_distances: NDArray[np.float64]
    prompt_distances: NDArray[np.float64]
    published: tuple[float, ...]

    def answer(self, prompt: str) -> str:
        """The recorded answer: the run as a model."""
        known = {self.prompt: self.reference, **dict(zip(self.prompts, self.outputs, strict=True))}
        return known[prompt]


def load_run(path: Path | str | None = None) -> RecordedRun:
    """The run that comes with the package, or another file of the same layout.

    Raises:
        MissingError: if there is no such file.
        DataError: if it is not such a run.
    """
    file = PACKAGED if path is None else Path(path)
    if not file.is_file():
        raise MissingError(f"There is no recorded run at {str(path)!r}. Leave --data out to use the packaged one.")
    if file.stat().st_size > MAX_BYTES:
        raise DataError(f"{str(path)!r} is over {MAX_BYTES // 2**20} MiB: this is no recorded run.")
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        missing = [name for name in _FIELDS if name not in found]
    except (ValueError, TypeError) as error:
        raise DataError(f"{str(path)!r} is no JSON: {error}.") from None
    if missing:
        raise DataError(f"{str(path)!r} is no recorded run: it lacks {', '.join(missing)}.")
    published = found.get("published_coefficients") or found.get("expected", {}).get("published_coefficients", ())
    return RecordedRun(
        prompt=found["prompt"],
        reference=found["reference_output"],
        masks=np.array(found["masks"], dtype=bool),
        prompts=tuple(found["perturbed_prompts"]),
        outputs=tuple(found["outputs"]),
        output_distances=np.array(found["output_wmd"], dtype=np.float64),
        prompt_distances=np.array(found["prompt_wmd"], dtype=np.float64),
        published=tuple(published),
    )


@dataclass(frozen=True, slots=True)
class RecordedDistance:
    """The recorded word mover's distances between answers, as a target."""

    known: Mapping[str, float]
    verb: Verb = "answer"

    @property
    def record(self) -> TargetRecord:
        distance = "recorded word mover's distance (GoogleNews word2vec)"
        return TargetRecord(name="word-mover", distance=distance, unit="word mover's distance")

    def effects(self, outputs: Sequence[Output], references: Sequence[Output]) -> Floats:
        del references
        return -np.array([self.known[output.text] for output in outputs], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class RecordedKernel:
    """The published kernel on the recorded distances between prompts."""

    known: Mapping[str, float]
    width: float = 0.25
    name: str = "word-mover, recorded"

    def weights(self, masks: Masks, prompts: Sequence[str], whole: str) -> NDArray[np.float64]:
        del masks, whole
        distances = np.array([self.known[prompt] for prompt in prompts], dtype=np.float64)
        return np.sqrt(np.exp(-(distances**2) / self.width**2))


def by_preset(run: RecordedRun) -> PromptExplanation:
    """The published procedure on the recorded masks, prompts and distances."""
    design = Design(name="as recorded", masks=run.masks, groups=np.arange(len(run.masks)), prompts=run.prompts)
    between_answers = {run.reference: 0.0, **dict(zip(run.outputs, run.output_distances.tolist(), strict=True))}
    between_prompts = dict(zip(run.prompts, run.prompt_distances.tolist(), strict=True))
    return whygen.explain_prompt(
        run.answer,
        run.prompt,
        preset="gsmile",
        design=design,
        target=RecordedDistance(between_answers),
        kernel=RecordedKernel(between_prompts),
        cache=None,
    )


def by_default(
    run: RecordedRun, *, encoder: str | TextEncoder = "auto", target: str | Target = "auto"
) -> PromptExplanation:
    """The default estimand and target on the same answers: Banzhaf values over every recorded complement pair."""
    return whygen.explain_prompt(
        run.answer,
        run.prompt,
        budget=67,
        units="whitespace",
        design=paired(run),
        empty="exclude",
        target=target,
        encoder=encoder,
        cache=None,
    )


def paired(run: RecordedRun) -> Design:
    """The recorded masks as complement pairs; the full mask has no partner in the run and is left out."""
    row = {mask.tobytes(): index for index, mask in enumerate(run.masks)}
    first = sorted(index for index in row.values() if run.masks[index][-1] and (~run.masks[index]).tobytes() in row)
    order = [index for one in first for index in (one, row[(~run.masks[one]).tobytes()])]
    n = run.masks.shape[1]
    population = 2 ** (n - 1) - 1
    return Design(
        name="recorded complement pairs",
        masks=run.masks[order],
        groups=np.arange(len(order)) // 2,
        prompts=tuple(run.prompts[index] for index in order),
        population=population,
        drawn_from=2.0 * population,
    )


_READING = (
    "The default leaves out the empty prompt, which the run does not hold, and with it the full one. Where signs "
    "differ the questions do: the preset's target is rescaled over the run, its kernel weighs short prompts down, and "
    "six prompts carry filler words that their masks do not show."
)


def markdown(run: RecordedRun, preset: PromptExplanation, default: PromptExplanation) -> str:
    """Both explanations side by side."""
    rows = [
        f"| {unit.text} | {published:+.4f} | {unit.attribution:+.6f} | {_range(unit.low, unit.high)} | "
        f"{other.attribution:+.4f} |"
        for unit, other, published in zip(preset.units, default.units, run.published, strict=True)
    ]
    return "\n".join(
        [
            f"# gSMILE's published run: {run.prompt!r}",
            "",
            "Made by `whygen reproduce gsmile-life` from recorded prompts and answers (63 masks, one of them twice).",
            "",
            "| word | as printed | preset `gsmile` | its 95% interval (HC3) | default: Banzhaf value |",
            "|---|---|---|---|---|",
            *rows,
            "",
            "| figure | preset `gsmile` | default |",
            "|---|---|---|",
            *(_figure(name, preset, default) for name in ("r2_insample", "r2_chance", "r2_heldout")),
            f"| unit of the attributions | {preset.target.unit} | {default.target.unit} |",
            f"| masks | {preset.design}, {preset.masks} | {default.design}, {default.masks} |",
            "",
            _READING,
            "",
        ]
    )


def _range(low: float | None, high: float | None) -> str:
    return "none" if low is None or high is None else f"[{low:+.3f}, {high:+.3f}]"


def _figure(name: str, preset: PromptExplanation, default: PromptExplanation) -> str:
    label = {"r2_insample": "in-sample R2", "r2_chance": "its mean by chance", "r2_heldout": "held-out R2"}[name]
    one, other = getattr(preset.fidelity, name), getattr(default.fidelity, name)
    return f"| {label} | {_number(one)} | {_number(other)} |"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"
