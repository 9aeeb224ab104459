"""An option is declared once: every door is compared with its declaration, and a new one is at each of them."""

from __future__ import annotations

import importlib
import inspect
import re
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import numpy as np
import pytest
import typer
from typer.core import TyperOption
from typer.testing import CliRunner

import whygen
from whygen._arguments import Option, declared, documented, names_of, read_by, typed
from whygen.anchors.options import CONTROLS, PRESETS, AnchorArguments, AnchorOptions
from whygen.cli import common
from whygen.cli.app import app
from whygen.cli.commands import OneCommand
from whygen.cli.options import PANELS, Given, Offers, chosen, made, with_options
from whygen.cli.read import OF_ANCHORS
from whygen.errors import UsageError
from whygen.prompt.arguments import ForecastArguments, PromptArguments
from whygen.prompt.as_game import as_game
from whygen.prompt.distributions import DISTRIBUTIONS
from whygen.prompt.estimands import ESTIMANDS
from whygen.prompt.kernels import KERNELS
from whygen.prompt.operators import OPERATORS, OperatorOptions
from whygen.prompt.options import READ, PromptOptions
from whygen.prompt.plan import EMPTY, MATRICES, MODEL_NOISE
from whygen.prompt.reading import SCALES
from whygen.prompt.relevance import CHOICES
from whygen.prompt.surrogates import SURROGATES
from whygen.prompt.targets import TARGETS
from whygen.types import Settings

DOORS = [whygen.explain_prompt, whygen.forecast, as_game]


@documented
@dataclass(frozen=True, kw_only=True)
class Longer(PromptOptions):
    """Options with one more."""

    loudness: Annotated[
        Literal["loud", "quiet"], Option("How loud: {names}.", "Of all.", read_by=frozenset({"text", "game"}))
    ] = "quiet"


@typed(options=Longer)
def explain(model: object, prompt: str, *, seed: int = 0, **choices: Any) -> Longer:
    """Explain.

    Args:
        model: of any kind.
        **choices: more
            than one.

    Returns:
        What was chosen.
    """
    del model, prompt, seed
    return Longer(**choices)


def test_an_option_that_is_declared_is_at_every_door() -> None:
    found = declared(Longer)["loudness"]
    assert (found.default, found.help) == ("quiet", "How loud: loud or quiet.")
    assert inspect.signature(explain).parameters["loudness"].default == "quiet"
    assert "        loudness: How loud: loud or quiet. Of all.\n" in (explain.__doc__ or "")
    assert "**choices" not in (explain.__doc__ or "")
    assert "    loudness: How loud" in (Longer.__doc__ or "")
    assert explain("m", "p", loudness="loud").loudness == "loud"
    with pytest.raises(UsageError, match="Did you mean loudness='loud'"):
        explain("m", "p", loudnes="loud")
    assert [name for name in read_by(Longer, "game") if name not in read_by(PromptOptions, "game")] == ["loudness"]


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_every_door_shows_every_option_and_its_default(door: Any) -> None:
    shown = inspect.signature(door).parameters
    for each in declared(PromptOptions).values():
        assert each.name in shown
        assert shown[each.name].kind is inspect.Parameter.KEYWORD_ONLY
        if each.name != "preset":
            assert shown[each.name].default == each.default
    for name in set(declared(PromptOptions)) - {"preset"}:
        assert "Args:" not in (door.__doc__ or "") or f"\n        {name}: " in (door.__doc__ or "")


def test_evaluate_takes_the_options_that_it_reads() -> None:
    shown = set(inspect.signature(whygen.evaluate).parameters)
    wanted = read_by(PromptOptions, "evaluate")
    assert shown & set(declared(PromptOptions)) == wanted | {"budget"}  # budget is its own
    assert all(f"\n        {name}: " in (whygen.evaluate.__doc__ or "") for name in wanted)


def test_every_field_is_an_option_with_words_for_people() -> None:
    assert set(declared(PromptOptions)) == {field.name for field in fields(PromptOptions)}
    for each in declared(PromptOptions).values():
        assert each.text.endswith("."), each.name
        assert re.search(rf"^        {each.name}: ", PromptOptions.__doc__ or "", re.MULTILINE)


@pytest.mark.parametrize(
    ("door", "arguments"),
    [
        (whygen.explain_prompt, PromptArguments),
        (whygen.forecast, ForecastArguments),
        (whygen.explain_anchors, AnchorArguments),
    ],
)
def test_type_checkers_and_notebooks_see_the_same_arguments(door: Any, arguments: type) -> None:
    shown = inspect.signature(door).parameters
    taken = inspect.signature(arguments).parameters
    assert set(taken) == set(shown) - {"model", "prompt", "anchors"}
    assert all(shown[name].default == each.default for name, each in taken.items())


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("operator", OPERATORS),
        ("target", TARGETS),
        ("estimand", ESTIMANDS),
        ("kernel", KERNELS),
        ("scale", SCALES),
        ("surrogate", SURROGATES),
        ("model_noise", MODEL_NOISE),
        ("distribution", DISTRIBUTIONS),
        ("empty", EMPTY),
        ("irrelevant", CHOICES),
        ("matrix", MATRICES),
    ],
)
def test_the_names_that_editors_complete_are_those_there_are(name: str, known: Any) -> None:
    assert set(names_of(declared(PromptOptions)[name].hint)) - {"auto"} == set(known) - {"auto"}


def test_the_options_of_operators_are_options() -> None:
    names = {field.name for field in fields(OperatorOptions)}
    assert names <= set(declared(PromptOptions))
    assert names <= read_by(PromptOptions, "hierarchy") & read_by(PromptOptions, "game")


@pytest.mark.parametrize(("door", "options"), [("explain_prompt", PromptOptions), ("explain_anchors", AnchorOptions)])
def test_notebooks_complete_every_option(door: str, options: type) -> None:
    jedi = pytest.importorskip("jedi")
    found = jedi.Interpreter(f"whygen.{door}('m', 'p', ", [{"whygen": whygen}]).complete()
    assert {f"{name}=" for name in declared(options)} <= {each.name for each in found}


def test_a_literal_names_its_words_through_unions_and_annotations() -> None:
    hint = Annotated[Literal["a", "b"] | int | None, Option("x.")]
    assert names_of(hint) == ("a", "b")
    assert names_of(get_args(hint)[0]) == ("a", "b")
    assert names_of(int) == ()


def test_a_command_offers_what_is_declared_and_hands_over_what_was_typed() -> None:
    seen: list[Any] = []

    @with_options(Offers(Longer, "text"), Offers(Settings))
    def command(*, out: common.Out = None, given: Given) -> None:
        del out
        seen.append((chosen(Offers(Longer, "text"), given), made(Settings, given, seed=3)))

    app = typer.Typer()
    app.command(cls=OneCommand)(command)
    run = CliRunner().invoke
    shown = run(app, ["--help-all"], terminal_width=200).output
    assert "loud or quiet" in shown
    typed = ["--loudness", "loud", "--pin", "a", "--pin", "b", "--budget", "9", "--stop", "x", "--lexicon", "f.json"]
    assert run(app, typed).exit_code == 0
    assert run(app, []).exit_code == 0
    assert run(app, ["--budget", "many"]).exit_code == 2
    given = {"loudness": "loud", "pin": ["a", "b"], "budget": 9, "lexicon": Path("f.json")}
    assert seen == [(given, Settings(stop=("x",), seed=3)), ({}, Settings(seed=3))]


def test_the_choices_of_anchors_are_documented_and_named() -> None:
    for each in declared(AnchorArguments).values():
        assert each.text.endswith((".", "...")), each.name
    shown = whygen.explain_anchors.__doc__ or ""
    assert all(f"\n        {name}: " in shown for name in declared(AnchorArguments))
    assert set(names_of(declared(AnchorOptions)["controls"].hint)) == {"auto", "none", *CONTROLS}
    assert set(names_of(declared(AnchorArguments)["preset"].hint)) == set(PRESETS)
    assert AnchorOptions(alpha=0.1) == replace(AnchorOptions(), alpha=0.1)
    with pytest.raises(UsageError, match="alpha is 'high', of type str: give a number"):
        AnchorOptions(alpha="high")  # type: ignore[arg-type]


@pytest.mark.parametrize("command", ["prompt", "edit", "anchors"])
def test_the_help_begins_with_what_most_people_need(command: str) -> None:
    offered = typer.main.get_command(_app(command)).params
    panels = [each.rich_help_panel for each in offered if isinstance(each, TyperOption)]
    assert panels == sorted(panels, key=PANELS.index)
    needed = sum(not panel.startswith("For experts") for panel in panels)
    assert needed == 10 if command == "prompt" else needed < 10


def _app(name: str) -> typer.Typer:
    app = typer.Typer(add_completion=False)
    app.command()(getattr(importlib.import_module(f"whygen.cli.{name}"), name))
    return app


def test_reading_again_takes_what_is_declared_for_it() -> None:
    taken = set(inspect.signature(whygen.PromptExplanation.read).parameters) - {"self", "encoder"}
    assert taken == set(read_by(PromptOptions, READ))
    of_anchors = set(inspect.signature(whygen.AnchorExplanation.read).parameters) - {"self", "trained"}
    assert of_anchors == {each.name for each in OF_ANCHORS.options()}


class _Halves:
    """A generator of six numbers that are said twice or thrice."""

    def encode(self, samples: Any) -> Any:
        return samples[:, :2], samples[:, :2] * 0.0

    def decode(self, latents: Any) -> Any:
        return np.repeat(latents, 3, axis=1)


@pytest.mark.parametrize(
    ("name", "given", "nearest"),
    [
        ("calibration", "conformall", "conformal"), ("space", "pixel", "pixels"), ("level", "joined", "joint"),
        ("multiplicity", "benjamini-hochburg", "benjamini-hochberg"), ("condition", "label", "labels"),
        ("criteria", "kdl,sse", "kld"), ("select", "k-dispersal:8", "k-dispersion:8"), ("metrics", "fdi", "fid"),
        ("select", "k-dispersion:8,solver=exakt", "exact"), ("select", "k-medoids:3,metric=euclidian", "euclidean"),
        ("controls", "foils,generatd", "generated"), ("reference_role", "heldout", "held-out"),
        ("roles", "traning", "training"), ("preset", "pxgenn", "pxgen"), ("encoder", "patch", "patches"),
        ("layout", "nhwc", "NHWC"), ("layout", "NWHC", "NHWC"), ("mode", "rgb", "RGB"), ("scale", "logvars", "logvar"),
    ],
)  # fmt: skip
def test_a_misspelled_value_of_anchors_is_told_the_nearest_before_anything_is_asked(
    name: str, given: str, nearest: str
) -> None:
    samples = np.linspace(0.0, 1.0, 60, dtype=np.float32).reshape(10, 6)
    with pytest.raises(UsageError, match=rf"Did you mean '{nearest}'\?"):
        whygen.explain_anchors(_Halves(), samples, cache=None, **{name: given})


@pytest.mark.parametrize(
    ("option", "given", "nearest"),
    [
        ("layout", "NWHC", "NHWC"), ("mode", "rgb", "RGB"), ("scale", "logvra", "logvar"), ("criteria", "kdl", "kld"),
        ("space", "pixel", "pixels"), ("metrics", "fdi", "fid"), ("preset", "PXGEN", "pxgen"),
    ],
)  # fmt: skip
def test_a_misspelled_value_is_told_before_the_model_is_looked_for(option: str, given: str, nearest: str) -> None:
    ran = CliRunner().invoke(app, ["anchors", "py/not.there:x", "--anchors", "a.npy", f"--{option}", given])
    assert isinstance(ran.exception, UsageError)
    assert f"Did you mean '{nearest}'?" in str(ran.exception)


def test_a_misspelled_role_at_the_command_line_is_no_file() -> None:
    ran = CliRunner().invoke(app, ["anchors", "py/x:y", "--anchors", "a.npy", "--role", "traning"])
    assert isinstance(ran.exception, UsageError)
    assert "did you mean 'training'?" in str(ran.exception)
