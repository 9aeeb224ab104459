"""Objects that make samples or tell how likely one is, as their libraries have them, as numpy callables.

Understood as a sampler: ``sample`` or ``rvs``, or a function, of a number (or a shape, as in torch) and, if it takes
one, a source of randomness by any of the usual names. Understood as a density: ``log_prob``, ``score_samples``,
``logpdf``.
"""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Generator as Yields
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from whygen.errors import ModelError, UsageError
from whygen.models.latent import UNBOUNDED, UNIT_RANGE, Floats, Generator, LogProb, Sampler, stated
from whygen.models.latent.refusals import is_condition
from whygen.models.latent.returned import numbers_of, samples_of
from whygen.models.protocols import Decodes, Inverts
from whygen.plugins import already_imported
from whygen.safe import says

SAMPLES = ("sample", "rvs")
ALSO = ("generate", "random", "draw")
"""Methods that make samples where they take how many."""
DENSITIES = ("log_prob", "score_samples", "logpdf", "logpmf", "log_probability_density")
COUNTS = (
    "n",
    "n_samples",
    "num_samples",
    "num_images",
    "num_rows",
    "num",
    "count",
    "size",
    "batch_size",
    "sample_shape",
    "shape",
)
"""Names under which a sampler takes how many."""
LAST = ("gaussian_kde", "wishart_frozen", "invwishart_frozen")
"""Laws of scipy that have samples along the last axis where others have them along the first."""
SEEDS = ("random_state", "seed")
"""Names under which it takes a whole number that its randomness comes from."""
GENERATORS = ("rng", "generator", "random", "prng")
KEYS = ("key", "rng_key", "prng_key")
"""Names under which samplers of jax take it."""
PROBED = 16
"""So many samples are drawn to see their shape and their range."""
SEVERAL = 4
"""Samples with fewer values than this squared are no pictures."""
OVERSHOT = 0.25
"""Generated samples lie beyond the range of the data by no more than this part of it."""
UNSEEDED = (
    "The model takes no source of randomness, so another run compares with other samples, and its figures differ by "
    "that. Give an object whose sample(n, rng) takes all randomness from rng."
)
IGNORES = (
    "The model takes a source of randomness and does not use it: the same one gave other samples. So another run "
    "compares with other samples, and its figures differ by that. Take all randomness of sample(n, rng) from rng."
)
REPEATS = (
    "The model makes the same samples whenever it is asked: it seeds itself. Give an object whose sample(n, rng) takes "
    "all randomness from rng; as it is, anchors are compared with few samples, and each of them many times."
)


@dataclass(frozen=True, slots=True)
class Drawing:
    """A sampler, and whether a seed decides what it draws."""

    sample: Sampler
    is_seeded: bool
    advice: str = ""
    """What to do where it cannot be asked, as far as the names of what it takes tell."""


def generator_of(thing: object, *, uri: str | None) -> Generator | None:
    """A generator of an object that makes samples or tells densities; None where it does neither.

    Raises:
        ModelError: if it raises when it is tried.
        UsageError: if what it gives are no samples.
    """
    drawing, density = drawing_of(thing), density_of(thing)
    said: dict[str, Any] = stated(thing, uri=uri)
    shape = said.pop("shape", None) or _shape_of(thing)
    fields: dict[str, Any] = {"value_range": UNBOUNDED, "range_found": True}
    if drawing is not None:
        try:
            made, drawing = probed(drawing, said["uri"])
        except (NotImplementedError, AttributeError) as error:  # a density that promises a sampler, and has none
            if density is None and isinstance(error, AttributeError):
                raise ModelError(
                    f"sample of {said['uri']} raised {says(error).rstrip('.')}.{drawing.advice}"
                ) from error
            drawing = None
        else:
            fields["shape"], fields["value_range"] = made.shape[1:], likely_range(made)
            density = None if density is None or _is_promise(density, made) else density
            fields |= {"sampler": drawing.sample, "notices": _noticed(drawing, made, said["uri"])}
    if drawing is None and density is None:
        return _decoder(thing, said)
    if isinstance(thing, Inverts) and len(_parameters(thing.invert)) == 2:
        fields["invert"] = thing.invert
    fields |= {"log_prob": density, **said, "range_found": "value_range" not in said}
    if shape is not None:
        fields["shape"] = shape
    return Generator(**fields)


def _is_promise(density: LogProb, made: Floats) -> bool:
    """Whether a class has the method, and says that this one of its kind has not; anything else is said later."""
    try:
        density(made)
    except NotImplementedError:
        return True
    except Exception:  # foreign code: it is asked again, where samples are scored
        return False
    return False


def _decoder(thing: object, said: dict[str, Any]) -> Generator | None:
    """An object that decodes latents of a size that it states; None for any other."""
    if not isinstance(thing, Decodes) or "latent_dim" not in said:
        return None
    few = thing.decode(np.random.default_rng(0).standard_normal((PROBED, said["latent_dim"]), dtype=np.float32))
    fields: dict[str, Any] = {"shape": np.shape(few)[1:], "value_range": likely_range(np.asarray(few)), **said}
    return Generator(decode=thing.decode, range_found="value_range" not in said, **fields)


def _noticed(drawing: Drawing, made: Floats, uri: str) -> tuple[tuple[str, str], ...]:
    """What is to be said of a sampler: that no seed decides what it draws, or that it draws the same every time."""
    other = _tried(drawing, len(made), np.random.default_rng(1), uri)
    if np.array_equal(made, other) and np.ptp(made, axis=0).any():
        return (("generator-repeats", REPEATS),)
    if not drawing.is_seeded:
        return (("unseeded-generator", UNSEEDED),)
    if not np.isfinite(made).all():  # what is no number is no other number either
        return ()
    again = _tried(drawing, len(made), np.random.default_rng(0), uri)
    same = again.shape == made.shape and np.allclose(again, made, rtol=1e-3, atol=1e-3 * float(np.ptp(made)))
    return () if same else (("unseeded-generator", IGNORES),)


def drawing_of(thing: object) -> Drawing | None:
    """How an object, or a function, is asked for samples; None where it is not."""
    call: Any = next((each for name in SAMPLES if callable(each := getattr(thing, name, None))), None)
    if call is None:
        others = (getattr(thing, name, None) for name in ALSO)
        call = next((each for each in (thing, *others) if callable(each) and _takes_count(each)), None)
        if call is None or isinstance(thing, type):
            return None
    names = _parameters(call)
    if not names:
        return Drawing(lambda n, rng: _one_by_one(cast("Callable[[], Any]", call), n), is_seeded=False)
    source = next((name for name in names if name in (*SEEDS, *GENERATORS, *KEYS)), None)
    if source is None and _required(call) == 2 and not is_condition(names[1]):
        source = names[1]
    count = next((name for name in names if name != source), names[0])
    as_shape = count in ("sample_shape", "shape")
    return Drawing(
        _as_rows(_asking(thing, call, source, as_shape=as_shape), thing),
        is_seeded=source is not None or hasattr(thing, "random_state") or is_of_torch(thing),
        advice=_advice(names, source),
    )


def _asking(thing: Any, call: Any, source: str | None, *, as_shape: bool) -> Sampler:
    """The sampler, with its randomness where it takes it: an argument, its own attribute, or torch's generator."""

    def draw(n: int, rng: np.random.Generator) -> Floats:
        asked: Any = (n,) if as_shape else n
        if source is not None:
            return samples_of(_drawn(call, asked, source, rng), n)
        if hasattr(thing, "random_state"):  # scikit-learn: a number there would give the same samples every time
            again: Any = copy.copy(thing)
            seed = int(rng.integers(2**31))
            if hasattr(again, "set_random_state"):  # copulas: what it keeps is no number
                again.set_random_state(seed)
            else:
                again.random_state = seed
            return samples_of(again.sample(asked), n)
        with torch_seeded(rng) if is_of_torch(thing) else nullcontext():
            return samples_of(call(asked), n)

    return draw


def _as_rows(draw: Sampler, thing: Any) -> Sampler:
    """The sampler of a law of one number, whose samples come as ``(n,)``, as ``(n, 1)``; any other as it is.

    A law says that it is one of a single number: by the shape of an event (torch), or by having quantiles (scipy).
    """
    event = getattr(thing, "event_shape", None)
    is_single = any(callable(getattr(thing, name, None)) for name in ("ppf", "icdf"))
    if event is not None:
        is_single = len(event) == len(getattr(thing, "batch_shape", event)) == 0
    return (lambda n, rng: draw(n, rng).reshape(n, -1)) if is_single else draw


def _advice(names: Sequence[str], source: str | None) -> str:
    """What may be wrong where a call fails: a condition that it was not told, or no randomness where it was given."""
    told = [name for name in names[1:] if is_condition(name)]
    if told:
        return one_condition(told)
    if source is None or source in (*SEEDS, *GENERATORS):
        return ""
    return (
        f" Its {source} was a numpy.random.Generator: if it is something else, give whygen.models.Generator("
        f"sampler=lambda n, rng: model.sample(n, {source}=...))."
    )


def one_condition(told: Sequence[str]) -> str:
    """What to do with a model that makes samples of one condition or another."""
    names = ", ".join(f"{name}=..." for name in told)
    return (
        f" It can be told {', '.join(told)}: if it must be, give whygen.models.Generator(sampler=lambda n, rng: ..., "
        f"log_prob=lambda samples: ...), which ask it with {names} of one condition; explain it by anchors of that one."
    )


def density_of(thing: object) -> LogProb | None:
    """How an object tells the log of the density of samples; None where it does not."""
    call: Any = next((each for name in DENSITIES if callable(each := getattr(thing, name, None))), None)
    if call is None or any(base.__name__ == "OutlierMixin" for base in type(thing).__mro__):
        return None
    told = [name for name in _parameters(call)[1:] if is_condition(name)]
    if told and _required(call) > 1:
        raise UsageError(
            f"log_prob of {type(thing).__name__} takes {' and '.join(_parameters(call))}.{one_condition(told)}"
        )
    as_tensor = is_of_torch(thing)
    support, of_scipy = _support(thing) if as_tensor else None, type(thing).__module__.startswith("scipy.")

    def log_prob(samples: Floats) -> NDArray[np.floating[Any]]:
        rows = np.moveaxis(samples, 0, -1) if type(thing).__name__ in LAST else samples
        asked = _tensor(rows, thing) if as_tensor else rows
        told = call(asked) if support is None else _within(call, asked, support)
        values = numbers_of(told[0] if isinstance(told, tuple) and told else told)  # some tell more beside it
        if of_scipy and len(samples) == values.size == 1:  # these give a number for one sample
            return values.reshape(1)
        # A law of independent values without a joint one gives a number for each value: their sum is the joint one.
        return values.reshape(len(values), -1).sum(axis=1) if values.ndim > 1 else values

    return log_prob


def _support(thing: Any) -> Any:
    """Where a law of torch can be at all; None where it does not say."""
    try:
        support = getattr(thing, "support", None)
    except NotImplementedError:
        return None
    return support if callable(getattr(support, "check", None)) else None


def _within(call: Any, samples: Any, support: Any) -> Any:
    """Log-densities by a law of torch, which raises outside of its support: -inf there.

    A law of independent values looks at each of them: its support is then one of values.
    """
    inside = support.check(samples)
    if inside.all():
        return call(samples)
    inside = inside.reshape(len(samples), -1).all(dim=1)
    found = samples.new_full((len(samples),), -np.inf)
    if inside.any():
        known = call(samples[inside])
        found[inside] = known.reshape(len(known), -1).sum(dim=1)
    return found


def _tried(drawing: Drawing, n: int, rng: np.random.Generator, uri: str) -> Floats:
    """``n`` samples, or what the sampler raised as an error that says so."""
    try:
        return drawing.sample(n, rng)
    except (UsageError, NotImplementedError, AttributeError):
        raise
    except Exception as error:  # foreign code: whatever it raises is its answer
        raise ModelError(f"sample({n}) of {uri} raised {says(error).rstrip('.')}.{drawing.advice}") from error


def probed(drawing: Drawing, uri: str) -> tuple[Floats, Drawing]:
    """A few samples, and the sampler: one that gives no more than so many a call is asked several times.

    Raises:
        ModelError: if the sampler raises.
        UsageError: if it does not give as many samples as it was asked for.
    """
    made = _tried(drawing, PROBED, np.random.default_rng(0), uri)
    if made.ndim > 1 and 0 < len(made) < PROBED:
        most, fewer = len(made), max(1, len(made) // 2)
        few = _tried(drawing, fewer, np.random.default_rng(0), uri)
        if most > 1 and few.shape == (fewer, *made.shape[1:]):  # what it gives is what was asked for, up to a limit
            drawing = replace(drawing, sample=_in_parts(drawing.sample, most))
            made = _tried(drawing, PROBED, np.random.default_rng(0), uri)
    if made.shape == (PROBED,):
        raise UsageError(
            f"sample({PROBED}) of {uri} gave {PROBED} numbers: where a sample is one number, it must give "
            f"({PROBED}, 1), and anchors and reference are of shape (n, 1) too. If it takes the shape of all samples "
            "together, give whygen.models.Generator(sampler=lambda n, rng: model.sample((n, ...)))."
        )
    if made.ndim < 2 or len(made) != PROBED:
        raise UsageError(
            f"sample({PROBED}) of {uri} gave an array of shape {made.shape}; it must give ({PROBED}, ...): that many "
            "samples along the first axis."
        )
    return made, drawing


def _in_parts(sample: Sampler, most: int) -> Sampler:
    """The sampler, asked for ``most`` samples at once and no more."""

    def draw(n: int, rng: np.random.Generator) -> Floats:
        return np.concatenate([sample(min(most, n - at), rng) for at in range(0, n, most)])

    return draw


def likely_range(made: Floats) -> tuple[float, float]:
    """The range of the data that generated samples are like: 0 to 1, -1 to 1, or none."""
    finite = made[np.isfinite(made)]
    if made[0].size < SEVERAL**2 or 2 * finite.size < made.size:
        return UNBOUNDED
    low, high = (float(each) for each in np.quantile(finite, [0.01, 0.99]))
    if low >= -OVERSHOT and 0.1 < high <= 1 + OVERSHOT:
        return UNIT_RANGE
    if -1 - OVERSHOT <= low < -OVERSHOT and high <= 1 + OVERSHOT:
        return (-1.0, 1.0)
    return UNBOUNDED


def is_of_torch(thing: object) -> bool:
    """Whether randomness comes from torch's own generator, and numbers go in as tensors; torch is not imported."""
    torch = already_imported("torch")
    if torch is None:
        return False
    if isinstance(thing, torch.nn.Module | torch.distributions.Distribution):
        return True
    parts = getattr(thing, "__dict__", {}).values()
    return any(isinstance(each, torch.nn.Module | torch.distributions.Distribution | torch.Tensor) for each in parts)


@contextmanager
def torch_seeded(rng: np.random.Generator) -> Yields[None]:
    """Torch's own generator seeded for a moment: torch has no other way. It is the person's, and is put back."""
    torch: Any = sys.modules["torch"]
    devices = (
        list(range(torch.cuda.device_count())) if torch.cuda.is_available() and torch.cuda.is_initialized() else []
    )
    with torch.random.fork_rng(devices=devices), torch.no_grad():
        torch.manual_seed(int(rng.integers(2**63)))
        yield


def _tensor(samples: Floats, thing: object) -> Any:
    torch: Any = sys.modules["torch"]
    made = torch.from_numpy(np.require(samples, np.float32, ["C", "W"]))
    if isinstance(thing, torch.nn.Module):
        first = next((each for each in cast(Any, thing).parameters() if each.is_floating_point()), None)
        return made if first is None else made.to(device=first.device, dtype=first.dtype)
    return made


def _drawn(call: Any, asked: Any, source: str, rng: np.random.Generator) -> Any:
    """What a sampler makes with the first kind of randomness that it takes under that name."""
    is_first, failed = _parameters(call)[0] == source, None
    for random in _randomness(source, call, rng):
        try:
            return call(random, asked) if is_first else call(asked, **{source: random})
        except (TypeError, AttributeError) as error:  # as libraries say of randomness of another one
            if isinstance(error, AttributeError) and error.obj is not random:
                raise
            failed = failed or error
    assert failed is not None  # noqa: S101 - there is one kind at least
    raise failed


def _randomness(name: str, call: Any, rng: np.random.Generator) -> Iterator[Any]:
    """What a sampler may take under that name: a number; else what its annotation or the name says, then others."""
    if name in SEEDS:
        yield int(rng.integers(2**31))
        return
    torch, jax = already_imported("torch"), already_imported("jax")
    annotation = str(inspect.signature(call).parameters[name].annotation)
    if name not in KEYS and "torch" not in annotation:
        yield rng
    if jax is not None and "torch" not in annotation:
        yield jax.random.PRNGKey(int(rng.integers(2**31)))
    if torch is not None:
        yield torch.Generator().manual_seed(int(rng.integers(2**63)))
    if name in KEYS:
        yield rng


def _one_by_one(call: Callable[[], Any], n: int) -> Floats:
    return samples_of([call() for _ in range(n)], n)


def _parameters(call: Any) -> list[str]:
    """Names of what it takes; one that tells nothing takes how many."""
    try:
        known = inspect.signature(call).parameters.values()
    except (TypeError, ValueError):
        return ["n"]
    return [each.name for each in known if each.kind is not each.VAR_KEYWORD]


def _required(call: Any) -> int:
    try:
        known = inspect.signature(call).parameters.values()
    except (TypeError, ValueError):
        return 1
    return len([each for each in known if each.default is each.empty and each.kind in (0, 1, 3)])


def _takes_count(call: Any) -> bool:
    """Whether a function is one of a number of samples, by the names of what it takes."""
    names, random = _parameters(call), (*SEEDS, *GENERATORS, *KEYS)
    if len(names) == 2 and names[0] in random:
        return names[1] in COUNTS
    return bool(names) and (names[0] in COUNTS or (len(names) == 2 and names[1] in random))


def _shape_of(thing: Any) -> tuple[int, ...] | None:
    """The shape of a sample, where a law of torch or an estimator of scikit-learn states it."""
    event = getattr(thing, "event_shape", None)
    if event is not None:
        return (*getattr(thing, "batch_shape", ()), *event) or None
    values = getattr(thing, "n_features_in_", None)
    return None if values is None else (int(values),)
