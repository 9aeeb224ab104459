from __future__ import annotations

import json
import os
import sqlite3
import stat
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from clocks import FakeClock
from hypothesis import given, settings
from hypothesis import strategies as st

from whygen.calls import RecordedCall, Runner, Store, call_key, default_store_path, open_store
from whygen.calls.agenda import GLANCE, LOOK, Agenda
from whygen.calls.leases import SharedClaims
from whygen.errors import FormatError, StoreError, UsageError
from whygen.types import Limits, Output, Picture, Request, TokenScore

IDENTITY = {"uri": "test/one"}
TEXT = st.text(st.characters(exclude_categories=()), max_size=8)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
OUTPUTS = st.builds(
    Output,
    text=TEXT,
    picture=st.none() | st.builds(Picture, st.binary(max_size=4), st.sampled_from(["image/png", "image/webp"])),
    finish=st.sampled_from(["stop", "length", "scored"]),
    tokens_in=st.none() | st.integers(0, 9),
    tokens_out=st.none() | st.integers(0, 9),
    seconds=FINITE,
    scores=st.none() | st.lists(st.builds(TokenScore, st.integers(), st.integers(), FINITE), max_size=2).map(tuple),
    extra=st.dictionaries(TEXT, st.none() | st.booleans() | st.integers() | TEXT, max_size=2),
)


def call(
    text: str, output: Output | None = None, *, uri: str = "test/one", created: float | None = None
) -> RecordedCall:
    request = Request(prompt=text)
    return RecordedCall(
        key=call_key({"uri": uri}, request),
        uri=uri,
        identity={"uri": uri},
        request=request.to_json(),
        output=output or Output(text=text.upper()),
        created=time.time() if created is None else created,
    )


def keys(*calls: RecordedCall) -> list[str]:
    return [one.key for one in calls]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "calls.sqlite"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(TEXT, OUTPUTS), max_size=4))
def test_what_was_recorded_reads_back(
    tmp_path_factory: pytest.TempPathFactory, given_: list[tuple[str, Output]]
) -> None:
    path = tmp_path_factory.mktemp("store") / "calls.sqlite"
    first = {one.key: one for one in reversed([call(text, output) for text, output in given_])}
    with Store(path) as store:
        assert store.put_many([call(text, output) for text, output in given_]) == len(first)
    with Store(path) as store:
        assert store.get_many(list(first)) == {key: one.output for key, one in first.items()}
        assert {one.key: one for one in store.calls()}.keys() == first.keys()
        assert [one.request for one in store.calls()] == [first[one.key].request for one in store.calls()]


@pytest.mark.parametrize("where", ["memory", "file"])
def test_the_first_answer_stays(path: Path, where: str) -> None:
    with Store(None if where == "memory" else path) as store:
        assert store.put_many([call("a", Output(text="first"))]) == 1
        assert store.put_many([call("a", Output(text="second")), call("b")]) == 1
        assert store.get_many(keys(call("a")))[call("a").key].text == "first"
        assert store.count() == 2


def test_what_is_not_there_is_left_out(path: Path) -> None:
    with Store(path) as store:
        store.put_many([call("a")])
        assert store.get_many([]) == {}
        assert list(store.get_many(keys(call("a"), call("b")))) == keys(call("a"))


def test_memory_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Store(None) as store:
        store.put_many([call("a")])
        assert (store.count(), store.size(), store.path, store.notices) == (1, 0, None, ())
        assert store.prune(model="test/one") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_picture_is_kept_once(path: Path) -> None:
    picture = Picture(os.urandom(200_000))
    with Store(path) as store:
        store.put_many([call(text, Output(picture=picture)) for text in "abcdefgh"])
    with Store(path) as store:
        assert store.size() < 300_000
        assert {output.picture for output in store.get_many(keys(*map(call, "abcdefgh"))).values()} == {picture}


def test_a_closed_store_may_be_closed_again(path: Path) -> None:
    store = Store(path)
    store.close()
    store.close()


def test_every_column_but_the_key_is_json_or_plain(path: Path) -> None:
    with Store(path) as store:
        store.put_many([call("ünïcode \ud800", Output(text="\x00", extra={"n": [1, None]}))])
    with sqlite3.connect(path) as connection:
        request, output = connection.execute("SELECT request, output FROM calls").fetchone()
        identity = connection.execute("SELECT identity FROM models").fetchone()[0]
    connection.close()
    assert json.loads(request)["prompt"] == {"text": "ünïcode \ud800"}
    assert json.loads(output)["extra"] == {"n": [1, None]}
    assert json.loads(identity) == IDENTITY


class TestPlaces:
    def test_the_variable_names_the_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WHYGEN_CACHE_DIR", str(tmp_path / "here"))
        assert default_store_path() == tmp_path / "here" / "calls.sqlite"
        with open_store() as store:
            assert store.path == tmp_path / "here" / "calls.sqlite"

    @pytest.mark.parametrize("value", [None, ""])
    def test_else_the_users_cache_folder(self, value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
        if value is None:
            monkeypatch.delenv("WHYGEN_CACHE_DIR", raising=False)
        else:
            monkeypatch.setenv("WHYGEN_CACHE_DIR", value)
        assert default_store_path().parts[-2:] in {("whygen", "calls.sqlite"), ("Cache", "calls.sqlite")}
        assert default_store_path().is_absolute()

    def test_a_folder_holds_the_usual_file(self, tmp_path: Path) -> None:
        with open_store(tmp_path) as store:
            assert store.path == tmp_path / "calls.sqlite"
        with open_store(str(tmp_path / "mine.db")) as store:
            assert store.path == tmp_path / "mine.db"

    def test_none_is_memory(self) -> None:
        assert open_store(None).path is None

    def test_nobody_else_may_look(self, path: Path) -> None:
        with Store(path) as store:
            store.put_many([call("private")])
            modes = {place.name: stat.S_IMODE(place.stat().st_mode) for place in (path.parent, *path.parent.iterdir())}
        assert modes.pop("cache") == 0o700
        assert set(modes.values()) == {0o600}

    def test_odd_names(self, tmp_path: Path) -> None:
        with Store(tmp_path / "a b?mode=ro#%41.sqlite") as store:
            store.put_many([call("a")])
            assert store.notices == ()
        assert [place.name for place in tmp_path.iterdir()] == ["a b?mode=ro#%41.sqlite"]


class TestPrune:
    def fill(self, store: Store) -> None:
        now = time.time()
        store.put_many([call("old", created=now - 100), call("new", created=now)])
        picture = Output(picture=Picture(b"x" * 100_000))
        store.put_many([call("old", picture, uri="test/two", created=now - 100)])

    @pytest.mark.parametrize("where", ["memory", "file"])
    @pytest.mark.parametrize(
        ("age", "model", "left"),
        [
            (timedelta(seconds=50), None, [("test/one", "new")]),
            (None, "test/two", [("test/one", "old"), ("test/one", "new")]),
            (timedelta(seconds=50), "test/one", [("test/one", "new"), ("test/two", "old")]),
            (timedelta(0), None, []),
            (timedelta(days=1), None, [("test/one", "old"), ("test/one", "new"), ("test/two", "old")]),
        ],
    )
    def test_scopes(
        self, path: Path, where: str, age: timedelta | None, model: str | None, left: list[tuple[str, str]]
    ) -> None:
        with Store(None if where == "memory" else path) as store:
            self.fill(store)
            assert store.prune(older_than=age, model=model) == 3 - len(left)
            assert [(one.uri, one.request["prompt"]) for one in store.calls()] == [
                (uri, {"text": text}) for uri, text in left
            ]
            assert store.count(model="test/two") == sum(uri == "test/two" for uri, _ in left)

    @pytest.mark.parametrize("where", ["memory", "file"])
    def test_a_clock_that_ran_ahead_hides_nothing_from_everything(self, path: Path, where: str) -> None:
        with Store(None if where == "memory" else path) as store:
            store.put_many([call("future", created=time.time() + 1e6), call("now")])
            assert store.prune(older_than=timedelta(0)) == 2
            assert store.models() == {}

    def test_models_are_told_with_their_calls(self, path: Path) -> None:
        with Store(path) as store:
            self.fill(store)
            store.put_many([call("odd", Output(extra={"scale": float("inf")}), uri="test/zero")])
            assert store.models() == {"test/one": 2, "test/two": 1, "test/zero": 1}

    def test_room_is_given_back(self, path: Path) -> None:
        with Store(path) as store:
            self.fill(store)
            before = store.size()
            store.prune(model="test/two")
            assert store.size() < before - 100_000

    def test_a_scope_is_required(self, path: Path) -> None:
        with Store(path) as store, pytest.raises(UsageError, match="needs a scope"):
            store.prune()


class TestFilesThatAreNotOurs:
    def test_a_newer_version_names_both(self, path: Path) -> None:
        Store(path).close()
        change(path, "PRAGMA user_version = 7")
        before = path.read_bytes()
        with pytest.raises(FormatError, match=r"store of version 7.*up to 3\b.*Upgrade"):
            Store(path)
        assert path.read_bytes() == before

    def test_an_older_version_is_brought_up_to_date_and_its_answers_are_kept(self, path: Path) -> None:
        recorded = call("old")
        older(path, recorded)
        with Store(path) as store:
            assert store.get_many(keys(recorded)) == {recorded.key: recorded.output}
            assert store.ledger.entries() == []

    @pytest.mark.parametrize(
        "content", [b"not a database at all, but a text" * 100, b"SQLite format 3\x00" + b"\xff" * 4000]
    )
    def test_a_damaged_file_is_named_and_left(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "calls.sqlite"
        path.write_bytes(content)
        with pytest.raises(StoreError, match=r"calls\.sqlite cannot be read.*--cache PATH"):
            Store(path)
        assert path.read_bytes() == content

    def test_damage_found_while_reading(self, path: Path) -> None:
        calls = [call(f"text {number}") for number in range(2000)]
        with Store(path) as store:
            store.put_many(calls)
        content = bytearray(path.read_bytes())
        content[8192:-4096] = os.urandom(len(content) - 8192 - 4096)
        path.write_bytes(content)
        with Store(path) as store, pytest.raises(StoreError, match=r"calls\.sqlite cannot be read.*recover"):
            store.get_many(keys(*calls))
        assert path.stat().st_size == len(content)

    def test_the_database_of_another_program(self, tmp_path: Path) -> None:
        path = tmp_path / "places.sqlite"
        change(path, "CREATE TABLE visits (url)")
        before = path.read_bytes()
        with pytest.raises(StoreError, match="another program"):
            Store(path)
        assert path.read_bytes() == before


class TestWhatCannotBeWritten:
    """The run goes on, answers stay in memory, what was recorded is read, and a notice says what to do."""

    def check_goes_on(self, store: Store, before: RecordedCall, *, readable: bool = True) -> str:
        assert store.get_many(keys(before)) == ({before.key: before.output} if readable else {})
        assert store.notices == ()
        assert store.put_many([call("b")]) == 1
        assert store.get_many(keys(call("b"))) == {call("b").key: Output(text="B")}
        ((code, text),) = store.notices
        assert code == "store-not-written"
        assert str(store.path) in text
        for way in ("--cache PATH", "WHYGEN_CACHE_DIR", "--no-cache"):
            assert way in text
        return text

    @pytest.mark.parametrize("rights", [(0o500, 0o400), (0o500, 0o600), (0o700, 0o400)])
    def test_read_only(self, guarded: Path, rights: tuple[int, int]) -> None:
        path = guarded / "calls.sqlite"
        with Store(path) as store:
            store.put_many([call("a")])
        path.chmod(rights[1])
        guarded.chmod(rights[0])
        with Store(path) as store:
            assert "cannot be written" in self.check_goes_on(store, call("a"))
            with pytest.raises(StoreError, match="nothing was deleted"):
                store.prune(model="test/one")

    def test_read_only_and_from_an_older_version(self, guarded: Path) -> None:
        path, recorded = guarded / "calls.sqlite", call("a")
        older(path, recorded)
        path.chmod(0o400)
        guarded.chmod(0o500)
        with Store(path) as store:
            self.check_goes_on(store, recorded)
            with pytest.raises(StoreError, match="written down before it is handed over"):
                assert store.ledger

    def test_read_only_while_another_process_writes(self, guarded: Path) -> None:
        path = guarded / "calls.sqlite"
        with Store(path) as writer:
            writer.put_many([call("a")])
            for part in guarded.iterdir():
                part.chmod(0o400)
            guarded.chmod(0o500)
            with Store(path) as store:
                self.check_goes_on(store, call("a"))

    def test_no_folder_can_be_made(self, guarded: Path) -> None:
        guarded.chmod(0o500)
        with Store(guarded / "new" / "calls.sqlite") as store:
            assert "Permission denied" in self.check_goes_on(store, call("a"), readable=False)
            with pytest.raises(StoreError, match="nothing was deleted"):
                store.prune(model="test/one")

    def test_a_file_where_a_folder_should_be(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with Store(tmp_path / "file" / "calls.sqlite") as store:
            self.check_goes_on(store, call("a"), readable=False)

    def test_an_unreadable_file(self, guarded: Path) -> None:
        path = guarded / "calls.sqlite"
        with Store(path) as store:
            store.put_many([call("a")])
        path.chmod(0o000)
        with Store(path) as store:
            self.check_goes_on(store, call("a"), readable=False)

    def test_a_lock_that_goes_away(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("whygen.calls.database.PATIENCE", 0.2)
        with Store(path) as store:
            store.put_many([call("a")])
            other = sqlite3.connect(path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            assert "locked" in self.check_goes_on(store, call("a"))
            other.execute("ROLLBACK")
            other.close()
            assert store.put_many([call("c")]) == 1
            assert store.notices == ()
        with Store(path) as store:
            assert len(store.get_many(keys(call("a"), call("b"), call("c")))) == 3

    def test_a_file_that_another_program_keeps_to_itself(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("whygen.calls.database.PATIENCE", 0.2)
        Store(path).close()
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        with Store(path) as store:
            assert "locked" in self.check_goes_on(store, call("a"), readable=False)
        assert time.monotonic() - began < 2
        other.close()

    def test_closing_is_a_last_try(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("whygen.calls.database.PATIENCE", 0.2)
        with Store(path) as store:
            other = sqlite3.connect(path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            store.put_many([call("a")])
            other.close()
        assert store.notices == ()
        with Store(path) as store:
            assert store.count() == 1

    @pytest.mark.parametrize(
        "output", [Output(extra={"scale": float("inf")}), Output(scores=(TokenScore(0, 1, float("-inf")),))]
    )
    def test_an_answer_that_is_not_json(self, path: Path, output: Output) -> None:
        with Store(path) as store:
            assert store.put_many([call("a"), call("odd", output)]) == 2
            assert store.get_many(keys(call("odd"))) == {call("odd").key: output}
            assert [notice.code for notice in store.notices] == ["answer-not-json"]
        with Store(path) as store:
            assert store.count() == 1


def test_a_hundred_thousand_calls_read_back(path: Path) -> None:
    calls = [call(f"Why is the sky blue on day {number}?") for number in range(100_000)]
    with Store(path) as store:
        store.put_many(calls)
        assert len(store.get_many(keys(*calls))) == 100_000


def older(path: Path, recorded: RecordedCall) -> None:
    """A store of version 1."""
    with Store(path) as store:
        store.put_many([recorded])
    for statement in ("DROP TABLE batch_calls", "DROP TABLE leases", "DROP TABLE batches", "PRAGMA user_version = 1"):
        change(path, statement)


def change(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    "damage",
    ["UPDATE calls SET request = '[]'", "UPDATE calls SET request = 12", "UPDATE calls SET request = '{}'"],
)
def test_a_row_whose_request_is_none_is_passed_over_by_an_export(path: Path, damage: str) -> None:
    with Store(path) as store:
        store.put_many([call("a"), call("b")])
    change(path, f"{damage} WHERE rowid = 2")
    with Store(path) as store:
        assert len(list(store.calls())) == 1
        assert "damaged" in store.notices[0].text


@pytest.mark.parametrize("version", [0, -1])
def test_tables_of_no_version_are_damage(path: Path, version: int) -> None:
    with Store(path) as store:
        store.put_many([call("a")])
    change(path, f"PRAGMA user_version = {version}")
    with pytest.raises(StoreError, match="says that it is of version"):
        Store(path)


def test_names_of_tables_that_are_no_text_are_damage(path: Path) -> None:
    with Store(path) as store:
        store.put_many([call("a")])
    data = path.read_bytes()
    assert b"CREATE TABLE calls" in data
    path.write_bytes(data.replace(b"CREATE TABLE calls", b"CREATE TABLE \xff\xfells"))
    with pytest.raises(StoreError, match="cannot be read as a store"):
        Store(path)


@pytest.mark.parametrize(
    "damage",
    ["{", "[]", "null", '{"text": 5}', '{"text": "x", "finish": "stop"}', "[" * 5000, b'{"text":"\xff"}', b"\x00\xfe"],
)
def test_a_damaged_row_is_asked_again_and_said(path: Path, damage: str | bytes) -> None:
    requests = [Request(prompt=text) for text in "abc"]

    class Echo:
        uri = "test/echo"
        limits = Limits()

        def answer(self, requests: Sequence[Request]) -> list[Output]:
            return [Output(text=str(request.prompt)) for request in requests]

    with Store(path) as store:
        Runner(Echo(), store=store).ask(requests)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE calls SET output = CAST(? AS TEXT) WHERE rowid = 2", (damage,))
    connection.commit()
    connection.close()
    with Store(path) as store:
        assert len(list(store.calls())) == 2
        assert "damaged" in store.notices[0].text
    with Store(path) as store:
        runner = Runner(Echo(), store=store)
        assert [getattr(answer, "text", "") for answer in runner.ask(requests)] == ["a", "b", "c"]
        assert runner.tally.made == 1
        assert [notice.code for notice in store.notices] == ["rows-damaged"]
    with Store(path) as store:
        assert len(list(store.calls())) == 3
        assert store.notices == ()


def test_whoever_waits_for_another_process_has_its_answer_in_a_moment(tmp_path: Path) -> None:
    key, clock = call("a").key, FakeClock()
    with open_store(tmp_path / "calls.sqlite") as ours, open_store(tmp_path / "calls.sqlite") as theirs:
        assert ours.leases is not None
        assert theirs.leases is not None
        assert theirs.leases.claim([key]) == {}
        claims = SharedClaims(ours.leases, [key])
        agenda = Agenda([Request(prompt="a")], clock=clock, claims=claims)
        assert agenda.take(1) == []
        assert agenda.take(1) == []
        began = clock.at
        agenda.sleep()
        theirs.put_many([call("a", Output(text="b"))])
        assert agenda.take(1) == []
        assert [answer.text for _, answer in agenda.found() if isinstance(answer, Output)] == ["b"]
        assert clock.at - began <= GLANCE < LOOK
