"""How requests reach a provider's batch endpoint: handed over together, looked for again and again, collected.

Whatever happens in between, nothing is handed over twice: each batch stands in the store's `Ledger` before it leaves,
a batch of which no word came back is looked for at the provider, and an entry goes only when its answers are recorded.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from whygen.calls.agenda import Agenda, Answer, Clock, End, InFlight, MonotonicClock, Settled
from whygen.calls.dispatch import Send
from whygen.calls.ledger import Entry, Ledger
from whygen.calls.progress import Progress, ShowsNote
from whygen.calls.rows import RecordedCall, call_key, identity_of
from whygen.calls.store import Store
from whygen.errors import UsageError
from whygen.interrupts import interrupts_raise
from whygen.models.batches import AnswersLater, Batches, BatchState, NoBatches, Results, Sought
from whygen.models.protocols import Model
from whygen.types import Failure, JsonValue, Limits, Output, canonical_json, digest

DOUBT: Final = 60.0
"""Seconds for which a batch of which no word came back is looked for, before it counts as never taken."""
PATIENCE: Final = 900.0
"""Seconds for which a provider may answer nothing but errors about its batches."""
READINGS: Final = 3
"""How often results that lack something are asked for, before what is missing is asked anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPace:
    """Seconds between one look and the next: at first, by which factor they grow, and at most."""

    first: float = 5.0
    growth: float = 1.5
    longest: float = 120.0


class BatchDispatcher:
    """Hands requests over to a provider's batch endpoint. It may take a day, and costs about half.

    Ctrl-C, a deadline or a killed process end the waiting; the batch goes on, and the same command collects it.

    Args:
        model: the model; its provider must take batches (`whygen.models.batches.AnswersLater`).
        store: where batches and answers are recorded, on disk.
        progress: told how far the batches are.
        pace: how often to look.
        doubt: see `DOUBT`.
        clock: the time.

    Raises:
        UsageError: if the model takes no batches.
        StoreError: if the store is in memory, or cannot be written.
    """

    def __init__(
        self,
        model: Model,
        store: Store,
        *,
        progress: Progress | None = None,
        pace: BatchPace | None = None,
        doubt: float = DOUBT,
        clock: Clock | None = None,
    ) -> None:
        if not isinstance(model, AnswersLater):
            raise UsageError(
                f"batch='provider': {model.uri} has no batch endpoint. Leave batch out; openai/, anthropic/ and "
                "compatible servers may have one."
            )
        identity = identity_of(model)
        self.model: Model = model
        self.identity: Mapping[str, JsonValue] = {"uri": model.uri} if identity is None else identity
        self.batches: Batches = model.batches
        self.store = store
        self.ledger: Ledger = store.ledger
        self.progress = progress
        self.pace = pace or BatchPace()
        self.doubt = doubt
        self.clock = clock or MonotonicClock()

    def dispatch(self, send: Send, agenda: Agenda, limits: Limits) -> Generator[Sequence[Settled], None, None]:
        del send, limits
        run = _Run(self, agenda)
        try:
            with interrupts_raise():
                while not agenda.done and agenda.end is None:
                    run.hand_over()
                    if answered := run.look():
                        yield agenda.settle(answered)
                        run.forget()
                    else:
                        run.wait()
        except KeyboardInterrupt:
            agenda.stop(End("interrupt", "Interrupted."))
        if agenda.end is not None:
            agenda.end = replace(agenda.end, text=agenda.end.text + run.left_behind)


class _Run:
    """The batches of one agenda."""

    def __init__(self, by: BatchDispatcher, agenda: Agenda) -> None:
        self._by = by
        self._agenda = agenda
        self._waiting: dict[str, InFlight] = {}  # taken and not settled, by key
        self._placed: dict[str, str] = {}  # key to the tag of its batch
        self._entries: dict[str, Entry] = {}
        self._states: dict[str, BatchState] = {}
        self._readings: dict[str, int] = {}
        self._sought: dict[str, float] = {}  # since when a batch without a name is looked for
        self._ready: list[tuple[InFlight, Answer]] = []
        self._done: list[str] = []  # tags of batches whose answers are being recorded
        self._interval = by.pace.first
        self._next_look = self._hold = -math.inf
        self._troubled_since: float | None = None

    def hand_over(self) -> None:
        """Take what may be asked, find the batches that it is in already, and hand the rest over."""
        if self._now() < self._hold:
            return
        for call in self._agenda.take(sys.maxsize):
            self._waiting[call_key(self._by.identity, call.request)] = call
        if not self._homeless():
            return
        with self._by.ledger.alone():
            self._find_homes()
            self._next_look = -math.inf
            for part in self._parts(self._homeless()):
                self._submit(part)

    def look(self) -> list[tuple[InFlight, Answer]]:
        """What has been answered since."""
        answered, self._ready = self._ready, []
        if self._now() < self._next_look:
            return self._taken(answered)
        pace = self._by.pace
        self._next_look = self._now() + self._interval
        self._interval = min(pace.longest, self._interval * pace.growth)
        for entry in list(self._entries.values()):
            answered += self._look_at(entry)
        self._show()
        return self._taken(answered)

    def wait(self) -> None:
        """Let time pass until there may be news."""
        now = self._now()
        news = max(0.0, self._next_look - now) if self._entries else math.inf
        more = max(self._agenda.wait(), self._hold - now)
        self._by.clock.sleep(min(news, more, self._agenda.time_left, self._by.pace.longest))

    def forget(self) -> None:
        """Take batches off the ledger whose answers are recorded; if some could not be, they stay.

        What is to be asked again comes back within a moment, and not all at once: it is handed over together.
        """
        self._hold = self._now() + self._by.pace.first
        if not any(notice.code == "store-not-written" for notice in self._by.store.notices):
            for tag in self._done:
                self._by.ledger.drop(tag)
        self._done = []

    @property
    def left_behind(self) -> str:
        """What goes on at the provider, and what can be done about it."""
        names = [entry.name or entry.tag for entry in self._entries.values()]
        if not names:
            return ""
        shown = ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
        goes = f"The batch {shown} goes" if len(names) == 1 else f"{len(names)} batches ({shown}) go"
        return (
            f" {goes} on at the provider: the same command collects it, and `whygen batch cancel {names[0]}` ends it."
        )

    def _now(self) -> float:
        return self._by.clock.now()

    def _homeless(self) -> list[str]:
        return [key for key in self._waiting if key not in self._placed]

    def _taken(self, answered: list[tuple[InFlight, Answer]]) -> list[tuple[InFlight, Answer]]:
        """Answers whose calls are settled by whoever called."""
        places = {call.place for call, _ in answered}
        for key in [key for key, call in self._waiting.items() if call.place in places]:
            del self._waiting[key]
            self._placed.pop(key, None)
        return answered

    def _find_homes(self) -> None:
        """Learn which batches are under way, handed over here, by another process, or before this one began."""
        ledger, identity = self._by.ledger, canonical_json(self._by.identity)
        for entry in ledger.entries():
            if (entry.uri, entry.identity) != (self._by.model.uri, identity):
                continue
            keys = ledger.keys(entry.tag)
            if mine := keys & self._waiting.keys():
                self._entries[entry.tag] = entry
                self._placed |= dict.fromkeys(mine, entry.tag)
            elif len(self._by.store.get_many(keys)) == len(keys):  # killed after the last answer was recorded
                ledger.drop(entry.tag)

    def _parts(self, keys: Collection[str]) -> Generator[dict[str, bytes], None, None]:
        """Lines by key, as many together as the provider takes; what cannot be a line is answered at once."""
        limits, part, size = self._by.batches.limits, dict[str, bytes](), 0
        for key in keys:
            line = self._by.batches.line(key, self._waiting[key].request)
            if isinstance(line, bytes) and len(line) > limits.bytes:
                line = _too_long(len(line), limits.bytes)
            if isinstance(line, Failure):
                self._answer(key, line)
                continue
            if part and (len(part) == limits.requests or size + len(line) > limits.bytes):
                yield part
                part, size = {}, 0
            part[key], size = line, size + len(line)
        if part:
            yield part

    def _submit(self, part: Mapping[str, bytes]) -> None:
        """Write down what is handed over, hand it over, and write down its name."""
        if self._agenda.end is not None:
            return
        by, now = self._by, time.time()
        requests = {key: self._waiting[key].request for key in part}
        tag = digest({"keys": sorted(part), "at": time.time_ns(), "by": os.getpid()})[:32]
        entry = Entry(
            tag=tag, name=None, created=now, uri=by.model.uri, identity=canonical_json(by.identity), size=len(part)
        )
        by.ledger.claim(tag, requests, uri=by.model.uri, identity=by.identity, now=now)
        self._entries[tag] = entry
        self._placed |= dict.fromkeys(part, tag)
        self._interval, self._next_look = by.pace.first, self._now() + by.pace.first
        name = by.batches.submit(list(part.values()), tag=tag)
        if isinstance(name, Failure | NoBatches):
            by.ledger.drop(tag)
            del self._entries[tag]
            if isinstance(name, NoBatches):
                raise _unsupported(name.failure)
            for key in part:
                self._answer(key, name)
            return
        if isinstance(name, str):
            by.ledger.name(tag, name)
            self._entries[tag] = replace(entry, name=name)

    def _answer(self, key: str, answer: Answer) -> None:
        self._placed[key] = ""  # it needs no home
        self._ready.append((self._waiting[key], answer))

    def _look_at(self, entry: Entry) -> list[tuple[InFlight, Answer]]:
        if entry.name is None:
            return self._seek(entry)
        state = self._by.batches.poll(entry.name)
        if isinstance(state, Failure):
            return self._trouble(state, entry)
        self._troubled_since = None
        self._states[entry.tag] = state
        if state.status == "under way":
            return []
        mine = self._mine(entry)
        if state.status == "refused":
            self._leave(entry)
            refusal = state.failure or Failure(kind="permanent", message=f"the batch {entry.name} was refused")
            return [(call, refusal) for call in mine.values()]
        results = self._by.batches.collect(entry.name, {key: call.request for key, call in mine.items()})
        return self._trouble(results, entry) if isinstance(results, Failure) else self._read(entry, results, mine)

    def _read(self, entry: Entry, results: Results, mine: Mapping[str, InFlight]) -> list[tuple[InFlight, Answer]]:
        """The answers to our requests; those to requests of other runs in the same batch are recorded."""
        there = results.answers.keys() | results.cancelled
        self._readings[entry.tag] = self._readings.get(entry.tag, 0) + 1
        if not (results.whole and mine.keys() <= there) and self._readings[entry.tag] < READINGS:
            return []
        self._record_others(entry, results.answers, mine)
        self._leave(entry)
        for _ in mine.keys() & results.cancelled:
            self._agenda.stop(End("failures", f"The batch {entry.name} was cancelled at the provider."))
            self._agenda.abandon()
        lost = Failure(
            kind="transient",
            message=f"the results of the batch {entry.name} lack this request",
            advice="Run the same command again: it asks only for the rest.",
        )
        return [(call, results.answers.get(key, lost)) for key, call in mine.items() if key not in results.cancelled]

    def _record_others(self, entry: Entry, answers: Mapping[str, Answer], mine: Mapping[str, InFlight]) -> None:
        by = self._by
        others = {key: text for key, text in by.ledger.requests(entry.tag).items() if key not in mine}
        calls = [
            RecordedCall(key=key, uri=by.model.uri, identity=by.identity, request=json.loads(text), output=output)
            for key, text in others.items()
            if isinstance(output := answers.get(key), Output) and output.finish != "refused"
        ]
        if calls:
            by.store.put_many(calls)

    def _seek(self, entry: Entry) -> list[tuple[InFlight, Answer]]:
        """Find a batch of which no word came back, or make sure that there is none."""
        ledger = self._by.ledger
        with ledger.alone():  # whoever handed it over is gone, or has written its name down by now
            entries = {each.tag: each for each in ledger.entries()}
            current = entries.get(entry.tag)
            found = None if current is None else current.name
            if current is not None and found is None:
                known = frozenset(each.name for each in entries.values() if each.name is not None)
                found = self._by.batches.find(Sought(entry.tag, ledger.keys(entry.tag), entry.created, known))
            if isinstance(found, Failure):
                return self._trouble(found, entry)
            if isinstance(found, str):
                ledger.name(entry.tag, found)
                self._entries[entry.tag] = replace(entry, name=found)
                self._next_look = -math.inf
                return []
            # A provider may list a batch late. Handed over again too soon, it would be paid twice: so it is looked for
            # again until the doubt has lasted long enough.
            since = self._sought.setdefault(entry.tag, self._now())
            if current is None or self._now() - since >= self._by.doubt:
                ledger.drop(entry.tag)
                self._lose(entry)
        return []

    def _lose(self, entry: Entry) -> None:
        """It was never taken: its requests are handed over anew."""
        for key in self._mine(entry):
            del self._placed[key]
        self._leave(entry)

    def _leave(self, entry: Entry) -> None:
        del self._entries[entry.tag]
        self._states.pop(entry.tag, None)
        self._done.append(entry.tag)

    def _mine(self, entry: Entry) -> dict[str, InFlight]:
        return {key: self._waiting[key] for key, tag in self._placed.items() if tag == entry.tag}

    def _trouble(self, failure: Failure, entry: Entry) -> list[tuple[InFlight, Answer]]:
        """The provider does not say how a batch is: later perhaps, unless it is for good."""
        now = self._now()
        since = self._troubled_since = now if self._troubled_since is None else self._troubled_since
        self._next_look = max(self._next_look, now + (failure.retry_after or 0.0))
        if failure.kind in {"rate_limit", "transient"} and now - since < PATIENCE:
            return []
        name = entry.name or entry.tag
        text = f"The provider does not say how the batch {name} is: {failure.sentence}"
        forget = f" `whygen batch forget {name}` gives it up, and the same command then asks anew."
        self._agenda.stop(End("failures", text + forget))
        return []

    def _show(self) -> None:
        if isinstance(self._by.progress, ShowsNote):
            words = [f"{self._entries[tag].name} {state}" for tag, state in self._states.items()]
            more = f" and {len(words) - 1} more" if len(words) > 1 else ""
            self._by.progress.note(words[0] + more if words else "")


def _too_long(size: int, most: int) -> Failure:
    message = f"the request is {size:,} bytes long, and a batch takes {most:,}"
    return Failure(kind="permanent", message=message, advice="Shorten the prompt, or leave batch out.")


def _unsupported(failure: Failure) -> UsageError:
    return UsageError(
        f"batch='provider': this server has no batch endpoint ({failure.message}). Leave batch out (--batch): the same "
        "requests are then made one by one, as fast as the server takes them."
    )
