"""whygen explains generative AI from the outside: why this output, and what has this model learned.

Names are imported when they are first used: importing whygen, or a command that fails on its arguments, takes no time.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from whygen.version import __version__ as __version__

if TYPE_CHECKING:
    from whygen.anchors.explain import explain_anchors as explain_anchors
    from whygen.anchors.options import AnchorOptions as AnchorOptions
    from whygen.evaluation.compare import compare as compare
    from whygen.evaluation.evaluate import evaluate as evaluate
    from whygen.prompt.each import explain_many as explain_many
    from whygen.prompt.each import forecast_many as forecast_many
    from whygen.prompt.explain import aexplain_prompt as aexplain_prompt
    from whygen.prompt.explain import explain_prompt as explain_prompt
    from whygen.prompt.forecast import Forecast as Forecast
    from whygen.prompt.forecast import forecast as forecast
    from whygen.prompt.options import PromptOptions as PromptOptions
    from whygen.prompt.trim import trim as trim
    from whygen.records import Call as Call
    from whygen.results import AnchorExplanation as AnchorExplanation
    from whygen.results import PromptExplanation as PromptExplanation
    from whygen.results import TextAnchorExplanation as TextAnchorExplanation
    from whygen.results import load as load
    from whygen.types import Chat as Chat
    from whygen.types import Edit as Edit
    from whygen.types import Message as Message
    from whygen.types import Template as Template

__all__ = [
    "AnchorExplanation",
    "AnchorOptions",
    "Call",
    "Chat",
    "Edit",
    "Forecast",
    "Message",
    "PromptExplanation",
    "PromptOptions",
    "Template",
    "TextAnchorExplanation",
    "__version__",
    "aexplain_prompt",
    "compare",
    "evaluate",
    "explain_anchors",
    "explain_many",
    "explain_prompt",
    "forecast",
    "forecast_many",
    "load",
    "trim",
]

_PLACES = {
    "AnchorExplanation": "results",
    "AnchorOptions": "anchors.options",
    "Call": "records",
    "Chat": "types",
    "Edit": "types",
    "Forecast": "prompt.forecast",
    "Message": "types",
    "PromptExplanation": "results",
    "PromptOptions": "prompt.options",
    "Template": "types",
    "TextAnchorExplanation": "results",
    "aexplain_prompt": "prompt.explain",
    "compare": "evaluation.compare",
    "evaluate": "evaluation.evaluate",
    "explain_anchors": "anchors.explain",
    "explain_many": "prompt.each",
    "explain_prompt": "prompt.explain",
    "forecast": "prompt.forecast",
    "forecast_many": "prompt.each",
    "load": "results",
    "trim": "prompt.trim",
}
"""The module of each name."""


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        found = getattr(importlib.import_module(f"whygen.{_PLACES[name]}"), name)
        globals()[name] = found
        return found
    if not name.startswith("_"):  # a room, such as ``whygen.calls``
        try:
            return importlib.import_module(f"whygen.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"whygen.{name}":
                raise
    near = [each for each in __all__ if name.lower() in each.lower()] or _alike(name)
    hint = f" Did you mean {' or '.join(near)}?" if near else f" It has {', '.join(__all__)}."
    raise AttributeError(f"module 'whygen' has no attribute {name!r}.{hint}")


def _alike(name: str) -> list[str]:
    import difflib  # only where a name is wrong: ``import whygen`` is to be light

    from whygen import errors

    if hasattr(errors, name):
        return [f"whygen.errors.{name}"]
    return difflib.get_close_matches(name, __all__, cutoff=0.65)


def __dir__() -> list[str]:
    return __all__
