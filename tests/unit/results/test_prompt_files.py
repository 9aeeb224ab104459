"""A prompt explanation survives the disk; what is damaged is named; old files stay readable."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from safetensors.numpy import load_file, save_file

import whygen
from example_explanations import prompt_explanation
from whygen.errors import FormatError, MissingError, StoreError
from whygen.models import Generator
from whygen.results import PromptExplanation, lines, load
from whygen.results.anchors import CurveRecord, LabelTableRecord
from whygen.results.evidence import Sample
from whygen.results.prompt import SCHEMA, Fidelity, Reference, UnitAttribution
from whygen.results.records import Lists, SentenceMatrix
from whygen.results.texts import TextLabels

GOLDEN = Path(__file__).parents[2] / "data" / "golden" / "prompt-v1"
CONTRACT = [
    "schema", "whygen", "preset", "model", "prompt", "reference", "units", "estimand", "keep", "target", "operator",
    "design", "masks", "interval", "fidelity", "noise", "calls", "seed", "versions", "warnings",
]  # fmt: skip


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return prompt_explanation(pairs=12).save(tmp_path / "run")


def test_the_json_is_the_contract() -> None:
    document = prompt_explanation(pairs=12).to_dict()
    assert list(document) == CONTRACT
    assert list(document["units"][0]) == [
        "text", "start", "end", "attribution", "low", "high", "p_value", "significant", "band_low", "band_high",
    ]  # fmt: skip
    assert list(document["fidelity"]) == ["r2_heldout", "r2_insample", "r2_chance", "noise_ceiling"]
    assert list(document["target"]) == ["name", "distance", "unit"]
    assert list(document["calls"]) == ["asked", "made", "cached", "failed"]
    assert list(document["noise"]) == ["repeats", "level", "differs", "source", "compared", "changed"]
    assert list(document["warnings"][0]) == ["code", "text"]


def test_a_folder_gives_everything_back(tmp_path: Path) -> None:
    explanation = prompt_explanation(pairs=12)
    folder = explanation.save(tmp_path / "deep" / "run")
    again = load(folder)
    assert again == explanation
    assert isinstance(again, PromptExplanation)
    assert again.fidelity.r2_chance_p95 == explanation.fidelity.r2_chance_p95
    assert again.pinned == explanation.pinned
    assert sorted(place.name for place in folder.iterdir()) == [
        "arrays.safetensors", "details.json", "explanation.json", "samples.jsonl",
    ]  # fmt: skip


def test_the_json_alone_has_no_evidence(saved: Path) -> None:
    alone = load(saved / "explanation.json")
    assert isinstance(alone, PromptExplanation)
    assert alone.evidence is None
    assert alone.to_dict() == prompt_explanation(pairs=12).to_dict()


def test_the_golden_file_still_loads() -> None:
    explanation = PromptExplanation.load(GOLDEN)
    assert explanation.schema_version == 1
    golden = json.loads((GOLDEN / "explanation.json").read_text(encoding="utf-8"))
    golden["noise"] |= {"source": None, "compared": 0, "changed": 0}  # not kept then
    golden["units"] = [unit | {"band_low": None, "band_high": None} for unit in golden["units"]]
    assert explanation.to_dict() == golden
    assert (explanation.pinned, explanation.surrogate, explanation.fidelity.r2_chance_p95) == (
        ((0, 22),),
        "ridge",
        0.36,
    )
    assert explanation.settings == {"max_tokens": 256, "seed": 0, "temperature": 0.7}
    assert explanation.evidence is not None
    assert explanation.evidence.masks.shape == (12, 24)
    assert explanation.evidence.masks[1].tolist() == (~explanation.evidence.masks[0]).tolist()
    expected = prompt_explanation(pairs=6)
    assert [unit.text for unit in explanation.units] == [unit.text for unit in expected.units]
    assert [unit.attribution for unit in explanation.units] == pytest.approx([u.attribution for u in expected.units])
    assert [sample.prompt for sample in explanation.evidence.samples[:4]] == [
        sample.prompt
        for sample in expected.evidence.samples[:4]  # pyright: ignore[reportOptionalMemberAccess]
    ]


def test_rows_are_json_whatever_a_model_says(tmp_path: Path) -> None:
    """Half a surrogate pair is spelled out, a number that is none becomes null, and what is no row is named."""
    said = {
        "prompt": "a\ud800b",
        "effect": float("nan"),
        "more": "line\u2028break\n",
        "extra": {"\udfff": [float("inf")]},
    }
    file = tmp_path / "rows.jsonl"
    file.write_bytes(lines.to_lines([said, {"effect": 1.5}]))
    assert list(lines.read_lines(file)) == [
        {"prompt": "a\\ud800b", "effect": None, "more": "line\u2028break\n", "extra": {"\\udfff": [None]}},
        {"effect": 1.5},
    ]
    for line, told in ((b"[1]\n", "line 2 is no object"), (b"{\n", "Expecting"), (b"[" * 9999, "deeper than")):
        file.write_bytes(b'{"a": 1}\n' + line)
        with pytest.raises(ValueError, match=told):
            list(lines.read_lines(file))


def test_a_file_of_rows_is_bounded(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_ROWS_BYTES", 100)
    with pytest.raises(FormatError, match=r"samples\.jsonl' is damaged \(it is over"):
        load(saved)


def test_either_name_of_the_schema_works() -> None:
    document = prompt_explanation(pairs=6).to_dict()
    assert PromptExplanation(**document).schema_version == SCHEMA
    schema = document.pop("schema")
    assert PromptExplanation(**document, schema_version=schema).to_dict()["schema"] == schema


def test_saving_again_leaves_nothing_of_the_earlier_one(saved: Path) -> None:
    bare = prompt_explanation(pairs=12, evidence=None, seed=3)
    bare.save(saved)
    assert load(saved) == bare
    assert not (saved / "arrays.safetensors").exists()


def test_a_newer_schema_is_refused_with_both_versions(saved: Path) -> None:
    file = saved / "explanation.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "schema": 9, "whygen": "7.0"}))
    with pytest.raises(FormatError, match=r"schema 9, written by whygen 7\.0; this whygen reads up to 3\. Upgrade"):
        load(saved)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("explanation.json", b'{"schema": 1, "units": '),
        ("explanation.json", b"[1, 2]"),
        ("explanation.json", b"\xff\xfe"),
        ("explanation.json", b'{"schema": 1, "units": []}'),
        ("explanation.json", b'{"schema": true, "units": []}'),
        ("explanation.json", b'{"schema": 1}'),
        ("details.json", b"{"),
        ("details.json", b'{"pinned": "all"}'),
        ("arrays.safetensors", b"not arrays"),
        ("samples.jsonl", b'{"kind": "mask"}\n'),
    ],
)
def test_a_damaged_part_is_named(saved: Path, name: str, data: bytes) -> None:
    (saved / name).write_bytes(data)
    with pytest.raises(FormatError, match=str(saved) if data == b'{"schema": 1}' else name):
        load(saved)


@pytest.mark.parametrize("name", ["arrays.safetensors", "samples.jsonl"])
def test_a_missing_part_is_named(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(FormatError, match=f"{name}' is missing"):
        load(saved)


def test_arrays_of_another_explanation_are_refused(saved: Path, tmp_path: Path) -> None:
    other = prompt_explanation(prompt="Write about a fox", pinned=(), pairs=12).save(tmp_path / "other")
    (saved / "arrays.safetensors").write_bytes((other / "arrays.safetensors").read_bytes())
    with pytest.raises(FormatError, match=r"is not what explanation\.json was saved with"):
        load(saved)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="There is no explanation"):
        load(tmp_path)


def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("here first")
    with pytest.raises(StoreError, match="cannot be written"):
        prompt_explanation(pairs=6).save(tmp_path / "run")


def test_a_failed_save_leaves_the_earlier_one_alone(saved: Path) -> None:
    before = load(saved)
    (saved / "samples.jsonl").unlink()
    (saved / "samples.jsonl").mkdir()  # cannot be unlinked as a file, nor replaced by one
    with pytest.raises(StoreError):
        prompt_explanation(pairs=12, seed=4).save(saved)
    assert not list(saved.glob(".*"))
    assert isinstance(before, PromptExplanation)


def test_numbers_that_are_none_become_none() -> None:
    figures = Fidelity(r2_heldout=float("nan"), r2_insample=np.float64("inf"), r2_chance=None, noise_ceiling=0.5)
    assert (figures.r2_heldout, figures.r2_insample) == (None, None)
    with pytest.raises(ValidationError):
        UnitAttribution(
            text="a", start=0, end=1, attribution=float("nan"), low=None, high=None, p_value=None, significant=False
        )


def test_halves_of_surrogate_pairs_are_mended(tmp_path: Path) -> None:
    explanation = prompt_explanation(pairs=6, reference=Reference(text="cut \ud83d here", n=1))
    assert explanation.reference.text == "cut \ufffd here"
    evidence = explanation.evidence
    assert evidence is not None
    sample = Sample("mask", 0, 0, "a", "b \ud83d", "stop", 0.0)
    broken = type(evidence)(evidence.masks, evidence.effects, evidence.predicted, evidence.groups, (sample,))
    again = load(explanation.model_copy(update={"evidence": broken}).save(tmp_path))
    assert isinstance(again, PromptExplanation)
    assert again.evidence is not None
    assert again.evidence.samples[0].output == r"b \ud83d"


@given(
    text=st.text(max_size=40),
    figure=st.none() | st.floats(allow_nan=True),
    attribution=st.floats(allow_nan=False, allow_infinity=False),
)
def test_any_text_and_figure_survives(
    text: str, figure: float | None, attribution: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    unit = UnitAttribution(
        text=text, start=0, end=len(text), attribution=attribution, low=figure, high=None, p_value=None,
        significant=False,
    )  # fmt: skip
    explanation = prompt_explanation(pairs=6, units=(unit,), reference=Reference(text=text, n=1), evidence=None)
    assert load(explanation.save(tmp_path_factory.mktemp("any"))) == explanation


def test_one_line_says_what_it_is() -> None:
    line = repr(prompt_explanation(pairs=12))
    assert "\n" not in line
    assert line.startswith("<PromptExplanation of demo/storyteller: 24 units, strongest 'fox' +0.")
    assert line == str(prompt_explanation(pairs=12))


def test_at_every_moment_of_a_saving_the_folder_holds_one_whole_explanation(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer is killed before each of its steps in turn: what loads is the earlier explanation or the new one."""
    new = prompt_explanation(prompt="Write about a fox", pinned=(), pairs=12)
    usual = Path.replace
    texts: list[str] = []
    for step in range(12):
        prompt_explanation(prompt="Tell about a crane", pinned=(), pairs=12).save(saved)
        moves = iter(range(step))

        def move(self: Path, target: Path, moves: Iterator[int] = moves) -> Path:
            if next(moves, None) is None:
                raise KeyboardInterrupt
            return usual(self, target)

        with monkeypatch.context() as patched:
            patched.setattr(Path, "replace", move)
            with contextlib.suppress(KeyboardInterrupt):
                new.save(saved)
        found = PromptExplanation.load(saved)
        assert found.evidence is not None
        texts.append(found.prompt)
    assert texts[0] == "Tell about a crane"
    assert texts[-1] == "Write about a fox"
    assert texts == sorted(texts)
    new.save(saved)
    assert not [path for path in saved.iterdir() if path.name.startswith(".")]


def test_rights_are_those_that_the_person_gives(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        folder = prompt_explanation(prompt="Tell about a crane", pinned=(), pairs=12).save(tmp_path / "private")
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


@pytest.mark.parametrize(
    ("change", "message"),
    [({"p_value": 7.0}, "p-value"), ({"low": 2.0, "high": 1.0}, "interval"), ({"end": 10**6}, "span")],
)
def test_figures_that_no_run_gives_are_refused(change: dict[str, float], message: str, saved: Path) -> None:
    document = json.loads((saved / "explanation.json").read_text(encoding="utf-8"))
    document["units"][0] |= change
    (saved / "explanation.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(FormatError, match=message):
        PromptExplanation.load(saved)


def test_an_explanation_from_before_digests_still_loads(saved: Path) -> None:
    document = json.loads((saved / "explanation.json").read_text(encoding="utf-8"))
    del document["parts"]
    (saved / "explanation.json").write_text(json.dumps(document), encoding="utf-8")
    assert PromptExplanation.load(saved).evidence is not None


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("effects", lambda array: array * np.nan, "effects holds NaN"),
        ("effects", lambda array: np.float64(3), "effects has shape"),
        ("effects", lambda array: array[:-1], "has shape"),
        ("masks", lambda array: array.astype(np.float64), "masks holds values of type float64"),
        ("groups", lambda array: array[:, None], "groups has shape"),
        ("answers", lambda array: array + 10**6, "answers points past the end"),
        ("answers", lambda array: array.astype(np.float32), "answers holds values of type"),
    ],
)
def test_arrays_that_no_run_gives_are_refused_though_the_digests_fit(
    name: str, change: Callable[[Any], Any], message: str, saved: Path
) -> None:
    arrays = load_file(saved / "arrays.safetensors")
    if name not in arrays:  # what it would be here: the first answer to each mask
        arrays[name] = np.zeros((len(arrays["effects"]), 1), np.int64)
    arrays[name] = np.ascontiguousarray(change(arrays[name]))
    save_file(arrays, saved / "arrays.safetensors")
    _sign_again(saved)
    with pytest.raises(FormatError, match=message):
        load(saved)


def test_half_a_surrogate_pair_in_a_document_is_damage(saved: Path) -> None:
    document = (saved / "explanation.json").read_text(encoding="utf-8")
    (saved / "explanation.json").write_text(document.replace('"whygen": "', '"whygen": "\\udc80'), encoding="utf-8")
    with pytest.raises(FormatError, match="is damaged"):
        load(saved)


def _sign_again(folder: Path) -> None:
    """Give the document the digests of its parts as they are now, as whoever changes them on purpose would."""
    document = json.loads((folder / "explanation.json").read_text(encoding="utf-8"))
    document["parts"] = {each: hashlib.sha256((folder / each).read_bytes()).hexdigest() for each in document["parts"]}
    (folder / "explanation.json").write_text(json.dumps(document), encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "name", "change"),
    [
        ("arrays", "codes", lambda array: array + 9),
        ("arrays", "shown", lambda array: array.astype(np.float64)),
        ("arrays", "flip_rate", lambda array: array[:3]),
        ("arrays", "basis", lambda array: array * np.nan),
        ("arrays", "names", None),
        ("scores", "anchors/draws", lambda array: array[:, :-1]),
        ("scores", "distinct", lambda array: array + 10**6),
        ("scores", "anchors/raw", lambda array: array[:, :1]),
        ("scores", "anchors/raw", lambda array: array[..., None]),
        ("scores", "anchors/means", None),
    ],
)
def test_arrays_of_anchors_that_no_run_gives_are_refused(
    file: str, name: str, change: Callable[[Any], Any] | None, anchors_saved: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "changed"
    shutil.copytree(anchors_saved, folder)
    if name == "names":
        (folder / "anchors.jsonl").write_text('{"name": "one"}\n', encoding="utf-8")
    else:
        arrays = load_file(folder / f"{file}.safetensors")
        array = arrays.pop(name)
        arrays |= {} if change is None else {name: np.ascontiguousarray(change(array))}
        save_file(arrays, folder / f"{file}.safetensors")
    _sign_again(folder)
    with pytest.raises(FormatError, match="cannot be read: "):
        load(folder)


@pytest.fixture(scope="module")
def anchors_saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    samples = np.random.default_rng(0).random((24, 4, 4))
    found = whygen.explain_anchors(
        Generator(encode=_halves, decode=_spread), samples, controls="none", rounds=1, per_round=20
    )
    return found.save(tmp_path_factory.mktemp("anchors") / "run")


def _halves(samples: Any) -> tuple[Any, Any]:
    mean = samples.reshape(len(samples), -1)[:, :2]
    return mean, np.full_like(mean, -4.0)


def _spread(latents: Any) -> Any:
    return np.clip(np.broadcast_to(latents[:, :1, None], (len(latents), 4, 4)), 0, 1)


OF_LISTS: dict[type[Lists], dict[str, Any]] = {
    SentenceMatrix: {
        "sentences": [{"text": "One.", "start": 0, "end": 4}, {"text": "Two.", "start": 5, "end": 9}],
        "target": {"name": "tfidf", "distance": "tfidf", "unit": "tfidf"},
        "attributions": [[0.1, 0.2], [0.3, 0.4]],
        "low": [[0.0, 0.1], [0.2, 0.3]],
        "high": [[0.2, 0.3], [0.4, 0.5]],
        "significant": [[True, False], [True, True]],
    },
    CurveRecord: {"counts": [1, 2], "radii": [2.0, 1.0], "enough": None},
    LabelTableRecord: {"labels": [3, 5], "counts": [[1, 2], [4, 0]]},
    TextLabels: {"labels": [3, 5], "groups": ["known", "unsure"], "counts": [[1, 2], [4, 0]]},
}


@pytest.mark.parametrize("record", OF_LISTS, ids=lambda record: record.__name__)
def test_lists_that_belong_together_are_of_one_length(record: type[Lists]) -> None:
    whole = OF_LISTS[record]
    record.model_validate_json(json.dumps(whole))
    for name in record.columns:
        with pytest.raises(ValueError, match="differ in length"):
            record.model_validate_json(json.dumps(whole | {name: whole[name][:-1]}))
    for name in record.rows[0]:
        shorter = [whole[name][0], whole[name][1][:-1]]
        with pytest.raises(ValueError, match=f"rows of {name} differ in length"):
            record.model_validate_json(json.dumps(whole | {name: shorter}))
