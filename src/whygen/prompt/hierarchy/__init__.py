"""Long prompts, level by level: paragraphs, then the sentences of those that matter, then their words. METHODS A4.

`skeleton` lays out the levels, `laws` draws masks, `levels` estimates one level, `hidden` looks for parts whose inside
cancels out, `search` opens parts while the budget lasts, `record` puts the tree into an explanation.
"""

from whygen.prompt.hierarchy.explain import explain_hierarchy as explain_hierarchy

__all__ = ["explain_hierarchy"]
