"""What was deleted in the settings can be brought back: its fields travel, signed, to the page that shows the list."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.core import signing
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse

_SALT = "deleted-setting"
_SECONDS = 3_600


def gone(page: str, words: str, fields: dict[str, str]) -> HttpResponseRedirect:
    """Back to a page, with what it takes to make the thing again."""
    signed = signing.dumps({"words": words, "fields": fields}, salt=_SALT, compress=True)
    return HttpResponseRedirect(f"{reverse(page)}?{urlencode({'deleted': signed})}")


def to_undo(request: HttpRequest) -> dict[str, Any] | None:
    """{"words", "fields"} of what was deleted a moment ago, if this is the page after it."""
    try:
        found: dict[str, Any] = signing.loads(request.GET.get("deleted", ""), salt=_SALT, max_age=_SECONDS)
    except signing.BadSignature:
        return None
    return found
