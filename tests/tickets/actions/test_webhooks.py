from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from django.utils import timezone

from tickets.actions import webhooks
from tickets.actions.errors import Conflict, Forbidden, Invalid
from tickets.models import Ticket, Webhook, WebhookAttempt, WebhookCall
from triage.models import User


@dataclass
class Listener:
    """A server on loopback: answers with `answers` in turn, the last one for good, and keeps what it was sent."""

    port: int = 0
    answers: list[int] = field(default_factory=lambda: [200])
    heard: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?x=1"


@pytest.fixture
def listener() -> Iterator[Listener]:
    kept = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.heard.append(({name.lower(): value for name, value in self.headers.items()}, body))
            status = kept.answers.pop(0) if len(kept.answers) > 1 else kept.answers[0]
            self.send_response(status)
            if status == 302:
                self.send_header("Location", f"http://127.0.0.1:{kept.port}/elsewhere")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    kept.port = server.server_port
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield kept
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def hook(lead: User, listener: Listener, settings: Any) -> Webhook:
    settings.WEBHOOKS_PRIVATE = True
    made, _ = webhooks.keep(name="Pager", url=listener.url, by=lead)
    return made


def _call(hook: Webhook, ticket: Ticket) -> WebhookCall:
    about = {"rule": {"id": 1, "name": "Urgent", "version": 2}, "cause": "triaged"}
    return WebhookCall.objects.create(webhook=hook, ticket=ticket, about=about, correlation_id="an-id-of-old")


def _work() -> None:
    for claimed in webhooks.claim(5):
        webhooks.call(claimed)


def test_it_is_signed_so_that_the_receiver_can_tell(hook: Webhook, reviewed: Ticket, listener: Listener) -> None:
    call = _call(hook, reviewed)
    _work()
    headers, body = listener.heard[0]
    key = base64.b64decode(hook.open_secret().removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["webhook-id"] == str(call.uuid)
    said = json.loads(body)
    assert said["type"] == "rule.fired"
    assert said["data"]["rule"]["name"] == "Urgent"
    assert said["data"]["ticket"]["number"] == reviewed.number
    assert said["data"]["ticket"]["team"] == "software"
    assert "kim@example.com" not in body.decode()
    call.refresh_from_db()
    assert (call.state, call.sent_at is not None) == ("sent", True)
    assert WebhookAttempt.objects.get().status == 200


def test_what_is_not_taken_is_tried_again_with_the_same_id_and_a_row_a_try(
    hook: Webhook, reviewed: Ticket, listener: Listener
) -> None:
    listener.answers = [503, 429, 204]
    call = _call(hook, reviewed)
    for _ in range(3):
        WebhookCall.objects.update(not_before=timezone.now())
        _work()
    call.refresh_from_db()
    assert (call.state, call.attempts) == ("sent", 3)
    assert [one.status for one in call.tries.all()] == [503, 429, 204]
    assert len({headers["webhook-id"] for headers, _ in listener.heard}) == 1


def test_it_is_not_tried_again_at_once_and_given_up_in_the_end(
    hook: Webhook, reviewed: Ticket, listener: Listener
) -> None:
    listener.answers = [500]
    call = _call(hook, reviewed)
    _work()
    _work()
    assert len(listener.heard) == 1, "the next try is later"
    for _ in range(webhooks.MOST_ATTEMPTS + 2):
        WebhookCall.objects.update(not_before=timezone.now())
        _work()
    call.refresh_from_db()
    assert (call.state, call.attempts) == ("failed", webhooks.MOST_ATTEMPTS)
    assert len(listener.heard) == webhooks.MOST_ATTEMPTS


@pytest.mark.parametrize("status", [302, 400, 404, 410])
def test_a_refusal_is_an_answer_and_a_redirect_is_not_followed(
    hook: Webhook, reviewed: Ticket, listener: Listener, status: int
) -> None:
    listener.answers = [status]
    call = _call(hook, reviewed)
    _work()
    call.refresh_from_db()
    assert (call.state, call.tries.get().status) == ("failed", status)
    assert len(listener.heard) == 1


def test_ones_own_network_is_not_called_unless_a_setting_allows_it(
    hook: Webhook, reviewed: Ticket, listener: Listener, settings: Any
) -> None:
    settings.WEBHOOKS_PRIVATE = False
    call = _call(hook, reviewed)
    _work()
    call.refresh_from_db()
    assert call.state == "failed"
    assert "one's own network" in call.error
    assert listener.heard == []


def test_nobody_who_answers_is_a_reason_to_try_again(hook: Webhook, reviewed: Ticket) -> None:
    Webhook.objects.update(url="http://127.0.0.1:9/")
    call = _call(hook, reviewed)
    _work()
    call.refresh_from_db()
    assert (call.state, call.tries.get().status) == ("queued", None)
    assert call.not_before > timezone.now()


def test_a_killed_worker_s_call_is_taken_up_again(hook: Webhook, reviewed: Ticket, listener: Listener) -> None:
    call = _call(hook, reviewed)
    (lost,) = webhooks.claim(1)
    assert webhooks.claim(1) == []
    WebhookCall.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert webhooks.due().exists()
    _work()
    webhooks.call(lost)
    call.refresh_from_db()
    assert (call.state, len(listener.heard)) == ("sent", 1)


def test_a_webhook_that_is_off_is_not_called(hook: Webhook, reviewed: Ticket, listener: Listener) -> None:
    call = _call(hook, reviewed)
    Webhook.objects.update(active=False)
    _work()
    call.refresh_from_db()
    assert (call.state, listener.heard) == ("failed", [])


def test_its_secret_lies_encrypted_and_can_be_made_anew(lead: User) -> None:
    hook, secret = webhooks.keep(name="Pager", url="https://example.com/", by=lead)
    assert secret.startswith("whsec_")
    assert secret not in hook.secret
    assert Webhook.objects.get().open_secret() == secret
    same, none = webhooks.keep(name="Pager 2", url="https://example.com/2", by=lead, webhook=hook)
    assert (none, same.open_secret()) == ("", secret)
    fresh = webhooks.renew_secret(webhook=hook, by=lead)
    assert fresh != secret
    assert Webhook.objects.get().open_secret() == fresh


def test_it_refuses_an_address_that_cannot_be_called_a_taken_name_and_who_leads_nobody(lead: User, agent: User) -> None:
    for url in ("ftp://example.com", "https://user:pw@example.com/", "nonsense"):
        with pytest.raises(Invalid) as refused:
            webhooks.keep(name="x", url=url, by=lead)
        assert refused.value.field == "url"
    webhooks.keep(name="Pager", url="https://example.com/", by=lead)
    with pytest.raises(Conflict):
        webhooks.keep(name="Pager", url="https://example.com/", by=lead)
    with pytest.raises(Forbidden):
        webhooks.keep(name="Mine", url="https://example.com/", by=agent)
