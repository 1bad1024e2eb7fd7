from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.utils import timezone

from tests.tickets.conftest import MakeTicket, last_seen
from tickets import tasks
from tickets.actions import intake, replies, review, status, triage
from tickets.actions.deliveries import Claimed
from tickets.models import Draft, Lane, Status, Suggestion, Ticket, TriageState
from triage.models import User
from triage.pipeline.types import Drafted, FieldReading, Verdict

pytestmark = pytest.mark.django_db(transaction=True)
Script = Callable[..., None]


@pytest.fixture(autouse=True)
def no_connection_left() -> Iterator[None]:
    """The thread that does the database's work for coroutines outlives a test, and so would its connection."""
    yield
    asyncio.run(sync_to_async(connections.close_all)())


@pytest.fixture
def verdict(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Let the pipeline answer with these readings, or raise."""

    def script(
        *, escalated: bool = False, draft: str = "Thank you.", raising: Exception | None = None, **fields: Any
    ) -> None:
        async def read(*_: Any) -> Verdict:
            if raising:
                raise raising
            readings = {
                name: value
                if isinstance(value, FieldReading)
                else FieldReading(value, 0.97, "Because.", "local", "apply")
                for name, value in fields.items()
            }
            return Verdict(readings, escalated, "P1" if escalated else "", Drafted(draft, "template"))  # type: ignore[arg-type]

        monkeypatch.setattr(triage, "read", read)

    return script


def _read_all() -> None:
    asyncio.run(tasks.Drain("interactive").run())


def _ticket(ticket: Ticket) -> Ticket:
    return Ticket.objects.select_related("team", "category").get(pk=ticket.pk)


def test_a_read_ticket_holds_the_verdict_and_a_draft(make_ticket: MakeTicket, verdict: Script) -> None:
    verdict(category="bug", priority="P2", team="software", tier=2, tags=("csv", "export"))
    made = make_ticket()
    _read_all()
    ticket = _ticket(made)
    assert (ticket.triage_state, ticket.status) == (TriageState.TRIAGED, Status.IN_REVIEW)
    assert [ticket.value_of(name) for name in ("category", "priority", "team", "tier", "tags")] == [
        "bug",
        "P2",
        "software",
        2,
        ["csv", "export"],
    ]
    assert ticket.provenance["category"] == {
        "engine": "local",
        "confidence": 0.97,
        "band": "apply",
        "reason": "Because.",
    }
    assert Draft.objects.get(ticket=ticket).text == "Thank you."
    assert ticket.embedding is not None and len(ticket.embedding) == 384
    assert ticket.events.order_by("pgh_id").last().actor == "machine:local"  # type: ignore[union-attr]


def test_a_field_in_the_band_ask_holds_nothing_and_the_team_is_manual_review(
    make_ticket: MakeTicket, verdict: Script
) -> None:
    unsure = FieldReading("software", 0.2, "No idea.", "rules", "ask")
    verdict(category=FieldReading("bug", 0.2, "No idea.", "rules", "ask"), team=unsure)
    made = make_ticket()
    _read_all()
    ticket = _ticket(made)
    assert (ticket.value_of("category"), ticket.value_of("team")) == (None, "manual_review")


def test_what_a_person_set_is_never_overwritten(make_ticket: MakeTicket, verdict: Script, lead: User) -> None:
    made = make_ticket()
    review.correct(ticket=made, changes={"category": "billing"}, by=lead)
    verdict(category="bug", priority="P3")
    _read_all()
    ticket = _ticket(made)
    assert (ticket.value_of("category"), ticket.value_of("priority")) == ("billing", "P3")
    assert Suggestion.objects.get().fields["category"]["value"] == "bug"


def test_an_escalated_verdict_puts_it_into_the_escalated_queue(make_ticket: MakeTicket, verdict: Script) -> None:
    verdict(escalated=True, category="security", priority="P1")
    made = make_ticket()
    _read_all()
    ticket = _ticket(made)
    assert (ticket.status, ticket.escalation_reason, ticket.resolved_at) == (Status.ESCALATED, "P1", None)


def test_what_a_person_escalated_stays_escalated(make_ticket: MakeTicket, verdict: Script, lead: User) -> None:
    made = make_ticket()
    review.escalate(ticket=made, reason="VIP", by=lead)
    verdict(category="bug")
    _read_all()
    assert (_ticket(made).status, _ticket(made).escalation_reason) == (Status.ESCALATED, "VIP")


def test_an_edited_draft_survives_a_new_reading(make_ticket: MakeTicket, verdict: Script, lead: User) -> None:
    from tickets.actions import drafts

    verdict(category="bug", draft="First words.")
    made = make_ticket()
    _read_all()
    drafts.save(ticket=made, text="My words.", version=1, by=lead)
    intake.add_customer_message(ticket=made, text="More.")
    verdict(category="bug", draft="Second words.")
    _read_all()
    assert Draft.objects.get().text == "My words." and Draft.objects.get().stale
    assert _ticket(made).latest_suggestion.draft == "Second words."  # type: ignore[union-attr]


def test_a_ticket_that_breaks_the_reader_fails_in_the_end_and_says_why(
    make_ticket: MakeTicket, verdict: Script
) -> None:
    verdict(raising=RuntimeError("boom"))
    made = make_ticket()
    _read_all()
    assert _ticket(made).triage_state == TriageState.SUBMITTED
    for _ in range(triage.MOST_ATTEMPTS):
        Ticket.objects.update(not_before=timezone.now())
        _read_all()
    ticket = _ticket(made)
    assert (ticket.triage_state, ticket.status) == (TriageState.FAILED, Status.NEW)
    assert ticket.error == "RuntimeError while reading. Given up after 4 attempts."


def test_a_failed_ticket_is_read_when_a_person_runs_it_again(make_ticket: MakeTicket, verdict: Script) -> None:
    made = make_ticket()
    Ticket.objects.update(triage_state=TriageState.FAILED, error="x", attempts=4)
    verdict(category="bug")
    assert triage.submit_again(tickets=Ticket.objects.all()) == 1
    _read_all()
    assert (_ticket(made).triage_state, _ticket(made).error) == (TriageState.TRIAGED, "")


def test_a_dead_readers_ticket_is_taken_back_and_its_late_verdict_ignored(
    make_ticket: MakeTicket, verdict: Script
) -> None:
    verdict(category="bug")
    made = make_ticket()
    (late,) = triage.claim(1, [Lane.INTERACTIVE])
    Ticket.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert triage.take_back_expired() == 1
    Ticket.objects.update(not_before=timezone.now())
    (current,) = triage.claim(1, [Lane.INTERACTIVE])
    asyncio.run(triage.triage_ticket(late))
    assert _ticket(made).triage_state == TriageState.PROCESSING and not Suggestion.objects.exists()
    asyncio.run(triage.triage_ticket(current))
    assert _ticket(made).triage_state == TriageState.TRIAGED


def test_a_worker_that_dies_every_time_does_not_loop_for_ever(make_ticket: MakeTicket) -> None:
    made = make_ticket()
    for _ in range(triage.MOST_ATTEMPTS):
        Ticket.objects.update(not_before=timezone.now())
        assert len(triage.claim(1, [Lane.INTERACTIVE])) == 1
        Ticket.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        triage.take_back_expired()
    assert _ticket(made).triage_state == TriageState.FAILED
    assert "worker stopped" in _ticket(made).error


def test_leases_are_kept_of_those_still_in_hand_alone(make_ticket: MakeTicket, django_assert_num_queries: Any) -> None:
    for number in range(4):
        make_ticket(f"Reset {number}")
    under_way = triage.claim(4, [Lane.INTERACTIVE])
    Ticket.objects.filter(pk=under_way[0].pk).update(claim=7)  # somebody else has it now
    Ticket.objects.update(lease_until=timezone.now())
    again = Claimed(under_way[1].pk, 2)
    Ticket.objects.filter(pk=again.pk).update(claim=2)
    with django_assert_num_queries(2):
        triage.renew([under_way[0], again, *under_way[2:]])
    soon = timezone.now() + timedelta(seconds=5)
    assert set(Ticket.objects.filter(lease_until__gt=soon).values_list("pk", flat=True)) == {
        claimed.pk for claimed in under_way[1:]
    }


def test_two_workers_never_claim_the_same_ticket(make_ticket: MakeTicket) -> None:
    for number in range(6):
        make_ticket(title=f"Ticket {number}")
    first = triage.claim(4, [Lane.INTERACTIVE])
    second = triage.claim(4, [Lane.INTERACTIVE])
    assert (len(first), len(second)) == (4, 2)
    assert {claimed.pk for claimed in first}.isdisjoint(claimed.pk for claimed in second)


def test_interactive_tickets_come_before_imported_ones(make_ticket: MakeTicket) -> None:
    imported = make_ticket(title="Old row", lane=Lane.IMPORTED)
    typed = make_ticket(title="A person waits")
    assert [c.pk for c in triage.claim(2, tasks.LANES["interactive"])] == [typed.pk, imported.pk]
    assert triage.claim(2, tasks.LANES["batch"]) == []


def test_a_claim_that_is_not_ours_fails_nothing(make_ticket: MakeTicket) -> None:
    made = make_ticket()
    triage.fail(Claimed(made.pk, 99), "x")
    assert _ticket(made).triage_state == TriageState.SUBMITTED


def test_a_status_that_a_person_set_is_not_moved_by_the_next_reading(
    make_ticket: MakeTicket, verdict: Script, agent: User
) -> None:
    verdict(escalated=True)
    calmed = make_ticket()
    _read_all()
    status.change(ticket=calmed, status=Status.IN_REVIEW, by=agent)
    triage.submit_again(tickets=Ticket.objects.filter(pk=calmed.pk))
    _read_all()
    assert (_ticket(calmed).status, _ticket(calmed).escalated) == (Status.IN_REVIEW, False)
    verdict(escalated=False)
    raised = make_ticket(title="Another")
    _read_all()
    status.change(ticket=raised, status=Status.ESCALATED, by=agent)
    triage.submit_again(tickets=Ticket.objects.filter(pk=raised.pk))
    _read_all()
    assert (_ticket(raised).status, _ticket(raised).escalated) == (Status.ESCALATED, True)


def test_what_the_customer_writes_later_may_escalate_again(
    make_ticket: MakeTicket, verdict: Script, agent: User
) -> None:
    verdict(escalated=True)
    ticket = make_ticket()
    _read_all()
    status.change(ticket=ticket, status=Status.IN_REVIEW, by=agent)
    intake.add_customer_message(ticket=ticket, text="Our lawyers will call you.")
    _read_all()
    assert _ticket(ticket).status == Status.ESCALATED


def test_a_ticket_answered_while_it_was_read_gets_no_second_draft(
    make_ticket: MakeTicket, verdict: Script, agent: User
) -> None:
    verdict(category="bug")
    ticket = make_ticket()
    _read_all()
    triage.submit_again(tickets=Ticket.objects.filter(pk=ticket.pk))
    replies.approve(ticket=ticket, text="Which one?", version=1, answers=last_seen(ticket), by=agent, keep_open=True)
    _read_all()
    assert (_ticket(ticket).status, Draft.objects.count()) == (Status.WAITING, 0)


def test_the_waits_between_attempts_grow(make_ticket: MakeTicket, verdict: Script) -> None:
    verdict(raising=RuntimeError("boom"))
    made = make_ticket()
    waits = []
    for _ in range(triage.MOST_ATTEMPTS - 1):
        Ticket.objects.update(not_before=timezone.now())
        (claimed,) = triage.claim(1, [Lane.INTERACTIVE])
        asyncio.run(triage.triage_ticket(claimed))
        waits.append((_ticket(made).not_before - timezone.now()).total_seconds())
    assert waits[0] <= 0 < waits[1] < waits[2]
    assert 1 < waits[1] < 2.5 and 4 < waits[2] < 7.5


def _break(monkeypatch: pytest.MonkeyPatch, *parts: str) -> None:
    def broken(*given: Any) -> Any:
        raise ValueError("damaged")

    for part in parts:
        monkeypatch.setattr(part, broken)


@pytest.mark.parametrize(
    "parts",
    [
        ("triage.learning.live.load_local",),
        ("tickets.preparation.embed", "triage.embedding.embed"),
        ("triage.learning.live.from_bytes",),
    ],
    ids=["no fit can be loaded", "no embedding", "a damaged artifact"],
)
def test_a_part_that_is_broken_does_not_keep_a_ticket_from_being_read(
    make_ticket: MakeTicket, monkeypatch: pytest.MonkeyPatch, parts: tuple[str, ...]
) -> None:
    monkeypatch.setattr("triage.learning.live._loaded", None)
    _break(monkeypatch, *parts)
    made = make_ticket(title="Locked out", text="I forgot my password and am locked out.")
    _read_all()
    ticket = _ticket(made)
    assert ticket.triage_state == TriageState.TRIAGED
    assert ticket.team is not None
    assert ticket.provenance["category"]["engine"] == "rules"


def test_a_desk_without_teams_and_categories_reads_into_manual_review(make_ticket: MakeTicket) -> None:
    from tickets.models import Category, Component, Team

    Category.objects.all().delete()
    Component.objects.all().delete()
    Team.objects.all().delete()
    made = make_ticket()
    _read_all()
    assert (_ticket(made).triage_state, _ticket(made).value_of("team")) == (TriageState.TRIAGED, "manual_review")
    assert _ticket(made).status == Status.ESCALATED


def test_a_team_set_inactive_while_the_machine_read_is_not_given(make_ticket: MakeTicket, verdict: Script) -> None:
    from tickets.models import Team

    verdict(category="bug", team="software")
    made = make_ticket()
    Team.objects.filter(key="software").update(active=False)
    _read_all()
    assert _ticket(made).value_of("team") == "manual_review"
