from __future__ import annotations

import csv
import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.utils import timezone

from tickets.actions import importing
from tickets.actions.errors import Conflict
from tickets.channels.file.rows import ImportFile
from tickets.models import ImportRun, Message, Requester, SecurityEvent, Source, Ticket

HEADER = "id,subject,body,email,name,created_at,priority,product\n"
ROWS = (
    '1,Export fails,"Since Monday,\nit ends half way.",kim@example.com,Kim,2024-03-01 09:30:00,high,Reports\n'
    "2,Refund,Charged twice.,LEO@example.com,Leo,2024-03-02T10:00:00+02:00,Blocker,Shop\n"
)


@pytest.fixture(autouse=True)
def here(taxonomy: None, settings: LazySettings, tmp_path: Path) -> Path:
    settings.VAR = tmp_path / "var"
    return tmp_path


def write(folder: Path, text: str | bytes, name: str = "old desk.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def run(path: Path, **options: Any) -> str:
    out = io.StringIO()
    call_command("import_tickets", str(path), stdout=out, **options)
    return out.getvalue()


def refused(folder: Path) -> list[dict[str, str]]:
    (report,) = (folder / "var" / "imports").iterdir()
    with report.open(newline="") as file:
        return list(csv.DictReader(file))


def test_it_stores_every_row_with_its_customer_its_date_and_what_else_the_file_knew(here: Path) -> None:
    assert "2 stored, 0 refused" in run(write(here, HEADER + ROWS))
    first, second = Ticket.objects.order_by("number")
    assert (first.subject, first.messages.get().text) == ("Export fails", "Since Monday,\nit ends half way.")
    assert first.created_at.isoformat() == "2024-03-01T09:30:00+00:00"
    assert second.created_at.isoformat() == "2024-03-02T08:00:00+00:00"
    assert first.requester is not None
    assert (first.requester.email, first.requester.name) == ("kim@example.com", "Kim")
    assert (first.submitted_priority, first.priority, first.raw) == ("P2", "", {"product": "Reports"})
    assert second.raw == {"product": "Shop", "priority": "Blocker"}
    assert (first.external_id, first.source.name, first.source.kind) == ("1", "old desk", "file")
    assert (first.triage_state, first.lane) == ("submitted", 1)
    assert first.events.get().actor == "command:import_tickets"


def test_the_source_may_be_named(here: Path) -> None:
    run(write(here, HEADER + ROWS), source="Zendesk 2024")
    assert Source.objects.get(name="Zendesk 2024").tickets.count() == 2


def test_imported_again_no_row_is_stored_twice(here: Path) -> None:
    path = write(here, HEADER + ROWS)
    run(path)
    assert "0 stored, 2 known before, 0 refused" in run(path)
    assert Ticket.objects.count() == Message.objects.count() == 2
    assert Requester.objects.count() == 2


def test_a_row_without_an_id_is_known_by_file_and_row(here: Path) -> None:
    path = write(here, "title,body\nA,same words\nA,same words\n")
    run(path)
    run(path)
    assert Ticket.objects.count() == 2


def test_an_id_that_comes_twice_in_a_file_is_stored_once(here: Path) -> None:
    assert "1 stored, 1 known before" in run(write(here, "id,title,body\n7,A,first\n7,B,second\n"))
    assert Ticket.objects.get().subject == "A"


def test_it_goes_on_where_it_was_stopped(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(here, "id,title,body\n" + "".join(f"{n},Ticket {n},Words\n" for n in range(25)))
    monkeypatch.setattr("tickets.actions.importing.CHUNK_ROWS", 10)
    real = importing.store_chunk
    calls = 0

    def stop_in_the_second(**given: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return real(**given)

    monkeypatch.setattr(importing, "store_chunk", stop_in_the_second)
    with pytest.raises(CommandError, match="go on from here"):
        run(path)
    assert ImportRun.objects.get().rows_read == Ticket.objects.count() == 10
    monkeypatch.setattr(importing, "store_chunk", real)
    assert "25 stored, 0 refused" in run(path)
    done = ImportRun.objects.get()
    assert (done.rows_read, done.stored, done.known) == (25, 25, 0)
    assert done.finished_at is not None


def test_it_goes_on_only_as_it_was_begun(here: Path) -> None:
    path = write(here, HEADER + ROWS)
    begun = importing.begin(file=ImportFile.examine(path), source_name="old desk")
    rows, position = next(importing.chunks(ImportFile.examine(path), after=0))
    importing.store_chunk(run=begun, rows=rows[:1], position=position)
    with pytest.raises(CommandError, match="1 row of this file was read with another header"):
        run(path, no_header=True, map=["title=Column 2"])
    assert Ticket.objects.count() == 1
    assert "2 stored" in run(path) and Ticket.objects.count() == 2


def test_refused_rows_are_reported_with_number_reason_and_content(here: Path) -> None:
    text = (
        "id,title,body,email,created_at\n"
        "1,Good,Words,kim@example.com,2024-01-01\n"
        "2,Bad mail,Words,kim,2024-01-01\n"
        "3,,,kim@example.com,2024-01-01\n"
        "4,Bad date,Words,kim@example.com,yesterday\n"
        f"5,{'a' * 301},Words,kim@example.com,2024-01-01\n"
    )
    out = run(write(here, text))
    assert "1 stored, 4 refused" in out
    rows = refused(here)
    assert [row["row"] for row in rows] == ["2", "3", "4", "5"]
    assert [row["reason"].partition(":")[0] for row in rows] == ["email", "title", "created_at", "title"]
    assert json.loads(rows[0]["content"])["title"] == "Bad mail"
    assert ImportRun.objects.get().refused == 4


def test_a_row_without_a_body_keeps_its_title_as_its_words_and_the_other_way_round(here: Path) -> None:
    run(write(here, "title,body\nOnly a title,\n,Only a body\n"))
    first, second = Ticket.objects.order_by("number")
    assert first.messages.get().text == "Only a title"
    assert second.subject == "Only a body"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1"])
def test_it_reads_whatever_encoding_the_file_was_written_in(here: Path, encoding: str) -> None:
    run(write(here, "title;body\nGrüße;Größe „XL“\n".replace("„XL“", "XL").encode(encoding)))
    ticket = Ticket.objects.get()
    assert (ticket.subject, ticket.messages.get().text) == ("Grüße", "Größe XL")


def test_bytes_that_mean_nothing_are_stored_without_harm(here: Path) -> None:
    run(write(here, b"title,body\nA\x00B,\x81\x8d broken \xff\n"))
    assert Ticket.objects.get().subject == "AB"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_it_sees_how_the_columns_are_parted(here: Path, delimiter: str) -> None:
    run(write(here, delimiter.join(("Subject", "Text", "E")) + "\n" + delimiter.join(("A", "B", "C")) + "\n"))
    assert Ticket.objects.get().raw == {"E": "C"}


def test_it_reads_json_lines(here: Path) -> None:
    lines = [
        json.dumps({"id": 5, "title": "From JSON", "description": "Words", "labels": ["a", "b\u0000"]}),
        "",
        "{broken",
        "[1, 2]",
        json.dumps({"title": {"no": "text"}, "description": "x"}),
        '{"id": 6, "title": "Odd figures", "body": "Words", "x": NaN, "y": 1e999}',
        '{"title": "Deep", "body": "Words", "x": ' + "[" * 900 + "]" * 900 + "}",
    ]
    assert "2 stored, 4 refused" in run(write(here, "\n".join(lines), "tickets.jsonl"))
    first = Ticket.objects.get(external_id="5")
    assert first.raw == {"labels": ["a", "b"]}
    assert Ticket.objects.get(external_id="6").raw == {"x": "nan", "y": "inf"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty"), (b"a,b\n1,2\n", "names neither"), (b'[{"a": "b"}]', "names neither")],
)
def test_a_file_that_is_no_list_of_tickets_is_refused_whole(here: Path, content: bytes, reason: str) -> None:
    with pytest.raises(CommandError, match=reason):
        run(write(here, content))
    assert Ticket.objects.count() == 0


def test_a_file_that_is_not_there_is_a_sentence_and_no_traceback(here: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        run(here / "nothing.csv")


def test_a_quote_that_is_never_closed_swallows_no_more_than_its_row(here: Path) -> None:
    rows = "".join(f"Ticket {number},{'x' * 900}\n" for number in range(3_000))
    assert "3,001 stored, 1 refused" in run(write(here, 'title,body\nGood,Words\n"Never closed,Words\n' + rows))
    assert "never closed" in refused(here)[0]["reason"]


def test_a_field_of_many_megabytes_costs_its_own_row_and_no_memory(here: Path) -> None:
    huge = ('a line, with a comma and a ""quote""\n' * 50_000) * 4
    path = write(here, f'title,body,x\nGood,Words,1\nHuge,"{huge}",2\nAfter it,Words,3\n')
    assert path.stat().st_size > 7_000_000
    tracemalloc.start()
    try:
        out = run(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "2 stored, 1 refused" in out
    assert "larger than" in refused(here)[0]["reason"]
    assert list(Ticket.objects.order_by("number").values_list("subject", flat=True)) == ["Good", "After it"]
    assert peak < 40_000_000


def test_a_row_that_ends_before_its_columns_do_is_refused_not_guessed(here: Path) -> None:
    assert "1 stored, 1 refused" in run(write(here, "id,title,body,created_at,x\n1,A,Words\n2,B,Words,2024-01-01\n"))
    assert refused(here)[0]["reason"] == "This row ends before its column 'created_at'."


def test_without_a_header_columns_are_mapped_by_their_place(here: Path) -> None:
    path = write(here, "17;Export fails;Since Monday.\n18;Refund;Charged twice.\n")
    with pytest.raises(CommandError, match="names neither"):
        run(path)
    run(path, no_header=True, map=["title=Column 2", "text=Column 3", "external_id=Column 1"])
    first = Ticket.objects.get(external_id="17")
    assert (first.subject, first.messages.get().text) == ("Export fails", "Since Monday.")


def test_a_date_that_may_be_read_in_two_ways_is_not_guessed(here: Path) -> None:
    path = write(here, "id,title,body,created_at\n1,A,Words,3/4/2024\n")
    assert "0 stored, 1 refused" in run(path, source="asked")
    assert "two ways" in refused(here)[0]["reason"]
    run(path, source="told", dates="month-first")
    assert Ticket.objects.get().created_at.date().isoformat() == "2024-03-04"
    run(
        write(
            here,
            "id,title,body,created_at\n1,A,W,3/4/2024\n2,B,W,31/4/2023 5:30 PM\n3,C,W,30/4/2023 5:30 PM\n",
            "b.csv",
        )
    )
    seen = Ticket.objects.filter(source__name="b").order_by("number").values_list("created_at", flat=True)
    assert [f"{at:%Y-%m-%d %H:%M}" for at in seen] == ["2024-04-03 00:00", "2023-04-30 17:30"]


def test_a_trial_stores_nothing_and_says_what_would_become_of_the_file(here: Path) -> None:
    path = write(here, HEADER + ROWS + "3,,,no-address,,,\n1,Again,Words,,,,,\n")
    out = run(path, dry_run=True)
    assert "2 stored, 1 known before, 1 refused" in out
    assert "Row 3: " in out
    assert not Ticket.objects.exists() and not ImportRun.objects.exists()


def test_who_took_up_a_file_again_fences_off_who_had_it_before(here: Path) -> None:
    file = ImportFile.examine(write(here, HEADER + ROWS))
    first = importing.begin(file=file, source_name="Old desk")
    second = importing.begin(file=file, source_name="Old desk")
    assert first.pk == second.pk
    (rows, position), *_ = importing.chunks(file, after=0)
    with pytest.raises(Conflict):
        importing.store_chunk(run=first, rows=rows, position=position)
    assert not Ticket.objects.exists()
    importing.store_chunk(run=second, rows=rows, position=position)
    assert Ticket.objects.count() == 2


def test_what_was_deleted_here_is_not_brought_again(here: Path) -> None:
    path = write(here, HEADER + ROWS)
    run(path)
    Ticket.objects.filter(external_id="1").update(deleted_at=timezone.now())
    assert "0 stored, 2 known before" in run(path)


def test_the_security_log_tells_of_an_import(here: Path) -> None:
    run(write(here, HEADER + ROWS))
    event = SecurityEvent.objects.get(noun="import")
    assert (event.actor, event.after) == ("command:import_tickets", {"file": "old desk.csv", "source": "old desk"})


def test_a_file_is_read_without_being_held_in_memory(here: Path) -> None:
    body = "x" * 5_000
    path = write(here, "id,title,body\n" + "".join(f"{n},Ticket {n},{body}\n" for n in range(4_000)))
    tracemalloc.start()
    try:
        assert sum(1 for _ in ImportFile.examine(path).rows()) == 4_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < path.stat().st_size / 2
