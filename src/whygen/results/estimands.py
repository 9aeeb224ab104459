"""What attributions may mean, in words: the one table that options, reports and estimators take them from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from whygen.results.prompt import PromptExplanation

EstimandName: TypeAlias = Literal["banzhaf", "shapley", "local", "loo"]


@dataclass(frozen=True, slots=True)
class EstimandWords:
    """How an explanation says what its attributions mean.

    Attributes:
        title: among the terms of a report; ``{keep}`` stands for the chance with which a unit was kept.
        sentence: ends "An attribution says how much nearer keeping a word brings the output to what the model said, ".
        nested: the words for the parts of a hierarchy; None where there is no such value.
    """

    title: str
    sentence: str
    nested: EstimandWords | None = None


WORDS: Mapping[str, EstimandWords] = {
    "banzhaf": EstimandWords(
        "banzhaf, each other unit kept with probability {keep}",
        "averaged over prompts that keep the others at random",
        EstimandWords(
            "symmetric coalitional Banzhaf value",
            "with parts at the first level in or out by a coin, and those below added in any order",
        ),
    ),
    "shapley": EstimandWords(
        "shapley, over all orders",
        "averaged over all orders of adding the others",
        EstimandWords("Owen value", "averaged over all orders of adding the parts that keep each part together"),
    ),
    "local": EstimandWords(
        "local, each other unit kept with probability {keep}",
        "as the coefficient of a model weighted towards the whole prompt",
    ),
    "loo": EstimandWords("loo, one unit left out at a time", "with all the others kept"),
}


def words_for(explanation: PromptExplanation) -> EstimandWords:
    """The words for an explanation; of an estimand that whygen does not know, only the name can be told."""
    name = explanation.estimand
    title = f"{name}{', each other unit kept with probability {keep}' if explanation.tree is None else ''}"
    known = WORDS.get(name)
    found = known if known is None or explanation.tree is None else known.nested
    found = found or EstimandWords(title, f"by the estimand {name}")
    # No str.format: a name from elsewhere may hold braces.
    return replace(found, title=found.title.replace("{keep}", f"{explanation.keep:g}"))
