from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from tests.tickets.conftest import MakeTicket
from tickets.models import Event, Team, Ticket
from tickets.models.rewriting import rewrite
from triage.models import User


def test_each_row_is_written_with_values_of_its_own_and_the_history_sees_it(
    make_ticket: MakeTicket, agent: User
) -> None:
    one, other, third = make_ticket(), make_ticket(), make_ticket()
    soon = timezone.now() + timedelta(hours=3)
    one.tags, one.provenance, one.assignee, one.snoozed_until = ["a, b", 'c"\\'], {"x": {"y": None}}, agent, soon
    other.tags, other.team, other.is_technical, other.tier = [], Team.objects.get(key="software"), True, 2
    names = ["tags", "provenance", "assignee", "snoozed_until", "team", "is_technical", "tier"]
    rewrite([one, other], names)
    for kept in (one, other):
        stored = Ticket.objects.get(pk=kept.pk)
        assert [getattr(stored, name) for name in names] == [getattr(kept, name) for name in names]
    assert Ticket.objects.get(pk=third.pk).tags == []
    assert Event.objects.filter(pgh_label="changed").count() == 2


def test_nothing_to_write_writes_nothing(db: None) -> None:
    rewrite([], ["tags"])
