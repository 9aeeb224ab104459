"""Drawing pages: the viewer's own, and those of reports inside the viewer's frame.

The folder ``pages`` stands before the templates of the reports, and its ``base.html.j2`` takes the place of theirs. So
a report in the viewer is the report that `whygen.report` draws, with the viewer's head and scripts around it.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from whygen.report.html import environment, style_sheet
from whygen.report.texts import visible


def page(template: str, *, status: int = 200, **shown: Any) -> HTMLResponse:
    """A page of the viewer.

    Args:
        template: a file of ``pages``, or a report's template.
        status: of HTTP.
        shown: what the template shows; ``title`` is needed by the base. ``scripts`` are modules of ``static``.
    """
    text = environment("whygen.web", "pages").get_template(template).render(**{"scripts": (), **shown})
    return HTMLResponse(text.encode("utf-8", "replace"), status_code=status)


def warm() -> None:
    """Read the templates of what is opened first, while the browser starts."""
    found = environment("whygen.web", "pages")
    for name in ("shelf", "explanation", "prompt", "parts", "tree", "media", "pictures", "conversation"):
        found.get_template(f"{name}.html.j2")
    style_sheet()


def trouble(request: Request, text: str, *, status: int) -> Response:
    """What went wrong: a page for a person, JSON for a script (which says that it accepts JSON)."""
    if "text/html" in request.headers.get("accept", ""):
        return page("trouble.html.j2", status=status, title="Not shown", text=text)
    return JSONResponse({"error": visible(text)}, status_code=status)
