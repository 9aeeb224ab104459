"""The prompts of two commits, explained and compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import whygen
from whygen._arguments import typed
from whygen.bridges.review.changes import ChangedPrompt, Repository, Text, prompt_of
from whygen.calls import DEFAULT_STORE, EndedError, Progress, RunOptions
from whygen.encoders import AnyEncoder
from whygen.errors import UsageError, WhygenError
from whygen.evaluation.compare import Comparison, compare
from whygen.models import ModelOptions
from whygen.prompt.inputs import as_template
from whygen.prompt.options import PromptOptions
from whygen.prompt.units import Input, split
from whygen.results.prompt import PromptExplanation
from whygen.types import Settings

MOST: Final = 10
"""Changed prompts that are explained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedPrompt:
    """A changed prompt, explained where it could be.

    Attributes:
        change: its path and what became of it.
        before: the explanation of the base; None where it had none.
        after: that of the head; None where it has none.
        comparison: of both; None where there is one alone, or they share nothing.
        error: why it could not be explained; empty where it was.
    """

    change: ChangedPrompt
    before: PromptExplanation | None = None
    after: PromptExplanation | None = None
    comparison: Comparison | None = None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What a pull request changes.

    Attributes:
        base: the commit that it is compared with.
        head: its own.
        prompts: the changed prompts that were looked at.
        left_out: how many more changed.
        ended: why the review ended before all were explained; empty where it did not.
    """

    base: str
    head: str
    prompts: tuple[ReviewedPrompt, ...]
    left_out: int = 0
    ended: str = ""

    @property
    def asked(self) -> int:
        """Calls that all explanations rest on."""
        return sum(each.calls.asked for each in self._explained())

    @property
    def made(self) -> int:
        """Calls that were sent for them: the others were recorded."""
        return sum(each.calls.made for each in self._explained())

    def _explained(self) -> list[PromptExplanation]:
        return [each for one in self.prompts for each in (one.before, one.after) if each is not None]


@typed("repository", "base", "head", options=PromptOptions)
def review(
    repository: Repository,
    base: str,
    head: str,
    *,
    model: object,
    patterns: Sequence[str],
    inputs: Sequence[Input] | None = None,
    most: int = MOST,
    units: str = "sentence",
    encoder: AnyEncoder = "auto",
    settings: Settings | None = None,
    seed: int = 0,
    cache: Path | str | None = DEFAULT_STORE,
    options: ModelOptions | None = None,
    progress: Progress | None = None,
    run: RunOptions | None = None,
    **choices: Any,
) -> Review:
    """Explain the prompts that differ between the commit where ``head`` left ``base``, and ``head``.

    Args:
        repository: where both are.
        base: the branch that is merged into.
        head: the pull request's last commit.
        model: what is asked.
        patterns: which files are prompts.
        inputs: what the prompts are explained over, alike before and after; each prompt by itself without.
        most: prompts that are explained, at most.
        units: of the prompts; a prompt of one unit is cut into words.
        encoder: as in `whygen.explain_prompt`, and so are the others.
        settings: how to generate.
        seed: of everything random.
        cache: file of recorded answers.
        options: how the model is opened.
        progress: where to report progress.
        run: what may be spent.
        **choices: as in `whygen.explain_prompt`.

    Raises:
        WhygenError: if the commits, or the model, are not there. What is wrong with one prompt is noted with it.
    """
    first, last = repository.commit(base), repository.commit(head)
    first = repository.fork_point(first, last)
    changes = repository.changed(first, last, patterns)
    done, ended = list[ReviewedPrompt](), ""
    how = {"encoder": encoder, "settings": settings, "seed": seed, "cache": cache}
    how |= {"options": options, "progress": progress, "run": run}
    explain = _explainer(model, inputs, units, {**choices, **how})
    for change in changes[:most]:
        try:
            done.append(_reviewed(repository, change, (first, last), explain))
        except EndedError as error:
            ended = str(error)
            break
        except UsageError as error:  # of this prompt: the others can still be explained
            done.append(ReviewedPrompt(change=change, error=str(error)))
    return Review(base=first, head=last, prompts=tuple(done), left_out=max(0, len(changes) - most), ended=ended)


Explain = Callable[[Text, str], PromptExplanation]


def _explainer(model: object, inputs: Sequence[Input] | None, units: str, choices: Mapping[str, Any]) -> Explain:
    def explain(text: Text, kind: str) -> PromptExplanation:
        given: dict[str, Any] = {**choices, "units": kind or units}
        if inputs is None:
            found = whygen.explain_prompt(model, text, **given)
        else:
            template, each = as_template(text, inputs)
            found = whygen.explain_prompt(model, template, inputs=each, **given)
        if found.ended is not None:
            raise EndedError(found.warnings[0].text, reason="cost")
        return found

    return explain


def _reviewed(
    repository: Repository, change: ChangedPrompt, commits: tuple[str, str], explain: Explain
) -> ReviewedPrompt:
    """Both sides of a change, and what is between them."""
    texts = [
        None if (text := repository.text(commit, path)) is None else prompt_of(text, path)
        for commit, path in zip(commits, (change.before, change.path), strict=True)
    ]
    kind = "word" if any(text is not None and _is_small(text) for text in texts) else ""
    before, after = (None if text is None else explain(text, kind) for text in texts)
    comparison = None
    if before is not None and after is not None:
        try:
            comparison = compare(before, after)
        except WhygenError:  # they share no unit: a new prompt under an old name
            comparison = None
    return ReviewedPrompt(change=change, before=before, after=after, comparison=comparison)


def _is_small(text: Text) -> bool:
    """Whether a prompt is one sentence, of which nothing could be told apart."""
    return len(split(text, "sentence").texts) < 2
