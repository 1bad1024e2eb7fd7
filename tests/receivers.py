"""Receivers of webhooks on loopback, each with a temper: good, slow, endless, or answering what it is told to."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.running import free_port


@dataclass
class Receiver:
    """Answers with `answers` in turn, the last one for good, `after` seconds, and keeps what it was sent."""

    port: int = 0
    answers: list[int] = field(default_factory=lambda: [200])
    headers: dict[str, str] = field(default_factory=dict)
    after: float = 0.0
    endless: str = ""  # "body" or "headers": what of its answer never ends
    heard: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?x=1"

    def keep(self, headers: dict[str, str], body: bytes) -> int:
        self.heard.append((headers, body))
        self.at.append(time.monotonic())
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def _handler(kept: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = kept.keep({name.lower(): value for name, value in self.headers.items()}, body)
            if kept.endless:
                self._never_end()
                return
            kept.stopped.wait(kept.after)
            self.send_response(status)
            for name, value in kept.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def _never_end(self) -> None:
            self.close_connection = True
            try:
                self.wfile.write(b"HTTP/1.1 200 OK\r\n" + (b"\r\n" if kept.endless == "body" else b""))
                while not kept.stopped.wait(0.05):
                    self.wfile.write(b"x" * 10 if kept.endless == "body" else b"X-More: again\r\n")
                    self.wfile.flush()
            except OSError:
                pass

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: Any) -> None:
        """Whoever hangs up has its reasons."""


@contextmanager
def receiving(**temper: Any) -> Iterator[Receiver]:
    kept = Receiver(**temper)
    server = _Server(("127.0.0.1", 0), _handler(kept))
    kept.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield kept
    finally:
        kept.stopped.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def mute() -> Iterator[str]:
    """The address of one that takes connections and says nothing."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"


def nobody() -> str:
    """An address at which nothing listens."""
    return f"http://127.0.0.1:{free_port()}/"
