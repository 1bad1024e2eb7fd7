from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from asgiref.sync import AsyncToSync
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path

from triage.handler import ThreadHandler

pytestmark = pytest.mark.asyncio


def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse(threading.current_thread().name)


async def waiting(request: HttpRequest) -> HttpResponse:
    await asyncio.sleep(0)
    return HttpResponse(threading.current_thread().name)


def broken(request: HttpRequest) -> HttpResponse:
    raise RuntimeError


urlpatterns = [path("plain", plain), path("waiting", waiting), path("broken", broken)]


async def ask(handler: ASGIHandler, address: str) -> tuple[int, str]:
    sent: list[Any] = []
    asked, over = iter([{"type": "http.request", "body": b"", "more_body": False}]), asyncio.Event()

    async def receive() -> Any:
        for event in asked:
            return event
        await over.wait()
        return {"type": "http.disconnect"}

    async def send(event: Any) -> None:
        sent.append(event)

    scope = {
        "type": "http",
        "method": "GET",
        "path": address,
        "headers": [(b"host", b"localhost")],
        "query_string": b"",
    }
    await handler(scope, receive, send)
    return sent[0]["status"], b"".join(event.get("body", b"") for event in sent[1:]).decode()


@pytest.fixture
def back_to_the_loop(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What a thread asked the loop to do for it."""
    asked: list[object] = []
    real = AsyncToSync.__call__

    def noted(self: AsyncToSync[Any, Any], *arguments: Any, **more: Any) -> Any:
        asked.append(self.awaitable)
        return real(self, *arguments, **more)

    monkeypatch.setattr(AsyncToSync, "__call__", noted)
    return asked


@override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=["tickets.channels.api.problems.ProblemMiddleware"])
async def test_a_request_is_answered_in_one_thread(back_to_the_loop: list[object]) -> None:
    status, thread = await ask(ThreadHandler(), "/plain")
    assert (status, thread != threading.current_thread().name, back_to_the_loop) == (200, True, [])


@override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=["tickets.channels.api.problems.ProblemMiddleware"])
async def test_an_asynchronous_view_runs_in_the_loop() -> None:
    assert await ask(ThreadHandler(), "/waiting") == (200, threading.current_thread().name)


@override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=[], DEBUG=False)
async def test_what_breaks_is_answered() -> None:
    handler = ThreadHandler()
    assert (await ask(handler, "/nowhere"))[0] == 404
    assert (await ask(handler, "/broken"))[0] == 500
