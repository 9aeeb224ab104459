# pyright: basic
"""A transformers model as a black box that answers and scores in batches.

What a request is answered does not depend on its batch (in single precision): padding is masked and positions are
counted without it, every row samples with a generator of its own, and only requests with the same room for their
answer share a batch. In half precision the hardware's own rounding can depend on the batch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from logging import ERROR
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList
from transformers.utils import logging

from whygen.errors import DataError
from whygen.models.hf.jobs import TextJob, padded
from whygen.models.hf.prefixes import Reuse, scaled_from
from whygen.models.hf.scoring import TextScorer
from whygen.models.hf.steps import (
    NoiseSource,
    NoisyEmbeddings,
    Sampler,
    StopStrings,
    asked_noise,
    free_memory,
    refuse_others,
)  # fmt: skip
from whygen.models.hf.tokens import Tokens
from whygen.models.turns import Refused
from whygen.types import Failure, JsonValue, Limits, Output, Request, Settings

_KEPT = ("forced_bos_token_id", "suppress_tokens", "begin_suppress_tokens", "bad_words_ids")
"""What of a checkpoint's generation settings belongs to its architecture. Beams, penalties and temperature do not."""
_STEP = 16
"""Near the end of the context, room for an answer is rounded down to a multiple of this: rows can share batches."""


def shuffled(network: Any, seed: int) -> Any:
    """A copy of the network with the values within every weight in another order; weights that are shared stay so."""
    with torch.random.fork_rng():  # the numbers that a new network begins with are thrown away
        copy = type(network)(network.config)
    copy.load_state_dict(network.state_dict())
    copy.generation_config = network.generation_config
    copy = copy.to(device=network.device, dtype=network.dtype)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in copy.parameters():
            order = torch.randperm(weight.numel(), generator=generator).to(weight.device)
            weight.copy_(weight.flatten()[order].view_as(weight))
    return copy


class HfModel:
    """A network (`PreTrainedModel`) with its tokenizer (`PreTrainedTokenizerBase`).

    Args:
        network: causal, or sequence to sequence; on the device and in the precision it shall work in.
        tokenizer: the network's own.
        uri: what it is called.
        identity: what makes it answer as it does (digest of the weights, precision); without it, answers are kept for
            the run only.
        batch_size: rows in a batch; None: chosen by the size of the network and the free memory, and doubled on an
            accelerator for as long as that works. Out of memory, it is halved.
    """

    def __init__(
        self,
        network: Any,
        tokenizer: Any,
        *,
        uri: str,
        identity: Mapping[str, JsonValue] | None = None,
        batch_size: int | None = None,
    ) -> None:
        self.network = network.eval()
        self.tokenizer = tokenizer
        self._uri = uri
        self._identity = None if identity is None else {"uri": uri, **identity}
        self._batch = batch_size or batch_for(network)
        self._most = batch_size or (self._batch if network.device.type == "cpu" else useful_rows(network))
        self._scaled_from = scaled_from(network)
        self._seq2seq = bool(network.config.is_encoder_decoder)
        self._own = network.generation_config
        self._tokens = Tokens(tokenizer, uri=uri, ends=listed(self._own.eos_token_id))
        self._noisy = NoisyEmbeddings(network)
        self._reuse = Reuse(network, kept_on=identity is not None)
        self._scorer = TextScorer(
            network, noisy=self._noisy, reuse=self._reuse, pad=self._tokens.pad, decoder_begins=self._decoder_begins
        )

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

    def answers_alike(self, settings: Settings) -> bool:
        """Greedy decoding in single precision. In half precision the other rows of a batch may turn a token."""
        return settings.temperature == 0.0 and self.network.dtype in (torch.float32, torch.float64)

    def randomised(self, seed: int) -> HfModel:
        """The same network with the values within every weight shuffled, and the same tokenizer.

        Each weight keeps its shape and its distribution, and nothing that was learned (Adebayo et al. 2018, arXiv
        1810.03292, re-initialise instead).
        """
        identity = None if self._identity is None else {**self._identity, "randomised": seed}
        uri = f"{self._uri}, weights shuffled by seed {seed}"
        return HfModel(shuffled(self.network, seed), self.tokenizer, uri=uri, identity=identity, batch_size=self._batch)

    @property
    def context_tokens(self) -> int | None:
        """Positions the network has (of a causal one: prompt and answer together); None when it has no limit."""
        return positions(self.network.config)

    def count_tokens(self, request: Request) -> int:
        """Tokens of the prompt as it is sent, template included.

        Raises:
            DataError: if the model cannot take such a prompt.
        """
        with quiet():
            try:
                return len(self._tokens.prompt(request))
            except Refused as refused:
                raise DataError(f"{refused}. {refused.failure.advice}") from None

    @property
    def continues_text(self) -> bool:
        """Whether a prompt is continued as it is written: a causal network without a chat template."""
        return not self._seq2seq and not self.tokenizer.chat_template

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Characters ``[start, end)`` of each token of a text, without template and special tokens.

        A character that byte-level tokens share belongs to the first of them, and those inside it are left out.

        Raises:
            DataError: if the text has no tokens, or they cannot be found in it.
        """
        try:
            with quiet():
                spans = self._tokens.continuation(text).spans
        except (Refused, TypeError, UnicodeError) as error:
            raise DataError(f"{self._uri} cannot cut this text into tokens: {error}.") from None
        return [(start, end) for start, end in spans if start < end]

    def unknown_tokens(self, text: str) -> int:
        return self._tokens.unknown(text)

    def noisy_tokens(self, request: Request) -> list[int]:
        """Places of the prompt's tokens that the request's noise reaches; see `AddsNoise`.

        Raises:
            DataError: if the noise is malformed, or its tokens cannot be found.
        """
        try:
            noise = self._noise(request)
        except Refused as refused:
            raise DataError(refused.failure.sentence) from None
        return list(noise.places) if noise else []

    def answer(self, requests: Sequence[Request]) -> list[Output | Failure]:
        return self._serve(requests, self._to_generate, self._generate)

    def score(self, requests: Sequence[Request]) -> list[Output | Failure]:
        return self._serve(requests, self._to_score, self._score)

    def _serve(
        self,
        requests: Sequence[Request],
        prepare: Callable[[int, Request], TextJob],
        work: Callable[[Sequence[TextJob]], list[Output]],
    ) -> list[Output | Failure]:
        """Batch by kind and length, so that little is padded; hand back in order."""
        answers: dict[int, Output | Failure] = {}
        jobs: list[TextJob] = []
        with quiet(), torch.inference_mode():
            for place, request in enumerate(requests):
                try:
                    job = prepare(place, request)
                    self._check_ids(job)
                    jobs.append(job)
                except Refused as refused:
                    answers[place] = refused.failure
            jobs.sort(key=lambda job: (job.kind, -job.length))
            while jobs:
                batch = [job for job in jobs[: self._batch] if self._together(job, jobs[0])]
                del jobs[: len(batch)]
                for job, answer in zip(batch, self._halving(batch, work), strict=True):
                    answers[job.place] = answer
                if len(batch) == self._batch:  # it was not halved
                    self._batch = min(2 * self._batch, self._most)
        return [answers[place] for place in range(len(requests))]

    def _check_ids(self, job: TextJob) -> None:
        """Refuse tokens that the network has not; its own tokenizer makes none.

        Raises:
            Refused: naming the cause.
        """
        table: Any = self.network.get_input_embeddings()
        known, highest = (
            getattr(table, "num_embeddings", None),
            max([*job.prompt, *(job.target.ids if job.target else ())], default=0),
        )
        if known is not None and highest >= known:
            raise Refused(
                f"the tokenizer of {self._uri} makes token {highest} of this text, and the network has {known:,}: it "
                "is the tokenizer of another model",
                "Give the model with the tokenizer that it was trained with.",
            )

    def _together(self, job: TextJob, first: TextJob) -> bool:
        """Whether a job can share the batch of one that is not shorter."""
        if job.kind != first.kind:
            return False
        long = self._scaled_from is not None and first.length + first.room > self._scaled_from
        return not long or job.length == first.length  # the longest row decides how all of them are turned

    def _halving(
        self, batch: Sequence[TextJob], work: Callable[[Sequence[TextJob]], list[Output]]
    ) -> list[Output | Failure]:
        """Do the work; where that fails do it in two halves, so that one bad request fails alone."""
        try:
            return [*work(batch)]
        except (RuntimeError, MemoryError, ValueError, IndexError, KeyError, TypeError) as error:
            short_of_memory = "memory" in str(error).lower() or isinstance(error, MemoryError)
            if len(batch) == 1:
                return [self._failed(batch[0], error, short_of_memory=short_of_memory)]
        half = len(batch) // 2
        if short_of_memory:
            self._batch = self._most = min(self._batch, half)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        return self._halving(batch[:half], work) + self._halving(batch[half:], work)

    def _failed(self, job: TextJob, error: Exception, *, short_of_memory: bool) -> Failure:
        if short_of_memory:
            message = f"{self._uri} ran out of memory on a single prompt of {job.length} tokens"
            advice = "Use dtype='float16', fewer max_tokens, a shorter prompt or a smaller model."
        else:
            message = f"{self._uri} raised {type(error).__name__}: {str(error).strip()[:200]}"
            advice = "If it does so for every prompt, the checkpoint does not fit this version of transformers."
        return Failure(kind="permanent", message=message, advice=advice)

    def _to_generate(self, place: int, request: Request) -> TextJob:
        settings = request.settings
        if settings.max_tokens < 1:
            raise Refused(f"max_tokens={settings.max_tokens} leaves no answer", "Allow at least one token.")
        prompt = self._tokens.prompt(request)
        self._check_length(len(prompt), "the prompt is {} tokens long", answer=0 if self._seq2seq else 1)
        room = self._room(len(prompt), settings.max_tokens)
        return TextJob(place=place, request=request, prompt=prompt, room=room, noise=self._noise(request))

    def check(self, request: Request) -> None:
        """Say before anything is run that the settings will be refused.

        Raises:
            UsageError: naming them.
        """
        try:
            refuse_others(request.settings.extra, self._uri)
        except Refused as refused:
            raise refused.beforehand() from None

    def _noise(self, request: Request) -> NoiseSource | None:
        refuse_others(request.settings.extra, self._uri)
        asked = asked_noise(request.settings.extra)
        if asked is None:
            return None
        spans, scale, seed = asked
        return NoiseSource(self._tokens.places(request, spans), scale, seed)

    def _to_score(self, place: int, request: Request) -> TextJob:
        prompt, target = self._tokens.prompt(request), self._tokens.continuation(request.continuation or "")
        if self._seq2seq:
            self._check_length(len(prompt), "the prompt is {} tokens long")
            self._check_length(len(target.ids), "the text to score is {} tokens long")
        else:
            self._check_length(len(prompt) + len(target.ids), "prompt and text to score are {} tokens long")
        return TextJob(place=place, request=request, prompt=prompt, target=target, noise=self._noise(request))

    def _check_length(self, tokens: int, what: str, *, answer: int = 0) -> None:
        context = self.context_tokens
        if context is not None and tokens + answer > context:
            raise Refused(
                f"{what.format(tokens)}, {self._uri} takes {context}, its answer included",
                "Shorten the prompt, or use a model with a longer context.",
            )

    def _room(self, prompt_tokens: int, max_tokens: int) -> int:
        """Tokens that the answer may have: by the request alone, never by the others in its batch."""
        context = self.context_tokens
        if context is None:
            return max_tokens
        left = context if self._seq2seq else context - prompt_tokens
        if left >= max_tokens:
            return max_tokens
        return left if left < _STEP else left - left % _STEP

    def _generate(self, batch: Sequence[TextJob]) -> list[Output]:
        begun = time.perf_counter()
        settings = batch[0].request.settings
        # An encoder counts positions from the left edge, and a decoder goes on at the right one.
        rows = [job.prompt for job in batch]
        known = 0 if any(job.noise for job in batch) else self._reuse.beginning(rows)
        if known and not self._reuse.trusted(
            "answer", lambda of: self._first_step(rows, of), known, size=max(map(len, rows))
        ):
            known = 0
        ids, mask = padded(rows, self._tokens.pad, device=self.network.device, left=not self._seq2seq, after=known)
        begin = 1 if self._seq2seq else ids.shape[1]
        stop = StopStrings(self._tokens, settings.stop, begin=begin) if settings.stop else None
        how: dict[str, Any] = {"stopping_criteria": StoppingCriteriaList([stop])} if stop else {}
        if self._reuse.able:
            how["past_key_values"] = self._reuse.cache(rows[0][:known], len(rows))
        if settings.temperature > 0:
            seeds = [job.request.sampling_seed for job in batch]
            how["logits_processor"] = LogitsProcessorList([Sampler(seeds, settings.temperature, settings.top_p)])
        noise, starts = [job.noise for job in batch], [0 if self._seq2seq else begin - len(job.prompt) for job in batch]
        with self._plain_defaults(), self._noisy.on(noise, starts):
            out = self.network.generate(
                input_ids=ids, attention_mask=mask, generation_config=self._how_long(batch[0].room), **how
            )
        written = out[:, begin:].tolist()
        lengths = stop.lengths if stop else {}
        seconds = (time.perf_counter() - begun) / len(batch)
        return [
            self._output(row[: lengths.get(i)], job, seconds)
            for i, (row, job) in enumerate(zip(written, batch, strict=True))
        ]

    def _first_step(self, rows: Sequence[list[int]], known: int) -> torch.Tensor:
        """Log-probabilities of the first tokens of two answers, by the way of ``known`` kept tokens."""
        two = [min(rows, key=len), max(rows, key=len)]
        ids, mask = padded(two, self._tokens.pad, device=self.network.device, left=True, after=known)
        how = {"past_key_values": self._reuse.cache(two[0][:known], 2)} if known else {}
        with self._plain_defaults():
            out = self.network.generate(
                input_ids=ids, attention_mask=mask, generation_config=self._how_long(1), output_logits=True,
                return_dict_in_generate=True, **how,
            )  # fmt: skip
        return torch.log_softmax(out.logits[0].float(), dim=-1)

    def _how_long(self, room: int) -> GenerationConfig:
        kept = {name: getattr(self._own, name, None) for name in _KEPT}
        return GenerationConfig(
            do_sample=False,
            num_beams=1,
            max_new_tokens=room,
            pad_token_id=self._tokens.pad,
            eos_token_id=sorted(self._tokens.ends) or None,
            bos_token_id=self.tokenizer.bos_token_id,
            decoder_start_token_id=self._decoder_start() if self._seq2seq else None,
            **{name: value for name, value in kept.items() if value is not None},
        )

    @contextmanager
    def _plain_defaults(self) -> Iterator[None]:
        """``generate`` fills what is unset from the checkpoint: beams, penalties ... The request's settings decide."""
        self.network.generation_config = GenerationConfig()
        try:
            yield
        finally:
            self.network.generation_config = self._own

    def _decoder_begins(self) -> list[int]:
        """What a decoder is given before the text to score."""
        forced = getattr(self._own, "forced_bos_token_id", None)
        return [self._decoder_start()] if forced is None else [self._decoder_start(), forced]

    def _decoder_start(self) -> int:
        config = self.network.config
        for holder, name in ((self._own, "decoder_start_token_id"), (config, "decoder_start_token_id")):
            if (token := getattr(holder, name, None)) is not None:
                return int(token)
        token = self.tokenizer.bos_token_id
        return self._tokens.pad if token is None else int(token)

    def _output(self, row: list[int], job: TextJob, seconds: float) -> Output:
        settings = job.request.settings
        end = next((i for i, token in enumerate(row) if token in self._tokens.ends), None)
        written = row if end is None else row[:end]
        text, cut = _cut(self._tokens.text(written), settings)
        called = self._tokens.calls(written, job.request, lambda raw: _cut(raw, settings)[0])
        text, calls = called or (text.strip() if self.tokenizer.chat_template else text, ())
        return Output(
            text=text,
            calls=calls,
            finish="stop" if cut or end is not None else "length",
            tokens_in=len(job.prompt),
            tokens_out=len(row) if end is None else end + 1,
            seconds=seconds,
        )

    def _score(self, batch: Sequence[TextJob]) -> list[Output]:
        return self._scorer.score(batch)


def _cut(text: str, settings: Settings) -> tuple[str, bool]:
    """The text before the first stop string, and whether there is one."""
    found = [at for stop in settings.stop if (at := text.find(stop)) >= 0]
    return (text[: min(found)], True) if found else (text, False)


def listed(value: int | list[int] | None) -> list[int]:
    """Tokens as a list, which checkpoints give as one, several or none."""
    return value if isinstance(value, list) else [] if value is None else [value]


def positions(config: Any) -> int | None:
    """How many positions a network of that configuration has; None when they are relative, as in T5."""
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    names = ["max_position_embeddings", "max_encoder_position_embeddings", "max_seq_len"]
    if not config.is_encoder_decoder:
        names.append("n_positions")  # T5 has this too, and it limits nothing
    return next((value for name in names if isinstance(value := getattr(text, name, None), int)), None)


def useful_rows(network: Any) -> int:
    """Rows in a batch: many for small networks, whose steps cost mostly overhead; fewer as they grow."""
    parameters = sum(p.numel() for p in network.parameters())
    if network.device.type == "cpu":
        return 128 if parameters < 20e6 else 64 if parameters < 100e6 else 32 if parameters < 500e6 else 8
    return 256 if parameters < 3e9 else 64


def batch_for(network: Any) -> int:
    """Useful rows, as far as memory holds rows of an ordinary length."""
    fits = int(0.5 * free_memory(network.device)) // _row_bytes(network)
    return max(1, min(useful_rows(network), fits))


def _row_bytes(network: Any) -> int:
    """Memory of one row of an ordinary length: keys and values of every layer, and a few copies of its logits."""
    text = network.config.get_text_config(decoder=True)
    width = int(getattr(text, "hidden_size", 0) or 4096)
    layers = int(getattr(text, "num_hidden_layers", 0) or 32)
    heads = getattr(text, "num_attention_heads", None)
    groups = getattr(text, "num_key_value_heads", None)
    if isinstance(heads, int) and isinstance(groups, int):
        width = width * groups // heads
    tokens = min(positions(network.config) or 2048, 2048)
    return 2 * tokens * layers * width * network.dtype.itemsize + 16 * int(text.vocab_size)


@contextmanager
def quiet(logging: Any = logging) -> Iterator[None]:
    """No progress bars and advice of transformers inside, or of the library whose ``logging`` this is.

    They speak to people who write code with it.

    Levels of handlers are set, not that of the logger: for that Python forgets what it knows of every logger there is,
    which takes a millisecond, and prompts are counted by the thousand.
    """
    shown, heard = logging.is_progress_bar_enabled(), [(each, each.level) for each in logging.get_logger().handlers]
    logging.disable_progress_bar()
    for handler, level in heard:
        handler.setLevel(max(level, ERROR))
    try:
        yield
    finally:
        for handler, level in heard:
            handler.setLevel(level)
        if shown:
            logging.enable_progress_bar()
