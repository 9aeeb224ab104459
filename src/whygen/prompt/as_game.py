# pyright: basic
"""`as_game`: the black box as a game of `shapiq` (Muschalik et al. 2024), whose many estimators then run on it.

The players are the units of the prompt, the value of a coalition is the effect of its mask: the same units, operator,
target and recorded calls as in `explain_prompt`. Exact values of `shapiq` and of whygen are two roads to one number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whygen._arguments import typed
from whygen.calls import DEFAULT_STORE, Progress
from whygen.encoders import TextEncoder
from whygen.errors import MissingExtraError, ModelError, UsageError
from whygen.models import ModelOptions
from whygen.prompt.asker import Asker
from whygen.prompt.options import GAME, PromptOptions, choose, unread
from whygen.prompt.question import check
from whygen.prompt.session import Session, open_session
from whygen.types import Masks, Settings

if TYPE_CHECKING:
    from shapiq import Game


@dataclass(slots=True)
class Values:
    """Effect of each mask; a mask that is asked for again has the value it had."""

    asker: Asker
    draws: int
    known: dict[bytes, float] = field(default_factory=dict)

    def __call__(self, masks: Masks) -> NDArray[np.float64]:
        """Effects ``(m,)`` of masks ``(m, n)``, in the target's unit.

        Raises:
            ModelError: if the model gave no answer to one of them: a game has no missing values.
        """
        masks = np.asarray(masks, dtype=bool)
        new = {mask.tobytes(): mask for mask in masks if mask.tobytes() not in self.known}
        if new:
            self.known.update(zip(new, self._ask(np.array(list(new.values()))), strict=True))
        return np.array([self.known[mask.tobytes()] for mask in masks])

    def _ask(self, masks: Masks) -> list[float]:
        effects = self.asker.effects(masks, draws=self.draws).mean(axis=1)
        if self.asker.ended is not None:
            raise self.asker.ended
        if np.isnan(effects).any():
            failure = self.asker.failures[-1]
            raise ModelError(
                f"{self.asker.model.uri} did not answer {int(np.isnan(effects).sum())} of {len(masks)} coalitions "
                f"({failure.kind}): {failure.message}. A game has a value for each; the answers so far are recorded."
            )
        return effects.tolist()


@typed(options=PromptOptions)
def as_game(
    model: object,
    prompt: str,
    *,
    preset: str | PromptOptions | None = None,
    encoder: str | TextEncoder = "auto",
    settings: Settings | None = None,
    seed: int = 0,
    cache: Path | str | None = DEFAULT_STORE,
    options: ModelOptions | None = None,
    progress: Progress | None = None,
    **choices: Any,
) -> Game:
    """The prompt as a `shapiq.Game`: its exact computer, approximators and interaction indices take it as it is.

    Args:
        model: as in `explain_prompt`, and so are all other arguments.
        prompt: the text whose units are the players.
        preset: where the choices begin.
        encoder: of the target.
        settings: how to generate.
        seed: of sampling.
        cache: file of recorded answers, kept open until ``game.close()`` or the end of ``with as_game(...) as game``.
        options: of local models.
        progress: where to report progress.
        **choices: those that say what a coalition is worth: ``units``, ``pin``, ``operator`` and what belongs to it,
            ``target``, ``draws``, ``references``; and ``budget``, which bounds the calls of the game if it is given.

    Returns:
        A game that is 0 for the empty coalition: ``game.normalization_value`` is f(0).

    Raises:
        MissingExtraError: if `shapiq` is not installed.
        UsageError: for an argument that cannot work, or that a game does not read.
        ModelError: if the model does not answer.
    """
    library = _library()
    chosen = choose(preset, choices)
    _check_read(chosen)
    check(prompt, chosen)
    session = open_session(
        model, chosen, encoder=encoder, settings=settings, seed=seed, cache=cache, options=options, progress=progress,
        run=None,
    )  # fmt: skip
    with ExitStack() as held:
        held.enter_context(session)
        question = session.question(prompt, chosen)
        asker = session.asker(question, session.runner(choices.get("budget")))
        asker.check_target()
        asker.check_context()
        asker.whole(chosen.references, repeats=question.plan.repeats)
        game = _game(library, Values(asker, chosen.draws), session)
        held.pop_all()
    return game


def _library() -> type[Game]:
    try:
        from shapiq import Game
    except ImportError as error:
        raise MissingExtraError("as_game", extra="shapiq", package="shapiq") from error
    return Game


def _check_read(chosen: PromptOptions) -> None:
    """Refuse options that say how masks are drawn and read: that is shapiq's part."""
    if names := unread(chosen, GAME):
        raise UsageError(
            f"as_game does not read {', '.join(names)}: what is drawn and estimated is for shapiq to choose. "
            "Leave them out, or use explain_prompt."
        )


def _game(library: type[Game], values: Values, session: Session) -> Game:
    class PromptGame(library):
        """Asks for coalitions as they come; holds the store of recorded calls open."""

        def value_function(self, coalitions: Masks) -> NDArray[np.float64]:
            return values(coalitions)

        def close(self) -> None:
            session.close()

        def __enter__(self):
            return self

        def __exit__(self, *raised: object) -> None:
            self.close()

    units = values.asker.units
    nothing = values(np.zeros((1, len(units)), dtype=bool))[0]
    return PromptGame(n_players=len(units), normalization_value=float(nothing), player_names=_distinct([*units.texts]))


def _distinct(texts: Sequence[str]) -> list[str]:
    """Names of players: a text that comes more than once carries its number."""
    often, seen = Counter(texts), Counter()
    names: list[str] = []
    for text in texts:
        seen[text] += 1
        names.append(text if often[text] == 1 else f"{text} ({seen[text]})")
    return names
