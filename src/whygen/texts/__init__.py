"""Texts as people write them: where words, sentences and characters end, which language it is, how files are read."""

from whygen.texts.differences import Stretch as Stretch
from whygen.texts.differences import differences as differences
from whygen.texts.files import MAX_TEXT_BYTES as MAX_TEXT_BYTES
from whygen.texts.files import decoded as decoded
from whygen.texts.files import read_text_file as read_text_file
from whygen.texts.languages import common_words as common_words
from whygen.texts.languages import language_of as language_of
from whygen.texts.languages import name_of_language as name_of_language
from whygen.texts.segments import Span as Span
from whygen.texts.segments import character_edges as character_edges
from whygen.texts.segments import find_all as find_all
from whygen.texts.segments import has_word as has_word
from whygen.texts.segments import is_word_edge as is_word_edge
from whygen.texts.segments import nfc as nfc
from whygen.texts.segments import reads_as_one as reads_as_one
from whygen.texts.segments import unspaced_scripts as unspaced_scripts
from whygen.texts.segments import word_edges as word_edges
from whygen.texts.segments import word_spans as word_spans
from whygen.texts.sentences import sentence_spans as sentence_spans


def counted(count: int, noun: str) -> str:
    """``1 call``, ``2 calls``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
