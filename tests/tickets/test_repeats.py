"""The same text again, through the whole reading, against a model that counts what it is asked."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections
from django.utils import timezone
from pytest_django import Settings

from tests.tickets.conftest import MakeTicket
from tests.triage.conftest import Model
from tests.triage.engines.test_model import good
from tickets import once, tasks
from tickets.actions import intake, review, triage
from tickets.models import Category, Draft, Suggestion, Ticket
from triage.engines.weights import Weights, from_bytes
from triage.learning import live
from triage.models import Artifact, User
from triage.pipeline import read

pytestmark = pytest.mark.django_db(transaction=True)
REPLY = "Hello Kim Doe,\n\nThank you for the report. We look into the export."


@pytest.fixture(autouse=True)
def no_connection_left() -> Iterator[None]:
    yield
    asyncio.run(sync_to_async(connections.close_all)())


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    one = Model({"classify": [json.dumps(good(summary="Kim Doe cannot sign in."))], "draft": [REPLY]})
    monkeypatch.setattr("triage.calls.ask", one)
    monkeypatch.setattr("triage.calls.configured", lambda: True)
    return one


def _read(ticket: Ticket) -> Suggestion:
    asyncio.run(tasks.Drain("interactive").run())
    suggestion = Ticket.objects.get(pk=ticket.pk).latest_suggestion
    assert suggestion is not None
    return suggestion


@pytest.fixture
def first(make_ticket: MakeTicket, model: Model) -> Ticket:
    ticket = make_ticket(requester_name="Kim Doe")
    _read(ticket)
    model.questions.clear()
    return ticket


def _values(suggestion: Suggestion) -> dict[str, Any]:
    return {name: reading["value"] for name, reading in suggestion.fields.items()}


def test_the_same_text_is_not_read_twice(first: Ticket, make_ticket: MakeTicket, model: Model) -> None:
    again = make_ticket(title="export  FAILS", requester_name="Kim Doe")
    suggestion = _read(again)
    assert model.operations == []
    assert suggestion.repeat_of == first.pk
    before = first.latest_suggestion
    assert before is not None
    assert _values(suggestion) == _values(before)
    assert Draft.objects.get(ticket=again).text == Draft.objects.get(ticket=first).text


def test_of_the_same_text_in_two_tickets_at_once_one_is_asked_about(make_ticket: MakeTicket, model: Model) -> None:
    tickets = [make_ticket(requester_name="Kim Doe") for _ in range(3)]
    asyncio.run(tasks.Drain("interactive").run())
    assert sorted(model.operations) == ["classify", "draft"]
    repeats_of = {ticket.latest_suggestion.repeat_of for ticket in Ticket.objects.all() if ticket.latest_suggestion}
    assert len(repeats_of) == 2 and None in repeats_of and repeats_of - {None} <= {one.pk for one in tickets}
    assert not once._in_hand


def test_where_the_first_of_the_same_text_could_not_be_read_the_others_are(
    make_ticket: MakeTicket, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    tickets = [make_ticket(requester_name="Kim Doe") for _ in range(3)]
    broken = iter([True])

    async def breaks_once(*given: Any) -> Any:
        if next(broken, False):
            await asyncio.sleep(0.2)
            raise RuntimeError("a test")
        return await read(*given)

    monkeypatch.setattr("tickets.actions.triage.read", breaks_once)
    asyncio.run(tasks.Drain("interactive").run())
    asyncio.run(tasks.Drain("interactive").run())
    read_ones = Ticket.objects.filter(pk__in=[one.pk for one in tickets], triage_state="triaged")
    assert read_ones.count() == 3 and not once._in_hand


@pytest.fixture
def another_process() -> Iterator[Any]:
    """A session of its own, as another process has one."""
    session = connection.copy()
    try:
        with session.cursor() as cursor:
            yield cursor
    finally:
        session.close()


LOCK, UNLOCK = (f"SELECT pg_{word}(hashtextextended(%s, 0))" for word in ("try_advisory_lock", "advisory_unlock"))


def test_of_the_same_text_in_two_processes_at_once_one_is_asked_about(
    first: Ticket,
    make_ticket: MakeTicket,
    model: Model,
    another_process: Any,
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
) -> None:
    looked: list[bool] = []
    take = once._lock

    def lock(basis: str) -> bool:
        looked.append(take(basis))
        return looked[-1]

    monkeypatch.setattr(once, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(once, "_lock", lock)
    suggestion = first.latest_suggestion
    assert suggestion is not None
    settings.TRIAGE_REUSE_DAYS = 0  # as if it were not told yet
    another_process.execute(LOCK, [suggestion.basis])
    again = make_ticket(requester_name="Kim Doe")
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(asyncio.run, tasks.Drain("interactive").run())
        while len(looked) < 5:
            assert not reading.done()
            time.sleep(0.01)
        assert model.operations == []
        settings.TRIAGE_REUSE_DAYS = 7
        another_process.execute(UNLOCK, [suggestion.basis])
    reading.result()
    assert Suggestion.objects.get(ticket=again).repeat_of == first.pk
    assert model.operations == [] and looked[-1]


def test_who_waited_for_another_process_in_vain_asks_after_all(
    first: Ticket, make_ticket: MakeTicket, model: Model, another_process: Any, settings: Settings
) -> None:
    suggestion = first.latest_suggestion
    assert suggestion is not None
    settings.TRIAGE_REUSE_DAYS, settings.TRIAGE_MODEL_TIMEOUT = 0, 0.1
    another_process.execute(LOCK, [suggestion.basis])
    assert _read(make_ticket(requester_name="Kim Doe")).repeat_of is None
    assert model.operations == ["classify", "draft"]


def test_a_text_is_let_go_when_it_has_been_read(first: Ticket, another_process: Any) -> None:
    suggestion = first.latest_suggestion
    assert suggestion is not None and suggestion.basis
    another_process.execute(LOCK, [suggestion.basis])
    assert another_process.fetchone() == (True,)


def test_a_text_that_no_model_is_asked_about_is_not_locked(
    make_ticket: MakeTicket, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked: list[str] = []
    monkeypatch.setattr(once, "_lock", locked.append)
    assert _read(make_ticket()).basis and not locked


def test_the_model_that_read_it_is_kept_with_the_result(first: Ticket) -> None:
    kept = first.latest_suggestion
    assert kept is not None
    assert (kept.model, kept.draft_engine, bool(kept.prompt_version)) == ("claude-haiku-5-5", "model", True)


def test_another_text_is_read(first: Ticket, make_ticket: MakeTicket, model: Model) -> None:
    assert _read(make_ticket(text="The CSV export stops at the end.")).repeat_of is None
    assert model.operations == ["classify", "draft"]


def test_what_a_person_corrected_is_what_is_suggested_the_next_time(
    first: Ticket, make_ticket: MakeTicket, model: Model, lead: User
) -> None:
    review.correct(ticket=first, changes={"category": "bug", "team": "software"}, by=lead)
    again = make_ticket()
    suggestion = _read(again)
    assert model.operations == []
    corrected = suggestion.fields["category"]
    assert (corrected["value"], corrected["band"], corrected["because"]) == ("bug", "suggest", [first.pk])
    assert corrected["reason"] == "A person decided so on the same text."
    assert suggestion.fields["priority"]["value"] == "P2"
    assert suggestion.draft_engine == "template"  # the model's answered another category
    again.refresh_from_db()
    assert (again.value_of("team"), again.decided_by_person("team")) == ("software", False)


def test_a_person_who_decides_later_is_heeded_by_the_next_repeat(
    first: Ticket, make_ticket: MakeTicket, lead: User
) -> None:
    second = make_ticket()
    _read(second)
    review.correct(ticket=second, changes={"category": "billing"}, by=lead)
    review.correct(ticket=first, changes={"category": "account"}, by=lead)
    assert _values(_read(make_ticket()))["category"] == "account"


def test_it_serves_for_as_many_days_as_the_setting_says(
    first: Ticket, make_ticket: MakeTicket, settings: Settings
) -> None:
    _aged(days=6.9)
    assert _read(make_ticket()).repeat_of == first.pk
    _aged(days=0.2)
    assert _read(make_ticket()).repeat_of is None  # the copy in between does not lengthen its life
    settings.TRIAGE_REUSE_DAYS = 0
    assert _read(make_ticket()).repeat_of is None


def _aged(days: float) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE tickets_suggestion DISABLE TRIGGER USER")
        cursor.execute("UPDATE tickets_suggestion SET created_at = created_at - %s * interval '1 day'", [days])
        cursor.execute("ALTER TABLE tickets_suggestion ENABLE TRIGGER USER")


@pytest.mark.parametrize("what", ["a label", "the model", "the keywords", "the fit", "the priority the writer chose"])
def test_another_state_of_the_desk_reads_anew(
    what: str, first: Ticket, make_ticket: MakeTicket, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {}
    if what == "a label":
        Category.objects.filter(key="bug").update(description="Something broke.")
    elif what == "the model":
        settings.TRIAGE_MODEL = "claude-sonnet-5-5"
    elif what == "the keywords":
        monkeypatch.setattr("tickets.repeats._rules_version", lambda: "other")
    elif what == "the fit":
        monkeypatch.setattr("triage.engines.local.LocalEngine.version", "other")
    else:
        given = {"priority": "P4"}
    assert _read(make_ticket(**given)).repeat_of is None


def test_what_the_audit_stopped_is_not_applied_through_a_repeat(
    make_ticket: MakeTicket, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def applying(payload: bytes) -> Weights:
        weights = from_bytes(payload)
        weights.heads = tuple(replace(head, apply_from=0.99) for head in weights.heads)
        return weights

    monkeypatch.setattr(live, "from_bytes", applying)
    monkeypatch.setattr(live, "LOOK_EVERY", 0.0)
    monkeypatch.setattr(live, "_loaded", None)
    first = make_ticket()
    _read(first)
    assert _read(make_ticket()).repeat_of == first.pk
    Artifact.objects.filter(live=True).update(stopped={"team": {"right": 16, "seen": 20}})
    assert _read(make_ticket()).repeat_of is None


def test_a_reading_that_the_model_did_not_answer_is_not_taken_over(
    make_ticket: MakeTicket, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.answers["classify"] = model.answers["repair"] = ["no"]
    _read(make_ticket())
    model.answers["classify"] = [json.dumps(good())]
    assert _read(make_ticket()).repeat_of is None


def test_who_has_a_ticket_read_again_gets_a_new_reading(first: Ticket, make_ticket: MakeTicket, model: Model) -> None:
    again = make_ticket()
    _read(again)
    triage.submit_again(tickets=Ticket.objects.filter(pk=again.pk))
    assert _read(again).repeat_of is None
    assert model.operations == ["classify", "draft"]


def test_a_ticket_that_went_on_is_another_text(first: Ticket, make_ticket: MakeTicket) -> None:
    again = make_ticket()
    _read(again)
    intake.add_customer_message(ticket=again, text="It happens in Firefox, too.")
    assert _read(again).repeat_of is None


def test_the_draft_for_another_customer_names_the_first_nowhere(
    first: Ticket, make_ticket: MakeTicket, model: Model
) -> None:
    other = make_ticket(requester_email="lou@example.net", requester_name="Lou Roe")
    suggestion = _read(other)
    assert model.operations == []
    assert suggestion.draft_engine == "model"
    assert suggestion.draft.startswith("Hello Lou Roe,")
    assert "Kim" not in json.dumps([suggestion.draft, suggestion.fields])


def test_the_draft_for_another_customer_greets_in_the_language_it_is_written_in(
    make_ticket: MakeTicket, model: Model
) -> None:
    model.answers["draft"] = ["Guten Tag Kim Doe,\n\nvielen Dank für Ihre Nachricht. Wir sehen uns den Export an."]
    german = {"title": "Export bricht ab", "text": "Der Export der Tabelle bricht jedes Mal nach der Hälfte ab."}
    _read(make_ticket(**german, requester_name="Kim Doe"))
    suggestion = _read(make_ticket(**german, requester_email="lou@example.net", requester_name="Lou Roe"))
    assert suggestion.draft.startswith("Guten Tag Lou Roe,\n\nvielen Dank")


@pytest.mark.parametrize(
    "reply",
    [
        "Hello Kim Doe,\n\nWe will call you at +44 20 7946 0958 about the export.",
        "Hello,\n\nThank you, Kim, for the report about the export.",
        "Hello,\n\nWe have written to kim@example.com about the export.",
    ],
)
def test_a_draft_that_holds_anything_of_the_first_customer_is_not_shown_to_another(
    reply: str, make_ticket: MakeTicket, model: Model
) -> None:
    model.answers["draft"] = [reply]
    _read(make_ticket(requester_name="Kim Doe"))
    suggestion = _read(make_ticket(requester_email="lou@example.net"))
    assert suggestion.repeat_of
    assert suggestion.draft_engine == "template"
    assert "Kim" not in suggestion.draft and "7946" not in suggestion.draft


def test_words_that_cleaning_leaves_out_keep_a_draft_from_another_customer(
    make_ticket: MakeTicket, model: Model
) -> None:
    text = "The CSV export stops half way."
    _read(make_ticket(text=f"{text}\n\n-- \nAcme Falcon Works, Project Bluebird"))
    suggestion = _read(make_ticket(text=text, requester_email="lou@example.net"))
    assert suggestion.repeat_of
    assert suggestion.draft_engine == "template"


def test_the_page_names_the_first_ticket_to_who_may_see_it(
    first: Ticket, make_ticket: MakeTicket, client: Any, agent: User, lead: User
) -> None:
    again = make_ticket()
    _read(again)
    review.correct(ticket=again, changes={"team": "software"}, by=lead)
    client.force_login(agent)  # of the software team; the first ticket is with security
    shown = client.get(again.get_absolute_url()).content.decode()
    assert f"/tickets/{first.number}/" not in shown
    assert "another team" in shown
    client.force_login(lead)
    assert (
        f'The same text as <a href="/tickets/{first.number}/">' in client.get(again.get_absolute_url()).content.decode()
    )


def test_similar_tickets_are_kept_with_the_reading(first: Ticket, make_ticket: MakeTicket) -> None:
    assert _read(make_ticket(title="Exports fail")).similar[0]["number"] == first.pk
    assert timezone.now() - Suggestion.objects.latest("pk").created_at < timedelta(minutes=5)
