"""`whygen reproduce NAME`: an experiment of the two papers, with its table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from whygen.cli import common
from whygen.errors import UnknownNameError, UsageError
from whygen.media.pictures import read_picture
from whygen.results.summary import write_html

if TYPE_CHECKING:
    from whygen_experiments.pxgen_cifar10 import Pictures, Workshop

PAINTER = "demo/painter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What was asked for on the command line; each experiment takes what it needs of it."""

    data: str | None
    out: Path
    seeds: tuple[int, ...] | None
    rounds: int | None
    per_round: int | None
    encoder: str
    model: str
    steps: int | None
    device: str | None
    quiet: bool

    def say(self, text: str) -> None:
        """One line for the person who waits."""
        if not self.quiet:
            common.say(text)


def reproduce(
    name: Annotated[
        str,
        typer.Argument(
            help="gsmile-life, gsmile-editing, pxgen-mnist0, pxgen-cifar10, pxgen-removal or pxgen-thresholds."
        ),
    ],
    *,
    data: Annotated[
        str | None,
        typer.Option(
            help="MNIST as .npz or a folder of idx files; CIFAR-10 as a .zip or a folder of pictures; another recorded "
            "run; the picture to edit."
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for tables.")] = Path("whygen-reproduce"),
    seeds: Annotated[
        str | None, typer.Option(help="Seeds of the training, with commas: 1,2,3; of CIFAR-10 1,2.")
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="R of the preset's mean-max: 100, as the authors; of CIFAR-10 10.")
    ] = None,
    per_round: Annotated[
        int | None, typer.Option(min=1, help="N of the preset's mean-max: 60,000, as the authors; of CIFAR-10 2,000.")
    ] = None,
    encoder: Annotated[
        str, typer.Option(help="For the default's column of gsmile-life; of pictures for gsmile-editing.")
    ] = "auto",
    model: Annotated[str, typer.Option(help="The editor of gsmile-editing: any that edits pictures.")] = PAINTER,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1, help="Denoising steps of gsmile-editing (the model's own); training steps on CIFAR-10, 1200."
        ),
    ] = None,
    device: common.Device = None,
    quiet: common.Quiet = False,
    debug: common.Debug = False,
) -> None:
    """Run an experiment of the papers and write its tables."""
    del debug
    if name not in EXPERIMENTS:
        raise UnknownNameError("experiment", name, EXPERIMENTS)
    wish = Wish(
        data=data, out=out, seeds=None if seeds is None else _numbers(seeds), rounds=rounds, per_round=per_round,
        encoder=encoder, model=model, steps=steps, device=device, quiet=quiet,
    )  # fmt: skip
    wish.say(f"Tables: {EXPERIMENTS[name](wish)}")


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"--seeds {text!r}: give whole numbers with commas, such as 1,2,3.") from None


def _pxgen_mnist0(wish: Wish) -> Path:
    from whygen_experiments import pxgen_mnist0, pxgen_mnist0_tables

    mnist = pxgen_mnist0.load_mnist(wish.data)
    results = pxgen_mnist0.reproduce(mnist, say=wish.say, **_given(wish, "seeds", "rounds", "per_round"))
    return pxgen_mnist0_tables.write(results, common.make_folder(wish.out))


def _pxgen_cifar10(wish: Wish) -> Path:
    from whygen_experiments import pxgen_cifar10, pxgen_cifar10_tables

    pictures, workshop = _workshop(wish)
    found = pxgen_cifar10.cifar10(pictures, workshop, **_given(wish, "seeds", "rounds", "per_round"))
    return pxgen_cifar10_tables.write("pxgen-cifar10", pxgen_cifar10_tables.cifar10(found), wish.out)


def _pxgen_removal(wish: Wish) -> Path:
    from whygen_experiments import pxgen_cifar10, pxgen_cifar10_tables

    pictures, workshop = _workshop(wish)
    rows = pxgen_cifar10.removal(pictures, workshop, **_given(wish, "seeds"))
    return pxgen_cifar10_tables.write("pxgen-removal", pxgen_cifar10_tables.removal(rows, pictures), wish.out)


def _pxgen_thresholds(wish: Wish) -> Path:
    from whygen_experiments import pxgen_cifar10, pxgen_cifar10_tables

    pictures, workshop = _workshop(wish)
    choices = _given(wish, "seeds", "rounds", "per_round")
    if wish.per_round is not None:
        choices["per_round"] = (wish.per_round,)
    rows = pxgen_cifar10.thresholds(pictures, workshop, **choices)
    return pxgen_cifar10_tables.write("pxgen-thresholds", pxgen_cifar10_tables.thresholds(rows, pictures), wish.out)


def _workshop(wish: Wish) -> tuple[Pictures, Workshop]:
    """Pictures; weights and scores stay in the folder of the results, where the next experiment finds them."""
    from whygen_experiments import pxgen_cifar10

    pxgen_cifar10.require_torch()
    pictures = pxgen_cifar10.load_pictures(wish.data)
    folder = common.make_folder(wish.out)
    workshop = pxgen_cifar10.Workshop(
        folder=folder / "models", recipe=_given(wish, "steps"), scores=folder / "scores.sqlite", say=wish.say
    )
    return pictures, workshop


def _given(wish: Wish, *names: str) -> dict[str, Any]:
    """Options that were given; the others are as the experiment has them."""
    return {name: value for name in names if (value := getattr(wish, name)) is not None}


def _gsmile_life(wish: Wish) -> Path:
    from whygen_experiments import gsmile_life

    run = gsmile_life.load_run(wish.data)
    preset, default = gsmile_life.by_preset(run), gsmile_life.by_default(run, encoder=wish.encoder)
    table = gsmile_life.markdown(run, preset, default)
    if not wish.quiet:
        common.tell(table)
    for name, explanation in (("preset", preset), ("default", default)):
        folder = common.make_folder(wish.out / name)
        explanation.save(folder)
        write_html(explanation, folder / "report.html")
    page = wish.out / f"{gsmile_life.NAME}.md"
    page.write_text(table, encoding="utf-8")
    return page


def _gsmile_editing(wish: Wish) -> Path:
    from whygen.encoders import load_image_encoder
    from whygen.models import ModelOptions, load_model
    from whygen_experiments.gsmile_editing import study, tables
    from whygen_experiments.gsmile_editing.questions import for_any, for_painter

    if wish.model != PAINTER and wish.data is None:
        raise UsageError(
            f"--model {wish.model!r}: give a picture to edit with --data PICTURE. Only {PAINTER} has its own scenes."
        )
    opened = load_model(wish.model, ModelOptions(device=wish.device))
    questions = for_any(read_picture(Path(wish.data))) if wish.data is not None else for_painter()
    folder = common.make_folder(wish.out)
    bench = study.Bench(
        model=opened,
        encoder=load_image_encoder(wish.encoder, device=wish.device),
        settings={} if wish.steps is None else {"steps": wish.steps},
        store=folder / "calls.sqlite",
    )
    results = study.reproduce(bench, questions, say=wish.say)
    return tables.write(results, folder)["md"]


EXPERIMENTS: dict[str, Callable[[Wish], Path]] = {
    "gsmile-editing": _gsmile_editing,
    "gsmile-life": _gsmile_life,
    "pxgen-cifar10": _pxgen_cifar10,
    "pxgen-mnist0": _pxgen_mnist0,
    "pxgen-removal": _pxgen_removal,
    "pxgen-thresholds": _pxgen_thresholds,
}
