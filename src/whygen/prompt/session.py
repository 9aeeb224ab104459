"""`Session`: what every way of explaining a prompt opens once: model, encoder, store, seed, and bounds of the run."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypedDict, Unpack

from whygen.calls import DEFAULT_STORE, Progress, Runner, RunOptions, Store, identity_of, make_runner, open_store
from whygen.encoders import AnyEncoder, careful, check_encoder, encodes_media
from whygen.errors import MissingError, UsageError
from whygen.models import LearnsKind, Model, ModelOptions, load_model
from whygen.plugins import said_of
from whygen.prompt.asker import Asker
from whygen.prompt.operators import Operator, Tools
from whygen.prompt.options import PromptOptions
from whygen.prompt.question import Question, check_cut, encoder_of_texts, find_encoder, prepare
from whygen.prompt.watching import ShowsLooks
from whygen.types import Chat, Edit, Request, Settings, Source


@dataclass(slots=True, kw_only=True)
class Session:
    """A model that is asked about prompts. Close it, or use it in ``with``: it holds the store open.

    Attributes:
        model: the black box.
        encoder: for the targets and kernels that need one; open, or by name.
        settings: how to generate.
        seed: of everything random.
        cache: file of recorded answers; None keeps them in memory. It is opened when the first call needs it.
        options: of local models.
        progress: where to report progress.
        run: what the run may spend, how fast, and how long.
        proxy: a model that answers more masks beside it, where one was named.
    """

    model: Model
    encoder: AnyEncoder
    settings: Settings
    seed: int
    cache: Path | str | None = DEFAULT_STORE
    options: ModelOptions | None = None
    progress: Progress | None = None
    run: RunOptions | None = None
    proxy: Model | None = None
    _held: ExitStack = field(default_factory=ExitStack)
    _store: Store | None = None

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the store."""
        self._held.close()
        self._store = None

    @property
    def store(self) -> Store:
        """Where answers are looked up and recorded."""
        if self._store is None:
            self._store = self._held.enter_context(open_store(self.cache))
        return self._store

    def question(self, prompt: Source, chosen: PromptOptions) -> Question:
        """What is asked of the model about a prompt.

        A callable shows what it answers with when it is called first; if that is no text, other targets are right.

        Raises:
            UsageError: for a choice that cannot work; `BudgetError` names the smallest budget that does.
            MissingError: if an encoder or an extra is missing.
        """
        if isinstance(self.model, LearnsKind) and encodes_media(self.encoder):  # not yet known to be of use
            cut = check_cut(prompt, chosen)
            asked = prompt if cut is None else cut.prompt
            if isinstance(asked, str | Chat | Edit):
                self.model.learn(Request(prompt=asked, settings=self.settings))
        question = prepare(prompt, chosen, model=self.model, encoder=self.encoder, seed=self.seed)
        whole = Request(prompt=question.units.prompt, settings=self.settings)
        if isinstance(self.model, LearnsKind) and self.model.learn(whole) != "text":
            return prepare(prompt, chosen, model=self.model, encoder=self.encoder, seed=self.seed)
        return question

    def runner(self, budget: int | None) -> Runner:
        """What makes the calls, at most ``budget`` of them."""
        return make_runner(self.model, self.store, budget=budget, progress=self.progress, options=self.run)

    def operator(self, question: Question, runner: Runner) -> Operator:
        """The question's operator, ready to render; a helping model spends from the same budget."""
        tools = Tools(
            model=self.model,
            encoder=encoder_of_texts(self.encoder, self.model),
            store=self.store,
            options=None if self.options is None else self.options.here,  # a cluster is full of the model
            progress=self.progress,
            seed=self.seed,
            runner=runner,
        )
        with said_of(question.operator, f"operator={question.operator.name!r}"):
            return question.operator.prepare(question.units, tools)

    def asker(self, question: Question, runner: Runner, *, operator: Operator | None = None) -> Asker:
        """Who asks a question; ``operator`` is one that is ready, for several questions about one prompt."""
        ready = self.operator(question, runner) if operator is None else operator
        stated = question.plan.options.model_noise == "none"
        shows = self.progress if isinstance(self.progress, ShowsLooks) else None
        return Asker(
            runner, self.model, question.units, ready, question.target, self.settings, stated, shows=shows
        )  # fmt: skip


class SessionOptions(TypedDict):
    """What a session is opened with, see `Session`."""

    encoder: AnyEncoder
    settings: Settings | None
    seed: int
    cache: Path | str | None
    options: ModelOptions | None
    progress: Progress | None
    run: RunOptions | None


def open_session(model: object, chosen: PromptOptions, **how: Unpack[SessionOptions]) -> Session:
    """Open the model, and find the encoder that the target needs.

    Raises:
        MissingError: if the model is missing.
    """
    check_encoder(how["encoder"])  # before the model is opened
    box = load_model(model, how["options"] or ModelOptions())
    proxy = None if chosen.proxy is None else _open_proxy(chosen.proxy, box, how["options"] or ModelOptions())
    encoder = find_encoder(how["encoder"], chosen, box) or careful(how["encoder"])
    return Session(
        model=box, encoder=encoder, settings=how["settings"] or Settings(seed=how["seed"]), seed=how["seed"],
        cache=how["cache"], options=how["options"], progress=how["progress"], run=how["run"], proxy=proxy,
    )  # fmt: skip


def _open_proxy(named: object, model: Model, options: ModelOptions) -> Model:
    """The proxy, before anything is paid for: at the model's own server where both are of one provider.

    Raises:
        UsageError, MissingError: saying that it is the proxy that cannot be opened.
    """
    same = isinstance(named, str) and named.partition("/")[0] == model.uri.partition("/")[0]
    try:
        found = load_model(
            named, options if same else replace(options, base_url=None, endpoint=ModelOptions().endpoint)
        )
    except UsageError as error:
        raise UsageError(f"The proxy cannot be opened: {error}") from error
    except MissingError as error:
        raise MissingError(f"The proxy cannot be opened: {error}") from error
    known = identity_of(found)
    if known is not None and known == identity_of(model):
        raise UsageError(
            f"The proxy cannot be told from the model: both are {found.uri}, and answers are kept by what a model says "
            "it is. Name another model; two objects of your own need two URIs."
        )
    return found


def foresight(
    model: object,
    *,
    encoder: AnyEncoder,
    settings: Settings | None,
    seed: int,
    options: ModelOptions | None,
    run: RunOptions | None,
) -> Session:
    """A session that only counts: the model is opened as far as that needs, and no server is looked for."""
    box = load_model(model, replace(options or ModelOptions(), purpose="foresee"))
    return Session(
        model=box, encoder=encoder, settings=settings or Settings(seed=seed), seed=seed, cache=None, options=options,
        run=run,
    )  # fmt: skip
