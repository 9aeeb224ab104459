# pyright: basic
"""Gradients of a VAE's loss, one for each sample: what `whygen_experiments.influence` multiplies. Needs torch.

Of a fully connected layer that reads rows h_r and passes back rows d_r (several for a sample: one for each posterior
draw) the gradient of a sample is sum_r d_r h_r^T for the weight and sum_r d_r for the bias. Its squared norm is
sum_{r,t} (h_r . h_t + 1) (d_r . d_t): two small Gram matrices instead of a gradient.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from whygen.errors import ModelError, UsageError
from whygen.models.latent.torch_modules import posterior, reconstruction

HELD = 32 * 2**20
"""Parameters times samples whose gradients are held at once."""
ROWS = 1024
"""Samples times draws that go through the module at once where no gradient is formed: more is slower on a CPU."""
SIGMOIDS = (torch.sigmoid, torch.special.expit, Tensor.sigmoid, functional.sigmoid)
AGREES = 1e-3
"""Relative difference between a gradient taken by layers and one by autograd that rounding may make."""


class Elbo(nn.Module):
    """The loss of each sample, averaged over posterior draws, of a copy of a module in evaluation mode.

    All parameters count, frozen ones too. ``forward`` takes samples ``(n, ...)`` and noise ``(S, *latent)``.
    """

    def __init__(self, module: nn.Module, *, loss: str, weight: float) -> None:
        super().__init__()
        self.inner: Any = copy.deepcopy(module).eval().requires_grad_(True)
        self._loss = loss
        self._weight = weight
        if not any(True for _ in self.inner.parameters()):
            raise UsageError(f"The module {type(module).__name__} has no parameters: there is no gradient to trace.")

    def forward(self, samples: Tensor, noise: Tensor) -> Tensor:
        mean, logvar = posterior(self.inner.encode(samples))
        latents = mean.unsqueeze(1) + torch.exp(logvar / 2).unsqueeze(1) * noise
        terms = self._terms(latents.flatten(0, 1), samples.repeat_interleave(len(noise), dim=0))
        terms = terms.reshape(len(samples), len(noise), -1).sum(2)
        divergence = -0.5 * (1 + logvar - mean.square() - logvar.exp())
        return terms.mean(1) + self._weight * divergence.flatten(1).sum(1)

    def _terms(self, latents: Tensor, samples: Tensor) -> Tensor:
        """Reconstruction loss of every value."""
        if self._loss == "squared-error":
            return (reconstruction(self.inner.decode(latents)).reshape(samples.shape) - samples).square()
        with _Sigmoids() as sigmoids:
            made = reconstruction(self.inner.decode(latents))
        logits = sigmoids.logits(made)
        if logits is not None:
            return _cross_entropy_of_logits(logits.reshape(samples.shape), samples)
        return _cross_entropy(made.reshape(samples.shape), samples)

    def tensor(self, array: NDArray[Any]) -> Tensor:
        place = next(self.inner.parameters())
        return torch.from_numpy(np.ascontiguousarray(array)).to(device=place.device, dtype=place.dtype)

    @torch.no_grad()
    def latent_shape(self, sample: Tensor) -> tuple[int, ...]:
        """Of a latent, found by trying a sample.

        Raises:
            UsageError: if what is decoded has no cross-entropy.
        """
        mean, _ = posterior(self.inner.encode(sample))
        made = reconstruction(self.inner.decode(mean)).reshape(sample.shape)
        if self._loss == "cross-entropy" and bool(((made < 0) | (made > 1)).any()):
            raise UsageError(
                f"decode gives values from {float(made.min()):g} to {float(made.max()):g}, and the cross-entropy is "
                "that of probabilities. Put a sigmoid at its end, or give loss='squared-error'."
            )
        return tuple(mean.shape[1:])


class _Sigmoids(TorchFunctionMode):
    """Remembers what went into each sigmoid while this holds.

    A probability that rounds to 1 has no gradient where the logit behind it has one, and training takes the loss
    from logits: a sample that the model gets quite wrong would else count for nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self._seen: list[tuple[Tensor, Tensor]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in SIGMOIDS and args:
            self._seen.append((result, args[0]))
        return result

    def logits(self, made: Tensor) -> Tensor | None:
        """What ``made`` is the sigmoid of, if it is what a sigmoid gave."""
        return next((logits for output, logits in self._seen if output is made), None)


def _cross_entropy_of_logits(logits: Tensor, samples: Tensor) -> Tensor:
    return functional.softplus(logits) - samples * logits


def _cross_entropy(made: Tensor, samples: Tensor) -> Tensor:
    # Saturated values cost 87 nats at most; NaN stays NaN, and is told of where losses are gathered.
    least = torch.finfo(made.dtype).tiny
    return -(samples * made.clamp_min(least).log() + (1 - samples) * (1 - made).clamp_min(least).log())


@dataclass(slots=True)
class _Uses:
    """What a layer read and what is passed back to it, rows of one sample together: ``(n, rows, features)``."""

    inputs: Tensor
    outward: Tensor

    def gradients(self) -> Tensor:
        """``(n, out * (in + 1))``: weight and bias of each sample."""
        ones = self.inputs.new_ones((*self.inputs.shape[:2], 1))
        return (self.outward.transpose(1, 2) @ torch.cat([self.inputs, ones], dim=2)).flatten(1)

    def squared(self, *, bias: bool) -> Tensor:
        """Squared norm of each sample's gradient."""
        read = self.inputs @ self.inputs.transpose(1, 2)
        back = self.outward @ self.outward.transpose(1, 2)
        return ((read + float(bias)) * back).sum((1, 2))


def settle_way(elbo: Elbo, samples: Tensor, noise: Tensor, way: str) -> str:
    """What was asked for; for "auto", layers if they give the first sample's gradient, else vmap.

    Raises:
        UsageError: if layers were asked for by name and do not.
    """
    if way == "vmap" or _by_layers(elbo, samples[:1], noise):
        return "vmap" if way == "vmap" else "layers"
    if way == "layers":
        raise UsageError(
            "way='layers' needs a module all of whose parameters are those of fully connected layers "
            "(torch.nn.Linear), each used as it is. Give way='vmap', which takes any module."
        )
    return "vmap"


def _by_layers(elbo: Elbo, sample: Tensor, noise: Tensor) -> bool:
    layers = _linear(elbo)
    held = [id(parameter) for layer in layers for parameter in layer.parameters()]
    if sorted(held) != sorted(id(parameter) for parameter in elbo.parameters()):
        return False
    found = squared_norms(elbo, sample, noise, way="layers")[0]
    (expected,) = (float(each @ each) for each in looped(elbo, sample, noise))
    return abs(found - expected) <= AGREES * expected


def _linear(elbo: Elbo) -> list[nn.Linear]:
    return [layer for layer in elbo.modules() if type(layer) is nn.Linear]


def squared_norms(
    elbo: Elbo, samples: Tensor, noise: Tensor, *, way: str, chunk: int | None = None
) -> NDArray[np.float64]:
    """Squared norm of each sample's gradient, ``(n,)``."""
    if way == "vmap":
        return _chunked(lambda rows: _vmapped(elbo, rows, noise).square().sum(1), samples, chunk or _fitting(elbo))
    return _chunked(lambda rows: _layered_norms(elbo, rows, noise), samples, chunk or max(1, ROWS // len(noise)))


def products(
    elbo: Elbo, samples: Tensor, others: Tensor, noise: Tensor, *, way: str, chunk: int | None = None
) -> NDArray[np.float64]:
    """Product of each sample's gradient with each other's, ``(n, m)``."""
    gradients = _vmapped if way == "vmap" else _layered
    size = chunk or _fitting(elbo)
    columns = []
    for start in range(0, len(others), size):
        held = gradients(elbo, others[start : start + size], noise).T
        columns.append(_chunked(lambda rows, held=held: gradients(elbo, rows, noise) @ held, samples, size))
    return np.concatenate(columns, axis=1)


@torch.no_grad()
def losses(elbo: Elbo, samples: Tensor, noise: Tensor, *, chunk: int | None = None) -> NDArray[np.float64]:
    """The loss of each sample, ``(n,)``."""
    return _chunked(lambda rows: elbo(rows, noise), samples, chunk or max(1, ROWS // len(noise)))


def looped(elbo: Elbo, samples: Tensor, noise: Tensor) -> Iterator[Tensor]:
    """The gradient of each sample in turn, its loss added up draw by draw.

    The graph of the gradient is kept, as the published code keeps it: it changes nothing but the time.
    """
    parameters = list(elbo.parameters())
    for sample in samples.split(1):
        loss = torch.stack([elbo(sample, each).sum() for each in noise.split(1)]).mean()
        found = torch.autograd.grad(loss, parameters, create_graph=True, allow_unused=True, materialize_grads=True)
        yield torch.cat([each.detach().flatten() for each in found]).double()


def _chunked(compute: Callable[[Tensor], Tensor], samples: Tensor, size: int) -> NDArray[np.float64]:
    parts = [compute(samples[start : start + size]).detach().double().cpu() for start in range(0, len(samples), size)]
    found = torch.cat(parts).numpy()
    finite = np.isfinite(found.reshape(len(found), -1)).all(axis=1)
    if not finite.all():
        raise ModelError(
            f"The loss of sample {int(np.flatnonzero(~finite)[0])}, or its gradient, is not finite. Look at that "
            "sample and at the module in evaluation mode; a log-variance that overflows is the usual cause."
        )
    return found


def _fitting(elbo: Elbo) -> int:
    return max(1, min(ROWS, HELD // sum(parameter.numel() for parameter in elbo.parameters())))


def _layered_norms(elbo: Elbo, samples: Tensor, noise: Tensor) -> Tensor:
    used = _uses(elbo, samples, noise)
    return sum(
        (uses.squared(bias=layer.bias is not None) for layer, uses in used), start=samples.new_zeros(len(samples))
    )


def _layered(elbo: Elbo, samples: Tensor, noise: Tensor) -> Tensor:
    """Gradients ``(n, parameters)``, layer after layer; a column for the bias stays 0 where there is none."""
    parts = []
    for layer, uses in _uses(elbo, samples, noise):
        found = uses.gradients()
        if layer.bias is None:
            found = found.reshape(len(found), layer.out_features, -1)[:, :, :-1].flatten(1)
        parts.append(found)
    return torch.cat(parts, dim=1)


def _uses(elbo: Elbo, samples: Tensor, noise: Tensor) -> list[tuple[nn.Linear, _Uses]]:
    """One backward pass for all samples: what every layer that was used read, and what is passed back to it."""
    with _watched(_linear(elbo)) as seen:
        total = elbo(samples, noise).sum()
    outputs = [output for calls in seen.values() for _, output in calls]
    outward = iter(torch.autograd.grad(total, outputs, allow_unused=True, materialize_grads=True))
    found = []
    for layer, calls in seen.items():
        if not calls:
            continue
        inputs = [_rows(read.detach(), len(samples)) for read, _ in calls]
        back = [_rows(next(outward), len(samples)) for _ in calls]
        found.append((layer, _Uses(torch.cat(inputs, dim=1), torch.cat(back, dim=1))))
    return found


def _rows(values: Tensor, n: int) -> Tensor:
    return values.reshape(n, -1, values.shape[-1])


@contextmanager
def _watched(layers: list[nn.Linear]) -> Iterator[dict[nn.Linear, list[tuple[Tensor, Tensor]]]]:
    """What goes in and out of each layer while this holds."""
    seen: dict[nn.Linear, list[tuple[Tensor, Tensor]]] = {layer: [] for layer in layers}

    def watch(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen[layer].append((inputs[0], output))  # pyright: ignore[reportArgumentType]

    handles = [layer.register_forward_hook(watch) for layer in layers]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _vmapped(elbo: Elbo, samples: Tensor, noise: Tensor) -> Tensor:
    """Gradients ``(n, parameters)`` of any module, by `torch.func`."""
    parameters = {name: parameter.detach() for name, parameter in elbo.named_parameters()}
    buffers = dict(elbo.named_buffers())

    def loss(values: dict[str, Tensor], sample: Tensor) -> Tensor:
        return functional_call(elbo, {**values, **buffers}, (sample.unsqueeze(0), noise)).sum()

    found = vmap(grad(loss), in_dims=(None, 0))(parameters, samples)
    return torch.cat([each.flatten(1) for each in found.values()], dim=1)
