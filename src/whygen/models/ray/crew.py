# pyright: basic
"""The workers that hold one model: placed, loaded, asked, and replaced where one dies.

What a worker that died had in hand is asked again, each request on a worker that has nothing else: one that kills
whoever reads it is found, and none is blamed that waited behind it. After `DEATHS` workers it is given up. A machine
that is lost says nothing of what its worker had in hand.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from whygen import errors
from whygen.errors import MissingError, ModelError, WhygenError
from whygen.models.protocols import ModelOptions
from whygen.safe import says
from whygen.types import Failure, Output, Request

AHEAD: Final = 2
"""Batches that a worker has: one in hand, and one that waits, so that it is never idle."""
DEATHS: Final = 3
"""Workers that may die with one request in hand."""
PLACED: Final = 60.0
"""Seconds in which the cluster must find a place for a worker. How long it loads the model is its own business."""

NOTICED: Final = 20.0
"""Seconds in which the cluster notices that a machine is gone."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a worker raised, by the name of the nearest error of `whygen.errors` whose text is all there is to it."""

    kind: str
    text: str

    def error(self) -> WhygenError:
        """The same error, to be raised here."""
        return getattr(errors, self.kind)(self.text)


_PLAIN = ("DataError", "UsageError", "MissingError", "ModelError", "StoreError", "FormatError", "WhygenError")


def trouble_of(error: BaseException) -> Trouble:
    """What to tell of an error elsewhere; tracebacks and objects stay there."""
    if isinstance(error, WhygenError):
        return Trouble(next(name for name in _PLAIN if isinstance(error, getattr(errors, name))), str(error))
    return Trouble("ModelError", says(error))


class Holder:
    """Lives in a worker's process, and holds the model there."""

    def __init__(self) -> None:
        self._model: Any = None

    def here(self) -> str:
        """The machine on which it is placed: it is placed, if it says so."""
        import ray  # pyright: ignore[reportMissingImports]

        return ray.get_runtime_context().get_node_id()

    def load(self, model: object, options: ModelOptions, names: Sequence[str]) -> dict[str, Any] | Trouble:
        """Open the model, and tell what is known of it: those of the attributes that it has, methods as None."""
        from whygen.models.registry import load_model

        try:
            self._model = load_model(model, options)
            found = {name: getattr(self._model, name) for name in names if hasattr(self._model, name)}
        except BaseException as error:  # a model may raise anything while it loads
            return trouble_of(error)
        return {name: None if callable(value) else value for name, value in found.items()}

    def ask(self, verb: str, requests: Sequence[Request], batch: int) -> list[Output | Failure] | Trouble:
        """Answers or scores, batch by batch."""
        try:
            done: list[Output | Failure] = []
            for start in range(0, len(requests), batch):
                done += getattr(self._model, verb)(requests[start : start + batch])
        except BaseException as error:
            return trouble_of(error)
        return done

    def call(self, name: str, *given: object) -> Any:
        """A method of the model that answers nothing, such as the count of tokens."""
        try:
            return getattr(self._model, name)(*given)
        except BaseException as error:
            return trouble_of(error)


@dataclass(eq=False, slots=True)
class _Worker:
    actor: Any
    state: Literal["placing", "loading", "ready", "gone"] = "placing"
    in_hand: int = 0
    machine: str = ""
    apart: bool = False  # kept for one request, which may have killed another worker
    told: dict[str, Any] = field(default_factory=dict)


class Crew:
    """So many workers with one model. Threads may ask at the same time.

    Args:
        ray: the library, connected.
        model: what `load_model` takes.
        options: how each worker opens it.
        names: attributes that are wanted to be known of the model.
        resources: what each worker asks of the cluster.
        ahead: batches that each worker has at once. `AHEAD` are done one after the other; more, as many of a remote
            model, at the same time.
        placed: seconds in which a worker must be placed; `PLACED` unless given.
    """

    def __init__(
        self, ray: Any, model: object, options: ModelOptions, *, names: Sequence[str], resources: dict[str, float],
        ahead: int = AHEAD, placed: float | None = None,
    ) -> None:  # fmt: skip
        self._ray = ray
        self._spec = (model, options, tuple(names))
        self._resources = resources
        self._ahead = ahead
        self._placed = PLACED if placed is None else placed
        self._workers: list[_Worker] = []
        self._changed = threading.Condition()
        self._in_vain = 0  # workers that died since one last answered
        self._answered: tuple[str, Request] | None = None  # how it was asked, too: workers can be tried on it
        self._closed = False
        self.troubles: list[WhygenError] = []

    @property
    def places(self) -> int:
        """Batches that the workers who are ready take; at least one, so that somebody waits for the first of them."""
        with self._changed:
            return max(1, self._ahead * sum(worker.state == "ready" for worker in self._workers))

    @property
    def size(self) -> int:
        """Workers that are there, or on their way."""
        with self._changed:
            return sum(worker.state != "gone" for worker in self._workers)

    def first(self) -> dict[str, Any]:
        """Start one worker, and wait until it has loaded the model; what it tells of it.

        Raises:
            WhygenError: what loading raised there.
            MissingError: if the cluster has no room for a worker.
        """
        self._start()
        with self._changed:
            while not (ready := [worker for worker in self._workers if worker.state == "ready"]):
                if self._all_gone():
                    raise self.troubles[0] if self.troubles else self._nobody()
                self._changed.wait(0.2)
        return ready[0].told

    def grow(self, size: int) -> None:
        """Start more workers, up to so many. They are given work as soon as they have loaded the model."""
        for _ in range(size - self.size):
            self._start()

    def ask(self, verb: str, requests: Sequence[Request], batch: int, *, deaths: int = 0) -> list[Output | Failure]:
        """Answers or scores, in the order of the requests.

        Raises:
            WhygenError: what the model raised.
            ModelError: if no worker is left.
        """
        most = DEATHS if len(requests) == 1 else 1
        found, deaths = self._said("ask", verb, list(requests), batch, deaths=deaths, most=most)
        if deaths >= most:
            if len(requests) == 1:
                return [_poisoned(deaths)]
            return [answer for one in requests for answer in self.ask(verb, [one], batch, deaths=deaths)]
        with self._changed:
            self._in_vain = 0
            if self._ahead == AHEAD and requests and isinstance(found[0], Output):  # calls of a server may cost
                self._answered = verb, requests[0]
        return found

    def call(self, name: str, *given: object) -> Any:
        """What a method of the model gives, by any worker.

        Raises:
            WhygenError: what the model raised.
            ModelError: if no worker is left, or as many died of it as may.
        """
        found, deaths = self._said("call", name, *given, deaths=0, most=DEATHS)
        if deaths >= DEATHS:
            raise ModelError(f"{deaths} workers died when they were asked for {name} of a prompt. {_ADVICE}")
        return found

    def _said(self, method: str, *given: object, deaths: int, most: int) -> tuple[Any, int]:
        """What a worker says, and how many have died of it; nothing, if as many as may."""
        while deaths < most:
            worker = self._taken(alone=deaths > 0)
            try:
                found = self._ray.get(getattr(worker.actor, method).remote(*given))
            except _lost(self._ray) as error:
                self._lose(worker, error)
                if self._closed:
                    raise self._nobody() from None
                deaths += not (deaths and self._without_machine(worker, error))
                continue
            finally:
                self._give_back(worker)
            if isinstance(found, Trouble):
                raise found.error()
            return found, deaths
        return None, deaths

    def close(self) -> None:
        """Give back what the workers hold of the cluster; so does whoever forgets the crew."""
        with self._changed:
            self._closed = True
            for worker in self._workers:
                worker.state = "gone"
            self._changed.notify_all()
        for worker in self._workers:
            self._end(worker)

    def _start(self) -> None:
        at_once = 1 if self._ahead == AHEAD else self._ahead
        how = {**self._resources, "max_restarts": 0, "max_task_retries": 0, "max_concurrency": at_once}
        with self._changed:
            if self._closed:
                return
            worker = _Worker(self._ray.remote(**how)(Holder).remote())
            self._workers.append(worker)
        threading.Thread(target=self._watch, args=(worker,), daemon=True, name="whygen-worker").start()

    def _watch(self, worker: _Worker) -> None:
        """See a worker placed and loaded."""
        doing = "while it loaded the model"
        try:
            worker.machine = self._ray.get(worker.actor.here.remote(), timeout=self._placed)
            self._turn(worker, "loading")
            told = self._ray.get(worker.actor.load.remote(*self._spec))
            doing = "on what was answered before"
            self._try_out(worker)
        except self._ray.exceptions.GetTimeoutError:
            self._fail(worker, self._no_room())
        except BaseException as error:  # it died while it loaded, or the cluster did
            if self._without_machine(worker, error):
                self._lose(worker, error)
                return
            self._fail(worker, ModelError(f"A worker died {doing}: {says(error)}. {_MEMORY}"))
        else:
            if isinstance(told, Trouble):
                self._fail(worker, told.error())
                return
            worker.told = told
            self._turn(worker, "ready")

    def _try_out(self, worker: _Worker) -> None:
        """Where many died in a row, ask what was answered before: they may have died of what they were asked."""
        with self._changed:
            known = self._answered if self._in_vain > self._bearable() else None
        if known is not None:
            self._ray.get(worker.actor.ask.remote(known[0], [known[1]], 1))
            with self._changed:
                self._in_vain = 0

    def _turn(self, worker: _Worker, state: Literal["loading", "ready"]) -> None:
        with self._changed:
            if worker.state != "gone":
                worker.state = state
            self._changed.notify_all()

    def _fail(self, worker: _Worker, error: WhygenError) -> None:
        with self._changed:
            if worker.state == "gone":  # it was closed meanwhile
                return
            worker.state = "gone"
            if str(error) not in {str(known) for known in self.troubles}:
                self.troubles.append(error)
            self._changed.notify_all()
        self._end(worker)

    def _taken(self, *, alone: bool = False) -> _Worker:
        """The worker with the least in hand, once there is one; with nothing else in hand, if it must be alone."""
        with self._changed:
            while True:
                ready = [worker for worker in self._workers if worker.state == "ready" and not worker.apart]
                if ready:
                    worker = min(ready, key=lambda each: each.in_hand)
                    worker.in_hand += 1
                    worker.apart = alone
                    while alone and worker.in_hand > 1 and worker.state == "ready":
                        self._changed.wait(0.5)
                    if worker.state == "ready":
                        return worker
                    worker.in_hand -= 1
                    continue
                if self._all_gone():
                    raise self._nobody()
                self._changed.wait(0.5)

    def _give_back(self, worker: _Worker) -> None:
        with self._changed:
            worker.in_hand -= 1
            if not worker.in_hand:  # it was the one that the worker was kept for
                worker.apart = False
            self._changed.notify_all()

    def _lose(self, worker: _Worker, error: BaseException) -> None:
        """A worker died: another takes its place, unless they all die."""
        with self._changed:
            if worker.state == "gone":  # another thread has seen it before
                return
            bearable = self._bearable()
            worker.state = "gone"
            self._in_vain += 1
            if self._in_vain > bearable and self._answered is None:
                self.troubles.append(ModelError(f"Workers die again and again: {says(error).splitlines()[0][:300]}"))
            elif self._ray.is_initialized():
                self._start()
            self._changed.notify_all()
        self._end(worker)

    def _bearable(self) -> int:
        """Workers that may die in a row: each may have had two requests in hand that kill whoever reads them."""
        return 2 * DEATHS * max(1, self.size)

    def _without_machine(self, worker: _Worker, error: BaseException) -> bool:
        """Whether its machine is gone, so that what it was asked did not kill it; the cluster takes a while to see."""
        silent = isinstance(error, self._ray.exceptions.ActorUnavailableError)  # nobody has seen it die
        until = time.monotonic() + (NOTICED if silent else 0.0)
        with contextlib.suppress(Exception):  # the cluster itself may be gone
            while worker.machine and self._ray.is_initialized():
                if worker.machine not in {node["NodeID"] for node in self._ray.nodes() if node["Alive"]}:
                    return True
                if time.monotonic() >= until:
                    break
                time.sleep(0.5)
        return False

    def _all_gone(self) -> bool:
        return all(worker.state == "gone" for worker in self._workers)

    def _end(self, worker: _Worker) -> None:
        with contextlib.suppress(Exception):  # it is dead, or its node is
            if self._ray.is_initialized():  # a call after Ray was shut down would start a cluster
                self._ray.kill(worker.actor)

    def _no_room(self) -> WhygenError:
        asked = ", ".join(f"{amount:g} {name.removeprefix('num_').upper()}" for name, amount in self._resources.items())
        has = self._ray.cluster_resources()
        there = ", ".join(f"{has.get(name, 0):g} {name}" for name in ("CPU", "GPU"))
        return MissingError(
            f"The cluster found no room for a worker ({asked}) within {self._placed:g} seconds; it has {there} in all, "
            "some of it in use. Ask for fewer with workers=, or wait until others are done."
        )

    def _nobody(self) -> WhygenError:
        why = f" {self.troubles[-1]}" if self.troubles else ""
        return ModelError(
            f"No worker is left on the cluster.{why} What was answered is recorded: the same command goes on there."
        )


_ADVICE = "The model's process may crash on it, or run out of memory: try the prompt alone, without executor."
_MEMORY = "It may lack memory: ask for fewer workers on a machine with workers=, or a smaller dtype."


def _poisoned(deaths: int) -> Failure:
    return Failure(
        kind="permanent",
        message=f"{deaths} workers died with this prompt in hand",
        advice=_ADVICE,
    )


def _lost(ray: Any) -> tuple[type[BaseException], ...]:
    """What is raised where a worker, its process or its machine is gone."""
    found = ray.exceptions
    return (found.RayActorError, found.WorkerCrashedError, found.NodeDiedError, found.OutOfMemoryError,
            found.ObjectLostError)  # fmt: skip
