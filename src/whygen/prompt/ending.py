"""What is left of a run that ended early: a partial explanation, and why it is partial."""

from __future__ import annotations

from whygen.calls import EndedError
from whygen.prompt.asking import Asker
from whygen.results.prompt import PromptExplanation, Warned

RECORDED = "Answers are recorded: the same call again asks only for the rest."
BATCH_GOES_ON = "Its batch goes on at the provider: the same call again collects it and asks for nothing twice."


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during the masks. ``explanation`` is made of what was answered by then, with its wider intervals."""

    def __init__(self, explanation: PromptExplanation) -> None:
        super().__init__("interrupted; a partial explanation is at hand")
        self.explanation = explanation


def partial(explanation: PromptExplanation, asker: Asker) -> PromptExplanation:
    """The explanation of a run that ended early, saying so.

    Raises:
        Interrupted: with it, if a person ended the run.
    """
    if asker.ended is None:
        return explanation
    kept = BATCH_GOES_ON if asker.runner.hands_over else RECORDED if asker.runner.records else ""
    why = str(asker.ended) if isinstance(asker.ended, EndedError) else f"Interrupted. {kept}".strip()
    reason = asker.ended.reason if isinstance(asker.ended, EndedError) else "interrupt"
    text = f"{why} The run ended early, and this is what it had by then: {explanation.calls.asked} calls."
    warnings = (Warned(code="ended-early", text=text), *explanation.warnings)
    explanation = explanation.model_copy(update={"warnings": warnings, "ended": reason})
    if isinstance(asker.ended, KeyboardInterrupt):
        raise Interrupted(explanation) from None
    return explanation
