"""whygen explains generative AI from the outside: why this output, and what has this model learned."""

from whygen.anchors.explain import explain_anchors as explain_anchors
from whygen.evaluation.compare import compare as compare
from whygen.evaluation.evaluate import evaluate as evaluate
from whygen.prompt.explain import explain_prompt as explain_prompt
from whygen.prompt.inputs import explain_template as explain_template
from whygen.prompt.many import explain_targets as explain_targets
from whygen.results import AnchorExplanation as AnchorExplanation
from whygen.results import PromptExplanation as PromptExplanation
from whygen.results import load as load
from whygen.types import Chat as Chat
from whygen.types import Edit as Edit
from whygen.types import Message as Message
from whygen.types import Template as Template
from whygen.version import __version__ as __version__

__all__ = [
    "AnchorExplanation",
    "Chat",
    "Edit",
    "Message",
    "PromptExplanation",
    "Template",
    "__version__",
    "compare",
    "evaluate",
    "explain_anchors",
    "explain_prompt",
    "explain_targets",
    "explain_template",
    "load",
]
