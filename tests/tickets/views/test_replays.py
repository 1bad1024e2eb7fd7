"""The pages of replays: who may, what they begin, what they show."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from tests.tickets.conftest import MakeTicket
from tests.tickets.replaying import drain, model_server
from tickets import tasks
from tickets.actions import replay, review
from tickets.models import Comparison, Replay, ReplayTicket, Status, Ticket
from tickets.reader import Reader
from tickets.views import replays
from triage.models import Artifact, User
from triage.providers.fake_batches import FakeBatchesAPI


@pytest.fixture
def desk(client: Client, lead: User) -> Client:
    client.force_login(lead)
    return client


@pytest.fixture
def server(settings: Settings, db: None) -> Iterator[FakeBatchesAPI]:
    with model_server(settings) as fake:
        yield fake


def begun(**fields: Any) -> Replay:
    """A comparison with one ticket, read."""
    return Replay.objects.create(**{"kind": "compare", "chosen": "all tickets", "engine": "rules", **fields})


def compared(ticket: Ticket, made: Replay, **fields: Any) -> Comparison:
    row, _ = ReplayTicket.objects.get_or_create(
        replay=made, ticket=ticket, defaults={"state": "done", "settled_at": timezone.now(), "cost": Decimal(0)}
    )
    values = {"field": "category", "live": "bug", "other": "billing", "agrees": False, **fields}
    return Comparison.objects.create(row=row, **values)


@pytest.mark.parametrize("who", ["agent", "auditor", "outsider"])
def test_nobody_but_leads_and_admins_begins_one_and_auditors_look(
    client: Client, who: str, request: Any, reviewed: Ticket
) -> None:
    made = begun()
    client.force_login(request.getfixturevalue(who))
    for address in ("/replays/", "/replays/new/", made.get_absolute_url()):
        assert client.get(address).status_code == (200 if who == "auditor" else 403), address
    for address in ("/replays/", f"{made.get_absolute_url()}cancellation/", f"{made.get_absolute_url()}switch/"):
        assert client.post(address, {"kind": "store"}).status_code == 403, address
    assert Replay.objects.get().is_running
    if who != "outsider":
        assert "Read these again" not in client.get("/tickets/").content.decode()


def test_without_a_session_it_leads_to_the_sign_in(client: Client, db: None) -> None:
    for address in ("/replays/", "/replays/new/", "/replays/1/"):
        assert client.get(address)["Location"].startswith("/sign-in/")


def test_the_queue_offers_to_read_what_it_shows(desk: Client, reviewed: Ticket) -> None:
    shown = desk.get("/tickets/?team=software").content.decode()
    assert '/replays/new/?team=software&amp;kind=store"' in shown
    assert "Read these again" not in desk.get("/tickets/?team=billing").content.decode(), "there is nothing to read"


def test_the_form_counts_what_the_queue_showed_and_says_what_it_costs(
    desk: Client, reviewed: Ticket, make_ticket: MakeTicket
) -> None:
    make_ticket(title="Of another team")
    shown = desk.get("/replays/new/?kind=store&team=software").content.decode()
    assert "<strong>1 ticket</strong>: team software." in shown
    assert "no model is asked" in shown
    assert 'name="team" value="software"' in shown
    fragment = desk.get("/replays/new/?kind=store", headers={"HX-Request": "true", "HX-Target": "estimate"})
    assert "2 tickets" in fragment.content.decode() and "<form" not in fragment.content.decode()


def test_it_reads_again_what_the_filters_name_with_the_engine_chosen(desk: Client, reviewed: Ticket) -> None:
    answer = desk.post("/replays/", {"kind": "store", "team": "software", "engine": "rules"})
    made = Replay.objects.get()
    assert answer["Location"] == made.get_absolute_url()
    assert (made.kind, made.engine, made.chosen) == ("store", "rules", "team software")
    reviewed.refresh_from_db()
    assert (reviewed.triage_state, reviewed.read_with) == ("submitted", "rules")


def test_many_are_read_only_once_a_person_has_said_so(
    desk: Client, make_ticket: MakeTicket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickets.estimate.MANY", 1)
    for number in range(2):
        make_ticket(title=f"Ticket {number}")
    Ticket.objects.update(triage_state="failed")
    refused = desk.post("/replays/", {"kind": "store"})
    assert refused.status_code == 422 and "Yes, all 2" in refused.content.decode()
    assert not Replay.objects.exists()
    assert desk.post("/replays/", {"kind": "store", "confirmed": "on"}).status_code == 302
    assert Ticket.objects.filter(triage_state="submitted").count() == 2


def test_dear_ones_need_the_same_word(desk: Client, reviewed: Ticket, server: FakeBatchesAPI, monkeypatch: Any) -> None:
    monkeypatch.setattr("tickets.estimate.DEAR", Decimal("0.0000001"))
    assert desk.post("/replays/", {"kind": "store", "engine": "model"}).status_code == 422
    assert not Replay.objects.exists()


def test_what_an_action_refuses_is_said_at_its_place(desk: Client, reviewed: Ticket, server: FakeBatchesAPI) -> None:
    answer = desk.post("/replays/", {"kind": "compare", "engine": "model", "prompt": "Sort it.", "confirmed": "on"})
    assert answer.status_code == 422
    shown = answer.content.decode()
    assert "It lacks $categories and $teams" in shown
    assert "Sort it.</textarea>" in shown, "what was typed is there"


@pytest.mark.parametrize("query", ["kind=x&engine=y&days=z&limit=-4&fit=%00&share=999999999999", "limit=%C2%B2&days=7"])
def test_nonsense_in_the_address_breaks_nothing(desk: Client, query: str) -> None:
    assert desk.get(f"/replays/new/?{query}").status_code == 200
    made = begun()
    for asked in ("field=x", "page=x", "page=99999", "field=category&page=-1"):
        assert desk.get(f"{made.get_absolute_url()}?{asked}").status_code == 200


def test_a_comparison_of_last_month_looks_at_ended_tickets_too(desk: Client, reviewed: Ticket) -> None:
    reviewed.set_status(Status.RESOLVED)
    reviewed.save()
    shown = desk.get("/replays/new/?kind=compare").content.decode()
    assert "<strong>1 ticket</strong>: the last 30 days, the newest 1,000." in shown
    assert "<strong>0 tickets</strong>" in desk.get("/replays/new/?kind=store").content.decode()


def test_a_shadow_is_begun_and_stopped_at_the_page(desk: Client) -> None:
    desk.post("/replays/", {"kind": "shadow", "engine": "rules", "share": "25", "calls_a_day": "40"})
    made = Replay.objects.get()
    assert (made.kind, made.share, made.calls_a_day, made.chosen) == ("shadow", 25, 40, "new tickets")
    shown = desk.get("/replays/").content.decode()
    assert "25 % of new tickets" in shown and "40 calls a day" in shown
    again = desk.post("/replays/", {"kind": "shadow", "engine": "local"})
    assert again.status_code == 422 and "A shadow runs already" in again.content.decode()
    desk.post(f"{made.get_absolute_url()}cancellation/")
    assert not Replay.objects.get().is_running


def test_the_page_says_how_it_stands_and_asks_for_itself_while_it_runs(desk: Client, reviewed: Ticket) -> None:
    made = begun()
    compared(reviewed, made)
    fragment = {"HX-Request": "true", "HX-Target": "standing"}
    standing = desk.get(made.get_absolute_url(), headers=fragment)
    assert "1 of 1 read" in standing.content.decode() and "HX-Refresh" not in standing
    assert 'hx-trigger="every 3s"' in standing.content.decode()
    replay.cancel(replay=made, by=None)
    ended = desk.get(made.get_absolute_url(), headers=fragment)
    assert ended["HX-Refresh"] == "true" and "every 3s" not in ended.content.decode()


def test_it_shows_agreement_accuracy_and_bands_by_field(
    desk: Client, reviewed: Ticket, make_ticket: MakeTicket
) -> None:
    made, now = begun(), timezone.now()
    decided = {"decided_at": now, "held": "billing", "live_right": False, "other_right": True}
    compared(reviewed, made, **decided, live_band="suggest", other_band="apply")
    compared(make_ticket(title="Second"), made, other="bug", agrees=True, live_band="apply", other_band="apply")
    shown = " ".join(desk.get(made.get_absolute_url()).content.decode().split())
    assert "50 %" in shown, "agreement"
    assert "0 in force, 1 other" in shown
    assert "21 to 100 %" in shown, "one of one, with its interval"
    assert shown.count("100 %") >= 2, "right by the other; applied by the other"


def test_what_differs_is_listed_with_links_and_can_be_narrowed_to_a_field(
    desk: Client, reviewed: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = begun()
    compared(reviewed, made)
    compared(reviewed, made, field="priority", live="P3", other="P1")
    compared(reviewed, made, field="team", live="software", other="software", agrees=True)
    everything = desk.get(made.get_absolute_url()).content.decode()
    assert "2 differences" in everything and f'href="/tickets/{reviewed.number}/"' in everything
    narrowed = desk.get(f"{made.get_absolute_url()}?field=priority").content.decode()
    assert "Priority: 1 difference" in narrowed and "P1" in narrowed
    monkeypatch.setattr(replays, "PAGE", 1)
    assert 'rel="next"' in desk.get(made.get_absolute_url()).content.decode()


def test_a_customers_words_are_escaped(desk: Client, make_ticket: MakeTicket) -> None:
    made = begun()
    compared(make_ticket(title="<script>alert(1)</script>"), made, other="<img src=x>")
    shown = desk.get(made.get_absolute_url()).content.decode()
    assert "<script>alert" not in shown and "<img" not in shown


def test_a_fit_is_put_in_force_from_its_comparison(desk: Client, reviewed: Ticket) -> None:
    live = Artifact.objects.create(version="a" * 16, payload=b"x", live=True)
    other = Artifact.objects.create(version="b" * 16, payload=b"x")
    made = begun(engine="local", fit=other, fit_version=other.version)
    compared(reviewed, made)
    assert "Switch to this fit" in desk.get(made.get_absolute_url()).content.decode()
    desk.post(f"{made.get_absolute_url()}switch/")
    live.refresh_from_db()
    other.refresh_from_db()
    assert (live.live, other.live) == (False, True)
    assert "Switch to this fit" not in desk.get(made.get_absolute_url()).content.decode()


def test_of_a_model_or_prompt_it_says_what_to_change(desk: Client, reviewed: Ticket) -> None:
    made = begun(engine="model", model="claude-sonnet-5", prompt="Sort $categories $teams")
    compared(reviewed, made)
    shown = desk.get(made.get_absolute_url()).content.decode()
    assert "TRIAGE_MODEL=claude-sonnet-5" in shown and "triage/prompts/classify.md" in shown
    assert desk.post(f"{made.get_absolute_url()}switch/", follow=True).status_code == 200


def test_what_was_read_again_shows_what_became_different(desk: Client, reviewed: Ticket) -> None:
    made = begun(kind="store")
    ReplayTicket.objects.create(
        replay=made, ticket=reviewed, state="done", held={"team": "billing", "priority": None}, notes=["A note."]
    )
    shown = " ".join(desk.get(made.get_absolute_url()).content.decode().split())
    assert "<td>Billing and accounts</td><td>Software</td>" in shown
    assert "A note." in shown


@pytest.mark.parametrize(
    ("fields", "title"),
    [
        ({"engine": "rules"}, "Rules beside what is in force"),
        ({"engine": "local", "kind": "store"}, "Read again: local engine"),
        ({"engine": "model", "kind": "store", "batch": True}, "Read again: language model, in batches"),
    ],
)
def test_its_title_says_what_is_done(desk: Client, reviewed: Ticket, fields: dict[str, Any], title: str) -> None:
    made = begun(**fields)
    assert f"<h1>{title}</h1>" in desk.get(made.get_absolute_url()).content.decode()


def test_an_empty_list_says_what_to_do(desk: Client) -> None:
    assert "Nothing was read again yet" in desk.get("/replays/").content.decode()


@pytest.mark.django_db(transaction=True)
def test_from_the_queue_to_the_figures(client: Client, lead: User, make_ticket: MakeTicket) -> None:
    """The whole way, with real engines: three tickets read, corrected, compared, looked at."""
    client.force_login(lead)
    made = [make_ticket(title=title) for title in ("I cannot sign in", "Wrong invoice", "Export fails")]
    asyncio.run(tasks.Drain("interactive").run())
    review.correct(ticket=made[0], changes={"category": "documentation"}, by=lead)
    client.post("/replays/", {"kind": "compare", "engine": "rules", "days": "30"})
    drain()
    shown = client.get(Replay.objects.get().get_absolute_url()).content.decode()
    assert "3 of 3 read" in shown and "By field" in shown and "Documentation" not in shown
    assert Reader.of(Replay.objects.get()) == Reader("rules")
    asyncio.run(sync_to_async(connections.close_all)())
