"""How a request is answered: in one thread, from its first middleware to its view."""

from __future__ import annotations

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.base import BaseHandler
from django.http import HttpRequest
from django.http.response import HttpResponseBase


class ThreadHandler(ASGIHandler):
    """Django's handler for ASGI, with its synchronous chain of middlewares.

    Our middlewares and views are synchronous. Django's own chain under ASGI is not: it goes from the loop to a thread
    for the middlewares, back to the loop to find the view, and to the thread again for it: some 10 % of a short
    request. A view that is asynchronous runs in the loop all the same.
    """

    def __init__(self) -> None:
        BaseHandler.__init__(self)
        self.load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        return await sync_to_async(self.get_response)(request)
