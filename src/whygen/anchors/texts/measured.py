"""All that was measured of the anchors and of the reference, as arrays by their places; kept, and given back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray

from whygen.anchors.texts.criteria import Likelihood
from whygen.anchors.texts.preparing import Ready
from whygen.anchors.texts.scoring import Continued, Pair, Scores
from whygen.results.texts import KeptContinuation, KeptLikelihood, KeptText

Floats = NDArray[np.float64]


@dataclass(slots=True, kw_only=True)
class TextSide:
    """The anchors, or the reference: texts with their twins and what was measured of them.

    Attributes:
        ready: the texts.
        twins: of each text; empty where it has none.
        scores: of texts and twins under the model.
        other: the same under the baseline; None without one.
        continued: how the model goes on, by places.
    """

    ready: Sequence[Ready]
    twins: Sequence[tuple[str, ...]]
    scores: Scores = field(default_factory=dict[Pair, "Likelihood | str"])
    other: Scores | None = None
    continued: dict[int, Continued] = field(default_factory=dict[int, Continued])

    def pairs(self) -> list[Pair]:
        """Every text and twin that is to be scored, with its prompt."""
        return [
            (ready.prompt, text)
            for ready, twins in zip(self.ready, self.twins, strict=True)
            if not ready.state
            for text in (ready.text, *twins)
        ]

    def own(self, place: int) -> Likelihood | None:
        """A text under the model; None where it was not scored."""
        found = self.scores.get((self.ready[place].prompt, self.ready[place].text))
        return found if isinstance(found, Likelihood) and not self.ready[place].state else None

    def state(self, place: int) -> tuple[str, str]:
        """Whether a text was scored, else why not, and a sentence."""
        ready = self.ready[place]
        if ready.state:
            return ready.state, " ".join(ready.notes)
        found = self.scores.get((ready.prompt, ready.text))
        if found is None:
            return "not reached", "The run ended before it."
        if isinstance(found, str):
            return "failed", found
        return ("scored", "") if found.tokens > 1 else ("too short", "The model scored a single token of it.")

    def scored(self) -> list[int]:
        """Places of the texts that were scored."""
        return [place for place in range(len(self.ready)) if self.state(place)[0] == "scored"]

    def nats(self, place: int, text: str) -> float:
        """Of a text or a twin, less those of the baseline; NaN where one of them was not scored."""
        pair = (self.ready[place].prompt, text)
        found = self.scores.get(pair)
        if not isinstance(found, Likelihood):
            return float("nan")
        if self.other is None:
            return found.nats
        other = self.other.get(pair)
        return found.nats - other.nats if isinstance(other, Likelihood) else float("nan")

    def among_twins(self) -> tuple[NDArray[np.int64], Floats]:
        """Places of the texts all of whose twins were scored, and nats of text and twins, ``(n, 1 + m)``.

        m is the number of twins that most have; texts with fewer are left out, since ranks among fewer say less.
        """
        most = max((len(twins) for twins in self.twins), default=0)
        rows = [place for place in self.scored() if most and len(self.twins[place]) == most]
        table = np.array([[self.nats(row, each) for each in (self.ready[row].text, *self.twins[row])] for row in rows])
        table = table.reshape(len(rows), 1 + most)
        whole = np.isfinite(table).all(axis=1)
        return np.array(rows, dtype=np.int64)[whole], table[whole]

    def per_token(self, rows: Sequence[int], *, other: bool = False) -> Floats:
        """Nats a token of texts under the model, or under the baseline (by the model's tokens)."""
        found: list[float] = []
        for place in rows:
            own, value = self.own(place), float("nan")
            scores = self.other if other else self.scores
            text = (scores or {}).get((self.ready[place].prompt, self.ready[place].text))
            if own is not None and isinstance(text, Likelihood):
                value = text.nats / own.tokens
            found.append(value)
        return np.array(found, dtype=np.float64)

    def kept(self) -> tuple[KeptText, ...]:
        """All of it, as it is saved."""
        return tuple(self._kept(place) for place in range(len(self.ready)))

    def _kept(self, place: int) -> KeptText:
        ready, found = self.ready[place], self.continued.get(place)
        pair, others = (ready.prompt, ready.text), self.other or {}
        own, other = (self.scores.get(pair), others.get(pair)) if not ready.state else (None, None)
        twins = [(twin, (ready.prompt, twin)) for twin in self.twins[place]]
        return KeptText(
            **asdict(ready),
            failed=own if isinstance(own, str) else "",
            likelihood=KeptLikelihood(**asdict(own)) if isinstance(own, Likelihood) else None,
            other=_nats(other),
            twins=tuple((twin, _nats(self.scores.get(both)), _nats(others.get(both))) for twin, both in twins),
            continued=None if found is None else KeptContinuation(**asdict(found)),
        )

    @classmethod
    def of(cls, kept: Sequence[KeptText], *, has_baseline: bool) -> TextSide:
        """What `kept` gave."""
        scores: dict[Pair, Likelihood | str] = {}
        other: dict[Pair, Likelihood | str] = {}
        for each in kept:
            for twin, own, theirs in each.twins:
                _put(scores, (each.prompt, twin), own)
                _put(other, (each.prompt, twin), theirs)
        for each in kept:
            pair = (each.prompt, each.text)
            _put(other, pair, each.other)
            if each.likelihood is not None:
                scores[pair] = Likelihood(**each.likelihood.model_dump())
            elif each.failed:
                scores[pair] = each.failed
        continued = {place: each.continued for place, each in enumerate(kept)}
        return cls(
            ready=[Ready(**{name: getattr(each, name) for name in Ready.__dataclass_fields__}) for each in kept],
            twins=[tuple(twin for twin, _, _ in each.twins) for each in kept],
            scores=scores,
            other=other if has_baseline else None,
            continued={place: Continued(**each.model_dump()) for place, each in continued.items() if each is not None},
        )


def _nats(found: Likelihood | str | None) -> float | None:
    return found.nats if isinstance(found, Likelihood) else None


def _put(scores: dict[Pair, Likelihood | str], pair: Pair, nats: float | None) -> None:
    """Nats alone, which is all that is read of a twin and of the baseline."""
    if nats is not None:
        scores[pair] = Likelihood(nats, 0, 0.0, 0.0, 0, 0, 0.0, 0)
