"""A reply that names what nobody gave: pointed out on the page and by the API, and sent after a second yes alone."""

from __future__ import annotations

import html
import re

import pytest
from django.test import Client
from django.utils import timezone

from tests.tickets.channels.conftest import ApiClient
from tests.tickets.conftest import MakeTicket, last_seen
from tickets.actions import drafts, intake, keys, replies
from tickets.actions.errors import Conflict, Flagged
from tickets.flagged import AROUND, flags_of, shown, stored
from tickets.models import Delivery, Draft, Message, SlaPolicy, Source, Suggestion, Ticket
from triage.models import User

EVIL = "https://evil.example/login"
REPLY = f"Thank you for the report.\nPlease sign in at {EVIL} and try again."
HTMX = {"HX-Request": "true"}


@pytest.fixture
def desk(client: Client, agent: User) -> Client:
    client.force_login(agent)
    return client


@pytest.fixture
def machine(agent: User) -> ApiClient:
    row, key = keys.create(name="shop", scopes=["read", "approve"], username=agent.username, source_name="API")
    return ApiClient(key, row)


def words(ticket: Ticket) -> list[str]:
    return [flag["words"] for flag in Draft.objects.get(ticket=ticket).flags]


def approval(ticket: Ticket, text: str = REPLY, **given: str | list[str]) -> dict[str, str | list[str]]:
    draft = Draft.objects.get(ticket=ticket)
    return {"text": text, "version": str(draft.version), "answers": str(last_seen(ticket)), **given}


# What is known


def test_a_link_of_the_conversation_is_known_and_one_of_a_comment_is_not(reviewed: Ticket, agent: User) -> None:
    assert [flag.words for flag in flags_of(reviewed, REPLY, None)] == [EVIL]
    Message.objects.create(
        ticket=reviewed, kind=Message.Kind.COMMENT, text=f"beware of {EVIL}", author=agent, created_at=timezone.now()
    )
    assert flags_of(reviewed, REPLY, None)
    intake.add_customer_message(ticket=reviewed, text=f"I was at {EVIL} today")
    assert flags_of(reviewed, REPLY, None) == ()


def test_a_cited_answer_gives_its_links_but_not_its_customers_addresses(
    reviewed: Ticket, make_ticket: MakeTicket
) -> None:
    other = make_ticket(title="Cannot sign in", text="I cannot.", requester_email="pat@example.com")
    text = "Open https://desk.example.org/help and write to pat@example.com."
    Message.objects.create(ticket=other, kind=Message.Kind.OUTBOUND, text=text, created_at=timezone.now())
    assert [flag.words for flag in flags_of(reviewed, text, reviewed.latest_suggestion)] == [
        "https://desk.example.org/help",
        "pat@example.com",
    ]
    cited = Suggestion(ticket=reviewed, citations=[{"ticket": other.number, "subject": "x", "similarity": 0.9}])
    assert [flag.words for flag in flags_of(reviewed, text, cited)] == ["pat@example.com"]


def test_the_door_and_the_target_of_the_desk_are_known(reviewed: Ticket, form: Source) -> None:
    text = "Write to help@desk.example.org. You can expect to hear from a person within 8 hours."
    SlaPolicy.objects.filter(priority="P2").update(response_minutes=540)
    assert [flag.words for flag in flags_of(reviewed, text, None)] == ["help@desk.example.org", "within 8 hours"]
    Source.objects.filter(pk=form.pk).update(signature="The desk, help@desk.example.org")
    SlaPolicy.objects.filter(priority="P2").update(response_minutes=480)
    assert flags_of(Ticket.objects.get(pk=reviewed.pk), text, None) == ()


def test_this_ticket_may_be_named_and_another_not(reviewed: Ticket) -> None:
    text = f"Your ticket #{reviewed.number} is open. See also #{reviewed.number + 1}."
    assert [flag.words for flag in flags_of(reviewed, text, None)] == [f"#{reviewed.number + 1}"]


def test_the_words_are_shown_with_what_stands_around_them_those_that_ask_first(reviewed: Ticket) -> None:
    text = f"We guarantee it.\n{'x' * 100} see {EVIL}, please.\nBye"
    promise, link = stored(flags_of(reviewed, text, None))
    first, second = shown([promise, link], text)
    assert (first.words, first.after, first.asks) == (EVIL, ", please.", True)
    assert first.before == f"\u2026{'x' * (AROUND - 5)} see "
    assert (second.words, second.asks) == ("guarantee", False)


# Kept with the draft


def test_flags_follow_the_text_as_it_is_edited_and_restored(reviewed: Ticket, agent: User) -> None:
    draft = drafts.save(ticket=reviewed, text=REPLY, version=1, by=agent)
    assert words(reviewed) == [EVIL]
    drafts.save(ticket=reviewed, text="Please sign in again.", version=draft.version, by=agent)
    assert words(reviewed) == []
    drafts.save(ticket=reviewed, text=REPLY, version=draft.version + 1, by=agent)
    drafts.restore(ticket=reviewed, by=agent)
    assert words(reviewed) == []


def test_a_reply_begun_from_nothing_has_its_flags_too(make_ticket: MakeTicket, lead: User) -> None:
    ticket = make_ticket()
    drafts.save(ticket=ticket, text=REPLY, version=0, by=lead)
    assert words(ticket) == [EVIL]


def test_what_cannot_be_seen_never_reaches_a_draft_or_the_customer(reviewed: Ticket, agent: User) -> None:
    hidden = "\u200b\u202e\U000e0041\ufeff"
    draft = drafts.save(ticket=reviewed, text=f"Thank{hidden} you.", version=1, by=agent)
    assert draft.text == "Thank you."
    sent = replies.approve(ticket=reviewed, text=f"Dear{hidden} you.", version=2, answers=last_seen(reviewed), by=agent)
    assert sent.message.text == "Dear you."


# Approving


def test_it_is_not_sent_without_a_yes_to_the_very_words(reviewed: Ticket, agent: User) -> None:
    seen = last_seen(reviewed)
    for accepted in (False, (), ["https://other.example"]):
        with pytest.raises(Flagged) as refused:
            replies.approve(ticket=reviewed, text=REPLY, version=1, answers=seen, by=agent, accept_flags=accepted)
        assert [flag.words for flag in refused.value.flags] == [EVIL]
    assert not Delivery.objects.exists() and Draft.objects.filter(ticket=reviewed).exists()
    sent = replies.approve(ticket=reviewed, text=REPLY, version=1, answers=seen, by=agent, accept_flags=[EVIL])
    assert (sent.message.text, sent.review.why) == (REPLY, f"Sent with {EVIL}")


def test_a_promise_is_sent_without_a_second_yes(reviewed: Ticket, agent: User) -> None:
    text = "We will refund you by Friday."
    sent = replies.approve(ticket=reviewed, text=text, version=1, answers=last_seen(reviewed), by=agent)
    assert (sent.message.text, sent.review.why) == (text, "")


def test_who_was_overtaken_is_told_that_and_not_of_flags(reviewed: Ticket, agent: User) -> None:
    with pytest.raises(Conflict) as refused:
        replies.approve(ticket=reviewed, text=REPLY, version=9, answers=last_seen(reviewed), by=agent)
    assert refused.value.code == "draft_changed"


def test_the_page_points_at_the_words_and_asks(desk: Client, agent: User, reviewed: Ticket) -> None:
    assert "accept_flags" not in desk.get(reviewed.get_absolute_url()).content.decode()
    drafts.save(ticket=reviewed, text=f"{REPLY} We guarantee it. <b>", version=1, by=agent)
    page = desk.get(reviewed.get_absolute_url()).content.decode()
    assert re.findall(r"<mark[^>]*>(.*?)</mark>", page) == [EVIL, html.escape("<b>"), "guarantee"]
    assert "stands neither in the conversation nor in an answer that helped before" in page
    assert "This may promise money or a date." in page
    assert page.count('name="accept_flags"') == page.count('id="draft-flags"') == 1


def test_a_promise_alone_is_pointed_out_without_a_box_to_tick(desk: Client, agent: User, reviewed: Ticket) -> None:
    drafts.save(ticket=reviewed, text="We guarantee it.", version=1, by=agent)
    page = desk.get(reviewed.get_absolute_url()).content.decode()
    assert "guarantee</mark>" in page and "accept_flags" not in page


def test_without_scripts_the_form_comes_back_with_the_text_and_the_box(desk: Client, reviewed: Ticket) -> None:
    address = f"/tickets/{reviewed.number}/approval/"
    answer = desk.post(address, approval(reviewed))
    page = answer.content.decode()
    assert answer.status_code == 409
    assert "Not sent" in page and f"{EVIL} and try again.</textarea>" in page
    assert page.count('name="accept_flags"') == 1
    flagged = [html.unescape(found) for found in re.findall(r'name="flagged" value="([^"]*)"', page)]
    assert desk.post(address, approval(reviewed, flagged=flagged)).status_code == 409
    assert desk.post(address, approval(reviewed, flagged=flagged, accept_flags="1")).status_code == 302
    assert Delivery.objects.get().message.text == REPLY


def test_a_yes_holds_for_what_was_shown_and_not_for_what_was_typed_after(desk: Client, reviewed: Ticket) -> None:
    address = f"/tickets/{reviewed.number}/approval/"
    changed = REPLY.replace("evil", "worse")
    answer = desk.post(address, approval(reviewed, changed, flagged=[EVIL], accept_flags="1"), headers=HTMX)
    assert answer.status_code == 409
    fragment = answer.content.decode()
    assert (
        'id="draft-flags"' in fragment
        and "hx-swap-oob" in fragment
        and "https://worse.example/login</mark>" in fragment
    )
    assert not Delivery.objects.exists()


def test_autosave_brings_the_flags_only_when_they_are_others(desk: Client, reviewed: Ticket) -> None:
    address = f"/tickets/{reviewed.number}/draft/"
    values = approval(reviewed, quiet="1")
    assert f"{EVIL}</mark>" in desk.post(address, values, headers=HTMX).content.decode()
    values |= {"text": f"{REPLY} Soon.", "version": "2", "flagged": [EVIL]}
    assert "draft-flags" not in desk.post(address, values, headers=HTMX).content.decode()
    values |= {"text": "Please try again.", "version": "3"}
    cleared = desk.post(address, values, headers=HTMX).content.decode()
    assert 'id="draft-flags"' in cleared and "<mark" not in cleared


def test_a_secret_of_several_lines_can_be_accepted_too(desk: Client, reviewed: Ticket) -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----"
    posted = key.replace("\n", "\r\n")  # as a browser sends it
    values = approval(reviewed, f"Here it is:\n{key}", flagged=[posted], accept_flags="1")
    assert desk.post(f"/tickets/{reviewed.number}/approval/", values).status_code == 302


def test_the_api_lists_the_flags_and_sends_once_they_are_accepted(
    machine: ApiClient, agent: User, reviewed: Ticket
) -> None:
    drafts.save(ticket=reviewed, text=f"{REPLY} We guarantee it.", version=1, by=agent)
    address = f"/tickets/{reviewed.number}"
    link, promise = {"kind": "link", "words": EVIL}, {"kind": "promise", "words": "guarantee"}
    assert machine.send("get", address).json()["draft"]["flags"] == [link, promise]
    for body in ({}, {"accept_flags": False}):
        refused = machine.send("post", f"{address}/approval", body)
        assert (refused.status_code, refused["Content-Type"]) == (409, "application/problem+json")
        told = refused.json()
        assert told["code"] == "flagged"
        assert told["flags"] == [link, promise]
    assert machine.send("post", f"{address}/approval", {"accept_flags": "yes"}).status_code == 422
    assert not Delivery.objects.exists()
    assert machine.send("post", f"{address}/approval", {"accept_flags": True}).status_code == 201
