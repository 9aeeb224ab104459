"""Pictures by the chat endpoint: models that answer a text, or a picture with an instruction, with a message that holds
a picture (Gemini, and what OpenRouter and vLLM-Omni serve).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast

import openai

from whygen.models.openai_chat import finish_of, is_filtered, messages
from whygen.models.openai_drawn import picture_in
from whygen.models.openai_pictures import Dispensable
from whygen.remote import Answer, Malformed, Service, dig, document, refuse_error, usage
from whygen.types import Chat, Edit, Failure, JsonValue, Message, Output, Prompt, Request

_MARKDOWN: Final = re.compile(r"!\[[^\]]{0,500}\]\(\s*((?:data:image/|https?://)[^)\s]+)")
"""A picture in a text, as some servers write it."""
_SHOWN: Final = 200


class ChatDrawing:
    """How one model is asked for pictures by chat.

    Of the settings only ``extra`` is sent: a limit in tokens would cut a picture.
    """

    def __init__(self, service: Service, *, timeout: float) -> None:
        self._service = service
        self._timeout = timeout
        self._modalities = Dispensable("modalities", ["image", "text"], names=re.compile(r"(?i)modalit"))

    def ask(self, client: openai.OpenAI, name: str, request: Request) -> Answer:
        """Ask for a picture: of a text, a chat, or an `Edit`."""

        def send(body: Mapping[str, JsonValue]) -> Answer:
            raw = client.chat.completions.with_raw_response.create(
                model=name, messages=cast(Any, messages(_as_chat(request.prompt))), extra_body=body
            )
            return self.read(document(raw.content))

        return self._modalities.ask(request, send)

    def body(self, name: str, request: Request) -> dict[str, JsonValue] | Failure:
        """The same as `ask` asks with, for a batch."""
        return {"model": name, "messages": messages(_as_chat(request.prompt)), **self._modalities.body(request)}

    def read(self, answer: Mapping[str, Any], seed: JsonValue = None) -> Answer:
        """The picture in a chat completion: in a list of its own, among the parts of the message, or in its text.

        Raises:
            Malformed: if there is no message.
            Unacceptable: if it gives an address that is not to be visited.
        """
        del seed
        refuse_error(answer)
        choice = dig(answer, "choices", 0)
        if is_filtered(answer) or finish_of(choice) == "refused":
            return _words("the service's filter stopped the picture")
        content = dig(choice, "message", "content")
        written = _MARKDOWN.search(content) if isinstance(content, str) else None
        places: list[object] = [dig(choice, "message", "images"), written[1] if written else None]
        if not isinstance(content, str):
            places.append(content)
        for place in places:
            try:
                picture = picture_in({"images": place}, self._service, timeout=self._timeout)
            except Malformed as malformed:
                if "without a picture" in str(malformed):
                    continue
                raise
            read, wrote = usage(answer)
            return Output(picture=picture, tokens_in=read, tokens_out=wrote)
        said = content if isinstance(content, str) else ""
        if not said.strip():
            raise Malformed("JSON without a message that holds a picture")
        return _words(f"the model answered with words instead of a picture: {self._service.scrub(said)[:_SHOWN]!r}")


def _words(what: str) -> Failure:
    return Failure(kind="refused", message=what, advice="Word the prompt as a picture to draw, or change it.")


def _as_chat(prompt: Prompt) -> str | Chat:
    return Chat((Message("user", prompt.instruction, (prompt.picture,)),)) if isinstance(prompt, Edit) else prompt
