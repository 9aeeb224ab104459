"""`whygen anchors MODEL --anchors PATH`: what a generative model has learned."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

import whygen
from whygen.anchors.explain import foresee_anchors
from whygen.anchors.options import AnchorArguments
from whygen.anchors.texts.explain import TextForecast
from whygen.anchors.work import AnchorForecast
from whygen.calls import RunOptions
from whygen.cli import common
from whygen.cli.names import complete_model
from whygen.cli.options import Given, Offers, chosen, made, option, with_options
from whygen.errors import UsageError, nearest
from whygen.models import ModelOptions
from whygen.plugins import NamedFunction, imported, source_of
from whygen.results.anchors_memorised import ROLES
from whygen.results.files import REPORT, make_folder
from whygen.results.summary import write_html
from whygen.texts import counted, read_text_file

RESULT = "stream.json"

DIGITS = "demo/digits-vae"


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in read_text_file(path, "The file of labels").split("\n") if line.strip()]


def _labels(text: str) -> list[str | int]:
    """Labels between commas; whole numbers are numbers."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return [int(part) if part.isdecimal() else part for part in parts]


def _shape(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--shape {text!r}: give whole numbers between commas, such as 28,28.") from None


def _size(text: str) -> tuple[int, int]:
    """Height and width: 28x28, or 28 for a square."""
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isascii() and part.isdecimal() and len(part) < 6 for part in parts):
        raise UsageError(f"--size {text!r}: give height x width in pixels, such as 28x28.")
    return int(parts[0]), int(parts[-1])


def _draws(text: str) -> int | Literal["mean"]:
    if text == "mean":
        return "mean"
    if not (text.isascii() and text.isdecimal()):
        raise UsageError(f"--draws {text!r}: give a whole number, or mean.")
    return int(text)


def _range(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--value-range {text!r}: give two numbers, such as 0,1 or -1,1.") from None
    return low, high


def _roles(text: str) -> str | list[str]:
    """One role for all, or a file with one a line."""
    if text in ROLES:
        return text
    path = Path(text)
    if not path.exists() and (near := nearest(text, ROLES)) is not None:
        raise UsageError(
            f"--role {text!r}: did you mean {near!r}? Give {', '.join(ROLES)}, or a file with one a line; there is no "
            "file of that name."
        )
    return _lines(path)


def _by_role(anchors: list[str]) -> object:
    """One path, or several by role.

    Raises:
        UsageError: if several paths are given, and not each has a role of its own.
    """
    parts = dict(each.split("=", 1) for each in anchors if each.partition("=")[0] in ROLES)
    if not parts and len(anchors) == 1:
        return anchors[0]
    if len(parts) < len(anchors):
        raise UsageError(
            "--anchors is given several times: give each a role of its own, --anchors training=PATH --anchors "
            "held-out=PATH --anchors foreign=PATH; or one folder, or one pattern, for all."
        )
    return parts


def _classifier(uri: str) -> Callable[..., Any]:
    """A function of the person's own, by its URI."""
    found = imported(uri.removeprefix("py/")) if uri.startswith("py/") and ":" in uri else None
    if not callable(found):
        raise UsageError(f"--classifier {uri!r} is no function: give py/package.module:callable.")
    return NamedFunction(found, uri, source_of(uri))


CHOICES = Offers(
    AnchorArguments,
    read={
        "labels": _lines,
        "roles": _roles,
        "trained": _labels,
        "shape": _shape,
        "size": _size,
        "draws": _draws,
        "value_range": _range,
        "classifier": _classifier,
    },
)


@with_options(CHOICES, Offers(RunOptions, but=("batch",)), Offers(ModelOptions))
def anchors(
    model: Annotated[
        str,
        typer.Argument(
            help="demo/digits-vae, diffusers/PATH, hf/PATH, samples/PATH (what a model made), py/module:callable.",
            autocompletion=complete_model,
        ),
    ],
    *,
    anchors: Annotated[
        list[str] | None,
        option(
            "What to explain",
            help="Folder of images, a picture, a pattern, .npz, .npy, .parquet, idx; texts: .txt, .jsonl, .csv#COLUMN. "
            "Several times as ROLE=PATH (training=, held-out=, foreign=).",
        ),
    ] = None,
    stream: Annotated[
        bool,
        option(
            "For experts: the run",
            "--stream",
            help="For more anchors than fit in memory: shard by shard, from one .npy or a folder of them; needs -o.",
        ),
    ] = False,
    selecting: Annotated[
        str,
        option("For experts: the run", help="With --stream: passes (one a pick), or candidates (one in all)."),
    ] = "passes",
    damaged: Annotated[
        str, option("For experts: the run", help="With --stream: stop at a shard that cannot be read, or skip it.")
    ] = "stop",
    how: common.Shared,
    given: Given,
) -> None:
    """Explain which anchors a generative model knows, invents, half-knows or fails."""
    samples = _samples(model, anchors)
    choices: dict[str, Any] = {
        **chosen(CHOICES, given),
        "options": made(ModelOptions, given),
        "run": made(RunOptions, given),
    }
    if how.dry_run:
        show_forecast(foresee_anchors(model, samples, cache=how.store, **choices), as_json=how.as_json)
        return
    if stream:
        streamed(model, samples, how, selecting=selecting, damaged=damaged, **choices)
        return
    common.explained(
        lambda: whygen.explain_anchors(model, samples, cache=how.store, progress=how.progress(), **choices), how
    )


def streamed(model: str, samples: object, how: common.Shared, **choices: Any) -> None:
    """Explain shard by shard; figures are in `stream.json`, what was explained in memory in a folder beside it."""
    from whygen.anchors.streaming import stream_anchors

    if how.out is None:
        raise UsageError("--stream writes scores as it goes: give a folder for them with -o FOLDER.")
    common.try_store(how.store)
    found = stream_anchors(model, samples, how.out, cache=how.store, progress=how.progress(), **choices)
    sample = how.out / "sample"
    found.sample.save(make_folder(sample))
    write_html(found.sample, sample / REPORT)
    if how.as_json:
        common.print_json(found.to_dict())
    elif not how.quiet:
        common.tell(
            f"{found.model}: {counted(found.n, 'anchor')} in {counted(found.shards, 'shard')}, "
            f"by {', '.join(found.criteria)}"
        )
        for each in found.groups:
            picked = found.picked.get(each.group)
            rows = "" if picked is None else f"; for example {', '.join(map(str, picked.rows[:4]))}"
            common.tell(f"{each.group}: {each.count:,} ({each.share:.1%}, {each.low:.1%} to {each.high:.1%}){rows}")
        for warned in found.warnings:
            common.say(warned.text)
        common.say(
            f"All figures: {how.out / RESULT}. {found.sample.n_anchors:,} of the anchors in full: {sample / REPORT}"
        )


def show_forecast(forecast: AnchorForecast | TextForecast, *, as_json: bool) -> None:
    """Print how much would be scored, and how much of that is recorded."""
    if as_json:
        common.print_json(asdict(forecast))
        return
    if isinstance(forecast, TextForecast):
        common.tell(f"{counted(forecast.texts, 'text')}; to score with their twins: {forecast.scored:,}")
        common.tell(f"to continue: {forecast.continued:,}; of all these {forecast.recorded:,} are recorded")
        common.tell("Nothing was asked.")
        return
    common.tell(f"{forecast.samples:,} samples, {forecast.recorded:,} of them recorded")
    common.tell(f"to encode: {forecast.encoded:,}; to decode: at most {forecast.decoded:,}; cost: none, it runs here")
    if forecast.generated:
        common.tell(f"to generate, for anchors to be held against: {forecast.generated:,}")
    common.tell("Nothing was scored.")


def _samples(model: str, anchors: list[str] | None) -> object:
    """What the person gave; the demo model brings its own digits (its reference it brings by itself)."""
    if anchors:
        return _by_role(anchors)
    if model != DIGITS:
        raise UsageError(
            "Say which samples to explain the model by: --anchors PATH (a folder, .npz, .npy or .parquet; texts of a "
            f"language model as .txt or .jsonl). Why it answers so: whygen prompt {shlex.quote(model)} 'PROMPT'."
        )
    from whygen.demo.digits import digits

    return digits("anchors")
