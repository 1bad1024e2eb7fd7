"""Which pages of other origins may call the API from a browser: settings of django-cors-headers, from the environment.

They bring an API key in a header. Cookies are never taken from them, and no origin stands for all of them.
"""

from __future__ import annotations

import environ

_env = environ.Env()

CORS_ALLOWED_ORIGINS = [origin.rstrip("/") for origin in _env.list("TRIAGE_API_ORIGINS", default=[])]
CORS_ALLOW_CREDENTIALS = False
CORS_URLS_REGEX = r"^/api/"
CORS_ALLOW_METHODS = ("GET", "POST", "PATCH", "OPTIONS")
CORS_ALLOW_HEADERS = ("accept", "authorization", "content-type", "idempotency-key", "x-api-key", "x-correlation-id")
CORS_EXPOSE_HEADERS = (
    "Allow",
    "Retry-After",
    "X-Correlation-ID",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Window",
)
CORS_PREFLIGHT_MAX_AGE = 3_600  # seconds
