"""A server on loopback that speaks the OpenAI and the Anthropic protocol, and misbehaves by script.

    with FaultServer(mixed({"429": 0.2}, seed=1), latency=0.2, capacity=16, mode="queue") as server:
        load_model("openai/test", ModelOptions(base_url=server.url))
    assert len(server.received) == 20

It runs in a thread of its own and forgets nothing: `received` holds every request with what was done to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, Self

from faults.answers import FAULTS, Reply, as_json, default_text, error, respond
from faults.batches import BatchPlan, Desk
from faults.scripts import Received, Script, always

QUICK = ("429", "quota", "401", "402", "403", "404", "410", "400")
"""Refused at the door: these take no place and no time."""


class FaultServer:
    """Answers on ``127.0.0.1`` at a free port from ``__enter__`` to ``__exit__``.

    Args:
        script: the action for each request (`faults.scripts`), or one action for all.
        latency: seconds that an answer takes.
        capacity: answers in the making at once; None: any number.
        mode: what happens to requests above the capacity: they wait, or are answered 429.
        retry_after: seconds, said in the header of a 429 for want of capacity; None: no such header.
        text: what it says; a function of the request.
        batches: what happens to batches; None: there is no endpoint for them, as with most servers.
        models: the names that it lists.
    """

    def __init__(
        self,
        script: Script | str = "ok",
        *,
        latency: float = 0.0,
        capacity: int | None = None,
        mode: Literal["queue", "reject"] = "queue",
        retry_after: float | None = None,
        text: Callable[[Received], str] = default_text,
        batches: BatchPlan | None = None,
        models: Sequence[str] = ("test",),
    ) -> None:
        self._models = models
        self.desk = Desk(batches or BatchPlan(), text)
        self._has_desk = batches is not None
        self.received: list[Received] = []
        self._script = always(script) if isinstance(script, str) else script
        self._latency = latency
        self._capacity = capacity
        self._mode = mode
        self._retry_after = retry_after
        self._text = text
        self._seen: Counter[tuple[str, bytes]] = Counter()
        self._in_flight = 0
        self._connections: set[asyncio.Task[None]] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    @property
    def root(self) -> str:
        """The address without a path, as Anthropic's client takes it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The address as OpenAI's client takes it."""
        return f"{self.root}/v1"

    @property
    def peak(self) -> int:
        """The most requests that were in flight at once."""
        return max((received.in_flight for received in self.received), default=0)

    @property
    def actions(self) -> Counter[str]:
        """How often each action was taken."""
        return Counter(received.action for received in self.received)

    def __enter__(self) -> Self:
        self._begun = time.perf_counter()
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *raised: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._places = asyncio.Semaphore(self._capacity or 10**6)
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=2**26, backlog=1024)
        self.port = int(server.sockets[0].getsockname()[1])
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while (received := await _read(reader)) is not None and await self._handle(received, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            self._connections.discard(task)

    async def _handle(self, received: Received, writer: asyncio.StreamWriter) -> bool:
        """Do what the script says; whether the connection lives on."""
        self._in_flight += 1
        try:
            received = self._noted(received)
            if received.action == "full":
                return await _send(writer, self._full())
            if not received.action.startswith(QUICK):
                async with self._places:
                    await asyncio.sleep(self._latency)
            return await self._act(received, writer)
        finally:
            self._in_flight -= 1

    def _noted(self, received: Received) -> Received:
        key = (received.path, received.body)
        received = replace(
            received, repeat=self._seen[key], at=time.perf_counter() - self._begun, in_flight=self._in_flight
        )
        full = self._mode == "reject" and self._capacity is not None and self._in_flight > self._capacity
        received = replace(received, action="full" if full else self._script(received))
        self._seen[key] += 1
        self.received.append(received)
        return received

    def _respond(self, received: Received) -> Reply:
        if received.path == "/v1/models":
            return as_json({"object": "list", "data": [{"id": name, "object": "model"} for name in self._models]})
        reply = self.desk.answer(received) if self._has_desk else None
        return respond(received, self._text) if reply is None else reply

    def _full(self) -> Reply:
        headers = {} if self._retry_after is None else {"retry-after": str(self._retry_after)}
        return error(429, "Too many at once.", headers=headers, type="rate_limit_error", code="rate_limit_exceeded")

    async def _act(self, received: Received, writer: asyncio.StreamWriter) -> bool:
        action = received.action
        if action == "reset":
            return _reset(writer)
        if action == "hang":
            await self._stop.wait()
            return False
        reply = FAULTS[action](received) if action in FAULTS else self._respond(received)
        if action == "lost":
            return _reset(writer)
        if action == "half":
            return await _half(writer, reply)
        return await _send(writer, reply, pieces=20 if action == "slow" else 1)


async def _read(reader: asyncio.StreamReader) -> Received | None:
    """The next request of a connection; None when the client is done."""
    begun = await reader.read(1)
    if not begun.isalpha():  # the end, or a client that speaks TLS
        return None
    head = begun + await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    if headers.get("transfer-encoding") == "chunked":
        body = b"".join([piece async for piece in _chunks(reader)])
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Received(method=method, path=path, headers=headers, body=body)


async def _chunks(reader: asyncio.StreamReader):
    while size := int(await reader.readline(), 16):
        yield await reader.readexactly(size)
        await reader.readline()
    await reader.readline()


def _head(reply: Reply) -> bytes:
    lines: Sequence[str] = [
        f"HTTP/1.1 {reply.status} Status",
        f"content-type: {reply.content_type}",
        f"content-length: {len(reply.body)}",
        *(f"{name}: {value}" for name, value in reply.headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def _send(writer: asyncio.StreamWriter, reply: Reply, *, pieces: int = 1) -> bool:
    writer.write(_head(reply))
    size = -(-len(reply.body) // pieces) or 1
    for start in range(0, len(reply.body), size):
        if pieces > 1:
            await asyncio.sleep(0.01)
        writer.write(reply.body[start : start + size])
        await writer.drain()
    return True


async def _half(writer: asyncio.StreamWriter, reply: Reply) -> bool:
    """Half the body, and the connection is closed in good order."""
    writer.write(_head(reply) + reply.body[: len(reply.body) // 2])
    await writer.drain()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return False


def _reset(writer: asyncio.StreamWriter) -> bool:
    """RST instead of FIN."""
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    return False
