"""Random command lines and Python calls against a cheap function: how each ends.

A run ends well (a result, exit 0 or 4), or with an error that whygen raises on purpose. A traceback, a raw `TypeError`
or any other foreign error, "did not foresee", or no end within a minute is a fault.

    python -m benchmarks.fuzz_doors --runs 10000 --seed 0
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import signal
import sys
import tempfile
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import whygen
from benchmarks import record
from whygen.cli import main as command_line
from whygen.errors import WhygenError
from whygen.evaluation.check import check
from whygen.models import ModelOptions
from whygen.prompt.foresee import foresee_prompt
from whygen.prompt.options import PromptOptions
from whygen.runs import Budget, Rates, RunOptions
from whygen.types import Picture, Settings

SECONDS = 60


def answer(prompt: str) -> str:
    """The cheap model."""
    return "snow " * prompt.count("a") + ("fox" if "fox" in prompt else "")


class _EndlessError(BaseException):
    """A case took over a minute; no handler of errors swallows it."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How one case ended: ``fine``, a kind of error, or a fault with what shows it."""

    how: str
    fault: str | None = None


# Pools: what is right here or there, and what is right nowhere.

PROMPTS = ("a fox ran", "Tell a fox a story.", 'Say "fox" now', "一只狐狸", "A fox. A b.", "a\n\nb",
           "a fox", "", " ", "fox", "@none", "-x",
           "é \u200b fox", "\ud800", "[1]", "{a} b")  # fmt: skip
MODELS = ("py/benchmarks.fuzz_doors:answer",) * 12 + (
    "planted/additive", "gpt-4o", "vae.pt", "nope", "nope/x", "py/none:f", "py/benchmarks.fuzz_doors",
    "openrouter/x", "",
    "demo", "a b", "replay/none.jsonl", "py/math:pi",
)  # fmt: skip
NUMBERS = (
    "0",
    "1",
    "2",
    "3",
    "8",
    "12",
    "16",
    "24",
    "40",
    "-1",
    "0.5",
    "0.9",
    "1e9",
    "nan",
    "inf",
    "x",
    "",
    "1_0",
    "٣",
)
WORDS = ("word", "sentence", "whitespace", "line", "wrd", "banzhaf", "shapley", "loo", "local", "ridge", "ols", "lasso",
         "pairs", "adaptive", "delete", "placeholder", "synonym", "noise", "token-set", "tfidf", "edit", "exact",
         "label:fox,snow", "label:a", "json:a", "regex:(", "regex:s", "logprob", "logprob:x", "contains:fox",
         "tool", "refusal",
         "contrastive:x", "cosin", "include", "exclude", "count", "sentence", "auto", "none", "energy", "mmd",
         "min-max",
         "gsmile", "dropped", "paragraph>sentence>word", "word>", "these", "like-these", "fox", "...", "", "\x1b[2J",
         "é", "a=1", "steps=3", "=", "{text}")  # fmt: skip
FLAGS = (
    "--json",
    "--quiet",
    "-q",
    "--no-cache",
    "--debug",
    "--dry-run",
    "--help",
    "--version",
    "--nope",
    "--",
    "-o",
    "-",
)
PROMPT_FLAGS = (
    "--text", "--chat", "--inputs", "--preset", "--budget", "--units", "--pin", "--operator", "--placeholder",
    "--lexicon",
    "--infill", "--paraphraser", "--instruction", "--noise", "--target", "--encoder", "--estimand", "--keep",
    "--kernel",
    "--design", "--scale", "--surrogate", "--draws", "--references", "--distribution", "--tolerance", "--stable",
    "--empty", "--irrelevant", "--hierarchy", "--interactions", "--matrix", "--sets", "--span", "--temperature",
    "--max-tokens", "--top-p", "--stop", "--setting", "--over", "--max-cost", "--token-budget", "--deadline",
    "--requests-per-minute", "--tokens-per-minute", "--out", "--seed", "--base-url", "--endpoint", "--device",
    "--dtype",
    "--batch-size", "--timeout", "--batch",
)  # fmt: skip
OTHERS = (
    "evaluate",
    "compare",
    "check",
    "report",
    "models",
    "cache",
    "batch",
    "ratings",
    "anchors",
    "edit",
    "demoo",
    "list",
    "doctor",
    "anchors demo/digits-vae",
    "edit demo/painter",
    "cache list",
    "cache export",
    "cache clear",
    "batch list",
    "ratings export",
    "ratings score",
)
EVALUATE_FLAGS = ("--controls", "--criteria", "--draws", "--size", "--value-range", "--classifier", "--cache", "--out",
                  "--metric", "--labels", "--model", "--budget", "--repeats", "--paraphrase", "--other", "--encoder",
                  "--target", "--placeholder", "--seed", "--markdown", "--strongest", "--rule", "--rules",
                  "--unknown",
                  "--randomised", "--lexicon", "--anchors", "--reference", "--alpha", "--select")  # fmt: skip
METRICS = ("fidelity", "faithfulness", "stability", "consistency", "fidelty", "accuracy", "fidelity >= 0.5",
           "fidelty > 1",
           "unit 'fox' significant", "no warning", "top 2 contains 'fox'", "calls < 100", "auroc > 0",
           "drift from . < 1")  # fmt: skip


def lines(rng: random.Random, files: Sequence[str]) -> Iterator[list[str]]:
    """Command lines without end."""
    while True:
        yield _prompt_line(rng, files) if rng.random() < 0.75 else _other_line(rng, files)


def _prompt_line(rng: random.Random, files: Sequence[str]) -> list[str]:
    prompt = rng.choice(PROMPTS[: 7 if rng.random() < 0.8 else None])
    line = ["prompt", rng.choice(MODELS)] + [prompt] * (rng.random() < 0.95)
    line += ["--target", "token-set"] * (rng.random() < 0.85) + ["--budget", "16"] * (rng.random() < 0.85)
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        flag = rng.choice(PROMPT_FLAGS)
        line += [flag, _value(rng, files, flag)]
    line += [rng.choice(FLAGS)] * (rng.random() < 0.3) + ["--no-cache"]
    if rng.random() < 0.05:
        rng.shuffle(line)
    return line


def _other_line(rng: random.Random, files: Sequence[str]) -> list[str]:
    line = [*rng.choice(OTHERS).split(), *rng.choices((*files, "none"), k=rng.choice((0, 1, 1, 2)))]
    for _ in range(rng.choice((0, 1, 2))):
        line += [rng.choice(EVALUATE_FLAGS), rng.choice((*METRICS, _value(rng, files)))]
    return line + [rng.choice(FLAGS)] * (rng.random() < 0.3)


RIGHT = {
    "--text": ("a fox",), "--chat": ("chat.json",), "--inputs": ("inputs.txt",), "--budget": ("8", "16", "40"),
    "--units": ("word", "sentence", "whitespace"), "--pin": ("fox", "a"), "--operator": ("delete", "placeholder"),
    "--placeholder": ("...", "_"), "--lexicon": ("words.tsv",), "--target": ("token-set", "exact", "label:fox,snow"),
    "--estimand": ("banzhaf", "shapley", "loo", "local"), "--keep": ("0.5", "0.8"), "--design": ("auto",),
    "--surrogate": ("ridge", "pairs", "auto"), "--draws": ("1", "2"), "--references": ("1", "2"),
    "--distribution": ("energy", "mmd"), "--tolerance": ("0.1",), "--stable": ("1", "2"), "--empty": ("exclude",),
    "--irrelevant": ("count",), "--hierarchy": ("sentence>word",), "--interactions": ("0", "2"),
    "--matrix": ("sentence",), "--sets": ("0", "4"), "--span": ("fox",), "--temperature": ("0", "0.5", "1"),
    "--max-tokens": ("5", "64"), "--top-p": ("0.9",), "--stop": (".",), "--setting": ("steps=3", "name=fox"),
    "--over": ("these", "like-these"), "--token-budget": ("500",), "--deadline": ("20",), "--seed": ("0", "7"),
    "--requests-per-minute": ("6000",), "--tokens-per-minute": ("1000000",), "--batch-size": ("4",),
    "--timeout": ("5",),
}  # fmt: skip
"""Values that are right for an option, with some others."""


def _value(rng: random.Random, files: Sequence[str], flag: str = "") -> str:
    if flag in RIGHT and rng.random() < 0.75:
        return rng.choice(RIGHT[flag])
    return rng.choice((rng.choice(NUMBERS), rng.choice(WORDS), rng.choice(PROMPTS), rng.choice(files)))


def values(files: Sequence[str]) -> list[Any]:
    """What may stand for any argument of a Python call."""
    return [
        None, True, False, 0, 1, 2, 3, 8, 16, -1, 0.5, 1.5, float("nan"), float("inf"), 1e300, 10**12, np.int64(4),
        np.float32(2),
        "", "fox", b"bytes", [], ["fox"], [1], [None], (), (0, 3), [(0, 1)], {}, {"a": "b"}, {"fox": 1}, {1: 2},
        set(), object(),
        answer, len, max, print, int, lambda: "", lambda text: 3, lambda text: text[5], np.zeros(3), np.zeros((2,
        3)), Path("none"),
        whygen.Chat(()), whygen.Chat((whygen.Message("user", "a fox"),)), whygen.Template("{a} b", {"a": "fox"}),
        Settings(),
        ModelOptions(), RunOptions(), PromptOptions(), Picture(b"x"), *WORDS, *PROMPTS[:6], *files, *MODELS,
    ]  # fmt: skip


NAMES = (
    "budget", "units", "pin", "operator", "placeholder", "lexicon", "infill", "paraphraser", "instruction",
    "noise", "target",
    "regions", "fill", "estimand", "keep", "kernel", "design", "scale", "surrogate", "draws", "references",
    "distribution",
    "empty", "tolerance", "stable", "irrelevant", "hierarchy", "interactions", "matrix", "sets", "preset", "encoder",
    "settings", "seed", "options", "progress", "run", "targets", "inputs", "over", "temperature", "max_tokens",
    "model",
    "prompt", "refrences", "buget", "x", "metrics", "labels", "repeats", "paraphrases", "models", "strongest",
    "reference",
    "criteria", "alpha", "calibration", "select", "role", "text", "images", "stop", "top_p", "extra", "device",
    "money",
    "calls", "deadline", "requests_per_minute", "image", "fields", "between", "rules",
)  # fmt: skip


def calls(
    rng: random.Random, files: Sequence[str]
) -> Iterator[tuple[Callable[..., object], list[Any], dict[str, Any]]]:
    """Python calls without end: a function, what it is given by place, and by name."""
    pool = values(files)
    makers: list[Callable[..., object]] = [
        Settings, ModelOptions, RunOptions, Budget, Rates, PromptOptions, whygen.Message, whygen.Chat,
        whygen.Template,
        whygen.Edit,
    ]  # fmt: skip
    doors: list[Callable[..., object]] = [
        whygen.explain_template, whygen.explain_targets, whygen.explain_anchors, whygen.compare, whygen.evaluate,
        whygen.load, check, foresee_prompt,
    ]  # fmt: skip
    while True:
        function = rng.choices((whygen.explain_prompt, rng.choice(doors), rng.choice(makers)), (6, 2, 2))[0]
        named = {rng.choice(NAMES): rng.choice(pool) for _ in range(rng.choice((0, 1, 1, 2, 3)))}
        if function in (whygen.explain_prompt, foresee_prompt, whygen.explain_targets):
            given = (
                [answer, rng.choice(PROMPTS[:4])]
                if rng.random() < 0.8
                else rng.choices(pool, k=rng.choice((0, 1, 2, 3)))
            )
            named = {"target": "token-set", "budget": 16, **named} if rng.random() < 0.8 else named
        elif function is whygen.explain_template:
            given = [answer, rng.choice((whygen.Template("{a} fox b"), whygen.Chat(()), rng.choice(pool)))]
            named = {"inputs": [{"a": "x y"}, {"a": "z a"}], "target": "token-set", **named}
        else:
            given = rng.choices(pool, k=rng.choice((0, 1, 1, 2, 2)))
        if function in {*doors, whygen.explain_prompt} - {whygen.load, check, foresee_prompt, whygen.compare}:
            named |= {"cache": None} if function is not whygen.explain_anchors else {}
        yield function, given, named


def run_line(line: Sequence[str]) -> Ended:
    """One command line, in this process."""
    out, errors = io.TextIOWrapper(io.BytesIO(), "utf-8", "replace"), io.TextIOWrapper(io.BytesIO(), "utf-8", "replace")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        ended = _guarded(lambda: command_line(list(line)))
    errors.flush()
    said = errors.buffer.getvalue().decode("utf-8", "replace")  # type: ignore[attr-defined]
    if ended.fault is None and ("did not foresee" in said or ("Traceback" in said and "--debug" not in line)):
        return Ended("unforeseen", said[-600:])
    return ended


def run_call(function: Callable[..., object], given: Sequence[Any], named: dict[str, Any]) -> Ended:
    """One Python call."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return _guarded(lambda: function(*given, **named))


def _guarded(run: Callable[[], object]) -> Ended:
    before = signal.signal(signal.SIGALRM, _ring)
    signal.alarm(SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run()
    except WhygenError as error:
        return Ended(type(error).__name__)
    except SystemExit as end:
        return Ended(f"exit {end.code or 0}", None if end.code in {None, 0, 1, 2, 3, 4} else str(end.code))
    except _EndlessError:
        return Ended("no end", f"over {SECONDS} s")
    except BaseException as error:
        return Ended(type(error).__name__, "".join(traceback.format_exception(error))[-900:])
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return Ended("fine")


def _ring(*_: object) -> None:
    raise _EndlessError


@contextlib.contextmanager
def workplace() -> Iterator[list[str]]:
    """A folder of its own to run in, and names of what lies there: two explanations, files right and wrong."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        os.chdir(place)
        os.environ |= {"XDG_CACHE_HOME": folder, "HF_HUB_OFFLINE": "1"}  # an encoder's name is not looked up on a hub
        try:
            for seed in (0, 1):
                made = whygen.explain_prompt(
                    answer, "a fox ran", target="token-set", budget=16, seed=seed, cache=None, interactions=0
                )
                made.save(place / f"out{seed}")
            (place / "chat.json").write_text('[{"role": "user", "content": "a fox"}]', encoding="utf-8")
            (place / "inputs.txt").write_bytes(b"\xff\xfea\x00\n\x00b\x00")
            (place / "words.tsv").write_text("fox\tdog\n", encoding="utf-8")
            (place / "bad.json").write_bytes(b"\x80{")
            (place / "rules.txt").write_text("fidelity >= 0.1\n", encoding="utf-8")
            odd = _odd_files(place)
            yield [
                *odd,
                "out0",
                "out1",
                "chat.json",
                "inputs.txt",
                "words.tsv",
                "bad.json",
                "rules.txt",
                "@chat.json",
                ".",
            ]
        finally:
            os.chdir(before)


def _odd_files(place: Path) -> list[str]:
    """What people point at by mistake, and what a disk or a stranger has spoilt."""
    os.mkfifo(place / "pipe")
    (place / "shut").write_text("a fox", encoding="utf-8")
    (place / "shut").chmod(0)
    (place / "deep.json").write_text("[" * 5000, encoding="utf-8")
    np.savez(place / "notes.npz", x=np.zeros((4, 64)))
    with zipfile.ZipFile(place / "notes.npz", "a") as archive:
        archive.writestr("README.txt", "notes")
    (place / "damaged").mkdir()
    for file in (place / "out0").iterdir():
        (place / "damaged" / file.name).write_bytes(file.read_bytes()[:-7])
    (place / "set").mkdir()
    (place / "set" / "state.json").write_text('{"_data_files": [{}]}', encoding="utf-8")
    (place / "split").mkdir()
    (place / "split" / "dataset_dict.json").write_text("[]", encoding="utf-8")
    (place / "a.parquet").write_bytes(b"PAR1" + bytes(40) + b"PAR1")
    (place / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    return ["pipe", "shut", "deep.json", "notes.npz", "damaged", "set", "split", "a.parquet", "a.png", "n" * 300,
            "/dev/null", "@pipe", "@" + "n" * 300, "out0/explanation.json", "out0/arrays.safetensors"]  # fmt: skip


def shown(case: object) -> str:
    """A case for people."""
    text = repr(case)
    return text if len(text) < 400 else text[:400] + "..."


def fuzz(runs: int, seed: int, *, doors: Sequence[str] = ("lines", "calls")) -> dict[str, Any]:
    """So many of each; the faults with their cases."""
    found: dict[str, Any] = {}
    with workplace() as files:
        for door in doors:
            rng = random.Random(f"{door} {seed}")  # noqa: S311 - a draw of cases
            ended: Counter[str] = Counter()
            faults: list[dict[str, str]] = []
            cases: Iterator[Any] = lines(rng, files) if door == "lines" else calls(rng, files)
            for _ in range(runs):
                case = next(cases)
                result = run_line(case) if door == "lines" else run_call(*case)
                ended[result.how] += 1
                if result.fault is not None:
                    faults.append({"case": shown(case), "how": result.how, "fault": result.fault})
            found[door] = {"runs": runs, "ended": dict(ended.most_common()), "faults": faults}
    return found


def main(data: Path | None = None) -> None:
    del data
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000, help="of each door")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--door", choices=("lines", "calls"), action="append")
    chosen, _ = parser.parse_known_args(sys.argv[1:] if sys.argv[0].endswith("fuzz_doors.py") else [])
    for door in chosen.door or ("lines", "calls"):
        found = fuzz(chosen.runs, chosen.seed, doors=(door,))[door]
        for fault in found["faults"][:20]:
            print(f"{fault['how']}: {fault['case']}\n{fault['fault']}\n")
        print(door, found["runs"], found["ended"], "faults:", len(found["faults"]))
        row = {"door": door, "seed": chosen.seed, **{key: found[key] for key in ("runs", "ended")}}
        record.add_rows("fuzz_doors", [{**row, "faults": len(found["faults"])}], key=("door", "seed"))


if __name__ == "__main__":
    main()
