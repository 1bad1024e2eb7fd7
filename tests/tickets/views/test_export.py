from __future__ import annotations

import asyncio
import csv
import gc
import io
import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.management import call_command
from django.db import connection, connections
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.tickets.conftest import MakeTicket
from tickets import exports
from tickets.actions import spamming
from tickets.channels.file.rows import ImportFile
from tickets.models import Message, SecurityEvent, Source, Status, Team, Ticket
from triage.models import User


@pytest.fixture
def desk(lead: User) -> Client:
    client = Client()
    client.force_login(lead)
    return client


def content(answer: Any) -> str:
    assert answer.status_code == 200
    return b"".join(answer.streaming_content).decode("utf-8-sig")


def table(desk: Client, query: str = "") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content(desk.get(f"/tickets/export/?format=csv{query}")), newline="")))


def test_the_list_that_is_shown_is_what_is_exported(desk: Client, make_ticket: MakeTicket) -> None:
    one, other = make_ticket("Export fails", "Since Monday,\n\u201cquoted\u201d"), make_ticket("Refund")
    other.set_status(Status.CLOSED)
    other.save()
    rows = table(desk)
    assert [row["title"] for row in rows] == ["Export fails"]
    assert rows[0]["description"] == "Since Monday,\n\u201cquoted\u201d"
    assert rows[0]["requester_email"] == "kim@example.com" and rows[0]["number"] == str(one.number)
    assert [row["title"] for row in table(desk, "&status=resolved")] == ["Refund"]
    assert [row["title"] for row in table(desk, "&q=refund")] == ["Refund"]
    assert table(desk, "&team=billing") == []


def test_what_is_held_as_spam_is_exported_where_it_is_shown(
    desk: Client, make_ticket: MakeTicket, lead: User, agent: User, colleague: User
) -> None:
    spam = make_ticket("You have won")
    make_ticket("Export fails")
    Ticket.objects.filter(pk=spam.pk).update(team=Team.objects.get(key="software"))
    spamming.mark(ticket=spam, by=lead)
    assert [row["title"] for row in table(desk, "&status=spam")] == ["You have won"]
    assert [row["title"] for row in table(desk)] == ["Export fails"]
    desk.force_login(colleague)
    assert table(desk, "&status=spam") == []


def test_a_person_exports_what_they_see(
    make_ticket: MakeTicket, agent: User, colleague: User, outsider: User, client: Client
) -> None:
    ticket = make_ticket()
    Ticket.objects.filter(pk=ticket.pk).update(team=Team.objects.get(key="software"))
    for who, sees in ((agent, 1), (colleague, 0), (outsider, 0)):
        client.force_login(who)
        assert len(table(client)) == sees
    client.logout()
    assert client.get("/tickets/export/").status_code == 302


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\uff1d", "'="])
def test_no_cell_is_a_formula_and_the_import_gives_the_text_back(
    desk: Client, make_ticket: MakeTicket, tmp_path: Path, start: str
) -> None:
    text = f'{start}HYPERLINK("http://evil.example","x")'
    make_ticket("Subject", text, requester_name="=cmd")
    answer = desk.get("/tickets/export/")
    path = tmp_path / "tickets.csv"
    path.write_bytes(b"".join(answer.streaming_content))  # type: ignore[attr-defined]
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    (row,) = csv.DictReader(io.StringIO(path.read_text("utf-8-sig"), newline=""))
    assert row["description"] == f"'{text}" and row["requester_name"] == "'=cmd"
    file = ImportFile.examine(path)
    assert file.layout.format == "desk"
    ((read, _),) = file.rows()
    assert read.inbound is not None
    assert (read.inbound.text, read.inbound.requester_name) == (text, "=cmd")


@pytest.mark.parametrize("cut", [",", ";", "\t", "|"])
def test_no_cell_is_a_formula_whatever_separates_them_and_the_import_gives_the_text_back(
    desk: Client, make_ticket: MakeTicket, tmp_path: Path, cut: str
) -> None:
    said = [f"{before}{quotes}=1+1;" for before in (";", "\t", "|", ",", "\n") for quotes in ("", '"', "'", '""')]
    text = "Hello" + "".join(said) + "\n- one\n'- two\n\n\n\t@three;+4 = four"
    make_ticket("Subject;=2+2", text, requester_name="Kim;-3")
    path = tmp_path / "tickets.csv"
    path.write_bytes(b"".join(desk.get("/tickets/export/").streaming_content))  # type: ignore[attr-defined]
    cells = [
        cell for row in csv.reader(io.StringIO(path.read_text("utf-8-sig"), newline=""), delimiter=cut) for cell in row
    ]
    assert len(cells) > 10 and not [cell for cell in cells if cell.strip().startswith(("=", "+", "-", "@"))]
    ((read, _),) = ImportFile.examine(path).rows()
    assert read.inbound is not None
    assert (read.inbound.text, read.inbound.title, read.inbound.requester_name) == (text, "Subject;=2+2", "Kim;-3")


def test_a_spreadsheet_that_cuts_at_several_separators_finds_every_cell_quoted(
    desk: Client, make_ticket: MakeTicket
) -> None:
    make_ticket("Refund;please", "Hello;there")
    header, row = content(desk.get("/tickets/export/")).splitlines()
    assert '"Refund;please"' in row and '"Hello;there"' in row and header.startswith('"number","url"')


def test_what_was_exported_is_read_back_with_its_thread(desk: Client, make_ticket: MakeTicket, tmp_path: Path) -> None:
    ticket = make_ticket("Export fails", "Since Monday.", external_id="7", priority="high")
    ticket.set_status(Status.CLOSED)
    ticket.tags = ["csv"]
    ticket.save()
    at = timezone.now()
    Message.objects.create(ticket=ticket, kind="outbound", text="Look.", author_name="Ada", created_at=at)
    Message.objects.create(ticket=ticket, kind="comment", text="Known.", author_name="Bo", created_at=at)
    path = tmp_path / "tickets.jsonl"
    path.write_text(content(desk.get("/tickets/export/?format=jsonl&status=resolved")))
    assert json.loads(path.read_text())["messages"][1]["author"] == "Ada"
    call_command("import_tickets", str(path), source="Again", stderr=io.StringIO(), stdout=io.StringIO())
    again = Ticket.objects.get(source=Source.objects.get(name="Again"))
    assert (again.subject, again.status, again.tags, again.submitted_priority) == (
        "Export fails",
        "closed",
        ["csv"],
        "P2",
    )
    assert again.external_id == str(ticket.number) and again.created_at == ticket.created_at
    said = again.messages.order_by("pk").values_list("kind", "text", "author_name")
    assert list(said) == [("inbound", "Since Monday.", ""), ("outbound", "Look.", "Ada"), ("comment", "Known.", "Bo")]


def test_it_leaves_a_page_at_a_time_whatever_changes_meanwhile(
    make_ticket: MakeTicket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "PAGE", 2)
    for number in range(5):
        make_ticket(f"Ticket {number}")
    pieces = exports.as_csv(Ticket.objects.all())
    next(pieces)
    with CaptureQueriesContext(connection) as asked:
        first = next(pieces).decode()
    assert len(asked) == 2 and "Ticket 1" in first and "Ticket 2" not in first
    Ticket.objects.order_by("number").first().save()  # type: ignore[union-attr]
    rest = b"".join(pieces).decode()
    assert [f"Ticket {number}" in rest for number in range(5)] == [False, False, True, True, True]


@pytest.mark.parametrize("written_as", ["csv", "jsonl"])
def test_four_times_the_tickets_take_no_more_memory(form: Source, written_as: str) -> None:
    write = exports.WRITERS[written_as][3]
    _many(form, 200, messages=1, characters=5_000)
    b"".join(write(Ticket.objects.all()))  # what is loaded once
    few = _peak(write)
    _many(form, 600, messages=1, characters=5_000)
    assert _peak(write) < few * 1.5


def test_a_page_of_long_threads_is_held_a_part_at_a_time(form: Source) -> None:
    """25 MB of text in one page of tickets."""
    _many(form, 50, messages=25, characters=20_000)
    assert _peak(exports.as_json_lines) < 20_000_000
    said = [json.loads(line) for line in b"".join(exports.as_json_lines(Ticket.objects.all())).splitlines()]
    assert [len(one["messages"]) for one in said] == [25] * 50


def _many(source: Source, count: int, *, messages: int, characters: int) -> None:
    tickets = [Ticket(subject=f"Ticket {number}", source=source, created_at=timezone.now()) for number in range(count)]
    Ticket.objects.bulk_create(tickets)
    for ticket in tickets:
        Message.objects.bulk_create(
            Message(ticket=ticket, kind="inbound", text=f"{number} " + "x" * characters, created_at=timezone.now())
            for number in range(messages)
        )


def _peak(write: Callable[[Any], Iterator[bytes]]) -> int:
    """Bytes that were held at most while all tickets were written and let go of, piece by piece."""
    gc.collect()
    tracemalloc.start()
    try:
        for _ in write(Ticket.objects.all()):
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.django_db(transaction=True)
def test_an_asynchronous_server_is_given_it_piece_by_piece(lead: User, make_ticket: MakeTicket) -> None:
    make_ticket()

    async def ask() -> tuple[bool, int, bytes]:
        client = AsyncClient()
        await client.aforce_login(lead)
        answer: Any = await client.get("/tickets/export/")
        pieces = [piece async for piece in answer.streaming_content]
        await sync_to_async(connections.close_all)()  # the thread that served it is not the test's own
        return answer.is_async, len(pieces), b"".join(pieces)

    is_async, count, whole = asyncio.run(ask())
    assert is_async and count == 2 and b"Export fails" in whole


def test_the_security_log_tells_who_took_what(
    desk: Client, lead: User, make_ticket: MakeTicket, admin_of_desk: User
) -> None:
    make_ticket()
    content(desk.get("/tickets/export/?format=jsonl&team=software"))
    event = SecurityEvent.objects.get(noun="export")
    assert event.actor == f"user:{lead.pk}"
    assert event.after == {"tickets": 0, "format": "JSON Lines", "chosen": "team software"}
    desk.force_login(admin_of_desk)
    assert "exported 0 tickets as JSON Lines: team software" in desk.get("/settings/security-log/").content.decode()


def test_the_queue_offers_to_export_what_it_shows(desk: Client, make_ticket: MakeTicket) -> None:
    make_ticket()
    page = desk.get("/tickets/?team=software&q=export").content.decode()
    assert 'href="/tickets/export/?q=export&amp;team=software&amp;format=csv"' in page


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    yield io.StringIO()


def test_the_command_writes_a_file_that_only_its_owner_reads(
    make_ticket: MakeTicket, tmp_path: Path, out: io.StringIO
) -> None:
    make_ticket("Export fails")
    make_ticket("Refund").source.tickets.filter(subject="Refund").update(status="waiting")
    path = tmp_path / "out.jsonl"
    call_command("export_tickets", str(path), status="waiting", stdout=out)
    assert [json.loads(line)["title"] for line in path.read_text().splitlines()] == ["Refund"]
    assert path.stat().st_mode & 0o077 == 0
    assert SecurityEvent.objects.get(noun="export").actor == "command:export_tickets"
    call_command("export_tickets", str(tmp_path / "all.csv"), stdout=out)
    assert (tmp_path / "all.csv").read_text("utf-8-sig").count("Export fails") == 1
    assert sorted(one.name for one in tmp_path.iterdir()) == ["all.csv", "out.jsonl"]
