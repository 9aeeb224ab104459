"""How an explanation shows itself where HTML can be shown: compact in a cell, the whole report, or a widget."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from whygen._arguments import typed
from whygen.errors import UnknownNameError
from whygen.plugins import imported

ViewName: TypeAlias = Literal["compact", "full", "widget"]


@dataclass(frozen=True, slots=True)
class Displayed:
    """HTML that a notebook shows."""

    html: str = field(repr=False)

    def _repr_html_(self) -> str:
        return self.html


class Paged(ABC):
    """Something with a page, which a notebook shows in a frame."""

    def to_html(self) -> str:
        """The report as one self-contained page."""
        from whygen.report import html

        return html(self._summary())

    def _repr_html_(self) -> str:
        from whygen.report import notebook

        return notebook(self.to_html())

    @abstractmethod
    def _summary(self) -> dict[str, Any]:
        """Everything that the page shows."""


class Showable(Paged):
    """What explanations of every kind have in common before a reader's eyes."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The JSON Schema of the document, with what stands in some documents alone."""
        found = handler(core_schema)
        properties = handler.resolve_ref_schema(found)["properties"]
        for name, record in cls._in_some().items():
            properties[name] = handler(record.__pydantic_core_schema__)
        properties["parts"] = {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "In a saved folder: the SHA-256 of each file beside this one.",
        }
        return found

    @classmethod
    def _in_some(cls) -> Mapping[str, type[BaseModel]]:
        """Records that only some documents of the kind hold, by their names."""
        return {}

    @typed()
    def view(self, how: ViewName = "full") -> Any:
        """What a notebook shows of it.

        Args:
            how: ``compact``, as at the end of a cell; ``full``, the report in a frame; ``widget``, of a prompt: click a
                word for the answers with it and without it, and read the answers by another target. The widget
                needs the extra ``notebook``.

        Raises:
            UnknownNameError: for any other name.
            UsageError: if there is no widget of such an explanation.
            MissingError: if the package that widgets need is not installed.
        """
        from whygen.report import notebook

        if how == "widget":  # it stands above results, which know it by name alone
            make = cast("Callable[[object], object]", imported("whygen.bridges.widget:ExplanationWidget"))
            return make(self)
        if how not in ("compact", "full"):
            raise UnknownNameError("view", how, ("compact", "full", "widget"))
        return Displayed(self._repr_html_() if how == "compact" else notebook(self.to_html()))

    def _repr_html_(self) -> str:
        from whygen.report import compact

        return compact(self._summary())

    def _summary(self) -> dict[str, Any]:
        from whygen.results.summary import summarise

        return summarise(cast("Any", self))
