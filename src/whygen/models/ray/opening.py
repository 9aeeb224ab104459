# pyright: basic
"""A model whose work is done on a cluster, with the capabilities that the model there has."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from whygen.errors import UsageError
from whygen.models.protocols import HasWorkers, LearnsKind, Model, ModelOptions
from whygen.models.ray.cluster import connect, machines, resources_of
from whygen.models.ray.crew import Crew
from whygen.models.ray.engine import EngineModel, open_engine
from whygen.safe import says
from whygen.types import Failure, Limits, Output, OutputKind, Request

VALUES: Final = ("identity", "context_tokens", "continues_text", "mask", "output_kind", "edits")
"""Attributes of a model that are read once."""
METHODS: Final = ("answers_alike", "check", "count_tokens", "noisy_tokens", "notices", "token_spans", "unknown_tokens")
"""Methods that any worker can serve; `whygen.models.protocols` says what they do."""
_NAMES: Final = ("uri", "limits", "score", *VALUES, *METHODS)


def open_on_ray(model: object, options: ModelOptions) -> Model:
    """A model on a cluster.

    A URI is opened by the workers alone: its weights need not fit this machine. An object goes to them as Ray copies
    it, once this process is asked for an answer. A remote model is called by one process on each machine.

    Args:
        model: what `load_model` takes.
        options: where the cluster is, how many workers, and how each opens the model.

    Raises:
        MissingExtraError: if Ray is not installed.
        MissingError: if there is no cluster at the address, no room on it, or no such model there.
        UsageError: for an object that cannot be copied to other processes.
    """
    if isinstance(model, HasWorkers | EngineModel):
        return cast(Model, model)  # it is there already
    if options.executor == "vllm":
        return open_engine(model, options)
    ray = connect(options.address)
    there = options.here
    if isinstance(model, str):
        number, resources = resources_of(ray, options.workers, options.device)
        crew = Crew(ray, model, there, names=_NAMES, resources=resources)
        told = crew.first()
        if (calls := told["limits"].max_in_flight) > 1:
            crew.close()
            return _calling(ray, model, there, calls)
        crew.grow(1 if options.purpose == "foresee" else number)
        return _on_workers(told)(crew, told)
    from whygen.models.registry import load_model

    here = load_model(model, there)
    _check_copies(ray, here)
    if (calls := here.limits.max_in_flight) > 1:
        return _calling(ray, here, there, calls)
    return _held(ray, here, options)


def _calling(ray: Any, model: object, options: ModelOptions, calls: int) -> Model:
    """A remote model that a worker on each machine calls: budgets, rates and how many calls are in flight stay here."""
    crew = Crew(ray, model, options, names=_NAMES, resources={"num_cpus": 0.01}, ahead=calls)
    told = crew.first()
    crew.grow(machines(ray))
    return _on_workers(told)(crew, told)


def _check_copies(ray: Any, model: object) -> None:
    try:
        ray.cloudpickle.dumps(model)
    except Exception as error:
        raise UsageError(
            f"executor='ray': model is a {type(model).__name__} that cannot be copied to other processes "
            f"({says(error)}). Give a URI that opens it there, such as py/package.module:callable."
        ) from error


class OnWorkers:
    """A model that a crew holds. `_on_workers` adds what the model there can do besides."""

    def __init__(self, crew: Crew, told: Mapping[str, Any]) -> None:
        self.crew = crew
        self.told = told

    @property
    def uri(self) -> str:
        return self.told["uri"]

    @property
    def limits(self) -> Limits:
        return self.told["limits"]

    @property
    def places(self) -> int:
        return self.crew.places

    def answer(self, requests: Sequence[Request]) -> list[Output | Failure]:
        return self.crew.ask("answer", requests, self.limits.max_batch)

    def notices(self, request: Request) -> list[tuple[str, str]]:
        """What the model has to say of a request, and which workers could not load it."""
        own = self.crew.call("notices", request) if "notices" in self.told else []
        return [*own, *(("workers", f"A worker was not used. {error}") for error in self.crew.troubles)]


def _on_workers(told: Mapping[str, Any]) -> type[OnWorkers]:
    """A class with the capabilities that were told of: protocols look for them at the class."""
    read = [name for name in VALUES if name in told]
    members: dict[str, Any] = {name: property(lambda self, name=name: self.told[name]) for name in read}

    def calling(name: str) -> Any:
        return lambda self, *given: self.crew.call(name, *given)

    members |= {name: calling(name) for name in METHODS if name in told and name != "notices"}
    if "score" in told:
        members["score"] = lambda self, requests: self.crew.ask("score", requests, self.limits.max_batch)
    return type("OnWorkers", (OnWorkers,), members)


def _held(ray: Any, here: Model, options: ModelOptions) -> Model:
    """A model object that is held here and copied to workers, which start when the first answer is wanted."""
    told = {name: None for name in _NAMES if hasattr(here, name)}
    members: dict[str, Any] = {
        name: property(lambda self, name=name: getattr(self.here, name))
        for name in ("uri", "limits", *VALUES)
        if name in told
    }
    members |= {
        name: lambda self, *given, name=name: getattr(self.here, name)(*given) for name in METHODS if name in told
    }
    if "score" in told:
        members["score"] = lambda self, requests: self.send("score", requests)
    if isinstance(here, LearnsKind):
        members["learn"] = Held.learn_here
    return cast(Model, type("Held", (Held,), members)(ray, here, options))


class Held:
    """A model object of this process, whose copies answer on the cluster."""

    def __init__(self, ray: Any, here: Model, options: ModelOptions) -> None:
        self.here: Any = here
        self._ray = ray
        self._options = options
        self._crew: Crew | None = None
        self._learned = False
        self._lock = threading.Lock()

    @property
    def places(self) -> int:
        return 1 if self._crew is None else self._crew.places

    def answer(self, requests: Sequence[Request]) -> list[Output | Failure]:
        with self._lock:
            learned, self._learned = self._learned, False
            # What was answered while the kind was learned is kept here, and goes to nobody else.
            first = self.here.answer(requests[:1]) if learned else []
        return [*first, *self.send("answer", requests[len(first) :])]

    def learn_here(self, request: Request) -> OutputKind:
        """What it answers with, by one answer that is kept."""
        kind = self.here.learn(request)
        self._learned = getattr(self.here, "identity", None) is None
        return kind

    def send(self, verb: str, requests: Sequence[Request]) -> list[Output | Failure]:
        """Have copies answer."""
        return self._started().ask(verb, requests, self.here.limits.max_batch) if requests else []

    def _started(self) -> Crew:
        with self._lock:
            if self._crew is None:
                number, resources = resources_of(self._ray, self._options.workers, self._options.device)
                there = self._options.here
                crew = Crew(self._ray, self.here, there, names=("uri",), resources=resources)
                crew.first()
                crew.grow(number)
                self._crew = crew
            return self._crew
