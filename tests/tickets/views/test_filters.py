from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest
from django.http import QueryDict
from django.test import Client
from django.utils import timezone

from tests.tickets.conftest import MakeTicket
from tickets.models import Category, Component, Source, Status, Team, Ticket
from tickets.views.filters import Filters
from tickets.views.terms import terms_of
from triage.models import User


def shown(query: str, user: User) -> set[str]:
    filters = Filters.of(QueryDict(query))
    found = filters.on_tab(filters.narrow(Ticket.objects.visible_to(user), user), user)
    return set(found.values_list("subject", flat=True))


@pytest.fixture
def two(make_ticket: MakeTicket, lead: User) -> tuple[Ticket, Ticket]:
    """One with every field set, one with none."""
    full = make_ticket(title="full", requester_email="Lee@Example.com")
    component, _ = Component.objects.get_or_create(key="export", defaults={"name": "Export"})
    Ticket.objects.filter(pk=full.pk).update(
        category=Category.objects.get(key="bug"),
        team=Team.objects.get(key="software"),
        component=component,
        priority="P2",
        tier=2,
        severity="major",
        effort="small",
        sentiment="negative",
        language="de",
        is_technical=True,
        tags=["csv", "slow"],
        assignee=lead,
        confidence=0.82,
        provenance={"category": {"engine": "local", "band": "apply"}},
        status=Status.IN_REVIEW,
        created_at=timezone.now() - timedelta(days=3),
    )
    return full, make_ticket(title="empty", requester_email="kim@example.com")


@pytest.mark.parametrize(
    "query",
    [
        "category=bug", "team=software", "component=export", "priority=p2", "tier=2", "severity=major", "effort=small",
        "sentiment=negative", "language=de", "technical=yes", "tag=csv", "assignee=me", "assignee=lea", "band=apply",
        "requester=lee@example.com", "by=local", "sure_from=80", "sure_from=80&sure_to=90", "whose=me",
        "status=in_review", "category=bug&category=access", "tag=csv&priority=P2&tier=2", "q=category:bug",
        "q=from:lee@example.com", 'q=tag:"csv" full', "q=is:in_review",
    ],
)  # fmt: skip
def test_every_label_narrows_alone_and_with_others(two: tuple[Ticket, Ticket], lead: User, query: str) -> None:
    assert shown(query, lead) == {"full"}


@pytest.mark.parametrize(
    "query",
    ["category=access", "tag=csv&priority=P1", "technical=no", "sure_from=90", "sure_to=50", "band=ask", "tier=3",
     "q=category:access full", "whose=me&category=access"],
)  # fmt: skip
def test_what_does_not_fit_every_filter_is_not_shown(two: tuple[Ticket, Ticket], lead: User, query: str) -> None:
    assert shown(query, lead) == set()


def test_several_values_of_one_filter_widen_and_days_are_whole(two: tuple[Ticket, Ticket], lead: User) -> None:
    Ticket.objects.filter(subject="empty").update(priority="P4")
    assert shown("priority=P2&priority=P4", lead) == {"full", "empty"}
    today = timezone.localdate()
    assert shown(f"created_from={today}", lead) == {"empty"}
    assert shown(f"created_to={today - timedelta(days=3)}", lead) == {"full"}
    assert shown(f"created_from={today - timedelta(days=3)}&created_to={today}", lead) == {"full", "empty"}


def test_the_last_day_there_is_ends_a_range(two: tuple[Ticket, Ticket], lead: User) -> None:
    assert shown("created_to=9999-12-31&updated_to=9999-12-31", lead) == {"full", "empty"}


def test_whose_tickets_are_ones_own_ones_teams_or_nobodys(two: tuple[Ticket, Ticket], agent: User, lead: User) -> None:
    assert shown("whose=teams", agent) == {"full"}
    assert shown("whose=nobody", lead) == {"empty"}
    assert shown("whose=me", agent) == set()


def test_snoozed_tickets_are_in_their_own_view_alone(two: tuple[Ticket, Ticket], lead: User) -> None:
    Ticket.objects.filter(subject="full").update(snoozed_until=timezone.now() + timedelta(hours=1))
    assert shown("", lead) == {"empty"}
    assert shown("status=in_review", lead) == set()
    assert shown("status=snoozed", lead) == {"full"}
    assert shown("q=full", lead) == {"full"}, "a search finds what sleeps"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("priority=P9", "Priority cannot be \u201cP9\u201d."),
        ("band=perhaps", "Category is cannot be"),
        ("created_from=yesterday", "Came in since \u201cyesterday\u201d was not understood."),
        ("created_from=2026-13-45", "was not understood."),
        ("sure_from=140", "Sure from % \u201c140\u201d"),
        ("status=nonsense", "There is no view"),
    ],
)
def test_what_is_not_understood_is_said_and_left_out(
    client: Client, two: tuple[Ticket, Ticket], lead: User, query: str, said: str
) -> None:
    client.force_login(lead)
    page = client.get(f"/tickets/?{query}").content.decode()
    assert said in page
    assert 'href="/tickets/' in page and f'id="ticket-{two[0].number}"' in page


def test_the_address_holds_all_of_it_and_comes_back_the_same() -> None:
    query = "status=new&whose=me&q=is%3Aopen+slow&sort=due&category=bug&category=access&tag=a+b&created_from=2026-01-02"
    filters = Filters.of(QueryDict(query))
    assert sorted(parse_qsl(filters.address()[1:])) == sorted(parse_qsl(query))
    again = Filters.of(QueryDict(filters.address()[1:]))
    assert again == filters
    assert Filters.of(QueryDict(filters.cleared.address()[1:])).pairs() == [
        ("status", "new"), ("whose", "me"), ("sort", "due"),
    ]  # fmt: skip


def test_a_chip_takes_away_one_value_and_leaves_the_rest(
    client: Client, lead: User, two: tuple[Ticket, Ticket]
) -> None:
    client.force_login(lead)
    chips = client.get("/tickets/?category=bug&category=access&tier=2").context["chips"]
    assert [(chip.word, chip.value) for chip in chips] == [
        ("Category", "Bug"), ("Category", "Access"), ("Tier", "Tier 2"),
    ]  # fmt: skip
    assert sorted(parse_qsl(chips[0].without[1:])) == [("category", "access"), ("tier", "2")]


def test_terms_are_told_from_words_and_addresses() -> None:
    words, terms = terms_of('slow tag:"two words" from:a@b.c https://x.org/a is:open is:strange note: lang:de')
    assert words == "slow https://x.org/a is:strange note:"
    assert terms == {"tag": ("two words",), "requester": ("a@b.c",), "is": ("open",), "language": ("de",)}


def test_tickets_are_grouped_by_source_with_the_rest_one_click_away(
    client: Client, lead: User, make_ticket: MakeTicket, two: tuple[Ticket, Ticket]
) -> None:
    other = Source.objects.create(kind="api", name="Shop & co")
    for number in range(12):
        ticket = make_ticket(title=f"From the shop {number}")
        Ticket.objects.filter(pk=ticket.pk).update(source=other)
    client.force_login(lead)
    answer = client.get("/tickets/?group=source")
    groups: list[Any] = answer.context["groups"]
    assert [(group.source.name, group.count, len(group.rows)) for group in groups] == [
        ("Shop & co", 12, 10), (two[0].source.name, 2, 2),
    ]  # fmt: skip
    assert "All 12 from Shop &amp; co" in answer.content.decode()
    assert "<details" in answer.content.decode().split("group-head")[0]


def test_an_order_stands_in_the_address_and_pages_follow_it(
    client: Client, lead: User, make_ticket: MakeTicket
) -> None:
    tickets = [make_ticket(title=f"Ticket {number}") for number in range(53)]
    Ticket.objects.filter(pk=tickets[7].pk).update(priority="P1")
    client.force_login(lead)
    first = client.get("/tickets/?sort=priority")
    assert first.context["rows"][0].number == tickets[7].number
    second = client.get(f"/tickets/{first.context['older']}")
    numbers = [row.number for page in (first, second) for row in page.context["rows"]]
    assert len(numbers) == len(set(numbers)) == 53
    oldest = client.get("/tickets/?sort=oldest").context["rows"]
    assert oldest[0].number == tickets[0].number


def test_found_words_are_marked_and_nothing_of_the_text_becomes_markup(
    client: Client, lead: User, make_ticket: MakeTicket
) -> None:
    make_ticket(title="<b>Two</b> payments, one invoice", text="We paid the <i>invoices</i> twice, see <script>.")
    client.force_login(lead)
    page = client.get("/tickets/?q=invoice").content.decode()
    assert "&lt;b&gt;Two&lt;/b&gt; payments, one <mark>invoice</mark></a>" in page
    assert "<mark>invoices</mark>" in page
    assert "<i>" not in page and "<script>." not in page


def test_by_meaning_finds_other_words_and_only_what_one_may_see(
    client: Client, agent: User, colleague: User, make_ticket: MakeTicket
) -> None:
    from triage.embedding import embed

    for title, team in (("Refund for a double charge", "software"), ("The printer is out of paper", "software")):
        ticket = make_ticket(title=title, text=title)
        ticket.team, ticket.embedding = Team.objects.get(key=team), embed(title).tolist()
        ticket.save()
    client.force_login(agent)
    rows = client.get("/tickets/meaning/?q=I+paid+twice+and+want+my+money+back").context["rows"]
    assert rows[0].subject == "Refund for a double charge"
    client.force_login(colleague)
    assert client.get("/tickets/meaning/?q=I+paid+twice+and+want+my+money+back").context["rows"] == []
    assert "Type what you look for" in client.get("/tickets/meaning/").content.decode()
