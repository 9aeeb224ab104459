"""Second stage of a report, for a terminal: a summary becomes rich renderables.

Model text is only ever wrapped in `rich.text.Text`, never read as markup, and its control characters are made visible.
Signs are told by ``▲`` and ``▼``, so nothing depends on colour.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from whygen.report.colours import LEVELS, LIGHT, Sign, step
from whygen.report.svg import Axis
from whygen.report.text_anchors import roles_shown, table_of
from whygen.report.texts import counted, shorten, visible

MOST_ROWS = 40
MOST_OUTPUT = 600
MOST_NAME = 34
NARROW = 70
"""Below this width the table keeps only the unit, its mark, its bar and its attribution."""
_ASCII = str.maketrans("▲▼·−–█│“”‘’…²⟨⟩", "^v.--#|\"\"''~2<>")
"""Marks for consoles that know ASCII alone; each is one cell wide, as what it stands for."""


def terminal(summary: Mapping[str, Any]) -> RenderableType:
    """What a terminal shows of the summary of a prompt."""
    return _Terminal(summary)


@dataclass(frozen=True, slots=True)
class _Terminal:
    """Renders with the width and the character set of the console it is printed on."""

    summary: Mapping[str, Any]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        del console
        summary, width = self.summary, options.max_width
        parts = [
            Text(visible(summary["headline"]), style="bold"),
            *_why(summary.get("why")),
            *_warnings(summary["warnings"]),
            _titled("Prompt, level by level", tree_lines(summary["tree"], width - 2))
            if summary["tree"]
            else _titled("Conversation", talk_lines(summary))
            if summary["talk"]
            else _titled("Prompt", _prompt(summary)),
            _legend(summary),
            *([] if summary["talk"] else [_titled("Output", _output(summary["reference"]))]),
            _titled("Attributions", _units(summary, width)),
            *_hidden(summary),
            _titled("How far to trust it", _facts(summary)),
        ]
        yield Group(*(_plain(part) if options.ascii_only else part for part in parts))


def _plain(part: RenderableType) -> RenderableType:
    """Marks in ASCII for consoles that have nothing else, and a question mark for every other character."""
    return _Translated(part)


@dataclass(frozen=True, slots=True)
class _Translated:
    part: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self.part, options):
            yield segment._replace(text=segment.text.translate(_ASCII).encode("ascii", "replace").decode())


def _titled(title: str, body: RenderableType) -> RenderableType:
    return Group(Text(), Text(title, style="bold cyan"), Padding(body, (0, 0, 0, 2)))


def _warnings(items: Iterable[Mapping[str, Any]]) -> list[RenderableType]:
    return [
        Padding(
            Text.assemble(("! ", "bold yellow"), (f"{_spoken(item['code'])}: ", "bold yellow"), visible(item["text"])),
            (1 if index == 0 else 0, 0, 0, 0),
        )
        for index, item in enumerate(items)
    ]


def _why(found: Mapping[str, Any] | None) -> list[RenderableType]:
    """The sentences that follow the headline, and why this was explained."""
    if found is None:
        return []
    lines = [visible(sentence) for sentence in found["sentences"][1:]]
    if found["reason"]:
        lines.append(f"Explained: {visible(found['reason'])}.")
    return [Padding(Text("\n".join(lines)), (0, 0, 0, 2))] if lines else []


def _spoken(code: str) -> str:
    return visible(code).replace("_", " ").replace("-", " ").capitalize()


def _prompt(summary: Mapping[str, Any]) -> Text:
    text = Text()
    for piece in summary["pieces"]:
        if piece["kind"] == "unit":
            unit = summary["units"][piece["unit"]]
            mark = unit["mark"] if unit["significant"] else ""
            text.append(visible(piece["text"]) + mark, style=style_of(unit))
        else:
            text.append(visible(piece["text"]), style="dim italic" if piece["kind"] == "pinned" else "")
    if summary["prompt_left_out"]:
        text.append(f" … {summary['prompt_left_out']:,} more characters", style="dim italic")
    return text


def _legend(summary: Mapping[str, Any]) -> RenderableType:
    noun = summary["noun"]
    text = Text("▲", style="bold")
    text.append(f" keeping the {noun} pulls the output towards what the model said   ", style="dim")
    text.append("▼", style="bold")
    unmarked = "not told apart from noise" if summary["tested"] else "not tested against noise"
    text.append(f" pushes it away   unmarked: {unmarked}", style="dim")
    return Padding(text, (0, 0, 0, 2))


def _output(reference: Mapping[str, Any]) -> Text:
    if reference["empty"]:
        return Text("(nothing)", style="dim")
    text: str = reference["text"]
    shown = Text(visible(text[:MOST_OUTPUT]))
    left_out = reference["left_out"] + max(0, len(text) - MOST_OUTPUT)
    if left_out:
        shown.append(f" … {left_out:,} more characters", style="dim italic")
    return shown


_BESIDE_WIDE, _BESIDE_NARROW = 50, 24
"""Columns that mark, attribution, interval and p take, or mark and attribution alone, with the space between."""

_FEWEST_CELLS = 9
"""Of a bar."""


def _units(summary: Mapping[str, Any], width: int) -> RenderableType:
    wide = width >= NARROW
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim", show_edge=False)
    rest = _BESIDE_WIDE if wide else _BESIDE_NARROW
    shown = {index: _called(summary["units"][index]) for index in _shown(summary)}
    names = min(max([cell_len(text) for text in shown.values()], default=0), max(8, width - rest - _FEWEST_CELLS))
    table.add_column(summary["noun"], max_width=max(names, len(summary["noun"])), no_wrap=True, overflow="ellipsis")
    table.add_column("")
    table.add_column("", no_wrap=True)
    table.add_column("attribution", justify="right", no_wrap=True)
    if wide:
        table.add_column(f"{summary['level']} interval", justify="right", no_wrap=True)
        table.add_column("p", justify="right", no_wrap=True)
    axis = Axis(summary["axis_range"]["low"], summary["axis_range"]["high"])
    cells = max(_FEWEST_CELLS, min(25, width - rest - names))
    for index, name in shown.items():
        unit = summary["units"][index]
        row = [
            Text(name),
            Text(unit["mark"], style=_hue(unit)),
            Text(_bar(unit["attribution"], axis, cells), style=_hue(unit)),
            Text(unit["attribution_text"]),
        ]
        row += [Text(unit["interval_text"], style="dim"), Text(unit["p_text"], style="dim")] if wide else []
        table.add_row(*row, style="bold" if unit["significant"] else "")
    return table


def _called(unit: Mapping[str, Any]) -> str:
    """What a unit is called; of a long name the end, which tells it from its neighbours."""
    name = visible(unit["name"])
    if not name:
        return shorten(unit["text"], 28)
    return name if len(name) <= MOST_NAME else f"…{name[1 - MOST_NAME :]}"


def _hue(unit: Mapping[str, Any]) -> str:
    if not unit["significant"]:
        return "dim"
    return "dodger_blue1" if unit["sign"] == "pos" else "dark_orange"


def _bar(value: float, axis: Axis, cells: int) -> str:
    """A bar from the zero line, in whole cells; a value too small for one shows the line alone."""
    zero, end = round(axis.share(0.0) * (cells - 1)), round(axis.share(value) * (cells - 1))
    low, high = sorted((zero, end))
    return "".join("│" if cell == zero else "█" if low <= cell <= high else " " for cell in range(cells))


def _shown(summary: Mapping[str, Any]) -> list[int]:
    """All units in prompt order, or the largest ones if there are too many."""
    count = len(summary["units"])
    return list(range(count)) if count <= MOST_ROWS else sorted(summary["by_size"][:MOST_ROWS])


def _hidden(summary: Mapping[str, Any]) -> list[RenderableType]:
    count = len(summary["units"])
    if count <= MOST_ROWS:
        return []
    note = f"The {MOST_ROWS} largest are shown, in prompt order; {count - MOST_ROWS} smaller ones are in the report."
    return [Padding(Text(note, style="dim italic"), (0, 0, 0, 2))]


def _facts(summary: Mapping[str, Any]) -> RenderableType:
    lines: list[RenderableType] = [
        Text.assemble((fact["figure"], "bold"), f" {fact['caption']}. ", (fact["text"], "dim"))
        for fact in summary["facts"]
    ]
    if summary["seen"] is not None and summary["seen"]["share"]:
        lines.append(Text(summary["seen"]["share"]))
    if summary["at_once"]:
        lines.append(Text(summary["at_once"], style="dim"))
    if summary["fidelity"]["fitted"]:
        lines.append(Text(summary["fidelity"]["fitted"], style="dim"))
    rows: list[list[str]] = summary["made"]
    lines += [
        Text(f"{term}: {visible(text)}", style="dim") for term, text in rows if term in ("Target", "Unit", "Calls")
    ]
    return Group(*lines)


MOST_CHILDREN = 6
"""Children of one part that are listed, the largest ones in prompt order; the others are counted."""


def tree_lines(tree: Mapping[str, Any], width: int) -> Text:
    """The tree as lines no wider than ``width``."""
    text = Text(no_wrap=True, overflow="ellipsis")
    _list(text, tree["parts"], width, depth=0)
    text.rstrip()
    return text


def _list(text: Text, parts: Sequence[Mapping[str, Any]], width: int, *, depth: int) -> None:
    listed = sorted(range(len(parts)), key=lambda i: (not _matters(parts[i]), -abs(parts[i]["value"])))
    chosen = [i for i in sorted(listed[:MOST_CHILDREN]) if _matters(parts[i])]
    for i in chosen:
        _line(text, parts[i], width, depth)
        _list(text, parts[i]["children"], width, depth=depth + 1)
    if len(parts) > len(chosen):
        text.append(f"{'  ' * depth}· {counted(len(parts) - len(chosen), 'other part')}\n", style="dim")


def _matters(part: Mapping[str, Any]) -> bool:
    return part["sure"] or part["opened"]


def _line(text: Text, part: Mapping[str, Any], width: int, depth: int) -> None:
    sign: Sign = part["sign"]
    start = f"{'  ' * depth}{part['mark']} {part['value_text']}  "
    text.append(start, style="bold" if part["sure"] else "dim")
    room = max(12, width - len(start) - 2)
    ground = f"{LIGHT.ink} on {step(LIGHT, sign, max(2, part['step']))}" if part["sure"] else ""
    text.append(shorten(part["text"], room), style=ground)
    text.append("\n")


HUES = {
    "HIGH": "green",
    "LOW": "bright_black",
    "HIHE": "green",
    "HILE": "dark_orange",
    "LIHE": "dodger_blue1",
    "LILE": "bright_black",
    "BELOW": "magenta",
}
MOST_LABELS = 20


def anchors_terminal(summary: Mapping[str, Any]) -> RenderableType:
    """What a terminal shows of the summary of an anchor explanation."""
    parts: list[RenderableType] = [Text(summary["headline"], style="bold")]
    parts += [
        Text.assemble(("! ", "bold yellow"), (f"{warning['code']}: ", "bold yellow"), warning["text"])
        for warning in (*summary["warnings"], *summary["remarks"])
    ]
    parts += [
        Text(f"{fact['question']} {fact['figure']} ({fact['caption']}). {fact['text']}") for fact in summary["facts"]
    ]
    parts += [Text(), _groups(summary), Text(), _thresholds(summary)]
    if summary["power"]:
        parts += [Text(), _power(summary["power"])]
    if summary["calibrations"]:
        parts += [Text(), _calibrations(summary["calibrations"])]
    if summary["metrics"]:
        parts += [Text(), _metrics(summary["metrics"])]
    if summary["memorised"]:
        parts += [Text(), roles_shown(summary["memorised"])]
    if summary["labels"]:
        parts += [Text(), _labels(summary["labels"])]
    if summary["readings"]:
        parts += [Text(), Text(summary["readings"]["said"])]
    if summary["coverage"]:
        parts += [Text(), *(Text(sentence, style="dim") for sentence in summary["coverage"]["said"])]
    return Group(*parts)


def _groups(summary: Mapping[str, Any]) -> RenderableType:
    table = table_of("group", "anchors", "share", "95% interval", *summary["controls"])
    for group in summary["groups"]:
        figures = (f"{group['count']:,}", group["share"], group["interval"], *group["controls"])
        table.add_row(Text(group["name"], f"bold {HUES[group['name']]}"), *(Text(figure) for figure in figures))
    # Below the table, which leaves no room beside seven columns of figures: words would be broken and cut there.
    meanings = [
        Text.assemble((f"{group['name']} ", HUES[group["name"]]), (group["meaning"], "dim"))
        for group in summary["groups"]
    ]
    picks = [
        Text.assemble((f"{group['name']} ", HUES[group["name"]]), ", ".join(str(index) for index in group["selected"]))
        for group in summary["groups"]
        if group["selected"]
    ]
    return Group(
        table, *meanings, Text(), Text("Representatives (numbers of anchors)", style="dim"),
        Padding(Group(*picks), (0, 2)),
    )  # fmt: skip


def _thresholds(summary: Mapping[str, Any]) -> RenderableType:
    table = table_of("criterion", "kind", "high where", "spread")
    for row in summary["thresholds"]:
        table.add_row(*(Text(row[name]) for name in ("name", "kind", "value", "spread")))
    notes = [*summary["notes"], *filter(None, (summary["below"], summary["likeness"]))]
    return Group(table, *(Text(note, style="dim") for note in notes))


def _power(power: Mapping[str, Any]) -> RenderableType:
    """How many of each foil are called HIHE, and the AUROC of the reference against it by each criterion."""
    table = table_of("what is not the reference", "n", f"called {power['alike']}", *power["criteria"], "size")
    for row in power["rows"]:
        cells = [Text(cell["text"] if cell["tells"] else f"{cell['text']} x") for cell in row["cells"]]
        table.add_row(Text(row["name"]), Text(row["n"]), Text(row["alike"]), *cells, Text(row["size"]))
    return Group(table, Text("AUROC under each criterion; x: does not tell them apart", style="dim"))


def _calibrations(found: Mapping[str, Any]) -> RenderableType:
    table = table_of("thresholds by", *found["columns"])
    for row in found["rows"]:
        table.add_row(Text(row["name"]), *(Text(cell) for cell in row["cells"]))
    return Group(table, *(Text(sentence, style="dim") for sentence in found["said"]))


def _metrics(found: Mapping[str, Any]) -> RenderableType:
    table = table_of("generated : real", "value", "95% interval", "real : real", "95% of halves")
    for row in found["rows"]:
        table.add_row(*(Text(row[name]) for name in ("name", "value", "interval", "floor", "halves")))
    return Group(table, Text(found["note"], style="dim"))


def _labels(labels: Mapping[str, Any]) -> RenderableType:
    table = table_of("label", *labels["columns"])
    for name, cells in list(zip(labels["names"], labels["cells"], strict=True))[:MOST_LABELS]:
        table.add_row(Text(name), *(Text(cell["text"]) for cell in cells))
    return table


MOST_LINE = 160
MOST_CALL = 300


def talk_lines(summary: Mapping[str, Any]) -> RenderableType:
    """The conversation of a summary: roles as heads, parts below them, what significant ones changed under those."""
    talk, units = summary["talk"], summary["units"]
    lines: list[RenderableType] = []
    if talk["tools"]:
        lines.append(Text("tools", style="bold"))
        lines += [line for tool in talk["tools"] for line in _pieces(tool["pieces"], units)]
    for turn in talk["turns"]:
        lines.append(Text(visible(turn["name"]), style="bold"))
        lines += _pieces(turn["pieces"], units)
    answer = talk["answer"]
    lines.append(Text("answer", style="bold"))
    if answer["text"].strip() or not answer["calls"]:
        lines.append(_indented(Text(shorten(answer["text"], MOST_LINE) if answer["text"].strip() else "(nothing)")))
    lines += [_call(call) for call in answer["calls"]]
    return Group(*lines)


def _pieces(pieces: Sequence[Any], units: Sequence[Any]) -> Iterator[RenderableType]:
    for piece in pieces:
        if piece["kind"] == "part":
            yield from _part(piece, units[piece["unit"]])
        elif piece["kind"] == "call":
            yield _call(piece)
        elif piece["kind"] == "run":
            yield _indented(_run(piece["pieces"], units))
        else:
            yield _indented(Text(shorten(piece["text"], MOST_LINE), style="dim italic"))


def _run(pieces: Sequence[Any], units: Sequence[Any]) -> Text:
    words = Text()
    for piece in pieces:
        if piece["kind"] == "unit":
            unit = units[piece["unit"]]
            words.append(visible(piece["text"]) + (unit["mark"] if unit["significant"] else ""), style=style_of(unit))
        else:
            words.append(visible(piece["text"]), style="dim italic" if piece["kind"] == "text" else "")
    return words


def _part(piece: Mapping[str, Any], unit: Mapping[str, Any]) -> Iterator[RenderableType]:
    line = Text()
    if unit["significant"]:
        line.append(f"{unit['mark']} {unit['attribution_text']} ", style="bold")
    if piece["name"]:
        line.append(f"{visible(piece['name'])}: ", style="dim")
    line.append(shorten(piece["text"], MOST_LINE), style=style_of(unit))
    yield _indented(line)
    if unit["significant"] and piece["beside"]:
        yield _indented(Text(visible(piece["beside"]["sentence"]), style="italic"), by=4)


def _call(call: Mapping[str, Any]) -> RenderableType:
    line = Text("calls ", style="dim")
    line.append(visible(call["name"]), style="bold")
    line.append(f" {shorten(call['arguments'], MOST_CALL)}" if call["arguments"].strip() else "")
    return _indented(line)


def _indented(text: Text, by: int = 2) -> RenderableType:
    return Padding(text, (0, 0, 0, by))


def style_of(unit: Mapping[str, Any]) -> str:
    """Ink and ground are both set, so a step reads the same on dark and on light terminals."""
    if not unit["significant"]:
        return ""
    sign: Sign = unit["sign"]
    ground = step(LIGHT, sign, max(2, min(LEVELS, unit["step"])))
    return f"bold {'underline ' if sign == 'neg' else ''}{LIGHT.ink} on {ground}"
