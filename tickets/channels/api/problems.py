"""Errors as RFC 9457 problem documents: a code for programs, a sentence for people, the correlation id for both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

import structlog
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from tickets.actions.errors import Flagged, Refused
from triage.correlation import current

log = structlog.get_logger(__name__)
MEDIA_TYPE = "application/problem+json"
PREFIXES = ("/api/", "/webhooks/", "/healthz", "/readyz", "/metrics")
TOO_BIG = "The body is too large. A description has up to 100,000 characters."
USUAL = {
    400: ("bad_request", "The request could not be understood. Check its address, headers and body."),
    401: ("no_key", "Send an API key as Authorization: Bearer KEY, or as X-API-KEY: KEY."),
    403: ("forbidden", "This key may not do that."),
    404: ("not_found", "There is nothing at this address, or this key may not see it."),
    405: ("method_not_allowed", "This address does not take that method. The header Allow says which it takes."),
    413: ("too_large", TOO_BIG),
    415: ("wrong_content_type", "Send JSON, with Content-Type: application/json."),
    500: ("internal_error", "Something broke on our side. Send it again: with the same Idempotency-Key that is safe."),
    503: ("unavailable", "The database does not answer just now. Nothing of this request was kept. Try again soon."),
}


class Problem(Exception):
    """A request that is answered with a problem document. `errors` names the fields: [(field, sentence)]."""

    def __init__(
        self, status: int, code: str = "", detail: str = "", *, errors: Iterable[tuple[str, str]] = ()
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = list(errors)


def invalid(*errors: tuple[str, str]) -> Problem:
    """422, naming each field."""
    return Problem(422, "invalid", " ".join(f"{field}: {sentence}" for field, sentence in errors), errors=errors)


def document_of(
    status: int,
    code: str = "",
    detail: str = "",
    *,
    errors: Iterable[tuple[str, str]] = (),
    flags: Iterable[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """A problem document; what is not given is usual for its status."""
    usual_code, usual_detail = USUAL.get(status, USUAL[400 if status < 500 else 500])
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code or usual_code,
        "detail": detail or usual_detail,
        "correlation_id": current(),
    }
    named = [{"field": field, "message": sentence} for field, sentence in errors]
    if named:
        document["errors"] = named
    if flags:
        document["flags"] = list(flags)
    return document


def problem_response(
    status: int,
    code: str = "",
    detail: str = "",
    *,
    errors: Iterable[tuple[str, str]] = (),
    flags: Iterable[Mapping[str, str]] = (),
) -> JsonResponse:
    document = document_of(status, code, detail, errors=errors, flags=flags)
    response = JsonResponse(document, status=status, content_type=MEDIA_TYPE)
    if status == 401:
        response["WWW-Authenticate"] = 'Bearer realm="Triage Desk"'
    if status == 503:
        response["Retry-After"] = "5"
    return response


def handle_errors_of(api: NinjaAPI) -> None:
    """Have every error of `api` leave as a problem document."""
    handlers: dict[type[Exception], Callable[[HttpRequest, Any], HttpResponse]] = {
        Problem: _own,
        Refused: _refused,
        ValidationError: _invalid,
        AuthenticationError: lambda request, error: problem_response(401),
        HttpError: _http,
        Http404: lambda request, error: problem_response(404),
        RequestDataTooBig: lambda request, error: problem_response(413),
        SuspiciousOperation: lambda request, error: problem_response(400),
        OperationalError: _unavailable,
        Exception: _broken,
    }
    for kind, handler in handlers.items():
        api.add_exception_handler(kind, handler)


def _own(request: HttpRequest, error: Problem) -> HttpResponse:
    return problem_response(error.status, error.code, error.detail, errors=error.errors)


def refusal(error: Refused) -> Problem:
    """What an action refused, as a problem."""
    named = [(error.field, error.sentence)] if error.field else []
    return Problem(error.status, error.code, error.sentence, errors=named)


def _refused(request: HttpRequest, error: Refused) -> HttpResponse:
    problem = refusal(error)
    flags = [{"kind": flag.kind, "words": flag.words} for flag in error.flags] if isinstance(error, Flagged) else []
    return problem_response(problem.status, problem.code, problem.detail, errors=problem.errors, flags=flags)


def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    placed = []
    for complaint in error.errors:
        place = list(complaint["loc"])
        if place[:1] == ["body"]:
            place = place[2:]  # "body", then the name of our own argument
        elif place[:1] in (["query"], ["header"], ["path"]):
            place = place[1:]
        placed.append({**complaint, "loc": place})
    return _own(request, invalid(*named_by(placed).items()))


def named_by(complaints: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """{field: sentence} of pydantic's complaints, the first of each field."""
    named: dict[str, str] = {}
    for complaint in complaints:
        place = complaint["loc"]
        field = ".".join(str(part) for part in place if not _is_member_of_union(part)) or "body"
        named.setdefault(field, _sentence(complaint))
    return named


def _is_member_of_union(part: Any) -> bool:
    return isinstance(part, str) and ("[" in part or part in ("str", "int", "constrained-str", "none"))


def _sentence(complaint: Mapping[str, Any]) -> str:
    if complaint["type"] == "missing":
        return "This field is required."
    if complaint["type"] == "extra_forbidden":
        return "There is no field of this name."
    if complaint["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return "This is a JSON object."
    words = str(complaint["msg"])
    return words if words.endswith(".") else f"{words}."


def _http(request: HttpRequest, error: HttpError) -> HttpResponse:
    if isinstance(error.__cause__, Problem):  # ninja takes whatever a parser raises for bad JSON
        return _own(request, error.__cause__)
    if error.status_code == 400:
        return problem_response(400, "not_json", "The body is not valid JSON.")
    return problem_response(error.status_code, detail=error.message)


def _unavailable(request: HttpRequest, error: OperationalError) -> HttpResponse:
    log.warning("database_unavailable", path=request.path, error=type(error).__name__)
    return problem_response(503)


def _broken(request: HttpRequest, error: Exception) -> HttpResponse:
    log.error("api_broke", path=request.path, exc_info=error)
    return problem_response(500)


class ProblemMiddleware:
    """Whatever Django itself answers to a program (no such address, wrong method) is a problem document too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        kind = response.get("Content-Type", "").partition(";")[0]
        if response.status_code < 400 or kind in (MEDIA_TYPE, "application/json"):
            return response
        if not request.path_info.startswith(PREFIXES):
            return response
        problem = problem_response(response.status_code)
        if "Allow" in response:
            problem["Allow"] = response["Allow"]
        return problem
