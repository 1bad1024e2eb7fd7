"""A conversation by e-mail, through a real mailbox and a real browser: five turns, one ticket."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from email.message import EmailMessage
from functools import partial

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.imap_server import ImapServer, imap_server
from tests.mails import DESK, octets, written
from tests.running import RunningDesk, wait_for

SUBJECT = "The invoice of March shows the wrong amount"
TURNS = (
    "We were charged twice for one seat in March. Could you check the invoice and correct the amount, please?",
    "Thank you. Which of the two invoices is the one that counts?",
    "And when does the money come back to our account?",
    "It has not come yet. Could you look again?",
    "It is here now. Thank you for your help with the invoice.",
)


@pytest.fixture
def server() -> Iterator[ImapServer]:
    with imap_server() as one:
        yield one


def set_up(page: Page, server: ImapServer) -> None:
    page.goto("/settings/mail/")
    page.locator("#new-mailbox").click()
    page.get_by_label("Address customers write to").fill(DESK)
    page.get_by_label("Replies come from").fill(f"Acme Support <{DESK}>")
    page.get_by_label("IMAP server").fill("127.0.0.1")
    page.get_by_label("Encryption").select_option("none")
    page.get_by_label("Port").fill(str(server.port))
    page.get_by_label("User name").fill(server.user)
    page.get_by_label("Password or refresh token").fill(server.password)
    page.get_by_label("Every so many seconds").fill("3600")
    page.locator("#mailbox-save").click()
    page.locator("#test-mailbox").click()
    expect(page.locator("#trial")).to_contain_text("It works: 0 mails in INBOX")


def mails_to(desk: RunningDesk, address: str, *, after: int = 0) -> list[EmailMessage]:
    """What has left for this address but for the first `after` of it, oldest first."""
    parsed = (email.message_from_string(one, policy=email.policy.default) for one in desk.mails())
    return [mail for mail in parsed if address in str(mail["To"])][after:]


@pytest.mark.timeout(400)
def test_five_turns_by_mail_are_one_ticket_and_one_thread(visit: Visit, desk: RunningDesk, server: ImapServer) -> None:
    settings = visit("/settings/mail/")
    set_up(settings, server)
    # The first answer to come is the receipt.
    settings.goto("/settings/mail/")
    row = settings.locator(".receipt-row", has_text=DESK)
    row.get_by_role("checkbox").check()
    row.get_by_role("button", name="Save").click()
    expect(settings.locator(".receipt-row", has_text=DESK).get_by_role("checkbox")).to_be_checked()
    settings.goto("/settings/mail/")
    settings.locator("#mailboxes a", has_text=DESK).click()

    sender = "Kim Sample <kim.mail@example.com>"
    ticket = visit("/tickets/")
    number = 0
    for turn, text in enumerate(TURNS):
        before = mails_to(desk, "kim.mail@example.com")
        if turn == 0:
            mail = written(text, sender=sender, subject=SUBJECT)
        else:
            last = before[-1]
            quoted = (
                f"{text}\n\nOn Mon, 2 Nov 2026 at 10:0{turn}, Acme Support <{DESK}> wrote:\n> what stood there before"
            )
            mail = written(quoted, sender=sender, subject=str(last["Subject"]), answers=str(last["Message-ID"]))
        server.inbox.put(octets(mail))
        settings.locator("#read-mailbox").click()
        stored = wait_for(
            partial(desk.rows, "SELECT ticket_id FROM tickets_message WHERE text = %s", text),
            seconds=30,
            what=f"turn {turn} is at a ticket",
        )
        number = number or stored[0][0]
        assert stored == [(number,)]
        wait_for(
            partial(desk.rows, "SELECT 1 FROM tickets_draft WHERE ticket_id = %s AND NOT stale", number),
            seconds=40,
            what=f"turn {turn} is drafted",
        )
        if turn == 0:
            receipts = wait_for(lambda: mails_to(desk, "kim.mail@example.com"), seconds=20, what="the receipt has left")
            assert receipts[0]["Auto-Submitted"] == "auto-replied"
            before = receipts
        ticket.goto(f"/tickets/{number}/")
        expect(ticket.locator("#conversation")).to_contain_text(text)
        expect(ticket.locator("#conversation")).not_to_contain_text("what stood there before")
        ticket.locator("#reply-text").fill(f"Answer number {turn}.")
        ticket.get_by_role("button", name="Approve and send").click()
        expect(ticket.locator("#ticket-status")).to_have_attribute("data-status", "resolved")
        sent = wait_for(
            partial(mails_to, desk, "kim.mail@example.com", after=len(before)),
            seconds=30,
            what=f"answer {turn} has left",
        )
        assert len(sent) == 1
        assert sent[0]["In-Reply-To"] == mail["Message-ID"]
        assert str(mail["Message-ID"]) in str(sent[0]["References"]).split()
        assert sent[0]["From"] == f"Acme Support <{DESK}>"
        assert re.fullmatch(rf"Re: {SUBJECT} \[#{number}-\w{{12}}\]", str(sent[0]["Subject"]))
        body = sent[0].get_body(("plain",))
        assert body is not None and f"Answer number {turn}." in body.get_content()

    assert desk.rows("SELECT count(*) FROM tickets_ticket WHERE subject = %s", SUBJECT) == [(1,)]
    assert server.inbox.unseen == []
    whole = ticket.locator(".mail-whole").last
    # At the foot of the window: what opens is out of sight, and must be there when they scroll on.
    whole.locator("summary").evaluate("summary => summary.scrollIntoView({ block: 'end', behavior: 'instant' })")
    whole.locator("summary").click()
    expect(whole).to_contain_text("what stood there before")
    # It stays, read as it was, when the conversation comes anew beneath it.
    status, _ = desk.api("PATCH", f"/tickets/{number}", desk.api_key("corrects"), {"priority": "P1"})
    assert status == 200
    expect(ticket.locator("#value-priority")).to_have_value("P1")
    expect(whole).to_contain_text("what stood there before")
