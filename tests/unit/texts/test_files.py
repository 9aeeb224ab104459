"""Text files of any system are read as their text, and what is no text is refused with what to do."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whygen.cli.common import read_text
from whygen.cli.inputs import read_inputs
from whygen.errors import DataError, MissingError
from whygen.prompt.operators.synonyms import read_lexicon
from whygen.texts import decoded, read_text_file

MARKED = {
    "utf-8-sig": "utf-8-sig", "utf-8": "utf-8", "utf-16": "utf-16", "utf-32": "utf-32",
    "utf-16-be": codecs.BOM_UTF16_BE, "utf-16-le": codecs.BOM_UTF16_LE, "utf-32-be": codecs.BOM_UTF32_BE,
}  # fmt: skip
TEXT = "Écris « deux mots » ☃\nثعلب 🦊\n"


def written(text: str, encoding: str) -> bytes:
    mark = MARKED[encoding]
    return (mark if isinstance(mark, bytes) else b"") + text.encode(encoding)


@pytest.mark.parametrize("encoding", MARKED)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_encoding_that_says_which_it_is_is_read(encoding: str, end: str, tmp_path: Path) -> None:
    data = written(TEXT.replace("\n", end), encoding)
    assert decoded(data, "x") == TEXT
    (tmp_path / "a.txt").write_bytes(data)
    assert read_text_file(tmp_path / "a.txt", "The file") == TEXT
    assert read_text(f"@{tmp_path / 'a.txt'}") == TEXT
    assert read_inputs(tmp_path / "a.txt") == TEXT.split("\n")[:2]
    (tmp_path / "a.json").write_bytes(written('["a", "é"]'.replace(" ", end), encoding))
    assert read_inputs(tmp_path / "a.json") == ["a", "é"]
    (tmp_path / "a.tsv").write_bytes(written(f"big\tlarge{end}été\thiver{end}", encoding))
    assert read_lexicon(tmp_path / "a.tsv") == {"big": "large", "été": "hiver"}


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\x00\ufeff"), max_size=40))
def test_a_text_is_read_as_it_was_written(text: str) -> None:
    assert all(decoded(written(text, encoding), "x") == text for encoding in MARKED)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("naïve".encode("latin1"), r"not UTF-8 \(byte 2 is 0xef\).*iconv -f ENCODING .* cp1252 for most Western"),
        ("“quoted”".encode("cp1252"), r"not UTF-8 \(byte 0 is 0x93\).*cp1252"),
        ("雪が".encode("shift-jis"), "not UTF-8.*shift-jis for Japanese"),
        ("plain".encode("utf-32-le"), "UTF-32 without a byte order mark.*iconv -f utf-32le"),
        ("plain".encode("utf-32-be"), "UTF-32 without a byte order mark.*iconv -f utf-32be"),
        ("a fox é".encode()[:-1], "ends in the middle of a character: it was cut short"),
        (b"%PDF-1.4\n%\xe2\xe3", "is a PDF, and no text"),
        (b"%PDF-1.4\n", "is a PDF, and no text"),
        (b"PK\x03\x04" + bytes(60), "is an archive or an Office document, and no text"),
        (b"\x1f\x8b\x08\x00", "is compressed by gzip, and no text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "is a picture, and no text"),
        ("plain".encode("utf-16-le"), "UTF-16 without a byte order mark.*iconv -f utf-16le"),
        ("plain".encode("utf-16-be"), "UTF-16 without a byte order mark.*iconv -f utf-16be"),
        (codecs.BOM_UTF16_LE + b"a", "begins as UTF-16 and does not go on so"),
        (b"\x80\x81", "not UTF-8"),
    ],
)
def test_what_cannot_be_read_says_how_to_convert_it(data: bytes, says: str) -> None:
    with pytest.raises(DataError, match=says):
        decoded(data, "The file")


def test_files_that_are_not_there_are_no_files_or_are_too_large_are_named(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"a" * 11)
    for path, error, says in (
        (tmp_path / "none", MissingError, "is not there"),
        (tmp_path, MissingError, "is no file"),
        (tmp_path / ("x" * 300), MissingError, "cannot be read"),
        ("a\x00b", MissingError, "cannot be read|is not there"),
        (tmp_path / "big", DataError, "is over"),
    ):
        with pytest.raises(error, match=says):
            read_text_file(path, "The file", most=10)


@pytest.mark.parametrize("mark", [codecs.BOM_UTF8 * 2, codecs.BOM_UTF8 * 3])
def test_marks_that_programs_put_one_after_another_are_not_sent(mark: bytes) -> None:
    assert decoded(mark + b"a fox", "The file") == "a fox"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.jsonl", '{"q": "one\u2028two"}\n\n{"q": "three"}\n', [{"q": "one\u2028two"}, {"q": "three"}]),
        ("a.txt", '{"q": "one"}\n{"q": "two"}\n', [{"q": "one"}, {"q": "two"}]),
        ("a.jsonl", '"one"\n"two"\n', ["one", "two"]),
        ("a.json", '{\n "q": "one"\n}\n', [{"q": "one"}]),
        ("a.txt", "one\u2028two\x0bthree\x85four\nfive", ["one\u2028two\x0bthree\x85four", "five"]),
        ("a.txt", '{input} or {"a"}\nmore', ['{input} or {"a"}', "more"]),
        ("a.txt", "1\n2", ["1", "2"]),
    ],
)
def test_inputs_are_json_lines_or_plain_lines_and_end_at_line_ends_alone(
    name: str, content: str, expected: list[object], tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert read_inputs(tmp_path / name) == expected


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.jsonl", '{"q": "one"}\nplain', "line 2: "),
        ("a.jsonl", '{"q": "one"}\r\n\r\n{"q": "two"}\r\n{"q": ', "line 4: "),
        ("a.json", "plain", "a JSON value on each line"),
        ("a.txt", "[1] a note\nmore", "a .txt file that does not begin with a bracket"),
        ("a.jsonl", "1\n2", "neither a list of texts"),
        ("a.jsonl", '["one"]\n["two"]', "neither a list of texts"),
        ("a.jsonl", '"one"\n{"q": "two"}', "neither a list of texts"),
        ("a.ndjson", "\n", "are empty"),
    ],
)
def test_json_lines_that_are_none_are_refused(name: str, content: str, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8", newline="")
    with pytest.raises(DataError, match="The inputs in") as refused:
        read_inputs(tmp_path / name)
    assert says in str(refused.value)
