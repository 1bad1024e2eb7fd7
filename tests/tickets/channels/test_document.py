"""The whole API from its own document: whatever is sent, no answer is a 500 and none contradicts the document."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import Client
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as fuzzing
from jsonschema_rs import Draft202012Validator
from pytest_django import Settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from tests.tickets.channels.conftest import Caller
from tickets.channels.api.endpoints import SCOPE_OF, api
from tickets.channels.api.examples import ANSWERS, REQUESTS
from tickets.models import Ticket
from triage.models import User

EXAMPLES = int(os.environ.get("TRIAGE_FUZZ", "12"))  # of each operation and each way of asking it


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """As a client reads it."""
    return json.loads(json.dumps(api.get_openapi_schema(path_prefix="/api/v1/")))  # type: ignore[no-any-return]


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, one) for path, methods in document["paths"].items() for method, one in methods.items()]


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": document["components"]})


def test_it_is_served_as_it_is_written(document: dict[str, Any], db: None) -> None:
    served = Client().get("/api/v1/openapi.json").json()
    assert served == document
    assert served["openapi"].startswith("3.1") and served["info"]["title"] == "Triage Desk"


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(node: Any) -> list[str]:
        if isinstance(node, list):
            return [found for one in node for found in references(one)]
        if not isinstance(node, dict):
            return []
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for one in node.values() for found in references(one)]

    for reference in references(document):
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


def test_every_operation_says_who_may_what_it_answers_and_what_is_left(document: dict[str, Any]) -> None:
    told = operations(document)
    assert {operation["operationId"] for _, _, operation in told} == set(SCOPE_OF)
    for path, _, operation in told:
        scope = SCOPE_OF[operation["operationId"]]
        assert operation["security"] == [{"BearerKey": [scope]}, {"HeaderKey": [scope]}]
        assert scope in operation["description"] and operation["summary"] and operation["tags"]
        assert {"400", "401", "403", "429", "503"} <= set(operation["responses"])
        assert ("404" in operation["responses"]) is ("{number}" in path)
        for code, answer in operation["responses"].items():
            assert {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Window", "X-Correlation-ID"} <= set(
                answer["headers"]
            )
            assert ("Retry-After" in answer["headers"]) is (code in ("429", "503"))
            if operation["operationId"] == "get_attachment" and code == "200":
                assert "application/octet-stream" in answer["content"]
                continue
            kind = "application/json" if int(code) < 400 else "application/problem+json"
            assert list(answer["content"]) == [kind]


def test_every_example_is_what_its_schema_says(document: dict[str, Any]) -> None:
    seen = 0
    for _, _, operation in operations(document):
        contents = [answer["content"] for answer in operation["responses"].values()]
        contents += [operation["requestBody"]["content"]] if "requestBody" in operation else []
        for content in contents:
            for described in (one for one in content.values() if "schema" in one):  # the bytes of a file have none
                resolved(document, described["schema"]).validate(described["example"])
                seen += 1
    assert seen > 80
    assert {operation["operationId"] for _, _, operation in operations(document)} == set(ANSWERS)
    assert {one["operationId"] for _, _, one in operations(document) if "requestBody" in one} == set(REQUESTS)


@pytest.fixture
def fuzzed(caller: Caller, admin_of_desk: User, settings: Settings) -> Iterator[Any]:
    """The document over the application itself, with a key that may do everything."""
    for signal in (request_started, request_finished):  # the test's transaction would end with the first request
        signal.disconnect(close_old_connections)
    settings.API_KEYLESS_PER_WINDOW = settings.API_PER_WINDOW  # each request is tried without a key, too
    client = caller(admin_of_desk, "read,write,approve")
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", WSGIHandler())
    load_all_checks()
    yield schema, {"Authorization": client.defaults["HTTP_AUTHORIZATION"]}
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def _beyond_words(label: str) -> list[Any]:
    """What no schema can say: that a text is blank when it is cleaned, that there is no such person; and that a row of
    many is refused in its own result, for which the call is no worse.
    """
    names = ["positive_data_acceptance"]
    names += ["negative_data_rejection"] if label == "POST /api/v1/tickets/bulk" else []
    return [check for check in CHECKS.get_all() if getattr(check, "__name__", "") in names]


def _ask(operation: Any, headers: dict[str, str], mode: GenerationMode, number: int) -> None:
    @given(case=operation.as_strategy(generation_mode=mode))
    @fuzzing(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def once(case: Any) -> None:
        if mode is GenerationMode.POSITIVE and "number" in case.path_parameters:
            case.path_parameters["number"] = number
        case.call_and_validate(headers=headers, excluded_checks=_beyond_words(case.operation.label))

    once()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", list(GenerationMode), ids=str)
def test_whatever_is_sent_the_answers_are_those_of_the_document(
    fuzzed: Any, reviewed: Ticket, mode: GenerationMode
) -> None:
    schema, headers = fuzzed
    asked = 0
    for result in schema.get_all_operations():
        _ask(result.ok(), headers, mode, reviewed.number)
        asked += 1
    assert asked == len(SCOPE_OF)
    assert Ticket.objects.filter(pk=reviewed.pk).exists()
