from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from analytics.metrics import registry
from tickets.channels.api.keys import BearerKey, HeaderKey
from tickets.channels.api.problems import Problem, problem_response


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Figures for Prometheus, for an API key with the scope read (its `authorization` setting sends one)."""
    try:
        key = BearerKey()(request) or HeaderKey()(request)
    except Problem as problem:
        return problem_response(problem.status, problem.code, problem.detail)
    if key is None:
        return problem_response(401)
    if not key.may("read"):
        return problem_response(403, "scope_missing", "This needs a key with the scope read.")
    return HttpResponse(generate_latest(registry()), content_type=CONTENT_TYPE_LATEST)
