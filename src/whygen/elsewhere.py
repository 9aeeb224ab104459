"""What other tools call the things that whygen has: who comes from there is told our word, not the one most alike.

A word means whatever stands first among what the place that it was given for takes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, cast

_OPTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "n": ("budget", "select"), "samples": ("budget", "anchors"), "calls": ("budget",), "evals": ("budget",),
    "queries": ("budget",), "requests": ("budget",), "perturbations": ("budget",), "iterations": ("budget",),
    "trials": ("budget",), "k": ("select",), "clusters": ("select",), "representatives": ("select",),
    "output": ("out",), "outdir": ("out",), "output_dir": ("out",), "out_dir": ("out",), "save": ("out",),
    "output_file": ("out",), "dest": ("out",), "save_to": ("out",), "report": ("out",), "directory": ("out",),
    "temp": ("temperature",), "t": ("temperature",), "max_length": ("max_tokens",), "max_new_tokens": ("max_tokens",),
    "max_output_tokens": ("max_tokens",), "max_completion_tokens": ("max_tokens",), "length": ("max_tokens",),
    "format": ("json",), "output_format": ("json",), "method": ("estimand",), "algorithm": ("estimand",),
    "explainer": ("estimand",), "attribution": ("estimand",), "shapley": ("estimand=shapley",),
    "shap": ("estimand=shapley",), "banzhaf": ("estimand=banzhaf",), "lime": ("estimand=local",),
    "loo": ("estimand=loo",), "leave_one_out": ("estimand=loo",), "metric": ("target", "criteria"),
    "metrics": ("target", "criteria"), "measure": ("target", "criteria"), "score": ("target", "criteria"),
    "scorer": ("target",), "distance": ("target",), "similarity": ("target",), "objective": ("target",),
    "criterion": ("criteria",), "contains": ("target=contains:TEXT",), "regex": ("target=regex:PATTERN",),
    "granularity": ("units",), "split": ("units",), "segment": ("units",), "segmentation": ("units",),
    "tokenizer": ("units",), "level": ("units",), "by": ("units",), "sentences": ("units=sentence",),
    "words": ("units=word",), "messages": ("chat", "prompt"), "conversation": ("chat", "prompt"),
    "text": ("prompt",), "query": ("prompt",), "question": ("prompt",), "fn": ("model",), "predict_fn": ("model",),
    "masking": ("operator",),
    "mask": ("operator",), "perturbation": ("operator",), "price": ("max_cost",), "cost": ("max_cost",),
    "max_price": ("max_cost",), "max_spend": ("max_cost",), "usd": ("max_cost",), "dollars": ("max_cost",),
    "url": ("base_url",), "api_base": ("base_url",), "host": ("base_url",), "server": ("base_url",),
    "api_url": ("base_url",), "gpu": ("device=cuda",), "cuda": ("device=cuda",), "cpu": ("device=cpu",),
    "fp16": ("dtype=float16",), "bf16": ("dtype=bfloat16",), "half": ("dtype=float16",), "precision": ("dtype",),
    "data": ("anchors", "inputs"), "dataset": ("anchors", "inputs"), "images": ("anchors",), "pictures": ("anchors",),
    "texts": ("anchors", "inputs"), "real": ("reference",), "baseline": ("reference",), "ref": ("reference",),
    "random_state": ("seed",), "random_seed": ("seed",), "bs": ("batch_size",),
    "time_limit": ("deadline",), "max_time": ("deadline",), "rpm": ("requests_per_minute",),
    "tpm": ("tokens_per_minute",), "no_store": ("no_cache",), "silent": ("quiet",), "features": ("encoder",),
    "embedder": ("encoder",), "embedding": ("encoder",), "embeddings": ("encoder",), "threshold": ("alpha",),
    "significance": ("alpha",), "neg_prompt": ("negative_prompt",), "cfg": ("guidance_scale",),
    "cfg_scale": ("guidance_scale",), "guidance": ("guidance_scale",), "num_inference_steps": ("steps",),
    "repeats": ("draws",), "ntimes": ("draws",), "dry": ("dry_run",), "estimate": ("dry_run",),
}  # fmt: skip
_COUNTED: Final = re.compile(r"^(?:num|number_of|no_of|n|max|total)_(?=[a-z]+s$|calls|evals)")
"""What counts stands before the thing that is counted: ``num_samples`` is ``samples``."""

_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "shap": ("shapley",), "kernelshap": ("shapley",), "kernel-shap": ("shapley",), "lime": ("local",),
    "leave-one-out": ("loo",), "occlusion": ("loo", "delete"), "ablation": ("loo", "delete"),
    "semantic": ("cosine",), "similarity": ("cosine",), "embedding": ("cosine",), "embeddings": ("cosine",),
    "bertscore": ("optimal-transport",), "wasserstein": ("optimal-transport",), "ot": ("optimal-transport",),
    "emd": ("optimal-transport",), "levenshtein": ("edit",), "jaccard": ("token-set",), "rouge": ("token-set",),
    "bleu": ("token-set",), "overlap": ("token-set",), "exact-match": ("exact",), "equal": ("exact",),
    "equality": ("exact",), "identical": ("exact",), "probability": ("logprob",), "likelihood": ("logprob", "nll"),
    "logprobs": ("logprob",), "perplexity": ("logprob", "nll"), "sentiment": ("label:positive,negative",),
    "classification": ("label",), "class": ("label", "field"), "category": ("label",), "labels": ("label",),
    "tools": ("tool",), "function": ("tool",), "function-call": ("tool",), "tool-call": ("tool",),
    "substring": ("contains",), "includes": ("contains",), "include": ("contains",), "string": ("contains",),
    "keyword": ("contains",), "match": ("contains",), "pattern": ("regex",), "tf-idf": ("tfidf",),
    "refused": ("refusal",), "safety": ("refusal",), "elbo": ("iw-elbo",), "kl": ("kld",),
    "kl-divergence": ("kld",), "ssim": ("dssim",), "l2": ("mse", "euclidean"), "mae": ("mse",), "fid": ("fid-pair",),
    "reconstruction": ("mse",), "reconstruction-error": ("mse",), "lpips": ("feature-l2",), "linear": ("ridge",),
    "regression": ("ridge",), "trees": ("boosting",), "lightgbm": ("boosting",), "xgboost": ("boosting",),
    "remove": ("delete",), "drop": ("delete",), "omit": ("delete",), "replace": ("placeholder",),
    "mask": ("placeholder",), "rephrase": ("paraphrase",), "kmeans": ("k-medoids",), "k-means": ("k-medoids",),
    "kmedoids": ("k-medoids",), "medoids": ("k-medoids",), "farthest": ("k-dispersion",), "diverse": ("k-dispersion",),
    "kcenter": ("k-center",), "coreset": ("k-center",), "subword": ("token",), "turn": ("message",),
    "chunk": ("paragraph",), "section": ("paragraph",), "passage": ("document",), "clause": ("sentence",),
    "test": ("held-out",), "validation": ("held-out",), "holdout": ("held-out",), "train": ("training",),
    "fp32": ("float32",), "fp16": ("float16",), "half": ("float16",), "bf16": ("bfloat16",), "bfp16": ("bfloat16",),
    "metric": ("targets",), "metrics": ("targets",), "measures": ("targets",), "methods": ("estimands",),
    "distances": ("targets",), "embedders": ("encoders",), "explainers": ("estimands",), "fdr": ("benjamini-hochberg",),
    "bh": ("benjamini-hochberg",), "gray": ("L",), "grey": ("L",), "grayscale": ("L",), "greyscale": ("L",),
    "color": ("RGB", "colour"), "sigma": ("std",), "variance": ("var",), "log-var": ("logvar",),
}  # fmt: skip


def option_meant(given: str, takes: Iterable[str]) -> tuple[str, str | None] | None:
    """The option that a name means, with the value that it says beside; None where it is not known elsewhere.

    Args:
        given: the name of an option that there is not.
        takes: the names of the options that there are.
    """
    plain, there = _plain(given), set(takes)
    if plain in there:
        return plain, None
    for meant in _OPTIONS.get(plain, ()) or _OPTIONS.get(_COUNTED.sub("", plain), ()):
        name, says, value = meant.partition("=")
        if name in there:
            return name, value if says else None
    begun = [name for name in there if len(plain) > 1 and name.startswith(plain)]
    return (begun[0], None) if len(begun) == 1 else None


def name_meant(given: str, known: Iterable[str]) -> str | None:
    """Our name for what other tools call so, perhaps with an argument that it says; None where none is known."""
    there = set(known)
    for name in _NAMES.get(given.casefold().replace("_", "-"), ()):
        if name.partition(":")[0] in there:
            return name
    return None


def value_meant(name: str, value: Any, kinds: Collection[str]) -> str:
    """What to write for a value of the wrong kind, as the end of a sentence; empty where nothing is plainly meant.

    Args:
        name: of the argument.
        value: what was given.
        kinds: names of the classes that are taken.
    """
    told = ""
    if isinstance(value, str) and any(kind.endswith("Explanation") for kind in kinds):
        told = f"whygen.load({value!r})"
    elif isinstance(value, str | float) and {"int", "float"} & {*kinds}:
        with suppress(ValueError, OverflowError):
            number = float(value)
            whole = int(number) == number
            told = f"{int(number)}" if whole else f"{number}" * ("float" in kinds)
    elif isinstance(value, bool) and "NoneType" in kinds:
        return " Leave it out." if value else f" Write {name}=None."
    elif isinstance(value, dict):
        holders = [kind for kind in kinds if kind[:1].isupper() and kind not in {"NoneType", "Mapping", "Sequence"}]
        fields = cast("dict[object, object]", value)
        if len(holders) == 1 and fields and all(str(key).isidentifier() for key in fields):
            told = f"{holders[0]}({', '.join(f'{key}={each!r:.60}' for key, each in fields.items())})"
    return f" Write {told if told.startswith('whygen.') else f'{name}={told}'}." if told else ""


def _plain(given: str) -> str:
    return given.strip("-").replace("-", "_").casefold()
