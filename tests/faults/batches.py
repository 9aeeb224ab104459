"""The batch endpoints of both protocols, on a fault server: files and batches, and what can go wrong with them."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from faults.answers import FAULTS, Reply, as_json, error, respond
from faults.scripts import Received, Script, always

FOREIGN = "f" * 64
"""The name of a request that nobody here made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlan:
    """What happens to batches.

    Attributes:
        polls: how often one is asked for until it is over.
        end: how it ends; ``failed`` answers nothing, and ``code`` says why.
        line: the action for each of its requests: ``ok``, a key of `faults.answers.FAULTS`, ``missing``, ``expired``,
            ``cancelled``, ``broken`` (half a line), ``twice`` or ``odd`` (a line that is no result).
        scrambled: whether results come in another order.
        foreign: whether results name requests that nobody made.
        cut: how often results are cut short before they are whole.
        hidden: how often the list of batches does not show the newest one.
        code: of the failure.
    """

    polls: int = 1
    end: Literal["completed", "expired", "cancelled", "failed"] = "completed"
    line: Script = field(default_factory=lambda: always("ok"))
    scrambled: bool = False
    foreign: bool = False
    cut: int = 0
    hidden: int = 0
    code: str = "invalid_json_line"


@dataclass(slots=True)
class Filed:
    """A batch."""

    name: str
    lines: list[dict[str, Any]]
    created: datetime
    tag: str | None = None
    polls: int = 0
    cuts: int = 0
    is_cancelled: bool = False


class Desk:
    """Files and batches of a fault server; `handed_over` counts how often each request was."""

    def __init__(self, plan: BatchPlan, text: Callable[[Received], str]) -> None:
        self.plan = plan
        self.batches: list[Filed] = []
        self.paused = threading.Event()  # while it is set, no batch gets any further
        self._text = text
        self._files: dict[str, bytes] = {}
        self._listings = 0

    @property
    def handed_over(self) -> list[str]:
        """The names of all requests in all batches, in order."""
        return [line["custom_id"] for batch in self.batches for line in batch.lines]

    def answer(self, received: Received) -> Reply | None:
        """The reply; None if the path is none of a batch."""
        path = received.path.partition("?")[0]
        for pattern, method, handle in (
            (r"/v1/files", "POST", self._upload),
            (r"/v1/files/([\w.-]+)/content", "GET", self._content),
            (r"/v1/batches", "POST", self._create),
            (r"/v1/batches", "GET", self._list),
            (r"/v1/batches/(\w+)", "GET", self._show),
            (r"/v1/batches/(\w+)/cancel", "POST", self._cancel),
            (r"/v1/messages/batches", "POST", self._create_messages),
            (r"/v1/messages/batches", "GET", self._list),
            (r"/v1/messages/batches/(\w+)", "GET", self._show),
            (r"/v1/messages/batches/(\w+)/cancel", "POST", self._cancel),
            (r"/v1/messages/batches/(\w+)/results", "GET", self._content),
        ):
            found = re.fullmatch(pattern, path)
            if found and method == received.method:
                return handle(received, *found.groups())
        return None

    def _upload(self, received: Received) -> Reply:
        boundary = received.headers["content-type"].partition("boundary=")[2].encode()
        parts = received.body.split(b"--" + boundary)
        content = next(part for part in parts if b"filename=" in part).partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
        name = f"file-{len(self._files)}"
        self._files[name] = content
        return as_json({"id": name, "object": "file", "purpose": "batch", "bytes": len(content)})

    def _create(self, received: Received) -> Reply:
        body = received.json
        lines = [json.loads(line) for line in self._files[body["input_file_id"]].splitlines()]
        assert {line["url"] for line in lines} == {body["endpoint"]}
        return self._file(received, lines, body["metadata"]["whygen"])

    def _create_messages(self, received: Received) -> Reply:
        lines = [{**line, "body": line["params"], "url": "/v1/messages"} for line in received.json["requests"]]
        return self._file(received, lines, None)

    def _file(self, received: Received, lines: list[dict[str, Any]], tag: str | None) -> Reply:
        names = [line["custom_id"] for line in lines]
        assert len(set(names)) == len(names)
        assert all(re.fullmatch(r"[\w-]{1,64}", name) for name in names)
        self.batches.append(Filed(f"batch_{len(self.batches)}", lines, datetime.now(UTC), tag))
        return self._show(received, self.batches[-1].name)

    def _list(self, received: Received) -> Reply:
        self._listings += 1
        shown = self.batches[:-1] if self._listings <= self.plan.hidden else self.batches
        entries = [self._document(received, batch) for batch in reversed(shown)]
        return as_json({"object": "list", "data": entries, "has_more": False})

    def _show(self, received: Received, name: str) -> Reply:
        batch = self._batch(name)
        if batch is None:
            return error(404, f"No such batch: {name}.", type="invalid_request_error")
        if received.method == "GET" and not self.paused.is_set():
            batch.polls += 1
        return as_json(self._document(received, batch))

    def _cancel(self, received: Received, name: str) -> Reply:
        batch = self._batch(name)
        assert batch is not None
        batch.is_cancelled = True
        return as_json(self._document(received, batch))

    def _batch(self, name: str) -> Filed | None:
        return next((batch for batch in self.batches if batch.name == name), None)

    def _document(self, received: Received, batch: Filed) -> dict[str, Any]:
        over = batch.is_cancelled or batch.polls > self.plan.polls
        done = len(batch.lines) if over else min(len(batch.lines), batch.polls)
        if "messages" in received.path:
            counts = {"processing": len(batch.lines), "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
            counts |= {"processing": 0, "succeeded": done} if over else {}
            return {
                "id": batch.name, "type": "message_batch", "processing_status": "ended" if over else "in_progress",
                "request_counts": counts, "created_at": batch.created.isoformat(), "results_url": "http://127.0.0.1:9/x",
            }  # fmt: skip
        end = "cancelled" if batch.is_cancelled else self.plan.end
        document: dict[str, Any] = {
            "id": batch.name, "object": "batch", "status": end if over else "in_progress",
            "created_at": int(batch.created.timestamp()), "metadata": {"whygen": batch.tag},
            "request_counts": {"total": len(batch.lines), "completed": done, "failed": 0},
        }  # fmt: skip
        if over and end == "failed":
            told = {"code": self.plan.code, "message": f"The batch was refused ({self.plan.code}).", "line": 1}
            return document | {"errors": {"object": "list", "data": [told]}}
        files = {"output_file_id": f"{batch.name}.good", "error_file_id": f"{batch.name}.bad"}
        return document | (files if over else {})

    def _content(self, received: Received, name: str) -> Reply:
        batch = self._batch(name.partition(".")[0])
        assert batch is not None
        messages = "messages" in received.path
        pairs = [pair for line in batch.lines for pair in self._result(line, batch, messages=messages)]
        pairs = pairs[::-1] if self.plan.scrambled else pairs
        if self.plan.foreign:
            pairs.insert(0, (True, json.dumps(json.loads(pairs[0][1]) | {"custom_id": FOREIGN})))
        kind = name.partition(".")[2]
        content = "\n".join(text for is_good, text in pairs if not kind or is_good == (kind == "good"))
        if kind != "bad" and batch.cuts < self.plan.cut:
            batch.cuts += 1
            content = content[: len(content) // 2]
        return Reply(200, content.encode(), "application/octet-stream")

    def _result(self, line: Mapping[str, Any], batch: Filed, *, messages: bool) -> Iterable[tuple[bool, str]]:
        """Lines about one request, and whether they stand in the file of answers."""
        asked = Received(method="POST", path=line["url"], headers={}, body=json.dumps(line["body"]).encode())
        action = "cancelled" if batch.is_cancelled else self.plan.line(replace(asked, repeat=self._before(line, batch)))
        about = {"custom_id": line["custom_id"]}
        if action in {"expired", "cancelled"}:
            kind = {"expired": "expired", "cancelled": "canceled"}[action]
            failure = {"code": f"batch_{action}", "message": f"This request was {action}."}
            return [(False, json.dumps(about | ({"result": {"type": kind}} if messages else {"error": failure})))]
        if action == "missing":
            return []
        if action == "odd":
            return [(True, json.dumps(about))]
        reply = FAULTS[action](asked) if action in FAULTS else respond(asked, self._text)
        good, text = reply.status < 400, json.dumps(about | _told(reply, messages=messages))
        if action == "broken":
            return [(good, text[: len(text) // 2])]
        return [(good, text)] * (2 if action == "twice" else 1)

    def _before(self, line: Mapping[str, Any], batch: Filed) -> int:
        """How often the request was in an earlier batch."""
        earlier = self.batches[: self.batches.index(batch)]
        return sum(each["custom_id"] == line["custom_id"] for other in earlier for each in other.lines)


def _told(reply: Reply, *, messages: bool) -> dict[str, Any]:
    body = json.loads(reply.body)
    if not messages:
        return {"response": {"status_code": reply.status, "request_id": "r", "body": body}, "error": None}
    if reply.status < 400:
        return {"result": {"type": "succeeded", "message": body}}
    return {"result": {"type": "errored", "error": body}}
