"""The blind rating sheet: it hides what it must, refuses what it cannot read, and scores what it can."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from example_explanations import prompt_explanation
from whygen.cli import main
from whygen.errors import DataError, FormatError, UsageError
from whygen.results import PromptExplanation
from whygen_experiments.ratings.page import rating_sheet
from whygen_experiments.ratings.scores import score
from whygen_experiments.ratings.sheet import QUESTIONS, Item, Key, blind, read_key, read_ratings, write_csv

ANSWERS = st.lists(st.sampled_from(["", "1", "2", "3", "4", "5"]), min_size=4, max_size=4)
METHODS = ("alphazeta", "betazeta", "gammazeta")


def explanations(prompts: int = 4) -> list[tuple[str, PromptExplanation]]:
    made = [prompt_explanation(prompt=f"Story {i} of a fox.", pinned=(), pairs=8, seed=i) for i in range(prompts)]
    return [(method, each) for method in METHODS for each in made]


def key_of(prompts: int = 4) -> Key:
    return blind(explanations(prompts), np.random.default_rng(0))[0]


def filled(key: Key, value: str = "3", *, delimiter: str = ",") -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(["item", *key.questions, "comment"])
    writer.writerows([item.code, *[value] * len(key.questions), "fine, by me"] for item in key.items)
    return text.getvalue()


def test_every_explanation_is_there_once_and_no_method_is_named() -> None:
    given_ = explanations()
    key, items = blind(given_, np.random.default_rng(0))
    assert sorted((item.method, item.prompt) for item in key.items) == sorted(
        (method, prompt) for method in METHODS for prompt in range(4)
    )
    page = rating_sheet(items, key.questions)
    sheet = write_csv(key)
    for text in (page, sheet):
        assert not any(method in text for method in METHODS)
        assert all(item.code in text for item in key.items)
    chosen = given_[0][1]
    for hidden in (
        chosen.estimand,
        chosen.target.unit,
        chosen.operator,
        "interval",
        f'{chosen.seed}"',
        "application/json",
    ):
        assert hidden not in page.partition("<body>")[2]


def test_codes_and_orders_say_nothing_and_come_from_the_generator() -> None:
    first, second = (blind(explanations(), np.random.default_rng(seed))[0] for seed in (1, 2))
    again = blind(explanations(), np.random.default_rng(1))[0]
    assert first == again
    assert not {item.code for item in first.items} & {item.code for item in second.items}
    orders = {tuple(i.method for i in key_.items if i.prompt == p) for key_ in (first, second) for p in range(4)}
    assert len(orders) > 1
    assert all(item.code.isalpha() for item in first.items)


def test_the_items_of_a_prompt_stand_together() -> None:
    prompts = [item.prompt for item in key_of().items]
    assert [prompts[i : i + 3] for i in range(0, 12, 3)] == [[p] * 3 for p in dict.fromkeys(prompts)]


def test_a_hostile_prompt_stays_text() -> None:
    bad = prompt_explanation(prompt="<script>alert(1)</script> a fox", pinned=(), pairs=8)
    page = rating_sheet([("ABCD", bad)], {"clear": "<b>clear</b>"})
    assert "<script" not in page
    assert "<b>clear" not in page
    assert "&lt;script&gt;" in page


def test_methods_must_explain_the_same_prompts() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(UsageError, match="0 times"):
        blind(explanations()[:-1], rng)
    with pytest.raises(UsageError, match="2 times"):
        blind([*explanations(), explanations()[0]], rng)
    with pytest.raises(UsageError, match="two methods"):
        blind(explanations()[:4], rng)
    with pytest.raises(UsageError, match="column"):
        blind(explanations(), rng, questions={"item": "?"})
    with pytest.raises(UsageError, match="at least one"):
        blind(explanations(), rng, questions={})


@settings(max_examples=30)
@given(
    st.lists(ANSWERS, min_size=12, max_size=12), st.sampled_from([",", ";", "\t"]), st.randoms(use_true_random=False)
)
def test_what_a_rater_wrote_is_read_back_in_any_order(cells: list[list[str]], delimiter: str, random: object) -> None:
    key = key_of()
    rows = [[item.code, *row, 'a "comment", with; marks'] for item, row in zip(key.items, cells, strict=True)]
    random.shuffle(rows)  # type: ignore[attr-defined]
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows([["item", *key.questions, "comment"], *rows])
    read = read_ratings(text.getvalue(), key, source="one.csv")
    expected = np.array([[float(cell) if cell else np.nan for cell in row] for row in cells])
    np.testing.assert_array_equal(read, expected)


def test_an_item_that_is_left_out_counts_as_missing() -> None:
    key = key_of()
    lines = filled(key).splitlines()
    read = read_ratings("\n".join([lines[0], *lines[2:]]), key, source="one.csv")
    assert np.isnan(read[0]).all()
    rated = score(key, {"one": read}, np.random.default_rng(0))
    assert sum(row.missing for row in rated.scores) == len(QUESTIONS)
    assert any("missing" in note for note in rated.notes)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text.replace(",3,", ",6,", 1), "line 2, column 'clear'.*'6'.*from 1 to 5"),
        (lambda text: text.replace(",3,", ",0,", 1), "'0' is no rating"),
        (lambda text: text.replace(",3,", ",4.5,", 1), "'4.5' is no rating"),
        (lambda text: text.replace(",3,", ",good,", 1), "'good' is no rating"),
        (lambda text: text.replace(",3,", ",3,3,", 1), "line 2 has 7 cells where the first line has 6"),
        (lambda text: text + "AAAA,3,3,3,3,\n", "item 'AAAA' is not on this sheet"),
        (lambda text: text + text.splitlines()[1] + "\n", "comes twice"),
        (lambda text: text.replace("plausible", "pleasing"), "has item, clear, pleasing"),
        (lambda text: "\n".join(text.splitlines()[1:]), "first line must name"),
        (lambda text: "", "it has nothing"),
        (lambda text: text + '"never closed', "unexpected end"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_rating_is_refused_with_its_place(change: object, says: str) -> None:
    key = key_of()
    with pytest.raises(DataError, match=says):
        read_ratings(change(filled(key)), key, source="one.csv")  # type: ignore[operator]


@pytest.mark.parametrize("text", ["", "[]", '{"questions": {}}', '{"questions": {"a": "b"}, "items": []}', "\x00"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(FormatError, match="whygen ratings"):
        read_key(text, source="key.json")


def test_a_key_survives_its_file_and_a_newer_one_is_refused() -> None:
    key = key_of()
    assert read_key(key.model_dump_json(), source="key.json") == key
    with pytest.raises(FormatError):
        read_key(json.dumps(key.model_dump() | {"schema_version": 2}), source="key.json")
    twice = key.model_dump() | {"items": [key.items[0].model_dump()] * 2}
    with pytest.raises(FormatError, match="two items"):
        read_key(json.dumps(twice), source="key.json")


def test_means_differences_and_agreement_are_those_of_the_ratings() -> None:
    items = [Item(code=f"{m}{p}", prompt=p, method=m) for m in ("better", "worse") for p in range(6)]
    key = Key(questions={"clear": "?"}, items=tuple(items))
    base = np.array([[4.0], [5.0], [4.0], [5.0], [4.0], [5.0], [1.0], [2.0], [1.0], [2.0], [1.0], [2.0]])
    other = base.copy()
    other[0] = np.nan
    rated = score(key, {"one": base, "two": other}, np.random.default_rng(0))
    better, worse = rated.scores
    assert (better.method, better.mean) == ("better", pytest.approx(50 / 11))
    assert (better.ratings, better.missing) == (11, 1)
    assert worse.mean == pytest.approx(1.5)
    (difference,) = rated.differences
    assert difference.mean == pytest.approx(50 / 11 - 1.5)
    assert difference.low is not None
    assert difference.low > 2.0
    assert rated.agreement[0].alpha == pytest.approx(1.0)
    json.dumps(rated.to_dict(), allow_nan=False)


def test_intervals_hold_the_mean_of_the_population_they_were_drawn_from() -> None:
    """Prompts and raters both vary; 95% intervals that resample both hold the mean at least nine times of ten."""
    rng = np.random.default_rng(3)
    key = Key(questions={"clear": "?"}, items=tuple(Item(code=f"{p}", prompt=p, method="one") for p in range(24)))
    population = rng.choice([2.0, 3.0, 4.0], size=200_000) + rng.choice([-1.0, 0.0, 1.0], size=200_000)
    held = 0
    for _ in range(60):
        prompts, raters = rng.choice([2.0, 3.0, 4.0], size=24), rng.choice([-1.0, 0.0, 1.0], size=8)
        sheets = {f"{r}": (prompts + lean)[:, None] for r, lean in enumerate(raters)}
        (row,) = score(key, sheets, rng).scores
        assert row.low is not None
        assert row.high is not None
        held += row.low <= population.mean() <= row.high
    assert held >= 54


def test_one_rater_and_one_prompt_give_a_mean_without_an_interval() -> None:
    key = Key(
        questions={"clear": "?"}, items=(Item(code="A", prompt=0, method="m"), Item(code="B", prompt=0, method="n"))
    )
    rated = score(key, {"one": np.array([[4.0], [2.0]])}, np.random.default_rng(0))
    assert [(row.mean, row.low) for row in rated.scores] == [(4.0, None), (2.0, None)]
    assert rated.agreement[0].alpha is None
    assert "One rater" in rated.notes[0]


def test_nothing_rated_is_an_error() -> None:
    key = key_of()
    for sheets in ({}, {"one": np.full((12, 4), np.nan)}):
        with pytest.raises(DataError, match="No rating"):
            score(key, sheets, np.random.default_rng(0))


def test_low_agreement_is_said() -> None:
    key, rng = key_of(), np.random.default_rng(0)
    sheets = {name: rng.integers(1, 6, size=(12, 4)).astype(float) for name in "abc"}
    assert any("agree too little" in note for note in score(key, sheets, rng).notes)


def saved(folder: Path) -> list[str]:
    given_ = []
    for i, (method, explanation) in enumerate(explanations(2)):
        explanation.save(folder / f"{i}")
        given_.append(f"{method}={folder / str(i)}")
    return given_


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(["ratings", *arguments])
    return int(end.value.code or 0)


def test_the_commands_go_from_explanations_to_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet = tmp_path / "sheet"
    assert run("export", *saved(tmp_path), "-o", str(sheet), "--seed", "1", "--question", "clear=I see.") == 0
    key_file = tmp_path / "sheet.key.json"
    assert sorted(path.name for path in sheet.iterdir()) == ["ratings.csv", "sheet.html"]
    key = read_key(key_file.read_text(), source="key")
    assert key.questions == {"clear": "I see."}
    for rater, delimiter in (("ann", ","), ("bo", ";")):
        text = filled(key, "4" if rater == "ann" else "5", delimiter=delimiter)
        (tmp_path / f"{rater}.csv").write_text("\ufeff" + text, encoding="utf-8")
    sheets = [str(tmp_path / "ann.csv"), str(tmp_path / "bo.csv")]
    capsys.readouterr()
    assert run("score", *sheets, "--key", str(key_file), "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["raters"] == ["ann", "bo"]
    assert {row["method"]: row["mean"] for row in document["scores"]} == dict.fromkeys(METHODS, 4.5)
    assert run("score", *sheets, "--key", str(key_file)) == 0
    assert "Krippendorff" in capsys.readouterr().out


def test_what_must_not_be_overwritten_or_shown_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given_, sheet = saved(tmp_path), tmp_path / "sheet"
    assert run("export", *given_, "-o", str(sheet), "--key", str(sheet / "key.json")) == 2
    assert run("export", *given_, "-o", str(sheet)) == 0
    assert run("export", *given_, "-o", str(sheet)) == 2
    (tmp_path / "latin.csv").write_bytes("item;cläar".encode("latin-1"))
    key = str(tmp_path / "sheet.key.json")
    assert run("score", str(tmp_path / "latin.csv"), "--key", key) == 2
    assert run("score", str(tmp_path / "none.csv"), "--key", key) == 3
    twice = str(sheet / "ratings.csv")
    assert run("score", twice, twice, "--key", key) == 2
    assert run("export", *given_, "-o", str(tmp_path / "other"), "--question", "clear") == 2
    said = capsys.readouterr().err
    for words in (
        "folder that the raters get",
        "already",
        "CSV UTF-8",
        "is not there",
        "given twice",
        "NAME=STATEMENT",
    ):
        assert words in " ".join(said.split())


def test_methods_are_named_by_what_tells_them_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = prompt_explanation(pairs=8)
    plain.save(tmp_path / "one")
    prompt_explanation(pairs=8, preset="gsmile").save(tmp_path / "two")
    assert run("export", str(tmp_path / "one"), str(tmp_path / "two"), "-o", str(tmp_path / "sheet")) == 0
    key = read_key((tmp_path / "sheet.key.json").read_text(), source="key")
    assert key.methods == sorted(["gsmile", f"{plain.estimand}, {plain.operator}, {plain.target.distance}"])
    assert run("export", str(tmp_path / "one"), str(tmp_path / "one"), "-o", str(tmp_path / "again")) == 2
    assert "two methods" in " ".join(capsys.readouterr().err.split())


def test_links_that_lead_round_are_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "round").symlink_to(tmp_path / "round")
    prompt_explanation().save(tmp_path / "a")
    prompt_explanation(seed=3).save(tmp_path / "b")
    turns, given = str(tmp_path / "round"), [f"one={tmp_path / 'a'}", f"two={tmp_path / 'b'}"]
    for arguments in (
        ["export", *given, "-o", turns],
        ["score", turns, "--key", "k"],
    ):
        with pytest.raises(SystemExit) as end:
            main(["ratings", *arguments])
        assert end.value.code in {1, 2, 3}
        assert "did not foresee" not in capsys.readouterr().err
