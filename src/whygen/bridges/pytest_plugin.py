"""The pytest plugin: the fixture ``explained``, its options, and what the session spent.

pytest imports this file in every run, so it imports nothing but pytest: whygen's rooms are loaded by the first test
that explains something. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from whygen.bridges.pytest_session import TestSession

KEY: pytest.StashKey[TestSession] = pytest.StashKey()
FOLDER: pytest.StashKey[Path] = pytest.StashKey()
"""Where the processes of a session share what they spent."""
REPORTS: pytest.StashKey[list[dict[str, Any]]] = pytest.StashKey()
"""What the workers of pytest-xdist said that they spent."""

_OPTIONS: dict[str, dict[str, Any]] = {
    "model": {"metavar": "URI", "help": "The model of every explained(PROMPT) that names none."},
    "budget": {"metavar": "CALLS", "type": int, "help": "The most calls that the session sends, all workers together."},
    "max-cost": {"metavar": "DOLLARS", "type": float, "help": "The most that the session costs; prices must be known."},
    "cache": {"metavar": "PATH", "help": "File or folder of recorded answers: what is there is not paid again."},
    "unknown": {
        "choices": ("fail", "skip", "pass"),
        "help": "What a statement counts as that the interval leaves open: fail (default), skip or pass.",
    },
}
"""Each is a flag ``--whygen-NAME`` and a setting ``whygen_NAME`` of the configuration file."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("whygen", "explanations of models (whygen)")
    for name, option in _OPTIONS.items():
        group.addoption(f"--whygen-{name}", default=None, **option)
        parser.addini(f"whygen_{name.replace('-', '_')}", option["help"])
    group.addoption(
        "--whygen-dry-run", action="store_true", help="Send nothing: skip what explains, and name calls and cost."
    )


def option_of(config: pytest.Config, name: str) -> Any:
    """What was typed, else what the configuration file says; None where neither does.

    Raises:
        UsageError: of pytest, for a setting that is no such value.
    """
    typed = config.getoption(f"whygen_{name.replace('-', '_')}")
    if typed is not None:
        return typed
    written = str(config.getini(f"whygen_{name.replace('-', '_')}")).strip()
    option = _OPTIONS[name]
    if not written:
        return None
    if written not in option.get("choices", (written,)):
        raise pytest.UsageError(f"whygen_{name} = {written}: give {', '.join(option['choices'])}.")
    try:
        return option.get("type", str)(written)
    except ValueError:
        raise pytest.UsageError(f"whygen_{name.replace('-', '_')} = {written}: give a number.") from None


@pytest.fixture(scope="session")
def explained(request: pytest.FixtureRequest) -> Any:
    """``explained(PROMPT, model=URI, ...)`` explains a prompt; what it returns can be asserted about.

    PROMPT and the options are those of `whygen.explain_prompt`; a `pathlib.Path` is a recorded call (``pick=`` says
    which of several). Put it into a fixture of your own with ``scope="module"`` to explain once for many tests.
    """
    return tests_of(request.config).explained


def tests_of(config: pytest.Config) -> TestSession:
    """What the session explains and spends."""
    if KEY not in config.stash:
        from whygen.bridges.pytest_session import TestSession

        config.stash[KEY] = TestSession(
            folder=folder_of(config),
            dry_run=bool(config.getoption("whygen_dry_run")),
            **{name.replace("-", "_"): option_of(config, name) for name in _OPTIONS},
        )
    return config.stash[KEY]


def folder_of(config: pytest.Config) -> Path:
    """The folder that all processes of the session share: the controller makes it, and takes it away."""
    told = getattr(config, "workerinput", {}).get("whygen")
    if told is not None:
        return Path(told)
    if FOLDER not in config.stash:
        config.stash[FOLDER] = Path(tempfile.mkdtemp(prefix="whygen-tests-"))
    return config.stash[FOLDER]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist where the session keeps what it spent."""
    node.workerinput["whygen"] = str(folder_of(node.config))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take up what a worker says that it spent; one that crashed says nothing."""
    output: dict[str, Any] = getattr(node, "workeroutput", None) or {}
    told = output.get("whygen")
    if told is not None:
        node.config.stash.setdefault(REPORTS, []).append(told)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the controller what this worker spent."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None and KEY in session.config.stash:
        output["whygen"] = session.config.stash[KEY].report()


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Generator[None, None, None]:
    """Say what the session spent, or would spend."""
    yield
    reports = list(config.stash[REPORTS]) if REPORTS in config.stash else []
    if KEY in config.stash:
        reports.append(config.stash[KEY].report())
    if reports:
        from whygen.bridges.pytest_session import summary

        terminalreporter.section("whygen")
        terminalreporter.line(summary(reports))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Forget what was spent."""
    if FOLDER in config.stash:
        shutil.rmtree(config.stash[FOLDER], ignore_errors=True)
