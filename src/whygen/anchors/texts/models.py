"""Whether a model is one of texts: then its anchors are texts, too."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from whygen._arguments import short
from whygen.anchors.texts.scoring import require_scores
from whygen.errors import UsageError, WhygenError
from whygen.models import LatentModel, Model, ModelOptions, ScoresText, load_model
from whygen.models.names import SERVICES
from whygen.models.protocols import Encodes
from whygen.plugins import imported
from whygen.remote import is_service
from whygen.types import Failure, JsonValue, Limits, Output, Request

OF_TEXTS = ("hf", "openai", "anthropic", "replay", "planted")
"""Providers whose models write texts alone."""
_OF_SAMPLES = ("sample", "rvs", "log_prob", "logpdf", "score_samples")
"""What models of samples have and models of texts have not."""


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
    transformers = sys.modules.get("transformers")
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
        return self.scorer.score(requests)


def open_text_model(model: object, options: ModelOptions | None) -> Model:
    """The model that a URI or an object is; one that only scores will do.

    Raises:
        UsageError: if it is none, or gives no log-probabilities.
        MissingError: if something it needs is missing.
    """
    if isinstance(model, ScoresText) and not isinstance(model, Model) and not hasattr(model, "answer"):
        return ScoresAlone(model)
    opened = load_model(model, options)
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
