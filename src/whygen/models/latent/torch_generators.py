# pyright: basic
"""Torch modules that go one way, from latents to samples, such as the generator of a GAN."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from whygen.errors import UsageError
from whygen.models.latent import Floats, Generator, stated
from whygen.models.latent.refusals import is_condition
from whygen.models.latent.returned import HELD
from whygen.models.latent.sampling import likely_range
from whygen.models.latent.torch_modules import (
    RECONSTRUCTIONS,
    identity_of_module,
    numpy_of,
    reconstruction,
    reinitialised,
    sparing,
    tensor_of,
)
from whygen.models.one_by_one import evaluating
from whygen.safe import says

SIZES = (
    "latent_dim",
    "z_dim",
    "nz",
    "latent_size",
    "noise_dim",
    "dim_z",
    "zdim",
    "latent_dims",
    "z_size",
    "noise_size",
)
"""Names under which a module states the size of its latents."""
COMMON = (100, 128, 64, 512, 32, 256, 16, 10, 20, 50, 8, 4, 2, 200)
"""Sizes that are tried where neither a name nor the first layer tells."""
PICTURES = ("image", "img", "fake", "rgb", "pred")
"""Names under which a generator of pictures gives them, besides those of reconstructions and samples."""
PROBED = 16
POOL = 2_000
"""Latents that a search may begin from,"""
RESTARTS = 4
"""so many of them for each sample: the nearest;"""
STEPS, RATE = 150, 0.05
"""steps of Adam from each, and its rate;"""
SEARCHED = 128
"""and samples that are searched for at once."""


def torch_generator(module: Any, *, uri: str | None, **known: Any) -> Generator | None:
    """A module from latents ``(n, d)``, or ``(n, d, 1, 1)``, to samples; None where it is not one.

    The size of the latents is what the module says, what its first layer takes, or what it takes when tried; latents
    are drawn from the standard normal law.

    Raises:
        UsageError: if it needs more than latents.
    """
    if inspect.getattr_static(type(module), "forward", None) is torch.nn.Module.forward:
        return None
    _require_latents_alone(module)
    found = _latent_shape(module)
    if found is None:
        return None
    shape, is_stated = found

    def decode(latents: Floats) -> Floats:
        def made(part: Floats) -> tuple[Floats, ...]:
            with evaluating(module), torch.inference_mode():
                return (numpy_of(_samples(module(tensor_of(part, module)), shape)),)

        (samples,) = sparing(made, latents.reshape(len(latents), *shape))
        return samples

    def invert(samples: Floats, rng: np.random.Generator) -> Floats:
        pool = rng.standard_normal((POOL, math.prod(shape)), dtype=np.float32)
        known = decode(pool).reshape(POOL, -1)
        parts = [samples[start : start + SEARCHED] for start in range(0, len(samples), SEARCHED)]
        return np.concatenate([_inverted(module, part, _nearest(part, known, pool), shape) for part in parts])

    few = decode(np.random.default_rng(0).standard_normal((PROBED, math.prod(shape)), dtype=np.float32))
    said = stated(module, uri=uri)
    fields = {
        "shape": few.shape[1:],
        "value_range": likely_range(few),
        "range_found": "value_range" not in said,
        **said,
        "latent_dim": math.prod(shape),
        **known,
    }
    how = "as it states" if is_stated else "as its layers take them"
    text = (
        f"Latents of {math.prod(shape)} values, {how}, are drawn from the standard normal law. If the model was "
        "trained with other noise, give whygen.models.Generator(sampler=...), which draws as it was trained."
    )
    return Generator(
        decode=decode, invert=invert, identify=lambda: identity_of_module(module), notices=(("latent-law", text),),
        untrained=lambda seed: _copy(module, seed, uri=uri, known=known), **fields,
    )  # fmt: skip


def _nearest(samples: Floats, known: Floats, pool: Floats) -> Floats:
    """For each sample the latents ``(n, RESTARTS, d)`` whose samples are the nearest of a pool."""
    centre = known.mean(axis=0)
    points, others = samples.reshape(len(samples), -1) - centre, known - centre
    apart = np.square(others).sum(axis=1) - 2 * points @ others.T
    return pool[np.argsort(apart, axis=1, kind="stable")[:, :RESTARTS]]


def _inverted(module: Any, samples: Floats, starts: Floats, shape: tuple[int, ...]) -> Floats:
    """Adam on the latents alone: the best of all starts for each sample; NaN where every search went astray.

    The gradient is taken for the latents, so none is left in the module's own weights.
    """
    n, size = len(samples), math.prod(samples.shape[1:])
    target = tensor_of(samples, module).reshape(n, 1, size)
    with evaluating(module), torch.enable_grad():
        latents = tensor_of(starts, module).reshape(n * RESTARTS, *shape).clone().requires_grad_(True)
        optimiser = torch.optim.Adam([latents], lr=RATE)

        def errors() -> torch.Tensor:
            made = _samples(module(latents), shape).reshape(n, RESTARTS, size)
            return (made - target).square().sum(dim=2)

        for _ in range(STEPS):
            (latents.grad,) = torch.autograd.grad(errors().sum(), [latents])
            optimiser.step()
        with torch.no_grad():
            made = _samples(module(latents), shape).reshape(n, RESTARTS, size)
            left = (made - target).square().sum(dim=2).nan_to_num(nan=math.inf)
            best = left.argmin(dim=1)
            found = made[torch.arange(n), best].clone()
            found[~left.min(dim=1).values.isfinite()] = math.nan
    return numpy_of(found).reshape(samples.shape)


def _samples(result: Any, latent: tuple[int, ...]) -> torch.Tensor:
    """The samples in whatever ``forward`` returned for latents of that shape.

    Of several tensors the first that has more values than the latents, which some return too; of the same picture in
    several sizes the largest.

    Raises:
        UsageError: if there is no tensor in it.
    """
    if isinstance(result, Mapping):
        names = (*RECONSTRUCTIONS, *HELD, *PICTURES)
        result = next((result[name] for name in names if name in result), tuple(result.values()))
    if not isinstance(result, tuple | list):
        return reconstruction(result)
    parts = [part for part in result if torch.is_tensor(part) and part.ndim > 1]
    more = [part for part in parts if part[0].numel() > math.prod(latent)]
    if not more:
        return reconstruction(result)
    sizes = [part for part in more if part.ndim > 3 and part.shape[:2] == more[0].shape[:2]]
    return max(sizes, key=torch.numel) if more[0].ndim > 3 else more[0]


def _copy(module: Any, seed: int, *, uri: str | None, known: dict[str, Any]) -> Generator:
    made = torch_generator(reinitialised(module, seed), uri=uri, **known)
    assert made is not None  # noqa: S101 - the same layers take the same latents
    return made


def _latent_shape(module: Any) -> tuple[tuple[int, ...], bool] | None:
    """The shape of a latent, and whether the module states it."""
    said = _stated(module)
    for size in _sizes(module):
        for shape in ((size,), (size, 1, 1)):
            made = _tried(module, shape)
            if made is not None and len(shape) > 1 and made[1:] == (1, 1):  # a network of pictures, of any size
                continue
            if made is not None and (math.prod(made) > size or (made and size in said)):
                return shape, size in said
    return None


def _stated(module: Any) -> list[int]:
    return [value for name in SIZES if isinstance(value := getattr(module, name, None), int) and value > 0]


def _sizes(module: Any) -> Iterator[int]:
    """Sizes of latents to try: those that it states, that of its first layer, and common ones."""
    first = next((each for each in module.modules() if isinstance(each, LAYERS)), None)
    taken = [getattr(first, "in_features", None) or getattr(first, "in_channels", None)]
    if first is None:  # layers of TorchScript have no kind; a weight begins or goes on with what it takes
        weight = next((each for each in module.parameters() if each.ndim > 1), None)
        taken = [] if weight is None else [int(weight.shape[1]), int(weight.shape[0])]
    yield from (*_stated(module), *(each for each in taken if isinstance(each, int)), *COMMON)


LAYERS = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.ConvTranspose1d, torch.nn.ConvTranspose2d)


def _tried(module: Any, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape of a sample that the module makes of such a latent; None where it takes none."""
    try:
        with evaluating(module), torch.inference_mode(), torch.random.fork_rng(devices=[]):
            made = _samples(module(tensor_of(np.zeros((2, *shape), np.float32), module)), shape)
    except UsageError:
        return None
    except Exception:  # foreign code: what a layer raises for a shape that it does not take
        return None
    return tuple(made.shape[1:]) if made.ndim > 1 and len(made) == 2 else None


def why_not(module: Any) -> str:
    """What came of the latents that such a module would take, for the refusal of one that none were found for."""
    taken = next(_sizes(module))
    said = f" Tried with latents (2, {taken}): forward "
    try:
        with evaluating(module), torch.inference_mode(), torch.random.fork_rng(devices=[]):
            result = module(tensor_of(np.zeros((2, taken), np.float32), module))
    except Exception as error:  # foreign code: whatever it raises is its answer
        return f"{said}raised {says(error).rstrip('.')}."
    held = list(result.items()) if isinstance(result, Mapping) else [("", each) for each in _parts(result)]
    words = [f"{name} {_shaped(each)}".strip() for name, each in held]
    one_each = torch.is_tensor(result) and result.numel() == 2
    energy = (
        " If that is the energy of a sample, give Generator(log_prob=...) that returns minus it." if one_each else ""
    )
    return f"{said}gave {', '.join(words)}: no tensor of 2 samples with more values than their latents.{energy}"


def _parts(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple | list) else [result]


def _shaped(part: Any) -> str:
    return f"a tensor of shape {tuple(part.shape)}" if torch.is_tensor(part) else f"a {type(part).__name__}"


def _require_latents_alone(module: Any) -> None:
    """Refuse a generator that needs a condition besides its latents."""
    required = _required(module)
    if any(map(is_condition, required[1:])) and required[0] not in ("x", "sample", "samples", "images", "input_ids"):
        raise UsageError(conditional(required[1:]))


def _required(module: Any) -> list[str]:
    """The names of what ``forward`` cannot do without."""
    try:
        taken = inspect.signature(module.forward).parameters.values()
    except ValueError:  # TorchScript has a schema in place of a signature
        return [each.name for each in module.forward.schema.arguments[1:] if not each.has_default_value()]
    left_out = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [each.name for each in taken if each.default is each.empty and each.kind not in left_out]


def conditional(more: list[str]) -> str:
    """What to do with a generator that takes more than latents."""
    names = ", ".join(more)
    return (
        f"forward of the model needs {names} besides latents: the generator is conditional. Wrap it for one condition: "
        f"a torch.nn.Module whose forward(self, z) returns self.model(z, {names}); explain it by anchors of that "
        "condition."
    )
