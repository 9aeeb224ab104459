"""Word vectors come out of every format as they went in, and a damaged file says where."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from whygen.distances import optimal_transport
from whygen.encoders import TextEncoder, load_text_encoder
from whygen.encoders.word_vectors import open_word_vectors
from whygen.errors import FormatError, MissingError

WORDS = ["the", "cat", "sat", "Über", "life?"]
VECTORS = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)


def write(path: Path, kind: str) -> Path:
    lines = [f"{word} " + " ".join(repr(float(x)) for x in row) for word, row in zip(WORDS, VECTORS, strict=True)]
    if kind == "glove":
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    elif kind == "word2vec-text":
        path.write_text("\n".join(["5 7", *lines]) + "\n", encoding="utf-8")
    elif kind == "safetensors":
        path = path.with_suffix(".safetensors")
        words = np.frombuffer("\n".join(WORDS).encode(), dtype=np.uint8)
        save_file({"vectors": VECTORS, "words": words}, path)
    else:
        gap = b"\n" if kind == "binary-lines" else b""
        body = [w.encode() + b" " + v.astype("<f4").tobytes() + gap for w, v in zip(WORDS, VECTORS, strict=True)]
        path.write_bytes(b"5 7\n" + b"".join(body))
    return path


@pytest.mark.parametrize("kind", ["glove", "word2vec-text", "binary", "binary-lines", "safetensors"])
def test_every_format_gives_the_same_unit_vectors(tmp_path: Path, kind: str) -> None:
    vectors = open_word_vectors(write(tmp_path / "vectors.bin", kind))
    assert isinstance(vectors, TextEncoder)
    assert (len(vectors), vectors.dimensions) == (5, 7)
    expected = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors.tokens(["the cat sat Über life?"])[0], expected, atol=1e-6)


def test_lookup_forgives_case_and_punctuation_unless_told_not_to(tmp_path: Path) -> None:
    file = write(tmp_path / "vectors.txt", "glove")
    forgiving, strict = open_word_vectors(file), open_word_vectors(file, lookup="as-written")
    assert len(forgiving.tokens(['"The CAT,"'])[0]) == 2
    assert "CAT," in forgiving
    assert "CAT," not in strict
    assert not strict.tokens(["CAT,"])[0].any()


def test_an_unknown_text_is_at_distance_one_from_every_text(tmp_path: Path) -> None:
    vectors = open_word_vectors(write(tmp_path / "vectors.txt", "glove"))
    unknown, known = vectors.tokens(["zzz", "the cat"])
    assert optimal_transport([unknown], known) == pytest.approx([1.0])
    assert not vectors.sentences(["zzz"]).any()


def test_a_file_is_opened_by_the_name_of_an_encoder(tmp_path: Path) -> None:
    assert load_text_encoder(str(write(tmp_path / "vectors.vec", "word2vec-text"))).name == "vectors.vec"


def test_damage_is_named(tmp_path: Path) -> None:
    whole = write(tmp_path / "vectors.bin", "binary").read_bytes()
    cut = tmp_path / "cut.bin"
    cut.write_bytes(whole[:-9])
    with pytest.raises(FormatError, match=r"ends after 4 of 5 words"):
        open_word_vectors(cut)
    empty = tmp_path / "empty.txt"
    empty.touch()
    with pytest.raises(FormatError, match="empty"):
        open_word_vectors(empty)
    prose = tmp_path / "prose.txt"
    prose.write_text("no numbers are here\nnor there\n")
    with pytest.raises(FormatError, match="not 3 numbers"):
        open_word_vectors(prose)
    with pytest.raises(MissingError, match="no file of word vectors"):
        open_word_vectors(tmp_path / "gone.bin")


def test_a_safetensors_file_without_words_is_refused(tmp_path: Path) -> None:
    save_file({"vectors": VECTORS}, tmp_path / "bare.safetensors")
    with pytest.raises(FormatError, match="'words'"):
        open_word_vectors(tmp_path / "bare.safetensors")
