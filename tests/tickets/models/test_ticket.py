from __future__ import annotations

import pytest

from tests.tickets.conftest import MakeTicket
from tickets.models import Team, Ticket
from tickets.models.excerpt import excerpt_of
from triage.models import User


@pytest.mark.parametrize(
    ("text", "excerpt"),
    [
        ("## What I'd like\n\nTasks can **depend**.", "What I'd like Tasks can depend."),
        ("<!-- Fill in\nthe form -->\nIt crashes", "It crashes"),
        ("Run `make up`", "Run make up"),
        ("3 > 2 and 2 < 3", "3 > 2 and 2 < 3"),
    ],
)
def test_a_rows_first_words_come_without_marks(text: str, excerpt: str) -> None:
    assert excerpt_of(text) == excerpt


def test_an_agent_sees_own_teams_manual_review_and_no_teams_tickets(
    make_ticket: MakeTicket, agent: User, colleague: User, lead: User, outsider: User
) -> None:
    keys = ("software", "billing", "manual_review", None)
    for key in keys:
        ticket = make_ticket(title=f"For {key}")
        ticket.team = Team.objects.filter(key=key).first()
        ticket.save()

    def seen(user: User) -> set[str]:
        return set(Ticket.objects.visible_to(user).values_list("subject", flat=True))

    assert seen(agent) == {"For software", "For manual_review", "For None"}
    assert seen(colleague) == {"For billing", "For manual_review", "For None"}
    assert len(seen(lead)) == 4
    assert seen(outsider) == set()


def test_a_ticket_is_found_by_number_subject_words_and_address(make_ticket: MakeTicket) -> None:
    ticket = make_ticket(title="Printer jams", text="Tray two is stuck", requester_email="lee@example.com")
    make_ticket(title="Other", requester_email="kim@example.com")
    for words in (f"#{ticket.number}", "printer", "tray two", "lee@"):
        assert [found.pk for found in Ticket.objects.matching(words)] == [ticket.pk]
