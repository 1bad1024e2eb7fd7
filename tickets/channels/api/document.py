"""The OpenAPI document: what django-ninja writes of the endpoints, made complete and true of every answer."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from ninja import NinjaAPI
from ninja.openapi.schema import REF_TEMPLATE
from ninja.operation import Operation

from tickets.channels.api.examples import ANSWERS, REQUESTS, problem
from tickets.channels.api.keys import HEADER
from tickets.channels.api.problems import MEDIA_TYPE, USUAL
from tickets.channels.api.schemas import BulkTicket

Json = dict[str, Any]
ALWAYS = (400, 401, 403, 429, 503)
ONLY_WITH_BODY = (413, 415)
OF_CODES = {429: ("too_many_requests", "Too many requests. Wait 12 seconds."), 503: USUAL[503]}
TAGS = (
    ("Tickets", "In, out, and what a person decides of them."),
    ("Comments", "Internal: customers never see them."),
    ("Reading", "What the machine makes of a text, and the figures of all."),
)
_COUNT = {"type": "integer", "minimum": 0}
HEADERS: Json = {
    "X-RateLimit-Limit": {"description": "Requests of a window", "schema": _COUNT},
    "X-RateLimit-Remaining": {"description": "How many of them are left", "schema": _COUNT},
    "X-RateLimit-Window": {"description": "Seconds of the window, which slides", "schema": _COUNT},
    "X-Correlation-ID": {
        "description": "Stands in the logs and in the history of the ticket",
        "schema": {"type": "string"},
        "required": True,
    },
    "Retry-After": {"description": "Seconds to wait before the next try", "schema": _COUNT, "required": True},
}
SCHEMES: Json = {
    "BearerKey": {"type": "http", "scheme": "bearer", "description": "An API key: `Authorization: Bearer td_…`"},
    "HeaderKey": {"type": "apiKey", "in": "header", "name": HEADER, "description": "The same key in another header"},
}


class DescribedApi(NinjaAPI):
    """`scopes` says what each operation needs of a key, by its name."""

    def __init__(self, *, scopes: dict[str, str], **given: Any) -> None:
        super().__init__(**given)
        self.scopes = scopes

    def get_openapi_operation_id(self, operation: Operation) -> str:
        return str(operation.view_func.__name__)

    def get_openapi_schema(self, **given: Any) -> Any:
        document = super().get_openapi_schema(**given)
        document["tags"] = [{"name": name, "description": words} for name, words in TAGS]
        document["components"] |= {"headers": HEADERS, "securitySchemes": SCHEMES}
        _name_rows(document["components"]["schemas"])
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                _complete(operation, path, method, self.scopes)
        return document


def _complete(operation: Json, path: str, method: str, scopes: dict[str, str]) -> None:
    name = operation["operationId"]
    operation["tags"] = [_tag(path)]
    operation["security"] = [{scheme: [scopes[name]]} for scheme in SCHEMES]
    operation["description"] = f"{operation.get('description', '')}\n\nNeeds the scope `{scopes[name]}`.".strip()
    for parameter in operation["parameters"]:
        if parameter["in"] == "path":
            parameter["schema"] |= {"minimum": 0}
        if parameter["in"] == "query":  # there is no null in an address: what is not wanted is left out
            parameter["schema"] = _without_null(parameter["schema"])
    body = operation.get("requestBody")
    if body:
        for content in body["content"].values():
            content["example"] = REQUESTS[name]
    answers = {int(code): answer for code, answer in operation["responses"].items() if int(code) < 400}
    for code, answer in answers.items():
        answer["headers"] = _headers(code)
        if "application/json" in answer["content"]:  # not in the bytes of a file
            answer["content"]["application/json"]["example"] = ANSWERS[name][code]
    answers |= {code: _problem(code) for code in _codes(path, method, bool(body), operation["parameters"])}
    operation["responses"] = {str(code): answers[code] for code in sorted(answers)}


def _codes(path: str, method: str, has_body: bool, parameters: list[Json]) -> set[int]:
    """The statuses of the problems that an operation can answer with."""
    codes = set(ALWAYS)
    if "{number}" in path:
        codes.add(404)
    if method != "get":
        codes |= {409, 422}
    if has_body:
        codes |= set(ONLY_WITH_BODY)
    if any(parameter["in"] == "query" for parameter in parameters):
        codes.add(422)
    return codes


def _problem(code: int) -> Json:
    title = HTTPStatus(code).phrase
    short, sentence = OF_CODES.get(code) or USUAL.get(code) or EXPLAINED[code]
    schema = {"$ref": REF_TEMPLATE.format(model="ProblemOut")}
    example = problem(code, title, short, sentence)
    return {
        "description": title,
        "headers": _headers(code),
        "content": {MEDIA_TYPE: {"schema": schema, "example": example}},
    }


EXPLAINED = {
    409: ("conflict", "Somebody was quicker. Look at what is there now."),
    422: ("invalid", "title: This field is required."),
}


def _headers(code: int) -> Json:
    names = [name for name in HEADERS if name != "Retry-After" or code in (429, 503)]
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _tag(path: str) -> str:
    if path.endswith("/comments") or "/attachments" in path:
        return "Comments"
    return "Tickets" if "/tickets" in path else "Reading"


def _without_null(schema: Json) -> Json:
    options = [option for option in schema.get("anyOf", []) if option.get("type") != "null"]
    if len(options) != 1:
        return schema
    return {**{name: value for name, value in schema.items() if name != "anyOf"}, **options[0]}


def _name_rows(schemas: Json) -> None:
    """Of rows that are looked at one by one, ninja knows nothing."""
    described = BulkTicket.model_json_schema(ref_template=REF_TEMPLATE)
    schemas |= described.pop("$defs", {}) | {"BulkTicket": described}
    schemas["NewTickets"]["properties"]["tickets"]["items"] = {"$ref": REF_TEMPLATE.format(model="BulkTicket")}
