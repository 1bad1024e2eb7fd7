from __future__ import annotations

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client

from tests.tickets.conftest import MakeTicket
from tickets.actions import intake, linking, merging, splitting
from tickets.models import JoinEvent, Ticket
from tickets.models.history import Change, changes_of
from triage.correlation import acting
from triage.models import User

JOINS = set(JoinEvent.What.values)


@pytest.fixture
def other(make_ticket: MakeTicket) -> Ticket:
    return make_ticket(title="Another")


def joins(ticket: Ticket) -> list[Change]:
    """Newest first."""
    return [change for change in changes_of(ticket, joins=list(ticket.join_events.all())) if change.field in JOINS]


def told(ticket: Ticket) -> list[tuple[str, object, object]]:
    return [(change.field, change.before, change.after) for change in joins(ticket)]


def test_a_link_and_its_end_stand_in_the_history_of_both_with_who_did_it(
    agent: User, reviewed: Ticket, other: Ticket
) -> None:
    with acting(f"user:{agent.pk}", correlation_id="trace-42"):
        made = linking.link(ticket=reviewed, other=other, word="blocks", by=agent)
        linking.unlink(link=made, by=agent)
    here, there = f"blocks #{other.pk}", f"blocked by #{reviewed.pk}"
    assert told(reviewed) == [("link", here, None), ("link", None, here)]
    assert told(other) == [("link", there, None), ("link", None, there)]
    assert {(one.actor_label, one.correlation_id) for one in joins(reviewed)} == {("Ada", "trace-42")}


def test_a_link_removed_past_the_application_is_the_databases(agent: User, reviewed: Ticket, other: Ticket) -> None:
    linking.link(ticket=reviewed, other=other, word="related", by=agent)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL pghistory.context_metadata TO ''")
        cursor.execute("DELETE FROM tickets_link")
    assert (joins(other)[0].actor_label, joins(other)[0].before) == ("Database", f"related to #{reviewed.pk}")


def test_a_merge_and_its_undoing_stand_in_the_history_of_the_one_that_stays(
    agent: User, reviewed: Ticket, other: Ticket
) -> None:
    merging.merge(ticket=other, into=reviewed, by=agent)
    other.refresh_from_db()
    merging.unmerge(ticket=other, by=agent)
    assert told(reviewed) == [("merged_here", f"#{other.pk}", None), ("merged_here", None, f"#{other.pk}")]
    assert told(other) == []  # its own snapshots tell it
    assert [one.field for one in changes_of(other)].count("merged_into") == 2


def test_a_split_and_its_undoing_stand_in_the_history_of_both(agent: User, reviewed: Ticket) -> None:
    intake.add_customer_message(ticket=reviewed, text="And my bill is wrong.", external_id="m2")
    second = reviewed.messages.order_by("pk").last()
    assert second is not None
    done = splitting.split(ticket=reviewed, messages=[second.pk], by=agent)
    assert (told(reviewed), told(done.new)) == (
        [("split_off", None, f"#{done.new_id}")],
        [("split_from", None, f"#{reviewed.pk}")],
    )
    Ticket.objects.filter(pk=done.new_id).update(triage_state="triaged")
    splitting.unsplit(split=done, by=agent)
    assert told(reviewed)[0] == ("split_off", f"#{done.new_id}", None)
    assert told(done.new)[0] == ("split_from", f"#{reviewed.pk}", None)


def test_the_page_shows_it(agent: User, client: Client, reviewed: Ticket, other: Ticket) -> None:
    linking.link(ticket=reviewed, other=other, word="duplicated", by=agent)
    client.force_login(agent)
    shown = " ".join(client.get(reviewed.get_absolute_url()).content.decode().split())
    assert f"Link: has the duplicate #{other.pk}" in shown


def test_nobody_edits_it_and_it_outlives_the_tickets(agent: User, reviewed: Ticket, other: Ticket) -> None:
    linking.link(ticket=reviewed, other=other, word="related", by=agent)
    with pytest.raises(DatabaseError), transaction.atomic():
        JoinEvent.objects.update(words="x")
    with pytest.raises(DatabaseError), transaction.atomic():
        JoinEvent.objects.all().delete()
    number = other.pk
    other.delete()
    assert told(reviewed)[0] == ("link", f"related to #{number}", None)
