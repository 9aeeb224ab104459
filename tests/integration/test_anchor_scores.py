"""Scores are recorded shard by shard, and read again: whatever ends a run, and whatever is asked of what it scored."""

# pyright: basic
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import whygen
from faults.signals import hear_signals
from whygen.anchors import samples as on_their_way
from whygen.anchors.explain import explain_anchors, foresee_anchors
from whygen.calls import EndedError, Interrupted, MonotonicClock, RunOptions
from whygen.cli import main
from whygen.errors import FormatError, MissingError, UnknownNameError, UsageError
from whygen.models.latent import LatentModel
from whygen.models.protocols import ModelOptions
from whygen.results.anchors import AnchorExplanation
from whygen.results.anchors_scores import MAX_KEPT
from whygen.stats.seeds import generator

WEIGHTS = generator(0, "weights").normal(scale=0.2, size=(64, 4)).astype(np.float32)
KNOWN = {"version": 1}


def blobs(n: int, seed: int = 0) -> np.ndarray:
    return generator(seed, "blobs").random((n, 8, 8)).astype(np.float32)


ANCHORS, REFERENCE = blobs(150), blobs(90, 1)


def linear(weights: np.ndarray = WEIGHTS, before: Callable[[], object] = lambda: None, **fields) -> LatentModel:
    def encode(x):
        before()
        flat = x.reshape(len(x), -1)
        return flat @ weights, np.full((len(x), 4), -1.0, np.float32)

    return LatentModel(
        encode=encode,
        decode=lambda z: (1 / (1 + np.exp(-z @ weights.T))).astype(np.float32).reshape(-1, 8, 8),
        untrained=lambda seed: linear(generator(seed, "new").normal(size=(64, 4)).astype(np.float32)),
        **{"shape": (8, 8), "identify": lambda: KNOWN, **fields},
    )


def explain(model: LatentModel | None = None, anchors=ANCHORS, **options) -> AnchorExplanation:
    return explain_anchors(model or linear(), anchors, **{"reference": REFERENCE, **options})


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_their_way, "BATCH_LIMITS", (1, 16))


KEPT = 0.51 / 255
"""Pictures of representatives that the first run did not show were kept in 256 steps."""


def assert_same(
    one: AnchorExplanation, other: AnchorExplanation, *, pictures: float = 0.0, numbers: float = 0.0
) -> None:
    if numbers == 0:
        assert one.to_dict() == other.to_dict()
        untold = {"seconds", "asked"}  # how it was asked may differ: what was found may not
        assert one.details.model_dump(exclude=untold) == other.details.model_dump(exclude=untold)
    for name in type(one.evidence).__dataclass_fields__:
        first, second = getattr(one.evidence, name), getattr(other.evidence, name)
        if isinstance(first, np.ndarray):
            near = max(numbers, pictures) if name in ("originals", "reconstructions") else numbers
            np.testing.assert_allclose(first, second, rtol=numbers, atol=near, err_msg=name)
        else:
            assert first == second


# --- read again ------------------------------------------------------------------------------------------------------

OTHERS = {
    "alpha": {"alpha": 0.1},
    "joint": {"level": "joint", "alpha": 0.2},
    "false ones": {"multiplicity": "benjamini-hochberg"},
    "std": {"calibration": "std"},
    "k-center": {"select": "k-center:3"},
    "latent": {"select": "facility-location:3", "space": "latent"},
    "criteria": {"criteria": "kld,dssim"},
    "another order": {"criteria": "sse,kld", "space": "criteria"},
    "some controls": {"controls": "foils,trivial"},
}


@pytest.fixture(scope="module")
def whole() -> AnchorExplanation:
    """What nobody recorded, read from nothing that was recorded."""
    return explain(cache=None)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> list[AnchorExplanation]:
    """An explanation, and the same one saved and loaded."""
    made = explain(criteria="kld,sse,dssim", cache=None)
    return [made, whygen.load(made.save(tmp_path_factory.mktemp("first")))]


@pytest.mark.parametrize("options", OTHERS.values(), ids=OTHERS)
def test_read_says_what_explaining_anew_says(options: dict, both: list[AnchorExplanation]) -> None:
    anew = explain(**{"criteria": "kld,sse,dssim", **options}, cache=None)
    for first in both:
        read = first.read(**options)
        assert_same(read, anew, pictures=KEPT)
        if "criteria" not in options:
            assert read.details.asked == anew.details.asked


def test_the_command_reads_a_folder_again(
    both: list[AnchorExplanation], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = both[0].save(tmp_path / "first")
    with pytest.raises(SystemExit) as end:
        main(["read", str(folder), "--alpha", "0.1", "--json", "-o", str(tmp_path / "out")])
    assert end.value.code == 0
    assert json.loads(capsys.readouterr().out)["groups"] == both[0].read(alpha=0.1).to_dict()["groups"]
    with pytest.raises(SystemExit) as end:
        main(["read", str(folder), "--target", "edit"])
    assert end.value.code == 2
    assert "explains anchors: leave out --target" in capsys.readouterr().err


def test_what_was_read_can_be_saved_and_read_again(tmp_path: Path) -> None:
    first = explain(labels=[row % 3 for row in range(150)], classifier=lambda x: np.arange(len(x)) % 3, trained=[0])
    wide = whygen.load(first.read(alpha=0.2, trained=[1]).save(tmp_path / "out"))
    assert wide.details.delusion != first.details.delusion
    assert_same(wide.read(alpha=0.025, trained=[0]), first, pictures=KEPT)


def test_generated_rounds_are_read_as_they_were_scored() -> None:
    first = explain(reference=None, rounds=3, per_round=60)
    assert_same(first.read(rounds=2), explain(reference=None, rounds=2, per_round=60), pictures=KEPT)
    assert first.read(calibration="percentile").calibration.kind == "percentile"
    with pytest.raises(UsageError, match="4 rounds of 60 generated samples, and 3 of 60 samples"):
        first.read(rounds=4)
    with pytest.raises(UsageError, match="calibration='conformal' needs a reference"):
        first.read(calibration="conformal")


def test_what_was_not_scored_is_said() -> None:
    first = explain(controls="trivial")
    with pytest.raises(UsageError, match="foils was not scored"):
        first.read(controls="foils,trivial")
    with pytest.raises(UnknownNameError, match="dssim"):
        first.read(criteria="kld,dssim")
    with pytest.raises(UsageError, match="one or more of those that were scored"):
        first.read(criteria=["sse", "sse"])
    with pytest.raises(UsageError, match="space='features' needs an encoder"):
        first.read(space="features")
    with pytest.raises(UsageError, match="Give more held-out samples"):
        first.read(alpha=0.001)


def test_folders_of_earlier_versions_are_read_and_say_that_they_hold_no_scores(
    whole: AnchorExplanation, tmp_path: Path
) -> None:
    folder = whole.model_copy(update={"scores": None}).save(tmp_path / "out")
    document = json.loads((folder / "explanation.json").read_text())
    (folder / "explanation.json").write_text(json.dumps({**document, "schema": 3}))
    earlier = whygen.load(folder)
    assert_same(earlier.model_copy(update={"schema_version": whole.schema_version}), whole)
    with pytest.raises(MissingError, match=r"holds no scores.*explain the anchors again"):
        earlier.read(alpha=0.1)


def test_scores_that_were_changed_are_refused(whole: AnchorExplanation, tmp_path: Path) -> None:
    folder = whole.save(tmp_path / "out")
    (folder / "scores.safetensors").write_bytes(b"0" * 100)
    with pytest.raises(FormatError):
        whygen.load(folder)


def test_samples_that_are_too_large_are_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("whygen.results.anchors_scores.MAX_KEPT", 1000)
    assert MAX_KEPT > 1000
    first = explain(cache=None)
    saved = whygen.load(first.save(tmp_path / "out"))
    assert {"anchors/raw", "reference/raw", "anchors/made"}.isdisjoint(saved.scores.arrays)
    assert saved.scores.arrays["anchors/small"].dtype == np.uint8  # pictures take the place of what is too large
    with pytest.raises(UsageError, match=r"not among what was kept.*space='latent'"):
        saved.read(select="k-center:3")
    other = saved.read(select="k-center:3", space="latent")
    assert "pictures-not-kept" in {each.code for each in other.warnings}
    assert other.evidence.originals is None
    assert "k-center" in other.to_html()


# --- recorded --------------------------------------------------------------------------------------------------------


def recorded(model: LatentModel | None = None, **options) -> tuple[int, int]:
    found = foresee_anchors(model or linear(), options.pop("anchors", ANCHORS), **{"reference": REFERENCE, **options})
    return found.recorded, found.samples


def test_a_second_run_scores_nothing_and_says_the_same(whole: AnchorExplanation) -> None:
    assert recorded()[0] == 0
    calls = []
    first = explain(linear(before=lambda: calls.append(1)))
    many = len(calls)
    assert recorded()[0] == recorded()[1]
    calls.clear()
    again = explain(linear(before=lambda: calls.append(1)))
    assert len(calls) < 5 < many  # the model is tried on a few samples, and shows the representatives
    assert_same(first, again)
    assert_same(whole, first)
    assert recorded(alpha=0.1, select="k-center:3", space="latent")[0] == recorded()[1]


def test_what_changes_a_number_is_asked_anew() -> None:
    explain(controls="none")
    options = {"controls": "none"}
    assert recorded(**options) == (240, 240)
    other = ANCHORS.copy()
    other[0] += 1e-3 * (1 - other[0])
    assert recorded(anchors=other, **options) == (224, 240)  # the shard that the changed sample is in
    assert recorded(anchors=np.concatenate([ANCHORS, other[:1]]), **options)[0] == 234  # and the last, which is longer
    own = WEIGHTS.copy()
    own[0, 0] += 1e-4
    for changed in (
        {"seed": 1}, {"draws": 4}, {"criteria": "kld,mse"}, {"controls": "trivial"}, {"value_range": (0.0, 2.0)},
        {"model": linear(own)}, {"model": linear(identify=lambda: {"version": 2})}, {"model": linear(scale="logvar")},
        {"criteria": ["kld", lambda x, y: np.abs(x - y).sum(axis=(1, 2))]},
    ):  # fmt: skip
        assert recorded(**{**options, **changed})[0] == 0, changed


def test_a_torch_module_is_known_by_its_weights_and_its_code() -> None:
    torch = pytest.importorskip("torch")

    class Vae(torch.nn.Module):
        sample_shape, half = (8, 8), 0.5

        def __init__(self) -> None:
            super().__init__()
            self.into, self.back = torch.nn.Linear(64, 3), torch.nn.Linear(3, 64)

        def encode(self, x):
            mean = self.into(x.flatten(1))
            return mean, torch.full_like(mean, -1.0)

        def decode(self, z):
            return torch.sigmoid(self.back(z)).view(-1, 8, 8)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = Vae()
    first = explain(module)
    assert recorded(module)[0] == recorded(module)[1]
    assert_same(explain(module), first)
    with torch.no_grad():
        module.back.bias[3] += 1e-6
    assert recorded(module)[0] == 0
    with torch.no_grad():
        module.back.bias[3] -= 1e-6
    module.gain = 2.0  # a setting that its code may read
    assert recorded(module)[0] == 0
    del module.gain
    module.decode = lambda z: torch.zeros(len(z), 8, 8)  # code that nobody can know
    explain(module)
    assert recorded(module)[0] == 0


def test_a_function_is_recorded_under_the_name_of_a_run_alone() -> None:
    nameless, mine = linear(identify=None), RunOptions(name="mine")
    explain(nameless, controls="none")
    assert recorded(nameless, controls="none")[0] == 0
    own = [lambda x, y: np.abs(x - y).sum(axis=(1, 2)), "kld"]
    explain(nameless, controls="none", criteria=own, run=mine)
    assert recorded(nameless, controls="none", criteria=own, run=mine)[0] == 240
    assert recorded(nameless, controls="none", criteria=own, run=RunOptions(name="other"))[0] == 0
    assert recorded(linear(2 * WEIGHTS, identify=None), controls="none", criteria=own, run=mine)[0] == 0
    with pytest.raises(UsageError, match="a deadline and a name"):
        explain(run=RunOptions(batch="provider"))


def test_another_batch_size_goes_on_with_what_is_recorded_and_changes_rounding_alone(whole: AnchorExplanation) -> None:
    small = explain(options=ModelOptions(batch_size=5))
    assert_same(small, whole, numbers=2e-4)
    assert recorded(options=ModelOptions(batch_size=7))[0] == recorded()[1]
    assert_same(explain(options=ModelOptions(batch_size=7)), small)


# --- ended early -----------------------------------------------------------------------------------------------------


def stops(after: int, how: Callable[[], object]) -> Callable[[], None]:
    """Something that happens at a certain call of the encoder, once."""
    calls = iter(range(10_000))
    return lambda: how() if next(calls) == after else None


def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """No time passes for runs from now on, until what is returned is called: then an hour at once."""
    now = [0.0]
    monkeypatch.setattr(MonotonicClock, "now", lambda _: now[0])
    return lambda: now.__setitem__(0, 3600.0)


def test_a_deadline_leaves_the_first_anchors_and_the_same_call_goes_on(
    whole: AnchorExplanation, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = linear(before=stops(18, stopped_clock(monkeypatch)))
    early = explain(slow, run=RunOptions(deadline=2.0))
    assert early.ended == "deadline"
    assert 0 < early.n_anchors < 150
    text = early.warnings[0].text
    assert early.warnings[0].code == "ended-early"
    assert f"{early.n_anchors} of 150 anchors are scored; they are the first" in text
    assert "Left out: foils, generated, untrained." in text
    assert "the same call again goes on from here" in text
    assert_same(explain(), whole)
    assert explain().ended is None


def test_without_the_reference_nothing_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EndedError, match="before the reference and the first anchors") as ended:
        explain(linear(before=stops(4, stopped_clock(monkeypatch))), run=RunOptions(deadline=0.4))
    assert ended.value.reason == "deadline"


def test_a_signal_leaves_what_was_scored(whole: AnchorExplanation, tmp_path: Path) -> None:
    interrupted = linear(before=stops(18, lambda: os.kill(os.getpid(), signal.SIGINT)))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by what was started in the background
    try:
        with pytest.raises(Interrupted) as stop:
            explain(interrupted)
    finally:
        signal.signal(signal.SIGINT, before)
    early = whygen.load(stop.value.explanation.save(tmp_path / "early"))
    assert early.ended == "interrupt"
    assert early.warnings[0].text.startswith("Interrupted. The run ended early: ")
    assert early.read(alpha=0.1).n_anchors == early.n_anchors
    assert_same(explain(), whole)


COMMAND = [sys.executable, "-c", "from whygen.cli import main; main()"]
SLOW = """
import sys, time
import numpy as np
from whygen.anchors import samples
from whygen.models.latent import LatentModel

samples.BATCH_LIMITS = (1, 16)
weights = np.random.default_rng(0).normal(scale=0.2, size=(64, 4)).astype(np.float32)


def encode(x):
    time.sleep(0.01)
    with open("encoded", "a") as log:
        log.write(f"{len(x)}\\n")
    return x.reshape(len(x), -1) @ weights, np.full((len(x), 4), -1.0, np.float32)


def decode(z):
    return (1 / (1 + np.exp(-z @ weights.T))).astype(np.float32).reshape(-1, 8, 8)


model = LatentModel(encode=encode, decode=decode, shape=(8, 8), uri="slow")
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("preset", [None, "pxgen"])
def test_killed_runs_go_on_where_they_were(how: signal.Signals, preset: str | None, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    np.save(tmp_path / "anchors.npy", ANCHORS)
    np.save(tmp_path / "reference.npy", REFERENCE)
    more = ["--preset", "pxgen", "--rounds", "3", "--per-round", "100"] if preset else []
    line = [
        *COMMAND, "anchors", "py/slow:model", "--anchors", "anchors.npy", "--reference",
        "reference.npy", "--cache", "scores.sqlite", "-q", *more,
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    encoded = tmp_path / "encoded"

    def samples() -> int:
        return sum(map(int, encoded.read_text().split())) if encoded.exists() else 0

    whole_line = [each for each in line if each not in ("--cache", "scores.sqlite")]
    subprocess.run([*whole_line, "--no-cache", "-o", "whole"], cwd=tmp_path, env=environment, check=True)
    total = samples()
    encoded.unlink()
    rng, killed = np.random.default_rng(how), 0
    for _ in range(3):
        run = subprocess.Popen(
            [*line, "-o", "out"], cwd=tmp_path, env=environment, stderr=subprocess.PIPE,
            preexec_fn=hear_signals,  # noqa: PLW1509 - the child starts its program at once
        )  # fmt: skip
        before, wait = samples(), int(rng.integers(60, 200))
        while run.poll() is None and samples() < before + wait:
            time.sleep(0.005)
        run.send_signal(how)
        run.communicate(timeout=60)
        killed += run.returncode != 0
        if how == signal.SIGTERM and run.returncode:
            assert run.returncode == 130
    assert killed > 1
    subprocess.run([*line, "-o", "out"], cwd=tmp_path, env=environment, check=True)
    # Each run tries the model on a few samples, and loses one shard at most: 16 samples, or the 90 of the base.
    assert samples() <= total + (killed + 1) * (32 + 8 + 90)
    assert_same(whygen.load(tmp_path / "out"), whygen.load(tmp_path / "whole"))
