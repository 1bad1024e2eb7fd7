"""Merge, split, link and snooze at the page: shown, undone, and kept from whoever may not."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.tickets.conftest import MakeTicket
from tickets.actions import drafts, intake, linking, merging, splitting
from tickets.models import Link, Message, Source, Split, Team, Ticket
from triage.models import User

HTMX = {"HX-Request": "true"}


@pytest.fixture
def desk(client: Client, agent: User) -> Client:
    client.force_login(agent)
    return client


@pytest.fixture
def twin(make_ticket: MakeTicket) -> Ticket:
    return make_ticket(title="Export still fails", text="It stops after 1,000 rows.")


@pytest.fixture
def stranger(make_ticket: MakeTicket) -> Ticket:
    return make_ticket(title="CSV is cut", text="My table ends early.", requester_email="ola@example.net")


def _page(desk: Client, ticket: Ticket) -> str:
    return desk.get(f"/tickets/{ticket.number}/").content.decode()


def test_a_merge_is_found_by_number_or_words_done_and_undone(desk: Client, reviewed: Ticket, twin: Ticket) -> None:
    for typed in (str(reviewed.number), f"#{reviewed.number}", "export fails"):
        found = desk.get(f"/tickets/{twin.number}/merge/", {"q": typed}).content.decode()
        assert f'value="{reviewed.number}"' in found and "the same customer" in found
    answer = desk.post(f"/tickets/{twin.number}/merge/", {"into": str(reviewed.number)})
    assert answer["Location"] == f"/tickets/{reviewed.number}/"
    shown = _page(desk, reviewed)
    assert "It stops after 1,000 rows." in shown and f"from #{twin.number}</a>" in shown
    assert f'id="unmerge-{twin.number}"' in shown and "merged by Ada" in shown
    gone = _page(desk, twin)
    assert f'Merged into <a href="/tickets/{reviewed.number}/">#{reviewed.number}</a>' in gone
    assert 'id="reopen"' not in gone and "answer there" in gone
    answer = desk.post(f"/tickets/{twin.number}/merge/reversal/")
    assert answer["Location"] == f"/tickets/{twin.number}/"
    assert "from #" not in _page(desk, reviewed)


@pytest.mark.usefixtures("exact_search")
def test_the_likest_tickets_are_offered_without_a_word(desk: Client, reviewed: Ticket, twin: Ticket) -> None:
    Ticket.objects.update(embedding=[0.1] * 384)
    assert f'id="found-{reviewed.number}"' in desk.get(f"/tickets/{twin.number}/merge/").content.decode()
    assert f'id="found-{reviewed.number}"' in desk.get(f"/tickets/{twin.number}/links/").content.decode()


def test_the_number_of_a_merged_ticket_finds_its_root(
    desk: Client, agent: User, reviewed: Ticket, twin: Ticket, stranger: Ticket
) -> None:
    merging.merge(ticket=twin, into=reviewed, by=agent)
    found = desk.get(f"/tickets/{stranger.number}/merge/", {"q": str(twin.number)}).content.decode()
    assert f'id="found-{reviewed.number}"' in found and f'id="found-{twin.number}"' not in found


def test_messages_of_a_thread_stand_in_the_order_of_time(
    desk: Client, agent: User, reviewed: Ticket, twin: Ticket
) -> None:
    intake.add_customer_message(ticket=reviewed, text="Third")
    first = reviewed.messages.order_by("pk")[0]
    Message.objects.filter(pk=first.pk).update(created_at="2020-01-02T00:00Z")
    twin.messages.update(created_at="2020-01-01T00:00Z")
    merging.merge(ticket=twin, into=reviewed, by=agent)
    shown = _page(desk, reviewed)
    places = [shown.index(text) for text in ("It stops after 1,000 rows.</p>", "stops half way.</p>", "Third</p>")]
    assert places == sorted(places)


def test_another_customer_and_a_begun_reply_are_pointed_out(
    desk: Client, agent: User, reviewed: Ticket, stranger: Ticket
) -> None:
    drafts.save(ticket=stranger, text="Half written words", version=0, by=agent)
    merging.merge(ticket=stranger, into=reviewed, by=agent)
    shown = _page(desk, reviewed)
    assert "another customer, ola@example.net: a reply here does not reach them" in shown
    assert "Half written words" in shown


def test_a_customer_never_sees_the_words_of_another_one(
    client: Client, agent: User, reviewed: Ticket, twin: Ticket, stranger: Ticket
) -> None:
    Ticket.objects.update(source=Source.objects.create(name="Mail", kind="email"))
    for one in (twin, stranger):
        one.refresh_from_db()
        merging.merge(ticket=one, into=reviewed, by=agent)
    intake.add_customer_message(ticket=stranger, text="Late words of Ola")
    mine = client.get(reviewed.get_status_url()).content.decode()
    assert "1,000 rows" in mine and "My table" not in mine and "Late words" not in mine
    assert "1,000 rows" in client.get(twin.get_status_url()).content.decode()
    theirs = client.get(stranger.get_status_url()).content.decode()
    assert "Late words of Ola" in theirs and "half way" not in theirs and "together with another" in theirs


@pytest.mark.parametrize("form_is_root", [False, True])
def test_who_typed_anothers_address_into_the_form_sees_nothing_of_theirs_after_a_merge(
    client: Client, agent: User, reviewed: Ticket, twin: Ticket, form_is_root: bool
) -> None:
    assert twin.source.kind == "form" and twin.requester == reviewed.requester
    reviewed.source = Source.objects.create(name="Mail", kind="email")
    reviewed.save()
    one, other = (reviewed, twin) if form_is_root else (twin, reviewed)
    merging.merge(ticket=one, into=other, by=agent)
    shown = client.get(twin.get_status_url()).content.decode()
    assert "1,000 rows" in shown and "half way" not in shown
    assert "half way" in client.get(reviewed.get_status_url()).content.decode()


def test_chosen_messages_are_split_off_and_put_back(desk: Client, reviewed: Ticket) -> None:
    bill = intake.add_customer_message(ticket=reviewed, text="And my bill is wrong.")
    assert f'id="move-{bill.pk}"' in desk.get(f"/tickets/{reviewed.number}/split/").content.decode()
    answer = desk.post(f"/tickets/{reviewed.number}/split/", {"messages": str(bill.pk), "subject": "Bill"})
    done = Split.objects.get()
    assert answer["Location"] == f"/tickets/{done.new_id}/"
    shown = _page(desk, done.new)
    assert "This was split off" in shown and f"from #{reviewed.number}" in shown
    assert "1 message went from here to" in _page(desk, reviewed)
    desk.post(f"/tickets/{reviewed.number}/split/{done.pk}/reversal/")
    assert "And my bill is wrong." in _page(desk, reviewed)
    assert "Its messages are back there" in _page(desk, done.new)


def test_a_ticket_of_one_message_says_that_there_is_nothing_to_split(desk: Client, reviewed: Ticket) -> None:
    assert "Nothing to split" in desk.get(f"/tickets/{reviewed.number}/split/").content.decode()
    answer = desk.post(f"/tickets/{reviewed.number}/split/")
    assert answer.status_code == 422 and "at least one message" in answer.content.decode()


def test_links_are_shown_on_both_pages_and_removed_with_a_way_back(
    desk: Client, reviewed: Ticket, twin: Ticket
) -> None:
    desk.post(f"/tickets/{reviewed.number}/links/", {"other": f"#{twin.number}", "word": "blocks"})
    made = Link.objects.get()
    assert f"Blocks #{twin.number}" in _page(desk, reviewed)
    assert f"Blocked by #{reviewed.number}" in _page(desk, twin)
    answer = desk.post(f"/tickets/{twin.number}/links/{made.pk}/removal/", headers=HTMX).content.decode()
    assert not Link.objects.exists()
    assert 'name="word" value="blocked"' in answer and f'name="other" value="{reviewed.number}"' in answer


def test_links_to_tickets_out_of_sight_are_not_named(
    desk: Client, lead: User, reviewed: Ticket, stranger: Ticket
) -> None:
    linking.link(ticket=reviewed, other=stranger, word="related", by=lead)
    Ticket.objects.filter(pk=stranger.pk).update(team=Team.objects.get(key="billing"))
    shown = _page(desk, reviewed)
    assert "CSV is cut" not in shown and f"#{stranger.number}" not in shown


@pytest.mark.parametrize("name", ["merge", "links"])
def test_a_ticket_of_another_team_is_neither_found_nor_taken(
    desk: Client, reviewed: Ticket, stranger: Ticket, name: str
) -> None:
    Ticket.objects.filter(pk=stranger.pk).update(team=Team.objects.get(key="billing"))
    address = f"/tickets/{reviewed.number}/{name}/"
    assert "CSV is cut" not in desk.get(address, {"q": "CSV"}).content.decode()
    assert "CSV is cut" not in desk.get(address, {"q": str(stranger.number)}).content.decode()
    for given in (str(stranger.number), "999999", "x", "", "9" * 40):
        answer = desk.post(address, {"into": given, "other": given, "word": "related"})
        assert answer.status_code == 422 and "Choose a ticket that you can see" in answer.content.decode()
    assert not Ticket.objects.filter(merged_into__isnull=False).exists() and not Link.objects.exists()


PAGES = ("merge/", "split/", "links/")
UNDOING = ("merge/reversal/", "split/{split}/reversal/", "links/{link}/removal/", "snooze/")
POSTS = (*PAGES, *UNDOING, "comments/{comment}/")


@pytest.fixture
def addresses(reviewed: Ticket, twin: Ticket, stranger: Ticket, lead: User) -> dict[str, str]:
    """Each address of `twin`, which was split and linked."""
    second = intake.add_customer_message(ticket=twin, text="Another thing")
    comment = Message.objects.create(ticket=twin, kind="comment", text="Hm", created_at=second.created_at, author=lead)
    split = splitting.split(ticket=twin, messages=[second.pk], by=lead)
    link = linking.link(ticket=twin, other=reviewed, word="related", by=lead)
    keys = {"split": split.pk, "link": link.pk, "comment": comment.pk}
    return {one: f"/tickets/{twin.number}/{one.format(**keys)}" for one in POSTS}


def test_an_auditor_changes_nothing(
    client: Client, auditor: User, reviewed: Ticket, twin: Ticket, addresses: dict[str, str]
) -> None:
    client.force_login(auditor)
    given = {
        "into": str(reviewed.number),
        "other": str(reviewed.number),
        "word": "blocks",
        "until": "week",
        "text": "x",
    }
    for name, address in addresses.items():
        assert client.post(address, given).status_code in (403, 422), name
        if name in PAGES:
            assert client.get(address).status_code == 403, name
    twin.refresh_from_db()
    assert (twin.merged_into, twin.snoozed_until, Link.objects.count()) == (None, None, 1)
    shown = _page(client, twin)
    for part in ('id="more"', 'id="unsplit-', 'id="unlink-', 'id="edit-'):
        assert part not in shown


def test_others_find_no_such_ticket_and_visitors_the_sign_in(
    client: Client, colleague: User, outsider: User, twin: Ticket, addresses: dict[str, str]
) -> None:
    Ticket.objects.filter(pk=twin.pk).update(team=Team.objects.get(key="software"))
    for address in addresses.values():
        assert client.post(address)["Location"].startswith("/sign-in/")
    for person in (colleague, outsider):
        client.force_login(person)
        for name, address in addresses.items():
            assert client.post(address).status_code == 404, name
            if name in PAGES:
                assert client.get(address).status_code == 404, name


@pytest.mark.parametrize("name", UNDOING)
def test_nothing_is_undone_or_put_off_by_a_get(desk: Client, addresses: dict[str, str], name: str) -> None:
    assert desk.get(addresses[name]).status_code == 405


def test_what_belongs_to_another_ticket_is_not_found_here(
    desk: Client, reviewed: Ticket, addresses: dict[str, str]
) -> None:
    split, elsewhere = Split.objects.get(), reviewed.number
    assert desk.post(f"/tickets/{elsewhere}/split/{split.pk}/reversal/").status_code == 404
    assert desk.post(f"/tickets/{split.new_id}/links/{Link.objects.get().pk}/removal/").status_code == 404
