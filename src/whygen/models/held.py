# pyright: basic
"""Models that people already hold: a transformers model with its tokenizer, a pipeline, a torch module.

Nothing is imported to find out: an object of a library that was never imported cannot be one of its kind.
"""

from __future__ import annotations

from typing import Any

from whygen.errors import UsageError
from whygen.models.protocols import Model, ModelOptions
from whygen.plugins import already_imported

AS_PIPELINE = (
    "Give transformers.pipeline('text-to-audio', model=model, tokenizer=tokenizer), with vocoder= where it needs one."
)
WITH_TOKENIZER = "Give the model with its tokenizer: (model, tokenizer)."
WRITES = ("text-generation", "text2text-generation", "translation", "summarization")
"""Tasks of pipelines that answer with a text."""
SPEAKS = ("text-to-audio", "text-to-speech")
"""Those that answer with a sound."""


def held_model(model: object, options: ModelOptions) -> Model | None:
    """A model from what a person of transformers or torch holds; None where it is neither.

    Args:
        model: ``(model, tokenizer)`` in this order or the other, a text pipeline, a pipeline of diffusers, or anything
            else.
        options: ``batch_size``; the network stays where it is, in the precision it is in.

    Raises:
        UsageError: for a model without its tokenizer, a pipeline that writes no text, a bare torch module; the message
            names the way that works.
    """
    transformers, torch = already_imported("transformers"), already_imported("torch")
    diffusers = already_imported("diffusers")
    if diffusers is not None and isinstance(model, diffusers.DiffusionPipeline):
        from whygen.models.diffusers import held_pipeline

        return held_pipeline(model, options)
    if transformers is not None and isinstance(model, transformers.Pipeline):
        return _from_pipeline(model, options)
    if isinstance(model, tuple | list) and len(model) == 2 and torch is not None:
        networks = [part for part in model if isinstance(part, torch.nn.Module)]
        others = [part for part in model if not isinstance(part, torch.nn.Module)]
        if len(networks) == 1 and callable(getattr(others[0], "apply_chat_template", None)):
            return _with_tokenizer(networks[0], others[0], options)
        if len(networks) == 1 and transformers is not None and isinstance(networks[0], transformers.PreTrainedModel):
            raise UsageError(
                f"model holds a {type(networks[0]).__name__} and a {type(others[0]).__name__}, which is no tokenizer. "
                f"{WITH_TOKENIZER}"
            )
    if transformers is not None and isinstance(model, transformers.PreTrainedModel):
        if _makes_sounds(model, transformers):
            raise UsageError(f"model is a {type(model).__name__}, which makes sounds. {AS_PIPELINE}")
        raise UsageError(f"model is a {type(model).__name__} without its tokenizer. {WITH_TOKENIZER}")
    if transformers is not None and isinstance(model, transformers.PreTrainedTokenizerBase):
        raise UsageError(f"model is a tokenizer, {type(model).__name__}. {WITH_TOKENIZER}")
    if torch is not None and isinstance(model, torch.nn.Module) and not isinstance(model, Model):
        raise UsageError(
            f"model is a torch module, {type(model).__name__}, which takes tensors and no text. To explain what it "
            "writes, give a function str -> str that calls it, or (model, tokenizer) of transformers; to explain what "
            "it has learned of samples, use whygen.explain_anchors(model, anchors)."
        )
    return None


def _makes_sounds(network: Any, transformers: Any) -> bool:
    """Whether it is of a class that ``pipeline("text-to-audio")`` takes."""
    mappings = (transformers.MODEL_FOR_TEXT_TO_WAVEFORM_MAPPING, transformers.MODEL_FOR_TEXT_TO_SPECTROGRAM_MAPPING)
    return any(type(network) in each.values() for each in mappings)


def _from_pipeline(pipeline: Any, options: ModelOptions) -> Model:
    if pipeline.task in SPEAKS:
        from whygen.models.hf.sound import SoundModel

        name = getattr(pipeline.model.config, "name_or_path", "") or type(pipeline.model).__name__
        return SoundModel(pipeline, uri=f"hf/{name}")
    if pipeline.task not in WRITES or pipeline.tokenizer is None:
        raise UsageError(
            f"model is a pipeline for {pipeline.task!r}, and whygen asks for texts or sounds. Give a pipeline for one "
            f"of {', '.join((*WRITES, *SPEAKS))}, or a function str -> str that calls this one and returns the text to "
            "explain."
        )
    return _with_tokenizer(pipeline.model, pipeline.tokenizer, options)


def _with_tokenizer(network: Any, tokenizer: Any, options: ModelOptions) -> Model:
    """The network as ``hf/`` runs it; what it was loaded from names it, and says nothing of its weights now."""
    transformers = already_imported("transformers")
    if transformers is not None and _makes_sounds(network, transformers):
        raise UsageError(f"model holds a {type(network).__name__}, which makes sounds. {AS_PIPELINE}")
    config = getattr(network, "config", None)
    if config is None or not callable(getattr(network, "generate", None)):
        raise UsageError(
            f"model holds a {type(network).__name__}, which does not generate text. Give a causal or a "
            "sequence-to-sequence model of transformers, or a function str -> str."
        )
    from whygen.models.hf.model import HfModel

    name = getattr(config, "name_or_path", "") or type(network).__name__
    return HfModel(network, tokenizer, uri=f"hf/{name}", batch_size=options.batch_size)
