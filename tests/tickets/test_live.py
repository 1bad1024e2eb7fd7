from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction

from tests.tickets.conftest import MakeTicket
from tickets import live
from tickets.live import Audience, Changes, Presence, announce, audience_of, counts_of, render_rows
from tickets.models import Status, Team, Ticket
from triage.models import User


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    heard: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(live, "publish", lambda message, *groups: heard.extend((group, message) for group in groups))
    return heard


def test_it_tells_those_who_see_everything_the_team_and_the_open_page(
    reviewed: Ticket, published: list[tuple[str, dict[str, Any]]]
) -> None:
    announce(reviewed, "comment")
    assert [group for group, _ in published] == ["desk", f"team-{reviewed.team_id}", f"ticket-{reviewed.number}"]
    assert published[0][1]["number"] == reviewed.number


def test_a_ticket_that_moved_is_told_to_every_agent_so_that_the_old_team_drops_it(
    reviewed: Ticket, published: list[tuple[str, dict[str, Any]]]
) -> None:
    announce(reviewed, "routed")
    assert "desk-teams" in [group for group, _ in published]


def test_a_message_holds_no_word_of_the_customer(reviewed: Ticket, published: list[tuple[str, dict[str, Any]]]) -> None:
    announce(reviewed, "created")
    assert all(set(message) == {"type", "number", "kind", "seq"} for _, message in published)


@pytest.fixture
def listener(transactional_db: None) -> Iterator[Any]:
    import psycopg

    from triage.notify import CHANNEL, _connection_parameters

    with psycopg.connect(**_connection_parameters(), autocommit=True) as listening:
        listening.execute(f"LISTEN {CHANNEL}")
        yield listening


def test_what_was_rolled_back_is_never_announced(listener: Any, make_ticket: MakeTicket) -> None:
    ticket = make_ticket()
    list(listener.notifies(timeout=0.3))
    with pytest.raises(RuntimeError), transaction.atomic():
        announce(ticket, "changed")
        raise RuntimeError
    assert list(listener.notifies(timeout=0.3)) == []
    with transaction.atomic():
        announce(ticket, "changed")
        assert connection.in_atomic_block
    assert len(list(listener.notifies(timeout=0.5))) == 1


def test_audiences_mirror_what_people_see(agent: User, lead: User, outsider: User) -> None:
    everything, some = audience_of(lead), audience_of(agent)
    assert everything is not None
    assert some is not None
    software, billing = (f"team-{Team.objects.get(key=key).pk}" for key in ("software", "billing"))
    manual = f"team-{Team.objects.get(key='manual_review').pk}"
    assert everything.may_see(billing)
    assert all(some.may_see(group) for group in (software, manual, "team-none"))
    assert not some.may_see(billing)
    assert audience_of(outsider) is None


def test_a_person_who_left_has_no_audience(agent: User) -> None:
    agent.is_active = False
    agent.save()
    assert audience_of(agent) is None


def test_a_row_is_the_same_for_everybody(reviewed: Ticket) -> None:
    row = render_rows(Ticket.objects.for_rows())[reviewed.number]
    assert row.group == f"team-{reviewed.team_id}"
    assert "csrf" not in row.html


def test_counts_follow_the_tabs(reviewed: Ticket, make_ticket: MakeTicket) -> None:
    make_ticket()
    reviewed.set_status(Status.CLOSED)
    reviewed.save()
    counts = counts_of(Ticket.objects.all())
    assert (counts["tab-all"], counts["tab-new"], counts["tab-resolved"], counts["rail"]) == ("1", "1", "1", "1")


def test_changes_are_gathered_until_they_are_taken() -> None:
    changes = Changes()
    changes.add(7, {"seq": 1})
    changes.add(7, {"seq": 3})
    changes.add(8, {"seq": 2})
    assert changes.take() == {7: 3, 8: 2}
    assert changes.take() == {}


def test_the_same_event_from_two_groups_is_news_once() -> None:
    changes = Changes()
    assert changes.is_news(7, {"seq": 1})
    assert not changes.is_news(7, {"seq": 1})
    assert changes.is_news(7, {"seq": 2})


def test_desks_are_counted_over_processes_and_forgotten_when_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    presence = Presence("here")
    presence.here = 2
    presence.note("there", 3)
    assert presence.total() == 5
    clock[0] += Presence.FORGET_AFTER + 1
    assert presence.total() == 2


def test_an_audience_of_everything_sees_every_group() -> None:
    assert Audience(frozenset({"desk"})).may_see("team-9")
