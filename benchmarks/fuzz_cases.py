"""Random command lines and Python calls: every option and argument there is, right values, wrong ones and odd ones.

What there is to draw from is read off the commands and the signatures, so that an option of tomorrow is drawn tomorrow.
"""

from __future__ import annotations

import inspect
import io
import json
import os
import random
import zipfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any, get_args, get_type_hints
from unittest.mock import patch

import numpy as np
from PIL import Image
from typer.main import get_command

import whygen
from whygen.anchors.data import load_samples
from whygen.calls import Budget, Rates, RunOptions
from whygen.cli.app import app
from whygen.encoders import load_image_encoder, load_text_encoder, load_timed_encoder
from whygen.evaluation.check import check
from whygen.media.films import read_video, video_of
from whygen.media.pictures import picture_from, picture_of, pixels, read_picture
from whygen.media.sounds import read_sound, sound_of
from whygen.models import ModelOptions, load_latent, load_model
from whygen.prompt.as_game import as_game
from whygen.prompt.options import PromptOptions
from whygen.prompt.targets import load_target, load_timed_target
from whygen.prompt.targets.media import load_picture_target
from whygen.results.summary import write_html
from whygen.types import Output, Picture, Settings, Sound, TokenScore, Video

# Cheap things to explain.


def answer(prompt: str) -> str:
    """A model of texts."""
    return "snow " * prompt.count("a") + ("fox" if "fox" in prompt else "")


def paint(prompt: whygen.Edit) -> Image.Image:
    """A model of pictures."""
    return Image.new("RGB", (8, 8), (len(prompt.instruction) % 256, 0, 0))


class Tiny:
    """A generative model of four by four values: two numbers of each sample."""

    def encode(self, samples: Any) -> tuple[Any, Any]:
        """Two means, and the log-variance of a narrow normal distribution."""
        mean = samples.reshape(len(samples), -1)[:, :2].astype(np.float64)
        return mean, np.full_like(mean, -4.0)

    def decode(self, latents: Any) -> Any:
        """The first number over the whole sample."""
        return np.clip(np.broadcast_to(latents[:, :1, None], (len(latents), 4, 4)), 0, 1)


class Likely:
    """A language model that finds every text likely, the longer the less."""

    def score(self, requests: Any) -> list[Output]:
        """A token a character."""
        return [self._one(request.continuation) for request in requests]

    def _one(self, text: str) -> Output:
        return Output(scores=tuple(TokenScore(place, place + 1, -1.0) for place in range(len(text))), finish="scored")


# Values.

PROMPTS = ("a fox ran", "Tell a fox a story.", 'Say "fox" now', "一只狐狸", "A fox. A b.", "a\n\nb", "a fox", "", " ",
           "fox", "@none", "-x", "é \u200b fox", "\ud800", "[1]", "{a} b", "\u202ea fox\u202c ran", "כתוב סיפור",
           "a\u0301 fo\u0308x", "🦊👩‍🚀 ran", "\x00", "fox\r\nran", "\udcff", "a fox ran " * 40)  # fmt: skip
MODELS = (*("py/benchmarks.fuzz_cases:answer",) * 20,
    "planted/additive", "gpt-4o", "vae.pt", "nope", "nope/x", "py/none:f", "py/benchmarks.fuzz_cases", "openrouter/x",
    "", "demo", "a b", "replay/none.jsonl", "py/math:pi", "openai/x", "hf/none/none", "py/benchmarks.fuzz_cases:paint",
    "\x1b[2J/x", "py/os:_exit.x", "azure/x", "n" * 300)  # fmt: skip
NUMBERS = ("0", "1", "2", "3", "8", "12", "16", "24", "40", "-1", "0.5", "0.9", "1e9", "nan", "inf", "-inf", "x", "",
           "1_0", "٣", "1e400", "9" * 400, "0x10", "1/2", "1,5", "٠.٥", "−1", " 3 ", "True")  # fmt: skip
WORDS = ("word", "sentence", "whitespace", "line", "wrd", "banzhaf", "shapley", "loo", "local", "ridge", "ols", "lasso",
    "pairs", "adaptive", "boosting", "delete", "placeholder", "synonym", "noise", "token-set", "tfidf", "edit", "exact",
    "label:fox,snow", "label:a", "json:a", "regex:(", "regex:s", "logprob", "logprob:x", "contains:fox", "tool",
    "refusal", "contrastive:x", "cosin", "include", "exclude", "count", "auto", "none", "energy", "mmd", "min-max",
    "gsmile", "dropped", "paragraph>sentence>word", "word>", "these", "like-these", "fox", "...", "", "\x1b[2J", "é",
    "a=1", "steps=3", "=", "{text}", "28x28", "4x4", "0x0", "L", "RGB", "logvar", "0,1", "k-center:2", "kld,sse",
    "unit 'fox' significant", "fidelity >= 0.5", "fidelty > 1", "no warning", "top 2 contains 'fox'", "calls < 100",
    "drift from . < 1", "auroc > 0", "faithfulness", "stability", "consistency", "accuracy", "regex:" + "(a+)+" * 9,
    "http://127.0.0.1:9", "http://[::1", "user:pass@x", "\u202efox", "a" * 5000)  # fmt: skip
RIGHT: Mapping[str, tuple[Any, ...]] = MappingProxyType({
    "text": ("a fox",), "chat": ("chat.json",), "inputs": ("inputs.txt",), "budget": (8, 16, 40),
    "units": ("word", "sentence", "whitespace"), "pin": (["fox"], ["a"]), "operator": ("delete", "placeholder"),
    "placeholder": ("...", "_"), "lexicon": ("words.tsv",), "estimand": ("banzhaf", "shapley", "loo", "local"),
    "target": ("token-set", "exact", "label:fox,snow", "contains:fox", "edit", "regex:f.x", "refusal"),
    "keep": (0.5, 0.8), "design": ("auto",), "kernel": ("dropped",), "regions": (4,), "fill": ("mean", "#808080"),
    "surrogate": ("ridge", "pairs", "auto", "ols"), "draws": (1, 2), "references": (1, 2),
    "distribution": ("energy", "mmd"), "tolerance": (0.1,), "stable": (1, 2), "empty": ("exclude", "include"),
    "irrelevant": ("count",), "hierarchy": ("sentence>word", "auto"), "interactions": (0, 2), "matrix": ("sentence",),
    "sets": (0, 4), "span": ("fox",), "temperature": (0.0, 0.5, 1.0), "max_tokens": (5, 64), "top_p": (0.9,),
    "stop": (["."],), "setting": ("steps=3", "name=fox"), "over": ("these", "like-these"), "token_budget": (500,),
    "deadline": (20.0, 0.001), "seed": (0, 7), "requests_per_minute": (6000.0,), "tokens_per_minute": (1e6,),
    "batch_size": (4,), "timeout": (5.0,), "max_calls": (5, 100), "max_cost": (1.0,), "model_noise": ("none",),
    "steps": (2,), "size": ("4x4", 8), "guidance_scale": (1.5,), "noise_seed": (3,), "strength": (0.5,),
    "anchors": ("tiny.npz",), "reference": ("tiny.npz", "out1"), "criteria": ("auto", "kld,sse", "sse"),
    "alpha": (0.1,), "bank": (30,),
    "calibration": ("conformal", "percentile"), "select": ("k-center:2", "k-dispersion:3"), "rounds": (1,),
    "per_round": (20,), "controls": ("none",), "level": ("joint",), "layout": ("NHW",), "scale": ("logvar",),
    "value_range": ("0,1", (0.0, 1.0)), "shape": ("4,4", (4, 4)), "space": ("pixels", "latent"), "mode": ("L",),
    "labels": ("labels.txt",), "metric": ("fidelity", "faithfulness"), "metrics": ("fidelity", ["fidelity"], "kid"),
    "roles": ("training",), "role": ("training",), "false_positives": (0.2,),
    "twins": (2, 3), "fdr": (0.1,),
    "rule": ("fidelity >= 0", "unit 'fox' significant", "no warning"), "rules": ("rules.txt", ["calls < 99"]),
    "strongest": (2,), "repeats": (1,), "out": ("made",), "cache": ("calls.sqlite",), "key": ("key.json",),
    "pick": ("last", "1", 1), "suspect": (["user message 1"], ["system"], ()), "within": (["user message 1"],),
    "older_than": ("1d",), "unknown": ("fail", "pass"), "targets": (["exact", "token-set"],), "mask": ("tiny.png",),
})  # fmt: skip
"""Values that are right for an option or an argument somewhere."""


class _HostileError(Exception):
    """Raised by what cannot be shown, compared or taken for true."""


class Hostile:
    """A thing of a stranger of which nothing can be asked."""

    def _refuse(self, *_: object) -> Any:
        raise _HostileError

    __bool__ = __len__ = __iter__ = __float__ = __eq__ = __hash__ = __getitem__ = _refuse


@dataclass(frozen=True)
class Fresh:
    """A value that is used up or changed by use: made anew each time it is drawn."""

    make: Callable[[], object]


def _circle() -> list[object]:
    circle: list[object] = []
    circle.append(circle)
    return circle


def _deep(levels: int) -> object:
    found: object = "fox"
    for _ in range(levels):
        found = {"a": [found]}
    return found


def values(files: Sequence[str]) -> list[Any]:
    """What may stand for any argument of a Python call."""
    numbers = [None, True, False, 0, 1, 2, 3, 8, 16, -1, 0.5, 1.5, float("nan"), float("inf"), -float("inf"), 1e300,
        10**12, 10**400, -(10**400), 10**5000, 1j, Decimal("0.5"), Decimal("NaN"), Fraction(1, 3), np.int64(4),
        np.uint8(3), np.float32(2), np.float64("nan"), np.bool_(True), np.str_("fox"), np.datetime64("2026-01-01"),
        timedelta(1)]  # fmt: skip
    lists = ["", "fox", b"bytes", bytearray(b"a"), memoryview(b"a"), [], ["fox"], [1], [None], [[]], (), (0, 3),
        [(0, 1)], [(0, 1), (5, 2)], [(-1, 99)], ["a", 1], ["a", "a"], range(3), {}, {"a": "b"}, {"fox": 1}, {1: 2},
        {"a": {"b": [1]}}, {None: None}, set(), {"fox"}, frozenset({1}), Fresh(lambda: iter(["a fox"])),
        Fresh(lambda: (n for n in range(3))), Fresh(lambda: map(str, [1])), Fresh(_circle), Fresh(partial(_deep, 5)),
        Fresh(partial(_deep, 3000)), Fresh(lambda: io.StringIO("a fox"))]  # fmt: skip
    arrays = [np.zeros(3), np.zeros((2, 3)), np.zeros((12, 4, 4)), np.zeros((0, 4, 4)), np.full((12, 4, 4), np.nan),
        np.array(["fox"]), np.array([None, 1]), np.array(3), np.zeros((3, 4, 4), dtype=complex),
        np.zeros(2, dtype=[("a", int)]), np.ma.masked_array([1.0, 2.0], [True, False]), np.eye(3, dtype=bool),
        np.zeros((2, 2, 2, 2, 2))]  # fmt: skip
    things = [object(), object, Hostile(), NotImplemented, ..., type, answer, paint, len, max, print, int, Tiny, Tiny(),
        lambda: "", lambda text: 3, lambda text: text[5], lambda text: None, lambda *_: _circle(), Path("none"),
        Path(), Path("out0"), Path("pipe"), Path("n" * 300), Path("\x00"), whygen, Image.new("L", (4, 4)),
        whygen.Chat(()), whygen.Chat((whygen.Message("user", "a fox"),)), whygen.Template("{a} b", {"a": "fox"}),
        Settings(), Settings(temperature=1.0), ModelOptions(), RunOptions(), Budget(calls=3), Rates(), PromptOptions(),
        Picture(b"x"), whygen.Edit(Picture(b"x"), "a")]  # fmt: skip
    return [*numbers, *lists, *arrays, *things, *WORDS, *PROMPTS, *files, *MODELS[19:], *NUMBERS]


# Command lines.


@dataclass(frozen=True)
class Command:
    """A command with its options: those that take a value, and flags."""

    words: tuple[str, ...]
    places: int
    valued: tuple[str, ...]
    flags: tuple[str, ...]


@cache
def commands() -> tuple[Command, ...]:
    """Every command of `whygen`, with those of other packages that are installed."""

    def leaves(words: tuple[str, ...], command: Any) -> Iterator[Command]:
        for name in command.list_commands(None) if hasattr(command, "commands") else ():
            yield from leaves((*words, name), command.get_command(None, name))
        if not hasattr(command, "commands"):
            options = [each for each in command.params if each.param_type_name == "option"]
            valued = tuple(name for each in options if not each.is_flag for name in each.opts)
            flags = tuple(name for each in options if each.is_flag for name in each.opts)
            yield Command(words, len(command.params) - len(options), valued, flags)

    return tuple(leaves((), get_command(app)))


STRAY = ("--help", "-h", "--version", "--nope", "--", "-", "--budgt", "--json=1", "-qx", "--out=made", "---")
SLOW = {"demo": ("--nope", "--seed=x", "--out=chat.json", "--help", "--out=" + "n" * 300),
        "reproduce": ("--seeds=x", "--rounds=0", "--out=chat.json", "--help", "--per-round=-1"),
        "view": ("--port=x", "--port=99999999", "--help", "--nope"),
        "mcp": ("--budget=x", "--nope", "--help", "--allow=none")}  # fmt: skip
"""Commands that take minutes, or never end, when all is right, each with what keeps it from that."""
RATES = ("requests_per_minute", "tokens_per_minute")
SLOW_RATES = ("0.5", "0.9", "1", "2", "3", "8", "12", "16", "24", "40", " 3 ", "1_0", "\u0663", "\u0660.\u0665")
"""A run that keeps to one of these takes minutes, as was asked for."""


def lines(rng: random.Random, files: Sequence[str]) -> Iterator[list[str]]:
    """Command lines without end: every second one asks for the explanation of a prompt."""
    everything = {command.words[0]: command for command in commands()}
    while True:
        drawn = rng.random()
        command = everything["prompt"] if drawn < 0.5 else everything["anchors" if drawn < 0.6 else "edit"]
        newer = everything[rng.choice(("why", "explain-many", "trim", "failures"))] if drawn > 0.94 else None
        command = command if drawn < 0.7 else newer or rng.choice(commands())
        line = [*command.words, *_placed(rng, command, files)]
        for _ in range(rng.choice((0, 1, 1, 2, 3))):
            flag = rng.choice(command.valued or command.flags or STRAY)
            line += [flag, _value(rng, flag, files)] if flag in command.valued else [flag]
        line += rng.choices(command.flags or STRAY, k=rng.random() < 0.3)
        line += rng.choices(STRAY, k=rng.random() < 0.04) + rng.choices(SLOW.get(line[0], ("",)), k=line[0] in SLOW)
        if rng.random() < 0.04:
            rng.shuffle(line)
        if rng.random() < 0.02:
            line = [rng.choice((line[0][:-1], line[0] + "o", "", "explain")), *line[1:]]
        yield line


def _placed(rng: random.Random, command: Command, files: Sequence[str]) -> list[str]:
    """What stands without an option's name, and the options that make most such lines right."""
    cheap = ["--budget", "16"] * (rng.random() < 0.9) + ["--target", "token-set"] * (rng.random() < 0.97)
    if command.words == ("prompt",):
        prompt = [rng.choice(PROMPTS[: 7 if rng.random() < 0.75 else None])] * (rng.random() < 0.95)
        return [rng.choice(MODELS), *prompt, *cheap, *["--no-cache"] * (rng.random() < 0.8)]
    if command.words == ("why",):
        call = "call.json" if rng.random() < 0.85 else rng.choice(files)
        model = ["--model", rng.choice(MODELS)] * (rng.random() < 0.9)
        return [call, *model, *cheap, *["--no-cache"] * (rng.random() < 0.8)]
    if rng.random() < 0.1:
        return rng.choices((*files, *PROMPTS, *MODELS), k=rng.choice((0, 1, 2, 3)))
    if command.words in {("explain-many",), ("trim",), ("failures",)}:
        return _of_files(rng, command, files)
    if command.words == ("edit",):
        model = "py/benchmarks.fuzz_cases:paint" if rng.random() < 0.9 else rng.choice(MODELS)
        picture = "tiny.png" if rng.random() < 0.85 else rng.choice(files)
        return [model, picture, rng.choice(PROMPTS[:7]), "--budget", "16", "--target", "pixel", "--no-cache"]
    if command.words == ("anchors",):
        roll = rng.random()
        model = "samples/tiny.npz" if roll < 0.3 else "py/benchmarks.fuzz_cases:Tiny"
        model = model if roll < 0.9 else rng.choice(MODELS)
        samples = "tiny.npz" if rng.random() < 0.85 else rng.choice(files)
        quick = ["--controls", "none", "--rounds", "1", "--per-round", "20"] * (rng.random() < 0.9)
        return [model, *["--anchors", samples] * (rng.random() < 0.95), "--shape", "4,4", *quick]
    return [("out0", "out1")[n % 2] if rng.random() < 0.7 else rng.choice(files) for n in range(command.places)]


def _of_files(rng: random.Random, command: Command, files: Sequence[str]) -> list[str]:
    """The same of commands that read many prompts, inputs or samples from a file."""
    right = {"explain-many": "prompts.jsonl", "trim": "fifty.jsonl", "failures": "results.json"}[command.words[0]]
    file = right if rng.random() < 0.85 else rng.choice(files)
    model, budget = rng.choice(MODELS), ["--budget", "16"] * (rng.random() < 0.9)
    if command.words == ("trim",):
        return [model, "Say {q}. Say a fox.", "--inputs", file, "--target", "token-set", "--no-cache"]
    if command.words == ("failures",):
        return [file, "--model", model, *budget, "--no-cache"]
    return [file, "--model", model, *budget, "--target", "token-set", *["--out", "many"], "--no-cache"]


def _value(rng: random.Random, flag: str, files: Sequence[str]) -> str:
    name = {"-o": "out"}.get(flag, flag.strip("-").replace("-", "_"))
    if name in RIGHT and rng.random() < 0.55:
        right = rng.choice(RIGHT[name])
        return str(right[0]) if isinstance(right, list) else str(right)
    drawn = rng.choice((rng.choice(NUMBERS), rng.choice(WORDS), rng.choice(PROMPTS), rng.choice(files)))
    return "6000" if name in RATES and drawn in SLOW_RATES else drawn


# Python calls.

FOREIGN = ("refrences", "buget", "x", "temperature", "money", "calls", "requests_per_minute", "max_cost", "self", "cls",
           "fox ran", "")  # fmt: skip
"""Names that most functions do not take."""


@cache
def keywords(function: Callable[..., object]) -> tuple[str, ...]:
    """The arguments that a function takes by name, those of a `TypedDict` behind ``**`` too."""
    names: list[str] = []
    for each in inspect.signature(function).parameters.values():
        if each.kind is each.VAR_KEYWORD:
            hint = get_type_hints(function, localns={"Game": object, "Axes": object}).get(each.name)
            names += getattr((get_args(hint) or (None,))[0], "__annotations__", {})
        elif each.kind is each.KEYWORD_ONLY or (inspect.isclass(function) and each.kind is not each.VAR_POSITIONAL):
            names.append(each.name)
    return tuple(names)


MAKERS: tuple[Callable[..., object], ...] = (
    Settings, ModelOptions, RunOptions, Budget, Rates, PromptOptions, Picture, Sound, Video, whygen.Message,
    whygen.Chat, whygen.Template, whygen.Edit,
)  # fmt: skip


Case = tuple[Callable[..., object], list[Any], dict[str, Any]]


def _doors(rng: random.Random, first: whygen.PromptExplanation, second: whygen.PromptExplanation) -> list[Case]:
    """Each function with arguments that are right, by place and by name."""
    prompt = rng.choice(PROMPTS[:7])
    template = whygen.Template("{a} fox b")
    cheap: dict[str, Any] = {"target": "token-set", "budget": 16, "cache": None}
    plain: dict[str, Any] = {"target": "token-set", "budget": 16}
    inputs = [{"a": "x y"}, {"a": "z a"}]
    quick: dict[str, Any] = {"controls": "none", "rounds": 1, "per_round": 20, "shape": (4, 4)}
    edit = whygen.Edit(Picture(Path("tiny.png").read_bytes()), prompt)
    samples = np.linspace(0, 1, 192).reshape(12, 4, 4)
    return [
        (whygen.explain_prompt, [answer, prompt], cheap),
        (whygen.explain_prompt, [paint, edit], {**cheap, "target": "pixel"}),
        (whygen.explain_prompt, [answer, whygen.Call.read("call.json")], cheap),
        (whygen.explain_prompt, [answer, template], {**cheap, "inputs": inputs}),
        (whygen.explain_anchors, [Tiny(), samples], quick),
        (whygen.explain_anchors, [Likely(), list(PROMPTS[:9])], {"twins": 2, "cache": None}),
        (whygen.explain_many, [answer, ["a fox ran", "a b"]], {**cheap, "out": None}),
        (
            whygen.trim,
            [answer, "Say {q}. Say a fox."],
            {"inputs": [{"q": f"a {n}"} for n in range(50)], "target": "token-set", "cache": None},
        ),
        (whygen.Call.read, ["call.json"], {}),
        (whygen.Call.read, ["prompts.jsonl"], {"pick": "last"}),
        (whygen.compare, [first, second], {}),
        (whygen.evaluate, [first], {"cache": None}),
        (whygen.load, ["out0"], {}),
        (check, [first, ["fidelity >= 0"]], {}),
        (whygen.forecast, [answer, prompt], plain),
        (whygen.forecast, [answer, template], {**plain, "inputs": inputs}),
        (load_model, [answer], {}),
        (load_latent, [Tiny()], {}),
        (load_target, ["token-set"], {}),
        (load_text_encoder, ["auto"], {}),
        (load_samples, ["tiny.npz"], {"argument": "anchors"}),
        (as_game, [answer, prompt], {"target": "token-set", "cache": None}),
        (load_image_encoder, ["patches"], {}),
        (load_timed_encoder, ["frames"], {}),
        (load_picture_target, ["pixel"], {}),
        (load_timed_target, ["auto"], {"kind": "frames"}),
        (read_picture, ["tiny.png"], {}),
        (picture_from, ["tiny.png"], {}),
        (picture_of, [np.zeros((4, 4, 3), np.uint8)], {}),
        (pixels, [edit.image], {}),
        (sound_of, [np.zeros(800), 8000], {}),
        (read_sound, ["tiny.wav"], {}),
        (video_of, [np.zeros((2, 4, 4, 3), np.uint8), 4.0], {}),
        (read_video, ["tiny.gif"], {}),
        (write_html, [first, "report.html"], {}),
        (first.save, ["made"], {}),
        (first.plot_attributions, [], {}),
        (whygen.PromptExplanation.load, ["out0"], {}),
        (whygen.AnchorExplanation.load, ["out0"], {}),
    ]


def calls(rng: random.Random, files: Sequence[str]) -> Iterator[Case]:
    """Python calls without end: a function, what it is given by place, and by name; every third explains a prompt."""
    pool, saved = values(files), [whygen.PromptExplanation.load(name) for name in ("out0", "out1")]
    while True:
        drawn, doors = rng.random(), _doors(rng, *saved)
        if drawn < 0.12:
            function, given, named = rng.choice(MAKERS), list[Any](), dict[str, Any]()
        else:
            function, given, named = doors[0] if drawn < 0.45 else rng.choice(doors)
            named = {name: value for name, value in named.items() if value is not ...}
            given = [_odd(rng, pool) if rng.random() < 0.08 else each for each in given]
            given = given[: rng.choice((0, 1))] if rng.random() < 0.02 else given
        own = keywords(function) or FOREIGN[:1]
        for _ in range(rng.choice((0, 1, 1, 2, 3)) if keywords(function) else 0):
            name = rng.choice(own) if rng.random() < 0.93 else rng.choice(FOREIGN)
            named[name] = _argument(rng, name, pool)
        if function in MAKERS and rng.random() < 0.3:
            given = [_odd(rng, pool) for _ in range(rng.choice((1, 2, 3)))]
        yield function, given, named


def _argument(rng: random.Random, name: str, pool: Sequence[Any]) -> Any:
    return rng.choice(RIGHT[name]) if name in RIGHT and rng.random() < 0.5 else _odd(rng, pool)


def _odd(rng: random.Random, pool: Sequence[Any]) -> Any:
    drawn = rng.choice(pool)
    return drawn.make() if isinstance(drawn, Fresh) else drawn


# Where they run.


@contextmanager
def workplace() -> Generator[list[str], None, None]:
    """A folder of its own to run in, and names of what lies there: two explanations, files right and wrong."""
    with TemporaryDirectory() as folder, chdir(folder):
        # An encoder's name is not looked up on a hub, and a key of whoever runs this is not used.
        clean = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
        clean |= {"XDG_CACHE_HOME": folder, "HF_HUB_OFFLINE": "1", "OPENAI_API_KEY": "sk-fuzzed"}
        with patch.dict(os.environ, clean, clear=True):
            place = Path(folder)
            right = _right_files(place)
            yield [*right, *_odd_files(place)]


def _right_files(place: Path) -> list[str]:
    for seed in (0, 1):
        whygen.explain_prompt(
            answer, "a fox ran", target="token-set", budget=16, seed=seed, cache=None, interactions=0
        ).save(place / f"out{seed}")
    asked = {"model": "planted/agent", "messages": [{"role": "user", "content": "a fox"}]}
    answered = {"choices": [{"message": {"role": "assistant", "content": "A fox."}, "finish_reason": "stop"}]}
    call = json.dumps({"request": asked, "response": answered})
    (place / "call.json").write_text(call, encoding="utf-8")
    (place / "chat.json").write_text('[{"role": "user", "content": "a fox"}]', encoding="utf-8")
    (place / "prompts.jsonl").write_text(f'"a fox ran"\n{{"prompt": "a b"}}\n{call}\n', encoding="utf-8")
    (place / "fifty.jsonl").write_text("".join(f'{{"q": "a {n}"}}\n' for n in range(50)), encoding="utf-8")
    (place / "results.json").write_text(json.dumps(_promptfoo()), encoding="utf-8")
    (place / "inputs.txt").write_bytes(b"\xff\xfea\x00\n\x00b\x00")
    (place / "words.tsv").write_text("fox\tdog\n", encoding="utf-8")
    (place / "rules.txt").write_text("fidelity >= 0.1\n", encoding="utf-8")
    (place / "labels.txt").write_text("0\n1\n" * 6, encoding="utf-8")
    np.savez(place / "tiny.npz", x=np.linspace(0, 1, 192).reshape(12, 4, 4))
    picture = Image.new("RGB", (8, 8), (200, 30, 30))
    picture.save(place / "tiny.png")
    picture.save(place / "tiny.gif", save_all=True, append_images=[Image.new("RGB", (8, 8))])
    (place / "tiny.wav").write_bytes(sound_of(np.zeros(800, np.float32), 8000).data)
    return ["out0", "out1", "chat.json", "call.json", "inputs.txt", "words.tsv", "rules.txt", "labels.txt", "tiny.npz",
            "prompts.jsonl", "fifty.jsonl", "results.json", "tiny.png", "tiny.gif", "tiny.wav", "@chat.json",
            "@inputs.txt", "made/report.html", "."]  # fmt: skip


def _promptfoo() -> dict[str, Any]:
    """Results of an evaluation with two failures."""
    rows = [
        {"provider": {"id": "openai:gpt-4o"}, "prompt": {"raw": f"Be brief. Say a fox {n}."}, "vars": {"n": n},
         "response": {"output": "a fox"}, "success": n > 1, "score": float(n > 1), "testIdx": n}
        for n in range(4)
    ]  # fmt: skip
    return {"version": 3, "results": {"version": 3, "results": rows, "prompts": []}}


def _odd_files(place: Path) -> list[str]:
    """What people point at by mistake, and what a disk or a stranger has spoilt."""
    os.mkfifo(place / "pipe")
    (place / "shut").write_text("a fox", encoding="utf-8")
    (place / "shut").chmod(0)
    (place / "round").symlink_to("round")
    (place / "gone").symlink_to("nowhere")
    (place / "bad.json").write_bytes(b"\x80{")
    (place / "deep.json").write_text("[" * 5000, encoding="utf-8")
    (place / "null.json").write_text("null", encoding="utf-8")
    (place / "nul.txt").write_bytes(b"a\x00fox")
    (place / "empty").write_bytes(b"")
    np.savez(place / "notes.npz", x=np.zeros((4, 64)))
    with zipfile.ZipFile(place / "notes.npz", "a") as archive:
        archive.writestr("README.txt", "notes")
    np.save(place / "object.npy", np.array([{}, None]), allow_pickle=True)
    np.save(place / "nan.npy", np.full((12, 4, 4), np.nan))
    for folder, cut in (("damaged", -7), ("halved", 200)):
        (place / folder).mkdir()
        for file in (place / "out0").iterdir():
            (place / folder / file.name).write_bytes(file.read_bytes()[:cut])
    (place / "set").mkdir()
    (place / "set" / "state.json").write_text('{"_data_files": [{}]}', encoding="utf-8")
    (place / "split").mkdir()
    (place / "split" / "dataset_dict.json").write_text("[]", encoding="utf-8")
    (place / "nothing").mkdir()
    (place / "a.parquet").write_bytes(b"PAR1" + bytes(40) + b"PAR1")
    (place / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    (place / "a.sqlite").write_bytes(b"SQLite format 3\x00" + bytes(84))
    return ["pipe", "shut", "round", "gone", "bad.json", "deep.json", "null.json", "nul.txt", "empty", "notes.npz",
            "object.npy", "nan.npy", "damaged", "halved", "set", "split", "nothing", "a.parquet", "a.png", "a.sqlite",
            "n" * 300, "/dev/null", "/dev/full", "@pipe", "@" + "n" * 300, "@empty", "none", "out0/explanation.json",
            "out0/arrays.safetensors", "chat.json/x"]  # fmt: skip
