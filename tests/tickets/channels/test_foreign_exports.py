"""The exports of other systems, in their own names of columns and their own words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.conf import LazySettings

from tests.tickets.channels.test_import import run, write
from tickets.channels.file.formats import PLAIN, key_of, recognise
from tickets.channels.file.rows import ImportFile
from tickets.models import Ticket

# The headings are those of real exports, the rows are made up.
# The first columns of the CSV of the account export: charlesbergeron/zendesk_tools, src/bis/Startup.java, which writes
# the same file from the API, and other programs that read it.
ZENDESK = (
    "Summation column,Id,Requester,Requester id,Requester external id,Requester email,Requester domain,Submitter,"
    "Assignee,Group,Subject,Tags,Status,Priority,Via,Ticket type,Created at,Updated at,Assigned at,Organization,"
    "Due date,Initially assigned at,Solved at,Resolution time,Satisfaction Score,Group stations,Assignee stations\n"
    "1,4711,Kim Park,901,,kim@example.com,example.com,Kim Park,Ada,Support,Export fails,csv export,Solved,Urgent,Mail,"
    "Problem,2024-03-01 09:30,2024-03-02 10:00,,Acme,,,2024-03-02 10:00,24,Not Offered,1,1\n"
    "1,4712,Leo,902,,leo@example.com,example.com,Leo,,Support,Refund,,Pending,Normal,Web,,2024-03-03 09:30,,,,,,,,,,\n"
)
# Some of them only, as published tables of such exports have them; a stroke stands for nothing.
ZENDESK_CHOSEN = (
    "Id,Subject,Group,Status,Priority,Via,Created at,Updated at,Assigned at,Solved at,Satisfaction Score,Reopens,"
    "Replies\n"
    "4713,Export fails,Support,Solved,-,Mail,2024-03-01 09:30,2024-03-02 10:00,,2024-03-02 10:00,Offered,0,1\n"
)
# A report made in Explore. The names of its columns are those of the attributes of the dataset "Tickets" in Zendesk's
# help, "Metrics and attributes for Zendesk tickets".
ZENDESK_EXPLORE = (
    "Ticket ID,Ticket subject,Ticket status,Ticket priority,Ticket tags,Ticket group,Requester name,Requester email,"
    "Ticket created - Timestamp,Ticket solved - Timestamp,Tickets\n"
    "4714,Export fails,Closed,High,csv,Support,Kim Park,kim@example.com,2024-03-01T09:30:00,2024-03-02T10:00:00,1\n"
)
# The columns that Freshdesk offers for tickets, then some of those for contacts: jayson-smartsourcing/time-entries,
# app/HarrisSalesTicketExport.php, and other programs that read the export. "Description" is not among them everywhere.
FRESHDESK = (
    "Ticket ID,Subject,Description,Status,Priority,Source,Type,Agent,Group,Created time,Due by Time,Resolved time,"
    "Closed time,Last update time,Initial response time,Agent interactions,Customer interactions,Resolution status,"
    "First response status,Tags,Survey results,Full name,Email\n"
    '81,Export fails,"<div>Since <b>Monday</b></div><div>it ends</div>",Closed,High,Email,Problem,Ada,Support,'
    "2024-03-01 09:30:00,2024-03-04 09:30:00,2024-03-01 12:00:00,2024-03-02 12:00:00,2024-03-02 12:00:00,,1,1,"
    'Within SLA,Within SLA,"csv,export",,Kim Park,kim@example.com\n'
    "82,Refund,Charged twice,Waiting on Customer,Low,Portal,,,,2024-03-02 09:30:00,,,,,,,,,,,,Leo,leo@example.com\n"
)
# An export of 2025 as it was published: no description, and the address of a contact under "Contact ID".
FRESHDESK_CONTACT = (
    "Ticket ID,Subject,Status,Priority,Source,Type,Agent,Group,Created time,Due by Time,Resolved time,Closed time,"
    "Last update time,Initial response time,Time tracked,First response time (in hrs),Resolution time (in hrs),"
    "Agent interactions,Customer interactions,Resolution status,First response status,Tags,Survey results,"
    "Association type,Product,Every response status,Full name,Contact ID,Company Name\n"
    "83,Export fails,Open,Low,Email,Problem,Ada,Support,08/01/2025 15:00,06/03/2025 15:00,,,08/01/2025 17:10,,0:00,"
    "0:00:00,0:00:00,0,2,,,csv,,,No Product,,Kim Park,kim@example.com,Acme\n"
    "84,Refund,Resolved,Medium,Phone,,,,14/01/2025 13:26,,15/01/2025 9:00,,,,0:00,0:00:00,0:00:00,1,1,,,,,,,,Leo,"
    "80012345,\n"
)
# Freshservice, its sister for a company's own people, spells some of them otherwise: a public program that reads it.
FRESHSERVICE = (
    "Subject,Type,Status,Urgency,Impact,Priority,Group,Agent,Description,Source,Ticket Id,Requester Name,"
    "Requester Email,Created Time,Due by Time,Resolved Time,Closed Time,Last Updated Time,Resolution Status,Tags\n"
    "Export fails,Incident,Closed,Low,Low,High,IT,Ada,Since Monday,Email,85,Kim Park,kim@example.com,"
    "2024-03-01 09:30:00,,2024-03-02 09:30:00,2024-03-03 09:30:00,,Within SLA,csv\n"
)
ZAMMAD = (
    "#,Title,State,Priority,Group,Owner,Customer,Organization,Create Channel,Sender,Tags,Time Units Total,Created At,"
    "Updated At,Closed At,Article Count\n"
    '31001,Export fails,closed,3 high,Users,Ada,Kim Park,Acme,email,Customer,"csv,export",0.0,2024-03-01 09:30:00,'
    "2024-03-02 09:30:00,2024-03-02 09:30:00,2\n"
    "31002,Refund,pending reminder,2 normal,Users,-,Leo,,web,Customer,,0.0,2024-03-02 09:30:00,,,1\n"
)
# All that a queue exports unless it was told otherwise: osTicket/osTicket, include/class.queue.php,
# getExportableFields. Those of 1.10 were fewer, under the same names (include/class.export.php).
OSTICKET = (
    "\ufeff"
    '"Ticket Number","Date Created",Subject,From,"From Email",Priority,Department,"Help Topic",Source,"Current Status",'
    '"Last Updated","SLA Due Date","Due Date","Closed Date",Overdue,Merged,Linked,Answered,"Agent Assigned",'
    '"Team Assigned","Thread Count","Reopen Count","Attachment Count","Task Count"\n'
    '671402,"2024-03-01 09:30:00","Export fails","Kim Park",kim@example.com,Emergency,Support,"Report a Problem",Web,'
    'Closed,"2024-03-02 10:00:00",,,"2024-03-02 10:00:00",,,,Yes,Ada,,2,0,0,0\n'
)
# osTicket/osTicket-1.7, include/class.export.php: no address, and the states in lower case.
OSTICKET_OLD = (
    '"Ticket Id","Date","Subject","From","Priority","Department","Help Topic","Source","Current Status"\n'
    '"671403","2013-03-01 09:30:00","Export fails","Kim Park","High","Support","General Inquiry","Email","closed"\n'
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
    ("key", "text"),
    [
        ("zendesk", ZENDESK),
        ("zendesk", ZENDESK_CHOSEN),
        ("zendesk", ZENDESK_EXPLORE),
        ("freshdesk", FRESHDESK),
        ("freshdesk", FRESHDESK_CONTACT),
        ("freshdesk", FRESHSERVICE),
        ("zammad", ZAMMAD),
        ("osticket", OSTICKET),
        ("osticket", OSTICKET_OLD),
    ],
)
def test_an_export_is_known_by_its_header(here: Path, key: str, text: str) -> None:
    assert ImportFile.examine(write(here, text)).layout.format == key


def test_a_table_of_tickets_that_is_nobody_s_export_is_taken_for_none() -> None:
    columns = ("Ticket ID", "Customer Email", "Ticket Subject", "Ticket Description", "Ticket Status")
    assert recognise(frozenset(key_of(column) for column in columns)) is PLAIN


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


def test_zendesk_s_report_is_read_by_the_names_of_its_attributes(here: Path) -> None:
    run(write(here, ZENDESK_EXPLORE))
    ticket = kept("4714")
    assert (ticket.subject, ticket.status, ticket.submitted_priority) == ("Export fails", "closed", "P2")
    assert ticket.created_at.isoformat() == "2024-03-01T09:30:00+00:00"
    assert ticket.resolved_at is not None and ticket.resolved_at.isoformat() == "2024-03-02T10:00:00+00:00"
    assert ticket.requester is not None
    assert (ticket.requester.email, ticket.requester.name, ticket.tags) == ("kim@example.com", "Kim Park", ["csv"])


def test_zendesk_s_stroke_for_nothing_is_no_priority(here: Path) -> None:
    run(write(here, ZENDESK_CHOSEN))
    ticket = kept("4713")
    assert (ticket.status, ticket.submitted_priority, ticket.requester) == ("resolved", "", None)


def test_zendesk_s_incremental_export_names_no_customer_and_carries_deleted_tickets(here: Path) -> None:
    # Zendesk's reference of the API: a ticket has the number of its requester, whose address is with the users.
    one = {
        "id": 4715,
        "via": {"channel": "web"},
        "created_at": "2024-03-01T09:30:00Z",
        "subject": "Export fails",
        "raw_subject": "Export fails",
        "description": "Since Monday.",
        "type": "incident",
        "priority": None,
        "status": "deleted",
        "requester_id": 901,
        "tags": [],
    }
    run(write(here, json.dumps(one) + "\n", "tickets.jsonl"))
    assert (kept("4715").status, kept("4715").requester) == ("closed", None)


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


def test_freshdesk_s_contact_is_an_address_only_where_it_holds_one(here: Path) -> None:
    assert "2 stored, 0 refused" in run(write(here, FRESHDESK_CONTACT))
    ticket = kept("83")
    assert ticket.requester is not None
    assert (ticket.requester.email, ticket.requester.name) == ("kim@example.com", "Kim Park")
    assert ticket.created_at.isoformat() == "2025-01-08T15:00:00+00:00"  # the other row shows that the day is first
    other = kept("84")
    assert (other.status, other.requester) == ("resolved", None)
    assert other.raw is not None and other.raw["Contact ID"] == "80012345"


def test_freshservice_is_read_as_freshdesk(here: Path) -> None:
    run(write(here, FRESHSERVICE))
    ticket = kept("85")
    assert thread(ticket) == [("inbound", "Since Monday")]
    assert (ticket.status, ticket.submitted_priority) == ("closed", "P2")
    assert ticket.requester is not None and ticket.requester.email == "kim@example.com"


def test_freshdesk_s_account_export_wraps_its_tickets_and_brings_their_notes(here: Path) -> None:
    # `helpdesk_ticket`, `display_id` and the notes' `body_html`, `private` and `created_at` are as a public program
    # reads them that brings such a file to Freshservice.
    one = {
        "helpdesk_ticket": {
            "display_id": 86,
            "subject": "Export fails",
            "description": "Since Monday",
            "status_name": "Closed",
            "priority_name": "High",
            "requester_name": "Kim Park",
            "created_at": "2024-03-01T09:30:00Z",
            "notes": [
                {"id": 1, "body_html": "<div>Look at it.</div>", "private": False, "support_email": "help@example.com",
                 "created_at": "2024-03-01T10:30:00Z"},
                {"id": 2, "body_html": "<div>Known.</div>", "private": True, "created_at": "2024-03-01T11:30:00Z"},
            ],
        }
    }  # fmt: skip
    run(write(here, json.dumps([one]), "Tickets.json"))
    assert thread(kept("86")) == [("inbound", "Since Monday"), ("outbound", "Look at it."), ("comment", "Known.")]
    assert (kept("86").status, kept("86").submitted_priority) == ("closed", "P2")


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


def test_an_old_osticket_names_its_customers_and_gives_no_address(here: Path) -> None:
    run(write(here, OSTICKET_OLD))
    ticket = kept("671403")
    assert (ticket.status, ticket.submitted_priority, ticket.requester) == ("closed", "P2", None)
    assert ticket.created_at.isoformat() == "2013-03-01T09:30:00+00:00"
    assert ticket.messages.get().author_label == "Kim Park"


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
