"""What the public form says while it is typed: that a trouble is known, and not a word of anybody's."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.tickets.conftest import MakeTicket
from tickets.actions import spamming
from tickets.models import Ticket
from tickets.views import portal
from triage.embedding import clean, embed
from triage.models import User

TOLD = (
    ("Export fails", "The CSV export stops half way since Monday."),
    ("CSV export broken", "When I export my list as CSV it ends after 1,000 rows."),
    ("Cannot export", "The CSV export of my customers does not finish, it hangs."),
    ("Export error", "The export to CSV aborts with an error."),
    ("Export stops", "My CSV export stops before the end of the list."),
)
SAYS = "We know of a problem like this"
pytestmark = pytest.mark.usefixtures("exact_search")


@pytest.fixture
def tell(make_ticket: MakeTicket) -> Any:
    """Tickets that were read: so many of TOLD, each of another customer."""

    def make(count: int, *, same: bool = False, **columns: Any) -> list[Ticket]:
        made = []
        for place, (title, text) in enumerate(TOLD[:count]):
            ticket = make_ticket(title, text, requester_email=f"c{0 if same else place}@example.com")
            ticket.embedding = embed(clean(f"{title}\n{text}"))
            for name, value in columns.items():
                setattr(ticket, name, value)
            ticket.save()
            made.append(ticket)
        return made

    return make


def ask(title: str = "Trouble with my list", description: str = "The CSV export breaks off in the middle.") -> Any:
    return Client().post("/support/known/", {"title": title, "description": description})


def test_what_many_write_of_in_other_words_is_known_and_nothing_of_theirs_is_told(tell: Any) -> None:
    tell(5)
    page = ask()
    said = page.content.decode()
    assert SAYS in said
    words = {word for title, text in TOLD for word in re.findall(r"\w{5,}", f"{title} {text}")} - {"problem"}
    assert not words & set(re.findall(r"\w{5,}", said))
    assert not re.search(r"\d", re.sub(r"<svg.*?</svg>", "", said, flags=re.DOTALL))


def test_another_trouble_is_not_known_by_it(tell: Any) -> None:
    tell(5)
    assert SAYS not in ask("Invoice", "I was charged twice this month.").content.decode()
    assert SAYS not in ask("Import fails", "The CSV import stops half way.").content.decode()
    assert SAYS not in ask("CSV", "export").content.decode()


@pytest.mark.parametrize(
    ("count", "given", "known"),
    [
        (4, {}, False),
        (5, {"same": True}, False),  # one who writes often
        (2, {"escalated": True}, True),
        (1, {"escalated": True}, False),
        (5, {"status": "closed", "resolved_at": timezone.now()}, False),
        (5, {"created_at": timezone.now() - timedelta(days=8)}, False),
    ],
)
def test_it_takes_several_customers_whose_tickets_are_open_and_recent(
    tell: Any, count: int, given: dict[str, Any], known: bool
) -> None:
    tell(count, **given)
    assert (SAYS in ask().content.decode()) is known


def test_spam_makes_nothing_known(tell: Any, lead: User) -> None:
    for ticket in tell(5):
        spamming.mark(ticket=ticket, by=lead)
    assert SAYS not in ask().content.decode()


def test_looking_is_limited_and_says_nothing_then(tell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portal, "KNOWN_PER_MINUTE", 2)
    tell(5)
    assert [ask().status_code for _ in range(3)] == [200, 200, 429]
    assert ask().content == b""


def test_the_form_asks_only_with_a_script_and_sends_no_more_than_two_fields(taxonomy: None) -> None:
    page = Client().get("/support/").content.decode()
    asking = re.search(r'<div id="known"[^>]*></div>', page)
    assert asking is not None
    assert 'hx-params="title,description,csrfmiddlewaretoken"' in asking[0]
    assert "delay:1s" in asking[0]
