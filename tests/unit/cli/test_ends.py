"""Whatever happens in a command ends in one sentence on standard error and a documented exit code."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
import shlex
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import whygen
from faults.scripts import after
from faults.server import FaultServer
from faults.signals import hear_signals
from whygen.cli import main
from whygen.cli.outermost import say
from whygen.interrupts import Interrupts, interrupts_raise, interrupts_to
from whygen.results import PromptExplanation

EARLY = "import sys; from whygen.cli import main; sys.stdout.write('.'); sys.stdout.flush(); main()"
COMMAND = [sys.executable, "-c", "from whygen.cli import main; main()"]
LONG = "x" * 300
HOSTILE = "\x1b[2J\x1b]0;owned\x07 \x9b31m \u202e"


def ends(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    out, err = capsys.readouterr()
    assert "Traceback" not in err or "--debug" in arguments
    assert isinstance(end.value.code, int)
    return end.value.code, out, err


def test_the_demo_tries_its_folder_before_it_explains(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whygen, "explain_prompt", lambda *_, **__: pytest.fail("it explained first"))
    (tmp_path / "file").write_text("taken", encoding="utf-8")
    code, _, err = ends(capsys, "demo", "--out", str(tmp_path / "file"), "--no-cache")
    assert code == 1
    assert "cannot be made" in err


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("prompt --model x hi", "--model is no option: it is given by its place, as in `"),
        ("prompt --prompt hi", "--prompt is no option: it is given by its place"),
        ("trim --template x", "trim MODEL [TEMPLATE"),
        ("prompt planted/additive the fox", "(fox). The line is `"),
        ("prompt planted/additive the fox ran", "A text of several words stands in quotes."),
        ("edit demo/painter a.png make it red", "A text of several words stands in quotes."),
        ("anchors demo/digits-vae a.txt", "Type --anchors a.txt."),
        ("why call.json demo/storyteller", "Type --model demo/storyteller."),
        ("edit a.png 'make it night'", "The line is `whygen edit MODEL IMAGE INSTRUCTION`"),
        ("cache", "A command is missing. It has export, path, prune, size."),
        ("cache clear", "No such command 'clear'. It has export, path, prune, size."),
        ("explain-many qs.txt", "'-o' / '--out': A folder for all explanations"),
        ("prompt planted/additive --buget 3", "--budget"),
        ("'Tell a story'", "Type: whygen prompt MODEL 'Tell a story'"),
        ("openai/gpt-4o 'Tell a story'", "Type: whygen prompt openai/gpt-4o 'PROMPT'"),
        ("help prompt", "whygen COMMAND --help"),
        ("version", "Type `whygen --version`"),
        ("prompt", "prompt MODEL [TEXT|-|@FILE]`"),
        ("prompt -m planted/additive x", "-m is no option: it is given by its place"),
        ("prompt planted/additive -f pyproject.toml", "such as @prompt.txt"),
    ],
)
def test_what_stands_in_the_wrong_place_is_told_the_line(
    line: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = ends(capsys, *shlex.split(line))
    assert code == 2
    assert told in err


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("prompt M x --num-samples 9", "Type --budget."), ("prompt M x --n_calls 9", "Type --budget."),
        ("prompt M x --output o", "Type --out."), ("prompt M x --temp 1", "Type --temperature."),
        ("prompt M x --max_cost 1", "Type --max-cost."), ("prompt M x --method loo", "Type --estimand."),
        ("prompt M x --shapley", "Type --estimand shapley."), ("prompt M x --format json", "Type --json."),
        ("prompt M x --api-key sk-1", "from the environment alone"), ("prompt M x --system s", "--chat FILE"),
        ("prompt M x -v", "unless you say --quiet"), ("anchors M --images d", "Type --anchors."),
        ("anchors M --metric kld", "Type --criteria."), ("anchors M --gpu", "Type --device cuda."),
        ("prompt M x --budget lots", "--budget takes a whole number, and 'lots' is none. "),
        ("prompt M x --budget 1e3", "--budget 1000."), ("prompt M x --budget 64k", "--budget 64000."),
        ("prompt M x --budget 2.5", "'2.5' is none. "), ("prompt M x --max-cost $1", "--max-cost 1."),
        ("prompt M x --max-cost 0,05", "--max-cost 0.05."), ("prompt M x --deadline 5min", "--deadline 300."),
        ("prompt M x --target sentiment", "'label:positive,negative'"), ("prompt M x --target fox", "'contains:fox'"),
        ("prompt M x --target contains=fox", "Did you mean 'contains:fox'?"),
        ("prompt M x --target contian:fox", "Did you mean 'contains:fox'?"),
        ("prompt M x --estimand lime", "Did you mean 'local'?"), ("list metrics", "Did you mean 'targets'?"),
        ("anchors demo/digits-vae --select 8", "Type k-dispersion:8."),
        ("anchors demo/digits-vae --select k-center=8", "Did you mean 'k-center:8'?"),
        ("anchors demo/digits-vae --select kmeans:8", "Did you mean 'k-medoids:8'?"),
        ("anchors demo/digits-vae --select k-center:8,outlier=5", "Did you mean 'outliers'?"),
        ("anchors demo/digits-vae --device gpu", "device='gpu' is no device. Write cpu, cuda"),
    ],
)  # fmt: skip
def test_words_of_other_tools_are_told_ours(line: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = ends(capsys, *line.replace(" M ", " planted/additive ").split())
    assert code == 2
    assert told in err


def test_a_file_in_the_place_of_a_text_is_told_its_sign(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("prompt.txt").write_text("a fox ran", encoding="utf-8")
    code, _, err = ends(capsys, "prompt", "planted/additive", "prompt.txt")
    assert code == 2
    assert "Type @prompt.txt" in err
    assert ends(capsys, "prompt", "planted/additive", "--text", "prompt.txt", "--dry-run")[0] == 0


@pytest.mark.parametrize(
    "arguments", [["prompt", "--help"], ["models"], ["prompt", "planted/additive", "a b", "--json"]]
)
def test_a_reader_that_leaves_ends_it_quietly(arguments: list[str]) -> None:
    gone, pipe = os.pipe()
    os.close(gone)
    done = subprocess.run(
        [*COMMAND, *arguments], stdout=pipe, stderr=subprocess.PIPE, text=True, check=False, timeout=60
    )
    os.close(pipe)
    assert "Error" not in done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["report", LONG], ["compare", LONG, LONG], ["check", LONG], ["evaluate", LONG],
        ["cache", "size", "--cache", LONG], ["edit", "demo/painter", LONG, "x"],
        ["cache", "export", LONG, "--model", "planted/additive"], ["prompt", "planted/additive", f"@{LONG}"],
        ["prompt", "planted/additive", "--chat", LONG], ["prompt", "planted/additive", "x", "-o", LONG],
        ["prompt", "planted/additive", "x", "--inputs", LONG], ["prompt", f"replay/{LONG}", "x"],
        ["prompt", "planted/additive", "x", "--cache", LONG], ["prompt", f"hf/{LONG}", "x"],
        ["prompt", f"py/{LONG}:f", "x"], ["anchors", "demo/digits-vae", "--anchors", LONG],
    ],
)  # fmt: skip
def test_a_name_that_is_too_long_is_a_sentence(
    arguments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = ends(capsys, *arguments)
    assert code in {1, 2, 3}
    assert err.startswith("Error: ")
    assert "did not foresee" not in err


@pytest.mark.parametrize(
    "arguments", [["report"], ["cache", "size", "--cache"], ["prompt", "planted/additive", "x", "-o"]]
)
def test_a_pipe_where_a_file_should_be_is_a_sentence(
    arguments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    code, _, err = ends(capsys, *arguments, str(tmp_path / "pipe"))
    assert code in {1, 2, 3}
    assert "did not foresee" not in err


def raising(error: BaseException) -> Callable[..., None]:
    def command(*given: object, **options: object) -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE), "a"), 1), (OSError(errno.ENOSPC, "full"), 1),
        (FileNotFoundError(errno.ENOENT, "gone", "a"), 3), (PermissionError(errno.EACCES, "no", "a"), 3),
        (OSError("odd"), 1), (MemoryError(), 1), (RecursionError(), 1), (ImportError("half a package"), 3),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "odd"), 2), (SystemExit(0), 1), (SystemExit("bye"), 1),
        (KeyboardInterrupt(), 130), (ZeroDivisionError("what"), 1), (BaseException("odd"), 1), (GeneratorExit(), 1),
    ],
)  # fmt: skip
def test_whatever_is_raised_is_a_sentence_and_a_code(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whygen.cli.cache.default_store_path", raising(error))
    found, out, err = ends(capsys, "cache", "path")
    assert found == code
    assert out == ""
    assert len(err.strip().splitlines()) == 1


def test_a_callable_that_ends_the_program_has_failed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "leaver.py").write_text("import sys\ndef leave(prompt):\n    sys.exit(0)\n")
    (tmp_path / "leaving.py").write_text("import sys\nsys.exit(0)\n")
    code, _, err = ends(capsys, "prompt", "py/leaver:leave", "some words here")
    assert (code, "SystemExit" in err) == (4, True)
    code, _, err = ends(capsys, "prompt", "py/leaving:leave", "some words here")
    assert (code, "SystemExit" in err) == (2, True)


def test_hostile_words_reach_no_terminal(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hostile.py").write_text(
        f"TEXT = {HOSTILE!r}\ndef raises(p):\n    raise ValueError(TEXT)\ndef says(p):\n    return TEXT + p\n"
    )
    for arguments in (
        ["prompt", "py/hostile:raises", "some words"], ["prompt", "py/hostile:raises", "some words", "--debug"],
        ["prompt", "py/hostile:says", "some words", "--target", "token-set", "--cache", "x.sqlite"],
        ["prompt", "py/hostile:says", "some words", "--target", "token-set", "--json"],
        ["prompt", f"nosuch{HOSTILE}/x", "y"], ["cache", "size", "--cache", f"a{HOSTILE}.sqlite"], ["report", HOSTILE],
        ["prompt", "planted/additive", "x", f"--bogus{HOSTILE}"], ["cache", "prune", "--older-than", HOSTILE],
    ):  # fmt: skip
        _, out, err = ends(capsys, *arguments)
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(out + err), arguments


def test_a_key_in_what_a_callable_raises_is_shown_nowhere(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BOX_API_KEY", "plain-word-secret")
    (tmp_path / "telling.py").write_text(
        "def f(p):\n    raise ValueError('at http://me:pass-word@box/v1?api-key=abcdef with plain-word-secret')\n"
    )
    code, out, err = ends(capsys, "prompt", "py/telling:f", "some words", "--debug")
    assert code == 4
    for secret in ("pass-word", "abcdef", "plain-word-secret"):
        assert secret not in out + err


def test_the_line_that_goes_on_holds_no_password(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is revoked midway: exit 4, the cause in the first line, and the partial explanation saved and named."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-4f1c9e77ab20")
    with FaultServer(after(60, "401")) as server:
        address = server.url.replace("http://", "http://me:secret-word@")
        arguments = ["prompt", "openai/test", "one two three four five six seven eight", "--budget", "300",
                     "--target", "token-set", "--base-url", address]  # fmt: skip
        monkeypatch.setattr(sys, "argv", ["whygen", *arguments])
        code, out, err = ends(capsys, *arguments)
    assert code == 4
    assert "answered 401" in err.splitlines()[0]
    assert "To go on: whygen prompt" in err
    assert "secret-word" not in out + err
    assert "4f1c9e77" not in out + err
    [folder] = tmp_path.glob("whygen-partial-*")
    assert folder.name in err
    kept = whygen.load(folder)
    assert isinstance(kept, PromptExplanation)
    assert kept.ended == "failures"


def test_what_cannot_be_written_is_refused_before_anything_is_asked(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    with FaultServer() as server:
        base = ["prompt", "openai/test", "some words here", "--base-url", server.url, "--target", "token-set"]
        for more in (
            ["-o", str(tmp_path / "file" / "x")],
            ["-o", "/proc/nowhere"],
            ["--cache", str(tmp_path / "file" / "y")],
        ):
            code, _, err = ends(capsys, *base, *more)
            assert code == 1
            assert "cannot be" in err
        assert server.received == []


@pytest.mark.parametrize(
    "line",
    [["prompt", "planted/additive", "a fox ran", "-o", ""], ["prompt", "planted/additive", "a fox ran", "--cache="],
     ["demo", "--out", ""], ["report", ""], ["compare", "a", ""], ["cache", "export", "", "--model", "x"]],
)  # fmt: skip
def test_an_empty_path_is_not_the_current_folder(
    line: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = ends(capsys, *line)
    assert code == 2
    assert "is empty" in err
    assert list(tmp_path.iterdir()) == []


def test_json_goes_into_any_pipe(tmp_path: Path) -> None:
    """Through an encoding that has few characters, and one that has none of them."""
    texts: list[str] = []
    for encoding in ("ascii", "cp1252", "utf-8"):
        command = [
            *COMMAND,
            "prompt",
            "planted/additive",
            "süß 東京 \U0001f680 word",
            "--json",
            "--target",
            "token-set",
        ]
        environment = {**os.environ, "PYTHONIOENCODING": encoding}
        found = subprocess.run(command, capture_output=True, env=environment, cwd=tmp_path, timeout=120, check=True)
        texts.append(json.loads(found.stdout.decode(encoding))["prompt"])
    assert texts == ["süß 東京 \U0001f680 word"] * 3


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("seconds", [0.15, 0.4, 0.8])
def test_a_signal_during_the_imports_is_one_line(how: signal.Signals, seconds: float, tmp_path: Path) -> None:
    # Where the imports take less, it comes while the model thinks: a fast one would be done.
    (tmp_path / "slow.py").write_text("import time\n\ndef said(prompt):\n    time.sleep(30)\n    return prompt\n")
    process = subprocess.Popen(
        [sys.executable, "-c", EARLY, "prompt", "py/slow:said", "some words"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, text=True,
        preexec_fn=hear_signals,  # noqa: PLW1509 - the child starts its program at once
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.read(1)  # the interpreter is there
    time.sleep(seconds)
    process.send_signal(how)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert len(err.strip().splitlines()) == 1, err
    assert err.startswith("Interrupted.")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_end_a_run_as_ctrl_c_does(how: signal.Signals, tmp_path: Path) -> None:
    with FaultServer(latency=0.1) as server:
        arguments = ["prompt", "openai/test", "one two three four five six seven eight", "--budget", "400", "--target",
                     "token-set", "--model-noise", "none", "--base-url", server.url,
                     "--cache", str(tmp_path / "calls.sqlite")]  # fmt: skip
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, text=True,
            preexec_fn=hear_signals,  # noqa: PLW1509 - the child starts its program at once
        )  # fmt: skip
        while len(server.received) < 60:
            time.sleep(0.01)
            assert process.poll() is None
        process.send_signal(how)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert err.startswith("Interrupted.")
        assert "partial explanation is in" in err
        assert "Traceback" not in err
        first = len(server.received)
        done = subprocess.run(
            [*COMMAND, *arguments], capture_output=True, cwd=tmp_path, text=True, timeout=120, check=True
        )
        bodies = [received.body for received in server.received]
        assert len(bodies) == len(set(bodies)) + 2, "only the whole prompt is sent again, for its repeats"
        assert len(bodies) > first
        assert done.returncode == 0


def test_a_terminal_that_is_closed_ends_a_run_as_ctrl_c_does(tmp_path: Path) -> None:
    with FaultServer(latency=0.1) as server:
        arguments = ["prompt", "openai/test", "one two three four five six seven eight", "--budget", "400", "--target",
                     "token-set", "--model-noise", "none", "--base-url", server.url, "-o", "out",
                     "--cache", str(tmp_path / "calls.sqlite")]  # fmt: skip
        shell, terminal = os.openpty()

        def control() -> None:
            hear_signals()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        process = subprocess.Popen(
            [*COMMAND, *arguments], stdin=terminal, stdout=terminal, stderr=terminal, cwd=tmp_path,
            start_new_session=True, preexec_fn=control,  # noqa: PLW1509 - the child starts its program at once
        )  # fmt: skip
        os.close(terminal)
        while len(server.received) < 60:
            time.sleep(0.01)
            assert process.poll() is None
        os.close(shell)  # the kernel sends SIGHUP, and whatever is written from here on fails
        assert process.wait(timeout=60) == 130
        assert whygen.load(tmp_path / "out").ended == "interrupt"


def test_a_handful_of_files_may_be_open(tmp_path: Path) -> None:
    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))

    with FaultServer() as server:
        command = [*COMMAND, "prompt", "openai/test", "some words here for it", "--base-url", server.url, "--target",
                   "token-set", "-o", "out"]  # fmt: skip
        found = subprocess.run(
            command,
            capture_output=True,
            cwd=tmp_path,
            text=True,
            timeout=120,
            preexec_fn=few,
            check=False,
        )
    assert found.returncode in {0, 1, 3, 4}, found.stderr
    assert "Traceback" not in found.stderr
    assert "did not foresee" not in found.stderr


def test_a_handler_of_somebody_else_is_left_alone() -> None:
    def mine(number: int, frame: object) -> None: ...

    before = signal.signal(signal.SIGTERM, mine)
    try:
        with interrupts_raise():
            assert signal.getsignal(signal.SIGTERM) is mine
        with Interrupts().handled():
            assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)


def sleep_through(heard: list[str]) -> None:
    with interrupts_to(lambda: heard.append("stop"), within=0.2):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(20)


def test_a_call_that_hangs_is_interrupted_after_a_while() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    heard: list[str] = []
    try:
        with pytest.raises(KeyboardInterrupt):
            sleep_through(heard)
        assert heard == ["stop"]
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


def test_nobody_may_be_there_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def write(self, text: str) -> int:
            raise OSError(errno.EIO, "gone")

    monkeypatch.setattr(sys, "stderr", Gone())
    say("a word")
