from __future__ import annotations

import json
import logging
import sys
import uuid
from typing import Any

import pytest
import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.test import Client

from tickets.models import Review
from triage import correlation
from triage.correlation import acting, tracing


def test_every_answer_carries_an_id_of_its_own(client: Client) -> None:
    first, second = (client.get("/healthz")["X-Correlation-ID"] for _ in range(2))
    assert uuid.UUID(first) != uuid.UUID(second)


def test_a_callers_id_is_kept_when_it_looks_like_one(client: Client) -> None:
    assert (
        client.get("/healthz", headers={"X-Correlation-ID": "their-trace-01"})["X-Correlation-ID"] == "their-trace-01"
    )


@pytest.mark.parametrize("given", ["short", "has spaces in it", "x" * 65, "<script>alert(1)"])
def test_a_callers_id_that_is_none_is_replaced(client: Client, given: str) -> None:
    answered = client.get("/healthz", headers={"X-Correlation-ID": given})["X-Correlation-ID"]
    assert answered != given and uuid.UUID(answered)


def test_the_id_ends_with_the_work() -> None:
    with tracing("outer-trace"), acting("machine:test") as inner:
        assert inner == correlation.current() == "outer-trace"
    assert correlation.current() == ""


def test_a_log_line_is_one_json_object_with_the_id_in_force() -> None:
    handler = logging.StreamHandler()
    formatters: Any = settings.LOGGING["formatters"]
    options = {key: value for key, value in formatters["json"].items() if key != "()"}
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(**options))
    record = logging.LogRecord("tickets.tasks", logging.INFO, __file__, 1, "ticket_read", None, None)
    record.ticket = 7
    with tracing("trace-of-a-log"):
        line = json.loads(handler.format(record))
    assert line["event"] == "ticket_read" and line["correlation_id"] == "trace-of-a-log"
    assert (line["level"], line["logger"], line["ticket"]) == ("info", "tickets.tasks", 7)


def test_a_database_error_is_logged_without_the_row_it_quotes(db: None) -> None:
    handler = logging.StreamHandler()
    formatters: Any = settings.LOGGING["formatters"]
    options = {key: value for key, value in formatters["json"].items() if key != "()"}
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(**options))
    secret = "My card number\n\nis 4111"
    try:
        with transaction.atomic():
            Review.objects.bulk_create([Review(decision="approved", text=secret)])
    except IntegrityError:
        record = logging.LogRecord("tickets", logging.ERROR, __file__, 1, "broke", None, sys.exc_info())
    line = handler.format(record)
    assert "IntegrityError" in line and "quoted row cut" in line
    assert "card number" not in line and "4111" not in line
