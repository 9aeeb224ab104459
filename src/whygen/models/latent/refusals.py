"""What cannot be asked as a generator: which kind of thing it is, and the door for that thing."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

from whygen.models.protocols import Decodes, Encodes
from whygen.plugins import already_imported

WEIGHTS = (".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".gguf", ".onnx", ".pkl", ".h5", ".keras")
SAMPLER = (
    "If it makes samples, give a function of how many and of a random generator: "
    "whygen.models.Generator(sampler=lambda n, rng: ...), which returns an array (n, ...); or give samples that it "
    "made: an array, or samples/PATH of a folder."
)
_AS_ONE = (
    "give both as one: whygen.models.Generator(encode=..., decode=...), with encode(samples) -> "
    "whygen.models.Posterior(mean, logvar) and decode(latents) -> samples, all numpy arrays."
)
JOIN = f"If you have an encoder for it, {_AS_ONE}"
JOIN_DECODER = f"If you have a decoder for it, {_AS_ONE}"
OWN = (
    "kld needs a posterior, and groups need an intrinsic criterion beside sse. You can bring both: "
    "whygen.models.Generator(encode=..., decode=...), whose encode returns whygen.models.Posterior(latents, logvar) "
    "with a logvar of -20 throughout, and criteria=[Criterion(name, 'intrinsic', unit, begin), 'sse'] of "
    "whygen.anchors.criteria, where begin(batch) returns a function of reconstructions that gives a number for each. "
    "Or give its samples alone, if it makes any: whygen.models.Generator(sampler=lambda n, rng: ...)."
)
SIDE_BY_SIDE = (
    "If it is mean and log-variance side by side, cut it: encode=lambda x: "
    "whygen.models.Posterior(*numpy.split(encode(x), 2, axis=1))."
)

CONDITIONS = ("label", "class", "cond", "context", "attr", "target", "prompt", "text", "ctx")
"""Parts of the names under which a conditional model takes its condition."""
TIMES = ("t", "time", "timestep", "timesteps", "time_step", "time_cond", "sigma", "sigmas", "noise_level")
"""What the networks of diffusion models call the time."""
_SHELL = "From a shell: py/package.module:function, a function that returns it."
_OTHER_WEIGHTS = {
    ".onnx": (
        "is a graph of ONNX. Open its encoder and its decoder with onnxruntime.InferenceSession, and "
        f"{_AS_ONE} {_SHELL}"
    ),
    ".gguf": (
        "holds the weights of a language model, which the anchor wing does not read. Serve it, for example with "
        "llama-server -m FILE, and explain what it answers: whygen prompt openai/NAME --base-url "
        'http://127.0.0.1:8080/v1 "PROMPT".'
    ),
    ".h5": f"is a model or weights of Keras. Load it with keras.models.load_model, and {_AS_ONE} {_SHELL}",
    ".keras": f"is a model of Keras. Load it with keras.models.load_model, and {_AS_ONE} {_SHELL}",
    ".pkl": f"is a pickle, which may hold code: whygen never opens one. Open it yourself, and give the model. {_SHELL}",
}
"""Files that torch does not load, and the way of each."""


def is_condition(name: str) -> bool:
    """Whether an argument of that name is what a conditional model is told beside samples or latents."""
    return any(sign in name.lower() for sign in CONDITIONS) or name in ("y", "c")


def weights_file(uri: str) -> str | None:
    """What to do with a file of weights; None where the text names no such file."""
    if "/" in uri and uri.split("/", 1)[0] in ("py", "diffusers", "hf", "demo"):
        return None
    if PurePath(uri).suffix.lower() not in WEIGHTS:
        return None
    suffix = PurePath(uri).suffix.lower()
    if suffix in _OTHER_WEIGHTS:
        return f"{uri!r} {_OTHER_WEIGHTS[suffix]}"
    read = "safetensors.torch.load_file(path)" if suffix == ".safetensors" else "torch.load(path, weights_only=True)"
    return (
        f"{uri!r} is a file of weights, which says nothing of the model that they belong to. Make the model, load the "
        f"weights into it (model.load_state_dict({read})), and give the model: whygen.explain_anchors(model, anchors). "
        f"{_SHELL}"
    )


def refusal(thing: object, *, uri: str | None) -> str:
    """Why this cannot be explained by anchors, and what to give in its place."""
    name = uri or type(thing).__name__
    if isinstance(thing, type):
        return f"The model is the class {thing.__name__} itself; give one of its objects, {thing.__name__}(...)."
    lacks = " and ".join(
        word for word, kind in (("encode", Encodes), ("decode", Decodes)) if not isinstance(thing, kind)
    )
    if lacks == "decode":
        return f"The model {name!r} has no method decode: nothing tells what it gives back. {JOIN_DECODER}"
    return f"The model {name!r} has no {'methods' if ' and ' in lacks else 'method'} {lacks}. {_door(thing)}"


def _door(thing: Any) -> str:
    """The first of these that fits."""
    for fits, text in _DOORS:
        if fits(thing):
            return text(thing) if callable(text) else text
    return (
        "Give a torch module that encodes and decodes or makes samples of latents, an object with sample(n, rng) or "
        "log_prob(samples), samples that the model made (samples/PATH), or whygen.models.Generator(...)."
    )


def _pipeline_text(thing: Any) -> str:
    inside = " Its autoencoder can be explained: give pipeline.vae." if getattr(thing, "vae", None) else ""
    return (
        "It is a diffusion pipeline of another library than diffusers: give its network with the scheduler, (network, "
        f"scheduler), where the network is a function f(x, time).{inside}"
    )


def _module_text(module: Any) -> str:
    inside = next((name for name, part in module.named_children() if codes(part)), None)
    if inside is not None:
        return f"What encodes and decodes is kept inside it: give model.{inside}."
    return f"{_of_module(module)} {JOIN}"


def _of_module(module: Any) -> str:
    kind = type(module).__name__
    low = kind.lower()
    if _is_energy(module):
        return _ENERGY
    if _takes_time(module) or "unet" in low or "transformer2d" in low or "denois" in low or "diffusion" in low:
        return (
            "It is the network of a diffusion model, which answers at times that its scheduler knows: give both, as "
            "(network, scheduler), or the pipeline that they belong to."
        )
    if "gan" in low or "generator" in low or "discriminator" in low or hasattr(module, "generator"):
        return (
            "It is a GAN or a part of one, and no latents were found that it makes samples of. Give its generator, a "
            "torch module whose forward(z) takes latents (n, d); state their size as its attribute latent_dim. "
            f"{SAMPLER}"
        )
    if "flow" in low or _turns_round(module):
        return (
            "It is a flow, or another network that can be turned round, without log_prob(samples) and sample(n): give "
            "it these methods (log_prob is the log-density of the latents plus the log-determinant), or "
            f"whygen.models.Generator(log_prob=..., sampler=...). {SAMPLER}"
        )
    if "pixel" in low or "autoregress" in low or low == "made":
        return (
            "It looks like an autoregressive model, whose answers are of single values: give it log_prob(samples), the "
            f"sum of the log-probabilities of the values of each sample, and sample(n) if it makes samples. {SAMPLER}"
        )
    if kind in ("Sequential", "ModuleList"):
        return f"It is a chain of layers, and no latents were found that it makes more values of. {SAMPLER}"
    if any(map(_OF_POSTERIOR.search, (*dict(module.named_children()), *type(module).__dict__))):
        return f"It looks like a variational autoencoder whose parts have names of their own: {_AS_ONE}"
    return (
        "It is a torch module that goes one way, and no latents were found that it makes more values of; state their "
        f"size as its attribute latent_dim. {SAMPLER}"
    )


_ENERGY = (
    "It tells an energy: give whygen.models.Generator(log_prob=lambda samples: ...) that returns minus the energy of "
    "each sample. No constant is needed, as anchors are held against the reference; give sampler= too, if it makes "
    "samples."
)


def _is_energy(thing: Any) -> bool:
    return callable(getattr(thing, "energy", None)) or callable(getattr(thing, "free_energy", None))


def _takes_time(module: Any) -> bool:
    """Whether ``forward`` takes a time besides samples, before them (as flow matching has it) or after."""
    names = taken(module)
    return len(names) > 1 and any(name in TIMES for name in names[:2])


def _turns_round(module: Any) -> bool:
    """Whether the network says that it can be turned round."""
    return callable(getattr(module, "inverse", None)) or any(
        name in ("rev", "reverse", "inverse", "invert") for name in taken(module)
    )


def taken(module: Any) -> list[str]:
    """The names of what ``forward`` takes."""
    try:
        return list(inspect.signature(module.forward).parameters)
    except (TypeError, ValueError):
        return []


_OF_POSTERIOR = re.compile(r"(?i)(^|_)(mu|means?|log_?(var|std|sigma)|var|sigma|posterior|inference|reparam\w*)($|_)")
"""Names of what only a variational autoencoder has."""


def codes(part: Any) -> bool:
    """Whether a part has the methods or the parts of an encoder and a decoder."""
    both = (("encode", "decode"), ("encoder", "decoder"))
    return any(all(callable(getattr(part, name, None)) for name in pair) for pair in both)


def _is_module(thing: object) -> bool:
    torch = already_imported("torch")
    return torch is not None and isinstance(thing, torch.nn.Module)


def _of_pipeline(thing: object) -> bool:
    return any(base.__name__ == "DiffusionPipeline" for base in type(thing).__mro__)


_DOORS: tuple[tuple[Callable[[Any], bool], str | Callable[[Any], str]], ...] = (
    (_of_pipeline, _pipeline_text),
    (
        lambda thing: hasattr(thing, "generate") and hasattr(thing, "config"),
        "It is a model of text or tokens: explain what it answers with whygen.explain_prompt(model, prompt).",
    ),
    (_is_module, _module_text),
    (
        lambda thing: isinstance(thing, tuple | list),
        f"It is several things. Give the model alone; where they are an encoder and a decoder, {_AS_ONE}",
    ),
    (_is_energy, _ENERGY),
    (
        lambda thing: type(thing).__name__ == "InferenceSession",
        (
            "It is a session of onnxruntime. Where it makes samples of latents of d values, give "
            "whygen.models.Generator(decode=lambda z: session.run(None, {NAME: z})[0], latent_dim=d), with the "
            "name of its input."
        ),
    ),
    (
        lambda thing: type(thing).__name__ == "ExportedProgram",
        "It is an exported program of torch: give program.module().",
    ),
    (
        lambda thing: hasattr(thing, "__next__"),
        (
            "It yields one thing after another: give samples that it made, such as list(itertools.islice(it, 2000)), "
            "or an array of them, numpy.concatenate(...) where it yields batches."
        ),
    ),
    (
        lambda thing: isinstance(thing, dict),
        "It is a dict, such as the weights of a model (a state dict): load it into the model, and give that.",
    ),
    (
        lambda thing: hasattr(thing, "transform") and hasattr(thing, "inverse_transform"),
        f"It transforms and transforms back, and tells no posterior. {OWN}",
    ),
    (
        lambda thing: hasattr(thing, "score_samples"),
        "It scores outliers, and is no density: give whygen.models.Generator(log_prob=...) of a model that is one.",
    ),
    (
        lambda thing: callable(getattr(thing, "pdf", None)),
        (
            "It tells a density by pdf, and no logarithm of it: give "
            "whygen.models.Generator(log_prob=lambda samples: numpy.log(model.pdf(samples)))."
        ),
    ),
    (
        lambda thing: isinstance(thing, Decodes),
        f"It decodes, and nobody says how large its latents are: give it an attribute latent_dim. {JOIN}",
    ),
    (
        callable,
        (
            "What one function does cannot be told from its arguments. If it tells log-probabilities of the tokens of "
            f"a text, say so by its annotation: def f(text: str) -> list[float]. {SAMPLER} {JOIN}"
        ),
    ),
)
"""What a thing may be, first things first, and what is said of it."""
