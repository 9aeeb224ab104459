# pyright: basic
"""A transformers fill-mask model (BERT and its kin): a prompt holds one mask, the answer is what fits there best."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from whygen.models.hf.model import batch_for, positions, quiet
from whygen.models.turns import Refused
from whygen.texts import has_word
from whygen.types import Failure, JsonValue, Limits, Output, Request

FILLERS = 64
"""How many fillers are told, the likeliest first."""


class HfMaskedModel:
    """A network with a masked-language-model head, and its tokenizer.

    Every prompt is read by itself, without padding, so an answer depends on no other. Of a prompt longer than the
    network reads, the stretch around the mask is read.
    """

    def __init__(
        self, network: Any, tokenizer: Any, *, uri: str, identity: Mapping[str, JsonValue] | None = None
    ) -> None:
        self.network = network.eval()
        self.tokenizer = tokenizer
        self._uri = uri
        self._identity = None if identity is None else {"uri": uri, **identity}
        self._batch = batch_for(network)

    @property
    def uri(self) -> str:
        return self._uri

    @property
    def limits(self) -> Limits:
        return Limits(max_batch=self._batch)

    @property
    def identity(self) -> Mapping[str, JsonValue] | None:
        """URI, digest of the files or commit of the hub, and precision; None if nobody told."""
        return self._identity

    @property
    def mask(self) -> str:
        """What stands in a prompt where the model shall fill in."""
        return str(self.tokenizer.mask_token)

    def answer(self, requests: Sequence[Request]) -> list[Output | Failure]:
        with quiet(), torch.inference_mode():
            return [self._one(request) for request in requests]

    def _one(self, request: Request) -> Output | Failure:
        begun = time.perf_counter()
        try:
            ids, place = self._read(request)
            fillers = self._fillers(ids, place)
        except Refused as refused:
            return refused.failure
        except (RuntimeError, MemoryError, ValueError, IndexError, TypeError, UnicodeError) as error:
            message = f"{self._uri} raised {type(error).__name__}: {str(error).strip()[:200]}"
            return Failure(kind="permanent", message=message, advice="Check that the prompt is valid Unicode.")
        seconds = time.perf_counter() - begun
        text = str(fillers[0][0]) if fillers else ""
        return Output(text=text, tokens_in=len(ids), tokens_out=1, seconds=seconds, extra={"fillers": fillers})

    def _read(self, request: Request) -> tuple[list[int], int]:
        """Token ids, as many as the network reads, and the place of the mask among them."""
        prompt = request.prompt
        if self.tokenizer.mask_token_id is None:
            raise Refused(
                f"{self._uri} fills in a masked word, and its tokenizer has no mask token",
                "Set it (tokenizer.mask_token = '[MASK]') and save it; a model that writes answers is what "
                "explanations need.",
            )
        if not isinstance(prompt, str) or prompt.count(self.mask) != 1 or request.settings.extra:
            raise Refused(
                f"{self._uri} fills in one {self.mask} in a text, and was given none, several, or further settings",
                f"Write {self.mask} once in the prompt; a model that writes answers is what explanations need.",
            )
        mask = self.tokenizer.mask_token_id
        cut = self.tokenizer(prompt, add_special_tokens=False, return_offsets_mapping=True)
        ends, place = cut["offset_mapping"], list(cut["input_ids"]).index(mask)
        room = (positions(self.network.config) or len(ends) + 8) - 8  # special tokens, positions kept for padding
        start = min(max(0, place - room // 2), max(0, len(ends) - room))
        stretch = prompt[ends[start][0] : ends[min(start + room, len(ends)) - 1][1]]
        ids = list(self.tokenizer(stretch)["input_ids"])
        return ids, ids.index(mask)

    def _fillers(self, ids: Sequence[int], place: int) -> list[list[JsonValue]]:
        """The likeliest texts and their probabilities; special tokens and parts of words are left out."""
        logits = self.network(input_ids=torch.tensor([ids], device=self.network.device)).logits[0, place].float().cpu()
        shares = torch.softmax(logits, dim=-1)
        order = torch.argsort(shares, descending=True, stable=True).tolist()
        special = set(self.tokenizer.all_special_ids)
        fillers: list[list[JsonValue]] = []
        for token in order:
            text = self.tokenizer.decode([token]).strip()
            if token not in special and self._stands_alone(token, text):
                fillers.append([text, float(shares[token])])
            if len(fillers) == FILLERS:
                break
        return fillers

    def _stands_alone(self, token: int, text: str) -> bool:
        """Whether the token is a whole word, or a mark: read again, it is the same token."""
        if not text or "\ufffd" in text or any(character.isspace() for character in text):
            return False
        forms = [f" {text}"] if has_word(text) else [f" {text}", text]
        return any(self.tokenizer(form, add_special_tokens=False)["input_ids"] == [token] for form in forms)
