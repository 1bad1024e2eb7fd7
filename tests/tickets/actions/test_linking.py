from __future__ import annotations

import pytest

from tests.tickets.conftest import MakeTicket
from tickets.actions.errors import Conflict, Forbidden, Invalid
from tickets.actions.linking import link, unlink
from tickets.models import Link, Team, Ticket
from triage.models import User


@pytest.fixture
def other(make_ticket: MakeTicket) -> Ticket:
    return make_ticket(title="Another")


@pytest.mark.parametrize(
    ("word", "here", "there"),
    [
        ("related", "Related to", "Related to"),
        ("duplicate", "Duplicate of", "Duplicate here"),
        ("duplicated", "Duplicate here", "Duplicate of"),
        ("blocks", "Blocks", "Blocked by"),
        ("blocked", "Blocked by", "Blocks"),
    ],
)
def test_a_link_is_seen_from_both_sides(
    agent: User, reviewed: Ticket, other: Ticket, word: str, here: str, there: str
) -> None:
    made = link(ticket=reviewed, other=other, word=word, by=agent)
    assert list(Link.objects.of(reviewed)) == list(Link.objects.of(other)) == [made]
    assert (made.words_from(reviewed.pk), made.words_from(other.pk)) == (here, there)


def test_the_same_link_from_either_side_is_one(agent: User, reviewed: Ticket, other: Ticket) -> None:
    link(ticket=reviewed, other=other, word="related", by=agent)
    with pytest.raises(Conflict, match="already"):
        link(ticket=other, other=reviewed, word="related", by=agent)
    link(ticket=reviewed, other=other, word="blocks", by=agent)
    with pytest.raises(Conflict):
        link(ticket=other, other=reviewed, word="blocked", by=agent)


def test_nothing_is_linked_with_itself_blocks_what_blocks_it_or_is_what_there_is_no_word_for(
    agent: User, reviewed: Ticket, other: Ticket
) -> None:
    link(ticket=reviewed, other=other, word="blocks", by=agent)
    for ticket, target, word in ((reviewed, reviewed, "related"), (other, reviewed, "blocks"), (reviewed, other, "x")):
        with pytest.raises(Invalid):
            link(ticket=ticket, other=target, word=word, by=agent)


def test_a_link_can_be_removed_by_who_sees_both_and_made_anew(
    agent: User, lead: User, auditor: User, reviewed: Ticket, other: Ticket
) -> None:
    made = link(ticket=reviewed, other=other, word="related", by=lead)
    Ticket.objects.filter(pk=other.pk).update(team=Team.objects.get(key="billing"))
    for person in (agent, auditor):
        with pytest.raises(Forbidden):
            unlink(link=made, by=person)
    unlink(link=made, by=lead)
    unlink(link=made, by=lead)
    assert not Link.objects.exists()
    link(ticket=reviewed, other=other, word="related", by=lead)
