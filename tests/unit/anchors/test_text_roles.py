"""Roles, labels, reading again, comparing and evaluating of texts, by a model whose memory is known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import whygen
from whygen.anchors.texts.measured import TextSide
from whygen.cli.app import app
from whygen.errors import DataError, MissingError, UnknownNameError, UsageError
from whygen.results import TextAnchorExplanation
from whygen.results.summary.texts import headline
from whygen.types import Failure, Limits, Output, Request, TokenScore

KNOWN, STRANGE = -0.2, -3.0


class Remembers:
    """Finds texts that it knows likely by ``gain`` nats a word; the chance of other words hangs on the word alone."""

    limits = Limits(max_batch=64)

    def __init__(self, known: Sequence[str], *, uri: str = "own/remembers", gain: float = 2.8) -> None:
        self.known, self.uri, self.gain = set(known), uri, gain
        self.identity = {"uri": uri, "known": sorted(known), "gain": gain}
        self.asked = 0

    def answer(self, requests: Sequence[Request]) -> list[Output | Failure]:
        return [Output(text=" something else") for _ in requests]

    def score(self, requests: Sequence[Request]) -> list[Output | Failure]:
        self.asked += len(requests)
        return [self._scored(request.continuation or "") for request in requests]

    def _scored(self, text: str) -> Output | Failure:
        if "FAIL" in text:
            return Failure(kind="permanent", message="cannot", advice="Leave it out.")
        ends = [i for i, letter in enumerate(text) if letter == " " and i] + [len(text)]
        more = self.gain if text in self.known else 0.0
        return Output(
            finish="scored",
            scores=tuple(
                TokenScore(a, b, min(-0.01, self._value(text[a:b]) + more))
                for a, b in zip([0, *ends[:-1]], ends, strict=True)
            ),
        )

    def _value(self, word: str) -> float:
        return STRANGE + crc32(word.encode()) / 2**32 - 0.5


def lockers(n: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return [f"The locker {i + 100 * seed} is opened by {rng.integers(10**6, 10**7)} today" for i in range(n)]


def plain_texts(n: int, seed: int = 0) -> list[str]:
    """Without numbers or names, so without twins."""
    rng = np.random.default_rng(100 + seed)
    words = ["door", "rain", "the", "old", "green", "river", "sleeps", "under", "every", "stone", "and", "sings"]
    return [" ".join(rng.choice(words, 9)) for _ in range(n)]


def explained(model: object, anchors: object, **more: object) -> TextAnchorExplanation:
    found = whygen.explain_anchors(model, anchors, cache=None, **more)  # pyright: ignore[reportArgumentType]
    assert isinstance(found, TextAnchorExplanation)
    return found


def test_roles_tell_the_gap_that_a_level_cannot_tell_of_one_text() -> None:
    trained, held, foreign = plain_texts(60), plain_texts(60, 1), lockers(10, 3)
    by_role = {"training": trained, "held-out": held, "foreign": foreign}
    found = explained(Remembers(trained[:20]), by_role)
    gap = found.memorisation
    assert gap is not None
    assert (gap.held_by, gap.n_training, gap.n_held_out) == (
        "anchors",
        len(set(trained)),
        len(set(held) - set(trained)),
    )
    [nll] = gap.criteria
    assert gap.found
    assert nll.criterion == "nll"
    assert nll.memorised.low <= 1 / 3 <= nll.memorised.high
    flagged = {text.index for text in found.texts if text.memorised}
    assert set(range(20)) <= flagged
    assert len(flagged - set(range(60))) <= 0.05 * len(held) + 1
    assert [role.role for role in found.roles] == ["training", "held-out", "foreign"]
    assert sum(found.roles[2].groups.values()) == 10
    nothing = explained(Remembers([]), by_role)
    assert nothing.memorisation is not None
    assert not nothing.memorisation.found
    assert "No gap was found" in nothing.to_html()
    said = (
        f"{gap.flagged} of {gap.n_training} training texts are called memorised beside {gap.n_held_out} held-out ones"
    )
    assert said in headline(found)
    assert "not found to be better known" in headline(nothing)
    assert "called memorised" in found.to_html()


def test_a_baseline_that_tells_the_sets_apart_as_well_takes_the_claim_away() -> None:
    trained, held = plain_texts(60), plain_texts(60, 1)
    both = {"training": trained, "held-out": held}
    found = explained(Remembers(trained[:30]), both, baseline=Remembers(trained[:30], uri="own/too"))
    assert found.memorisation is not None
    nll, less = found.memorisation.criteria
    assert nll.untrained is not None
    assert nll.untrained.area == pytest.approx(nll.auroc.area)
    assert less.auroc.area == pytest.approx(0.5)
    assert not found.memorisation.found
    assert any(each.code == "roles-differ" for each in found.warnings)
    alone = explained(Remembers(trained[:30]), both, baseline=Remembers([], uri="own/before"))
    assert alone.memorisation is not None
    assert alone.memorisation.found


def test_held_out_copies_of_training_texts_are_left_out_whatever_their_order() -> None:
    trained, held = plain_texts(50), plain_texts(50, 1)
    found = explained(Remembers(trained), {"held-out": [*trained[:3], *held], "training": trained})
    assert [text.state for text in found.texts[:3]] == ["copy"] * 3
    assert found.memorisation is not None
    assert found.memorisation.overlap == 3
    assert any(each.code == "role-overlap" for each in found.warnings)


def test_a_held_out_reference_stands_for_held_out_anchors_and_too_few_are_said() -> None:
    trained, held = plain_texts(40), plain_texts(60, 1)
    found = explained(Remembers(trained[:20]), trained, roles="training", reference=held)
    assert found.memorisation is not None
    assert found.memorisation.held_by == "reference"
    assert found.memorisation.found
    seen = explained(Remembers(trained[:20]), trained, roles="training", reference=held, reference_role="training")
    assert seen.memorisation is None
    assert any(each.code == "no-held-out" for each in seen.warnings)
    few = explained(Remembers(trained), {"training": trained, "held-out": held[:5]})
    assert any("needed, and 5 were scored" in each.text for each in few.warnings)


def test_roles_and_labels_that_cannot_be() -> None:
    texts, model = plain_texts(4), Remembers([])
    with pytest.raises(UnknownNameError, match="role of anchors"):
        explained(model, texts, roles="seen")
    with pytest.raises(DataError, match="3 roles for 4"):
        explained(model, texts, roles=["training"] * 3)
    with pytest.raises(UsageError, match="roles= too"):
        explained(model, {"training": texts}, roles="training")
    with pytest.raises(DataError, match="2 labels for 4 texts"):
        explained(model, texts, labels=["a", "b"])
    with pytest.raises(UsageError, match="false_positives is 2"):
        explained(model, texts, false_positives=2)


def test_labels_are_found_in_rows_and_counted_by_group(tmp_path: Path) -> None:
    seen, new = lockers(8), lockers(8, 1)
    rows = [{"text": text, "label": "seen" if text in seen else 7} for text in seen + new]
    place = tmp_path / "texts.jsonl"
    place.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    found = explained(Remembers(seen), str(place))
    assert found.labels is not None
    assert found.labels.labels == (7, "seen")
    table = dict(zip(found.labels.labels, found.labels.counts, strict=True))
    assert table["seen"][found.labels.groups.index("knows by heart")] == 8
    assert sum(table[7]) == 8
    given_too = explained(Remembers(seen), seen + new, labels=[row["label"] for row in rows])
    assert given_too.labels == found.labels


@settings(max_examples=4, deadline=None)
@given(st.floats(0.01, 0.5), st.floats(0.01, 0.5), st.floats(0.02, 0.5))
def test_reading_again_is_explaining_again(alpha: float, fdr: float, false_positives: float) -> None:
    trained, held = [*lockers(10), *plain_texts(15)], [*lockers(25, 1), *plain_texts(25, 2), "FAIL here"]
    anchors = {"training": [*trained, "x", "FAIL"], "held-out": held[:24]}
    how = {"twins": 4, "reference": held[24:], "baseline": Remembers(trained[:2], uri="own/other")}
    model = Remembers(trained[5:15])
    first = explained(model, anchors, **how)
    levels = {"alpha": alpha, "fdr": fdr, "false_positives": false_positives}
    asked = model.asked
    again = first.read(**levels)
    assert model.asked == asked
    other = explained(model, anchors, **how, **levels)
    assert again.to_dict() == other.to_dict()
    assert again.scores == other.scores


def test_what_was_saved_is_read_again_and_from_json_alone_it_says_so(tmp_path: Path) -> None:
    seen, new = lockers(8), lockers(8, 1)
    found = explained(Remembers(seen), [*seen, *new, "FAIL"], reference=lockers(50, 2))
    loaded = TextAnchorExplanation.load(found.save(tmp_path / "one"))
    assert loaded.scores == found.scores
    assert loaded.read(fdr=0.2).to_dict() == found.read(fdr=0.2).to_dict()
    with pytest.raises(MissingError, match="holds no scores"):
        TextAnchorExplanation.load(tmp_path / "one" / "explanation.json").read(fdr=0.2)
    with pytest.raises(UsageError, match="fdr is 0"):
        loaded.read(fdr=0)
    run = CliRunner()
    told = run.invoke(app, ["read", str(tmp_path / "one"), "--fdr", "0.2", "--json"])
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["fdr"] == 0.2
    nothing = run.invoke(app, ["read", str(tmp_path / "one"), "--fdr", "0"])
    assert "fdr is 0" in str(nothing.exception)
    refused = run.invoke(app, ["read", str(tmp_path / "one"), "--select", "k-center:3"])
    assert isinstance(refused.exception, UsageError)
    assert "leave out --select" in str(refused.exception)


def test_sides_come_back_as_they_were() -> None:
    found = explained(Remembers(lockers(3)), [*lockers(5), "FAIL 1 a"], baseline=Remembers([], uri="own/b"), twins=3)
    assert found.scores is not None
    side = TextSide.of(found.scores.anchors, has_baseline=True)
    assert side.kept() == found.scores.anchors
    assert side.among_twins()[1].shape == (5, 4)


def test_two_checkpoints_tell_what_was_learned_by_heart_and_what_was_forgotten(tmp_path: Path) -> None:
    texts = [*lockers(40), *plain_texts(20)]
    before, after = Remembers(texts[:10], uri="own/before"), Remembers(texts[20:32], uri="own/after")
    how = {"twins": 5, "reference": lockers(120, 2), "labels": ["canary"] * 40 + ["plain"] * 20}
    one, other = (explained(model, texts, **how) for model in (before, after))
    found = whygen.compare(one, other)
    learned = {each.index for each in found.changed if each.change == "learned"}
    forgotten = {each.index for each in found.changed if each.change == "forgotten"}
    assert learned == set(range(20, 32))
    assert forgotten == set(range(10))
    assert {each.label for each in found.labels} == {"canary", "plain"}
    heart = next(row for row in found.groups if row.group == "knows by heart")
    assert heart.low <= 2 / 60 <= heart.high
    assert found.changed[0].flip_rates is None
    assert "forgotten" in found.to_html()
    few = whygen.compare(*(explained(model, texts, reference=lockers(25, 2)) for model in (before, after)))
    assert few.learned == 0
    assert any("must stand out before any is called" in note for note in few.notes)
    same = whygen.compare(one, explained(before, texts, **how))
    assert (same.learned, same.forgotten, same.moved, same.unsure) == (0, 0, 0, 0)
    for name, each in (("a", one), ("b", other)):
        each.save(tmp_path / name)
    run = CliRunner()
    told = run.invoke(app, ["compare", str(tmp_path / "a"), str(tmp_path / "b"), "-o", str(tmp_path / "c")])
    assert told.exit_code == 0, told.output
    assert "learned" in told.output
    assert (tmp_path / "c" / "report.html").is_file()


def test_a_model_that_is_better_at_everything_has_learned_nothing_by_heart() -> None:
    texts, held = lockers(40), lockers(60, 2)
    one = explained(Remembers([], uri="own/a"), texts, reference=held)

    class Better(Remembers):
        def _value(self, word: str) -> float:
            return super()._value(word) + 1.0

    other = explained(Better([], uri="own/better"), texts, reference=held)
    found = whygen.compare(one, other)
    assert (found.learned, found.forgotten) == (0, 0)
    assert found.criteria[0].high < -0.9


def test_two_that_are_not_of_one_question_are_refused() -> None:
    texts, held = lockers(10), lockers(50, 2)
    one = explained(Remembers(texts), texts, reference=held)
    with pytest.raises(UsageError, match="9 texts are in both"):
        whygen.compare(one, explained(Remembers(texts), texts[:9], reference=held))
    with pytest.raises(UsageError, match="levels differ"):
        whygen.compare(one, one.read(fdr=0.2))
    with pytest.raises(UsageError, match="has a reference"):
        whygen.compare(one, explained(Remembers(texts), texts))
    bare = one.model_copy(update={"scores": None})
    with pytest.raises(MissingError, match="The second explanation"):
        whygen.compare(one, bare)


def test_evaluate_measures_false_alarms_and_flips(tmp_path: Path) -> None:
    trained, held = [*lockers(20), *plain_texts(10)], [*lockers(50, 1), *plain_texts(10, 1)]
    anchors = {"training": trained, "held-out": plain_texts(40, 3)}
    found = explained(Remembers(trained[:15]), anchors, reference=held, twins=6)
    measured = whygen.evaluate(found)
    rows = {row.name: row for row in measured.measures}
    assert rows["held_out_called"].value <= rows["held_out_called"].chance
    assert rows["call_flips"].value < 0.2
    assert rows["auroc_nll"].chance == 0.5
    assert rows["share_knows_by_heart"].n == found.counted
    with pytest.raises(UsageError, match="not for anchors that are texts"):
        whygen.evaluate(found, metrics="coverage")
    run = CliRunner()
    found.save(tmp_path / "one")
    told = run.invoke(app, ["evaluate", str(tmp_path / "one")])
    assert told.exit_code == 0, told.output
    assert "false_alarms" in told.output or "held_out_called" in told.output


def test_a_headline_that_finds_a_gap_does_not_take_it_back_by_what_a_baseline_alone_cannot_call() -> None:
    trained, held = plain_texts(60), plain_texts(120, 1)
    found = explained(
        Remembers(trained[:19]), {"training": trained, "held-out": held}, baseline=Remembers([], uri="own/before")
    )
    assert found.memorisation is not None
    assert found.memorisation.found
    assert not found.groups["knows by heart"].count
    first, second = headline(found).split(". ")
    assert "training texts are called memorised beside" in first
    assert (
        second
        == f"By the baseline alone, without held-out texts, none of {found.counted} texts is called known by heart."
    )
    told = [each.text for each in found.warnings if each.code == "few-to-tell-by"]
    assert all("twins of each text" not in text and "held-out texts of the same kind" in text for text in told)
    assert told
