"""`manage.py demo`: a few sample tickets through the public form of the running desk, as customers would send them."""

from __future__ import annotations

import html
import http.cookiejar
import json
import random
import re
import urllib.error
import urllib.parse
import urllib.request
from http import HTTPStatus
from pathlib import Path
from time import sleep
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from triage import brake

SAMPLES = Path(__file__).resolve().parents[2] / "starter" / "demo.json"
PATIENCE = 90  # seconds: what is taken a minute is waited for, what is taken an hour is not
_INPUT = re.compile(r"<input\b[^>]*>")


class Command(BaseCommand):
    help = "Send sample tickets through the form of the running desk."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--count", type=int, default=5)

    def handle(self, *args: Any, **options: Any) -> None:
        samples = json.loads(SAMPLES.read_text())
        address = f"http://localhost:{settings.PORT}/support/"
        for sample in random.sample(samples, min(options["count"], len(samples))):
            try:
                while wait := _send(address, sample):
                    self._rest(wait)
            except urllib.error.HTTPError as error:
                raise CommandError(f"The form refused a sample ({error.code}).") from error
            except OSError as error:
                raise CommandError(f"Nothing answers on port {settings.PORT}. `make up` starts the desk.") from error
            self.stdout.write(f"Sent: {sample['subject']}")
        self.stdout.write(f"They appear at {settings.BASE_URL}/tickets/")

    def _rest(self, wait: int) -> None:
        if wait > PATIENCE:
            told = f"The form takes no more from this address for {brake.spoken(wait)}; run the same command then."
            raise CommandError(told)
        self.stdout.write(f"The form takes the next one in {brake.spoken(wait)}.")
        sleep(wait)


def _send(address: str, sample: dict[str, Any]) -> int:
    """Send one as a customer would. Returns the seconds that the form asks to wait, or 0 when it took it."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    with browser.open(address, timeout=10) as page:
        fields = _hidden_fields(page.read().decode())
    fields |= {"title": sample["subject"], "description": sample["text"]}
    fields |= {name: sample[name] for name in ("email", "name") if sample.get(name)}
    request = urllib.request.Request(address, urllib.parse.urlencode(fields).encode(), {"Referer": address})  # noqa: S310
    try:
        browser.open(request, timeout=10).close()
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.TOO_MANY_REQUESTS:
            raise
        with error:
            return int(error.headers["Retry-After"])
    return 0


def _hidden_fields(page: str) -> dict[str, str]:
    """The form's own values: its token against forgery, and the key that makes a second click the same ticket."""
    found = {}
    for tag in _INPUT.findall(page):
        attributes = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if attributes.get("type") == "hidden" and "name" in attributes:
            found[attributes["name"]] = html.unescape(attributes.get("value", ""))
    return found
