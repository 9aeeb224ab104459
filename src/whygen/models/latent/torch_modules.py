# pyright: basic
"""Any torch module that encodes and decodes as a `Generator`: what they return is read by what it is.

Understood as a module: methods ``encode`` and ``decode``, parts ``encoder`` and ``decoder`` with or without heads
(``fc_mu``, ``fc_var``), or a ``forward`` that returns mean and log-variance.
Understood as a posterior: a mapping, a named tuple or an object with a mean and a log-variance, standard deviation or
variance under one of the usual names, a ``torch.distributions`` object, ``latent_dist`` around any of them (diffusers);
a pair ``(mean, logvar)``, of which only the person can say whether its second part is one; and one tensor that holds
both side by side, where the decoder takes half of it. Understood as a
reconstruction: a tensor, an object with a tensor ``sample`` (diffusers), the first of a tuple, the mean of a
distribution.
"""

from __future__ import annotations

import copy
import hashlib
import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import torch

from whygen.errors import ModelError, UsageError
from whygen.models.hf import moved
from whygen.models.latent import Floats, Generator, Posterior, stated
from whygen.models.latent.refusals import OWN, SIDE_BY_SIDE, is_condition, refusal
from whygen.models.one_by_one import evaluating
from whygen.models.protocols import ModelOptions

MEAN_HEADS = ("fc_mu", "fc_mean", "mu_layer", "mean_layer", "to_mu", "z_mean", "mu", "mean")
LOGVAR_HEADS = ("fc_var", "fc_logvar", "fc_log_var", "logvar_layer", "to_logvar", "z_log_var", "logvar", "log_var")
"""Layers that make a log-variance in the implementations that go round, whatever ``var`` in the name says."""
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
    if not decodes or inspect.getattr_static(type(module), "forward", None) is torch.nn.Module.forward:
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
    if not any(map(is_condition, required[1:])):
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


MEANS = ("mean", "mu", "loc", "z_mean", "embedding")
LOG_VARIANCE: tuple[tuple[tuple[str, ...], Callable[[torch.Tensor], torch.Tensor]], ...] = (
    (("logvar", "log_var", "log_variance", "log_covariance", "z_log_var"), lambda logvar: logvar),
    (("logstd", "log_std", "log_sigma", "log_scale"), lambda logstd: 2 * logstd),
    (("stddev", "std", "sigma", "scale"), lambda std: 2 * std.log()),
    (("variance", "var"), torch.log),
)
"""Names of the second part of a posterior, and how it becomes a log-variance."""
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
LATENTS = ("latents", "embedding", "z", "quantized")
"""Names of latents that come without a variance."""
RECONSTRUCTIONS = ("sample", "reconstruction", "x_hat", "recon", "mean")


def torch_latent(
    module: Any, *, options: ModelOptions | None = None, uri: str | None = None, **known: Any
) -> Generator:
    """A torch module as a `Generator`; ``known`` are fields of it that the caller is sure of.

    The module stays where it is unless ``options`` name a device or a dtype, and is put into evaluation mode for
    the length of each call only.
    """
    module = placed(module, options or ModelOptions())
    calls = _TorchCalls(module, uri)
    fields = {
        **stated(module, uri=uri),
        "encode": calls.encode,
        "decode": calls.decode,
        "prefers": "NCHW",
        "identify": lambda: identity_of_module(module),
        **known,
    }
    return Generator(**fields, untrained=lambda seed: torch_latent(reinitialised(module, seed), uri=uri, **known))


def placed(module: Any, options: ModelOptions) -> Any:
    """The module on the device and in the type that ``options`` name; else where it is."""
    if options.device is None and options.dtype is None:
        return module
    dtype = None if options.dtype is None else getattr(torch, options.dtype)
    told = {} if dtype is None else {"dtype": dtype}
    return module.to(**told) if options.device is None else moved(module, options.device, **told)


def gives_posterior(module: Any) -> bool:
    """Whether the module decodes, and its ``forward`` may give a posterior."""
    return _encoder(module) is not None and bool(_callable(module, "decode") or _callable(module, "decoder"))


def identity_of_module(module: torch.nn.Module) -> dict[str, Any] | None:
    """Digests of a module's weights, and of its classes, settings and their code; None where a part cannot be told.

    A part that cannot: a function that was put in place of a method, or a hook. It may do anything.
    """
    weights, make = hashlib.sha256(), hashlib.sha256(repr(module).encode())
    for name, part in module.named_modules():
        plain = {key: each for key, each in vars(part).items() if key not in _OF_TORCH and key != "training"}
        hooks = [*part._forward_hooks.values(), *part._forward_pre_hooks.values()]
        if not all(map(_is_harmless, hooks)):
            return None
        if any(inspect.isroutine(each) for each in plain.values()):
            return None
        settings = {key: each for key, each in plain.items() if isinstance(each, int | float | str | tuple | Mapping)}
        make.update(f"{name} {type(part).__module__}.{type(part).__qualname__} {settings}".encode())
        if not type(part).__module__.startswith("torch."):
            with suppress(OSError, TypeError):  # typed at a prompt: its weights must do
                make.update(inspect.getsource(type(part)).encode())
    for name, each in module.state_dict().items():
        if not torch.is_tensor(each) or each.is_meta or each.layout != torch.strided:
            return None
        weights.update(f"{name} {each.dtype} {tuple(each.shape)}".encode())
        weights.update(each.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    device, dtype = _place(module)
    return {
        "weights": weights.hexdigest(), "code": make.hexdigest(), "device": device.type, "dtype": str(dtype),
        "torch": torch.__version__,
    }  # fmt: skip


def _is_harmless(hook: Any) -> bool:
    """Whether a hook is of torch, or of those by which transformers only takes down what layers give."""
    return type(hook).__module__.startswith("torch.") or hook.__module__ == "transformers.utils.output_capturing"


_OF_TORCH = frozenset(vars(torch.nn.Module()))
"""Attributes that every module has."""


def reinitialised(module: torch.nn.Module, seed: int) -> torch.nn.Module:
    """A copy with new random weights, as the same architecture has before it is trained.

    Every part that can reset itself does (``reset_parameters``). What no part resets (parameters of a module of its
    own, weights behind a parametrization) keeps its values in a random order: their scale stays, what they knew goes.

    Raises:
        UsageError: if the module cannot be copied, or has no weights.
    """
    if not any(each.is_floating_point() for each in module.parameters()):
        raise UsageError("the model has no weights")
    try:
        made = copy.deepcopy(module)
    except Exception as error:  # foreign code: open files, locks, hooks ...
        raise UsageError(f"the model cannot be copied ({type(error).__name__}: {error})") from error
    devices = _devices(made)
    before = {name: each.detach().clone() for name, each in made.named_parameters()}
    with torch.random.fork_rng(devices=devices), torch.no_grad():
        torch.manual_seed(seed)
        for part in made.modules():
            reset = getattr(part, "reset_parameters", None) or getattr(part, "_reset_parameters", None)
            if callable(reset):
                reset()
        for name, each in made.named_parameters():
            if torch.equal(each, before[name]) and each.is_floating_point():
                each.copy_(each.flatten()[torch.randperm(each.numel()).to(each.device)].view_as(each))
    return made


class _TorchCalls:
    """numpy in, numpy out; remembers the shape of a latent, which `Generator` knows only as ``d`` numbers."""

    def __init__(self, module: torch.nn.Module, uri: str | None) -> None:
        self._module: Any = module
        self._encoding, self._decoding = coders(module, uri=uri)
        self._order: tuple[int, int] | None = None
        self._side_by_side: int | None = None
        self._latent_shapes: dict[int, tuple[int, ...]] = {}
        self._named = False

    def encode(self, samples: Floats) -> tuple[Floats, Floats]:
        mean, second = sparing(self._encode, samples)
        return Posterior(mean, second) if self._named else (mean, second)

    def decode(self, latents: Floats) -> Floats:
        shape = self._latent_shapes.get(latents.shape[1], latents.shape[1:])
        (samples,) = sparing(self._decode, latents.reshape(len(latents), *shape))
        return samples

    def _encode(self, samples: Floats) -> tuple[Floats, ...]:
        # An encoder that draws takes its numbers from torch's own generator, which is the person's: put it back.
        kept = torch.random.fork_rng(devices=_devices(self._module))
        with kept, evaluating(self._module), torch.inference_mode():
            given = tensor_of(samples, self._module)
            found = self._halves(self._two_of_three(self._encoding(given), given))
            mean, second, self._named = _posterior(found)
            self._latent_shapes[mean[0].numel()] = tuple(mean.shape[1:])
            return numpy_of(mean.flatten(1)), numpy_of(second.expand_as(mean).flatten(1))

    def _two_of_three(self, result: Any, given: torch.Tensor) -> Any:
        """Mean and log-variance of three tensors, one of which is a draw; anything else as it is."""
        if not _is_triple(result):
            return result
        if self._order is None:
            again = self._encoding(given)
            self._order = in_order(tuple(result), tuple(again))
        if self._order is None:
            raise UsageError(
                "encode of the model returned three tensors, and it cannot be told which are mean, log-variance and "
                "draw. Return (mean, logvar), or a mapping with these names."
            )
        return tuple(result[place] for place in self._order)

    def _halves(self, result: Any) -> Any:
        """Mean and log-variance where one tensor holds both side by side; anything else as it is.

        The decoder tells: it takes half of what the encoder gives, and not the whole. The mean is the first half, as
        wherever a network's last layer is cut in two (`torch.chunk`).
        """
        if isinstance(result, tuple | list) and len(result) == 1:
            result = result[0]
        if not torch.is_tensor(result) or result.ndim < 2:
            return result
        if self._side_by_side is None:
            self._side_by_side = self._axis_of_halves(result[:1])
        return result.chunk(2, dim=self._side_by_side) if self._side_by_side else result

    def _axis_of_halves(self, latents: torch.Tensor) -> int:
        """The axis along which half of the latents can be decoded; 0: there is none, or all of them can be."""
        axes = [axis for axis in {1, latents.ndim - 1} if latents.shape[axis] % 2 == 0]
        if not axes or self._can_decode(latents):
            return 0
        return next((axis for axis in axes if self._can_decode(latents.chunk(2, dim=axis)[0])), 0)

    def _can_decode(self, latents: torch.Tensor) -> bool:
        try:
            self._decoding(latents)
        except Exception:  # foreign code: what a layer raises for a width that it does not take
            return False
        return True

    def _decode(self, latents: Floats) -> tuple[Floats, ...]:
        with evaluating(self._module), torch.inference_mode():
            return (numpy_of(reconstruction(self._decoding(tensor_of(latents, self._module)))),)


def _is_triple(result: Any) -> bool:
    if not isinstance(result, tuple | list) or len(result) != 3 or hasattr(result, "_fields"):
        return False
    return all(map(torch.is_tensor, result)) and len({part.shape for part in result}) == 1


def _devices(module: torch.nn.Module) -> list[int]:
    return sorted({each.device.index or 0 for each in module.parameters() if each.device.type == "cuda"})


def sparing(call: Callable[[Floats], tuple[Floats, ...]], array: Floats) -> tuple[Floats, ...]:
    """``call(array)``, in halves (and halves of halves) where the memory does not hold it whole.

    Raises:
        ModelError: if the memory does not hold a single sample.
    """
    try:
        return call(array)
    except RuntimeError as error:  # torch.OutOfMemoryError is one; the CPU allocator raises a plain one
        if not any(sign in str(error).lower() for sign in OUT_OF_MEMORY):
            raise
        if len(array) == 1:
            raise ModelError(f"The model does not fit the memory with a single sample: {error}") from error
    half = len(array) // 2
    halves = zip(sparing(call, array[:half]), sparing(call, array[half:]), strict=True)
    return tuple(np.concatenate(pair) for pair in halves)


def posterior(result: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and log-variance from whatever ``encode`` returned; the second part of a bare pair is taken for one.

    Raises:
        UsageError: if no mean and variance can be told from it.
    """
    return _posterior(result)[:2]


def _posterior(result: Any) -> tuple[torch.Tensor, torch.Tensor, bool]:
    """The same, and whether a name said what the second part is."""
    if hasattr(result, "latent_dist"):
        return _posterior(result.latent_dist)
    if isinstance(result, tuple | list) and len(result) == 1:
        return _posterior(result[0])
    if not torch.is_tensor(result) and (mean := _first_tensor(result, MEANS)) is not None:
        for names, as_logvar in LOG_VARIANCE:
            if (found := _first_tensor(result, names)) is not None:
                return mean, as_logvar(found), True
    if isinstance(result, tuple | list) and len(result) == 2 and all(map(torch.is_tensor, result)):
        return result[0], result[1], False
    if torch.is_tensor(result) or _first_tensor(result, LATENTS) is not None:
        raise UsageError(
            f"encode of the model returned {_describe(result)} alone: it is an autoencoder without a posterior (a "
            f"plain or a quantised one). {OWN} {SIDE_BY_SIDE}"
        )
    if isinstance(result, tuple | list) and any(torch.is_tensor(each) and _is_aside(each) for each in result[1:]):
        raise UsageError(
            f"encode of the model returned {_describe(result)}, with a loss or places in a codebook beside latents: "
            f"it is a quantised autoencoder, without a posterior. {OWN} {SIDE_BY_SIDE}"
        )
    raise UsageError(
        f"encode of the model returned {_describe(result)}; whygen needs the mean and the log-variance of the "
        "posterior. Return (mean, logvar), or wrap it: whygen.models.Generator(encode=..., decode=...)."
    )


def _is_aside(part: torch.Tensor) -> bool:
    """Whether it is one number for all, or whole numbers: neither says how sure an encoder is of a sample."""
    return part.ndim == 0 or not part.is_floating_point()


def reconstruction(result: Any) -> torch.Tensor:
    """The decoded samples from whatever ``decode`` returned.

    Raises:
        UsageError: if there is no tensor of samples in it.
    """
    if torch.is_tensor(result):
        return result
    if isinstance(result, tuple | list) and result:
        return reconstruction(result[0])
    if (found := _first_tensor(result, RECONSTRUCTIONS)) is not None:
        return found
    raise UsageError(f"decode of the model returned {_describe(result)}; it must return the samples as a tensor.")


def _first_tensor(result: Any, names: tuple[str, ...]) -> torch.Tensor | None:
    for name in names:
        found = result.get(name) if isinstance(result, Mapping) else getattr(result, name, None)
        if torch.is_tensor(found):
            return found
    return None


def _describe(result: Any) -> str:
    if isinstance(result, tuple | list):
        return f"a {type(result).__name__} of {len(result)} ({', '.join(type(part).__name__ for part in result)})"
    return f"a {type(result).__name__}"


def tensor_of(array: Floats, module: torch.nn.Module) -> torch.Tensor:
    """Numbers where the module is, and of its type."""
    device, dtype = _place(module)
    return torch.from_numpy(np.require(array, np.float32, ["C", "W"])).to(device=device, dtype=dtype)


def _place(module: torch.nn.Module) -> tuple[torch.device, torch.dtype]:
    for tensor in module.parameters():
        if tensor.is_floating_point():
            return tensor.device, tensor.dtype
    return torch.device("cpu"), torch.float32


def numpy_of(tensor: torch.Tensor) -> Floats:
    """A tensor as float32 of numpy."""
    return tensor.to(device="cpu", dtype=torch.float32).numpy()
