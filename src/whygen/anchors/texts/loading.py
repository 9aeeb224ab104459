# pyright: basic
"""Texts from where people keep them: lists, files of lines, JSON Lines, tables, data sets.

``PATH#COLUMN`` names the column of a table, a file of JSON or a data set. A column ``prompt`` beside it holds what each
text answers, a column ``label`` its label. Of a chat (``messages``) the last answer is the text, and what was said
before is its prompt.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any

from whygen._arguments import short
from whygen.anchors.memorising import parts_by_role, settle_roles
from whygen.errors import DataError, MissingError, MissingExtraError, UsageError
from whygen.files import is_there
from whygen.results.anchors_memorised import RoleName
from whygen.safe import read_json, says
from whygen.texts import counted, read_text_file

MOST_TEXTS = 20_000
MOST_BYTES = 256 * 2**20
"""Of a file of texts."""
LONGEST = 2**20
"""Characters of one text."""
COLUMNS = ("text", "texts", "content", "sentence", "document", "story", "completion", "response", "output", "answer")
"""Columns that hold the texts, unless another is named."""
PROMPT = "prompt"
LABEL = "label"


@dataclass(frozen=True, slots=True)
class TextAnchor:
    """A text; what it answers, its label, and what it is to the model (see `ROLES`), if anything."""

    text: str
    prompt: str = ""
    label: str | int | None = None
    role: RoleName | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSet:
    """Texts with where they come from.

    Attributes:
        anchors: in their order.
        source: for the report.
        dropped: blank lines of a file of lines.
    """

    anchors: tuple[TextAnchor, ...]
    source: str
    dropped: int = 0

    def __len__(self) -> int:
        return len(self.anchors)


def load_texts(source: object, argument: str = "anchors") -> TextSet:
    """Texts from a path, a list, or whatever gives texts or rows one after another.

    A path is a file of lines (``.txt``: a text a line), JSON Lines or JSON (a list of texts or of objects), a table
    (``.csv``, ``.tsv``, ``.parquet``) with ``#COLUMN``, a folder of ``.txt`` files (a text a file), or one that
    ``Dataset.save_to_disk`` wrote. Rows are texts, ``(prompt, text)``, or mappings with a column of `COLUMNS`.

    Args:
        source: where they are.
        argument: what messages call it.

    Raises:
        MissingError: if there is nothing at the path.
        DataError: if it holds no texts, too many, or what is no text; names the row.
    """
    if isinstance(source, TextSet):
        return source
    if isinstance(source, str | Path):
        found = _from_path(str(source), argument)
    else:
        found = TextSet(anchors=_anchors(_rows(source, argument), argument), source="list of texts")
    if not found.anchors:
        raise DataError(f"{argument} holds no text. Give a list of texts, or a file with one text a line.")
    return found


def _from_path(named: str, argument: str) -> TextSet:
    path, _, column = named.partition("#") if "#" in named and not is_there(named) else (named, "", "")
    place = Path(path)
    if "\n" in named or not is_there(path):
        raise MissingError(
            f"{argument} {short(named)} is no file or folder. Give the path of a file of texts, such as texts.txt; a "
            f"single text is given in a list: [{short(named)}]."
        )
    if place.is_dir():
        return _from_folder(place, column or None, argument)
    suffix = place.suffix.lower()
    if suffix == ".parquet":
        return TextSet(anchors=_anchors(_parquet(place), argument, column or None), source=named)
    text = read_text_file(place, f"The file of {argument}", most=MOST_BYTES)
    if suffix in (".jsonl", ".ndjson"):
        rows: Iterable[object] = _json_lines(text, place)
    elif suffix == ".json":
        rows = _json_list(text, place)
    elif suffix in (".csv", ".tsv"):
        rows = _table(text, place, "\t" if suffix == ".tsv" else ",")
    else:
        lines = text.split("\n")
        kept = [line for line in lines if line.strip()]
        blank = len(lines) - len(kept) - (not lines[-1])
        return TextSet(anchors=_anchors(kept, argument), source=named, dropped=blank)
    return TextSet(anchors=_anchors(rows, argument, column or None), source=named)


def _from_folder(place: Path, column: str | None, argument: str) -> TextSet:
    files = sorted(place.glob("*.txt"))
    if files and column is None:
        texts = [read_text_file(file, f"A text of {argument}") for file in itertools.islice(files, MOST_TEXTS + 1)]
        return TextSet(anchors=_anchors(texts, argument), source=str(place))
    try:
        import datasets
    except ImportError as error:
        raise MissingExtraError("Reading a saved data set", extra="dev", package="datasets") from error
    try:
        found: Any = datasets.load_from_disk(str(place))
    except Exception as error:  # of datasets, of pyarrow ...
        raise DataError(
            f"{argument} {str(place)!r} holds no .txt file, and is no data set that save_to_disk wrote."
        ) from error
    return TextSet(anchors=_anchors(_rows(found, argument), argument, column), source=str(place))


def _parquet(place: Path) -> list[dict[str, Any]]:
    try:
        from whygen.tables import read_rows
    except ImportError as error:
        raise MissingExtraError("Reading parquet", extra="tables", package="pyarrow") from error
    try:
        return read_rows(place, most=MOST_BYTES)
    except (ValueError, OSError) as error:
        raise DataError(f"{str(place)!r} cannot be read as parquet: {error}.") from None


def _json_lines(text: str, place: Path) -> Iterable[object]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield read_json(line)
            except ValueError as error:
                raise DataError(
                    f"Line {number} of {str(place)!r} is no JSON ({error}). Give one text or object a line."
                ) from None


def _json_list(text: str, place: Path) -> Iterable[object]:
    try:
        found = read_json(text)
    except ValueError as error:
        raise DataError(f"{str(place)!r} is no JSON ({error}).") from None
    if not isinstance(found, list):
        raise DataError(f"{str(place)!r} holds a {type(found).__name__}; give a list of texts or objects.")
    return found


def _table(text: str, place: Path, delimiter: str) -> Iterable[object]:
    csv.field_size_limit(LONGEST)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for row in reader:
            yield {name: cell for name, cell in row.items() if name is not None}
    except csv.Error as error:
        raise DataError(f"Line {reader.line_num} of {str(place)!r} cannot be read ({error}).") from None


def _rows(source: Any, argument: str) -> list[object]:
    """The rows of a list, a data set or a series; of a data frame too. One more than is taken, at most."""
    if isinstance(source, bytes | Mapping) or not hasattr(source, "__iter__"):
        what = f"a data set of parts ({', '.join(map(str, source))})" if isinstance(source, Mapping) else "no texts"
        name = type(source).__name__
        by_role = ', or by role: {"training": ..., "held-out": ..., "foreign": ...}' if argument == "anchors" else ""
        raise DataError(
            f"{argument} is a {name}, {what}. Give a list of texts, one part, or the path of a file{by_role}."
        )
    try:
        if hasattr(source, "to_dict") and hasattr(source, "columns"):  # pandas
            source = source.to_dict("records")
        elif hasattr(source, "iter_rows") and hasattr(source, "columns"):  # polars
            source = source.iter_rows(named=True)
        return list(itertools.islice(source, MOST_TEXTS + 1))
    except Exception as error:  # of things of others
        raise DataError(f"{argument} cannot be gone through: {says(error)}. Give a list of texts.") from error


def _anchors(rows: Iterable[object], argument: str, column: str | None = None) -> tuple[TextAnchor, ...]:
    found: list[TextAnchor] = []
    for number, row in enumerate(rows):
        if number == MOST_TEXTS:
            raise DataError(f"{argument} holds more than {MOST_TEXTS:,} texts. Give a part of them, drawn at random.")
        found.append(_anchor(row, f"{argument}[{number}]", column))
    return tuple(found)


def _anchor(row: Any, what: str, column: str | None) -> TextAnchor:
    prompt: object = ""
    label: str | int | None = None
    if isinstance(row, TextAnchor):
        return row
    if isinstance(row, Mapping):
        row = _of_turns(row, column)
        name = column or _column(row, what)
        if name not in row:
            raise DataError(f"{what} has no column {name!r}; it has {', '.join(map(repr, row))}.")
        prompt = (row.get(PROMPT) or "") if name != PROMPT else ""
        row, label = row[name], _label(row.get(LABEL)) if name != LABEL else None
    elif isinstance(row, tuple) and len(row) == 2:
        prompt, row = row
    for part, called in ((row, what), (prompt, f"the prompt of {what}")):
        if not isinstance(part, str):
            more = (
                " Decode it: .decode('utf-8')."
                if isinstance(part, bytes)
                else " The anchors of a language model are texts: give each as a str."
            )
            raise DataError(f"{called} is {short(part)}, of type {type(part).__name__}, and no text.{more}")
        if len(part) > LONGEST:
            raise DataError(f"{called} has {len(part):,} characters; a text may have {LONGEST:,}. Cut it into parts.")
    return TextAnchor(str(row), str(prompt), label)


def _label(cell: object) -> str | int | None:
    """A cell of a column of labels; what is neither a text nor a whole number labels nothing."""
    return cell if isinstance(cell, str | int) and not isinstance(cell, bool) and cell != "" else None


def _of_turns(row: Mapping[str, Any], column: str | None) -> Mapping[str, Any]:
    """A row as it is; of a chat its last answer as the text, and what was said before as the prompt.

    A column within another is named with a dot: ``body.text``.
    """
    if column is not None and column not in row and "." in column:
        within = reduce(
            lambda held, part: held.get(part) if isinstance(held, Mapping) else None, column.split("."), row
        )
        return row if within is None else {**row, column: within}
    turns = row.get(column or "messages") if column or not any(name in row for name in COLUMNS) else None
    if not isinstance(turns, list) or not turns or not all(isinstance(turn, Mapping) for turn in turns):
        return row
    said = [turn.get("content") or turn.get("value") for turn in turns]
    if not all(isinstance(each, str) for each in said):
        return row
    return {**row, PROMPT: "\n".join(said[:-1]), column or "text": said[-1]}


def _column(row: Mapping[str, object], what: str) -> str:
    """The column that holds the texts: a usual name, else the only one that holds a text."""
    if (usual := next((name for name in COLUMNS if name in row), None)) is not None:
        return usual
    texts = [name for name, cell in row.items() if isinstance(cell, str) and name not in (PROMPT, LABEL)]
    if len(texts) == 1:
        return texts[0]
    raise DataError(
        f"{what} has the columns {', '.join(map(repr, row))}, and none is called text. Name the one that holds the "
        "texts: PATH#COLUMN, or data[COLUMN]."
    )


def load_parts(source: object, *, roles: object = None, labels: Any = None) -> TextSet:
    """The anchors with their roles and labels, given beside them, or as the keys of what holds the anchors.

    Args:
        source: as `load_texts` takes it, or such sources by role.
        roles: one of `ROLES` for all, or for each.
        labels: of the texts, which override those of the source.

    Raises:
        UsageError: if roles are given both ways.
        DataError: if roles or labels are not as many as the texts.
    """
    parts = parts_by_role(source)
    if parts is not None and roles is not None:
        raise UsageError("The anchors are given by role, and roles= too; give one of the two.")
    if parts is None:
        found = load_texts(source)
        settled = settle_roles(roles, len(found)) or (None,) * len(found)
    else:
        sets = {role: load_texts(part, f"anchors[{role!r}]") for role, part in parts.items()}
        found = TextSet(
            anchors=tuple(anchor for each in sets.values() for anchor in each.anchors),
            source="; ".join(f"{role}: {each.source}" for role, each in sets.items()),
            dropped=sum(each.dropped for each in sets.values()),
        )
        settled = tuple(role for role, each in sets.items() for _ in each.anchors)
    own = [anchor.label for anchor in found.anchors] if labels is None else _given_labels(labels, len(found))
    anchors = (replace(a, role=role, label=label) for a, role, label in zip(found.anchors, settled, own, strict=True))
    return replace(found, anchors=tuple(anchors))


def _given_labels(labels: Any, n: int) -> list[str | int | None]:
    rows = list(labels.tolist() if hasattr(labels, "tolist") else labels)
    if isinstance(labels, str) or len(rows) != n:
        raise DataError(f"There are {len(rows)} labels for {counted(n, 'text')}; give one for each.")
    return [_label(row) for row in rows]


def load_twins(source: object, anchors: Sequence[TextAnchor]) -> list[list[str]]:
    """Twins as a person gives them: one for each anchor, or a list for each; equally many.

    Raises:
        DataError: if they are not as many as the anchors, or one anchor has more than another.
    """
    rows: list[Any] = (
        [row.text for row in load_texts(source, "twins").anchors]
        if isinstance(source, str | Path)
        else _rows(source, "twins")
    )
    if len(rows) != len(anchors):
        raise DataError(f"twins holds {len(rows)} for {len(anchors)} anchors. Give one, or a list, for each.")
    each: list[Any] = [[row] if isinstance(row, str) else row for row in rows]
    for number, twins in enumerate(each):
        is_list = isinstance(twins, list | tuple) and bool(twins) and all(isinstance(twin, str) for twin in twins)
        if not is_list or len(twins) != len(each[0]):
            raise DataError(
                f"twins[{number}] is {short(twins)}; give a text or a list of texts, as many for each anchor as for "
                "the first."
            )
    return [list(twins) for twins in each]
