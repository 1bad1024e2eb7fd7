"""The exports of other systems, in their own names of columns and their own words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.conf import LazySettings

from tests.tickets.channels.test_import import run, write
from tickets.channels.file.rows import ImportFile
from tickets.models import Ticket

ZENDESK = (
    "Summation column,Id,Requester,Requester id,Requester external id,Requester email,Requester domain,Submitter,"
    "Assignee,Group,Subject,Tags,Status,Priority,Via,Ticket type,Created at,Updated at,Assigned at,Organization,"
    "Due date,Initially assigned at,Solved at,Resolution time,Satisfaction Score,Group stations,Assignee stations\n"
    "1,4711,Kim Park,901,,kim@example.com,example.com,Kim Park,Ada,Support,Export fails,csv export,Solved,Urgent,Mail,"
    "Problem,2024-03-01 09:30,2024-03-02 10:00,,Acme,,,2024-03-02 10:00,24,Not Offered,1,1\n"
    "1,4712,Leo,902,,leo@example.com,example.com,Leo,,Support,Refund,,Pending,Normal,Web,,2024-03-03 09:30,,,,,,,,,,\n"
)
FRESHDESK = (
    "Ticket ID,Subject,Description,Status,Priority,Source,Type,Agent,Group,Created time,Due by Time,Resolved time,"
    "Closed time,Last update time,Initial response time,Agent interactions,Customer interactions,Resolution status,"
    "First response status,Tags,Survey results,Full name,Email\n"
    '81,Export fails,"<div>Since <b>Monday</b></div><div>it ends</div>",Closed,High,Email,Problem,Ada,Support,'
    "2024-03-01 09:30:00,2024-03-04 09:30:00,2024-03-01 12:00:00,2024-03-02 12:00:00,2024-03-02 12:00:00,,1,1,"
    'Within SLA,Within SLA,"csv,export",,Kim Park,kim@example.com\n'
    "82,Refund,Charged twice,Waiting on Customer,Low,Portal,,,,2024-03-02 09:30:00,,,,,,,,,,,,Leo,leo@example.com\n"
)
ZAMMAD = (
    "#,Title,State,Priority,Group,Owner,Customer,Organization,Create Channel,Sender,Tags,Time Units Total,Created At,"
    "Updated At,Closed At,Article Count\n"
    '31001,Export fails,closed,3 high,Users,Ada,Kim Park,Acme,email,Customer,"csv,export",0.0,2024-03-01 09:30:00,'
    "2024-03-02 09:30:00,2024-03-02 09:30:00,2\n"
    "31002,Refund,pending reminder,2 normal,Users,-,Leo,,web,Customer,,0.0,2024-03-02 09:30:00,,,1\n"
)
OSTICKET = (
    "\ufeff"
    '"Ticket Number","Date Created",Subject,From,"From Email",Priority,Department,"Help Topic",Source,"Current Status",'
    '"Last Updated","SLA Due Date","Due Date","Closed Date",Overdue,Merged,Linked,Answered,"Agent Assigned"\n'
    '671402,"2024-03-01 09:30:00","Export fails","Kim Park",kim@example.com,Emergency,Support,"Report a Problem",Web,'
    'Closed,"2024-03-02 10:00:00",,,"2024-03-02 10:00:00",No,No,No,Yes,Ada\n'
)


@pytest.fixture(autouse=True)
def here(taxonomy: None, settings: LazySettings, tmp_path: Path) -> Path:
    settings.VAR = tmp_path / "var"
    return tmp_path


def kept(external_id: str) -> Ticket:
    return Ticket.objects.get(external_id=external_id)


def thread(ticket: Ticket) -> list[tuple[str, str]]:
    return list(ticket.messages.order_by("pk").values_list("kind", "text"))


@pytest.mark.parametrize(
    ("key", "text"), [("zendesk", ZENDESK), ("freshdesk", FRESHDESK), ("zammad", ZAMMAD), ("osticket", OSTICKET)]
)
def test_an_export_is_known_by_its_header(here: Path, key: str, text: str) -> None:
    assert ImportFile.examine(write(here, text)).layout.format == key


def test_zendesk_brings_status_priority_tags_and_dates(here: Path) -> None:
    assert "2 stored, 0 refused" in run(write(here, ZENDESK))
    ticket = kept("4711")
    assert (ticket.subject, ticket.status, ticket.submitted_priority) == ("Export fails", "resolved", "P1")
    assert ticket.created_at.isoformat() == "2024-03-01T09:30:00+00:00"
    assert ticket.resolved_at is not None and ticket.resolved_at.isoformat() == "2024-03-02T10:00:00+00:00"
    assert ticket.tags == ["csv", "export"]
    assert ticket.requester is not None
    assert (ticket.requester.email, ticket.requester.name) == ("kim@example.com", "Kim Park")
    assert ticket.raw is not None and ticket.raw["Group"] == "Support"
    assert ticket.priority == ""  # a decision is made here
    assert kept("4712").status == "waiting"


def test_zendesk_s_ndjson_brings_its_comments_as_a_thread(here: Path) -> None:
    line = {
        "url": "https://acme.zendesk.com/api/v2/tickets/4711.json",
        "id": 4711,
        "via": {"channel": "email"},
        "created_at": "2024-03-01T09:30:00Z",
        "subject": "Export fails",
        "raw_subject": "Export fails",
        "description": "Since Monday.",
        "priority": "high",
        "status": "closed",
        "requester": {"id": 901, "name": "Kim Park", "email": "kim@example.com"},
        "tags": ["csv"],
        "comments": [
            {"id": 1, "author_id": 901, "body": "Since Monday.", "public": True, "created_at": "2024-03-01T09:30:00Z"},
            {"id": 3, "author_id": 7, "body": "Known.", "public": False, "created_at": "2024-03-01T10:30:00Z"},
            {"id": 2, "author_id": 7, "body": "Look at it.", "public": True, "created_at": "2024-03-01T10:00:00Z"},
            {"id": 4, "author_id": 901, "body": "Works.", "public": True, "created_at": "2024-03-01T11:00:00Z"},
        ],
    }
    run(write(here, json.dumps(line) + "\n", "tickets.ndjson"))
    ticket = kept("4711")
    assert thread(ticket) == [
        ("inbound", "Since Monday."),
        ("outbound", "Look at it."),
        ("comment", "Known."),
        ("inbound", "Works."),
    ]
    assert ticket.first_replied_at is not None and ticket.first_replied_at.isoformat() == "2024-03-01T10:00:00+00:00"
    assert ticket.status == "closed" and ticket.requester is not None
    assert ticket.raw is not None and "comments" not in ticket.raw and ticket.raw["via"] == {"channel": "email"}


def test_freshdesk_s_html_becomes_text(here: Path) -> None:
    run(write(here, FRESHDESK))
    ticket = kept("81")
    assert thread(ticket) == [("inbound", "Since Monday\nit ends")]
    assert (ticket.status, ticket.submitted_priority, ticket.tags) == ("closed", "P2", ["csv", "export"])
    assert kept("82").status == "waiting"


def test_freshdesk_s_api_speaks_in_numbers_and_sends_an_array(here: Path) -> None:
    one = {
        "id": 81,
        "subject": "Export fails",
        "description": "<p>Since Monday</p>",
        "description_text": "Since Monday",
        "status": 4,
        "priority": 4,
        "responder_id": 9,
        "requester": {"name": "Kim", "email": "kim@example.com"},
        "created_at": "2024-03-01T09:30:00Z",
        "tags": ["csv"],
        "conversations": [
            {
                "id": 5,
                "body_text": "Thank you",
                "incoming": True,
                "private": False,
                "created_at": "2024-03-02T09:30:00Z",
            },
            {"id": 4, "body": "<p>Look</p>", "incoming": False, "private": False, "created_at": "2024-03-01T10:30:00Z"},
            {"id": 6, "body_text": "Done", "incoming": False, "private": True, "created_at": "2024-03-03T09:30:00Z"},
        ],
    }
    run(write(here, json.dumps([one, {**one, "id": 82, "conversations": []}], indent=2), "tickets.json"))
    assert (kept("81").status, kept("81").submitted_priority) == ("resolved", "P1")
    assert thread(kept("81")) == [
        ("inbound", "Since Monday"),
        ("outbound", "Look"),
        ("inbound", "Thank you"),
        ("comment", "Done"),
    ]
    assert kept("82").messages.count() == 1


def test_zammad_s_report_has_no_text_and_names_its_customers(here: Path) -> None:
    run(write(here, ZAMMAD))
    ticket = kept("31001")
    assert (ticket.status, ticket.submitted_priority, ticket.tags) == ("closed", "P2", ["csv", "export"])
    assert thread(ticket) == [("inbound", "Export fails")]
    assert kept("31002").status == "waiting"


def test_zammad_s_first_article_is_what_was_asked(here: Path) -> None:
    one = {
        "number": "31001",
        "title": "Export fails",
        "group": "Users",
        "state": "open",
        "priority": "1 low",
        "customer": "kim@example.com",
        "created_at": "2024-03-01T09:30:00.000Z",
        "article_count": 3,
        "articles": [
            {"id": 1, "sender": "Customer", "internal": False, "body": "<p>Since<br>Monday</p>", "from": "Kim",
             "content_type": "text/html", "created_at": "2024-03-01T09:30:00.000Z"},
            {"id": 2, "sender": "Agent", "internal": True, "body": "Known.", "from": "Ada",
             "content_type": "text/plain", "created_at": "2024-03-01T09:40:00.000Z"},
            {"id": 3, "sender": "Agent", "internal": False, "body": "Look at it.", "from": "Ada",
             "content_type": "text/plain", "created_at": "2024-03-01T09:50:00.000Z"},
        ],
    }  # fmt: skip
    run(write(here, json.dumps({"tickets": [one]}), "zammad.json"))
    ticket = kept("31001")
    assert thread(ticket) == [("inbound", "Since\nMonday"), ("comment", "Known."), ("outbound", "Look at it.")]
    assert ticket.messages.get(kind="outbound").author_label == "Ada"
    assert (ticket.status, ticket.submitted_priority) == ("new", "P4")
    assert ticket.requester is not None and ticket.requester.email == "kim@example.com"


def test_osticket_is_read_with_its_mark_and_its_words(here: Path) -> None:
    run(write(here, OSTICKET))
    ticket = kept("671402")
    assert (ticket.subject, ticket.status, ticket.submitted_priority) == ("Export fails", "closed", "P1")
    assert ticket.requester is not None and ticket.requester.name == "Kim Park"
    assert ticket.raw is not None and ticket.raw["Help Topic"] == "Report a Problem"


def test_github_s_issues_come_with_labels_comments_and_who_is_of_the_house(here: Path) -> None:
    issue = {
        "number": 12,
        "title": "Export fails",
        "body": "Since Monday.",
        "state": "CLOSED",
        "author": {"login": "kim-park", "id": "U_1"},
        "createdAt": "2024-03-01T09:30:00Z",
        "closedAt": "2024-03-02T09:30:00Z",
        "labels": [{"id": "L_1", "name": "Bug Report"}],
        "comments": [
            {"id": "IC_1", "author": {"login": "ada"}, "authorAssociation": "MEMBER", "body": "Look at it.",
             "createdAt": "2024-03-01T10:30:00Z"},
            {"id": "IC_2", "author": {"login": "leo"}, "authorAssociation": "NONE", "body": "Me, too.",
             "createdAt": "2024-03-01T11:30:00Z"},
        ],
    }  # fmt: skip
    run(write(here, json.dumps([issue]), "issues.json"))
    ticket = kept("12")
    assert (ticket.status, ticket.tags) == ("closed", ["bug-report"])
    assert thread(ticket) == [("inbound", "Since Monday."), ("outbound", "Look at it."), ("inbound", "Me, too.")]
    assert [one.author_label for one in ticket.messages.order_by("pk")] == ["kim-park", "ada", "leo"]


def test_a_format_may_be_said_and_a_column_that_is_missing_is_named(here: Path) -> None:
    text = "Id,Subject,Status\n7,Export fails,Closed\n"
    run(write(here, text, "a.csv"))
    assert kept("7").status == "new"  # plain columns: the word is kept
    run(write(here, text, "b.csv"), format="zendesk")
    assert Ticket.objects.get(source__name="b").status == "closed"
    with pytest.raises(Exception, match="Zendesk has a column for the title, and this file does not"):
        run(write(here, "Id,Status\n7,Closed\n", "c.csv"), format="zendesk")


def test_a_word_for_a_status_that_nobody_knows_is_kept_and_the_ticket_open(here: Path) -> None:
    run(write(here, ZENDESK.replace("Pending", "Waiting for parts")))
    ticket = kept("4712")
    assert ticket.status == "new"
    assert ticket.raw is not None and ticket.raw["status"] == "Waiting for parts"


def test_an_array_that_breaks_off_keeps_what_came_before_and_says_where(here: Path) -> None:
    path = write(here, '[{"title": "A", "body": "x", "id": 1}, {"title": "B", "bo', "broken.json")
    with pytest.raises(Exception, match="breaks off, or is no JSON, after 1 objects"):
        run(path)
    assert Ticket.objects.get() == kept("1")
