"""The user's own code as a model: ``py/package.module:callable``, or any callable.

A callable takes a prompt and returns a text; one marked with `batched` takes a list of prompts and returns a list of
texts. It may be an async function, or yield its text piece by piece. A `whygen.types.Picture`, `Sound` or `Video`, or
a form of one that `medium_of` names, may come back where the annotation promises it (``-> Sound``) or there is none:
then the first answer says what the others are. A whole `whygen.types.Output` may come back always, and a message with
calls of tools, as a client's or a mapping with ``content`` and ``tool_calls``; what answers an `Edit` is of the kind
that is changed (a picture, a sound, a video), promised or not.

A prompt is a str, or for a chat a list of ``{"role": ..., "content": ...}``, with ``tool_calls`` and ``tool_call_id``
where tools were called; one whose parameter is annotated as a str
is not given chats. A callable that needs more, such as images, the temperature or a seed for each call, says so by its
annotation: ``def f(request: Request) -> str`` is given `whygen.types.Request`, and
``def f(requests: Sequence[Request]) -> list[str]``, marked, a list of them.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import re
import threading
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast, get_args

from PIL import Image

from whygen.errors import DataError, MissingError
from whygen.models.openai.turns import messages
from whygen.models.protocols import ModelOptions, Provider
from whygen.models.returned import answer_of, is_written, medium_of, names_a_file, text_inside
from whygen.models.turns import Refused
from whygen.plugins import imported, source_of
from whygen.safe import is_stop, says
from whygen.types import Chat, Edit, Failure, JsonValue, Limits, Output, OutputKind, Picture, Request, Sound, Video

F = TypeVar("F", bound=Callable[..., Any])

_MARK = "__whygen_batched__"
_BATCH = 64
_LONGEST = 1 << 26
"""Characters of a text that comes in pieces: one without an end would fill the memory."""


def batched(function: F) -> F:
    """Mark a callable that takes a list of prompts and returns a list of texts."""
    try:
        setattr(function, _MARK, True)
    except AttributeError:  # methods and built-in functions take no marks

        @functools.wraps(function)
        def marked(prompts: Any) -> Any:
            return function(prompts)

        setattr(marked, _MARK, True)
        return cast(F, marked)
    return function


class _Loop:
    """An event loop in a thread of its own, in which what a model's async code returns is waited for.

    One loop for all calls: a client that was made once belongs to the loop of its first call. And one apart from the
    caller's, which may be in a notebook whose loop already runs.
    """

    def __init__(self) -> None:
        self._loop = loop = asyncio.new_event_loop()

        def run() -> None:
            loop.run_forever()
            loop.close()

        threading.Thread(target=run, name="whygen-async-model", daemon=True).start()
        weakref.finalize(self, loop.call_soon_threadsafe, loop.stop)

    def wait(self, awaited: Awaitable[Any]) -> Any:
        """What comes of it, or what it raises."""

        async def ended() -> tuple[Any, BaseException | None]:
            try:
                return await awaited, None
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # an exit would end the loop, and all later calls with it
                return None, error

        coming = asyncio.run_coroutine_threadsafe(ended(), self._loop)
        try:
            result, error = coming.result()
        except BaseException:  # whoever waits was stopped: so is what was waited for
            coming.cancel()
            raise
        if error is not None:
            raise error
        return result


class CallableModel:
    """A Python callable. What it raises, or returns instead of a text, becomes a `Failure` of that one request."""

    def __init__(
        self, function: Callable[..., Any], *, uri: str | None = None, identity: Mapping[str, JsonValue] | None = None
    ) -> None:
        self._function = function
        self._batched = bool(getattr(function, _MARK, False))
        self._takes_requests = _takes_requests(_annotation(function))
        self._takes_text = _takes_text(_annotation(function))
        name = getattr(function, "__qualname__", type(function).__name__)
        self._uri = uri or f"py/{getattr(function, '__module__', '?')}:{name}"
        self._identity = identity
        self._kind: OutputKind | None = _promised(function)
        self._learning = False
        self._first: tuple[object, Output | Failure] | None = None
        self._loop: _Loop | None = None

    @property
    def uri(self) -> str:
        return self._uri

    @property
    def function(self) -> Callable[..., Any]:
        """The callable itself."""
        return self._function

    @property
    def limits(self) -> Limits:
        return Limits(max_batch=_BATCH if self._batched else 1)  # what was answered one by one is recorded one by one

    @property
    def identity(self) -> Mapping[str, JsonValue] | None:
        """None for a bare callable: it may close over anything, so its answers are not recorded."""
        return self._identity

    @property
    def edits(self) -> frozenset[OutputKind]:
        """What an `Edit` may hold: code of one's own may change anything."""
        return frozenset({"picture", "sound", "frames"})

    @property
    def output_kind(self) -> OutputKind:
        """What the return annotation promises, or `learn` has found; else a text."""
        return self._kind or "text"

    def answer(self, requests: Sequence[Request]) -> list[Output | Failure]:
        refused = {place: failure for place, r in enumerate(requests) if (failure := self._refusal(r)) is not None}
        if self._first is not None and requests:
            known, self._first = self._first, None
            if requests[0].prompt == known[0] and 0 not in refused:
                return [known[1], *self.answer(requests[1:])]
        taken = [request for place, request in enumerate(requests) if place not in refused]
        given = taken if self._takes_requests else [_prompt(request) for request in taken]
        answers = iter(self._together(given) if self._batched else [self._one(prompt) for prompt in given])
        return [refused[place] if place in refused else next(answers) for place in range(len(requests))]

    def _refusal(self, request: Request) -> Failure | None:
        """Why this callable cannot take the request; None if it can."""
        if self._takes_requests or not isinstance(request.prompt, Chat):
            return None
        if self._takes_text:
            return _failed(
                f"{self._uri} takes a text (its parameter is a str), and the prompt is a chat",
                "Give the prompt as one text, or annotate the parameter as whygen.types.Request and read its chat.",
            )
        if any(message.images for message in request.prompt.messages):
            return _failed(
                f"{self._uri} is given role and content, and the chat holds images",
                "Annotate the parameter as whygen.types.Request: its messages have the images.",
            )
        if request.prompt.tools:
            return _failed(
                f"{self._uri} is given messages, and the chat holds tools that may be called",
                "Annotate the parameter as whygen.types.Request: its prompt has the tools.",
            )
        try:
            messages(request.prompt)
        except Refused as refused:
            return refused.failure
        return None

    def _together(self, given: Sequence[object]) -> list[Output | Failure]:
        """Ask for all at once; if that raises, in two halves, so that one bad prompt fails alone."""
        if not given:
            return []
        begun = time.perf_counter()
        try:
            returned = self._awaited(self._function(list(given)))
            texts = [returned] if isinstance(returned, _ANSWERS) else list(returned)
        except BaseException as error:
            if is_stop(error):
                raise
            if len(given) == 1:
                return [_raised(self._uri, error)]
            half = len(given) // 2
            return self._together(given[:half]) + self._together(given[half:])
        if isinstance(returned, _ANSWERS) or len(texts) != len(given):
            what = f"one {type(returned).__name__}" if isinstance(returned, _ANSWERS) else f"{len(texts)} texts"
            message = f"{self._uri} returned {what} for a batch of {len(given)} prompts"
            return [_failed(message, "Return a list with one text for each prompt, in their order.") for _ in given]
        seconds = (time.perf_counter() - begun) / len(texts)
        return [self._output(text, seconds, given=one) for text, one in zip(texts, given, strict=True)]

    def _one(self, prompt: object) -> Output | Failure:
        begun = time.perf_counter()
        try:
            text = self._whole(self._awaited(self._function(prompt)))
        except BaseException as error:
            if is_stop(error):
                raise
            return _raised(self._uri, error)
        return self._output(text, time.perf_counter() - begun, given=prompt)

    def _awaited(self, returned: Any) -> Any:
        """What was returned, once it is there."""
        if not inspect.isawaitable(returned):
            return returned
        if self._loop is None:
            self._loop = _Loop()
        return self._loop.wait(returned)

    def _whole(self, returned: Any) -> Any:
        """A text that is yielded in pieces, as streams are; all else as it is."""
        if inspect.isasyncgen(returned):
            return self._awaited(_joined(returned))
        if inspect.isgenerator(returned):
            return _from_pieces(returned)
        return returned

    def _output(self, text: object, seconds: float, *, given: object) -> Output | Failure:
        if isinstance(text, str) and self.output_kind == "text":
            return self._text(text, seconds)
        if isinstance(text, Output):
            return text if text.seconds else replace(text, seconds=seconds)
        asked = given.prompt if isinstance(given, Request) else given
        edited = asked.kind if isinstance(asked, Edit) else None
        try:
            made = answer_of(text) if self.output_kind == "text" else None
            if made is not None:
                return replace(made, seconds=seconds)
            made = medium_of(text, edited if self._kind in {None, "text"} and edited else self._kind)
        except (DataError, MissingError) as error:
            if is_written(text):
                return _failed(f"{self._uri} returned bytes, not a str", text_inside(text))
            use = {"picture": "shown", "text": "read"}.get(self.output_kind, "played")
            return _failed(f"{self._uri} returned what cannot be {use}: {error}", "Check what it returns.")
        if made is None:
            return _failed(f"{self._uri} returned a value of type {type(text).__name__}, not a str", text_inside(text))
        return self._medium(replace(made, seconds=seconds), edited=edited)

    def _text(self, text: str, seconds: float) -> Output | Failure:
        """A text is a text: of an unannotated function, one that names a picture that is there might mean that file."""
        if self._kind is None and names_a_file(text):
            return _failed(
                f"{self._uri} returned a text that names a file, {text[:200]!r}",
                "Return pathlib.Path(text) to have the file explained; annotate the function with -> str for the text.",
            )
        return Output(text=text, seconds=seconds)

    def _medium(self, made: Output, *, edited: OutputKind | None) -> Output | Failure:
        """What was returned, if it was promised: what is measured is chosen before the first call."""
        kind, name = next((kind, name) for kind, name in _NAMES if getattr(made, kind) is not None)
        if kind in {self.output_kind, edited} or self._learning:
            return made
        return _failed(
            f"{self._uri} returned a {name} that it did not promise", f"Annotate the function with -> {name}."
        )

    def learn(self, request: Request) -> OutputKind:
        """What an unannotated function answers with, from its answer to the first request, which is kept for the run.

        Functions with an annotation, and those whose answers are recorded, are not called.
        """
        if self._kind is not None or self._identity is not None or self._refusal(request) is not None:
            return self.output_kind
        self._learning = True
        try:
            [answer] = self.answer([request])
        finally:
            self._learning = False
        self._first = (request.prompt, answer)
        held = answer.medium if isinstance(answer, Output) else None
        if held is not None:
            self._kind = next(kind for kind, _ in _NAMES if getattr(answer, kind) is not None)
        return self.output_kind


_NAMES: tuple[tuple[OutputKind, str], ...] = (("picture", "Picture"), ("sound", "Sound"), ("frames", "Video"))
_ANSWERS = (str, Picture, Image.Image, Sound, Video, Output)


def _from_pieces(pieces: Iterator[Any]) -> object:
    """The text whose pieces are yielded; of something else, such as frames of a video, a generator of the same."""
    first = next(pieces, "")
    if not isinstance(first, str):
        return _begun(first, pieces)
    told = _Text()
    told.add(first)
    for piece in pieces:
        told.add(piece)
    return str(told)


async def _joined(pieces: AsyncIterator[Any]) -> str:
    told = _Text()
    async for piece in pieces:
        told.add(piece)
    return str(told)


class _Text:
    """A text that comes piece by piece."""

    def __init__(self) -> None:
        self._pieces, self._length = list[str](), 0

    def __str__(self) -> str:
        return "".join(self._pieces)

    def add(self, piece: object) -> None:
        """Take a piece, if it is a text and the whole is not too long."""
        if not isinstance(piece, str):
            raise TypeError(f"it yields a value of type {type(piece).__name__}, not a str. {text_inside(piece)}")
        self._pieces.append(piece)
        self._length += len(piece)
        if self._length > _LONGEST:
            raise DataError(f"it yields a text of more than {_LONGEST:,} characters")


def _begun(first: object, rest: Iterator[Any]) -> Generator[Any, None, None]:
    yield first
    yield from rest


def _promised(function: Callable[..., Any]) -> OutputKind | None:
    """What the return annotation names: a sound, a video, a picture, a text; None where it names none of these."""
    try:
        annotation = inspect.signature(function).return_annotation
    except (TypeError, ValueError):  # some built-in functions have no signature
        return None
    written = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    if re.search(r"\bSound\b", written):
        return "sound"
    if re.search(r"\bVideo\b", written):
        return "frames"
    if re.search(r"\b(Picture|Image|NDArray|ndarray)\b", written):
        return "picture"
    return "text" if re.search(r"\bstr\b", written) else None


def _annotation(function: Callable[..., Any]) -> object:
    """The annotation of the first parameter; None if there is none."""
    try:
        first = next(iter(inspect.signature(function).parameters.values()), None)
    except (TypeError, ValueError):  # some built-in functions have no signature
        return None
    return None if first is None or first.annotation is inspect.Parameter.empty else first.annotation


def _takes_requests(annotation: object) -> bool:
    """Whether it names a `Request`, or a sequence of them."""
    if isinstance(annotation, str):  # as written: the name need not exist when the code runs
        return re.search(r"(?<![\w.])(whygen\.types\.)?Request\b", annotation) is not None
    return annotation is Request or Request in get_args(annotation)


def _takes_text(annotation: object) -> bool:
    """Whether it names a text or a sequence of texts, and nothing else."""
    written = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.fullmatch(r"str|([\w.]*\.)?(list|List|Sequence|Iterable|Collection)\[str\]", written) is not None


def _prompt(request: Request) -> object:
    """What the callable is given: the text, or messages as OpenAI's chat endpoint has them, each content one text."""
    if isinstance(request.prompt, Chat):
        return messages(Chat([replace(message, parts=()) for message in request.prompt.messages]))
    return request.prompt


def _failed(message: str, advice: str) -> Failure:
    return Failure(kind="permanent", message=message, advice=advice)


def _raised(uri: str, error: BaseException) -> Failure:
    return _failed(f"{uri} raised {says(error)}", "Mend the function.")


def open_python(name: str, options: ModelOptions) -> object:
    """Open ``package.module:callable``; the working directory is looked in first.

    A callable is identified by the digest of its module's source, so that a change of the code asks anew. Anything that
    is not a plain callable is handed on as it is: a model object, or a latent generator.

    Raises:
        UsageError: if the name has no colon.
        MissingError: if there is no such module or attribute.
    """
    del options
    found = imported(name)
    if not callable(found) or hasattr(found, "answer") or hasattr(found, "encode"):
        return found
    return CallableModel(cast(Callable[..., Any], found), uri=f"py/{name}", identity=source_of(f"py/{name}"))


def provider() -> Provider:
    """``py/``."""
    return Provider(name="py", summary="your own code: py/package.module:callable", open=open_python)
