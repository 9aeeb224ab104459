"""Long prompts, level by level: paragraphs, then the sentences of those that matter, then their words. METHODS A4.

`parts` lays out the levels and draws masks that open a part, `levels` estimates one level, `cancel` finds what values
of parts cannot show, `search` opens parts while the budget lasts, `explain` runs it all and writes the explanation.
"""

from whygen.prompt.long.explain import explain_hierarchy as explain_hierarchy

__all__ = ["explain_hierarchy"]
