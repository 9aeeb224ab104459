"""The environments of rivals: made on top of this one, so that what both need is installed once."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rivals.box import Box
from benchmarks.rivals.protocol import Bools, CannotPlay, Floats, Found, OverBudget, coded, decoded

ROOT = Path(__file__).parents[2]
REQUIREMENTS = Path(__file__).parent / "requirements"
BUILD = ROOT / "build" / "rivals"


class Missing(Exception):  # noqa: N818
    """A rival that is not installed, cannot be installed, or broke down."""


def python_of(room: str, build: Path = BUILD) -> Path:
    return build / room / ".venv" / "bin" / "python"


def installed(build: Path = BUILD) -> list[str]:
    """The libraries whose environment was made."""
    return sorted(file.stem for file in REQUIREMENTS.glob("*.txt") if (build / file.stem / "installed.txt").is_file())


def install(room: str, build: Path = BUILD) -> None:
    """Make the environment of a library, if there is none: this one's packages, and what its pins put over them.

    Requirements that begin with ``# python 3.12`` are for that version, and stand alone: packages of ours are not its.

    Raises:
        Missing: if that failed; the environment is left as it is, and the next attempt begins anew.
    """
    wanted = (REQUIREMENTS / f"{room}.txt").read_text(encoding="utf-8")
    python, done = python_of(room, build), build / room / "installed.txt"
    if done.is_file() and done.read_text(encoding="utf-8") == wanted:
        return
    folder = python.parents[1]
    if wanted.startswith("# python "):
        version = wanted.splitlines()[0].removeprefix("# python ").strip()
        _run(room, [_interpreter(room, version), "-m", "venv", "--clear", str(folder)])
    else:
        _run(room, [sys.executable, "-m", "venv", "--without-pip", "--clear", str(folder)])
        site = next(folder.glob("lib/python*/site-packages"))
        (site / "parent.pth").write_text(sysconfig.get_paths()["purelib"] + "\n", encoding="utf-8")
    _run(room, [str(python), "-m", "pip", "install", "--quiet", "-r", str(REQUIREMENTS / f"{room}.txt")])
    done.write_text(wanted, encoding="utf-8")


def _interpreter(room: str, version: str) -> str:
    """A Python of that version: of pyenv, or on the path (where pyenv leaves stubs that refuse)."""
    own = sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(f"versions/{version}*/bin/python"))
    found = str(own[-1]) if own else shutil.which(f"python{version}")
    if found is None:
        raise Missing(f"{room} needs Python {version}, which is neither on the path nor among the versions of pyenv")
    return found


def _run(room: str, command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        said = [line for line in lines if line.lower().startswith(("error", "fatal", "×"))] or lines[-3:]
        raise Missing(f"{room} could not be installed: {' | '.join(said)}")


@dataclass(slots=True)
class Room:
    """A library at work in its own process.

    Raises:
        Missing: if it is not installed.
    """

    name: str
    process: subprocess.Popen[str]

    @classmethod
    def open(cls, name: str, *, build: Path = BUILD) -> Room:
        python = python_of(name, build)
        if not python.is_file():
            raise Missing(f"{name} is not installed: run python -m benchmarks.rivals --install --only {name}")
        environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        with (build / name / "log.txt").open("w", encoding="utf-8") as log:
            process = subprocess.Popen(
                [str(python), "-m", "benchmarks.rivals.worker", name],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=environment, cwd=ROOT,
            )  # fmt: skip
        room = cls(name, process)
        try:
            hello = room._receive()
        except Missing:
            room.close()
            raise
        if "missing" in hello:
            room.close()
            raise Missing(f"{name} is installed but cannot be imported: {hello['missing']}")
        return room

    def explain(
        self, method: str, box: Box, n: int, *, new: Bools, seed: int, given: tuple[Bools, Floats] | None = None
    ) -> tuple[Found, float]:
        """What a method found, and its own seconds: those of the model are not among them.

        Raises:
            Missing: if the process ended.
            CannotPlay: if the method does not do that.
            OverBudget: if it asked for more than its calls.
        """
        table = None if given is None else {"masks": coded(given[0]), "values": given[1].tolist()}
        self._send({"method": method, "n": n, "calls": box.budget - 1, "seed": seed, "new": coded(new), "given": table})
        while "ask" in (message := self._receive()):
            try:
                self._send({"values": box(decoded(message["ask"], n)).tolist()})
            except OverBudget as refusal:
                self._send({"refused": str(refusal)})
        if "cannot" in message:
            raise CannotPlay(message["cannot"])
        if "failed" in message:
            kind = OverBudget if message["failed"].startswith("OverBudget") else Missing
            raise kind(f"{self.name}, {method}: {message['failed']}")
        predictions, intervals = (
            None if message[name] is None else np.array(message[name]) for name in ("predictions", "intervals")
        )
        return Found(np.array(message["attributions"]), predictions, intervals, message["covers"]), message["seconds"]

    def close(self) -> None:
        """Let the process end; one that ended by itself is no trouble, one that does not end is ended."""
        with contextlib.suppress(BrokenPipeError, subprocess.TimeoutExpired):
            self.process.communicate(timeout=30)
        self.process.kill()

    def _send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def _receive(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        text = self.process.stdout.readline()
        if not text:
            raise self._ended()
        return json.loads(text)

    def _ended(self) -> Missing:
        return Missing(f"{self.name} ended without an answer: its log.txt under build/rivals may say why")


def versions(room: str, build: Path = BUILD) -> dict[str, str]:
    """What is installed of what the room's requirements name."""
    sites = [str(site) for site in (build / room / ".venv").glob("lib/python*/site-packages")]
    sites.append(sysconfig.get_paths()["purelib"])
    names = [line.split("==")[0].split(" @")[0].strip() for line in _lines(room)]
    found = {name: list(metadata.distributions(name=name, path=sites)) for name in names}
    return {name: some[0].version for name, some in found.items() if some}


def _lines(room: str) -> list[str]:
    text = (REQUIREMENTS / f"{room}.txt").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
