"""All that was scored of texts: what `read`, `compare` and `evaluate` read again without the model."""

from __future__ import annotations

from whygen.results.anchors_memorised import RoleName
from whygen.results.prompt import Warned
from whygen.results.records import Figure, Record, Text


class KeptLikelihood(Record):
    """A text under the model, in nats: the fields of `whygen.anchors.texts.criteria.Likelihood`."""

    nats: float
    tokens: int
    zlib: float
    min_k: float
    beginning: int
    end: int
    drawn: float
    drawn_tokens: int


class KeptContinuation(Record):
    """How the model goes on after the beginning of a text."""

    written: Text
    match: float
    verbatim: bool


class KeptText(Record):
    """A text with its twins, as it was made ready and scored.

    Attributes:
        state: "" where it could be scored, else why not.
        failed: why it was not scored though it could have been; "" otherwise.
        likelihood: under the model; None where it was not scored.
        other: nats under the baseline.
        twins: each with its nats under the model and under the baseline.
    """

    text: Text
    prompt: Text = ""
    state: str = ""
    notes: tuple[Text, ...] = ()
    copy_of: int | None = None
    is_cut: bool = False
    role: RoleName | None = None
    label: int | Text | None = None
    failed: Text = ""
    likelihood: KeptLikelihood | None = None
    other: Figure = None
    twins: tuple[tuple[Text, Figure, Figure], ...] = ()
    continued: KeptContinuation | None = None


class TextScores(Record):
    """Anchors and reference as they were scored, and what does not follow from that.

    Attributes:
        reference: held-out texts; None without.
        automatic: whether twins were made here, so that those of anchors and reference are alike.
        has_baseline: whether a baseline scored them, too.
        said: warnings of what was found while the texts were read.
        noticed: warnings of the run.
    """

    anchors: tuple[KeptText, ...]
    reference: tuple[KeptText, ...] | None = None
    automatic: bool
    has_baseline: bool
    said: tuple[Warned, ...] = ()
    noticed: tuple[Warned, ...] = ()
