"""Mailboxes, read over real IMAP from a server that the tests start, and that fails as servers do."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections
from django.utils import timezone

from tests.imap_server import Folder, ImapServer, imap_server
from tests.mails import octets, written
from tickets import tasks
from tickets.actions import mailboxes, receiving
from tickets.actions.deliveries import Claimed
from tickets.actions.errors import Conflict, Forbidden, Invalid
from tickets.models import Mail, Mailbox, Message, Source, Ticket
from triage.models import User

PASSWORD = 'a "quoted" word'


@pytest.fixture
def server() -> Iterator[ImapServer]:
    with imap_server() as one:
        yield one


def given(server: ImapServer, **changes: str) -> dict[str, str]:
    return {
        "name": "Support mail", "address": "support@desk.example", "host": "127.0.0.1", "port": str(server.port),
        "security": "none", "username": server.user, "secret": PASSWORD, "sign_in": "password", "folder": "INBOX",
        "afterwards": "seen", "every": "60", **changes,
    }  # fmt: skip


def mailbox_as_stored() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_jsonb(one)::text FROM tickets_mailbox one")
        return str(cursor.fetchall())


@pytest.fixture
def mailbox(server: ImapServer, lead: User) -> Mailbox:
    return mailboxes.keep(given=given(server), by=lead)


def read(mailbox: Mailbox) -> Mailbox:
    """One reading, as the worker does it."""
    Mailbox.objects.filter(pk=mailbox.pk).update(not_before=timezone.now())
    for claimed in mailboxes.claim(5):
        mailboxes.read(claimed)
    mailbox.refresh_from_db()
    return mailbox


def put(server: ImapServer, *mails: Any) -> None:
    for mail in mails:
        server.inbox.put(mail if isinstance(mail, bytes) else octets(mail))


# Setting up


def test_a_lead_sets_a_mailbox_up_and_its_password_lies_encrypted(mailbox: Mailbox) -> None:
    assert PASSWORD not in mailbox_as_stored()
    assert (mailbox.source.kind, mailbox.source.name) == ("email", "Support mail")


def test_an_agent_sets_none_up(server: ImapServer, agent: User) -> None:
    with pytest.raises(Forbidden):
        mailboxes.keep(given=given(server), by=agent)


@pytest.mark.parametrize(
    ("field", "value"),
    [("address", "nobody"), ("host", ""), ("port", "0"), ("port", "99999"), ("port", "imap"), ("every", "1"),
     ("security", "some"), ("secret", ""), ("username", "")],
)  # fmt: skip
def test_what_cannot_be_is_refused_naming_the_field(server: ImapServer, lead: User, field: str, value: str) -> None:
    with pytest.raises(Invalid) as refused:
        mailboxes.keep(given=given(server, **{field: value}), by=lead)
    assert refused.value.field == field
    assert not Mailbox.objects.exists() and not Source.objects.filter(name="Support mail").exists()


def test_moving_needs_a_folder_and_oauth_an_address_for_tokens(server: ImapServer, lead: User) -> None:
    for changes, field in (({"afterwards": "move"}, "move_to"), ({"sign_in": "oauth"}, "token_url")):
        with pytest.raises(Invalid) as refused:
            mailboxes.keep(given=given(server, **changes), by=lead)
        assert refused.value.field == field


def test_one_folder_of_one_account_is_read_by_one_source(mailbox: Mailbox, server: ImapServer, lead: User) -> None:
    with pytest.raises(Conflict) as refused:
        mailboxes.keep(given=given(server, name="Another name"), by=lead)
    assert refused.value.field == "username"


def test_a_secret_left_empty_stays_as_it_is(mailbox: Mailbox, server: ImapServer, lead: User) -> None:
    kept = mailbox.secret
    mailboxes.keep(given=given(server, secret="", name="Renamed"), mailbox=mailbox, by=lead)
    mailbox.refresh_from_db()
    assert (mailbox.secret, mailbox.source.name) == (kept, "Renamed")


def test_a_trial_says_what_is_there_and_changes_nothing(mailbox: Mailbox, server: ImapServer, lead: User) -> None:
    put(server, written())
    tested = mailboxes.test(mailbox=mailbox, by=lead)
    assert (tested.works, "1 mails in INBOX, 1 of them unread" in tested.sentence) == (True, True)
    assert not server.inbox.mails[0].flags


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"secret": "wrong"}, "Signing in was refused"), ({"folder": "Nowhere"}, "there is no such folder"),
     ({"port": "1"}, "could not be reached"), ({"security": "tls"}, "not safe")],
)  # fmt: skip
def test_a_trial_that_fails_says_why(server: ImapServer, lead: User, changes: dict[str, str], words: str) -> None:
    mailbox = mailboxes.keep(given=given(server, **changes), by=lead)
    tested = mailboxes.test(mailbox=mailbox, by=lead)
    assert (tested.works, words in tested.sentence) == (False, True), tested.sentence


# Reading


def test_what_is_unread_is_taken_in_once_and_marked_as_read(mailbox: Mailbox, server: ImapServer) -> None:
    server.inbox.put(octets(written(subject="Old and read")), seen=True)
    put(server, written(subject="One"), written(subject="Two"))
    read(mailbox)
    assert sorted(Ticket.objects.values_list("subject", flat=True)) == ["One", "Two"]
    assert server.inbox.unseen == []
    assert (mailbox.read_at is not None, mailbox.error, mailbox.last_uid) == (True, "", 3)
    read(mailbox)
    assert Ticket.objects.count() == 2


def test_what_somebody_else_has_read_meanwhile_is_taken_in_all_the_same(mailbox: Mailbox, server: ImapServer) -> None:
    read(mailbox)
    server.inbox.put(octets(written()), seen=True)
    read(mailbox)
    assert Ticket.objects.count() == 1


def test_mails_are_moved_where_that_is_wished(server: ImapServer, lead: User) -> None:
    server.folders["Done"] = Folder()
    mailbox = mailboxes.keep(given=given(server, afterwards="move", move_to="Done"), by=lead)
    put(server, written())
    read(mailbox)
    assert (len(server.inbox.mails), len(server.folders["Done"].mails)) == (0, 1)
    assert Ticket.objects.count() == 1


def test_a_ticket_is_as_old_as_its_mail_lay_in_the_mailbox(mailbox: Mailbox, server: ImapServer) -> None:
    put(server, written())
    server.inbox.mails[0].arrived = timezone.now().replace(year=2025, microsecond=0)
    read(mailbox)
    assert Ticket.objects.get().created_at == server.inbox.mails[0].arrived


@pytest.mark.parametrize("word", ["FETCH", "STORE", "SEARCH", "STATUS"])
@pytest.mark.parametrize("how", ["drop", "no"])
def test_a_server_that_fails_in_the_middle_loses_and_doubles_nothing(
    mailbox: Mailbox, server: ImapServer, word: str, how: str
) -> None:
    put(server, *(written(subject=f"Mail {number}") for number in range(30)))
    seen = 0

    def fail_later(command: str) -> None:
        nonlocal seen
        seen += command == word
        server.fail_at = {word: how} if seen >= (10 if word == "FETCH" else 1) else {}

    server.before = fail_later
    read(mailbox)
    assert mailbox.error
    assert mailbox.not_before > timezone.now()
    server.before, server.fail_at = None, {}
    read(mailbox)
    assert (mailbox.error, mailbox.attempts) == ("", 0)
    assert Ticket.objects.count() == Message.objects.count() == 30
    assert server.inbox.unseen == []


def test_a_worker_that_dies_between_storing_and_marking_doubles_nothing(
    mailbox: Mailbox, server: ImapServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(server, written(), written())

    def die(*_: Any) -> None:
        raise SystemExit  # as a kill: nothing after it runs

    monkeypatch.setattr("tickets.channels.email.imap.Box.put_away", die)
    (claimed,) = mailboxes.claim(1)
    with pytest.raises(SystemExit):
        mailboxes.read(claimed)
    assert (Ticket.objects.count(), len(server.inbox.unseen)) == (2, 2)
    monkeypatch.undo()
    assert mailboxes.claim(1) == []  # its lease still holds
    Mailbox.objects.update(lease_until=timezone.now())
    read(mailbox)
    assert (Ticket.objects.count(), server.inbox.unseen) == (2, [])


def test_who_lost_the_mailbox_meanwhile_does_not_write_down_how_far_they_came(
    mailbox: Mailbox, server: ImapServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(server, written())
    (late,) = mailboxes.claim(1)
    real = mailboxes._take

    def be_late(*arguments: Any) -> None:
        real(*arguments)
        Mailbox.objects.update(claim=late.claim + 1)

    monkeypatch.setattr(mailboxes, "_take", be_late)
    mailboxes.read(late)
    mailbox.refresh_from_db()
    assert mailbox.last_uid is None
    assert mailboxes.read(Claimed(mailbox.pk, late.claim)) == 0


def test_a_mail_that_cannot_be_stored_holds_up_no_other_and_is_tried_again(
    mailbox: Mailbox, server: ImapServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = receiving._sort

    def fail(mail: Any, row: Mail, own: set[str]) -> None:
        if mail.subject == "Poison":
            raise RuntimeError("what nobody thought of")
        real(mail, row, own)

    monkeypatch.setattr("tickets.actions.receiving._sort", fail)
    put(server, written(subject="Poison"), written(subject="Fine"))
    read(mailbox)
    assert list(Ticket.objects.values_list("subject", flat=True)) == ["Fine"]
    assert Mail.objects.get(outcome="failed").subject == "Poison"
    assert len(server.inbox.unseen) == 1
    read(mailbox)
    assert Mail.objects.get(outcome="failed").tries == 2
    monkeypatch.undo()
    read(mailbox)
    assert Mail.objects.filter(outcome="failed").count() == 0
    assert (Ticket.objects.count(), server.inbox.unseen) == (2, [])


def test_a_mail_of_fifty_megabytes_is_refused_with_a_record_and_never_fetched(
    mailbox: Mailbox, server: ImapServer
) -> None:
    server.inbox.put(octets(written(subject="The whole disk")), size=51 * 1024 * 1024)
    put(server, written(subject="Fine"))
    read(mailbox)
    assert list(Ticket.objects.values_list("subject", flat=True)) == ["Fine"]
    kept = Mail.objects.get(outcome="too_large")
    assert (kept.subject, kept.sender, kept.size) == ("The whole disk", "kim@example.com", 51 * 1024 * 1024)
    assert "FETCH 1 (BODY.PEEK[])" not in server.said
    assert [mail.uid for mail in server.inbox.unseen] == [1]
    read(mailbox)
    assert Mail.objects.count() == 2


def test_a_folder_that_was_made_anew_is_read_from_its_unread_mails(mailbox: Mailbox, server: ImapServer) -> None:
    put(server, *(written() for _ in range(5)))
    read(mailbox)
    server.folders["INBOX"] = Folder(validity=2)
    put(server, written(subject="After the move"))
    read(mailbox)
    assert Ticket.objects.count() == 6
    assert (mailbox.uid_validity, mailbox.last_uid) == (2, 1)


def test_what_is_left_when_time_runs_out_is_read_at_once(
    mailbox: Mailbox, server: ImapServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailboxes, "BUDGET", -1.0)
    put(server, *(written() for _ in range(60)))
    read(mailbox)
    assert Ticket.objects.count() == 25
    assert mailbox.not_before <= timezone.now()
    for _ in range(2):
        for claimed in mailboxes.claim(1):
            mailboxes.read(claimed)
    assert Ticket.objects.count() == 60


def test_errors_in_a_row_make_it_wait_longer(mailbox: Mailbox, server: ImapServer) -> None:
    server.fail_at = {"LOGIN": "no"}
    waits = []
    for _ in range(4):
        read(mailbox)
        waits.append((mailbox.not_before - timezone.now()).total_seconds())
    assert waits == sorted(waits) and waits[-1] > 4 * waits[0] - 10
    assert waits[-1] <= 3600


def test_what_is_switched_off_is_not_read(mailbox: Mailbox, server: ImapServer, lead: User) -> None:
    mailboxes.switch(mailbox=mailbox, on=False, by=lead)
    put(server, written())
    read(mailbox)
    assert (server.said, Ticket.objects.count()) == ([], 0)
    mailboxes.switch(mailbox=mailbox, on=True, by=lead)
    read(mailbox)
    assert Ticket.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_worker_reads_what_is_due_and_then_the_tickets(
    server: ImapServer, lead: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("triage.learning.live.load_local", lambda: None)  # fitting it would take longer than all this
    mailboxes.keep(given=given(server), by=lead)
    put(server, written())
    asyncio.run(tasks.Drain("interactive").run())
    asyncio.run(sync_to_async(connections.close_all)())
    assert Ticket.objects.get().triage_state == "triaged"


# OAuth


class Tokens(HTTPServer):
    """An authorisation server: a refresh token serves once, and another comes with each token of the day."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Ask)
        self.refresh, self.asked = "refresh-1", list[dict[str, list[str]]]()
        self.status = 200


class _Ask(BaseHTTPRequestHandler):
    server: Tokens

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.server.asked.append(form)
        body: dict[str, Any] = {"error": "invalid_grant", "error_description": "Token has been revoked"}
        status = 400 if self.server.status == 200 else self.server.status
        if self.server.status == 200 and form["refresh_token"] == [self.server.refresh]:
            self.server.refresh = f"refresh-{len(self.server.asked) + 1}"
            body, status = {"access_token": "today", "expires_in": 3600, "refresh_token": self.server.refresh}, 200
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def tokens() -> Iterator[Tokens]:
    server = Tokens()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def with_oauth(server: ImapServer, tokens: Tokens, lead: User, secret: str = "refresh-1") -> Mailbox:
    changes = {"sign_in": "oauth", "secret": secret, "token_url": f"http://127.0.0.1:{tokens.server_address[1]}/token",
               "client_id": "desk", "client_secret": "of the desk"}  # fmt: skip
    return mailboxes.keep(given=given(server, **changes), by=lead)


def test_a_refresh_token_opens_the_mailbox_and_its_successor_is_kept(tokens: Tokens, lead: User) -> None:
    with imap_server(token="today") as server:
        mailbox = with_oauth(server, tokens, lead)
        put(server, written(), written())
        read(mailbox)
        assert (Ticket.objects.count(), mailbox.error) == (2, "")
        assert tokens.asked[0] == {
            "grant_type": ["refresh_token"], "refresh_token": ["refresh-1"], "client_id": ["desk"],
            "client_secret": ["of the desk"],
        }  # fmt: skip
        put(server, written())
        read(mailbox)
        assert (Ticket.objects.count(), mailbox.error) == (3, "")


def test_a_token_that_was_revoked_is_told_to_those_who_look_after_the_mailbox(tokens: Tokens, lead: User) -> None:
    with imap_server(token="today") as server:
        mailbox = read(with_oauth(server, tokens, lead, secret="old"))
        assert "Token has been revoked" in mailbox.error


def test_a_token_that_the_mail_server_does_not_take_is_told(tokens: Tokens, lead: User) -> None:
    with imap_server(token="of tomorrow") as server:
        mailbox = read(with_oauth(server, tokens, lead))
        assert "Signing in was refused" in mailbox.error


def test_an_authorisation_server_that_is_down_is_asked_again(tokens: Tokens, lead: User) -> None:
    tokens.status = 503
    with imap_server(token="today") as server:
        mailbox = read(with_oauth(server, tokens, lead))
        assert "503" in mailbox.error


def test_a_secret_is_never_sent_in_clear_over_the_network(tokens: Tokens, lead: User) -> None:
    with imap_server(token="today") as server:
        mailbox = with_oauth(server, tokens, lead)
        Mailbox.objects.update(token_url="http://tokens.example.com/")
        assert "https://" in read(mailbox).error
        assert tokens.asked == []
