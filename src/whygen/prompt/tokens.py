"""The model's own tokens as units."""

from __future__ import annotations

from whygen.errors import UsageError
from whygen.models import Model, Tokenizes
from whygen.prompt.units import TOKEN, Span, Splitter
from whygen.texts import character_edges


def token_splitter(model: Model) -> Splitter:
    """Cuts a text into the tokens that the model reads, for ``split(prompt, "token", splitter=...)``.

    A token's unit is what it shows: white space belongs to the next one, as everywhere. Tokens that share what is seen
    as one character (its bytes, a letter and its marks, joined emoji) are one unit: a prompt cannot lose half of it.

    Raises:
        UsageError: if the model does not tell its tokens.
    """
    if not isinstance(model, Tokenizes):
        raise UsageError(
            f"units={TOKEN!r} needs a model that tells its tokens, and {model.uri} does not. Use a local model "
            "(hf/ORG/NAME, hf/PATH or demo/storyteller), or units='word'."
        )
    return lambda text: _visible(text, model.token_spans(text))


def _visible(text: str, spans: list[Span]) -> list[Span]:
    """The spans without the white space around them; those that show nothing are left out."""
    visible: list[Span] = []
    edges = character_edges(text)
    for start, end in spans:
        token = text[start:end]
        if visible and start not in edges and visible[-1][1] == start:
            visible[-1] = visible[-1][0], start + len(token.rstrip())
        elif token.strip():
            visible.append((start + len(token) - len(token.lstrip()), start + len(token.rstrip())))
    return visible
