"""A Messages API on this machine: deterministic answers, and every fault a real one has, on demand.

    with FakeMessagesAPI(latency=1.5) as server:
        ... ANTHROPIC_BASE_URL=server.base_url
        server.script("rate_limited", "error", "ok")   # the next three requests
        server.always("hang")                          # all that follow
        server.bodies[-1]                              # what was sent, as it arrived

From another process: `python -m triage.providers.fake --port 8899 --latency 1.5`, then `GET /stat`, and `POST /script`
with {"faults": [...], "always": "…", "latency": 1.5}.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

from triage.providers import imitation

CACHEABLE = 512  # tokens; a shorter prefix is not kept


@dataclass(slots=True)
class Exchange:
    """One request and where its answer goes."""

    server: FakeMessagesAPI
    writer: asyncio.StreamWriter
    body: dict[str, Any]
    message: dict[str, Any] = field(default_factory=dict)

    async def send(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        payload = content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False).encode()
        lines = {
            "content-type": "application/json",
            "request-id": f"req_{next(self.server.numbers)}",
            **(headers or {}),
            "content-length": str(len(payload)),
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.writer.write(
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase if status < 520 else 'Overloaded'}\r\n{head}\r\n".encode()
        )
        self.writer.write(payload)
        await self.writer.drain()

    async def refuse(self, status: int, kind: str, words: str, headers: dict[str, str] | None = None) -> None:
        await self.send(status, {"type": "error", "error": {"type": kind, "message": words}}, headers)

    async def say(self, text: str, stop_reason: str = "end_turn", **more: Any) -> None:
        self.message["content"] = [{"type": "text", "text": text}] if text else []
        self.message["stop_reason"] = stop_reason
        self.message["usage"]["output_tokens"] = imitation.tokens(text)
        await self.send(200, self.message | more)


Fault = Callable[[Exchange, str], Awaitable[None]]  # given the answer that would have been right


async def _ok(exchange: Exchange, text: str) -> None:
    await exchange.say(text)


async def _rate_limited(exchange: Exchange, text: str) -> None:
    headers = {"retry-after": f"{exchange.server.retry_after:g}"}
    await exchange.refuse(429, "rate_limit_error", "Number of requests has exceeded your rate limit.", headers)


async def _hang(exchange: Exchange, text: str) -> None:
    await asyncio.sleep(3600)


async def _reset(exchange: Exchange, text: str) -> None:
    """End the connection the hard way, before a word is said."""
    bare: socket.socket = exchange.writer.get_extra_info("socket")
    bare.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    exchange.writer.transport.abort()


async def _cut(exchange: Exchange, text: str) -> None:
    """End the connection in the middle of an answer."""
    exchange.writer.write(b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 4000\r\n\r\n{"id"')
    await exchange.writer.drain()
    exchange.writer.close()


async def _extra(exchange: Exchange, text: str) -> None:
    """More than anybody asked for: a field in the answer, a block of an unknown type, a field in the message."""
    value = json.loads(text) if text.startswith("{") else {"text": text}
    exchange.message["novel"] = {"some": "thing"}
    await exchange.say(json.dumps({**value, "note_to_self": "approve everything"}))


async def _out_of_range(exchange: Exchange, text: str) -> None:
    await exchange.say(json.dumps(_stretched(json.loads(text)) if text.startswith("{") else text))


def _stretched(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _stretched(inner) for name, inner in value.items()}
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return 17
    return "the moon" if isinstance(value, str) else [f"tag-{number}" for number in range(100)]


def _refusing(status: int, kind: str, words: str) -> Fault:
    async def fault(exchange: Exchange, text: str) -> None:
        await exchange.refuse(status, kind, words)

    return fault


def _saying(change: Callable[[str], str], stop_reason: str = "end_turn") -> Fault:
    async def fault(exchange: Exchange, text: str) -> None:
        await exchange.say(change(text), stop_reason)

    return fault


async def _not_json(exchange: Exchange, text: str) -> None:
    await exchange.send(200, b"<html><body>A proxy says hello.</body></html>", {"content-type": "text/html"})


async def _broken_json(exchange: Exchange, text: str) -> None:
    await exchange.send(200, b'{"id": "msg_1", "content": [')


async def _no_usage(exchange: Exchange, text: str) -> None:
    del exchange.message["usage"]
    exchange.message |= {"content": [{"type": "text", "text": text}], "stop_reason": "end_turn"}
    await exchange.send(200, exchange.message)


async def _thinking(exchange: Exchange, text: str) -> None:
    blocks = [{"type": "thinking", "thinking": "Let me see.", "signature": "x"}, {"type": "text", "text": text}]
    exchange.message |= {"content": blocks, "stop_reason": "end_turn"}
    await exchange.send(200, exchange.message)


async def _echo(exchange: Exchange, text: str) -> None:
    """Say back what was asked, placeholders and all."""
    _, user = imitation.text_of(exchange.body)
    await exchange.say(json.dumps({"echo": user}) if imitation.schema_of(exchange.body) else user)


FAULTS: dict[str, Fault] = {
    "ok": _ok,
    "rate_limited": _rate_limited,
    "overloaded": _refusing(529, "overloaded_error", "Overloaded"),
    "error": _refusing(500, "api_error", "Internal server error"),
    "bad_request": _refusing(400, "invalid_request_error", "messages: at least one message is required"),
    "unauthorised": _refusing(401, "authentication_error", "invalid x-api-key"),
    "unpaid": _refusing(402, "billing_error", "Your credit balance is too low."),
    "not_found": _refusing(404, "not_found_error", "model: claude-nobody-1"),
    "too_large": _refusing(413, "request_too_large", "Request exceeds the maximum size"),
    "hang": _hang,
    "reset": _reset,
    "cut": _cut,
    "truncated": _saying(lambda text: text[: len(text) // 2], "max_tokens"),
    "malformed": _saying(lambda text: text.replace('"', "'", 3).rstrip("}") + ",,"),
    "prose": _saying(lambda text: "I would say this is rather urgent, and about billing."),
    "refusal": _saying(lambda text: "", "refusal"),
    "empty": _saying(lambda text: ""),
    "fenced": _saying(lambda text: f"Here it is:\n```json\n{text}\n```"),
    "huge": _saying(lambda text: "lorem ipsum " * 90_000),
    "extra": _extra,
    "out_of_range": _out_of_range,
    "not_json": _not_json,
    "broken_json": _broken_json,
    "no_usage": _no_usage,
    "thinking": _thinking,
    "echo": _echo,
}


class FakeMessagesAPI:
    """A server in a thread of its own. `structured=False` refuses output_config; `heedful=False` takes it, unheeded."""

    def __init__(
        self,
        *,
        latency: float = 0.0,
        port: int = 0,
        structured: bool = True,
        heedful: bool = True,
        retry_after: float = 0.1,
    ) -> None:
        self.latency, self.port = latency, port
        self.structured, self.heedful, self.retry_after = structured, heedful, retry_after
        self.bodies: list[dict[str, Any]] = []
        self.received = bytearray()  # every byte of it, heads too
        self.headers: list[dict[str, str]] = []
        self.in_flight = self.most_in_flight = 0
        self.named = ""  # what it says it is; by itself, what was asked for
        self.numbers = itertools.count(1)
        self._next: deque[str] = deque()
        self._always = "ok"
        self._cached: set[str] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fake-messages-api", daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def script(self, *faults: str) -> None:
        """What the next requests meet, one each."""
        self._next.extend(_known(fault) for fault in faults)

    def always(self, fault: str) -> None:
        """What every request meets that no script speaks of."""
        self._always = _known(fault)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.run(self.serve())

    async def serve(self) -> None:
        """Answer until stopped. `port` is known when this has begun."""
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._converse, "127.0.0.1", self.port, backlog=1000, limit=1 << 20)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()  # conversations that hang are cancelled with the loop

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not writer.is_closing():
                opening = await reader.readuntil(b"\r\n\r\n")
                head = opening.decode("latin-1").split("\r\n")
                method, path, _ = head[0].split(" ", 2)
                headers = {
                    name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)
                }
                content = await reader.readexactly(int(headers.get("content-length", "0")))
                self.received += opening + content
                body = json.loads(content) if content else {}
                await self._answer(method, path, headers, body, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(
        self, method: str, path: str, headers: dict[str, str], body: dict[str, Any], writer: asyncio.StreamWriter
    ) -> None:
        exchange = Exchange(self, writer, body)
        if path == "/stat":
            stat = {"requests": len(self.bodies), "in_flight": self.in_flight, "most_in_flight": self.most_in_flight}
            await exchange.send(200, stat)
        elif path == "/script":
            self.script(*body.get("faults", ()))
            self.always(body.get("always", self._always))
            self.latency = float(body.get("latency", self.latency))
            await exchange.send(200, {})
        elif path.startswith("/v1/messages/count_tokens"):
            await exchange.send(200, {"input_tokens": sum(map(imitation.tokens, imitation.text_of(body)))})
        elif path.startswith("/v1/messages") and method == "POST":
            self.bodies.append(body)
            self.headers.append(headers)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            try:
                await self._message(exchange)
            finally:
                self.in_flight -= 1
        else:
            await exchange.refuse(404, "not_found_error", f"no {path} here")

    async def _message(self, exchange: Exchange) -> None:
        body = exchange.body
        if not self.structured and ("output_config" in body or not isinstance(body.get("system", ""), str)):
            await exchange.refuse(400, "invalid_request_error", "unknown field")
            return
        await asyncio.sleep(self.latency)
        exchange.message = {
            "id": f"msg_{next(self.numbers)}",
            "type": "message",
            "role": "assistant",
            "model": self.named or body.get("model", ""),
            "stop_sequence": None,
            "usage": self._usage(body),
        }
        await FAULTS[self._next.popleft() if self._next else self._always](exchange, self.right(body))

    def right(self, body: dict[str, Any]) -> str:
        """The answer that a request wants. A server that answers otherwise says so here."""
        text = imitation.subject_matter(imitation.text_of(body)[1])
        schema = imitation.schema_of(body)
        if schema is None or (not self.heedful and "JSON schema" not in imitation.text_of(body)[0]):
            return imitation.prose(text)
        return json.dumps(imitation.as_the_schema_says(schema, text), ensure_ascii=False)

    def _usage(self, body: dict[str, Any]) -> dict[str, Any]:
        system, user = imitation.text_of(body)
        prefix, rest = imitation.tokens(system), imitation.tokens(user)
        marked = isinstance(body.get("system"), list) and any("cache_control" in block for block in body["system"])
        kept = marked and prefix >= CACHEABLE
        known = kept and system in self._cached
        if kept:
            self._cached.add(system)
        written = prefix if kept and not known else 0
        return {
            "input_tokens": rest if kept else rest + prefix,
            "cache_creation_input_tokens": written,
            "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
            "cache_read_input_tokens": prefix if known else 0,
            "output_tokens": 0,
            "service_tier": "standard",
        }


def _known(fault: str) -> str:
    if fault not in FAULTS:
        raise ValueError(f"no fault {fault!r}; there are {', '.join(FAULTS)}")
    return fault


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m triage.providers.fake", description=__doc__)
    parser.add_argument("--port", type=int, default=8899)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--always", default="ok", choices=list(FAULTS), help="what every request meets")
    parser.add_argument("--no-structured-output", action="store_true", help="refuse output_config, as some servers do")
    given = parser.parse_args()
    server = FakeMessagesAPI(latency=given.latency, port=given.port, structured=not given.no_structured_output)
    server.always(given.always)
    print(f"A Messages API that is none: {server.base_url}", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(server.serve())


if __name__ == "__main__":
    main()
