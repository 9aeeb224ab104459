"""Second stage of a report: a summary becomes one page that needs nothing else.

No script, no network, no inline style: the page carries a policy that forbids all of it, so even text that got through
the escaping could do nothing. The JSON that it was made from is embedded as data.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from typing import Any
from unicodedata import bidirectional

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from whygen.errors import UsageError
from whygen.report import colours, svg
from whygen.report.texts import visible

ROOM = "whygen.report"
EMBEDDED_ID = "whygen-explanation"
"""The id of the element that holds the JSON."""
KINDS = ("prompt", "anchors", "compared", "texts", "many", "trimmed", "evaluated", "changes")
"""What a summary may be of; each has its template."""


def html(summary: Mapping[str, Any]) -> str:
    """One self-contained page of a summary; its ``kind`` names the template.

    Raises:
        UsageError: if it is no summary.
    """
    if summary.get("kind") not in KINDS or "document" not in summary:
        raise UsageError(
            "This is no summary of an explanation: give what whygen.results.summary.summarise(explanation) makes."
        )
    return page(f"{summary['kind']}.html.j2", summary)


def page(template: str, summary: Mapping[str, Any], *, package: str = ROOM) -> str:
    """Render a template that extends ``base.html.j2``.

    Args:
        template: a file of the folder ``templates`` of the package.
        summary: what it shows; ``title`` and ``document`` are needed by the base.
        package: whose template it is, for pages of other packages.
    """
    style = style_sheet()
    parts = {
        "style": Markup(style),  # noqa: S704 - our own style sheet
        "policy": _policy(style),
        "embedded": embed(summary["document"]),
        "embedded_id": EMBEDDED_ID,
    }
    return environment(package).get_template(template).render(**summary, **parts)


def notebook(document: str, *, height: int = 640) -> str:
    """A page in a frame, so that neither it nor the notebook around it changes the other's looks."""
    return (
        f'<iframe sandbox srcdoc="{escape(document)}" title="whygen report" '
        f'style="width:100%;height:{height}px;border:1px solid #8884;border-radius:8px"></iframe>'
    )


MOST_COMPACT = 60
"""Pieces of a prompt that the compact view shows: two or three lines."""


def compact(summary: Mapping[str, Any]) -> str:
    """What stands at the end of a cell: a fragment with styles of its own, readable on light and dark ground.

    Colours are laid over whatever is below them, and the ink is the notebook's.
    """
    fills = {"pos": colours.LIGHT.pos_fill, "neg": colours.LIGHT.neg_fill}
    template = environment(ROOM).get_template("compact.html.j2")
    return template.render(summary=summary, most=MOST_COMPACT, fills=fills, levels=colours.LEVELS)


def embed(document: Mapping[str, Any]) -> Markup:
    """JSON that may stand inside a script element: no ``<``, ``>`` or ``&``, ASCII only."""
    text = json.dumps(document, ensure_ascii=True, allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - nothing left that markup is made of


def _policy(style: str) -> str:
    """Forbid everything but the page's own style sheet, and pictures and sounds that it carries itself."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    carried = "img-src data:; media-src data:"
    return f"default-src 'none'; style-src 'sha256-{digest}'; {carried}; base-uri 'none'; form-action 'none'"


@cache
def style_sheet() -> str:
    """The style of every page: colours of both modes as custom properties, then the rules."""
    themes = {name: asdict(theme) for name, theme in (("light", colours.LIGHT), ("dark", colours.DARK))}
    steps = {
        name: [
            (sign, level, colours.step(theme, sign, level))
            for sign in ("pos", "neg")
            for level in range(1, colours.LEVELS + 1)
        ]
        for name, theme in (("light", colours.LIGHT), ("dark", colours.DARK))
    }
    return environment(ROOM).get_template("style.css.j2").render(themes=themes, steps=steps)


@cache
def environment(package: str, folder: str = "templates") -> Environment:
    """Templates of a package, before those of the reports: one of the same name takes the place of a report's own."""
    found = Environment(
        loader=ChoiceLoader([PackageLoader(package, folder), PackageLoader(ROOM, "templates")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    found.globals |= {"svg": svg, "axis": svg.Axis, "axis_over": svg.axis_over}  # pyright: ignore[reportAttributeAccessIssue]
    found.filters["apart"] = _apart
    return found


_QUOTED = re.compile("(“[^”]*”)")


def _apart(sentence: str) -> Markup:
    """An English sentence whose quoted words may be written from right to left: each of those in its own direction.

    Without this, two Arabic words of a headline change places, and so does what stands between them.
    """
    parts = _QUOTED.split(visible(sentence))
    turned = ({"R", "AL"} & {bidirectional(character) for character in part} for part in parts)
    return Markup("").join(
        Markup("“<bdi>{}</bdi>”").format(part[1:-1]) if turns and part.startswith("“") else part
        for part, turns in zip(parts, turned, strict=True)
    )


def _shown(value: object) -> object:
    """The last net: whatever a template prints has no hidden characters, even where a summary forgot them."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
