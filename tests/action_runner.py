"""Runs a composite action as GitHub's runner does, on this machine: no runner installs from PyPI, npm or Debian.

What it does is in GitHub's documentation: expressions are replaced before a step begins, a step of shell ``bash`` is
``bash --noprofile --norc -e -o pipefail FILE``, ``actions/setup-python`` puts a Python first on the path, and
``actions/cache`` restores the newest of what its keys begin, and saves when the job has gone well.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml


@dataclass
class Runner:
    """One job of a workflow that uses the action.

    Attributes:
        action: the folder with ``action.yml``, as it was checked out.
        workspace: what the job has checked out, and where steps run.
        event: what happened.
        inputs: of the action, under ``with``.
        env: of the job.
        home: of the runner, empty at first.
        kept: where caches are kept from job to job.
    """

    action: Path
    workspace: Path
    event: dict[str, Any]
    inputs: dict[str, str]
    env: dict[str, str]
    home: Path
    kept: Path
    run_id: str = "1"
    said: list[str] = field(default_factory=list[str])
    _given: dict[str, str] = field(default_factory=dict[str, str])
    _saves: list[tuple[Path, Path]] = field(default_factory=list[tuple[Path, Path]])
    _path: list[str] = field(default_factory=list[str])

    def run(self) -> None:
        """All steps in their order; the first that fails ends the job."""
        document = yaml.safe_load((self.action / "action.yml").read_text())
        given = {name: each.get("default", "") for name, each in document["inputs"].items()} | self.inputs
        missing = [name for name, each in document["inputs"].items() if each.get("required") and not given[name]]
        assert not missing, missing
        self._given = {name: self._told(str(value)) for name, value in given.items()}
        self.home.mkdir()
        for step in document["runs"]["steps"]:
            if "run" in step:
                self._shell(step)
            else:
                self._used(step["uses"], {name: self._told(str(value)) for name, value in step["with"].items()})
        for place, kept in self._saves:
            shutil.copytree(place, kept)

    def _told(self, text: str) -> str:
        return re.sub(r"\$\{\{ ([\w.-]+) \}\}", lambda found: self._value(found[1]), text)

    def _value(self, name: str) -> str:
        room, _, rest = name.partition(".")
        if room == "inputs":
            return self._given[rest]
        known: Any = {"token": self.env["JOB_TOKEN"], "run_id": self.run_id, "event": self.event}
        for part in rest.split("."):
            known = known[part]
        return str(known)

    def _shell(self, step: dict[str, Any]) -> None:
        assert step["shell"] == "bash"
        assert "${{" not in step["run"], "untrusted text may stand in an expression"
        script = self.home / "step.sh"
        script.write_text(step["run"])
        event = self.home / "event.json"
        event.write_text(json.dumps(self.event))
        named = {name: self._told(str(value)) for name, value in step.get("env", {}).items()}
        environment = {
            "PATH": ":".join([*self._path, os.environ["PATH"]]), "HOME": str(self.home), "CI": "true",
            "GITHUB_ACTION_PATH": str(self.action), "GITHUB_EVENT_PATH": str(event), "GITHUB_REPOSITORY": "o/r",
            "GITHUB_STEP_SUMMARY": str(self.home / "summary.md"), "RUNNER_TEMP": str(self.home), **self.env, **named,
        }  # fmt: skip
        command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)]
        done = subprocess.run(command, cwd=self.workspace, env=environment, capture_output=True, text=True,
                              timeout=900, check=False)  # fmt: skip
        self.said.append(done.stdout + done.stderr)
        assert done.returncode == 0, (step.get("name"), done.stdout, done.stderr)

    def _used(self, what: str, given: dict[str, str]) -> None:
        if what.startswith("actions/setup-python@"):
            self._path.append(str(self._python()))
        elif what.startswith("actions/cache@"):
            place = self.home / given["path"].removeprefix("~/")
            names = [given["key"], *given["restore-keys"].split()]
            found = next((each for name in names for each in self._newest(name)), None)
            if found is not None:
                shutil.copytree(found, place)
            self._saves.append((place, self.kept / given["key"]))
        else:
            raise AssertionError(f"{what}: no step that this runner knows")

    def _newest(self, begins: str) -> list[Path]:
        return sorted(self.kept.glob(f"{begins}*"), key=lambda each: each.stat().st_mtime, reverse=True)

    def _python(self) -> Path:
        """The programs of a Python with nothing installed but what the test's own has: pip need not download that."""
        made = self.home / "python"
        subprocess.run([sys.executable, "-m", "venv", str(made)], check=True, timeout=300)
        (site,) = made.glob("lib/python*/site-packages")
        own = next(each for each in sys.path if each.endswith("site-packages"))
        (site / "of-the-test.pth").write_text(own + "\n")
        return made / "bin"
