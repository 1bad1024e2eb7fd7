"""What stops a call, bounds it, or sends it to another model: over real HTTP against the server that ships."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connections
from django.utils import timezone
from pytest_django import Settings
from structlog.testing import capture_logs

from tests.triage.test_calls import question
from triage import calls, ledger
from triage.models import Allowance, Breaker, Budget, Call, CallStatus, ModelServer, Spending
from triage.pipeline.types import NoAnswer
from triage.providers.base import Ability
from triage.providers.fake import FakeMessagesAPI

pytestmark = pytest.mark.django_db
OTHER = "claude-sonnet-5-5"


@pytest.fixture
def server(settings: Settings) -> Iterator[FakeMessagesAPI]:
    with FakeMessagesAPI(retry_after=0.05) as fake:
        settings.ANTHROPIC_BASE_URL, settings.ANTHROPIC_API_KEY = fake.base_url, "test-key"
        settings.TRIAGE_MODEL, settings.TRIAGE_MODEL_TIMEOUT = "claude-haiku-5-5", 5.0
        yield fake


def asked(server: FakeMessagesAPI) -> list[str]:
    return [body["model"] for body in server.bodies]


def ask_times(times: int) -> list[str]:
    """Ask one after the other: what stood in the way, "" where nothing did."""
    refusals = []
    for _ in range(times):
        try:
            calls.ask_sync(question())
            refusals.append("")
        except NoAnswer as problem:
            refusals.append(str(problem))
    return refusals


# The fallback.


@pytest.mark.parametrize("fault", ["rate_limited", "overloaded", "error", "not_found", "refusal"])
def test_another_model_is_asked_where_it_may_answer_and_each_has_its_row(
    server: FakeMessagesAPI, settings: Settings, fault: str
) -> None:
    settings.TRIAGE_FALLBACK_MODEL = OTHER
    server.script(*[fault] * (calls.ATTEMPTS if fault in ("rate_limited", "overloaded", "error") else 1))
    assert calls.ask_sync(question()).model == OTHER
    first, second = Call.objects.order_by("pk")
    assert (first.model_asked, second.model_asked, second.status) == ("claude-haiku-5-5", OTHER, CallStatus.OK)
    assert first.error and second.cost is not None


@pytest.mark.parametrize("fault", ["unauthorised", "unpaid", "too_large", "bad_request", "reset", "not_json"])
def test_no_other_model_is_asked_where_it_would_fare_no_better(
    server: FakeMessagesAPI, settings: Settings, fault: str
) -> None:
    settings.TRIAGE_FALLBACK_MODEL = OTHER
    server.always(fault)
    with pytest.raises(NoAnswer):
        calls.ask_sync(question(schema=None))
    assert set(asked(server)) == {"claude-haiku-5-5"} and Call.objects.count() == 1


def test_an_answer_that_is_beside_the_schema_is_repaired_and_not_asked_of_another(
    server: FakeMessagesAPI, settings: Settings
) -> None:
    settings.TRIAGE_FALLBACK_MODEL = OTHER
    server.always("prose")
    assert calls.ask_sync(question()).text
    assert Call.objects.count() == 1


def test_a_model_that_keeps_failing_is_passed_over_and_the_other_still_asked(
    server: FakeMessagesAPI, settings: Settings
) -> None:
    settings.TRIAGE_FALLBACK_MODEL = OTHER
    server.script(*["not_found", "ok"] * 5)
    assert ask_times(6) == [""] * 6
    assert asked(server)[-3:] == ["claude-haiku-5-5", OTHER, OTHER]
    assert [breaker.provider.split()[1] for breaker in Breaker.objects.all()] == ["claude-haiku-5-5"]


def test_without_a_fallback_the_first_refusal_is_the_answer(server: FakeMessagesAPI) -> None:
    server.always("not_found")
    with pytest.raises(NoAnswer, match="knows no such model"):
        calls.ask_sync(question())
    assert len(server.bodies) == 1


def test_a_model_that_was_asked_for_by_name_has_no_fallback(server: FakeMessagesAPI, settings: Settings) -> None:
    settings.TRIAGE_FALLBACK_MODEL = OTHER
    server.always("not_found")
    with pytest.raises(NoAnswer):
        async_to_sync(calls.ask)(question(), model="claude-opus-5")
    assert asked(server) == ["claude-opus-5"]


# Caps.


@pytest.mark.parametrize("span", ["minute", "day"])
def test_a_cap_refuses_what_is_over_it_and_the_next_span_begins_anew(
    server: FakeMessagesAPI, settings: Settings, span: str
) -> None:
    setattr(settings, f"TRIAGE_CALLS_A_{span.upper()}", 3)
    refusals = ask_times(5)
    assert refusals[:3] == [""] * 3 and refusals[3] == f"the 3 calls that are allowed a {span} are used up"
    assert Call.objects.count() == len(server.bodies) == Allowance.used(span) == 3
    before = Allowance.objects.get().began_at - timedelta(days=1)
    Allowance.objects.update(began_at=before)
    assert Allowance.used(span) == 0
    assert ask_times(1) == [""]
    assert Allowance.used(span) == 1


def test_what_the_minute_refuses_does_not_use_up_the_day(server: FakeMessagesAPI, settings: Settings) -> None:
    settings.TRIAGE_CALLS_A_MINUTE, settings.TRIAGE_CALLS_A_DAY = 2, 100
    ask_times(6)
    assert Allowance.used("day") == 2


def test_a_cap_of_nothing_lets_nothing_through_and_no_cap_counts_nothing(
    server: FakeMessagesAPI, settings: Settings
) -> None:
    ask_times(1)
    assert not Allowance.objects.exists()
    settings.TRIAGE_CALLS_A_DAY = 0
    assert ask_times(1) == ["the 0 calls that are allowed a day are used up"]


def test_a_cap_that_stands_in_the_way_of_a_probe_leaves_room_for_the_next(
    server: FakeMessagesAPI, settings: Settings
) -> None:
    host = server.base_url.removeprefix("http://")
    Breaker.objects.create(provider=host, opened_at=timezone.now() - timedelta(minutes=1))
    settings.TRIAGE_CALLS_A_DAY = 0
    ask_times(1)
    settings.TRIAGE_CALLS_A_DAY = None
    assert ask_times(1) == [""]


# The budget.


def test_each_step_of_the_budget_is_logged_once(server: FakeMessagesAPI) -> None:
    Budget.objects.update(monthly_limit=Decimal("10"))
    told = []
    for spent in ("4.99", "5.10", "5.20", "8.00", "9.60", "9.70", "10.00", "10.00"):
        Spending.objects.update_or_create(month=timezone.localdate().replace(day=1), defaults={"cost": Decimal(spent)})
        with capture_logs() as logs:
            ask_times(1)
        told += [entry["step"] for entry in logs if entry["event"] == "budget_step"]
    assert told == [50, 80, 95, 100]


def test_a_budget_that_was_raised_is_warned_of_again(server: FakeMessagesAPI) -> None:
    month = timezone.localdate().replace(day=1)
    Spending.objects.create(month=month, cost=Decimal("5"), warned=50)
    Budget.objects.update(monthly_limit=Decimal("100"))
    ask_times(1)
    assert Spending.objects.get().warned == 0
    Budget.objects.update(monthly_limit=Decimal("10"))
    with capture_logs() as logs:
        ask_times(1)
    assert [entry["step"] for entry in logs if entry["event"] == "budget_step"] == [50]


def test_what_is_spent_over_the_budget_is_what_was_in_flight_and_no_more(
    server: FakeMessagesAPI, settings: Settings
) -> None:
    settings.TRIAGE_CONCURRENCY = 10
    server.latency = 0.2
    calls.ask_sync(question())
    price = Call.objects.get().cost
    assert price is not None
    Budget.objects.update(monthly_limit=round(price * 20, 2) or Decimal("0.01"))
    Spending.objects.update(cost=Budget.objects.get().monthly_limit - price * 5)  # type: ignore[operator]

    async def crowd() -> list[object]:
        return await asyncio.gather(*(calls.ask(question()) for _ in range(60)), return_exceptions=True)

    answers = async_to_sync(crowd)()
    refused = [answer for answer in answers if isinstance(answer, NoAnswer)]
    over = Budget.state().spent - Budget.objects.get().monthly_limit  # type: ignore[operator]
    assert len(refused) >= 60 - 5 - 10 and all("is spent" in str(answer) for answer in refused)
    assert price * 0 <= over <= price * 10


# Limits of one call.


def test_the_settings_bound_a_call_and_its_row_says_so(server: FakeMessagesAPI, settings: Settings) -> None:
    settings.TRIAGE_MAX_TOKENS = {"classify": 77}
    settings.TRIAGE_MAX_INPUT = {"classify": 500}
    calls.ask_sync(question("begin " + "x" * 2_000 + " end"))
    (body,) = server.bodies
    sent = body["messages"][0]["content"]
    assert body["max_tokens"] == 77
    assert len(sent) <= 500 and sent.startswith("begin ") and sent.endswith(" end") and "[…]" in sent
    row = Call.objects.get()
    assert (row.max_tokens, row.input_limit, row.input_characters, row.was_cut) == (77, 500, 500, True)


def test_a_short_text_leaves_whole(server: FakeMessagesAPI, settings: Settings) -> None:
    settings.TRIAGE_MAX_INPUT = {"classify": 500}
    calls.ask_sync(question("short"))
    row = Call.objects.get()
    assert (row.input_characters, row.was_cut) == (5, False)


def test_what_is_personal_is_masked_before_the_cut_that_could_hide_half_of_it(
    server: FakeMessagesAPI, settings: Settings
) -> None:
    settings.TRIAGE_MAX_INPUT = {"classify": 60}
    calls.ask_sync(question(f"{'a ' * 12}jane.doe@example.com {'b ' * 400}"))
    assert "jane" not in str(server.bodies) and "example" not in str(server.bodies)


# Servers of one's own.


@pytest.mark.parametrize("lack", [{"structured": False}, {"heedful": False}])
def test_what_a_server_lacks_costs_one_failed_call_an_hour_over_all_processes(
    settings: Settings, lack: dict[str, bool]
) -> None:
    with FakeMessagesAPI(**lack) as own:
        settings.ANTHROPIC_BASE_URL, settings.ANTHROPIC_API_KEY = own.base_url, ""

        def newer() -> int:
            return sum("output_config" in body and not _shows(body) for body in own.bodies)

        for _ in range(4):
            calls._learned.clear()  # as another process would begin
            calls.ask_sync(question())
        assert newer() == 1
        ModelServer.objects.update(learned_at=timezone.now() - timedelta(minutes=61))
        for _ in range(3):
            calls._learned.clear()
            calls.ask_sync(question())
        assert newer() == 2
    assert Call.objects.exclude(status=CallStatus.OK).count() <= 2


def _shows(body: dict[str, object]) -> bool:
    return "JSON schema" in str(body.get("system"))


def test_while_one_call_finds_out_the_others_ask_as_every_server_understands(settings: Settings) -> None:
    with FakeMessagesAPI(structured=False, latency=0.2) as own:
        settings.ANTHROPIC_BASE_URL, settings.ANTHROPIC_API_KEY = own.base_url, ""

        async def crowd() -> None:
            await asyncio.gather(*(calls.ask(question()) for _ in range(20)))

        async_to_sync(crowd)()
        assert sum("output_config" in body for body in own.bodies) == 1
        assert Call.objects.filter(status=CallStatus.OK).count() == 20


def test_a_server_that_takes_all_of_it_is_asked_so_by_everybody_once_that_is_known(server: FakeMessagesAPI) -> None:
    calls.ask_sync(question())
    calls._learned.clear()
    calls.ask_sync(question())
    assert all("output_config" in body for body in server.bodies) and len(server.bodies) == 2
    ModelServer.objects.update(learned_at=timezone.now() - timedelta(days=1))
    host = server.base_url.removeprefix("http://")
    assert ModelServer.ability(host, "claude-haiku-5-5", doubtful=True) == (Ability(), False)


def test_a_first_call_that_was_not_answered_leaves_the_finding_out_to_the_next(server: FakeMessagesAPI) -> None:
    server.script("unauthorised")
    ask_times(2)
    assert ["output_config" in body for body in server.bodies] == [True, True]


def test_anthropics_own_server_is_known_to_take_all_of_it() -> None:
    assert ModelServer.ability("api.anthropic.com", "claude-haiku-5-5", doubtful=False) == (Ability(), False)
    assert not ModelServer.objects.exists()


# Two processes.


@pytest.mark.django_db(transaction=True)
def test_a_breaker_that_one_process_opened_keeps_another_away(server: FakeMessagesAPI) -> None:
    server.always("unauthorised")
    assert all("does not accept" in refusal for refusal in _in_another_process(5))
    assert "left alone" in ask_times(1)[0]
    assert "left alone" in _in_another_process(1)[0]
    assert len(server.bodies) == 5
    Breaker.objects.update(opened_at=timezone.now() - timedelta(seconds=31))
    server.always("ok")
    assert _in_another_process(1) == [""]  # its probe closes it for this process too
    assert ask_times(1) == [""]


@pytest.mark.django_db(transaction=True)
def test_a_cap_is_shared_by_all_processes(server: FakeMessagesAPI, settings: Settings) -> None:
    settings.TRIAGE_CALLS_A_DAY = 4
    assert _in_another_process(3) == ["", "", ""]
    assert [bool(refusal) for refusal in ask_times(2)] == [False, True]
    assert "used up" in _in_another_process(1)[0]


def _in_another_process(times: int) -> list[str]:
    """The same settings and database, forked: with connections, clients and memory of its own."""
    connections.close_all()
    async_to_sync(sync_to_async(connections.close_all))()
    context = multiprocessing.get_context("fork")
    heard = context.Queue()
    child = context.Process(target=lambda: heard.put(_asked_there(times)))
    child.start()
    answers: list[str] = heard.get(timeout=60)
    child.join(10)
    return answers


def _asked_there(times: int) -> list[str]:
    try:
        return ask_times(times)
    finally:
        connections.close_all()


# Rows that nobody completed.


def test_an_abandoned_call_is_counted_once_in_its_month() -> None:
    old = timezone.now() - timedelta(minutes=10)
    Call.objects.create(operation="draft", provider="anthropic", model_asked="claude-haiku-5-5", created_at=old)
    assert [ledger.close_abandoned(), ledger.close_abandoned()] == [1, 0]
    assert Spending.objects.get(month=timezone.localdate(old).replace(day=1)).unknown == 1
