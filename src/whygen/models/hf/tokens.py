# pyright: basic
"""Between texts and token ids: prompts, continuations with the characters of each token, answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from whygen.models.hf.calls import check_told, read_written, told_messages, told_tools
from whygen.models.turns import Refused
from whygen.types import Chat, Edit, Message, Request, ToolCall


@dataclass(frozen=True, slots=True)
class Continuation:
    """Token ids of a text to score, and the characters ``[start, end)`` that each adds; without gaps."""

    ids: list[int]
    spans: list[tuple[int, int]]


class Tokens:
    """A tokenizer (`PreTrainedTokenizerBase`), with what whygen needs of it.

    Args:
        tokenizer: of a model.
        uri: what the model is called.
        ends: tokens that end an answer, by the checkpoint's generation settings.
        render: makes one text of a request; unless given, the tokenizer's chat template does.
    """

    def __init__(
        self, tokenizer: Any, *, uri: str, ends: Sequence[int], render: Callable[[Request], str] | None = None
    ) -> None:
        self.tokenizer = tokenizer
        self._render = render or self._text
        self._uri = uri
        own_end = tokenizer.eos_token_id
        self.ends = frozenset(ends) | ({own_end} if own_end is not None else frozenset())
        """Tokens that end an answer, as the checkpoint's generation settings and the tokenizer name them."""
        known = (tokenizer.pad_token_id, own_end, tokenizer.bos_token_id)
        self.pad = next((int(token) for token in known if token is not None), 0)
        """What fills up short rows. It is masked, so any token will do."""

    def prompt(self, request: Request) -> list[int]:
        """Token ids of a prompt, by the chat template where there is one; an empty prompt is one special token.

        Raises:
            Refused: if the model cannot take such a prompt.
        """
        text = self._render(request)
        try:
            ids = list(self.tokenizer(text, add_special_tokens=not self.tokenizer.chat_template)["input_ids"])
        except (TypeError, UnicodeError) as error:
            raise Refused(f"the prompt cannot be turned into tokens ({error})", "Send valid Unicode.") from None
        return ids or self.beginning()

    def places(self, request: Request, spans: Sequence[tuple[int, int]]) -> tuple[int, ...]:
        """Which tokens of a prompt, as `prompt` gives them, share a character with one of the spans.

        Raises:
            Refused: if the tokens cannot be found in the prompt, or a span reaches none.
        """
        sent, prompt = self._render(request), request.prompt
        core = prompt.strip() if isinstance(prompt, str) else ""
        if not self.tokenizer.is_fast or not core or sent.count(core) != 1:
            raise Refused(
                f"the tokens of {self._uri} cannot be found in the characters of this prompt",
                "Noise needs one text as the prompt, a fast tokenizer, and a template that keeps the prompt whole.",
            )
        shift = sent.index(core) - str(prompt).index(core)
        how = {"add_special_tokens": not self.tokenizer.chat_template, "return_offsets_mapping": True}
        ends = self.tokenizer(sent, **how)["offset_mapping"]
        found: set[int] = set()
        for start, end in spans:
            reached = [i for i, (a, b) in enumerate(ends) if a < end + shift and start + shift < b]
            if not reached:
                raise Refused(f"characters {start} to {end} of the prompt hold no token", "Give spans of visible text.")
            found.update(reached)
        return tuple(sorted(found))

    def _text(self, request: Request) -> str:
        prompt = request.prompt
        if isinstance(prompt, Edit):
            raise Refused(f"{self._uri} takes no image to edit", "Use an image editor, such as diffusers/NAME.")
        if isinstance(prompt, Chat) and any(message.images for message in prompt.messages):
            raise Refused(f"{self._uri} takes no images", "Leave the images out, or use a model that sees.")
        if not self.tokenizer.chat_template:
            if isinstance(prompt, Chat):
                raise Refused(f"{self._uri} has no chat template", "Give the prompt as one text.")
            return prompt
        chat = prompt if isinstance(prompt, Chat) else Chat([Message("user", prompt)])
        turns = told_messages(chat, lambda message: message.text)
        how = {"tools": tools} if (tools := told_tools(chat, self._uri)) else {}
        try:
            rendered = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True, **how)
        except Exception as error:  # the template is a program of the checkpoint's author
            raise Refused(
                f"the chat template of {self._uri} refuses these messages ({error})", "Check their roles and order."
            ) from None
        check_told(chat, rendered, self._uri)
        return rendered

    def beginning(self) -> list[int]:
        """The token that stands for a prompt of nothing.

        Raises:
            Refused: if there is none.
        """
        for token in (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id):
            if token is not None:
                return [int(token)]
        raise Refused(
            f"the prompt is empty, and {self._uri} has no token that begins a text",
            "Keep at least one word, for example with pin=, or leave empty prompts out with empty='exclude'.",
        )

    def continuation(self, text: str) -> Continuation:
        """A text to score.

        It is cut into tokens by itself. A character that several tokens share (byte-level BPE) belongs to the first of
        them, and the others have no width; what the tokenizer leaves out belongs to the token that follows.

        Raises:
            Refused: if the text has no tokens.
        """
        fast = bool(self.tokenizer.is_fast)
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=fast)
        ids = list(encoded["input_ids"])
        if text and not ids:
            raise Refused(f"the text to score, {text[:20]!r}, has no tokens", "Score a text with visible characters.")
        if fast:
            ends = [int(end) for _, end in encoded["offset_mapping"]]
        else:
            ends = [len(self.tokenizer.decode(ids[: i + 1])) for i in range(len(ids))]
        spans: list[tuple[int, int]] = []
        position = 0
        for index, end in enumerate(ends):
            stop = len(text) if index == len(ends) - 1 else min(max(position, end), len(text))
            spans.append((position, stop))
            position = stop
        return Continuation(ids, spans)

    def unknown(self, text: str) -> int:
        """How many tokens of a text stand for what the tokenizer does not know; 0 where it knows every byte."""
        token = self.tokenizer.unk_token_id
        if token is None or token == self.tokenizer.eos_token_id:  # GPT-2 names one that it never reads
            return 0
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"]).count(token)

    def text(self, ids: Sequence[int]) -> str:
        """What the tokens say, special ones left out."""
        return self.tokenizer.decode(ids, skip_special_tokens=True)

    def calls(
        self, ids: Sequence[int], request: Request, cut: Callable[[str], str]
    ) -> tuple[str, tuple[ToolCall, ...]] | None:
        """The text and the calls in an answer, read with its special tokens; None where it calls no tool."""
        chat = request.prompt
        if not isinstance(chat, Chat) or not chat.tools:
            return None
        raw = cut(self.tokenizer.decode(ids, skip_special_tokens=False))
        return read_written(self.tokenizer, raw, self._render(request), chat)

    def texts(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """`text` of each row."""
        return self.tokenizer.batch_decode(rows, skip_special_tokens=True)
