"""A light server on loopback for `benchmarks.remote`: one answer, a latency, a capacity. A process of its own."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import re
from collections import Counter
from typing import Any

ANSWER = json.dumps({
    "id": "1", "object": "chat.completion", "created": 1, "model": "bench",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "fine"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11},
}).encode()  # fmt: skip
BUSY = json.dumps({"error": {"message": "Rate limit reached.", "code": "rate_limit_exceeded"}}).encode()
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Bench:
    """Answers after ``latency`` seconds, ``capacity`` at once; what is above that waits, or is answered 429."""

    def __init__(self, *, latency: float, capacity: int, rejects: bool, share: float, seed: int) -> None:
        self._latency = latency
        self._capacity = capacity
        self._rejects = rejects
        self._share = share
        self._seed = seed
        self._places = asyncio.Semaphore(capacity)
        self._in_flight = 0
        self._seen: Counter[bytes] = Counter()
        self.counts: Counter[str] = Counter()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                found = _LENGTH.search(head)
                body = await reader.readexactly(int(found[1])) if found else b""
                if head.startswith(b"GET /counts"):
                    self._send(writer, 200, json.dumps({**self.counts, "distinct": len(self._seen)}).encode())
                    continue
                await self._answer(body, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _answer(self, body: bytes, writer: asyncio.StreamWriter) -> None:
        if (self._rejects and self._in_flight >= self._capacity) or self._struck(body):
            self.counts["turned away"] += 1
            self._send(writer, 429, BUSY)
            return
        self._in_flight += 1
        async with self._places:
            await asyncio.sleep(self._latency)
        self._in_flight -= 1
        self.counts["answered"] += 1
        self._send(writer, 200, ANSWER)

    def _struck(self, body: bytes) -> bool:
        """Whether chance turns a request away: it follows from the request, and how often it came."""
        told = hashlib.sha256(b"%d %d " % (self._seed, self._seen[body]) + body).digest()
        self._seen[body] += 1
        return int.from_bytes(told[:8], "big") / 2**64 < self._share

    def _send(self, writer: asyncio.StreamWriter, status: int, body: bytes) -> None:
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)


async def serve(options: Any) -> None:
    bench = Bench(**options)
    server = await asyncio.start_server(bench.connected, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("options", type=json.loads)
    asyncio.run(serve(parser.parse_args().options))
