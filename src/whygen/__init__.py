"""whygen explains generative AI from the outside: why this output, and what has this model learned."""

__version__ = "0.1.0"

from whygen.prompt.explain import explain_prompt as explain_prompt
from whygen.results import PromptExplanation as PromptExplanation
from whygen.results import load as load

__all__ = ["PromptExplanation", "__version__", "explain_prompt", "load"]
