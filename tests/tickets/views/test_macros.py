from __future__ import annotations

import re

import pytest
from django.test import Client

from tickets.models import Delivery, Draft, Macro, Ticket
from triage.models import User


@pytest.fixture
def macro(agent: User) -> Macro:
    return Macro.objects.create(
        name="Refund", text="Hello {{requester.first_name|there}}.", owner=agent, tags=["refund"]
    )


@pytest.fixture
def desk(client: Client, agent: User) -> Client:
    client.force_login(agent)
    return client


def test_a_macro_is_made_changed_retired_and_brought_back(desk: Client, agent: User) -> None:
    made = desk.post("/settings/macros/", {"name": "Refund", "text": "Sorry.", "scope": "own", "tags": "a, b"})
    assert made["Location"] == "/settings/macros/"
    macro = Macro.objects.get()
    assert (macro.owner, macro.tags) == (agent, ["a", "b"])
    assert "Refund" in desk.get("/settings/macros/").content.decode()
    desk.post(macro.get_absolute_url(), {"name": "Refund", "text": "We are sorry.", "scope": "software"})
    macro.refresh_from_db()
    assert (macro.text, str(macro.team)) == ("We are sorry.", "Software")
    desk.post(macro.get_absolute_url(), {"retire": "1"})
    assert "Bring back" in desk.get("/settings/macros/").content.decode()
    desk.post(macro.get_absolute_url(), {"restore": "1"})
    assert Macro.objects.get().active


def test_who_saves_a_macro_over_a_colleagues_change_is_told(desk: Client, macro: Macro) -> None:
    address = macro.get_absolute_url()
    found = re.search(r'name="mark" value="(\w+)"', desk.get(address).content.decode())
    assert found is not None
    both = {"name": macro.name, "scope": "own", "tags": "refund", "mark": found[1]}
    assert [desk.post(address, both | {"text": "Theirs."}).status_code for _ in range(2)] == [302, 302]
    refused = desk.post(address, both | {"text": "Mine."})
    assert refused.status_code == 422
    assert "Somebody changed this since you opened it" in refused.content.decode()
    assert ">Mine.</textarea>" in refused.content.decode()
    macro.refresh_from_db()
    assert macro.text == "Theirs."


def test_a_wrong_variable_keeps_what_was_typed_and_says_which(desk: Client) -> None:
    answer = desk.post("/settings/macros/", {"name": "Refund", "text": "Dear {{custommer}}", "scope": "own"})
    assert answer.status_code == 422
    page = answer.content.decode()
    assert "There is no variable “custommer”" in page
    assert "Dear {{custommer}}" in page


def test_the_preview_shows_both_ways_it_may_read(desk: Client) -> None:
    page = desk.post("/settings/macros/preview/", {"text": "Hello {{requester.first_name|there}}"}).content.decode()
    assert "Hello Kim" in page
    assert "Hello there" in page
    assert "<html" not in page


def test_a_macro_of_somebody_else_cannot_be_opened(
    client: Client, colleague: User, macro: Macro, reviewed: Ticket
) -> None:
    client.force_login(colleague)
    assert client.get(macro.get_absolute_url()).status_code == 404
    assert client.get(f"/tickets/{reviewed.number}/macros/").status_code == 404


def test_the_picker_finds_by_name_or_text_and_shows_it_filled_in(desk: Client, macro: Macro, reviewed: Ticket) -> None:
    address = f"/tickets/{reviewed.number}/macros/"
    found = desk.get(address, {"find": "refu"}, headers={"HX-Request": "true"}).content.decode()
    assert "Hello there." in found
    assert "<html" not in found
    assert "No macro holds" in desk.get(address, {"find": "zzz"}, headers={"HX-Request": "true"}).content.decode()


def test_without_javascript_it_is_chosen_on_a_page_and_put_into_the_draft(
    desk: Client, macro: Macro, reviewed: Ticket
) -> None:
    address = f"/tickets/{reviewed.number}/macros/"
    assert address in desk.get(reviewed.get_absolute_url()).content.decode()
    kept = desk.post(address, {"text": "Dear Kim,", "version": "1", "answers": ""})
    assert kept["Location"] == address
    assert f'name="put" value="{macro.pk}"' in desk.get(address).content.decode()
    assert desk.post(address, {"put": macro.pk})["Location"] == reviewed.get_absolute_url()
    assert Draft.objects.get().text == "Dear Kim,\n\nHello there."
    reviewed.refresh_from_db()
    assert reviewed.tags == ["refund"]
    assert not Delivery.objects.exists()


def test_put_in_by_the_browser_it_does_the_rest_and_leaves_the_editor_alone(
    desk: Client, macro: Macro, reviewed: Ticket
) -> None:
    answer = desk.post(
        f"/tickets/{reviewed.number}/macros/", {"used": macro.pk}, headers={"HX-Request": "true"}
    ).content.decode()
    reviewed.refresh_from_db()
    assert reviewed.tags == ["refund"]
    assert Draft.objects.get().text == "Thank you for the report."
    assert 'id="reply"' not in answer


def test_an_auditor_neither_makes_nor_uses_one(client: Client, auditor: User, reviewed: Ticket) -> None:
    Macro.objects.create(name="All", text="Hello", scope="everyone", tags=["x"])
    client.force_login(auditor)
    assert client.post("/settings/macros/", {"name": "x", "text": "y", "scope": "own"}).status_code == 403
    assert client.post(f"/tickets/{reviewed.number}/macros/", {"put": Macro.objects.get().pk}).status_code == 403
    reviewed.refresh_from_db()
    assert (reviewed.tags, Macro.objects.count()) == ([], 1)
