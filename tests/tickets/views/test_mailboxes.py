"""The pages of mailboxes and receipts, and a mail as it came."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client

from tests.imap_server import ImapServer, imap_server
from tests.mails import taken, written
from tickets.models import Draft, Mail, Mailbox, Source, Team, Ticket
from triage.models import User


@pytest.fixture
def server() -> Iterator[ImapServer]:
    with imap_server() as one:
        yield one


@pytest.fixture
def filled(server: ImapServer) -> dict[str, str]:
    return {
        "name": "Support mail", "address": "support@desk.example", "host": "127.0.0.1", "port": str(server.port),
        "security": "none", "username": server.user, "secret": server.password, "sign_in": "password",
        "folder": "INBOX", "afterwards": "seen", "move_to": "", "every": "60", "sender": "", "signature": "",
        "token_url": "", "client_id": "", "client_secret": "", "verifier": "",
    }  # fmt: skip


@pytest.fixture
def desk(client: Client, lead: User) -> Client:
    client.force_login(lead)
    return client


def test_a_mailbox_is_set_up_tested_read_and_switched_off(
    desk: Client, server: ImapServer, filled: dict[str, str]
) -> None:
    assert desk.get("/settings/mail/new/").status_code == 200
    saved = desk.post("/settings/mail/", filled)
    mailbox = Mailbox.objects.get()
    assert saved.headers["Location"] == f"/settings/mail/{mailbox.pk}/"
    tested = desk.post(f"/settings/mail/{mailbox.pk}/trial/", headers={"HX-Request": "true"}).content.decode()
    assert "It works: 0 mails in INBOX" in tested
    Mailbox.objects.update(error="The mail server said: no.", attempts=3)
    assert "The mail server said: no." in desk.get(f"/settings/mail/{mailbox.pk}/").content.decode()
    desk.post(f"/settings/mail/{mailbox.pk}/reading/")
    mailbox.refresh_from_db()
    assert mailbox.attempts == 0
    desk.post(f"/settings/mail/{mailbox.pk}/state/", {"active": "off"})
    mailbox.source.refresh_from_db()
    assert not mailbox.source.active
    assert "support@desk.example" in desk.get("/settings/mail/").content.decode()


def test_what_was_typed_stays_but_for_secrets_when_it_is_refused(desk: Client, filled: dict[str, str]) -> None:
    answer = desk.post("/settings/mail/", filled | {"port": "0", "host": "imap.acme.example"})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "imap.acme.example" in page and 'id="mailbox-port"' in page and 'aria-invalid="true"' in page
    assert "quoted" not in page
    assert Mailbox.objects.count() == 0


def test_no_secret_is_ever_shown_again(desk: Client, filled: dict[str, str]) -> None:
    desk.post("/settings/mail/", filled)
    assert "quoted" not in desk.get(f"/settings/mail/{Mailbox.objects.get().pk}/").content.decode()


@pytest.mark.parametrize("address", ["", "new/", "{}/", "{}/trial/", "{}/reading/", "{}/state/", "receipts/{}/"])
def test_agents_see_and_change_nothing_of_it(
    client: Client, agent: User, filled: dict[str, str], lead: User, address: str
) -> None:
    client.force_login(lead)
    client.post("/settings/mail/", filled)
    client.force_login(agent)
    where = f"/settings/mail/{address.format(Mailbox.objects.get().pk)}"
    assert client.post(where, filled).status_code in (403, 405)
    assert client.get(where).status_code in (403, 405)


def test_an_auditor_looks_and_changes_nothing(client: Client, auditor: User, filled: dict[str, str]) -> None:
    client.force_login(auditor)
    assert client.get("/settings/mail/").status_code == 200
    assert client.post("/settings/mail/", filled).status_code == 403


def test_receipts_are_switched_and_worded_for_each_source(desk: Client) -> None:
    form = Source.objects.get(kind="form")
    desk.post(f"/settings/mail/receipts/{form.pk}/", {"receipts": "on", "receipt_text": "We have it as {number}."})
    form.refresh_from_db()
    assert (form.receipts, form.receipt_text) == (True, "We have it as {number}.")
    desk.post(f"/settings/mail/receipts/{form.pk}/", {"receipt_text": ""})
    form.refresh_from_db()
    assert not form.receipts


def test_a_door_without_addresses_has_no_receipts(desk: Client) -> None:
    other = Source.objects.create(kind="file", name="An import")
    assert desk.post(f"/settings/mail/receipts/{other.pk}/", {"receipts": "on"}).status_code == 404


# The mail at the ticket


@pytest.fixture
def mail(taxonomy: None) -> Mail:
    source = Source.objects.create(kind="email", name="Support mail", sender="support@desk.example")
    found: Mail = taken(
        written(
            "The CSV export stops.\n\n-- \nKim Sample\nExample Ltd", Cc="lou@example.com",
            html='<p>The <b>CSV</b> export stops.</p><img src="http://spy.example/x"><script>alert(1)</script>',
        ),
        source=source,
    )  # fmt: skip
    return found


def test_the_page_of_a_ticket_shows_its_words_and_one_click_away_the_whole_mail(desk: Client, mail: Mail) -> None:
    page = desk.get(f"/tickets/{mail.ticket_id}/").content.decode()
    assert "The CSV export stops." in page and "Copies to lou@example.com" in page
    assert "Example Ltd" not in page
    whole = desk.get(f"/tickets/{mail.ticket_id}/mail/{mail.pk}/").content.decode()
    assert "<b>CSV</b>" in whole and "spy.example" not in whole and "alert(1)" not in whole
    assert "Kim Sample &lt;kim@example.com&gt;" in whole.replace("\n", "")


def test_who_answers_sees_who_else_gets_the_answer(desk: Client, mail: Mail) -> None:
    Ticket.objects.update(triage_state="triaged", status="in_review")
    Draft.objects.create(ticket=Ticket.objects.get(), text="Thank you.", answers=mail.message)
    assert "To kim@example.com, copies to lou@example.com" in desk.get(f"/tickets/{mail.ticket_id}/").content.decode()


def test_leads_are_told_on_every_page_of_a_mailbox_that_is_not_read(
    client: Client, agent: User, lead: User, filled: dict[str, str]
) -> None:
    client.force_login(lead)
    client.post("/settings/mail/", filled)
    Mailbox.objects.update(attempts=2, error="No answer.")
    assert "banner-mailbox" not in client.get("/tickets/").content.decode()
    Mailbox.objects.update(attempts=3)
    assert "Mail to support@desk.example is not read" in client.get("/tickets/").content.decode()
    client.force_login(agent)
    assert "banner-mailbox" not in client.get("/tickets/").content.decode()


def test_a_mail_is_seen_by_those_alone_who_see_its_ticket(client: Client, colleague: User, mail: Mail) -> None:
    Ticket.objects.update(team=Team.objects.get(key="software"))
    client.force_login(colleague)
    assert client.get(f"/tickets/{mail.ticket_id}/mail/{mail.pk}/").status_code == 404


def test_a_mail_is_not_shown_at_a_ticket_that_is_not_its_own(desk: Client, mail: Mail) -> None:
    other: Mail = taken(written(), source=mail.source)
    assert desk.get(f"/tickets/{other.ticket_id}/mail/{mail.pk}/").status_code == 404
