from __future__ import annotations

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from tests.tickets.conftest import MakeTicket
from tickets.models import Source, Team, Ticket
from tickets.preparation import prepare
from tickets.similar import similar_to
from triage.models import User


def _vector(*head: float) -> list[float]:
    return [*head, *([0.0] * (384 - len(head)))]


def _at(ticket: Ticket, *head: float, team: str = "software", text: str = "") -> Ticket:
    ticket.embedding, ticket.team, ticket.text_hash = _vector(*head), Team.objects.get(key=team), text
    ticket.save()
    return ticket


@pytest.mark.usefixtures("exact_search")
def test_the_likest_come_first_and_what_is_unlike_not_at_all(make_ticket: MakeTicket, settings: Settings) -> None:
    asked = _at(make_ticket(), 1)
    far = _at(make_ticket(title="Far"), 0.6, 0.8)
    near = _at(make_ticket(title="Near"), 0.9, 0.436)
    _at(make_ticket(title="Another matter"), 0, 1)
    found = similar_to(asked, Ticket.objects.all())
    assert [(one.ticket.pk, round(one.likeness, 1)) for one in found] == [(near.pk, 0.9), (far.pk, 0.6)]
    settings.TRIAGE_SIMILAR_FROM = 0.7
    assert [one.ticket.pk for one in similar_to(asked, Ticket.objects.all())] == [near.pk]
    settings.TRIAGE_SIMILAR_FROM, settings.TRIAGE_SIMILAR_K = 0.1, 1
    assert [one.ticket.pk for one in similar_to(asked, Ticket.objects.all())] == [near.pk]


@pytest.mark.usefixtures("exact_search")
def test_a_ticket_with_the_same_text_is_there_and_said_to_be(make_ticket: MakeTicket) -> None:
    asked = _at(make_ticket(), 1, text="a" * 64)
    _at(make_ticket(title="Near"), 0.999, 0.04)
    same = _at(make_ticket(title="Again"), 0.99, 0.14, text="a" * 64)
    found = similar_to(asked, Ticket.objects.all())
    assert [(one.ticket.pk == same.pk, one.same_text) for one in found] == [(True, True), (False, False)]


def test_an_agent_is_shown_no_similar_ticket_of_another_team(
    make_ticket: MakeTicket, form: Source, agent: User, colleague: User
) -> None:
    asked = _at(make_ticket(), 1)
    Ticket.objects.bulk_create(
        Ticket(subject=f"Bill {n}", source=form, embedding=_vector(1, n / 900), team=Team.objects.get(key="billing"))
        for n in range(80)
    )
    mine = _at(make_ticket(title="Ours"), 0.9, 0.3)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")  # as the planner does by itself when there are many tickets
        cursor.execute("SET LOCAL enable_sort = off")
    assert [one.ticket.pk for one in similar_to(asked, Ticket.objects.visible_to(agent))] == [mine.pk]
    seen = similar_to(asked, Ticket.objects.visible_to(colleague))
    assert {one.ticket.subject[:4] for one in seen} == {"Bill"}


def test_before_it_is_read_a_ticket_is_compared_by_its_words(make_ticket: MakeTicket) -> None:
    asked = make_ticket(title="Printer on floor three jams", text="Paper jams in the printer every morning.")
    alike = make_ticket(title="Printer jams again", text="The printer on floor three jams paper every morning.")
    make_ticket(title="Invoice is wrong", text="We were charged for the wrong seats.")
    (found,) = similar_to(asked, Ticket.objects.all())
    assert (found.ticket.pk, found.by_words) == (alike.pk, True)
    assert 0.3 <= found.likeness < 1


@pytest.mark.parametrize("text", ["'; DROP TABLE x; --", "a & b | !c <-> (", "\\ ' : *", "???", "您好 世界"])
def test_no_words_of_a_customer_upset_the_search(make_ticket: MakeTicket, text: str) -> None:
    make_ticket(title="Something else", text="Another text.")
    assert similar_to(make_ticket(title=text, text=text), Ticket.objects.exclude(subject=text)) == []


@pytest.mark.usefixtures("exact_search")
def test_what_is_kept_with_a_reading_are_numbers_and_likeness(make_ticket: MakeTicket) -> None:
    asked, near, far = make_ticket(title="Export fails"), make_ticket(title="Near"), make_ticket(title="Another matter")
    in_hand = {"triage_state": "processing", "lease_until": timezone.now(), "claim": 7}
    Ticket.objects.filter(pk=asked.pk).update(**in_hand)
    prepared = prepare(asked.pk, 7)
    assert prepared is not None and prepared.about.similar == []
    Ticket.objects.filter(pk=near.pk).update(embedding=prepared.about.vector)
    Ticket.objects.filter(pk=far.pk).update(embedding=-prepared.about.vector)
    again = prepare(asked.pk, 7)
    assert again is not None
    assert again.about.similar == [{"number": near.pk, "similarity": pytest.approx(1, abs=0.001)}]
    assert prepare(asked.pk, 6) is None
