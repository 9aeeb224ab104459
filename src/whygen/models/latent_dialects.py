# pyright: basic
"""How torch modules spell encoding and decoding: methods, parts, heads of the posterior, or forward alone."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch

from whygen.errors import UsageError
from whygen.models.latent_refusals import refusal

MEAN_HEADS = ("fc_mu", "fc_mean", "mu_layer", "mean_layer", "to_mu", "z_mean", "mu", "mean")
LOGVAR_HEADS = ("fc_var", "fc_logvar", "fc_log_var", "logvar_layer", "to_logvar", "z_log_var", "logvar", "log_var")
"""Layers that make a log-variance in the implementations that go round, whatever ``var`` in the name says."""
CONDITIONS = ("label", "class", "cond", "context", "attr", "target", "prompt", "text", "ctx")
"""Parts of the names under which a conditional model takes its condition."""
Call = Callable[[torch.Tensor], Any]


def coders(module: Any, *, uri: str | None = None) -> tuple[Call, Call]:
    """What encodes samples and what decodes latents, found by what the module has.

    Raises:
        UsageError: if there is no encoder or no decoder, or one of them needs more than its samples.
    """
    decode = _callable(module, "decode") or _callable(module, "decoder")
    encode = _encoder(module)
    if encode is None or decode is None:
        raise UsageError(refusal(module, uri=uri))
    for name, call in (("encode", encode), ("decode", decode)):
        _require_one_argument(name, call)
    heads = _head(module, MEAN_HEADS), _head(module, LOGVAR_HEADS)
    if None in heads:
        return encode, decode
    return _with_heads(encode, *heads), decode  # pyright: ignore[reportArgumentType]


def _callable(module: Any, name: str) -> Call | None:
    found = getattr(module, name, None)
    return found if callable(found) else None


def _encoder(module: Any) -> Call | None:
    found = _callable(module, "encode") or _callable(module, "encoder")
    if found is not None:
        return found
    decodes = hasattr(module, "decode") or hasattr(module, "decoder")
    if not decodes or type(module).forward is torch.nn.Module.forward:
        return None
    return lambda samples: _parts_of_forward(_called(module, samples), samples)


def _called(module: Any, samples: torch.Tensor) -> Any:
    _require_one_argument("forward", module.forward)
    return module(samples)


def _parts_of_forward(result: Any, samples: torch.Tensor) -> Any:
    """What of (reconstruction, mean, logvar) is the posterior: all that has not the shape of the samples."""
    if not isinstance(result, tuple | list):
        return result
    return tuple(part for part in result if torch.is_tensor(part) and part.shape != samples.shape)


def _head(module: Any, names: tuple[str, ...]) -> Any | None:
    found = [getattr(module, name, None) for name in names]
    return next((each for each in found if isinstance(each, torch.nn.Module)), None)


def _with_heads(encode: Call, mean: Any, logvar: Any) -> Call:
    """Heads are applied where the encoder alone gives one tensor, which is then what they take."""

    def encoding(samples: torch.Tensor) -> Any:
        hidden = encode(samples)
        if not torch.is_tensor(hidden):
            return hidden
        flat = hidden.flatten(1) if isinstance(mean, torch.nn.Linear) else hidden
        return mean(flat), logvar(flat)

    return encoding


def _require_one_argument(name: str, call: Call) -> None:
    """Refuse what needs more than the samples, such as the class of a conditional VAE."""
    try:
        signature = inspect.signature(call.forward if isinstance(call, torch.nn.Module) else call)
    except (TypeError, ValueError):  # compiled code tells nothing of its arguments
        return
    required = [
        each.name
        for each in signature.parameters.values()
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    if len(required) <= 1:
        return
    more = ", ".join(required[1:])
    if not any(sign in each.lower() for each in required[1:] for sign in CONDITIONS) and not {"y", "c"}.intersection(
        required[1:]
    ):
        raise UsageError(
            f"{name} of the model needs {more} besides what it {'decodes' if name == 'decode' else 'encodes'}. Wrap it "
            f"in a torch.nn.Module whose encode(self, x) and decode(self, z) need nothing else and fill in {more}."
        )
    raise UsageError(
        f"{name} of the model needs {more} besides what it {'decodes' if name == 'decode' else 'encodes'}: the model "
        f"is conditional. Wrap it for one condition: a torch.nn.Module with encode(self, x): return "
        f"self.model.encode(x, {more}), and decode alike; explain it by anchors of that condition."
    )


def in_order(parts: tuple[torch.Tensor, ...], again: tuple[torch.Tensor, ...]) -> tuple[int, int] | None:
    """Which of three parts are mean and log-variance, where one more is a draw; None where it cannot be told.

    ``(z, mean, logvar)`` and ``(mean, logvar, z)`` both go round. A draw differs from call to call (``again``), or is
    the mean itself in a module that draws nothing in evaluation mode.
    """
    drawn = [place for place, (one, two) in enumerate(zip(parts, again, strict=True)) if not torch.equal(one, two)]
    if len(drawn) == 1:
        mean, logvar = (place for place in range(3) if place != drawn[0])
        return mean, logvar
    twins = [(a, b) for a in range(3) for b in range(a + 1, 3) if torch.equal(parts[a], parts[b])]
    if drawn or len(twins) != 1:
        return None
    (other,) = {0, 1, 2} - set(twins[0])
    return twins[0][0], other
