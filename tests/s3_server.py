"""A bucket on loopback that speaks as much of S3 as storing, asking for, fetching and deleting a file takes."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class S3Server:
    """`objects` by path, /bucket/key. While `broken` every request is answered 500."""

    port: int = 0
    objects: dict[str, bytes] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    broken: bool = False
    unsigned: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def _handler(kept: S3Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            body = self._body()
            if self._may():
                kept.objects[self.path] = body
                kept.types[self.path] = self.headers.get("Content-Type", "")
                self._answer(200, {"ETag": f'"{hashlib.md5(body).hexdigest()}"'})

        def do_HEAD(self) -> None:
            self._object(with_body=False)

        def do_GET(self) -> None:
            self._object(with_body=True)

        def do_DELETE(self) -> None:
            if self._may():
                kept.objects.pop(self.path, None)
                self._answer(204)

        def _object(self, *, with_body: bool) -> None:
            if not self._may():
                return
            if self.path not in kept.objects:
                code = b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>"
                self._answer(404, {"Content-Type": "application/xml"}, code, with_body=with_body)
                return
            headers = {"Content-Type": kept.types[self.path], "Last-Modified": "Sat, 28 Nov 2026 10:00:00 GMT"}
            self._answer(200, headers, kept.objects[self.path], with_body=with_body)

        def _may(self) -> bool:
            if kept.broken:
                self._answer(500)
                return False
            kept.unsigned += not self.headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256 ")
            return True

        def _body(self) -> bytes:
            if "aws-chunked" not in self.headers.get("Content-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length", "0")))
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():  # the checksum behind it
                pass
            return body

        def _answer(
            self, status: int, headers: dict[str, str] | None = None, body: bytes = b"", *, with_body: bool = True
        ) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def s3_server() -> Iterator[S3Server]:
    kept = S3Server()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(kept))
    kept.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
