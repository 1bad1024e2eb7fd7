"""What every page of the desk shows around its content."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


def frame(request: HttpRequest) -> dict[str, Any]:
    """Context of the frame: the nonce for scripts."""
    return {"csp_nonce": getattr(request, "csp_nonce", "")}
