"""TokenSHAP at commit dc28533: every leave-one-out prompt, and random ones for the rest of the calls."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types

import numpy as np

from benchmarks.rivals.protocol import CannotPlay, Floats, Found, Method, Task, mask_of, words


def _library() -> types.ModuleType:
    """Its module of texts alone: the package's own door also opens picture models."""
    spec = importlib.util.find_spec("token_shap")
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError("No module named 'token_shap'")
    package = types.ModuleType("token_shap")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["token_shap"] = package
    return importlib.import_module("token_shap.token_shap")


_TOKEN_SHAP = _library()


class Model(_TOKEN_SHAP.ModelBase):
    """Says the effect of a prompt."""

    def __init__(self, task: Task) -> None:
        super().__init__("black box")
        self.task = task

    def generate(self, prompt: str) -> str:
        return repr(float(self.task.ask(mask_of(prompt, self.task.n)[None])[0]))


class Effects(_TOKEN_SHAP.TextVectorizer):
    """Takes the effect for the similarity to the whole prompt's answer, which it is."""

    def vectorize(self, texts: list[str]) -> Floats:
        return np.array([float(text) for text in texts])

    def calculate_similarity(self, base_vector: Floats, comparison_vectors: Floats) -> Floats:
        del base_vector
        return comparison_vectors


def explain(task: Task) -> Found:
    if task.calls < task.n:
        raise CannotPlay(f"TokenSHAP begins with {task.n} leave-one-out prompts, there are {task.calls} calls")
    found = _TOKEN_SHAP.TokenSHAP(Model(task), _TOKEN_SHAP.StringSplitter(), Effects())
    found.analyze(" ".join(words(task.n)), sampling_ratio=1.0, max_combinations=task.calls)
    return Found(np.array(list(found.shapley_values.values()), dtype=np.float64))


METHODS: dict[str, Method] = {"TokenSHAP": explain}
