"""The door to the model, over real HTTP against the server that ships as the fake."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import OperationalError, ProgrammingError, connection, transaction
from django.utils import timezone
from pytest_django import Settings

from triage import calls, correlation, ledger
from triage.models import Breaker, Budget, Call, CallStatus, Spending
from triage.pipeline.types import NoAnswer, Question
from triage.providers.fake import FAULTS, FakeMessagesAPI

pytestmark = pytest.mark.django_db

SCHEMA = {
    "type": "object",
    "properties": {
        "category": {"enum": ["billing", "bug", "other"]},
        "confidence": {"type": "number"},
        "note": {"type": "string"},
    },
    "required": ["category", "confidence"],
    "additionalProperties": False,
}


@pytest.fixture
def server(settings: Settings) -> Iterator[FakeMessagesAPI]:
    with FakeMessagesAPI(retry_after=0.05) as fake:
        settings.ANTHROPIC_BASE_URL = fake.base_url
        settings.ANTHROPIC_API_KEY = "test-key"
        settings.TRIAGE_MODEL = "claude-haiku-5-5"
        settings.TRIAGE_MODEL_TIMEOUT = 5.0
        yield fake


def question(text: str = "I was charged twice, please refund the invoice", **more: object) -> Question:
    values = {
        "operation": "classify",
        "system": "You sort tickets.",
        "user": text,
        "prompt_version": "classify-1",
        "max_tokens": 300,
        "schema": SCHEMA,
        "subject_kind": "ticket",
        "subject_id": "7",
    }
    return Question(**{**values, **more})  # type: ignore[arg-type]


def test_it_answers_and_writes_the_call_down(server: FakeMessagesAPI) -> None:
    with correlation.acting("machine:model", correlation_id="from-door-to-send"):
        answer = calls.ask_sync(question())
    assert json.loads(answer.text)["category"] == "billing"
    row = Call.objects.get()
    assert (row.status, row.operation, row.provider) == (CallStatus.OK, "classify", "anthropic")
    assert (row.model_asked, row.model_answered) == ("claude-haiku-5-5", "claude-haiku-5-5")
    assert (row.subject_kind, row.subject_id, row.prompt_version) == ("ticket", "7", "classify-1")
    assert row.correlation_id == "from-door-to-send"
    assert row.latency_ms is not None and row.request_id.startswith("req_") and row.stop_reason == "end_turn"
    assert row.input_tokens and row.output_tokens
    expected = (Decimal(row.input_tokens) * Decimal("0.10") + Decimal(row.output_tokens) * Decimal("0.50")) / 10**6
    assert row.cost == expected == Decimal(answer.cost_usd or "nothing")
    assert row.price is not None and row.price["valid_from"] == "2026-10-07"
    assert answer.call_id == row.pk


def test_a_prompt_read_from_the_cache_is_priced_apart(server: FakeMessagesAPI) -> None:
    system = "You sort tickets. " * 200
    calls.ask_sync(question(system=system))
    calls.ask_sync(question(system=system))
    first, second = Call.objects.order_by("pk")
    assert first.cache_write_5m_tokens and first.cache_read_tokens == 0
    assert second.cache_read_tokens == first.cache_write_5m_tokens
    assert second.cache_read_cost == Decimal(second.cache_read_tokens) * Decimal("0.01") / 10**6
    assert first.cache_write_5m_cost == Decimal(first.cache_write_5m_tokens) * Decimal("0.125") / 10**6


def test_without_a_key_or_a_server_nothing_is_asked_and_nothing_written(settings: Settings) -> None:
    settings.ANTHROPIC_API_KEY = settings.ANTHROPIC_BASE_URL = ""
    assert not calls.configured()
    with pytest.raises(NoAnswer, match="no language model is configured"):
        calls.ask_sync(question())
    assert not Call.objects.exists()


def test_a_base_url_alone_is_enough(server: FakeMessagesAPI, settings: Settings) -> None:
    settings.ANTHROPIC_API_KEY = ""
    assert calls.configured()
    assert calls.ask_sync(question()).text


def test_a_model_without_a_price_is_called_and_its_cost_is_unknown(server: FakeMessagesAPI, settings: Settings) -> None:
    settings.TRIAGE_MODEL = "llama-5"
    answer = calls.ask_sync(question())
    row = Call.objects.get()
    assert row.status == CallStatus.OK and row.input_tokens
    assert row.cost is None and row.input_cost is None and row.price is None and answer.cost_usd is None
    assert Budget.state().unknown == 1


# Faults. What may pass is tried again at once; the rest is one row and a plain reason.


@pytest.mark.parametrize("fault", ["rate_limited", "overloaded", "error", "reset", "cut"])
def test_what_may_pass_is_tried_again(server: FakeMessagesAPI, fault: str) -> None:
    server.script(fault, fault, "ok")
    assert calls.ask_sync(question()).text
    row = Call.objects.get()
    assert (row.status, row.retries) == (CallStatus.OK, 2)
    assert len(server.bodies) == 3


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("rate_limited", "rate_limited"),
        ("overloaded", "overloaded"),
        ("error", "server_error"),
        ("reset", "unreachable"),
    ],
)
def test_what_does_not_pass_is_given_up_after_three_attempts(server: FakeMessagesAPI, fault: str, code: str) -> None:
    server.always(fault)
    with pytest.raises(NoAnswer):
        calls.ask_sync(question())
    row = Call.objects.get()
    assert (row.status, row.error_code, row.retries) == (CallStatus.FAILED, code, 2)
    assert row.error.endswith(".") and row.latency_ms is not None


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("bad_request", "rejected"),
        ("unauthorised", "not_allowed"),
        ("unpaid", "not_paid"),
        ("not_found", "no_such_model"),
        ("too_large", "too_long"),
    ],
)
def test_what_cannot_pass_is_not_tried_again_and_costs_nothing(server: FakeMessagesAPI, fault: str, code: str) -> None:
    server.always(fault)
    with pytest.raises(NoAnswer):
        calls.ask_sync(question(schema=None))
    row = Call.objects.get()
    assert (row.status, row.error_code, row.retries) == (CallStatus.FAILED, code, 0)
    assert row.cost == 0 and row.request_id.startswith("req_")


def test_who_must_put_it_right_is_told_what_the_server_said(server: FakeMessagesAPI) -> None:
    server.always("unpaid")
    with pytest.raises(NoAnswer, match="credit balance is too low"):
        calls.ask_sync(question())


def test_a_server_that_hangs_is_left_when_the_time_is_up_and_its_cost_is_unknown(
    server: FakeMessagesAPI, settings: Settings
) -> None:
    settings.TRIAGE_MODEL_TIMEOUT = 0.3
    server.always("hang")
    with pytest.raises(NoAnswer, match=r"did not answer within 0\.3 seconds"):
        calls.ask_sync(question())
    row = Call.objects.get()
    assert (row.status, row.error_code, row.retries, row.cost) == (CallStatus.FAILED, "timed_out", 0, None)


def test_a_long_retry_after_is_not_waited_for(server: FakeMessagesAPI) -> None:
    server.retry_after = 60
    server.always("rate_limited")
    with pytest.raises(NoAnswer, match="asked too often"):
        calls.ask_sync(question())
    row = Call.objects.get()
    assert row.retries == 0 and row.latency_ms is not None and row.latency_ms < 5000


@pytest.mark.parametrize("fault", ["not_json", "broken_json"])
def test_a_reply_that_is_none_is_a_failed_call(server: FakeMessagesAPI, fault: str) -> None:
    server.always(fault)
    with pytest.raises(NoAnswer):
        calls.ask_sync(question())
    row = Call.objects.get()
    assert (row.status, row.error_code, row.cost) == (CallStatus.FAILED, "unreadable", None)


def test_a_refusal_is_a_row_of_its_own_kind_with_its_cost(server: FakeMessagesAPI) -> None:
    server.always("refusal")
    with pytest.raises(NoAnswer, match="declined"):
        calls.ask_sync(question())
    row = Call.objects.get()
    assert (row.status, row.stop_reason) == (CallStatus.REFUSED, "refusal")
    assert row.cost is not None and row.cost > 0


def test_a_truncated_answer_keeps_its_usage_and_goes_to_the_asker(server: FakeMessagesAPI) -> None:
    server.always("truncated")
    answer = calls.ask_sync(question())
    assert answer.stop_reason == "max_tokens"
    row = Call.objects.get()
    assert row.status == CallStatus.TRUNCATED and row.cost is not None and row.cost > 0


@pytest.mark.parametrize("fault", ["malformed", "prose", "extra"])
def test_an_answer_beside_the_schema_is_marked_and_goes_to_the_asker(server: FakeMessagesAPI, fault: str) -> None:
    server.always(fault)
    assert calls.ask_sync(question()).text
    row = Call.objects.get()
    assert (row.status, row.error_code) == (CallStatus.INVALID, "invalid")
    assert row.cost is not None


def test_a_repair_is_a_call_of_its_own(server: FakeMessagesAPI) -> None:
    server.script("prose", "ok")
    calls.ask_sync(question())
    calls.ask_sync(question(operation="repair"))
    statuses = Call.objects.order_by("pk").values_list("operation", "status")
    assert list(statuses) == [("classify", "invalid"), ("repair", "ok")]


@pytest.mark.parametrize("fault", ["ok", "fenced", "thinking", "out_of_range"])
def test_what_an_asker_can_read_is_an_answer(server: FakeMessagesAPI, fault: str) -> None:
    server.always(fault)
    assert '"category"' in calls.ask_sync(question()).text
    assert Call.objects.get().status == CallStatus.OK


@pytest.mark.parametrize(("fault", "code"), [("huge", "too_much"), ("empty", "empty")])
def test_a_megabyte_and_nothing_at_all_are_no_answers(server: FakeMessagesAPI, fault: str, code: str) -> None:
    server.always(fault)
    with pytest.raises(NoAnswer):
        calls.ask_sync(question(schema=None))
    row = Call.objects.get()
    assert (row.status, row.error_code) == (CallStatus.FAILED, code)
    assert row.cost is not None


def test_usage_that_is_missing_is_unknown_not_zero(server: FakeMessagesAPI) -> None:
    server.always("no_usage")
    assert calls.ask_sync(question()).cost_usd is None
    row = Call.objects.get()
    assert row.status == CallStatus.OK and row.input_tokens is None and row.cost is None


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - {"hang"}))
def test_every_fault_ends_in_one_completed_row(server: FakeMessagesAPI, fault: str) -> None:
    server.always(fault)
    try:
        calls.ask_sync(question())
    except NoAnswer as problem:
        assert str(problem)
    row = Call.objects.get()
    assert row.status != CallStatus.STARTED and row.latency_ms is not None


# Nothing personal leaves.


def test_nothing_personal_reaches_the_server_and_the_answer_has_it_again(server: FakeMessagesAPI) -> None:
    server.always("echo")
    text = (
        "I am Jane Doe <jane.doe@example.com>, call +49 30 1234567. Card 4111 1111 1111 1111, "
        "DE89 3704 0044 0532 0130 00, from 203.0.113.9, key sk-ant-api03-0123456789abcdef. Regards, Jane"
    )
    answer = calls.ask_sync(question(text, schema=None, system="Write to jane.doe@example.com", names=("Jane Doe",)))
    sent = json.dumps(server.bodies)
    for secret in ("Jane", "Doe", "example.com", "1234567", "4111", "3704", "203.0.113.9", "sk-ant"):
        assert secret not in sent
    assert answer.text == text
    row = Call.objects.get()
    assert row.masked == {"email": 1, "phone": 1, "card": 1, "iban": 1, "ip": 1, "key": 1, "name": 2}
    assert "Jane" not in json.dumps(row.masked)


def test_a_value_with_a_quote_does_not_break_the_json_it_returns_to(server: FakeMessagesAPI) -> None:
    server.always("echo")
    answer = calls.ask_sync(question('It is Jo "Ace" Doe.', names=('Jo "Ace" Doe',)))
    assert json.loads(answer.text) == {"echo": 'It is Jo "Ace" Doe.'}
    assert "Ace" not in json.dumps(server.bodies)


@pytest.mark.parametrize(
    "text", ["half \ud83d of a face", "nul \x00 bytes", "\u202eright to left", "", " ", "x" * 300_000]
)
def test_any_text_can_be_asked_about(server: FakeMessagesAPI, text: str) -> None:
    assert calls.ask_sync(question(text, schema=None)).text
    assert len(server.bodies) == 1


# Breaker and budget.


def test_five_failures_open_the_breaker_and_a_probe_closes_it(server: FakeMessagesAPI) -> None:
    server.always("unauthorised")
    for _ in range(5):
        with pytest.raises(NoAnswer):
            calls.ask_sync(question())
    with pytest.raises(NoAnswer, match="left alone for another"):
        calls.ask_sync(question())
    assert len(server.bodies) == Call.objects.count() == 5

    Breaker.objects.update(opened_at=timezone.now() - timedelta(seconds=31))
    server.always("ok")
    assert calls.ask_sync(question()).text
    assert Breaker.objects.get().state == "closed"


def test_a_probe_that_fails_opens_the_breaker_anew(server: FakeMessagesAPI) -> None:
    server.always("unauthorised")
    for _ in range(5):
        with pytest.raises(NoAnswer):
            calls.ask_sync(question())
    Breaker.objects.update(opened_at=timezone.now() - timedelta(seconds=31))
    with pytest.raises(NoAnswer):
        calls.ask_sync(question())
    assert Breaker.objects.get().state == "open"
    assert len(server.bodies) == 6


def test_requests_the_server_dislikes_do_not_open_the_breaker(server: FakeMessagesAPI) -> None:
    server.always("too_large")
    for _ in range(7):
        with pytest.raises(NoAnswer, match="too large"):
            calls.ask_sync(question())
    assert not Breaker.objects.exists()


def test_a_spent_budget_stops_calls_before_they_are_made(server: FakeMessagesAPI) -> None:
    calls.ask_sync(question())
    Budget.objects.update(monthly_limit=Decimal("0.00"))
    with pytest.raises(NoAnswer, match="budget"):
        calls.ask_sync(question())
    assert len(server.bodies) == Call.objects.count() == 1


def test_the_month_adds_up_to_its_calls(server: FakeMessagesAPI) -> None:
    for _ in range(3):
        calls.ask_sync(question())
    spent = Spending.objects.get()
    assert spent.cost == sum(call.cost or 0 for call in Call.objects.all())
    assert (spent.calls, spent.unknown) == (3, 0)


# Rows.


def test_a_completed_call_can_not_be_changed(server: FakeMessagesAPI) -> None:
    calls.ask_sync(question())
    with pytest.raises(ProgrammingError, match="Cannot update"), transaction.atomic():
        Call.objects.update(cost=0)


def test_a_call_whose_process_died_is_closed_as_abandoned() -> None:
    old = timezone.now() - timedelta(minutes=10)
    lost = Call.objects.create(operation="draft", provider="anthropic", model_asked="claude-haiku-5-5", created_at=old)
    fresh = Call.objects.create(operation="draft", provider="anthropic", model_asked="claude-haiku-5-5")
    assert ledger.close_abandoned() == 1
    lost.refresh_from_db()
    fresh.refresh_from_db()
    assert (lost.status, lost.error_code, lost.cost) == (CallStatus.FAILED, "abandoned", None)
    assert fresh.status == CallStatus.STARTED


def test_a_call_that_is_cancelled_is_closed_as_interrupted(server: FakeMessagesAPI) -> None:
    server.always("hang")

    async def given_up() -> None:
        task = asyncio.create_task(calls.ask(question()))
        while not server.bodies:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async_to_sync(given_up)()
    assert Call.objects.get().error_code == "interrupted"


def test_many_calls_at_once_share_one_loop_and_each_has_its_row(server: FakeMessagesAPI) -> None:
    server.latency = 1.5

    async def crowd() -> None:
        await asyncio.gather(*(calls.ask(question(f"invoice {number}")) for number in range(20)))

    async_to_sync(crowd)()
    assert server.most_in_flight == 20
    assert Call.objects.filter(status=CallStatus.OK).count() == 20


# Servers of one's own.


def test_a_server_without_structured_output_gets_the_schema_in_the_prompt(settings: Settings) -> None:
    with FakeMessagesAPI(structured=False) as own:
        settings.ANTHROPIC_BASE_URL, settings.ANTHROPIC_API_KEY = own.base_url, ""
        assert json.loads(calls.ask_sync(question()).text)["category"] == "billing"
        calls.ask_sync(question())
    refused, first, second = own.bodies
    assert "output_config" in refused
    assert "output_config" not in first and "JSON schema" in first["system"]
    assert "output_config" not in second and "JSON schema" in second["system"]  # remembered
    assert Call.objects.filter(status=CallStatus.OK, retries=0).count() == 2


def test_a_server_that_pays_no_heed_to_the_schema_is_shown_it_the_next_time(settings: Settings) -> None:
    with FakeMessagesAPI(heedful=False) as own:
        settings.ANTHROPIC_BASE_URL, settings.ANTHROPIC_API_KEY = own.base_url, ""
        calls.ask_sync(question())
        assert json.loads(calls.ask_sync(question()).text)["category"] == "billing"
    assert list(Call.objects.order_by("pk").values_list("status", flat=True)) == ["invalid", "ok"]


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_was_lost_while_the_model_thought_loses_nothing(server: FakeMessagesAPI) -> None:
    server.latency = 0.5

    async def asked_and_cut_off() -> str:
        task = asyncio.create_task(calls.ask(question()))
        while not server.in_flight:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await sync_to_async(_end_this_connection)()
        return (await task).text

    assert async_to_sync(asked_and_cut_off)()
    assert Call.objects.get().status == CallStatus.OK
    assert Spending.objects.get().calls == 1


def _end_this_connection() -> None:
    with pytest.raises(OperationalError), connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
