# pyright: basic
"""A transformers model that reads texts and pictures and answers with texts, as a black box.

Requests are answered one by one: pictures become tensors of many shapes, which no batch of padded rows could hold
without changing an answer.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from transformers import LogitsProcessorList, StoppingCriteriaList

from whygen.media import pictures
from whygen.models.hf.calls import check_told, told_messages, told_tools
from whygen.models.hf.model import HfModel, TextJob, listed, shuffled
from whygen.models.hf.steps import Sampler, StopStrings
from whygen.models.hf.tokens import Tokens
from whygen.models.turns import Refused
from whygen.types import Block, Chat, Edit, JsonValue, Message, Output, Picture, Request, TokenScore

_BESIDE = ("attention_mask", "token_type_ids", "mm_token_type_ids")
"""Inputs with a value for each token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeeingJob(TextJob):
    """A request with all that the network is given: token ids, pictures as tensors, and what goes with them."""

    inputs: Mapping[str, Any]


class HfSeeingModel(HfModel):
    """A network (`PreTrainedModel`) that reads pictures, with its processor (`ProcessorMixin`).

    Args:
        network: on the device and in the precision it shall work in.
        processor: the network's own; it holds the tokenizer and the chat template.
        uri: what it is called.
        identity: what makes it answer as it does; without it, answers are kept for the run only.
    """

    def __init__(
        self, network: Any, processor: Any, *, uri: str, identity: Mapping[str, JsonValue] | None = None
    ) -> None:
        tokenizer = processor.tokenizer
        if not tokenizer.chat_template:
            tokenizer.chat_template = getattr(processor, "chat_template", None)
        super().__init__(network, tokenizer, uri=uri, identity=identity, batch_size=1)
        self.processor = processor
        ends = listed(network.generation_config.eos_token_id)
        self._tokens = Tokens(tokenizer, uri=uri, ends=ends, render=self._text)

    def randomised(self, seed: int) -> HfSeeingModel:
        """The same network with the values within every weight shuffled, and the same processor."""
        identity = None if self._identity is None else {**self._identity, "randomised": seed}
        uri = f"{self._uri}, weights shuffled by seed {seed}"
        return HfSeeingModel(shuffled(self.network, seed), self.processor, uri=uri, identity=identity)

    def _text(self, request: Request) -> str:
        """The prompt by the chat template, with the template's own marks where pictures stand.

        Raises:
            Refused: if the model cannot take such a prompt.
        """
        prompt = request.prompt
        if isinstance(prompt, Edit):
            raise Refused(f"{self._uri} changes no pictures", "Give the picture in a message, and ask about it.")
        if not self.tokenizer.chat_template:
            if isinstance(prompt, Chat):
                raise Refused(f"{self._uri} has no chat template", "Give the prompt as one text.")
            return prompt
        chat = prompt if isinstance(prompt, Chat) else Chat([Message("user", prompt)])
        turns = told_messages(chat, _parts)
        how = {"tools": tools} if (tools := told_tools(chat, self._uri)) else {}
        try:
            rendered = self.processor.apply_chat_template(turns, tokenize=False, add_generation_prompt=True, **how)
        except Exception as error:  # the template is a program of the checkpoint's author
            raise Refused(
                f"the chat template of {self._uri} refuses these messages ({error})", "Check their roles and order."
            ) from None
        check_told(chat, rendered, self._uri)
        return rendered

    def count_tokens(self, request: Request) -> int:
        """Tokens of the prompt as it is sent, those of its pictures included."""
        return super().count_tokens(request) if not _images(request) else len(self._read(request)["input_ids"][0])

    def _read(self, request: Request) -> dict[str, Any]:
        """What the network is given for a prompt.

        Raises:
            Refused: if the processor does not take it.
        """
        images, text = _images(request), self._text(request)
        # The template has written the special tokens already.
        how: dict[str, Any] = {"add_special_tokens": not self.tokenizer.chat_template}
        try:
            made = self.processor(text=[text], return_tensors="pt", **({"images": images} if images else {}), **how)
        except Exception as error:  # processors of many makers
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise Refused(
                f"{self._uri} cannot read this prompt with {len(images)} pictures ({first[:200]})",
                "Give as many pictures as its chat template takes, each with at least a few pixels a side.",
            ) from None
        if made["input_ids"].shape[1] == 0:
            made["input_ids"] = torch.tensor([self._tokens.beginning()])
            made["attention_mask"] = torch.ones_like(made["input_ids"])
        return {name: self._placed(value) for name, value in made.items()}

    def _placed(self, value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        kind = self.network.dtype if value.is_floating_point() else None
        return value.to(self.network.device, dtype=kind)

    def _to_generate(self, place: int, request: Request) -> SeeingJob:
        return self._with_pictures(super()._to_generate(place, request))

    def _to_score(self, place: int, request: Request) -> SeeingJob:
        return self._with_pictures(super()._to_score(place, request))

    def _with_pictures(self, job: TextJob) -> SeeingJob:
        """The job with what the processor makes of it, whose tokens of pictures count too."""
        inputs = self._read(job.request)
        prompt = inputs["input_ids"][0].tolist()
        scored = 0 if job.target is None else len(job.target.ids)
        self._check_length(len(prompt) + scored, "the prompt is {} tokens long", answer=0 if scored else 1)
        room = self._room(len(prompt), job.request.settings.max_tokens) if job.target is None else 0
        return SeeingJob(
            place=job.place, request=job.request, prompt=prompt, room=room, target=job.target, inputs=inputs
        )

    def _generate(self, batch: Sequence[TextJob]) -> list[Output]:
        return [self._written(job) for job in batch if isinstance(job, SeeingJob)]

    def _written(self, job: SeeingJob) -> Output:
        begun = time.perf_counter()
        settings = job.request.settings
        begin = 1 if self._seq2seq else len(job.prompt)
        stop = StopStrings(self._tokens, settings.stop, begin=begin) if settings.stop else None
        how: dict[str, Any] = {"stopping_criteria": StoppingCriteriaList([stop])} if stop else {}
        if settings.temperature > 0:
            drawn = Sampler([job.request.sampling_seed], settings.temperature, settings.top_p)
            how["logits_processor"] = LogitsProcessorList([drawn])
        with self._plain_defaults():
            out = self.network.generate(**job.inputs, generation_config=self._how_long(job.room), **how)
        row = out[0, begin:].tolist()
        row = row[: stop.lengths.get(0)] if stop else row
        return self._output(row, job, time.perf_counter() - begun)

    def _score(self, batch: Sequence[TextJob]) -> list[Output]:
        return [self._likely(job) for job in batch if isinstance(job, SeeingJob)]

    def _likely(self, job: SeeingJob) -> Output:
        """Teacher-forced log-probabilities of the continuation behind the prompt and its pictures."""
        if self._seq2seq:
            raise ValueError("models with an encoder that read pictures score no texts here")
        begun = time.perf_counter()
        target = job.target
        assert target is not None  # noqa: S101 - whoever asks for scores gives one
        ids = torch.tensor([target.ids], dtype=torch.long, device=self.network.device)
        inputs = dict(job.inputs)
        inputs["input_ids"] = torch.cat([inputs["input_ids"], ids], dim=1)
        for name in _BESIDE:
            if isinstance(beside := inputs.get(name), torch.Tensor):
                more = torch.full_like(ids, 1 if name == "attention_mask" else 0, dtype=beside.dtype)
                inputs[name] = torch.cat([beside, more], dim=1)
        logits = self.network(**inputs).logits[0, len(job.prompt) - 1 : -1]
        rows = torch.log_softmax(logits.float(), dim=-1)
        values = rows.gather(1, ids[0][:, None])[:, 0].tolist()
        spans = zip(target.spans, values, strict=True)
        return Output(
            finish="scored",
            tokens_in=job.length,
            seconds=time.perf_counter() - begun,
            scores=tuple(TokenScore(a, b, value) for (a, b), value in spans),
        )


def _parts(message: Message) -> list[dict[str, Any]]:
    """A message's content as templates of such models take it, in order."""
    made: list[dict[str, Any]] = []
    for part in message.content:
        if isinstance(part, Picture):
            made.append({"type": "image"})
        else:
            made.append({"type": "text", "text": part.text if isinstance(part, Block) else part})
    return made


def _images(request: Request) -> list[Image.Image]:
    """The pictures of a prompt, in order."""
    prompt = request.prompt
    if not isinstance(prompt, Chat):
        return []
    return [Image.fromarray(pictures.pixels(image)) for message in prompt.messages for image in message.images]
