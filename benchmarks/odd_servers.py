"""A server on raw sockets that answers as servers, gateways and proxies do on bad days, and what is made of that.

It answers six calls well. Then a fault strikes: three times if it may pass by itself, else for ever. A run must end in
one sentence and a documented exit code, must write no key and no escape anywhere, and must keep every answer that came;
the same command against the mended server must ask for none of those again.

    python -m benchmarks.odd_servers                     # one call of each fault, and 40 runs that are drawn
    python -m benchmarks.odd_servers --only retry-after --runs 99
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import io
import json
import os
import random
import socket
import sys
import tempfile
import threading
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias
from unittest import mock

from benchmarks import record
from whygen.cli import main as command_line
from whygen.interrupts import INTERRUPTED
from whygen.models import ModelOptions, load_model
from whygen.types import Failure, Request

KEY = "sk-odd-4f7a91c2d8e35b60aa17"
"""The key that is asked with; servers repeat it wherever they can."""
Body: TypeAlias = bytes | str | Mapping[str, Any] | list[Any]
Make: TypeAlias = Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault: its name, what is to be made of it, and the response in a protocol."""

    name: str
    kind: str
    reply: Make
    protocols: tuple[str, ...] = ("openai", "anthropic")


def reply(status: int, body: Body = b"", *, kind: str | None = "application/json", **headers: str) -> bytes:
    """A response that ends with the connection; an underscore in a header's name stands for a hyphen."""
    data = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    told = {} if kind is None else {"content-type": kind}
    told |= {"content-length": str(len(data)), "connection": "close"}
    told |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in told.items() if value)
    return f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + data


def answered(protocol: str, text: Any = "a fox", **about: Any) -> dict[str, Any]:
    """A good answer; ``about`` changes the choice, or the message of Anthropic's protocol."""
    if protocol == "anthropic":
        content = [{"type": "text", "text": text}]
        return {"type": "message", "role": "assistant", "model": "odd", "stop_reason": "end_turn", "content": content,
                "usage": {"input_tokens": 9, "output_tokens": 5}, **about}  # fmt: skip
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop", **about}
    return {"id": "1", "model": "odd", "choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 5}}


def _good(protocol: str, text: str = "a fox") -> bytes:
    return json.dumps(answered(protocol, text)).encode()


def _error(protocol: str, message: str, **about: Any) -> dict[str, Any]:
    error = {"type": "invalid_request_error", "message": message, **about}
    return {"type": "error", "error": error, "request_id": KEY} if protocol == "anthropic" else {"error": error}


def _page(title: str) -> str:
    return f"<!DOCTYPE html><html><head><title>{title}</title></head><body>Ray ID: 8f2{KEY}</body></html>"


def _zipped(protocol: str) -> bytes:
    return gzip.compress(json.dumps(_error(protocol, f"Incorrect API key provided: {KEY}")).encode())


STREAM = 'data: {"choices": [{"delta": {"content": "a"}}]}\n\n'
BYTES: dict[str, tuple[str, Make]] = {
    "http/2 alone: 426": ("fatal", lambda p: reply(426, "Upgrade Required", kind="text/plain", upgrade="h2c")),
    "http/2 alone: a frame": ("transient", lambda p: b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64"),
    "another version: 505": ("fatal", lambda p: reply(505, "HTTP Version Not Supported", kind="text/plain")),
    "another protocol: 101": ("transient",
    lambda p: b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
    "TLS where http is spoken": ("transient", lambda p: b"\x15\x03\x01\x00\x02\x02\x46"),
    "ssh": ("transient", lambda p: b"SSH-2.0-OpenSSH_9.6\r\n"),
    "nothing at all": ("transient", lambda p: b""),
    "a status in words": ("transient", lambda p: b"HTTP/1.1 OK\r\ncontent-length: 2\r\n\r\n{}"),
    "gzip: the key is wrong": ("fatal", lambda p: reply(401, _zipped(p), content_encoding="gzip")),
    "gzip: said, and it is not": ("rate_limit", lambda p: reply(429, _error(p, "slow"), content_encoding="gzip")),
    "gzip: not said": ("fatal", lambda p: reply(401, _zipped(p))),
    "gzip: cut": ("transient", lambda p: reply(200, gzip.compress(_good(p))[:40], content_encoding="gzip")),
    "deflate: an answer": ("answered", lambda p: reply(200, zlib.compress(_good(p)), content_encoding="deflate")),
    "brotli: an error": ("transient", lambda p: reply(503, b"\x8b\x02\x80abc", content_encoding="br")),
    "brotli: an answer": ("permanent", lambda p: reply(200, b"\x8b\x02\x80abc", content_encoding="br")),
    "cut: body": ("transient", lambda p: reply(200, _good(p)[:60], content_length="400")),
    "cut: chunk": ("transient", lambda p: reply(200, b'40\r\n{"i', content_length="", transfer_encoding="chunked")),
    "cut: stream": ("transient", lambda p: reply(200, STREAM + 'data: {"cho', kind="text/event-stream")),
    "a whole stream": ("transient", lambda p: reply(200, STREAM + "data: [DONE]\n\n", kind="text/event-stream")),
    "lines of JSON": ("transient", lambda p: reply(200, _good(p) + b"\n" + _good(p), kind="application/x-ndjson")),
    "part of it: 206": ("answered", lambda p: reply(206, _good(p))),
    "no content: 204": ("transient", lambda p: reply(204)),
    "bytes: a mark in front": ("answered", lambda p: reply(200, b"\xef\xbb\xbf" + _good(p))),
    "bytes: UTF-16": ("answered", lambda p: reply(200, _good(p).decode().encode("utf-16"))),
    "bytes: Latin-1": ("transient", lambda p: reply(200, _good(p).replace(b"a fox", b"\xe9"))),
    "bytes: a guard in front": ("transient", lambda p: reply(200, b")]}'\n" + _good(p))),
    "the key in the answer": ("permanent", lambda p: reply(200, _good(p, f"your key is {KEY}"))),
    "the key beside it": ("answered", lambda p: reply(200, {**answered(p), "model": KEY, "id": KEY, "x": KEY})),
}  # fmt: skip
"""What may be made of it (a kind of failure, ``answered`` or ``refused``), and the bytes in a protocol."""
KINDS = ("text/html", "text/event-stream", "application/octet-stream", "image/png", "application/json; charset=x", None)
STATUSES = {
    402: "fatal", 418: "permanent", 425: "transient", 451: "fatal", 499: "transient", 509: "transient", 511: "fatal",
    520: "transient", 522: "transient", 524: "transient", 529: "transient", 530: "transient", 599: "transient",
}  # fmt: skip
PAGES = {
    "a challenge": (403, _page("Just a moment..."), "permanent"), "1015": (429, _page("Rate limited"), "rate_limit"),
    "1020": (403, "error code: 1020", "permanent"), "524": (524, "error code: 524", "transient"),
    "too large": (413, _page("413 Request Entity Too Large"), "permanent"), "login": (200, _page("Sign in"),
    "transient"),
    "no upstream": (503, "upstream connect error or disconnect/reset before headers", "transient"),
    "an escape": (502, _page("502 \x1b[2J\x1b]0;owned\x07"), "transient"),
}  # fmt: skip
INSIDE: dict[str, tuple[Any, str]] = {
    "quota": ({"error": {"message": "You exceeded your current quota.", "code": "insufficient_quota"}}, "fatal"),
    "overload": ({"error": {"message": "Overloaded", "type": "overloaded_error"}}, "transient"),
    "number": ({"error": {"message": "No auth credentials found", "code": 401}}, "fatal"),
    "string": ({"error": "upstream connect error"}, "transient"),
    "filter": ({"error": {"message": "Blocked", "code": "content_filter"}}, "refused"),
    "success false": ({"success": False, "errors": [{"code": 7009, "message": "Unavailable"}]}, "transient"),
    "ok false": ({"ok": False, "reason": "busy"}, "transient"), "a list": ([{"error": {"code": 429}}], "transient"),
}  # fmt: skip
WAITS = ("1", "0.5", "1s", "500ms", "PT1S", "0", "-1", "1, 1", "1;w=60", "NaN", "inf", "soon", "1e3000", "0x10",
         "1796022001", "1796022001000", "2026-11-30T07:00:01Z")  # fmt: skip
LARGE = "Request too large for gpt-4o on tokens per min (TPM): Limit 3, Requested 4. The tokens must be reduced."
SERVICES: dict[str, tuple[int, Any, str]] = {
    "openai, quota": (429, {"error": {"message": "Exceeded.", "code": "insufficient_quota"}}, "fatal"),
    "openai, rate": (429, {"error": {"message": "Limit 3. Please try again in 1s.", "code": "rate_limit_exceeded"}},
    "rate_limit"),
    "openai, never fits": (429, {"error": {"message": LARGE, "code": "rate_limit_exceeded"}}, "permanent"),
    "openai, country": (403, {"error": {"message": "Country, region, or territory not supported"}}, "fatal"),
    "openai, address": (401, {"error": {"message": f"Your IP is not authorized. Key {KEY}"}}, "fatal"),
    "anthropic, purse": (400, {"error": {"message": "Your credit balance is too low."}}, "fatal"),
    "anthropic, filter": (400, {"error": {"message": "Output blocked by content filtering policy"}}, "refused"),
    "azure, filter": (400, {"error": {"message": "Bad", "innererror": {"code": "ResponsibleAIPolicyViolation"}}},
    "refused"),
    "azure, volume": (403, {"statusCode": 403, "message": "Out of call volume quota."}, "fatal"),
    "azure, deployment": (404, {"error": {"code": "DeploymentNotFound", "message": "No."}}, "fatal"),
    "bedrock, signature": (403, {"message": f"The request signature we calculated does not match. {KEY}"}, "fatal"),
    "bedrock, throttled": (400, {"__type": "x#ThrottlingException", "message": None}, "rate_limit"),
    "bedrock, large M": (400, {"Message": "The provided model identifier is invalid."}, "fatal"),
    "vertex, place": (400, [{"error": {"message": "User location is not supported for the API use."}}], "fatal"),
    "vertex, exhausted": (429, [{"error": {"status": "RESOURCE_EXHAUSTED", "details": [{"retryDelay": "1s"}]}}],
    "rate_limit"),
    "cloudflare, gateway": (429, {"success": False, "error": [{"code": 2003, "message": "Rate limited"}]},
    "rate_limit"),
}  # fmt: skip
_SAYS: dict[str, Any] = {"role": "assistant", "content": None}
CHOICES: dict[str, dict[str, Any]] = {
    "role of a tool": {"message": {"role": "tool", "content": "a fox"}}, "no role": {"message": {"content": "a fox"}},
    "finish null": {"finish_reason": None}, "finish a list": {"finish_reason": ["stop"]},
    "finish 7": {"finish_reason": 7},
    "finish unknown": {"finish_reason": "model_length\x1b[2J"}, "finish the key": {"finish_reason": KEY},
    "logprobs empty": {"logprobs": {}}, "logprobs a word": {"logprobs": "yes"},
    "logprobs null": {"logprobs": {"content": None}},
    "logprobs in words": {"logprobs": {"content": [{"token": "a", "logprob": "-inf"}, {"token": None, "logprob": -1}]}},
    "logprobs of the key": {"logprobs": {"content": [{"token": KEY[:9], "logprob": -1}, {"token": KEY[9:],
    "logprob": -2}]}},
    "tool, broken JSON": {"message": {**_SAYS, "tool_calls": [{"id": "c", "function": {"name": "f",
    "arguments": '{"a": '}}]}},
    "tool, an object": {"message": {**_SAYS, "tool_calls": [{"id": None, "function": {"name": None,
    "arguments": {"a": 1}}}]}},
    "tools null": {"message": {**_SAYS, "content": "a", "tool_calls": [None, 7, "x", {"function": None}]}},
    "content 7": {"message": {**_SAYS, "content": 7}}, "content in parts": {"message": {"content": [{"text": "a"},
    None, 7]}},
    "thoughts alone": {"message": {**_SAYS, "reasoning_content": "hm"}},
    "half a pair": {"message": {"content": "fox \ud83e"}},
    "escapes": {"message": {"content": "\x1b[2J\x00\x9b31m"}},
    "filter broke": {"content_filter_result": {"error": {"code": "x"}}},
}  # fmt: skip
MESSAGES: dict[str, dict[str, Any]] = {
    "stop unknown": {"stop_reason": "model_context_window_exceeded"}, "stop a list": {"stop_reason": ["end_turn"]},
    "paused": {"stop_reason": "pause_turn"}, "text null": {"content": [{"type": "text", "text": None}, None, 7]},
    "half a pair": {"content": [{"type": "text", "text": "fox \ud83e"}]},
    "usage in words": {"usage": {"input_tokens": "9"}},
    "tool, broken JSON": {"content": [{"type": "tool_use", "id": "t", "name": "f", "input": '{"a": '}]},
    "tool of a server": {"content": [{"type": "server_tool_use", "id": 7, "name": None, "input": None}]},
    "thoughts alone": {"content": [{"type": "thinking", "thinking": "hm", "signature": KEY}]},
}  # fmt: skip


def _made(about: Mapping[str, Any]) -> Make:
    return lambda protocol: reply(200, answered(protocol, **about))


def _all() -> Iterator[Fault]:
    for name, (kind, make) in BYTES.items():
        yield Fault(name, kind, make)
    for each in KINDS:
        yield Fault(f"type of an answer: {each}", "answered", lambda p, each=each: reply(200, _good(p), kind=each))
    for status, kind in STATUSES.items():
        yield Fault(f"status {status}", kind, lambda p, status=status: reply(status, kind=None))
    for name, (status, body, kind) in PAGES.items():
        yield Fault(f"page: {name}", kind, lambda p, told=(status, body): reply(*told, kind="text/html"))
    for name, (body, kind) in INSIDE.items():
        yield Fault(f"error with 200: {name}", kind, lambda p, body=body: reply(200, body))
    for wait in WAITS:
        told = {"date": "Mon, 30 Nov 2026 07:00:00 GMT", "retry_after": wait}
        yield Fault(f"retry-after: {wait}", "rate_limit", lambda p, told=told: reply(429, _error(p, "Slow"), **told))
    for name, (status, body, kind) in SERVICES.items():
        yield Fault(f"service: {name}", kind, lambda p, told=(status, body): reply(*told))
    for name, about in CHOICES.items():
        yield Fault(f"choice: {name}", "answered", _made(about), ("openai",))
    for name, about in MESSAGES.items():
        yield Fault(f"message: {name}", "answered", _made(about), ("anthropic",))


FAULTS = tuple(_all())


PROMPT = "Tell me a short story about a red fox that lives near the harbour"
GOOD, STRIKES = 6, 3
"""Calls that are answered before a fault strikes, and how often one strikes that passes by itself."""
PASSING = ("rate_limit", "transient")
LONGEST = 60.0
"""Seconds that a run may take."""


@dataclass
class Odd:
    """The server: what strikes, how often still, and what it answered well, by the request's text."""

    fault: Fault
    protocol: str
    good: float = GOOD
    strikes: float = STRIKES
    served: Counter[str] = field(default_factory=Counter[str])
    came: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, body: Mapping[str, Any]) -> bytes:
        """The bytes of the next response."""
        with self.lock:
            self.came += 1
            strikes = self.good <= 0 < self.strikes
            self.strikes -= strikes
            self.good -= 1
            if not strikes:
                self.served[json.dumps([body["messages"], body.get("seed")])] += 1
        if strikes:
            return self.fault.reply(self.protocol)
        text = "a fox in the harbour" if "fox" in json.dumps(body) else "nothing at all"
        return reply(200, answered(self.protocol, text))


def _serve(listener: socket.socket, server: Odd) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_talk, args=(connection, server), daemon=True).start()


def _talk(connection: socket.socket, server: Odd) -> None:
    """One request and one response; then the connection ends."""
    with contextlib.suppress(OSError), connection:
        connection.settimeout(LONGEST)
        came = b""
        while b"\r\n\r\n" not in came:
            if not (more := connection.recv(65536)):
                return
            came += more
        head, _, body = came.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        while len(body) < length:
            body += connection.recv(65536)
        connection.sendall(server.answer(json.loads(body)))
        connection.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def serving(server: Odd) -> Generator[str, None, None]:
    """Its address, with the key in its query: nobody may repeat that either."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        threading.Thread(target=_serve, args=(listener, server), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


def kind(fault: Fault, protocol: str) -> str:
    """What one call makes of it: a finish that is an answer, or a kind of failure, with what is said."""
    with serving(Odd(fault, protocol, good=0, strikes=1)) as url, mock.patch.dict(os.environ, _keys(protocol)):
        base = url + ("/v1" if protocol == "openai" else "")
        answer = load_model(f"{protocol}/odd", ModelOptions(base_url=base, timeout=5)).answer(
            [Request(prompt="a fox")]
        )[0]
    if isinstance(answer, Failure):
        wait = "" if answer.retry_after is None else f" after {answer.retry_after:g} s"
        return f"{answer.kind}: {answer.sentence}{wait}"
    return "refused" if answer.finish == "refused" else f"answered: {answer.text!r} {answer.calls or ''}"


def _keys(protocol: str) -> dict[str, str]:
    return {f"{protocol.upper()}_API_KEY": KEY}


@dataclass(frozen=True, slots=True)
class Run:
    """A command line: its exit code, what it printed, and how long it took."""

    code: int | str
    out: str
    said: str
    seconds: float


def _run(line: list[str]) -> Run:
    out, errors = io.StringIO(), io.StringIO()
    began = time.monotonic()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        try:
            command_line(line)
            code: int | str = 0
        except SystemExit as end:
            code = end.code or 0
        except Exception as error:
            code = "".join(traceback.format_exception(error))[-600:]
    if code == INTERRUPTED:  # somebody wants this benchmark to end
        raise KeyboardInterrupt
    return Run(code, out.getvalue(), errors.getvalue(), time.monotonic() - began)


def trial(fault: Fault, protocol: str) -> dict[str, Any]:
    """One fault, end to end: what is wrong with how it ended, if anything."""
    passes = fault.kind in (*PASSING, "answered", "refused")
    odd = Odd(fault, protocol, strikes=STRIKES if passes else float("inf"))
    with tempfile.TemporaryDirectory() as place, serving(odd) as url, mock.patch.dict(os.environ, _keys(protocol)):
        base = url + ("/v1" if protocol == "openai" else "")
        line = ["prompt", f"{protocol}/odd", PROMPT, "--base-url", base, "--target", "token-set", "--budget", "24",
                "--timeout", "5", "--deadline", "40", "--cache", f"{place}/calls.sqlite", "-o",
                f"{place}/out"]  # fmt: skip
        first = _run(line)
        written = b"".join(path.read_bytes() for path in Path(place).rglob("*") if path.is_file())
        kept, came = odd.served.copy(), odd.came
        odd.strikes = 0
        second = _run(line)
        again = sum((odd.served - kept)[name] for name in kept)
    said = first.out + first.said
    told = kind(fault, protocol).partition(":")[0]
    wrong = [
        *([f"{told} for {fault.kind}"] if told != fault.kind else []),
        *(["exit " + str(first.code)] if first.code not in {0, 4} else []),
        *(["did not foresee"] if "did not foresee" in said or "Traceback" in said else []),
        *(["key shown"] if KEY in said or KEY.encode() in written else []),
        *(["escape shown"] if any(ord(sign) < 32 and sign not in "\n\t" for sign in said) else []),
        *([f"{again} answers asked again"] if again else []),
        *([f"then exit {second.code}"] if second.code not in {0, 4} else []),
        *(["no end"] if first.seconds > LONGEST else []),
        *(["ran on"] if told == "fatal" and came > GOOD + 8 else []),
    ]
    return {
        "fault": fault.name, "protocol": protocol, "told": told, "exit": first.code,
        "calls": came, "recorded asked again": again, "then": second.code, "wrong": "; ".join(wrong),
    }  # fmt: skip


def main(data: Path | None = None) -> None:
    del data
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="faults with this in their name; nothing is written")
    parser.add_argument("--runs", type=int, default=40, help="command lines, of as many faults that are drawn")
    parser.add_argument("--seed", type=int, default=0)
    chosen, _ = parser.parse_known_args(sys.argv[1:] if sys.argv[0].endswith("odd_servers.py") else [])
    faults = [(fault, protocol) for fault in FAULTS if chosen.only in fault.name for protocol in fault.protocols]
    calls = [{"fault": fault.name, "protocol": protocol, "is": fault.kind,
              "told": kind(fault, protocol)} for fault, protocol in faults]  # fmt: skip
    wrong = [row for row in calls if row["told"].partition(":")[0] != row["is"]]
    print(record.table(wrong) if wrong else f"{len(calls)} calls: each told by its kind", flush=True)
    runs: list[dict[str, Any]] = []
    rng = random.Random(chosen.seed)  # noqa: S311 - a draw of faults
    for fault, protocol in rng.sample(faults, min(chosen.runs, len(faults))):
        runs.append(trial(fault, protocol))
        print({name: value for name, value in runs[-1].items() if value != ""}, flush=True)
    total = {
        "calls": len(calls), "told wrong": len(wrong), "command lines": len(runs),
        "ended wrong": sum(bool(row["wrong"]) for row in runs),
        "recorded asked again": sum(row["recorded asked again"] for row in runs),
    }  # fmt: skip
    print(total)
    if not chosen.only:
        kept = [{**row, "told": row["told"].partition(":")[0]} for row in calls]
        record.write("odd_servers", {"in all": [total], "runs": runs, "calls": kept}, seed=chosen.seed)


if __name__ == "__main__":
    main()
