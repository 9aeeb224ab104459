"""Who takes part: the library's environment, the method in its adapter, and what its numbers claim to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Claim: TypeAlias = Literal["shapley", "weights"]
"""Shapley values, or weights of another kind: only the first are judged by the Shapley error."""


@dataclass(frozen=True, slots=True)
class Rival:
    """One method.

    Attributes:
        name: as shown.
        room: the environment of its library, which is also the name of its adapter; None for our own process.
        method: its name in the adapter.
        claim: what its numbers are.
        scaled: its values have lost their scale, so the best one is granted before a Shapley error is taken.
        takes_masks: it can be fitted to masks that somebody else asked for.
    """

    name: str
    room: str | None
    method: str
    claim: Claim = "weights"
    scaled: bool = False
    takes_masks: bool = False


RIVALS: tuple[Rival, ...] = (
    Rival("random", None, "random"),
    Rival("leave-one-out", None, "leave-one-out"),
    Rival("gSMILE, published procedure", None, "gSMILE", takes_masks=True),
    Rival("LIME", "lime", "LIME", takes_masks=True),
    Rival("SHAP partition", "shap", "partition", "shapley"),
    Rival("SHAP permutation", "shap", "permutation", "shapley"),
    Rival("Captum feature ablation", "captum", "feature ablation"),
    Rival("Captum Shapley sampling", "captum", "Shapley sampling", "shapley"),
    Rival("Captum KernelSHAP", "captum", "KernelSHAP", "shapley"),
    Rival("Captum LIME", "captum", "LIME"),
    Rival("ContextCite", "context_cite", "LASSO", takes_masks=True),
    Rival("ICX360 C-LIME", "icx360", "C-LIME"),
    Rival("ICX360 L-SHAP", "icx360", "L-SHAP", "shapley"),
    Rival("TokenSHAP", "tokenshap", "TokenSHAP", "shapley", scaled=True),
    Rival("llmSHAP", "llmshap", "window", "shapley"),
    Rival("shapiq KernelSHAP", "shapiq", "KernelSHAP", "shapley"),
    Rival("shapiq KernelSHAP-IQ", "shapiq", "KernelSHAP-IQ", "shapley"),
    Rival("shapiq SVARM", "shapiq", "SVARM", "shapley"),
    Rival("shapiq permutation", "shapiq", "permutation", "shapley"),
    Rival("shapiq ProxySPEX", "shapiq", "ProxySPEX", "shapley"),
)

OURS = {"banzhaf": "whygen, banzhaf", "shapley": "whygen, shapley"}


def chosen(only: list[str] | None) -> tuple[Rival, ...]:
    """The rivals whose name or library begins with one of the names.

    Raises:
        ValueError: if a name fits none.
    """
    if not only:
        return RIVALS
    found = {name: [r for r in RIVALS if r.name.lower().startswith(name.lower()) or r.room == name] for name in only}
    unknown = [name for name, some in found.items() if not some]
    if unknown:
        raise ValueError(f"No rival is called {', '.join(unknown)}. There are: {', '.join(r.name for r in RIVALS)}.")
    return tuple(rival for rival in RIVALS if any(rival in some for some in found.values()))
