from __future__ import annotations

import io

import pytest
from rich.console import Console

from whygen.calls import RichProgress, Silent
from whygen.calls.progress import ProgressPace, duration


@pytest.mark.parametrize(
    ("pace", "seconds", "text"),
    [
        (ProgressPace(10), 0.0, ""),
        (ProgressPace(10), 3.0, ""),
        (ProgressPace(100, made=10), 5.0, "2 calls/s · 45 s left"),
        (ProgressPace(100, made=10, cached=50), 5.0, "2 calls/s · 20 s left · 50% cached"),
        (ProgressPace(8, cached=8), 0.1, "100% cached"),
        (ProgressPace(8, made=8), 16.0, "0.5 calls/s"),
    ],
)
def test_pace(pace: ProgressPace, seconds: float, text: str) -> None:
    assert pace.text(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3600, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def run(progress: RichProgress | Silent) -> None:
    progress.begin(4, "Asking")
    progress.advance(1, cached=True)
    progress.advance(2, cached=False)
    progress.advance(1, cached=False)
    progress.end()
    progress.end()


def test_a_bar_on_a_terminal() -> None:
    screen = io.StringIO()
    run(RichProgress(Console(file=screen, force_terminal=True, width=100)))
    assert "Asking" in screen.getvalue()
    assert "4/4" in screen.getvalue()
    assert "calls/s" in screen.getvalue()
    assert "25% cached" in screen.getvalue()


def test_nothing_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    screen = io.StringIO()
    run(RichProgress(Console(file=screen)))
    run(RichProgress())
    run(Silent())
    assert screen.getvalue() == ""
    assert tuple(capsys.readouterr()) == ("", "")


def test_no_colour_where_none_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    def escapes() -> str:
        screen = io.StringIO()
        run(RichProgress(Console(file=screen, force_terminal=True, width=100, color_system="standard")))
        return screen.getvalue()

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[3" in escapes()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in escapes()
