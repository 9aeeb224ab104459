"""Runs of the bench: each belongs to the server, not to the page that began it.

A run is `explain_prompt` in a thread, watched by a progress that tells `Events`. A page that goes away changes nothing;
one that comes back hears all of it. Whatever ends a run, what was answered is recorded: the same question again costs
nothing twice.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import numpy as np

from whygen.calls import DEFAULT_STORE, Budget, Interrupted, RunOptions, Silent, make_runner, open_store
from whygen.errors import MissingError, ModelError, UsageError, WhygenError
from whygen.models import Model, ModelOptions, load_model
from whygen.models.names import edits_at
from whygen.prompt.each import explain_many
from whygen.prompt.explain import explain_prompt
from whygen.prompt.saved import settings_of
from whygen.prompt.units import Sent, Units
from whygen.prompt.watching import Look
from whygen.records import Call
from whygen.report.texts import shorten, visible
from whygen.results.files import make_folder
from whygen.results.many import Explanations
from whygen.results.prompt import PromptExplanation
from whygen.results.summary import write_html
from whygen.results.summary.pictured import picture_url
from whygen.safe import clean
from whygen.texts import Span
from whygen.types import Failure, Floats, Output, Request, Settings
from whygen.web.bench_asked import Sources, Subject
from whygen.web.bench_events import Events
from whygen.web.bench_forms import Form
from whygen.web.bench_prices import Quote, quote

MOST_AT_ONCE: Final = 4
"""Runs under way."""
MOST_KEPT: Final = 32
"""Runs that the bench remembers; the oldest that are over go first, and stay on the shelf."""
LONGEST_ANSWER: Final = 20_000
"""Characters of an answer that a page is sent."""
PATIENCE: Final = 5.0
"""Seconds that a viewer which is stopped waits for its runs to record what is on its way."""

Status: TypeAlias = Literal["waiting", "asking", "done", "stopped", "failed"]


_Turn = type(threading.Lock())


class _Watch:
    """The progress of a run: tells its events, and ends it when somebody asked for that."""

    def __init__(self, events: Events, quoted: Quote, *, of: int = 1) -> None:
        self._events, self._quoted, self._of, self._begun = events, quoted, of, 0
        self.asked_to_stop = threading.Event()
        self._made = self._cached = 0
        self._spent = ""

    @property
    def stopped(self) -> bool:
        return self.asked_to_stop.is_set()

    def begin(self, total: int, label: str) -> None:
        del total, label  # the page counts the calls of the whole run, not those of each round

    def advance(self, n: int, *, cached: bool) -> None:
        if cached:
            self._cached += n
        else:
            self._made += n
        self._tell()

    def spend(self, text: str) -> None:
        self._spent = text
        self._tell()

    def note(self, text: str) -> None:
        self._events.tell("note", instead=["note"], text=visible(text))

    def promise(self, text: str) -> None:
        self._events.tell("promise", instead=["promise"], text=visible(text))

    def end(self) -> None:
        pass

    def began(self, units: Units, reference: Output, *, masks: int, looks: int) -> None:
        self._begun += 1  # of many inputs or prompts one is asked after the other, and the page shows that one
        self._events.tell(
            "began",
            instead=["began", "look"],
            number=self._begun,
            of=self._of,
            pieces=pieces(units.text, units.spans),
            answer=visible(reference.said[:LONGEST_ANSWER]),
            picture=None if reference.picture is None else picture_url(reference.picture),
            masks=masks,
            looks=looks,
        )

    def look(self, look: Look) -> None:
        interval = look.interval
        self._events.tell(
            "look",
            answered=look.answered,
            masks=look.masks,
            number=look.number,
            of=look.of,
            level=look.level,
            values=_numbers(look.values),
            low=None if interval is None else _numbers(interval.low),
            high=None if interval is None else _numbers(interval.high),
        )

    def _tell(self) -> None:
        self._events.tell(
            "calls",
            instead=["calls"],
            made=self._made,
            cached=self._cached,
            of=max(self._quoted.calls, self._made + self._cached),
            spent=self._spent,
        )


def pieces(text: str, spans: Sequence[Span]) -> list[dict[str, Any]]:
    """A prompt in pieces, each with the number of its unit, or None: a page that counts otherwise need not count."""
    found: list[dict[str, Any]] = []
    at = 0
    for unit, (start, end) in enumerate(spans):
        found += [{"text": visible(text[at:start]), "unit": None}, {"text": visible(text[start:end]), "unit": unit}]
        at = end
    found.append({"text": visible(text[at:]), "unit": None})
    return [piece for piece in found if piece["text"]]


def _numbers(values: Floats) -> list[float | None]:
    """For JSON, which has no NaN."""
    return [float(value) if np.isfinite(value) else None for value in values]


@dataclass(slots=True)
class LiveRun:
    """One run.

    Attributes:
        id: of the run, in addresses.
        form: what is asked.
        asked: what it is about, with what the shelf holds looked up.
        quoted: what it was said to cost at most.
        began: seconds since the epoch.
        events: what happened.
        status: how far it is.
        said: why it ended, where it did not end by itself.
        explanation: what was found; of a run that was stopped, what was found by then.
        listed: the same of many prompts.
        folder: where that was saved.
    """

    id: str
    form: Form
    asked: Subject
    quoted: Quote
    began: float = field(default_factory=time.time)
    events: Events = field(default_factory=Events)
    status: Status = "waiting"
    said: str = ""
    explanation: PromptExplanation | None = None
    listed: Explanations | None = None
    folder: Path | None = None
    watch: _Watch = field(init=False)
    thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        self.watch = _Watch(self.events, self.quoted, of=max(1, len(self.asked.inputs), len(self.asked.prompts)))

    @property
    def over(self) -> bool:
        """Whether nothing more happens."""
        return self.status in ("done", "stopped", "failed")

    def found(self) -> PromptExplanation:
        """The explanation.

        Raises:
            MissingError: if there is none (yet).
        """
        if self.listed is not None:
            raise MissingError("These are many explanations. Open one of them on the shelf.")
        if self.explanation is None:
            what = "This run has found nothing to show" if self.over else "This run is still under way"
            raise MissingError(f"{what}. {self.said}".strip())
        return self.explanation

    @property
    def settings(self) -> Settings:
        """How the model generated: as a recorded call was sent, else as the form says."""
        return settings_of(self.found()) if isinstance(self.asked.source, Call) else self.form.settings

    def to_json(self) -> dict[str, Any]:
        """As a page knows it."""
        return {
            "id": self.id,
            "name": shorten(visible(self.asked.text), 80),
            "form": self.form.to_json(),
            "quote": self.quoted.to_json(),
            "began": self.began,
            "status": self.status,
            "said": visible(self.said),
            "explained": self.explanation is not None or self.listed is not None,
        }


@dataclass(slots=True)
class Runs:
    """The runs of a viewer.

    Attributes:
        folder: where explanations are saved, so that they stand on the shelf.
        live: URIs of the models that may be asked.
        sources: where texts and pictures come from that a form names.
        store: file of recorded answers; None keeps them in memory.
    """

    folder: Path
    live: tuple[str, ...]
    sources: Sources = field(default_factory=Sources)
    store: Path | str | None = DEFAULT_STORE
    _runs: dict[str, LiveRun] = field(default_factory=dict[str, LiveRun])
    _models: dict[tuple[str, ModelOptions], Model] = field(default_factory=dict[tuple[str, ModelOptions], Model])
    _turns: dict[str, threading.Lock] = field(default_factory=dict[str, threading.Lock])
    """A local model answers one run at a time: it has one processor, and two would only wait for each other."""
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _warmed: bool = False
    _opening: threading.Lock = field(default_factory=threading.Lock)
    """Held while a model is opened, which may take minutes: whoever only looks need not wait for that."""

    def warm(self) -> None:
        """Load what an estimate needs, once, while somebody types: else the first look of all waits for it."""
        with self._lock:
            begun, self._warmed = self._warmed, True
        if not begun and self.live:
            threading.Thread(target=_estimate_once, name="bench-warm", daemon=True).start()

    def begin(self, form: Form) -> LiveRun:
        """Begin a run; where the same question is being asked already, that one.

        Raises:
            UsageError: if too many are under way; or as `forecast` does.
            MissingError: as `forecast` does.
        """
        asked = self.sources.asked(form)
        quoted = quote(form, self.model(form, foresee=True), asked)
        with self._lock:
            under_way = [run for run in self._runs.values() if not run.over]
            for run in under_way:
                if run.form == form:
                    return run
            if len(under_way) >= MOST_AT_ONCE:
                raise UsageError(
                    f"{MOST_AT_ONCE} runs are under way, as many as this bench takes at once. Wait for one, or stop it."
                )
            run = LiveRun(secrets.token_hex(6), form, asked, quoted)
            self._runs[run.id] = run
            over = [each for each in self._runs.values() if each.over]
            for each in over[: max(0, len(self._runs) - MOST_KEPT)]:
                del self._runs[each.id]
        # A daemon: a model that hangs must not keep a viewer from ending that was told to.
        run.thread = threading.Thread(target=self._work, args=(run,), name=f"bench-{run.id}", daemon=True)
        run.thread.start()
        return run

    def get(self, known_as: str) -> LiveRun:
        """The run of that id.

        Raises:
            MissingError: if this viewer does not know it.
        """
        run = self._runs.get(known_as)
        if run is None:
            raise MissingError(
                "This viewer does not know that run: it was started anew since, or the run is one of many. What was "
                "answered is recorded, so that asking again costs nothing twice."
            )
        return run

    def newest(self) -> list[LiveRun]:
        """All runs, the newest first."""
        with self._lock:
            return sorted(self._runs.values(), key=lambda run: -run.began)

    def model(self, form: Form, *, foresee: bool = False) -> Model:
        """The model, opened once; to ``foresee`` prices as far as counting needs, which sends nothing and needs no key.

        Raises:
            MissingError: if it is missing.
        """
        options = ModelOptions(
            endpoint=edits_at(form.model) if form.kind == "edit" else None, purpose="foresee" if foresee else "ask"
        )
        key = (form.model, options)
        if key not in self._models:
            with self._opening:
                if key not in self._models:
                    self._models[key] = load_model(form.model, options)
        return self._models[key]

    def ask(self, run: LiveRun, prompt: Sent) -> tuple[Output, bool]:
        """One answer to another prompt, as the run would be given it; and whether it was recorded before.

        Raises:
            UsageError: if a local model is answering a run.
            ModelError: if the model does not answer.
        """
        model = self.model(run.form)
        turn = self._turn(model)
        if isinstance(turn, _Turn) and not turn.acquire(timeout=PATIENCE):
            raise UsageError(f"{model.uri} is answering a run. Ask this when that is over, or stop it.")
        try:
            with open_store(self.store) as store:
                runner = make_runner(model, store, budget=1, progress=Silent(), options=None)
                [answer] = runner.ask([Request(prompt=prompt, settings=run.settings)])
        finally:
            if isinstance(turn, _Turn):
                turn.release()
        if isinstance(answer, Failure):
            raise ModelError(f"{model.uri} did not answer ({answer.kind}): {answer.sentence}")
        return answer, runner.tally.made == 0

    def close(self) -> None:
        """Stop all runs, wait a little for what is on its way, and let all pages go."""
        for run in self.newest():
            run.watch.asked_to_stop.set()
            run.events.hang_up()
        until = time.monotonic() + PATIENCE
        for run in self.newest():
            if run.thread is not None:
                run.thread.join(max(0.0, until - time.monotonic()))

    def _work(self, run: LiveRun) -> None:
        """The life of a run, in its thread. Nothing that happens in it may end the server, or leave a page waiting."""
        status, said = "failed", ""
        try:
            model = self.model(run.form)
            with self._turn(model):
                run.status = "asking"
                run.events.tell("asking")
                self._explain(run, model)
            said = run.listed.ended if run.listed is not None else ""
            ended = said if run.explanation is None else run.explanation.ended
            status = "stopped" if ended else "done"
        except Interrupted as stop:
            run.explanation, status = stop.explanation, "stopped"
        except KeyboardInterrupt as stop:
            status, said = "stopped", f"Stopped before there was anything to show. {stop}"
        except WhygenError as error:
            said = str(error)
        except BaseException as error:  # a model's own code may raise whatever it likes
            said = f"The run failed in a way that nobody foresaw ({type(error).__name__}: {clean(str(error))[:500]})."
        if run.explanation is not None and run.explanation.ended is not None:
            said = next((each.text for each in run.explanation.warnings if each.code == "ended-early"), "")
        said = " ".join(part for part in (said, self._saved(run)) if part)
        run.said, run.status = said, status
        run.events.tell("over", last=True, **run.to_json())

    def _turn(self, model: Model) -> Any:
        if model.limits.max_in_flight > 1:
            return nullcontext()
        with self._lock:
            return self._turns.setdefault(model.uri, threading.Lock())

    def _explain(self, run: LiveRun, model: Model) -> None:
        most, asked = run.quoted.money, run.asked
        how: dict[str, Any] = {
            "cache": self.store,
            "progress": run.watch,
            "run": RunOptions(spending=Budget(money=most)) if most else RunOptions(),
            **run.form.choices(asked.source),
        }
        if not asked.prompts:
            run.explanation = explain_prompt(model, asked.source, **asked.over, **how)
            return
        folder = self._folder(run)
        run.listed = explain_many(model, list(asked.prompts), out=folder, **how)
        run.folder = folder

    def _folder(self, run: LiveRun) -> Path:
        stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(run.began))
        return self.folder / "bench" / f"{stamp}-{run.id}"

    def _saved(self, run: LiveRun) -> str:
        """Put the explanation on the shelf; why it is not there, if it is not."""
        if run.explanation is None:
            return ""
        folder = self._folder(run)
        try:
            run.explanation.save(make_folder(folder))
            write_html(run.explanation, folder / "report.html")
        except (WhygenError, OSError) as error:
            return f"It is not on the shelf: {error}"
        run.folder = folder
        return ""


def _echo(prompt: str) -> str:
    return prompt


def _estimate_once() -> None:
    """An explanation of nothing, by a model that is none: it loads what estimates are made with."""
    with suppress(WhygenError, ImportError):
        explain_prompt(
            _echo, "one two three four five six seven", budget=24, target="tfidf", cache=None,
            progress=_Watch(Events(), Quote(24, 24, 0.0, "")),
        )  # fmt: skip
