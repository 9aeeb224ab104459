"""Texts as anchors: read, twinned, scored, grouped, saved and shown, with a model whose memory is known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import whygen
from whygen.anchors.texts.criteria import draws_for, is_verbatim, match
from whygen.anchors.texts.loading import MOST_TEXTS, TextAnchor, load_texts, load_twins
from whygen.anchors.texts.twins import make_twins, name_pool, names_in
from whygen.errors import DataError, MissingError, UsageError
from whygen.evaluation.check import check
from whygen.results import TextAnchorExplanation
from whygen.results.summary import print_terminal
from whygen.types import Failure, Limits, Output, Request, TokenScore

KNOWN = -0.2
STRANGE = -3.0


class Remembers:
    """Finds words of texts that it knows likely; the chance of all others hangs on the word alone."""

    def __init__(self, known: Sequence[str], *, uri: str = "own/remembers", writes: bool = True) -> None:
        self.known = set(known)
        self.uri = uri
        self.limits = Limits(max_batch=16)
        self.identity = {"uri": uri, "known": sorted(known)}
        self.writes = writes
        self.scored = 0

    def answer(self, requests: Sequence[Request]) -> list[Output | Failure]:
        return [Output(text=self._after(str(request.prompt))) for request in requests]

    def _after(self, prompt: str) -> str:
        whole = next((text for text in sorted(self.known) if text.startswith(prompt) and prompt), None)
        return whole[len(prompt) :] if whole and self.writes else " something else"

    def score(self, requests: Sequence[Request]) -> list[Output | Failure]:
        self.scored += len(requests)
        return [self._scored(request.continuation or "") for request in requests]

    def _scored(self, text: str) -> Output | Failure:
        if "FAIL" in text:
            return Failure(kind="permanent", message="cannot", advice="Leave it out.")
        ends = [i for i, letter in enumerate(text) if letter == " " and i] + [len(text)]
        starts = [0, *ends[:-1]]
        return Output(
            finish="scored",
            scores=tuple(
                TokenScore(a, b, KNOWN if text in self.known else self._value(text[a:b]))
                for a, b in zip(starts, ends, strict=True)
            ),
        )

    def _value(self, word: str) -> float:
        return STRANGE + np.random.default_rng(list(word.encode())).uniform(-0.5, 0.5)


def canaries(n: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return [f"The locker {i + 100 * seed} is opened by {rng.integers(10**6, 10**7)} today" for i in range(n)]


def test_what_is_known_by_heart_is_called_and_nothing_else(tmp_path: Path) -> None:
    seen, new = canaries(8), canaries(8, seed=1)
    found = whygen.explain_anchors(Remembers(seen), seen + new, cache=tmp_path / "store")
    assert isinstance(found, TextAnchorExplanation)
    assert [text.index for text in found.members("knows by heart")] == list(range(8))
    assert found.groups["cannot be told"].count == 8
    assert not found.groups["knows the kind"].measured
    [contrast] = found.contrasts
    assert contrast.kind == "twins"
    assert contrast.low <= 0.5 <= contrast.high
    first = found.texts[0]
    assert first.p == pytest.approx(0.1)
    assert first.nearest_twin is not None
    assert first.nearest_twin != first.text
    assert first.verbatim
    assert first.nll == pytest.approx(-KNOWN)


def test_with_a_reference_kinds_are_told(tmp_path: Path) -> None:
    seen, new, held = canaries(8), canaries(8, seed=1), canaries(60, seed=2)
    odd = [f"{i} {i} {i} {i} {i} {i}" for i in ("qqqq", "zzzz")]
    model = Remembers([*seen, *held[40:]], writes=False)
    strange = min(model._value(f" {word}") for word in ("qqqq", "zzzz"))
    found = whygen.explain_anchors(model, [*seen, *new, *odd], reference=held[:40], cache=None)
    assert {text.index for text in found.members("knows by heart")} == set(range(8))
    assert found.groups["knows the kind"].count + found.groups["does not know"].count == 10
    assert found.texts[0].told_by == "twins, against the reference"
    assert found.texts[-1].told_by == "reference"
    assert strange < STRANGE or found.groups["knows the kind"].count


def test_saved_and_shown(tmp_path: Path) -> None:
    hostile = "\x1b[31m<script>alert(1)</script> \u202e 12345 =1+1"
    seen = [*canaries(8), hostile]
    found = whygen.explain_anchors(Remembers(seen), [*seen, "", "word", seen[0]], cache=None)
    assert [text.state for text in found.texts[-3:]] == ["empty", "too short", "copy"]
    assert found.texts[-1].copy_of == 0
    assert found.counted == 9
    found.save(tmp_path / "saved")
    assert whygen.load(tmp_path / "saved") == found
    assert json.loads(json.dumps(found.to_dict()))["schema"] == 1
    page = found.to_html()
    assert "<script>alert" not in page
    assert "\x1b" not in page
    assert "⟨U+202E⟩" in page
    console = Console(record=True, width=120)
    print_terminal(found, console)
    shown = console.export_text()
    assert "\x1b" not in shown
    assert "knows by heart" in shown
    assert len(found.table()["index"]) == found.n_texts
    assert found.look_at()[0]["group"] == "knows by heart"


def test_a_failure_leaves_the_others() -> None:
    seen = canaries(8)
    found = whygen.explain_anchors(Remembers(seen), [*seen, "FAIL 12345 now"], cache=None)
    assert found.texts[-1].state == "failed"
    assert "Leave it out" in found.texts[-1].reason
    assert found.groups["knows by heart"].count == 8
    with pytest.raises(UsageError, match="What still works"):
        whygen.explain_anchors(Remembers([]), ["FAIL 1 now", "FAIL 2 now"], cache=None)


def test_nothing_is_asked_twice(tmp_path: Path) -> None:
    seen = canaries(6)
    first = Remembers(seen)
    one = whygen.explain_anchors(first, seen, cache=tmp_path / "store")
    again = Remembers(seen)
    two = whygen.explain_anchors(again, seen, cache=tmp_path / "store")
    assert first.scored == 6 * 10
    assert again.scored == 0
    assert one.texts == two.texts


def test_a_chat_alone_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no log-probabilities.*What still works"):
        whygen.explain_anchors("openai/gpt-x", ["A text 1."], options=whygen.models.ModelOptions(purpose="foresee"))

    def chat(prompt: str) -> str:
        return prompt

    with pytest.raises(UsageError, match="no log-probabilities"):
        whygen.explain_anchors(chat, ["A text 1."])


def test_options_of_samples_are_refused_and_those_of_texts_too() -> None:
    with pytest.raises(UsageError, match="draws=8 speaks of samples"):
        whygen.explain_anchors(Remembers([]), ["A text 1."], draws=8)
    with pytest.raises(UsageError, match="twins=3 speaks of texts"):
        whygen.explain_anchors("demo/digits-vae", np.zeros((3, 28, 28)), twins=3)
    with pytest.raises(UsageError, match="fdr is 2"):
        whygen.explain_anchors(Remembers([]), ["A text 1."], fdr=2.0)
    with pytest.raises(UsageError, match="twins is -1"):
        whygen.explain_anchors(Remembers([]), ["A text 1."], twins=-1)


def test_twins_change_numbers_and_names_alone() -> None:
    text = "In 1984 Anna Keller met Tom. Anna owed him 7,250.50 and left at 9. The end."
    twins = make_twins(text, 9, seed=0, names=("Berta", "Carlos", "Dora"))
    assert len(set(twins)) == 9
    assert text not in twins
    for twin in twins:
        assert len(twin.split()) == len(text.split())
        assert twin.startswith("In 19")
        assert twin.endswith("The end.")
        first = twin.split()[2]
        assert twin.split()[6] == first  # Anna is the same person twice
    assert make_twins(text, 9, seed=0, names=("Berta", "Carlos", "Dora")) == twins
    assert make_twins(text, 9, seed=1, names=("Berta", "Carlos", "Dora")) != twins
    assert make_twins("nothing to exchange here.", 9, seed=0) == ()
    assert len(make_twins("Room 7.", 9, seed=0)) == 9
    assert make_twins("٣٤٥ كتاب", 2, seed=0)[0].split()[1] == "كتاب"


def test_no_twin_is_a_text_that_may_have_been_seen() -> None:
    texts = [f"Room {digit}." for digit in range(10)]
    assert make_twins(texts[0], 9, seed=0, avoid=texts) == ()
    assert set(make_twins(texts[0], 9, seed=0, avoid=texts[:5])) == set(texts[5:])


def test_names_are_exchanged_for_names_of_one_size() -> None:
    names = ("Al", "Bo", "Cy", "Di", "Maximiliana", "Wilhelmina")
    twins = make_twins("then Ed slept", 4, seed=0, names=names)
    assert {twin.split()[1] for twin in twins} == {"Al", "Bo", "Cy", "Di"}


def test_names_stand_inside_sentences() -> None:
    text = "She saw Paris. Paris was big. Dogs ran. “Yes,” said O'Neill."
    assert [text[a:b] for a, b in names_in(text)] == ["Paris", "Paris", "O'Neill"]
    assert [text[a:b] for text in ["Then Dr. Who left."] for a, b in names_in(text)] == ["Who"]
    assert name_pool([text, "and Rome"]) == ("O'Neill", "Paris", "Rome")


def test_files_of_texts(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one 1\n\ntwo 2\n", encoding="utf-8")
    (tmp_path / "b.jsonl").write_text('{"text": "one 1", "prompt": "p"}\n"two 2"\n', encoding="utf-8")
    (tmp_path / "c.csv").write_text('id,said\n1,"one, 1"\n2,two 2\n', encoding="utf-8")
    (tmp_path / "d.json").write_text('["one 1", {"content": "two 2"}]', encoding="utf-8")
    found = load_texts(tmp_path / "a.txt")
    assert [each.text for each in found.anchors] == ["one 1", "two 2"]
    assert found.dropped == 1
    assert load_texts(tmp_path / "b.jsonl").anchors[0] == TextAnchor("one 1", "p")
    assert [each.text for each in load_texts(f"{tmp_path}/c.csv#said").anchors] == ["one, 1", "two 2"]
    assert [each.text for each in load_texts(tmp_path / "d.json").anchors] == ["one 1", "two 2"]
    (tmp_path / "e.txt").write_bytes("caf\xe9 1".encode("latin-1"))
    with pytest.raises(DataError, match="iconv"):
        load_texts(tmp_path / "e.txt")
    (tmp_path / "f.jsonl").write_text('"one"\n{broken\n', encoding="utf-8")
    with pytest.raises(DataError, match="Line 2"):
        load_texts(tmp_path / "f.jsonl")
    with pytest.raises(DataError, match="no column 'nope'"):
        load_texts(f"{tmp_path}/c.csv#nope")
    with pytest.raises(MissingError, match="given in a list"):
        load_texts("just one text")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ([b"bytes"], "decode"),
        ([1], "no text"),
        ([], "holds no text"),
        ({"a": ["x"]}, "Give a list of texts"),
        ([{"a": "x", "b": "y"}], "none is called text"),
        (["x"] * (MOST_TEXTS + 1), "more than"),
    ],
)
def test_what_is_no_text_is_named(source: object, said: str) -> None:
    with pytest.raises(DataError, match=said):
        load_texts(source)


def test_twins_of_ones_own() -> None:
    anchors = load_texts(["a b", "c d"]).anchors
    assert load_twins(["a x", "c x"], anchors) == [["a x"], ["c x"]]
    with pytest.raises(DataError, match="twins holds 1 for 2"):
        load_twins(["a x"], anchors)
    with pytest.raises(DataError, match=r"twins\[1\]"):
        load_twins([["a x", "a y"], ["c x"]], anchors)


def test_draws_are_those_of_repeated_trials() -> None:
    for p_once in (0.9, 0.3, 1e-3, 1e-6):
        for p in (0.5, 0.9):
            n = draws_for(-np.log(p_once), p)
            assert n == 1.0 if p_once >= p else 1 - (1 - p_once) ** n == pytest.approx(p)
    assert draws_for(40.0, 0.5) == pytest.approx(np.log(2) * np.exp(40), rel=1e-9)
    assert draws_for(1e6, 0.5) == np.inf


def test_matches() -> None:
    assert match(" the end of it", " the end of it and more") == 1.0
    assert match("a b c d", "a x c d") == 0.75
    assert match("東京", "東西") == 0.5
    assert is_verbatim(" the  end", "the end of")
    assert not is_verbatim("the end", "an end")


def test_a_gate_on_what_is_known_by_heart() -> None:
    seen = canaries(8)
    found = whygen.explain_anchors(Remembers(seen), seen + canaries(8, seed=1), cache=None)
    rules = ["group 'knows by heart' share <= 0.9", "known_by_heart <= 0.1", "no warning 'overlap'"]
    assert [each.verdict for each in check(found, rules)] == ["pass", "fail", "pass"]
    with pytest.raises(UsageError, match="does not have"):
        check(found, ["group HILE share <= 0.1"])
    with pytest.raises(UsageError, match="for an explanation of a prompt"):
        check(found, ["unit 'x' significant"])


def test_what_the_model_invents_is_continued_worse_than_held_out_texts() -> None:
    held, known = canaries(45, seed=2), canaries(8)
    model = Remembers([*held, *known])
    model._after = lambda prompt: " something else" if prompt.startswith(tuple(x[:14] for x in known[:4])) else (  # type: ignore[method-assign]
        next((text[len(prompt) :] for text in [*held, *known] if text.startswith(prompt)), "")
    )  # fmt: skip
    found = whygen.explain_anchors(model, known, reference=held, cache=None)
    assert [text.index for text in found.members("invents")] == [0, 1, 2, 3]
    assert [text.index for text in found.members("knows the kind")] == [4, 5, 6, 7]
    assert found.members("invents")[0].p_match == pytest.approx(1 / 46)
    # Known by heart as much as the reference is, which is told of:
    assert "reference-known" in {each.code for each in found.warnings}


def test_an_object_that_only_scores_will_do() -> None:
    class Scores:
        def score(self, requests: Sequence[Request]) -> list[Output | Failure]:
            return Remembers(canaries(8)).score(requests)

    found = whygen.explain_anchors(Scores(), [*canaries(8), *canaries(8, seed=1)], cache=None)
    assert found.groups["knows by heart"].count == 8
    assert all(text.written is None for text in found.texts)


def test_a_log_probability_that_is_no_number_fails_its_text_alone() -> None:
    class Nan(Remembers):
        def _value(self, word: str) -> float:
            return float("nan") if "NAN" in word else super()._value(word)

    found = whygen.explain_anchors(Nan(canaries(8)), [*canaries(8), "a NAN 12345 here"], cache=None)
    assert found.texts[-1].state == "failed"
    assert "no finite log-probability" in found.texts[-1].reason
    assert found.groups["knows by heart"].count == 8


def test_nothing_that_can_be_scored_is_an_answer_too() -> None:
    found = whygen.explain_anchors(Remembers([]), ["", " \n "], cache=None)
    assert found.counted == 0
    assert [text.state for text in found.texts] == ["empty", "empty"]
    assert found.to_html()


def test_texts_that_the_reference_holds_too_measure_nothing() -> None:
    texts, held = canaries(8), canaries(45, seed=2)
    found = whygen.explain_anchors(Remembers(texts), texts, reference=[*held, *texts[:3]], cache=None)
    assert found.reference is not None
    assert found.reference.n == 45
    assert "overlap" in {each.code for each in found.warnings}


def test_a_function_of_a_text_gives_log_probabilities() -> None:
    seen, new = canaries(6), canaries(6, seed=1)

    def tokens(text: str) -> list[float]:
        return [(KNOWN if text in seen else STRANGE) - len(word) / 100 for word in text.split()]

    found = whygen.explain_anchors(tokens, seen + new, reference=canaries(45, seed=2), cache=None, twins=4)
    assert isinstance(found, TextAnchorExplanation)
    assert [text.index for text in found.members("knows by heart")] == list(range(6))
    assert found.texts[0].nats == pytest.approx(-sum(tokens(seen[0])))
    assert found.texts[0].tokens == len(seen[0].split())


@pytest.mark.parametrize(
    ("gives", "words"),
    [(-3.0, "no list of log-probabilities"), ([0.5], "0 or less"), ("hello", "gives no log-probabilities")],
)
def test_a_function_that_gives_something_else_is_told_so(gives: object, words: str) -> None:
    def model(text: str) -> object:
        return gives

    with pytest.raises(UsageError, match=words):
        whygen.explain_anchors(model, canaries(3), cache=None, twins=2)


def test_an_object_that_scores_texts_is_told_what_it_is_given() -> None:
    class Scorer:
        def score(self, texts: Sequence[str]) -> list[int]:
            return [len(text) for text in texts]

    with pytest.raises(UsageError, match=r"request\.continuation is the text"):
        whygen.explain_anchors(Scorer(), canaries(3), cache=None, twins=2)


def test_chats_and_columns_within_columns_are_texts(tmp_path: Path) -> None:
    chat = tmp_path / "chat.jsonl"
    turns = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]
    chat.write_text(json.dumps({"messages": [*turns, {"role": "assistant", "content": "Hello"}]}), encoding="utf-8")
    assert load_texts(chat).anchors == (TextAnchor("Hello", "Be kind.\nHi"),)
    nested = tmp_path / "nested.jsonl"
    nested.write_text(json.dumps({"id": 1, "body": {"text": "a b"}, "label": "x"}), encoding="utf-8")
    assert load_texts(f"{nested}#body.text").anchors == (TextAnchor("a b", label="x"),)
    with pytest.raises(DataError, match=r"no column 'body\.title'"):
        load_texts(f"{nested}#body.title")
    with pytest.raises(DataError, match=r'by role: \{"training"'):
        whygen.explain_anchors(Remembers([]), {"train": ["a b"], "test": ["c d"]}, cache=None)
