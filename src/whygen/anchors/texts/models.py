"""Whether a model is one of texts: then its anchors are texts, too."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from whygen._arguments import short
from whygen.anchors.texts.scoring import require_scores
from whygen.errors import UsageError, WhygenError
from whygen.models import LatentModel, Model, ModelOptions, ScoresText, load_model
from whygen.models.latent.returned import numbers_of
from whygen.models.names import SERVICES
from whygen.models.protocols import Encodes
from whygen.models.python import CallableModel
from whygen.plugins import PYTHON, already_imported, imported
from whygen.remote import is_service
from whygen.safe import says
from whygen.types import Failure, JsonValue, Limits, Output, Request, TokenScore

OF_TEXTS = ("hf", "openai", "anthropic", "replay", "planted")
"""Providers whose models write texts alone."""
_OF_SAMPLES = ("sample", "rvs", "log_prob", "logpdf", "score_samples")
"""What models of samples have and models of texts have not."""


BY_FUNCTION = (
    "Or give a function, def f(text: str) -> list[float], that gives the log-probability of each token of a text."
)


def reads_texts(model: object) -> bool:
    """Whether a model writes or scores texts, and has no encoder. Nothing is opened to find out."""
    if isinstance(model, str):
        provider, _, name = model.partition("/")
        if provider == "py" and ":" in name:
            return _is_text_object(_brought(name))
        return bool(name) and (
            provider in OF_TEXTS or model == "demo/storyteller" or provider in SERVICES or is_service(provider)
        )
    return _is_text_object(model)


def _brought(name: str) -> object:
    """What a module brings; where it cannot be had, what opens models says why."""
    try:
        return imported(name)
    except WhygenError:
        return None


def _is_text_object(model: object) -> bool:
    if isinstance(model, LatentModel | Encodes) or (isinstance(model, type) and hasattr(model, "encode")):
        return False
    if any(callable(getattr(model, name, None)) for name in _OF_SAMPLES):  # scikit-learn's estimators have a score, too
        return False
    if isinstance(model, ScoresText | Model):
        return True
    return _is_held(model) or (inspect.isfunction(model) and _takes_one_text(model))


def _is_held(model: object) -> bool:
    """A transformers model with its tokenizer, alone, or in a pipeline."""
    transformers = already_imported("transformers")
    if transformers is None:
        return False
    held = cast("tuple[object, ...] | list[object]", model) if isinstance(model, tuple | list) else (model,)
    kinds: Any = (transformers.PreTrainedModel, transformers.Pipeline)
    return len(held) <= 2 and any(
        isinstance(part, kinds) and not isinstance(part, Encodes) and _of_tokens(part) for part in held
    )


def _of_tokens(part: Any) -> bool:
    """Whether a transformers model has a vocabulary; those of pictures have none."""
    config = getattr(part, "config", None)
    return config is None or getattr(config, "vocab_size", None) is not None


def _takes_one_text(function: Any) -> bool:
    """Whether a function says that it takes a str."""
    try:
        first = next(iter(inspect.signature(function).parameters.values()), None)
    except (TypeError, ValueError):
        return False
    return first is not None and first.annotation in (str, "str")


@dataclass(frozen=True, slots=True)
class ScoresAlone:
    """An object with ``score`` and nothing else, as a model; it is asked for no continuation."""

    scorer: ScoresText

    @property
    def uri(self) -> str:
        kind = type(self.scorer)
        return str(getattr(self.scorer, "uri", f"py/{kind.__module__}:{kind.__qualname__}"))

    @property
    def limits(self) -> Limits:
        return getattr(self.scorer, "limits", Limits())

    @property
    def identity(self) -> Mapping[str, JsonValue] | None:
        """As the object says; None where it says nothing, and then nothing is recorded."""
        return getattr(self.scorer, "identity", None)

    @property
    def continues_text(self) -> bool:
        return False

    def answer(self, requests: Sequence[Request]) -> list[Output | Failure]:
        return [Failure(kind="permanent", message=f"{self.uri} has no method answer") for _ in requests]

    def score(self, requests: Sequence[Request]) -> Sequence[Output | Failure]:
        try:
            return self.scorer.score(requests)
        except (TypeError, AttributeError) as error:
            raise UsageError(
                f"score of {self.uri} raised {says(error)}. It is given whygen.types.Request: request.continuation is "
                "the text, request.prompt what it answers; for each it returns Output(finish='scored', scores=...), a "
                f"TokenScore(start, end, logprob) a token. {BY_FUNCTION}"
            ) from error


@dataclass(frozen=True, slots=True)
class ScoresByFunction:
    """A function of a text that gives the log-probability of each of its tokens, as a model.

    Where its tokens lie in the text nobody knows, and nothing that is read here needs more than their order: they are
    put at equal distances.
    """

    asked: CallableModel

    @property
    def uri(self) -> str:
        return self.asked.uri

    @property
    def limits(self) -> Limits:
        return Limits(max_batch=64)

    @property
    def identity(self) -> Mapping[str, JsonValue] | None:
        return self.asked.identity

    @property
    def continues_text(self) -> bool:
        return False

    def answer(self, requests: Sequence[Request]) -> list[Output | Failure]:
        return [Failure(kind="permanent", message=f"{self.uri} writes no texts") for _ in requests]

    def score(self, requests: Sequence[Request]) -> list[Output | Failure]:
        return [self._scored(request) for request in requests]

    def _scored(self, request: Request) -> Output | Failure:
        text = request.continuation or ""
        if request.prompt:
            return Failure(kind="permanent", message=f"{self.uri} takes a text, and this one answers a prompt")
        try:
            given: Any = self.asked.function(text)
        except Exception as error:  # foreign code: what it raises is its answer
            return Failure(kind="permanent", message=f"{self.uri} raised {says(error)}")
        if isinstance(given, str):
            require_scores(self.asked)
        try:
            values = np.asarray(numbers_of(given), dtype=np.float64)
        except (TypeError, ValueError):
            values = np.zeros(())
        if values.ndim != 1 or not len(values) or not (values <= 1e-6).all():
            message = f"{self.uri} gave {short(given)}, and no list of log-probabilities (0 or less), one a token"
            return Failure(kind="permanent", message=message)
        ends = np.linspace(0, len(text), len(values) + 1).round().astype(int).tolist()
        scores = (TokenScore(a, b, float(v)) for a, b, v in zip(ends, ends[1:], values, strict=False))
        return Output(finish="scored", scores=tuple(scores))


def open_text_model(model: object, options: ModelOptions | None) -> Model:
    """The model that a URI or an object is; one that only scores will do.

    Raises:
        UsageError: if it is none, or gives no log-probabilities.
        MissingError: if something it needs is missing.
    """
    brought = _brought(model.removeprefix(PYTHON)) if isinstance(model, str) and model.startswith(PYTHON) else model
    if isinstance(brought, ScoresText) and not isinstance(brought, Model) and not hasattr(brought, "answer"):
        return ScoresAlone(brought)
    opened = load_model(model, options)
    if isinstance(opened, CallableModel) and not isinstance(opened, ScoresText):
        return ScoresByFunction(opened)
    require_scores(opened)
    return opened


def require_samples(given: Mapping[str, Any]) -> None:
    """Refuse what speaks of texts, where the anchors are samples.

    Raises:
        UsageError: naming the argument.
    """
    for name in ("twins", "baseline"):
        if given.get(name) is not None:
            raise UsageError(
                f"{name}={short(given[name])} speaks of texts, and this model is none that writes texts. Leave it out, "
                "or give a language model (hf/PATH) with texts as anchors."
            )
