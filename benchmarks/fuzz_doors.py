"""Random command lines and Python calls against cheap models: how each ends.

A case ends well (a result, exit 0 or 4), or with an error that whygen raises on purpose. A traceback, a raw `TypeError`
or any other foreign error, "did not foresee", or no end within a minute of processor time (ten on the clock) is a
fault. `benchmarks.fuzz_cases` draws them.

The cases come in pieces, each drawn from a seed of its own and kept with the commit it ran on, so that a run that was
stopped goes on where it was, and all of them are one run that can be repeated.

    python -m benchmarks.fuzz_doors                     # every piece that is not kept yet
    python -m benchmarks.fuzz_doors --door lines --first 3 --pieces 2 --again
    python -m benchmarks.fuzz_doors --control           # faults planted in one door each: how many are found
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

from typer.main import get_command

from benchmarks import fuzz_cases, record
from whygen.cli import app as commands
from whygen.cli.outermost import main as command_line
from whygen.errors import WhygenError

SECONDS = 60
"""Of processor time: a case is not slow because others use the machine."""
ON_THE_CLOCK = 600
PIECE = 500
"""Cases of a piece."""
PIECES = 20
DOORS = ("lines", "calls")


class _EndlessError(KeyboardInterrupt):
    """A case took too long: an interrupt, which whygen lets through whatever it calls."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How one case ended: ``fine``, a kind of error, or a fault with what shows it."""

    how: str
    fault: str | None = None


def run_line(line: Sequence[str]) -> Ended:
    """One command line, in this process."""
    given = io.TextIOWrapper(io.BytesIO(b"a fox ran"), "utf-8")
    out, errors = io.TextIOWrapper(io.BytesIO(), "utf-8", "replace"), io.TextIOWrapper(io.BytesIO(), "utf-8", "replace")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors), patch.object(sys, "stdin", given):
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
    before = [signal.signal(number, _ring) for number in (signal.SIGPROF, signal.SIGALRM)]
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.alarm(ON_THE_CLOCK)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run()
    except WhygenError as error:
        return Ended(type(error).__name__)
    except SystemExit as end:
        return Ended(f"exit {end.code or 0}", None if end.code in {None, 0, 1, 2, 3, 4} else str(end.code))
    except _EndlessError:
        return Ended("no end", f"over {SECONDS} s of processor time, or {ON_THE_CLOCK} s")
    except BaseException as error:
        return Ended(type(error).__name__, "".join(traceback.format_exception(error))[-900:])
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        for number, handler in zip((signal.SIGPROF, signal.SIGALRM), before, strict=True):
            signal.signal(number, handler)
    return Ended("fine")


def _ring(_: int, frame: FrameType | None) -> None:
    # An import that is cut leaves half a module behind (torch cannot be imported twice in a process), which fails every
    # later case that needs it: the interrupt waits for its end.
    at = frame
    while at is not None:
        if at.f_code.co_filename.startswith("<frozen importlib"):
            signal.setitimer(signal.ITIMER_REAL, 1)
            return
        at = at.f_back
    raise _EndlessError


def shown(case: object) -> str:
    """A case for people; some of what is drawn cannot be shown."""
    try:
        text = ascii(case)
    except Exception as error:
        text = f"a case that cannot be shown ({type(error).__name__})"
    return text if len(text) < 400 else text[:400] + "..."


@contextlib.contextmanager
def _built_once() -> Generator[None, None, None]:
    """The parser is built for each command line, which takes as long as most lines do: here once for all."""
    built = get_command(commands.app)
    with patch.object(commands, "app", built):
        yield


def fuzz(
    runs: int, seed: str, *, door: str, broken: contextlib.AbstractContextManager[object] | None = None
) -> dict[str, Any]:
    """So many cases of one door: how they ended, and the faults with their cases.

    Args:
        runs: how many.
        seed: of the draw.
        door: ``lines`` or ``calls``.
        broken: what holds while they run, to see whether it is noticed.
    """
    rng = random.Random(f"{door} {seed}")  # noqa: S311 - a draw of cases
    ended: Counter[str] = Counter()
    faults: list[dict[str, Any]] = []
    with fuzz_cases.workplace() as files, _built_once(), broken or contextlib.nullcontext():
        cases: Iterator[Any] = fuzz_cases.lines(rng, files) if door == "lines" else fuzz_cases.calls(rng, files)
        for number in range(runs):
            case = next(cases)
            result = run_line(case) if door == "lines" else run_call(*case)
            ended[result.how] += 1
            if result.fault is not None:
                faults.append({"number": number, "case": shown(case), "how": result.how, "fault": result.fault})
    return {"runs": runs, "ended": dict(ended.most_common()), "faults": faults}


def piece(door: str, seed: int, number: int, *, runs: int = PIECE) -> list[dict[str, Any]]:
    """Run a piece and keep its row; its faults."""
    began = time.process_time()
    found = fuzz(runs, f"{seed}.{number}", door=door)
    for fault in found["faults"]:
        print(f"{fault['number']}. {fault['how']}: {fault['case']}\n{fault['fault']}\n")
    seconds = round(time.process_time() - began)
    print(f"{door} {seed}.{number}: {found['ended']}, faults: {len(found['faults'])}, {seconds} s", flush=True)
    row = {"door": door, "seed": seed, "piece": number, "runs": runs, "ended": found["ended"]}
    record.add_rows("fuzz_doors", [{**row, "faults": len(found["faults"])}], key=("door", "seed", "piece"))
    return found["faults"]


PLANTED = {"lines": ("whygen.cli.prompt.given_prompt", KeyError), "calls": ("whygen.prompt.explain.choose", TypeError)}
"""For each door: something that most of its cases use, and what that raises once it is broken on purpose."""


def control(door: str, *, runs: int = 60) -> int:
    """How many of so many cases are called faults where one is planted."""
    place, error = PLANTED[door]
    return len(fuzz(runs, "control", door=door, broken=patch(place, side_effect=error("planted")))["faults"])


def main(data: Path | None = None) -> None:
    del data
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--door", choices=DOORS, action="append")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the first piece")
    parser.add_argument("--pieces", type=int, default=PIECES, help=f"how many, of {PIECE} cases each")
    parser.add_argument("--again", action="store_true", help="those too that are kept")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no piece after so many")
    parser.add_argument("--control", action="store_true")
    chosen, _ = parser.parse_known_args(sys.argv[1:] if sys.argv[0].endswith("fuzz_doors.py") else [])
    if chosen.control:
        for door in chosen.door or DOORS:
            print(f"{door}: {control(door)} of 60 cases are called faults where one is planted")
        return
    kept = {(row["door"], row["seed"], row.get("piece")) for row in record.rows("fuzz_doors")}
    began = time.monotonic()
    for door in chosen.door or DOORS:
        for number in range(chosen.first, chosen.first + chosen.pieces):
            is_kept = (door, chosen.seed, number) in kept and not chosen.again
            if not is_kept and time.monotonic() - began < chosen.seconds:
                piece(door, chosen.seed, number)


if __name__ == "__main__":
    main()
