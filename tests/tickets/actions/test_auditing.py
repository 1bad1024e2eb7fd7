from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client

from tests.tickets.conftest import MakeTicket
from tickets.actions import auditing, review
from tickets.context import taxonomy
from tickets.models import Audit, Suggestion, Team, Ticket
from tickets.views.filters import NEEDS
from triage.engines.local import STOPPED, LocalEngine
from triage.engines.weights import from_bytes
from triage.learning import live
from triage.learning.gate import share_of
from triage.models import Artifact, User
from triage.pipeline import read
from triage.pipeline.types import Context, Inquiry, Turn


@pytest.fixture(autouse=True)
def everything_is_drawn(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.AUDIT_SHARE = 1.0
    monkeypatch.setattr(live, "_loaded", None)
    monkeypatch.setattr(live, "LOOK_EVERY", 0.0)
    yield


def applied(make_ticket: MakeTicket, band: str = "apply") -> Ticket:
    ticket = make_ticket()
    ticket.team = Team.objects.get(key="software")
    ticket.triage_state = "triaged"
    ticket.provenance = {"team": {"engine": "local", "confidence": 0.97, "band": band, "reason": ""}}
    ticket.save()
    auditing.draw(ticket)
    return ticket


def test_what_was_applied_is_drawn_and_leaves_when_a_person_agrees(make_ticket: MakeTicket, agent: User) -> None:
    ticket = applied(make_ticket)
    waiting = NEEDS["audit"][1](Ticket.objects.all())
    assert list(waiting) == [ticket]
    review.accept(ticket=ticket, fields=["team"], by=agent)
    assert not waiting.all()
    audit = Audit.objects.get()
    assert audit.checked_at is not None and audit.fields == {"team": {"value": "software", "right": True}}


def test_a_correction_counts_as_wrong_and_another_field_does_not_count(make_ticket: MakeTicket, agent: User) -> None:
    ticket = applied(make_ticket)
    review.correct(ticket=ticket, changes={"priority": "P2"}, by=agent)
    assert Audit.objects.get().checked_at is None
    review.correct(ticket=ticket, changes={"team": "network"}, by=agent)
    assert Audit.objects.get().fields["team"]["right"] is False


def test_only_what_was_applied_is_drawn(make_ticket: MakeTicket) -> None:
    applied(make_ticket, band="suggest")
    assert not Audit.objects.exists()


def test_the_share_is_held_and_the_lot_is_the_same_each_time(make_ticket: MakeTicket, settings: Any) -> None:
    settings.AUDIT_SHARE = 0.0
    applied(make_ticket)
    assert not Audit.objects.exists()
    settings.AUDIT_SHARE = 0.02
    drawn = [number for number in range(10_000) if share_of("audit", number) < settings.AUDIT_SHARE]
    assert 150 < len(drawn) < 250


def test_a_ticket_read_again_is_drawn_anew_until_it_was_checked(make_ticket: MakeTicket, agent: User) -> None:
    ticket = applied(make_ticket)
    ticket.provenance["team"]["band"] = "suggest"
    auditing.draw(ticket)
    assert not Audit.objects.exists()
    ticket.provenance["team"]["band"] = "apply"
    auditing.draw(ticket)
    review.accept(ticket=ticket, fields=["team"], by=agent)
    auditing.draw(Ticket.objects.get(pk=ticket.pk))
    assert Audit.objects.get().checked_at is not None


def test_the_page_says_what_is_to_be_checked(client: Client, make_ticket: MakeTicket, lead: User) -> None:
    ticket = applied(make_ticket)
    client.force_login(lead)
    assert "accept or correct team." in client.get(ticket.get_absolute_url()).content.decode()
    assert ticket.get_absolute_url() in client.get("/tickets/?needs=audit").content.decode()
    review.accept(ticket=ticket, fields=["team"], by=lead)
    assert "Drawn by lot" not in client.get(ticket.get_absolute_url()).content.decode()


def checked(make_ticket: MakeTicket, by: User, *, right: int, wrong: int) -> None:
    for number in range(right + wrong):
        ticket = applied(make_ticket)
        if number < right:
            review.accept(ticket=ticket, fields=["team"], by=by)
        else:
            review.correct(ticket=ticket, changes={"team": "network"}, by=by)


def test_a_field_that_breaks_its_promise_is_applied_no_more(make_ticket: MakeTicket, agent: User) -> None:
    another_fit()
    engine = live.load_local()
    assert "team" not in engine.suggested_only
    checked(make_ticket, agent, right=15, wrong=4)
    assert Artifact.objects.get(live=True).stopped == {}  # nineteen are too few to tell
    checked(make_ticket, agent, right=1, wrong=0)
    stopped = Artifact.objects.get(live=True).stopped
    assert (stopped["team"]["right"], stopped["team"]["seen"]) == (16, 20)
    assert live.load_local().version == engine.version
    assert "team" in live.load_local().suggested_only


def test_a_field_within_its_promise_goes_on(make_ticket: MakeTicket, agent: User) -> None:
    live.load_local()
    checked(make_ticket, agent, right=18, wrong=2)
    assert Artifact.objects.get(live=True).stopped == {}
    found = auditing.audited(Artifact.objects.get(live=True).version)["team"]
    assert (found.right, found.seen) == (18, 20)
    assert found.at_least < 0.9 < 0.95 < found.at_most


def another_fit() -> Artifact:
    """A fit like the one in force that would apply everything, under another name, in force from now on."""
    live.load_local()
    before = Artifact.objects.get(live=True)
    weights = from_bytes(bytes(before.payload))
    weights.heads = tuple(replace(head, apply_from=0.0) for head in weights.heads)
    after = Artifact.objects.create(kind=before.kind, version=f"{before.pk}-next", payload=weights.to_bytes())
    after.put_in_force(why="A test.")
    return after


def test_what_the_sample_showed_of_earlier_fits_counts_so_that_often_fitted_desks_are_guarded(
    make_ticket: MakeTicket, agent: User
) -> None:
    live.load_local()
    checked(make_ticket, agent, right=5, wrong=2)
    another_fit()
    checked(make_ticket, agent, right=5, wrong=2)
    assert not Artifact.objects.exclude(stopped={}).exists(), "fourteen are too few to tell"
    waits = applied(make_ticket)
    last = another_fit()
    checked(make_ticket, agent, right=4, wrong=1)
    assert not Artifact.objects.exclude(stopped={}).exists(), "nineteen"
    review.correct(ticket=waits, changes={"team": "network"}, by=agent)  # read by the fit before the last
    last.refresh_from_db()
    assert (last.stopped["team"]["right"], last.stopped["team"]["seen"]) == (14, 20)


def stopped_team(make_ticket: MakeTicket, by: User) -> Artifact:
    another_fit()
    checked(make_ticket, by, right=12, wrong=8)
    return Artifact.objects.get(live=True)


def decided_while_stopped(make_ticket: MakeTicket, by: User, *, right: int, wrong: int) -> None:
    """Tickets whose team the local engine would have applied, decided by a person: right is `software`."""
    for number in range(right + wrong):
        ticket = make_ticket()
        verdict = {
            "team": {"value": "software", "band": "suggest", "confidence": 0.97, "reason": "", "engine": "local"}
        }
        Suggestion.objects.create(
            ticket=ticket, fields=verdict, withheld={"team": "software"}, confidence=0.9, escalated=False
        )
        review.correct(ticket=ticket, changes={"team": "software" if number < right else "network"}, by=by)


def test_a_stop_outlasts_the_fits_that_follow(make_ticket: MakeTicket, agent: User) -> None:
    assert stopped_team(make_ticket, agent).stopped_fields == {"team"}
    assert another_fit().stopped_fields == {"team"}
    assert another_fit().stopped_fields == {"team"}
    assert "team" in live.load_local().suggested_only


def test_a_stop_is_lifted_when_what_would_have_been_applied_is_right_again(
    make_ticket: MakeTicket, agent: User
) -> None:
    stopped_team(make_ticket, agent)
    decided_while_stopped(make_ticket, agent, right=17, wrong=2)
    fit = another_fit()
    decided_while_stopped(make_ticket, agent, right=1, wrong=0)
    fit.refresh_from_db()
    assert fit.stopped_fields == {"team"}, "18 of 20 are fewer than 95 in 100"
    decided_while_stopped(make_ticket, agent, right=20, wrong=0)
    fit.refresh_from_db()
    assert fit.stopped_fields == set()
    assert fit.stopped["team"]["then"] == {"right": 38, "seen": 40}
    assert "team" not in live.load_local().suggested_only


def test_what_was_wrong_before_a_stop_was_lifted_does_not_stop_it_again(make_ticket: MakeTicket, agent: User) -> None:
    fit = stopped_team(make_ticket, agent)
    decided_while_stopped(make_ticket, agent, right=20, wrong=0)
    checked(make_ticket, agent, right=3, wrong=1)
    fit.refresh_from_db()
    assert fit.stopped_fields == set()
    assert auditing.lately("team").seen == 4
    checked(make_ticket, agent, right=8, wrong=8)
    fit.refresh_from_db()
    assert fit.stopped_fields == {"team"}, "but what is wrong afterwards does"


def test_while_a_field_is_stopped_its_readings_say_so_and_what_would_be_applied_is_kept(
    make_ticket: MakeTicket,
) -> None:
    live.load_local()
    fit = Artifact.objects.get(live=True)
    weights = from_bytes(bytes(fit.payload))
    weights.heads = tuple(replace(head, apply_from=0.0) for head in weights.heads)
    engine = LocalEngine(weights, fit.version, frozenset({"team"}))
    inquiry = Inquiry("Refund", (Turn("customer", "I was charged twice and want my money back."),))
    verdict = asyncio.run(read(inquiry, Context(taxonomy=taxonomy()[0], local=engine, engine="local")))
    assert verdict.fields["priority"].band == "apply"
    assert verdict.fields["team"].band == "suggest" and STOPPED in verdict.fields["team"].reason
    assert verdict.withheld == {"team": verdict.fields["team"].value}


def test_of_earlier_fits_the_newest_alone_count(
    make_ticket: MakeTicket, agent: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditing, "LATELY", 6)
    live.load_local()
    checked(make_ticket, agent, right=2, wrong=1)
    another_fit()
    checked(make_ticket, agent, right=5, wrong=0)
    assert (auditing.lately("team").right, auditing.lately("team").seen) == (5, 6)
