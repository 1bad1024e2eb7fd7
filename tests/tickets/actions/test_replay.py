"""Tickets read again as one undertaking, by real engines and a model server on loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import IntegrityError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from tests.tickets.conftest import MakeTicket
from tests.tickets.replaying import drain, make_batches_due, model_server
from tickets import comparison, tasks
from tickets.actions import comparing, handing, intake, replay, review
from tickets.actions.errors import Conflict, Forbidden, Invalid
from tickets.actions.triage import claim as claim_tickets
from tickets.actions.triage import triage_ticket
from tickets.models import Comparison, Delivery, Lane, Replay, ReplayTicket, Suggestion, Ticket, TriageState
from tickets.reader import Reader
from triage.engines import cascade
from triage.learning.live import store
from triage.learning.payload import starter_fit
from triage.models import Artifact, BatchRequest, Budget, Call, MessageBatch, Pause, Spending, User
from triage.providers.fake_batches import FakeBatchesAPI

pytestmark = pytest.mark.django_db(transaction=True)
Kind = Replay.Kind
LOCAL, MODEL = Reader("local"), Reader("model")
PROMPT = "Sort it.\n$categories\n$teams\n$components\n$guidance"


@pytest.fixture(autouse=True)
def no_connection_left() -> Iterator[None]:
    yield
    asyncio.run(sync_to_async(connections.close_all)())


@pytest.fixture
def server(settings: Settings, db: None) -> Iterator[FakeBatchesAPI]:
    with model_server(settings) as fake:
        yield fake


@pytest.fixture
def read_tickets(make_ticket: MakeTicket) -> list[Ticket]:
    """Three tickets that the local engine has read."""
    made = [
        make_ticket("I cannot sign in", "My password is refused since this morning, the account is locked."),
        make_ticket("Wrong invoice", "We were charged twice for the subscription in March, please refund."),
        make_ticket("Export fails", "The CSV export stops half way with an error."),
    ]
    asyncio.run(tasks.Drain("interactive").run())
    return made


def start(kind: Replay.Kind = Kind.COMPARE, reader: Reader = LOCAL, by: User | None = None, **options: Any) -> Replay:
    chosen = options.pop("chosen", "all tickets")
    return replay.start(
        kind=kind, tickets=Ticket.objects.order_by("pk"), chosen=chosen, reader=reader, by=by, **options
    )


def states(of: Replay) -> list[str]:
    return list(of.rows.order_by("pk").values_list("state", flat=True))


def snapshot() -> list[Any]:
    """Everything of the tickets that a person or a customer may notice."""
    return [*Ticket.objects.order_by("pk").values(), *Suggestion.objects.order_by("pk").values()]


# Comparisons


def test_a_comparison_is_stored_apart_and_touches_nothing(read_tickets: list[Ticket], server: FakeBatchesAPI) -> None:
    before = snapshot()
    compared = start(reader=MODEL)
    drain()
    compared.refresh_from_db()
    assert compared.state == "done" and states(compared) == ["done"] * 3
    assert snapshot() == before
    assert not Delivery.objects.exists()
    category = Comparison.objects.filter(field="category").order_by("row__ticket_id")
    assert [row.other_engine for row in category] == ["model"] * 3
    assert [row.live for row in category] == [
        Suggestion.objects.get(ticket=ticket).fields["category"]["value"] for ticket in read_tickets
    ]
    row = compared.rows.first()
    assert row is not None and row.cost and row.calls == 1 and row.milliseconds and row.live_cost == 0
    assert row.live_milliseconds == Suggestion.objects.get(ticket_id=row.ticket_id).milliseconds


def test_its_calls_are_in_the_ledger_and_not_among_those_of_the_ticket(
    read_tickets: list[Ticket], server: FakeBatchesAPI
) -> None:
    start(reader=MODEL)
    drain()
    assert set(Call.objects.values_list("subject_kind", "operation")) == {("replay", "classify")}, "and no drafts"
    assert Call.objects.count() == 3


def test_another_model_and_another_prompt_are_what_is_asked(read_tickets: list[Ticket], server: FakeBatchesAPI) -> None:
    start(reader=Reader("model", model="claude-sonnet-5", prompt=PROMPT))
    drain()
    assert {body["model"] for body in server.bodies} == {"claude-sonnet-5"}
    assert all("Sort it." in json.dumps(body["system"]) for body in server.bodies)
    assert {call.prompt_version for call in Call.objects.all()} == {Call.objects.first().prompt_version}  # type: ignore[union-attr]
    assert Call.objects.first().prompt_version.startswith("trial-")  # type: ignore[union-attr]


def test_another_fit_reads_while_the_live_one_stays_in_force(read_tickets: list[Ticket], lead: User) -> None:
    payload, metrics = starter_fit()
    live = store(payload, metrics)
    other = Artifact.objects.create(version="other", payload=payload, metrics=metrics)
    compared = start(reader=Reader("local", fit=other.pk, fit_version=other.version))
    drain()
    assert states(compared) == ["done"] * 3
    assert Artifact.objects.get(live=True) == live
    replay.switch(replay=compared, by=lead)
    assert Artifact.objects.get(live=True) == other


def test_a_fit_that_is_gone_fails_with_a_reason(read_tickets: list[Ticket]) -> None:
    compared = start(reader=Reader("local", fit=None, fit_version="abc"))
    drain()
    assert states(compared) == ["failed"] * 3
    assert "not kept" in compared.rows.first().error  # type: ignore[union-attr]


def test_accuracy_is_against_what_people_decided_and_by_what_was_said_before(
    read_tickets: list[Ticket], lead: User, server: FakeBatchesAPI
) -> None:
    first, second, _ = read_tickets
    said = Suggestion.objects.get(ticket=first).fields["category"]["value"]
    assert said != "documentation"
    review.correct(ticket=first, changes={"category": "documentation"}, by=lead)
    held = Suggestion.objects.get(ticket=second).fields["category"]["value"]
    review.correct(ticket=second, changes={"category": held}, by=lead)
    compared = start(reader=MODEL)
    drain()
    rows = {row.row.ticket_id: row for row in Comparison.objects.filter(field="category").select_related("row")}
    assert (rows[first.pk].held, rows[first.pk].live, rows[first.pk].live_right) == ("documentation", said, False)
    assert rows[second.pk].live_right is True and rows[second.pk].decided_at is not None
    (figures,) = [figures for figures in comparison.by_field(compared) if figures.name == "category"]
    assert (figures.live.right, figures.live.n, figures.agreement.n) == (1, 2, 3)
    low, high = figures.live.interval or (1, 0)
    assert 0.0 < low < 0.5 < high < 1.0


def test_decisions_older_than_the_fit_are_counted_apart(read_tickets: list[Ticket], lead: User) -> None:
    review.correct(ticket=read_tickets[0], changes={"category": "bug"}, by=lead)
    fit = store(*starter_fit())
    start(reader=Reader("local", fit=fit.pk, fit_version=fit.version))
    drain()
    Artifact.objects.update(created_at=timezone.now() + timedelta(hours=1))
    assert comparison.by_field(Replay.objects.get())[0].seen == 1, "decided before the fit was made"
    Artifact.objects.update(created_at=timezone.now() - timedelta(hours=1))
    assert comparison.by_field(Replay.objects.get())[0].seen == 0


def test_when_the_model_cannot_be_asked_nothing_else_is_passed_off_as_its_reading(
    read_tickets: list[Ticket], server: FakeBatchesAPI
) -> None:
    Budget.objects.update_or_create(pk=1, defaults={"monthly_limit": 0})
    compared = start(reader=MODEL)
    for _ in range(comparing.MOST_ATTEMPTS):
        ReplayTicket.objects.update(not_before=timezone.now())
        drain()
    assert states(compared) == ["failed"] * 3
    assert "budget" in compared.rows.first().error  # type: ignore[union-attr]
    assert not Comparison.objects.exists()


def test_a_killed_workers_row_is_taken_back_and_its_late_reading_ignored(read_tickets: list[Ticket]) -> None:
    compared = start()
    (late,) = comparing.claim(1)
    compared.rows.filter(pk=late.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert comparing.take_back_expired() == 1
    ReplayTicket.objects.update(not_before=timezone.now())
    (current,) = comparing.claim(1)
    assert current.pk == late.pk and current.claim > late.claim
    asyncio.run(comparing.work(late))
    assert not Comparison.objects.exists()
    asyncio.run(comparing.work(current))
    assert Comparison.objects.filter(row=late.pk, field="category").count() == 1


def test_a_worker_that_dies_every_time_does_not_loop_for_ever(read_tickets: list[Ticket]) -> None:
    compared = start()
    for _ in range(comparing.MOST_ATTEMPTS):
        ReplayTicket.objects.update(not_before=timezone.now())
        assert len(comparing.claim(9)) == 3
        ReplayTicket.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        comparing.take_back_expired()
    assert states(compared) == ["failed"] * 3


def test_two_workers_never_take_one_row(read_tickets: list[Ticket]) -> None:
    start()
    first, second = comparing.claim(2), comparing.claim(2)
    assert (len(first), len(second)) == (2, 1)
    assert {claimed.pk for claimed in first}.isdisjoint(claimed.pk for claimed in second)


def test_cancelled_it_reads_nothing_more_and_keeps_what_it_has(read_tickets: list[Ticket], lead: User) -> None:
    compared = start()
    (done,) = comparing.claim(1)
    asyncio.run(comparing.work(done))
    (under_way,) = comparing.claim(1)
    replay.cancel(replay=compared, by=lead)
    asyncio.run(comparing.work(under_way))
    drain()
    assert states(compared) == ["done", "skipped", "skipped"]
    assert set(Comparison.objects.values_list("row", flat=True)) == {done.pk}
    with pytest.raises(Conflict):
        replay.cancel(replay=compared, by=lead)


def test_in_a_pause_nothing_is_compared(read_tickets: list[Ticket]) -> None:
    compared = start()
    Pause.begin(by="ada", reason="")
    drain()
    assert states(compared) == ["waiting"] * 3
    Pause.end(by="ada")
    drain()
    assert states(compared) == ["done"] * 3


def test_an_interactive_cluster_never_takes_a_comparison(read_tickets: list[Ticket]) -> None:
    compared = start()
    asyncio.run(tasks.Drain("interactive").run())
    assert states(compared) == ["waiting"] * 3


def test_imported_tickets_come_before_comparisons(read_tickets: list[Ticket], make_ticket: MakeTicket) -> None:
    start()
    for number in range(6):
        make_ticket(title=f"Old row {number}", lane=Lane.IMPORTED)
    working = tasks.Drain("batch")
    taken: list[int] = []

    async def once() -> None:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1) as one:
            await working._take_up(one)
            taken.extend((len(working.reading), len(working.comparing)))
            await asyncio.gather(*working.reading, *working.comparing)
        await working.threads.close()

    asyncio.run(once())
    assert taken == [tasks.WITHOUT_MODEL, 0]


# Who may, and what is refused


def test_only_leads_and_administrators_may(read_tickets: list[Ticket], agent: User, auditor: User, lead: User) -> None:
    for nobody in (agent, auditor):
        with pytest.raises(Forbidden):
            start(by=nobody)
    compared = start(by=lead)
    with pytest.raises(Forbidden):
        replay.cancel(replay=compared, by=agent)
    with pytest.raises(Forbidden):
        replay.switch(replay=compared, by=auditor)


@pytest.mark.parametrize(
    ("kind", "reader", "options", "field"),
    [
        (Kind.COMPARE, Reader("model"), {}, "engine"),
        (Kind.STORE, Reader("local"), {"batch": True}, "engine"),
        (Kind.COMPARE, Reader("rules", fit=1, fit_version="x"), {}, "engine"),
        (Kind.STORE, Reader("local", fit=1, fit_version="x"), {}, "engine"),
    ],
)
def test_it_refuses_what_cannot_be_read_so(
    db: None, kind: Replay.Kind, reader: Reader, options: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        start(kind, reader, **options)
    assert refused.value.field == field
    assert not Replay.objects.exists()


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("Sort it.", r"lacks \$categories and \$teams"),
        ("$categories $teams $secrets", r"\$secrets stands for nothing"),
        ("$categories $teams for $ 5", "stands for nothing"),
    ],
)
def test_it_refuses_a_prompt_that_could_not_be_filled(server: FakeBatchesAPI, prompt: str, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        start(reader=Reader("model", prompt=prompt))


def test_asked_twice_it_runs_once(read_tickets: list[Ticket]) -> None:
    assert start() == start()
    assert start(chosen="others") != start()


# Reading again


def test_a_ticket_is_read_with_the_engine_asked_for_and_as_ever_afterwards(read_tickets: list[Ticket]) -> None:
    again = start(Kind.STORE, Reader("rules"))
    drain()
    again.refresh_from_db()
    assert again.state == "done"
    for ticket in read_tickets:
        ticket.refresh_from_db()
        assert ticket.triage_state == "triaged" and ticket.read_with == "cascade"
        assert {said["engine"] for name, said in _latest(ticket).items() if name == "category"} <= {"rules"}
    row = again.rows.first()
    assert row is not None and row.cost == 0 and row.milliseconds is not None


def _latest(ticket: Ticket) -> dict[str, Any]:
    suggestion = ticket.latest_suggestion
    assert suggestion is not None
    return dict(suggestion.fields)


def test_a_customers_new_message_is_read_by_all_engines(read_tickets: list[Ticket]) -> None:
    start(Kind.STORE, Reader("rules"))
    intake.add_customer_message(ticket=read_tickets[0], text="It is worse now.")
    read_tickets[0].refresh_from_db()
    assert (read_tickets[0].read_with, read_tickets[0].triage_state) == ("cascade", "submitted")


def test_what_a_person_set_stays_and_what_became_different_is_told(read_tickets: list[Ticket], lead: User) -> None:
    review.correct(ticket=read_tickets[0], changes={"category": "documentation"}, by=lead)
    Ticket.objects.filter(pk=read_tickets[1].pk).update(priority="P1")
    again = start(Kind.STORE, LOCAL)
    drain()
    assert Ticket.objects.get(pk=read_tickets[0].pk).value_of("category") == "documentation"
    changes = comparison.became(again)
    (change,) = [change for change in changes if change.field == "priority"]
    assert (change.before, change.count, change.numbers) == ("P1", 1, (read_tickets[1].pk,))
    assert not [change for change in changes if change.field == "category"]


def test_it_hands_over_a_few_at_a_time_and_ends_when_all_are_read(
    read_tickets: list[Ticket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "AHEAD", 2)
    again = start(Kind.STORE, LOCAL)
    assert states(again) == ["handed", "handed", "waiting"]
    drain()
    assert states(again) == ["done", "done", "handed"]
    drain()
    again.refresh_from_db()
    assert (states(again), again.state) == (["done"] * 3, "done")


def test_what_waits_to_be_read_anyway_is_left_out(read_tickets: list[Ticket]) -> None:
    Ticket.objects.filter(pk=read_tickets[0].pk).update(triage_state=TriageState.SUBMITTED)
    again = start(Kind.STORE, LOCAL)
    assert states(again) == ["skipped", "handed", "handed"]


def test_a_ticket_that_cannot_be_read_is_counted_as_failed(read_tickets: list[Ticket]) -> None:
    again = start(Kind.STORE, LOCAL)
    Ticket.objects.filter(pk=read_tickets[0].pk).update(triage_state="failed", error="It broke.")
    drain()
    assert states(again) == ["failed", "done", "done"]
    assert comparison.remarks(again) == [("It broke.", 1)]


def test_cancelled_while_in_line_the_rest_stays_as_it_was(
    read_tickets: list[Ticket], monkeypatch: pytest.MonkeyPatch, lead: User
) -> None:
    monkeypatch.setattr(replay, "AHEAD", 1)
    again = start(Kind.STORE, LOCAL)
    replay.cancel(replay=again, by=lead)
    drain()
    assert states(again) == ["done", "skipped", "skipped"]
    assert Suggestion.objects.filter(ticket=read_tickets[1]).count() == 1


def test_without_budget_the_rest_is_read_locally_and_it_says_so(
    read_tickets: list[Ticket], server: FakeBatchesAPI
) -> None:
    Budget.objects.update_or_create(pk=1, defaults={"monthly_limit": 0})
    again = start(Kind.STORE, MODEL)
    drain()
    assert states(again) == ["done"] * 3
    assert not Call.objects.exists()
    assert any("budget" in words for words, _ in comparison.remarks(again))


def test_without_budget_the_rest_waits_if_that_was_asked(read_tickets: list[Ticket], server: FakeBatchesAPI) -> None:
    Budget.objects.update_or_create(pk=1, defaults={"monthly_limit": 0})
    again = start(Kind.STORE, MODEL, leave_when_spent=True)
    drain()
    again.refresh_from_db()
    assert states(again) == ["waiting"] * 3 and "The rest waits" in again.note
    Budget.objects.update(monthly_limit=None)
    drain()
    again.refresh_from_db()
    assert again.state == "done" and again.note == ""


# Through message batches


def _through_a_batch(server: FakeBatchesAPI, reader: Reader = MODEL, **options: Any) -> Replay:
    again = start(Kind.STORE, reader, batch=True, **options)
    drain()
    make_batches_due()
    drain()
    return again


def test_a_batch_reads_tickets_at_half_the_price_and_drafts_by_template(
    read_tickets: list[Ticket], server: FakeBatchesAPI
) -> None:
    again = _through_a_batch(server)
    assert states(again) == ["asked"] * 3 and len(server.batches) == 1
    assert Ticket.objects.filter(triage_state="triaged").count() == 3, "meanwhile they stay as they are"
    server.finish()
    make_batches_due()
    drain()
    drain()
    again.refresh_from_db()
    assert again.state == "done"
    for ticket in read_tickets:
        suggestion = ticket.latest_suggestion
        assert suggestion is not None
        assert suggestion.fields["tier"]["engine"] == "model" and suggestion.draft_engine == "template"
    assert server.bodies == []
    call = Call.objects.get(subject_id=str(read_tickets[0].pk))
    assert call.price is not None and call.price["factor"] == "0.50"
    assert again.rows.get(ticket=read_tickets[0]).cost == call.cost
    assert set(BatchRequest.objects.values_list("state", "sealed")) == {("used", "")}


def test_of_a_cascade_only_what_the_local_engine_does_not_know_goes_into_a_batch(
    read_tickets: list[Ticket], server: FakeBatchesAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    _knows_all_but(monkeypatch, "billing")
    again = _through_a_batch(server, reader=Reader("cascade"))
    assert states(again) == ["done", "asked", "done"]
    assert server.batches["msgbatch_1"]["request_counts"]["processing"] == 1
    assert server.bodies == [], "nor are the others' drafts asked for at the full price"
    server.finish()
    make_batches_due()
    drain()
    drain()
    assert states(again) == ["done"] * 3
    assert [row.calls for row in again.rows.order_by("pk")] == [0, 1, 0]
    assert not BatchRequest.objects.exclude(state="used", sealed="").exists()


def test_what_a_batch_answers_is_taken_whichever_fields_are_in_doubt_by_then(
    read_tickets: list[Ticket], server: FakeBatchesAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cascade, "unsure_fields", lambda *_: ("category",))
    _through_a_batch(server, reader=Reader("cascade"))
    monkeypatch.undo()
    server.finish()
    make_batches_due()
    drain()
    drain()
    assert [_latest(ticket)["tier"]["engine"] for ticket in read_tickets] == ["model"] * 3


def test_what_the_local_engine_knows_is_drafted_by_the_model_where_that_was_asked(
    read_tickets: list[Ticket], server: FakeBatchesAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    _knows_all_but(monkeypatch, "")
    again = _through_a_batch(server, reader=Reader("cascade"), drafts=True)
    assert states(again) == ["done"] * 3 and not server.batches
    assert set(Call.objects.values_list("operation", flat=True)) == {"draft"}


def _knows_all_but(monkeypatch: pytest.MonkeyPatch, category: str) -> None:
    monkeypatch.setattr(cascade, "needs_model", lambda local: local["category"].value == category)


def test_drafts_are_written_by_the_model_where_that_was_asked(
    read_tickets: list[Ticket], server: FakeBatchesAPI
) -> None:
    _through_a_batch(server, drafts=True)
    server.finish()
    make_batches_due()
    drain()
    drain()
    assert set(Call.objects.values_list("operation", flat=True)) == {"batch classify", "draft"}


def test_tickets_are_locked_in_the_order_of_their_numbers(read_tickets: list[Ticket]) -> None:
    """Or two who lock the same ones would wait for each other."""
    again = start(Kind.STORE, LOCAL)
    again.rows.update(state="waiting")
    Ticket.objects.update(triage_state=TriageState.TRIAGED)
    with CaptureQueriesContext(connection) as asked, transaction.atomic():
        handing.hand(list(again.rows.order_by("-pk")), "local")
    locking = [query["sql"] for query in asked if "FOR UPDATE" in query["sql"] and '"tickets_ticket"' in query["sql"]]
    assert len(locking) == 2 and all("ORDER BY" in sql.split("FOR UPDATE")[0] for sql in locking)


def test_an_answer_that_breaks_the_schema_is_read_locally(read_tickets: list[Ticket], server: FakeBatchesAPI) -> None:
    answer = {"category": {"value": "nonsense", "confidence": 9, "reason": "http://evil.example"}}
    server.says["invoice"] = json.dumps(answer)
    server.becomes["export"] = "expired"
    again = _through_a_batch(server)
    server.finish()
    make_batches_due()
    drain()
    drain()
    assert states(again) == ["done"] * 3
    engines = [_latest(ticket)["tier"]["engine"] for ticket in read_tickets]
    assert engines == ["model", "local", "local"]
    told = " ".join(words for words, _ in comparison.remarks(again))
    assert "did not follow the schema" in told or "no other answer" in told
    assert "expired before this request was answered. Read by the local engine." in told


def test_a_ticket_that_got_a_message_meanwhile_keeps_the_reading_of_that(
    read_tickets: list[Ticket], server: FakeBatchesAPI
) -> None:
    again = _through_a_batch(server)
    intake.add_customer_message(ticket=read_tickets[0], text="It is worse now.")
    asyncio.run(tasks.Drain("interactive").run())
    count = Suggestion.objects.filter(ticket=read_tickets[0]).count()
    server.finish()
    make_batches_due()
    drain()
    drain()
    assert states(again) == ["skipped", "done", "done"]
    assert Suggestion.objects.filter(ticket=read_tickets[0]).count() == count


def test_a_batch_that_nobody_takes_leaves_the_tickets_as_they_are(
    read_tickets: list[Ticket], server: FakeBatchesAPI
) -> None:
    server.batch_script("unauthorised")
    before = snapshot()
    again = _through_a_batch(server)
    assert states(again) == ["failed"] * 3
    assert "API key" in again.rows.first().error  # type: ignore[union-attr]
    assert snapshot() == before


def test_a_worker_killed_while_it_asks_asks_once(
    read_tickets: list[Ticket], server: FakeBatchesAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = start(Kind.STORE, MODEL, batch=True)
    lost = comparing.claim(3)
    again.rows.update(lease_until=timezone.now() - timedelta(seconds=1))
    comparing.take_back_expired()
    ReplayTicket.objects.update(not_before=timezone.now())
    drain()
    for claimed in lost:
        asyncio.run(comparing.work(claimed))
    assert BatchRequest.objects.count() == 3 and MessageBatch.objects.get().size == 3


def test_a_batch_beyond_the_budget_is_read_locally_or_waits(read_tickets: list[Ticket], server: FakeBatchesAPI) -> None:
    Budget.objects.update_or_create(pk=1, defaults={"monthly_limit": 1})
    Spending.add(1, at=timezone.now())  # type: ignore[arg-type]
    waits = start(Kind.STORE, MODEL, batch=True, leave_when_spent=True)
    drain()
    waits.refresh_from_db()
    assert states(waits) == ["asked"] * 3 and "The rest waits" in waits.note
    replay.cancel(replay=waits, by=None)
    reads = start(Kind.STORE, MODEL, batch=True, chosen="others")
    drain()
    drain()
    assert states(reads) == ["done"] * 3
    assert not MessageBatch.objects.exists() and not Call.objects.exists()
    assert "Read by the local engine" in comparison.remarks(reads)[0][0]


def test_a_cancelled_batch_is_cancelled_with_the_provider(read_tickets: list[Ticket], server: FakeBatchesAPI) -> None:
    again = _through_a_batch(server)
    replay.cancel(replay=again, by=None)
    make_batches_due()
    drain()
    assert server.batches["msgbatch_1"]["processing_status"] == "canceling"
    assert states(again) == ["skipped"] * 3


# Shadow


def test_a_shadow_reads_each_new_ticket_after_the_live_reading(make_ticket: MakeTicket, lead: User) -> None:
    shadow = start(Kind.SHADOW, Reader("rules"), by=lead, chosen="new tickets")
    drain()
    ticket = make_ticket()
    assert states(shadow) == [], "the live reading comes first"
    asyncio.run(tasks.Drain("interactive").run())
    assert states(shadow) == ["waiting"]
    drain()
    assert states(shadow) == ["done"]
    assert Comparison.objects.filter(row__ticket=ticket, field="category").exists()
    shadow.refresh_from_db()
    assert shadow.is_running, "it stands until it is stopped"
    intake.add_customer_message(ticket=ticket, text="More.")
    asyncio.run(tasks.Drain("interactive").run())
    assert states(shadow) == ["done"], "a ticket is new once"
    replay.cancel(replay=shadow, by=lead)
    make_ticket(title="Another")
    asyncio.run(tasks.Drain("interactive").run())
    assert shadow.rows.count() == 1


def test_a_shadow_takes_its_share_and_always_the_same(make_ticket: MakeTicket) -> None:
    from tickets.actions.shadow import _of_share

    shadow = start(Kind.SHADOW, Reader("rules"), share=20, chosen="new tickets")
    drawn = [number for number in range(1, 2001) if _of_share(shadow, Ticket(pk=number))]
    assert 300 < len(drawn) < 500
    assert drawn == [number for number in range(1, 2001) if _of_share(shadow, Ticket(pk=number))]


def test_a_shadow_asks_the_model_no_more_than_it_may_a_day(make_ticket: MakeTicket, server: FakeBatchesAPI) -> None:
    shadow = start(Kind.SHADOW, MODEL, calls_a_day=2, chosen="new tickets")
    for number in range(4):
        made = make_ticket(title=f"Ticket {number}")
        (claimed,) = claim_tickets(1, [Lane.INTERACTIVE])
        assert claimed.pk == made.pk
        asyncio.run(triage_ticket(claimed))
        drain()
    assert states(shadow) == ["done", "done", "skipped", "skipped"]
    assert Call.objects.filter(subject_kind="replay").count() == 2
    assert "2 calls a day" in comparison.remarks(shadow)[0][0]


def test_one_shadow_at_a_time(db: None) -> None:
    start(Kind.SHADOW, Reader("rules"), chosen="new tickets")
    with pytest.raises(Conflict):
        start(Kind.SHADOW, LOCAL, chosen="new tickets")


# Facts that the database holds


def test_the_database_refuses_a_comparison_that_is_right_without_a_decision(read_tickets: list[Ticket]) -> None:
    compared = start()
    row = ReplayTicket.objects.get(replay=compared, ticket=read_tickets[0])
    with pytest.raises(IntegrityError), transaction.atomic():
        Comparison.objects.create(row=row, field="category", agrees=True, live_right=True, other_right=True)
    with pytest.raises(IntegrityError), transaction.atomic():
        Replay.objects.filter(pk=compared.pk).update(state="done")
    with pytest.raises(IntegrityError), transaction.atomic():
        ReplayTicket.objects.create(replay=compared, ticket=read_tickets[0])


def test_settling_reads_costs_in_one_go(read_tickets: list[Ticket], django_assert_max_num_queries: Any) -> None:
    again = start(Kind.STORE, LOCAL)
    asyncio.run(tasks.Drain("batch").run())
    with django_assert_max_num_queries(12):
        handing.settle(again)
    assert states(again) == ["done"] * 3
