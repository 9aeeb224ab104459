# pyright: basic
"""A language model by vLLM's engine on a Ray cluster (`ray.data.llm`): ``executor="vllm"``.

All prompts of a round go in together, as a data set that the engine's replicas take batches of; Ray Data asks anew what
a replica that died had in hand. What comes back is an answer: the engine is asked for no log-probabilities of a given
text. The engine needs a GPU. None was at hand, so this was tried with a stand-in for it, and never with vLLM itself.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any, Final

from whygen.errors import MissingError, MissingExtraError, UsageError
from whygen.models.openai.turns import messages
from whygen.models.protocols import Model, ModelOptions
from whygen.models.ray.cluster import connect, resources_of
from whygen.models.turns import Refused
from whygen.safe import says
from whygen.types import Chat, Failure, JsonValue, Limits, Output, Request

AT_ONCE: Final = 4096
"""Prompts of one data set: the engine orders them so that prefixes are shared."""
BATCH: Final = 64


def open_engine(model: object, options: ModelOptions) -> Model:
    """``hf/ORG/NAME`` or ``hf/FOLDER`` by vLLM.

    Raises:
        UsageError: if it is no such URI.
        MissingExtraError: if Ray is not installed.
        MissingError: if vLLM is not, if there is no cluster, or no GPU in it.
    """
    if not (isinstance(model, str) and model.startswith("hf/")):
        raise UsageError("executor='vllm' opens hf/ORG/NAME or hf/FOLDER. Give such a model, or executor='ray'.")
    try:
        version = metadata.version("vllm")
    except metadata.PackageNotFoundError:
        raise MissingError(
            "executor='vllm' needs the package 'vllm', which is not installed and in no extra of whygen. Install it on "
            "every machine of the cluster, as https://docs.vllm.ai says for its GPU, or use executor='ray'."
        ) from None
    ray = connect(options.address)
    try:
        from ray.data import llm  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingExtraError("executor='vllm'", extra="ray", package=error.name or "ray") from None
    number, resources = resources_of(ray, options.workers, options.device)
    if "num_gpus" not in resources:
        raise MissingError("executor='vllm' needs a GPU, and the cluster has none. Use executor='ray'.")
    name, _, revision = model.removeprefix("hf/").partition("@")
    how: dict[str, Any] = {"dtype": options.dtype or "auto", "enable_prefix_caching": True}
    config = llm.vLLMEngineProcessorConfig(
        model_source=name, engine_kwargs={**how, **({"revision": revision} if revision else {})},
        batch_size=options.batch_size or BATCH, concurrency=number, should_continue_on_error=True,
    )  # fmt: skip
    processor = llm.build_processor(config, preprocess=_to_engine, postprocess=_from_engine)
    identity = {"uri": model, "engine": f"vllm {version}", **how}
    return EngineModel(ray, processor, model, identity)


class EngineModel:
    """A model whose requests become rows of a data set."""

    def __init__(self, ray: Any, processor: Any, uri: str, identity: Mapping[str, JsonValue]) -> None:
        self._ray, self._processor, self._uri, self._identity = ray, processor, uri, identity

    @property
    def uri(self) -> str:
        return self._uri

    @property
    def identity(self) -> Mapping[str, JsonValue]:
        """The URI, the engine's version and what it is told."""
        return self._identity

    @property
    def limits(self) -> Limits:
        return Limits(max_batch=AT_ONCE)

    def answer(self, requests: Sequence[Request]) -> list[Output | Failure]:
        answers: dict[int, Output | Failure] = {}
        rows: list[dict[str, Any]] = []
        for number, request in enumerate(requests):
            try:
                rows.append(_row(number, request))
            except Refused as refused:
                answers[number] = refused.failure
        began = time.perf_counter()
        found = self._processor(self._ray.data.from_items(rows)).take_all() if rows else []
        seconds = (time.perf_counter() - began) / max(1, len(rows))
        answers |= {int(row["number"]): _answer(row, seconds) for row in found}
        lost = Failure(kind="transient", message="the engine gave no answer to this prompt")
        return [answers.get(number, lost) for number in range(len(requests))]


def _row(number: int, request: Request) -> dict[str, Any]:
    """A request as the engine reads it; a text is what the person says."""
    settings = request.settings
    if not isinstance(request.prompt, str | Chat):
        raise Refused("this engine reads texts and chats", "Use executor='ray', or a model that edits.")
    turns = messages(request.prompt) if isinstance(request.prompt, Chat) else None
    sampling: dict[str, Any] = {
        "temperature": settings.temperature, "top_p": settings.top_p or 1.0, "max_tokens": settings.max_tokens,
        "seed": request.sampling_seed % 2**31, "stop": list(settings.stop) or None,
    }  # fmt: skip
    said = [{"role": "user", "content": request.prompt}] if turns is None else turns
    return {"number": number, "messages": said, "sampling": sampling}


def _to_engine(row: dict[str, Any]) -> dict[str, Any]:
    return {"number": row["number"], "messages": row["messages"], "sampling_params": row["sampling"]}


def _from_engine(row: dict[str, Any]) -> dict[str, Any]:
    names = ("number", "generated_text", "num_input_tokens", "num_generated_tokens", "finish_reason")
    return {name: row[name] for name in names if name in row}


def _answer(row: Mapping[str, Any], seconds: float) -> Output | Failure:
    if wrong := row.get("__inference_error__"):
        return Failure(kind="permanent", message=f"the engine failed: {says(RuntimeError(str(wrong)))}")
    return Output(
        text=str(row["generated_text"]), finish="length" if row.get("finish_reason") == "length" else "stop",
        tokens_in=row.get("num_input_tokens"), tokens_out=row.get("num_generated_tokens"), seconds=seconds,
    )  # fmt: skip
