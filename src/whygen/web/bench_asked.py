"""What a question of the bench is about: a text, a template with inputs, many prompts, a picture, what a shelf has."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from whygen.errors import MissingError, UsageError
from whygen.media.pictures import read_picture
from whygen.prompt.inputs import as_template
from whygen.prompt.prompt_files import parse_inputs
from whygen.prompt.units import Input, shown
from whygen.records import Call
from whygen.results import Explanation, PromptExplanation
from whygen.types import Chat, Edit, Picture, Source, Template
from whygen.web.bench_forms import LONGEST_SOURCE, MOST_INPUTS, MOST_TOGETHER, Form

MOST_PICTURES: Final = 8
"""Uploaded pictures that a viewer remembers; what was explained stands on the shelf."""
LARGEST_PICTURE: Final = 16 * 2**20
"""Bytes of an upload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is explained.

    Attributes:
        source: one prompt; of many the first.
        inputs: of a template; empty elsewhere.
        prompts: many prompts, each by itself; empty elsewhere.
    """

    source: Source | Call
    inputs: tuple[Input, ...] = ()
    prompts: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """To be read."""
        if self.prompts:
            return f"{len(self.prompts)} prompts: {self.prompts[0]}"
        return text_of(self.source)

    @property
    def over(self) -> Mapping[str, object]:
        """The keywords of many inputs; a single one stands for itself alone."""
        if not self.inputs:
            return {}
        return {"inputs": list(self.inputs), "over": "like-these" if len(self.inputs) > 1 else "these"}


def text_of(asked: Source | Call) -> str:
    """What is asked, to be read."""
    if isinstance(asked, Template):
        return asked.text
    return shown(asked.chat if isinstance(asked, Call) else asked)


def askable(found: Explanation) -> Source | Call:
    """What an explanation of the shelf explained, if the bench can ask it again.

    Raises:
        UsageError: if it cannot; the message says what can.
    """
    source = found.source() if isinstance(found, PromptExplanation) else None
    if source is None or (isinstance(source, Edit) and not isinstance(source.image, Picture)):
        raise UsageError(
            "The bench asks texts, chats, templates, recorded calls and edits of pictures again. What changes a sound "
            "or a video is explained by `whygen edit`, and a model's anchors by `whygen anchors`."
        )
    if len(text_of(source)) > LONGEST_SOURCE:
        raise UsageError(
            f"It has over {LONGEST_SOURCE:,} characters. On the command line: `whygen prompt --hierarchy auto`."
        )
    return source


def _nothing(known_as: str) -> Source | Call:
    raise MissingError(f"There is no explanation {known_as!r} on this shelf.")


@dataclass(slots=True)
class Sources:
    """Where a form's texts and pictures come from.

    Attributes:
        shelf: what an explanation of that id explained.
    """

    shelf: Callable[[str], Source | Call] = _nothing
    _uploaded: OrderedDict[str, Picture] = field(default_factory=OrderedDict[str, Picture])

    def upload(self, data: bytes) -> tuple[str, Picture]:
        """Remember a picture; the id by which a form names it.

        Raises:
            DataError: if it is none.
        """
        known_as, picture = f"up-{hashlib.sha256(data).hexdigest()[:16]}", read_picture(data)
        self._uploaded[known_as] = picture
        self._uploaded.move_to_end(known_as)
        while len(self._uploaded) > MOST_PICTURES:
            self._uploaded.popitem(last=False)
        return known_as, picture

    def picture(self, known_as: str) -> Picture:
        """The picture of that id: uploaded, or of an edit on the shelf.

        Raises:
            UsageError: if none was chosen, or the explanation has none.
            MissingError: if nothing has that id.
        """
        if not known_as:
            raise UsageError("There is no picture yet. Choose the one that the model is to change.")
        if known_as.startswith("up-"):
            if known_as not in self._uploaded:
                raise MissingError("This viewer no longer knows that picture: it was started anew. Choose it again.")
            return self._uploaded[known_as]
        source = self.shelf(known_as)
        if not isinstance(source, Edit):
            raise UsageError("That explanation changes no picture. Choose a picture.")
        return source.picture

    def asked(self, form: Form) -> Subject:
        """What a form is about.

        Raises:
            MissingError: if the shelf has no such explanation, or the viewer no such picture.
            UsageError: if that cannot be asked on the bench; or for too many inputs, prompts or calls.
            DataError: for inputs that cannot be read.
        """
        if form.kind == "edit":
            return Subject(source=Edit(self.picture(form.picture), form.prompt))
        if form.kind == "each":
            prompts = tuple(line.strip() for line in form.prompt.split("\n") if line.strip())
            if len(prompts) > MOST_INPUTS or len(prompts) * form.budget > MOST_TOGETHER:
                raise UsageError(
                    f"{len(prompts)} prompts of {form.budget} calls: the bench takes {MOST_INPUTS} prompts and "
                    f"{MOST_TOGETHER:,} calls. For more: `whygen explain-many FILE`."
                )
            return Subject(source=prompts[0], prompts=prompts)
        source = self.shelf(form.source) if form.source else form.prompt
        if form.kind != "inputs":
            return Subject(source=source)
        if not isinstance(source, str | Chat):
            raise UsageError("Many inputs go with a text or a chat. Give its text as a prompt.")
        inputs = parse_inputs(form.inputs, named="The inputs", plain=True)
        if not 1 <= len(inputs) <= MOST_INPUTS:
            raise UsageError(f"Give 1 to {MOST_INPUTS} inputs, one a line, and there are {len(inputs)}.")
        template, given = as_template(source, inputs)
        return Subject(source=template, inputs=tuple(given))
