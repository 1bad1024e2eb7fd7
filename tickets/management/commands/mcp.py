"""`manage.py mcp`: the desk over MCP on standard input and output, for programs on this machine."""

from __future__ import annotations

import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from tickets.channels.api.problems import Problem

VARIABLE = "TRIAGE_API_KEY"


class Command(BaseCommand):
    help = f"Speak MCP on standard input and output. {VARIABLE} holds the API key in whose name it is."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        import logging

        from tickets.mcp.caller import identify, local_key
        from tickets.mcp.server import build

        given = os.environ.get(VARIABLE, "")
        try:
            identify(given)
        except Problem as why:
            raise CommandError(f"{VARIABLE} holds no API key in force. manage.py create_api_key makes one.") from why
        connections.close_all()
        for handler in logging.getLogger().handlers:  # standard output is the conversation's
            if isinstance(handler, logging.StreamHandler):
                handler.setStream(self.stderr._out)
        local_key.set(given)
        build().run("stdio")
