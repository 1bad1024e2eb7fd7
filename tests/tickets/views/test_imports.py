from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client
from django.utils import timezone

from tickets.actions import imports
from tickets.actions.deliveries import Claimed
from tickets.actions.errors import Conflict, Forbidden
from tickets.models import ImportRun, LeftFile, Source, Ticket
from triage.models import User

PLAIN = "id,subject,body,email,created_at\n" + "".join(
    f"{number},Ticket {number},Words of {number},kim{number}@example.com,2024-03-01\n" for number in range(1, 31)
)
ODD = "Ref;Betreff;Anliegen;Wann\n1;Export fails;Since Monday;3.4.2024\n2;;;4.4.2024\n"


@pytest.fixture(autouse=True)
def here(taxonomy: None, settings: LazySettings, tmp_path: Path) -> None:
    settings.VAR = tmp_path
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def desk(lead: User) -> Client:
    client = Client()
    client.force_login(lead)
    return client


def upload(desk: Client, text: str = PLAIN, name: str = "old.csv") -> ImportRun:
    answer = desk.post("/settings/imports/", {"file": SimpleUploadedFile(name, text.encode())})
    assert answer.status_code == 302
    return ImportRun.objects.get(pk=int(answer["Location"].split("/")[-2]))


def form(run: ImportRun, **given: str) -> dict[str, Any]:
    layout = run.layout
    return {
        "source": run.source_name,
        "format": layout["format"],
        "encoding": layout["encoding"],
        "delimiter": layout["delimiter"],
        "header": "yes",
        "dates": "",
        **given,
    }


def work() -> None:
    for claimed in imports.claim(1):
        imports.work(claimed)


def test_a_file_is_shown_with_what_it_is_before_anything_is_imported(desk: Client) -> None:
    run = upload(desk)
    page = desk.get(run.get_absolute_url()).content.decode()
    assert "Ticket 1" in page and "kim1@example.com" in page and "1 Mar 2024" in page
    assert '<option value="subject" selected>' in page
    assert run.state == "draft" and not Ticket.objects.exists() and not Source.objects.filter(name="old").exists()


def test_a_started_import_is_worked_through_and_its_file_is_let_go(desk: Client, lead: User) -> None:
    run = upload(desk)
    desk.post(f"{run.get_absolute_url()}start/", form(run, source="Old desk"))
    assert imports.due().exists()
    work()
    run.refresh_from_db()
    assert (run.state, run.stored, run.refused, run.percent) == ("done", 30, 0, 100)
    assert Ticket.objects.filter(source__name="Old desk").count() == 30
    assert Ticket.objects.earliest("number").events.get().actor == f"user:{lead.pk}"
    assert run.file == "" and LeftFile.objects.count() == 1
    assert "30 tickets into Old desk" in desk.get("/settings/imports/").content.decode()


def test_columns_that_nobody_knows_are_mapped_by_a_person(desk: Client) -> None:
    run = upload(desk, ODD)
    page = desk.get(run.get_absolute_url())
    assert "Choose a column for the title or the description" in page.content.decode()
    refused = desk.post(f"{run.get_absolute_url()}start/", form(run))
    assert refused.status_code == 422 and ImportRun.objects.get().state == "draft"
    mapped = {"column-title": "Betreff", "column-text": "Anliegen", "column-external_id": "Ref"}
    answer = desk.post(run.get_absolute_url(), form(run, **mapped, **{"column-created_at": "Wann"}), follow=True)
    page_text = answer.content.decode()
    assert "Since Monday" in page_text and "3 Apr 2024" in page_text
    assert "Refused: title: This must not be empty." in page_text
    run.refresh_from_db()
    desk.post(f"{run.get_absolute_url()}start/", form(run, **mapped, **{"column-created_at": "Wann"}))
    work()
    assert Ticket.objects.get().external_id == "1"


def test_refused_rows_are_counted_shown_and_handed_out(desk: Client) -> None:
    run = upload(desk, "title,body,email\nGood,Words,kim@example.com\nBad,Words,=no address\n")
    desk.post(f"{run.get_absolute_url()}start/", form(run))
    work()
    page = desk.get(run.get_absolute_url()).content.decode()
    assert "Row 2" in page and "Enter an e-mail address" in page
    answer = desk.get(f"{run.get_absolute_url()}refusals/")
    assert "attachment" in answer["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode("utf-8-sig"))))  # type: ignore[attr-defined]
    assert [row["row"] for row in rows] == ["2"] and '"title": "Bad"' in rows[0]["content"]


def test_what_refused_rows_held_is_let_go_some_time_after_their_import(desk: Client, settings: LazySettings) -> None:
    settings.IMPORT_REFUSED_DAYS = 7
    runs = [upload(desk, f"title,body,email\nBad,{words},=no address\n") for words in ("Old words", "New words")]
    for run in runs:
        desk.post(f"{run.get_absolute_url()}start/", form(run))
        work()
    ImportRun.objects.filter(pk=runs[0].pk).update(finished_at=timezone.now() - timedelta(days=8))
    assert "is kept for 7 days" in desk.get(runs[0].get_absolute_url()).content.decode()
    imports.forget()
    old, new = [desk.get(run.get_absolute_url()).content.decode() for run in runs]
    assert "is no longer kept" in old and "Enter an e-mail address" in old and "is kept for 7 days" in new
    held = [run.refusals.get() for run in runs]
    assert held[0].content == "" and held[0].reason and "New words" in held[1].content
    listed = b"".join(desk.get(f"{runs[0].get_absolute_url()}refusals/").streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    assert [(row["row"], row["content"]) for row in csv.DictReader(io.StringIO(listed))] == [("1", "")]


@pytest.mark.parametrize("cut", [",", ";"])
def test_no_cell_of_the_refused_rows_is_a_formula(desk: Client, cut: str) -> None:
    run = upload(desk, 'title,body,email\nBad;=1+1;,"Words;-1;",kim;=2+2;\n')
    desk.post(f"{run.get_absolute_url()}start/", form(run))
    work()
    text = b"".join(desk.get(f"{run.get_absolute_url()}refusals/").streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    rows = list(csv.reader(io.StringIO(text), delimiter=cut))
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "-"))]
    if cut == ",":
        assert json.loads(rows[1][2]) == {"title": "Bad;=1+1;", "body": "Words;-1;", "email": "kim;=2+2;"}


def test_a_stopped_import_goes_on_where_it_was(desk: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickets.actions.importing.CHUNK_ROWS", 10)
    run = upload(desk)
    desk.post(f"{run.get_absolute_url()}start/", form(run))
    (claimed,) = imports.claim(1)
    imports.work(claimed, seconds=0)  # a turn of one chunk
    run.refresh_from_db()
    assert (run.state, run.rows_read, Ticket.objects.count()) == ("waiting", 10, 10)
    desk.post(f"{run.get_absolute_url()}cancellation/")
    run.refresh_from_db()
    assert run.state == "stopped" and not imports.due().exists()
    assert "goes on from row 11" in desk.get(run.get_absolute_url()).content.decode()
    desk.post(f"{run.get_absolute_url()}continuation/")
    work()
    run.refresh_from_db()
    assert (run.state, run.rows_read, run.stored, run.known) == ("done", 30, 30, 0)


def test_a_worker_that_was_killed_is_followed_by_another_and_stores_nothing_more(
    desk: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickets.actions.importing.CHUNK_ROWS", 10)
    run = upload(desk)
    desk.post(f"{run.get_absolute_url()}start/", form(run))
    (dead,) = imports.claim(1)
    assert imports.claim(1) == []
    ImportRun.objects.update(lease_until=timezone.now())
    (alive,) = imports.claim(1)
    imports.work(dead)
    assert not Ticket.objects.exists()
    imports.work(alive)
    assert Ticket.objects.count() == 30
    run.refresh_from_db()
    assert (run.stored, run.known) == (30, 0)


def test_one_that_is_stopped_in_the_middle_of_a_chunk_stores_none_of_it(desk: Client, lead: User) -> None:
    run = upload(desk)
    desk.post(f"{run.get_absolute_url()}start/", form(run))
    (claimed,) = imports.claim(1)
    imports.stop(run=run, by=lead)
    imports.work(Claimed(claimed.pk, claimed.claim))
    assert not Ticket.objects.exists()


def test_what_breaks_off_says_why_and_may_go_on(desk: Client) -> None:
    run = upload(desk, '[{"title": "A", "body": "x", "id": 1}, {"title": "B", "bo', "broken.json")
    desk.post(f"{run.get_absolute_url()}start/", form(run))
    work()
    run.refresh_from_db()
    assert (run.state, run.stored) == ("failed", 1)
    page = desk.get(run.get_absolute_url()).content.decode()
    assert "after 1 objects" in page and 'id="import-go-on"' in page


def test_the_same_file_is_not_imported_twice_at_once_into_one_source(desk: Client, lead: User) -> None:
    first, second = upload(desk), upload(desk)
    imports.start(run=first, by=lead)
    with pytest.raises(Conflict), transaction.atomic():
        imports.start(run=second, by=lead)
    work()
    imports.start(run=second, by=lead)
    work()
    second.refresh_from_db()
    assert (second.stored, second.known) == (0, 30)


def test_a_file_that_was_not_started_is_discarded_with_its_bytes(desk: Client) -> None:
    run = upload(desk)
    desk.post(f"{run.get_absolute_url()}removal/")
    assert not ImportRun.objects.exists() and LeftFile.objects.get().path == run.file


def test_an_empty_file_and_none_at_all_are_refused_with_a_sentence(desk: Client) -> None:
    assert "Choose a file first" in desk.post("/settings/imports/").content.decode()
    answer = desk.post("/settings/imports/", {"file": SimpleUploadedFile("a.csv", b"")})
    assert answer.status_code == 422 and "empty" in answer.content.decode()
    assert not ImportRun.objects.exists()


def test_only_leads_import(desk: Client, agent: User, auditor: User, client: Client) -> None:
    run = upload(desk)
    client.force_login(agent)
    assert client.get("/settings/imports/").status_code == 403
    assert client.get(run.get_absolute_url()).status_code == 403
    with pytest.raises(Forbidden):
        imports.start(run=run, by=agent)
    client.force_login(auditor)
    assert 'id="import-start"' not in client.get(run.get_absolute_url()).content.decode()
    assert client.post(f"{run.get_absolute_url()}start/", form(run)).status_code == 403


def test_a_long_forgotten_file_is_let_go(desk: Client) -> None:
    run = upload(desk)
    imports.forget()
    assert ImportRun.objects.exists()
    ImportRun.objects.filter(pk=run.pk).update(started_at=timezone.now() - imports.KEPT * 2)
    imports.forget()
    assert not ImportRun.objects.exists() and LeftFile.objects.count() == 1
