from __future__ import annotations

import pytest
from django.db import DatabaseError, connection, transaction

from tickets.actions import review
from tickets.models import Event, Ticket
from tickets.models.history import changes_of
from triage.correlation import acting
from triage.models import User


def test_each_change_names_field_before_after_actor_and_correlation(reviewed: Ticket, agent: User) -> None:
    with acting(f"user:{agent.pk}", correlation_id="trace-123456"):
        review.correct(ticket=reviewed, changes={"team": "network"}, by=agent)
    change = changes_of(reviewed)[0]
    assert (change.field, change.before, change.after) == ("team", "Software", "Network")
    assert (change.actor_label, change.correlation_id) == ("Ada", "trace-123456")


def test_what_was_changed_at_once_stands_in_one_order_under_the_newer(reviewed: Ticket, agent: User) -> None:
    review.correct(ticket=reviewed, changes={"tier": 2, "priority": "P1", "category": "bug"}, by=agent)
    review.correct(ticket=reviewed, changes={"priority": "P2"}, by=agent)
    assert [change.field for change in changes_of(reviewed)[:4]] == ["priority", "category", "priority", "tier"]


def test_a_raw_change_is_recorded_as_the_databases(reviewed: Ticket) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE tickets_ticket SET priority = 'P1' WHERE number = %s", [reviewed.pk])
    change = changes_of(reviewed)[0]
    assert (change.actor, change.field, change.after) == ("database", "priority", "P1")


def test_a_bulk_change_is_recorded_too(reviewed: Ticket) -> None:
    with acting("command:test"):
        Ticket.objects.filter(pk=reviewed.pk).update(subject="Another subject")
    change = changes_of(reviewed)[0]
    assert (change.actor, change.field, change.before) == ("command:test", "subject", "Export fails")


def test_nobody_edits_or_deletes_history(reviewed: Ticket) -> None:
    for attempt in (Event.objects.update, Event.objects.all().delete):
        with pytest.raises(DatabaseError), transaction.atomic():
            attempt(**({"subject": "x"} if attempt == Event.objects.update else {}))
    assert Event.objects.filter(pgh_obj_id=reviewed.pk).exists()


def test_a_suggestion_never_changes(reviewed: Ticket) -> None:
    suggestion = reviewed.latest_suggestion
    assert suggestion is not None
    suggestion.draft = "Something else"
    with pytest.raises(DatabaseError), transaction.atomic():
        suggestion.save()
