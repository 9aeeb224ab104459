# pyright: basic
"""What rows of a batch begin with alike is read once: keys and values are kept, and texts to score share a trie.

Keys and values of an answer grow in place (`RoomyLayer`), which changes no number.

Masked prompts differ from their first varied unit on. For answers, the keys and values of what stands before it are
kept from one batch to the next. Texts to score are laid out as a trie in one row: every token stands once for all rows
that begin with the same tokens, sees the tokens on its own path alone, and has the position that it has in its row.
Equal up to rounding: `TOLERANCE`. Networks whose state is no list of keys and values by position (windows, recurrent
layers, positions that are scaled by the length of the whole) and networks that turn out to compute something else this
way are read row by row, as before.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import torch
from transformers.cache_utils import Cache, DynamicLayer

LEAST: Final = 12
"""Tokens that rows must begin with alike for keys and values to be kept: a guess, for copying them costs time too."""
TOLERANCE: Final = {torch.float64: 1e-9, torch.float32: 1e-3, torch.float16: 0.05, torch.bfloat16: 0.4}
"""How far a log-probability of a token may be from the one read row by row, in nats, by precision.

In single precision random networks stay below a tenth of it, and SmolLM2 at 0.00002; the others are bounds that random
networks keep. A network that exceeds it is read row by row.
"""


_WINDOWS: Final = ("sliding_window", "window_size", "attention_window", "attention_window_size", "attention_chunk_size")
"""What networks call a window of attention: it counts places in the row, which are others in a trie."""


def can_reuse(network: Any) -> bool:
    """Whether the state of a network is keys and values by position, which may be cut and shared anywhere."""
    config = network.config.get_text_config(decoder=True)
    if network.config.is_encoder_decoder or getattr(network, "_is_stateful", False):
        return False
    named = inspect.signature(network.forward).parameters
    if not {"past_key_values", "position_ids", "attention_mask"} <= named.keys():
        return False
    if scaled_from(network) is not None:
        return False
    kinds = getattr(config, "layer_types", None)
    if kinds is not None:
        return set(kinds) == {"full_attention"}
    return not any(getattr(config, name, None) for name in _WINDOWS)


def scaled_from(network: Any) -> int | None:
    """The length from which a network turns positions otherwise, also those before it; None: they do not depend on it.

    Such networks (rotations by ``longrope`` or ``dynamic``) compute another state for a beginning when more follows.
    """
    config = network.config.get_text_config(decoder=True)
    told = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    for rope in (told, *(each for each in told.values() if isinstance(each, dict))):
        if rope.get("rope_type", rope.get("type")) in ("longrope", "dynamic"):
            own = getattr(config, "original_max_position_embeddings", None)
            return int(rope.get("original_max_position_embeddings") or own or config.max_position_embeddings)
    return None


def shared(rows: Sequence[list[int]], *, most: int) -> int:
    """How many tokens all rows begin with alike, at most so many; the first and the last in order tell it."""
    low, high = min(rows), max(rows)
    same = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    return min(same, most)


_ROOM: Final = 64
"""Places that are made at once for keys and values still to come."""


class RoomyLayer(DynamicLayer):
    """Keys and values that have room for those of the next tokens.

    The library's own layer copies all of them for each token, which took a third of the time of answers of 150 tokens
    by a small network. What is handed out is a view, equal to the bit.
    """

    _held: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **how: Any) -> Any:
        """Put new ones behind those that are there, and give all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        assert self.keys is not None and self.values is not None  # noqa: S101, PT018 - as it was just made
        old = self.get_seq_length()
        new = old + key_states.shape[-2]
        held = self._held
        # What somebody cut or reordered since lies elsewhere.
        if held is None or new > held[0].shape[-2] or self.keys.data_ptr() != held[0].data_ptr():
            held = self._held = _roomier(key_states, new), _roomier(value_states, new)
            if old:
                held[0][..., :old, :], held[1][..., :old, :] = self.keys, self.values
        held[0][..., old:new, :], held[1][..., old:new, :] = key_states, value_states
        self.keys, self.values = held[0][..., :new, :], held[1][..., :new, :]
        return self.keys, self.values


def _roomier(states: torch.Tensor, length: int) -> torch.Tensor:
    return states.new_empty((*states.shape[:-2], length + _ROOM, states.shape[-1]))


class KeptState:
    """Keys and values of one beginning, of which any first part can be had for any number of rows."""

    def __init__(self, network: Any) -> None:
        self._network = network
        # Only where attention is the library's own is it known to read a view.
        sdpa = getattr(network.config, "_attn_implementation", None) == "sdpa"
        self._layer = RoomyLayer if sdpa else DynamicLayer
        self._ids: list[int] = []
        self._layers: list[tuple[torch.Tensor, torch.Tensor]] = []

    def known(self, ids: list[int]) -> int:
        """How many of these tokens are kept already."""
        return shared([self._ids, ids], most=len(ids)) if self._ids else 0

    def cache(self, ids: list[int], rows: int) -> Cache:
        """The state after these tokens, for so many rows. Reads what is not known yet, once."""
        known = self.known(ids)
        if known < len(ids):
            self._read(ids, known)
        return self._state(len(ids), rows)

    def forget(self) -> None:
        """Give the memory back."""
        self._ids, self._layers = [], []

    def _read(self, ids: list[int], known: int) -> None:
        cache = self._state(known, 1)
        new = torch.tensor([ids[known:]], device=self._network.device)
        mask = torch.ones((1, len(ids)), dtype=torch.long, device=new.device)
        # The state is wanted, not the logits; one row of them is the fewest that every network can give.
        crop = {"logits_to_keep": 1} if crops_logits(self._network) else {}
        self._network(input_ids=new, attention_mask=mask, past_key_values=cache, use_cache=True, **crop)
        self._ids = list(ids)
        self._layers = [(layer.keys, layer.values) for layer in cast(list[Any], cache.layers)]

    def _state(self, length: int, rows: int) -> Cache:
        cache = Cache(layer_class_to_replicate=self._layer)
        for i, (keys, values) in enumerate(self._layers if length else ()):
            cache.update(
                keys[:, :, :length].expand(rows, -1, -1, -1), values[:, :, :length].expand(rows, -1, -1, -1), i
            )
        return cache


def crops_logits(network: Any) -> bool:
    """Whether a network computes logits at the wanted positions alone."""
    return "logits_to_keep" in inspect.signature(network.forward).parameters


class Reuse:
    """Whether, and how far, one network's batches read alike beginnings once.

    Args:
        network: a language model.
        kept_on: whether keys and values outlive a batch. They are dropped when a weight has changed; what else may be
            done to a network that somebody holds nobody tells, so for such a one they are not kept.
    """

    def __init__(self, network: Any, *, kept_on: bool) -> None:
        self.able = can_reuse(network)
        self._network = network
        self._kept = KeptState(network)
        self._kept_on = kept_on
        self._stamp: list[tuple[int, int]] = []
        self._trusted: dict[str, bool] = {}
        self._tried: dict[str, int] = {}

    def beginning(self, rows: Sequence[list[int]]) -> int:
        """How many tokens of these prompts are to be read once, all but one of the shortest at most; 0: none."""
        if not self.able:
            return 0
        self._check_kept()
        same = shared(rows, most=min(map(len, rows)) - 1)
        if len(rows) == 1:
            same = min(same, self._kept.known(rows[0]))
        return same if same >= LEAST else 0

    def cache(self, ids: list[int], rows: int) -> Cache:
        """The state after these tokens, for so many rows; after none where none are given."""
        return self._kept.cache(ids, rows)

    def trusted(self, verb: str, by: Callable[[int], torch.Tensor], known: int, *, size: int) -> bool:
        """Whether a network computes the same this way; tried with the batch at hand.

        Args:
            verb: ``answer`` or ``score``.
            by: log-probabilities by the way of so many tokens read once; 0: the plain way.
            known: how many there are.
            size: tokens that are read at once. It is tried again when they are more than twice those of any trial,
                since a window that no configuration tells shows in long rows alone.
        """
        if verb not in self._trusted or (self._trusted[verb] and size > 2 * self._tried[verb]):
            try:
                apart = (by(known) - by(0)).abs()
                near = bool((apart <= TOLERANCE.get(self._network.dtype, 0.0)).all())
            except (RuntimeError, ValueError, TypeError, IndexError, AttributeError, NotImplementedError) as error:
                if "memory" in str(error).lower():
                    raise
                near = False
            self._trusted[verb], self._tried[verb] = near, size
        return self._trusted[verb]

    def _check_kept(self) -> None:
        stamp = [(weight.data_ptr(), weight._version) for weight in self._network.parameters()] if self._kept_on else []
        if not stamp or stamp != self._stamp:
            self._kept.forget()
        self._stamp = stamp


@dataclass(slots=True)
class Trie:
    """Rows of tokens with their common beginnings merged, each node after its parent.

    Attributes:
        tokens: of each node.
        parents: of each node; -1 before the first token.
        depths: place of each node's token in its rows.
        paths: the nodes of each row, in order.
    """

    tokens: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    paths: list[list[int]] = field(default_factory=list)
    _children: dict[tuple[int, int], int] = field(default_factory=dict)

    def add(self, row: Sequence[int]) -> None:
        """Add a row."""
        node, path = -1, []
        for depth, token in enumerate(row):
            child = self._children.get((node, token))
            if child is None:
                child = len(self.tokens)
                self._children[node, token] = child
                self.tokens.append(token)
                self.parents.append(node)
                self.depths.append(depth)
            node = child
            path.append(node)
        self.paths.append(path)

    def new(self, row: Sequence[int]) -> int:
        """How many nodes a row would add."""
        node = -1
        for depth, token in enumerate(row):
            child = self._children.get((node, token))
            if child is None:
                return len(row) - depth
            node = child
        return 0

    def seen(self) -> torch.Tensor:
        """Which nodes each node sees: itself and those before it on its path, shape ``(nodes, nodes)``."""
        rows = torch.zeros((len(self.tokens), len(self.tokens)), dtype=torch.bool)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                rows[node] = rows[parent]
            rows[node, node] = True
        return rows


def packed(rows: Sequence[list[int]], most: int) -> list[tuple[list[int], Trie]]:
    """Tries of at most so many nodes (one row may be longer), and the places of their rows.

    Rows are taken in the order of their tokens, in which those that share most stand next to each other.
    """
    packs: list[tuple[list[int], Trie]] = []
    for place in sorted(range(len(rows)), key=lambda place: rows[place]):
        if not packs or len(packs[-1][1].tokens) + packs[-1][1].new(rows[place]) > most:
            packs.append(([], Trie()))
        packs[-1][0].append(place)
        packs[-1][1].add(rows[place])
    return packs


def pack_logits(network: Any, trie: Trie, cache: Cache, begun: int, wanted: Sequence[int]) -> torch.Tensor:
    """Logits after the wanted nodes of a trie that goes on from a state of so many tokens, ``(wanted, vocabulary)``."""
    device, count = network.device, len(trie.tokens)
    ids = torch.tensor([trie.tokens], device=device)
    places = torch.tensor([trie.depths], device=device) + begun
    seen = torch.cat([torch.ones((count, begun), dtype=torch.bool), trie.seen()], dim=1)
    # Added to the scores of attention: nothing where a node is seen, the lowest number where it is not.
    hidden = torch.zeros((1, 1, count, begun + count), dtype=network.dtype)
    hidden.masked_fill_(~seen, torch.finfo(network.dtype).min)
    which = torch.tensor(list(wanted), device=device)
    crop = {"logits_to_keep": which} if crops_logits(network) else {}
    out = network(
        input_ids=ids, attention_mask=hidden.to(device), position_ids=places, past_key_values=cache, use_cache=True,
        **crop,
    )  # fmt: skip
    return out.logits[0] if crop else out.logits[0, which]
