# pyright: basic
"""``hf/PATH`` and ``hf/ORG/NAME``: causal and sequence-to-sequence models of transformers, in batches.

What a request is answered does not depend on its batch: padding is masked and positions are counted without it, and
every row samples with a generator of its own, seeded by the request.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whygen.errors import MissingError, MissingExtraError
from whygen.models.registry import ModelOptions, Provider
from whygen.types import Chat, Edit, Failure, JsonValue, Limits, Output, Request, Settings, TokenScore

if TYPE_CHECKING:
    import torch

_HASHED_WHOLE = 64 * 2**20
"""Files up to this size are hashed whole; of larger ones size, beginning (a safetensors header) and end."""
_EDGE = 2**20
_SCORED_AT_ONCE = 2**27
"""Logits held at a time while scoring: half a gigabyte in single precision."""


class HfModel:
    """A transformers model (`PreTrainedModel`) with its tokenizer (`PreTrainedTokenizerBase`)."""

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
        self._identity = {"uri": uri, **(identity or {})}
        self._batch = batch_size or _batch_for(network)
        self._pad = _pad_id(tokenizer)

    @property
    def uri(self) -> str:
        return self._uri

    @property
    def limits(self) -> Limits:
        return Limits(max_batch=self._batch)

    @property
    def identity(self) -> Mapping[str, JsonValue]:
        """URI, digest of the files (or commit of the hub), and precision."""
        return self._identity

    @property
    def context_tokens(self) -> int | None:
        """Positions the model has, prompt and answer together; None when it has no limit."""
        return _positions(self.network.config)

    def count_tokens(self, request: Request) -> int:
        """Tokens of the prompt as it is sent, template included."""
        return len(self._ids(request))

    def answer(self, requests: Sequence[Request]) -> list[Output | Failure]:
        return self._serve(requests, self._generate, key=lambda request: request.settings.to_json().__repr__())

    def score(self, requests: Sequence[Request]) -> list[Output | Failure]:
        return self._serve(requests, self._score, key=lambda request: "")

    def _serve(
        self,
        requests: Sequence[Request],
        work: Callable[[list[Request], list[list[int]]], list[Output]],
        *,
        key: Callable[[Request], str],
    ) -> list[Output | Failure]:
        """Sort into batches of like settings and like length, work, and hand back in order."""
        answers: list[Output | Failure | None] = [None] * len(requests)
        ids: dict[int, list[int]] = {}
        for index, request in enumerate(requests):
            refused = self._refuse(request)
            if refused is None:
                ids[index] = self._ids(request)
                refused = self._too_long(request, len(ids[index]))
            answers[index] = refused
        order = sorted(
            (index for index, answer in enumerate(answers) if answer is None),
            key=lambda index: (key(requests[index]), -len(ids[index])),
        )
        for batch in _runs_of(order, self._batch, lambda index: key(requests[index])):
            outputs = _halving(work, [requests[i] for i in batch], [ids[i] for i in batch])
            for index, output in zip(batch, outputs, strict=True):
                answers[index] = output
        return [answer for answer in answers if answer is not None]

    def _refuse(self, request: Request) -> Failure | None:
        if isinstance(request.prompt, Edit):
            return _failure("a text model takes no image to edit", "Use an editor, such as diffusers/NAME.")
        if isinstance(request.prompt, Chat) and not self.tokenizer.chat_template:
            return _failure(f"{self._uri} has no chat template", "Give the prompt as one text.")
        return None

    def _too_long(self, request: Request, prompt_tokens: int) -> Failure | None:
        room = self.context_tokens
        if room is None or prompt_tokens < room:
            return None
        message = f"the prompt is {prompt_tokens} tokens long, {self._uri} takes {room}, its answer included"
        return _failure(message, "Shorten the prompt, or use a model with a longer context.")

    def _ids(self, request: Request) -> list[int]:
        """Token ids of the prompt, by the chat template where there is one; an empty prompt is one special token."""
        tokenizer = self.tokenizer
        if tokenizer.chat_template:
            messages = _messages(request)
            text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            return tokenizer(text, add_special_tokens=False)["input_ids"]
        ids = tokenizer(str(request.prompt))["input_ids"]
        first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        return ids or [self._pad if first is None else first]

    def _padded(self, rows: Sequence[Sequence[int]], *, side: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids and attention mask, each ``(rows, longest)``."""
        import torch

        width = max(len(row) for row in rows)
        ids = torch.full((len(rows), width), self._pad)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for i, row in enumerate(rows):
            where = slice(width - len(row), width) if side == "left" else slice(0, len(row))
            ids[i, where] = torch.tensor(row)
            mask[i, where] = 1
        device = self.network.device
        return ids.to(device), mask.to(device)

    def _generate(self, requests: list[Request], prompts: list[list[int]]) -> list[Output]:
        import torch

        begun = time.perf_counter()
        settings = requests[0].settings
        ids, mask = self._padded(prompts, side="left")
        seq2seq = bool(self.network.config.is_encoder_decoder)
        with torch.inference_mode():
            out = self.network.generate(
                input_ids=ids, attention_mask=mask, **self._how(requests, settings, ids.shape[1], seq2seq)
            )
        new = out[:, 1:] if seq2seq else out[:, ids.shape[1] :]
        seconds = (time.perf_counter() - begun) / len(requests)
        return [
            self._output(row, len(prompt), settings, seconds) for row, prompt in zip(new.tolist(), prompts, strict=True)
        ]

    def _how(self, requests: list[Request], settings: Settings, width: int, seq2seq: bool) -> dict[str, Any]:
        """Arguments of ``generate``: the settings say everything, nothing is left to the checkpoint's own defaults."""
        from transformers import GenerationConfig, LogitsProcessorList

        room = self.context_tokens
        tokens = settings.max_tokens if room is None or seq2seq else max(1, min(settings.max_tokens, room - width))
        ends = _end_ids(self.network, self.tokenizer)
        how: dict[str, Any] = {
            "generation_config": GenerationConfig(
                do_sample=False,
                max_new_tokens=tokens,
                pad_token_id=self._pad,
                eos_token_id=ends or None,
                bos_token_id=self.tokenizer.bos_token_id,
                decoder_start_token_id=getattr(self.network.generation_config, "decoder_start_token_id", None),
                use_cache=True,
            )
        }
        if settings.stop:
            how |= {"stop_strings": list(settings.stop), "tokenizer": self.tokenizer}
        if settings.temperature > 0:
            how["logits_processor"] = LogitsProcessorList([_sampler(requests, settings)])
        return how

    def _output(self, row: list[int], prompt_tokens: int, settings: Settings, seconds: float) -> Output:
        ends = set(_end_ids(self.network, self.tokenizer))
        end = next((i for i, token in enumerate(row) if token in ends), None)
        kept = [token for token in (row if end is None else row[:end]) if token != self._pad]
        text = self.tokenizer.decode(kept, skip_special_tokens=True)
        cut = min((at for stop in settings.stop if (at := text.find(stop)) >= 0), default=None)
        text = text if cut is None else text[:cut]
        stopped = end is not None or cut is not None
        return Output(
            text=text.strip() if self.tokenizer.chat_template else text,
            finish="stop" if stopped else "length",
            tokens_in=prompt_tokens,
            tokens_out=len(kept) + (end is not None),
            seconds=seconds,
        )

    def _score(self, requests: list[Request], prompts: list[list[int]]) -> list[Output]:
        """Teacher-forced log-probabilities, one pass for as many rows as the logits' memory allows.

        Rows are padded on the right, where a causal model cannot see it.
        """
        texts = [request.continuation or "" for request in requests]
        encoded = [self._continuation(text) for text in texts]
        longest = max(len(a) + len(b) for a, (b, _) in zip(prompts, encoded, strict=True))
        vocabulary = int(self.network.get_output_embeddings().weight.shape[0])
        at_once = max(1, _SCORED_AT_ONCE // (longest * vocabulary))
        outputs: list[Output] = []
        for start in range(0, len(requests), at_once):
            rows = slice(start, start + at_once)
            outputs += self._score_rows(prompts[rows], encoded[rows])
        return outputs

    def _continuation(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Token ids of a continuation and the characters each adds; together they cover the text without gaps.

        A character that several tokens share belongs to the first of them; the others have no width.
        """
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=self.tokenizer.is_fast)
        ids = list(encoded["input_ids"])
        if self.tokenizer.is_fast:
            ends = [int(end) for _, end in encoded["offset_mapping"]]
        else:
            ends = [len(self.tokenizer.decode(ids[: i + 1])) for i in range(len(ids))]
        spans: list[tuple[int, int]] = []
        position = 0
        for index, end in enumerate(ends):
            stop = len(text) if index == len(ends) - 1 else min(max(position, end), len(text))
            spans.append((position, stop))
            position = stop
        return ids, spans

    def _score_rows(
        self, prompts: Sequence[list[int]], encoded: Sequence[tuple[list[int], list[tuple[int, int]]]]
    ) -> list[Output]:
        import torch

        begun = time.perf_counter()
        with torch.inference_mode():
            if self.network.config.is_encoder_decoder:
                start = self.network.generation_config.decoder_start_token_id
                ids, mask = self._padded(prompts, side="right")
                decoder, seen = self._padded([[start, *row] for row, _ in encoded], side="right")
                logits = self.network(
                    input_ids=ids, attention_mask=mask, decoder_input_ids=decoder, decoder_attention_mask=seen
                ).logits
                firsts = [0] * len(prompts)
            else:
                ids, mask = self._padded([a + b for a, (b, _) in zip(prompts, encoded, strict=True)], side="right")
                logits = self.network(input_ids=ids, attention_mask=mask).logits
                firsts = [len(prompt) - 1 for prompt in prompts]
        seconds = (time.perf_counter() - begun) / len(prompts)
        outputs: list[Output] = []
        for i, (row, spans) in enumerate(encoded):
            values = torch.log_softmax(logits[i, firsts[i] : firsts[i] + len(row)].float(), dim=-1)
            picked = values[torch.arange(len(row)), torch.tensor(row, dtype=torch.long)].tolist() if row else []
            scores = tuple(TokenScore(a, b, value) for (a, b), value in zip(spans, picked, strict=True))
            outputs.append(
                Output(finish="scored", tokens_in=len(prompts[i]) + len(row), seconds=seconds, scores=scores)
            )
        return outputs


def _failure(message: str, advice: str) -> Failure:
    return Failure(kind="permanent", message=message, advice=advice)


def _messages(request: Request) -> list[dict[str, str]]:
    if isinstance(request.prompt, Chat):
        return [{"role": message.role, "content": message.text} for message in request.prompt.messages]
    return [{"role": "user", "content": str(request.prompt)}]


def _positions(config: Any) -> int | None:
    if config.is_encoder_decoder and not hasattr(config, "max_position_embeddings"):
        return None  # relative positions, as in T5
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    for name in ("max_position_embeddings", "n_positions"):
        if isinstance(value := getattr(text, name, None), int):
            return value
    return None


def _pad_id(tokenizer: Any) -> int:
    for candidate in (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.bos_token_id):
        if candidate is not None:
            return int(candidate)
    return 0


def _end_ids(network: Any, tokenizer: Any) -> list[int]:
    """Tokens that end an answer, as the checkpoint's generation settings and the tokenizer name them."""
    ends: list[int] = []
    for value in (network.generation_config.eos_token_id, tokenizer.eos_token_id):
        ends += value if isinstance(value, list) else [] if value is None else [value]
    return list(dict.fromkeys(int(end) for end in ends))


def _batch_for(network: Any) -> int:
    """Rows in a batch: many for small networks, whose steps cost mostly overhead; fewer as they grow."""
    parameters = sum(p.numel() for p in network.parameters())
    if network.device.type == "cpu":
        return 128 if parameters < 20e6 else 32 if parameters < 500e6 else 8
    return 256 if parameters < 500e6 else 64 if parameters < 3e9 else 16


def _runs_of(order: Sequence[int], size: int, key: Callable[[int], str]) -> Iterator[list[int]]:
    """Consecutive stretches of equal key, of at most ``size``."""
    batch: list[int] = []
    for index in order:
        if batch and (len(batch) == size or key(batch[0]) != key(index)):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _halving(
    work: Callable[[list[Request], list[list[int]]], list[Output]], requests: list[Request], ids: list[list[int]]
) -> list[Output]:
    """Do the work; out of memory, do it in two halves."""
    try:
        return work(requests, ids)
    except RuntimeError as error:
        if "memory" not in str(error).lower() or len(requests) == 1:
            raise
    half = len(requests) // 2
    return _halving(work, requests[:half], ids[:half]) + _halving(work, requests[half:], ids[half:])


def _sampler(requests: Sequence[Request], settings: Settings) -> Any:
    """Turns argmax into sampling: adds Gumbel noise of each row's own generator to its tempered log-probabilities.

    argmax of ``log p + Gumbel`` is a draw from p, and a row's noise depends on its request alone.
    """
    import torch
    from transformers import LogitsProcessor

    class Gumbel(LogitsProcessor):
        def __init__(self) -> None:
            self.rngs = [torch.Generator().manual_seed(request.sampling_seed) for request in requests]

        def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
            logits = torch.log_softmax(scores.float() / settings.temperature, dim=-1)
            if settings.top_p is not None:
                logits = _nucleus(logits, settings.top_p)
            uniform = torch.stack([torch.rand(logits.shape[1], generator=rng) for rng in self.rngs])
            tiny = torch.finfo(uniform.dtype).tiny
            return logits - torch.log(-torch.log(uniform.clamp(min=tiny))).to(logits.device)

    return Gumbel()


def _nucleus(logits: torch.Tensor, top_p: float) -> torch.Tensor:
    """Keep the fewest tokens whose probability reaches ``top_p`` (Holtzman et al., 2020)."""
    import torch

    ordered, where = logits.sort(dim=-1, descending=True)
    before = ordered.exp().cumsum(dim=-1) - ordered.exp()
    drop = torch.zeros_like(logits, dtype=torch.bool).scatter(-1, where, before >= top_p)
    return logits.masked_fill(drop, -torch.inf)


def open_hf(name: str, options: ModelOptions, *, uri: str | None = None) -> HfModel:
    """Open a model from a folder or the hub.

    Raises:
        MissingExtraError: if torch or transformers is not installed.
        MissingError: if there is neither such a folder nor such a model on the hub.
    """
    try:
        import torch
        import transformers
    except ImportError as error:
        raise MissingExtraError("A local language model", extra="hf", package=error.name or "transformers") from None
    device = options.device or _device()
    with _quiet(), _explained(name):
        config = transformers.AutoConfig.from_pretrained(name)
        kind: Any = (
            transformers.AutoModelForSeq2SeqLM if config.is_encoder_decoder else transformers.AutoModelForCausalLM
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(name)
        network = kind.from_pretrained(name, dtype=_dtype(options.dtype, device))
    if not any(torch.is_floating_point(p) for p in network.parameters()):
        raise MissingError(f"The model {name!r} has no weights.")
    identity: dict[str, JsonValue] = {
        "weights": files_digest(Path(name))
        if Path(name).is_dir()
        else str(getattr(network.config, "_commit_hash", "")),
        "dtype": str(network.dtype).removeprefix("torch."),
    }
    return HfModel(
        network.to(device), tokenizer, uri=uri or f"hf/{name}", identity=identity, batch_size=options.batch_size
    )


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _dtype(name: str | None, device: str) -> Any:
    """Single precision on a processor, where half is slow; the checkpoint's own on an accelerator."""
    import torch

    from whygen.errors import UnknownNameError

    known = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
    if name is None:
        return torch.float32 if device == "cpu" else "auto"
    if name not in known:
        raise UnknownNameError("dtype", name, known)
    return known[name]


def files_digest(folder: Path) -> str:
    """sha256 over names and contents of a model folder's files; of very large ones over size, beginning and end."""
    total = hashlib.sha256()
    for path in sorted(
        p for p in folder.iterdir() if p.is_file() and p.suffix in {".json", ".safetensors", ".bin", ".jinja", ".model"}
    ):
        size = path.stat().st_size
        total.update(f"{path.name}:{size}:".encode())
        with path.open("rb") as file:
            if size <= _HASHED_WHOLE:
                total.update(file.read())
            else:
                total.update(file.read(_EDGE))
                file.seek(-_EDGE, 2)
                total.update(file.read(_EDGE))
    return total.hexdigest()


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars and advice of the loading library, for as long as the loading takes."""
    from transformers.utils import logging

    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turns the many ways in which loading fails into one clear error."""
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        folder = Path(name).is_dir()
        what = "is a folder without a usable model" if folder else "is no folder, and not to be had from the hub"
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise MissingError(
            f"model='hf/{name}': {name!r} {what} ({first[:200]}). Give the path of a folder with config.json, weights "
            "and tokenizer, or a hub name such as hf/ORG/NAME with network access."
        ) from error


def provider() -> Provider:
    """``hf/``."""
    return Provider(name="hf", summary="transformers models: hf/ORG/NAME or hf/PATH", open=open_hf)
