from __future__ import annotations

import hashlib
import hmac
import time
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.utils import timezone
from standardwebhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from tests.receivers import Receiver, mute, nobody, receiving
from tests.tickets.webhooks.conftest import MakeHook, call_all, call_all_later
from tickets.actions import calling, webhooks
from tickets.models import Ticket, Webhook, WebhookAttempt, WebhookCall
from tickets.webhooks import posting
from triage.models import User


def _call(hook: Webhook, ticket: Ticket) -> WebhookCall:
    about = {"rule": {"id": 1, "name": "Urgent", "version": 2}, "cause": "triaged"}
    return WebhookCall.objects.create(webhook=hook, ticket=ticket, about=about, correlation_id="an-id-of-old")


@pytest.fixture
def quiet(reviewed: Ticket, hook: Webhook) -> Ticket:
    """A ticket about which nothing waits to be told: it was there before the webhook was."""
    WebhookCall.objects.all().delete()
    return reviewed


def test_the_library_of_the_standard_verifies_it(hook: Webhook, quiet: Ticket, listener: Receiver) -> None:
    call = _call(hook, quiet)
    assert call_all() == 1
    headers, body = listener.heard[0]
    (secret,) = hook.open_secrets()
    said = Verifier(secret).verify(body, headers)
    assert (said["type"], said["version"], said["id"]) == ("rule.fired", 1, str(call.uuid))
    assert said["data"]["rule"]["name"] == "Urgent"
    assert (said["data"]["ticket"]["number"], said["data"]["ticket"]["team"]) == (quiet.number, "software")
    assert "kim@example.com" not in body.decode()
    assert "stops half way" not in body.decode()
    with pytest.raises(WebhookVerificationError):
        Verifier(secret).verify(body.replace(b"Urgent", b"urgent"), headers)
    call.refresh_from_db()
    assert (call.state, call.sent_at is not None, call.body.encode()) == ("sent", True, body)
    assert (WebhookAttempt.objects.get().status, WebhookAttempt.objects.get().answer) == (200, "ok")


def test_it_carries_the_plain_signature_of_its_body_too(hook: Webhook, quiet: Ticket, listener: Receiver) -> None:
    _call(hook, quiet)
    call_all()
    headers, body = listener.heard[0]
    (secret,) = hook.open_secrets()
    assert headers["x-signature"] == hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def test_while_a_secret_is_renewed_both_verify_and_afterwards_the_new_one_alone(
    hook: Webhook, quiet: Ticket, listener: Receiver, lead: User
) -> None:
    (old,) = hook.open_secrets()
    new = webhooks.renew_secret(webhook=hook, by=lead)
    _call(hook, quiet)
    call_all()
    headers, body = listener.heard[0]
    for secret in (old, new):
        assert Verifier(secret).verify(body, headers)
    Webhook.objects.update(former_until=timezone.now() - timedelta(seconds=1))
    _call(hook, quiet)
    call_all()
    headers, body = listener.heard[1]
    assert Verifier(new).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(old).verify(body, headers)


def test_what_is_not_taken_is_tried_again_with_the_same_bytes_under_the_same_id(
    hook: Webhook, quiet: Ticket, listener: Receiver
) -> None:
    listener.answers = [503, 404, 302, 204]
    Webhook.objects.update(events=[])
    call = _call(hook, quiet)
    call_all()
    assert call_all() == 0, "the next try is later"
    Ticket.objects.update(subject="Another subject")
    for _ in range(3):
        call_all_later()
    call.refresh_from_db()
    assert (call.state, call.attempts) == ("sent", 4)
    assert [one.status for one in call.tries.all()] == [503, 404, 302, 204]
    assert len({headers["webhook-id"] for headers, _ in listener.heard}) == 1
    assert len({body for _, body in listener.heard}) == 1


def test_the_time_between_attempts_grows_up_to_four_hours_and_ends_after_a_day(
    hook: Webhook, quiet: Ticket, listener: Receiver
) -> None:
    listener.answers = [500]
    call = _call(hook, quiet)
    now, waits = timezone.now(), []
    while True:
        (errand,) = calling.claim({})
        outcome = calling.Outcome(errand, False, 5, status=500, error="It answered 500.")
        calling.finish([outcome])
        call.refresh_from_db()
        if call.state == "failed":
            break
        waits.append((call.not_before - timezone.now()).total_seconds())
        # Time goes by: until then.
        earlier = call.not_before - timezone.now()
        now += earlier
        WebhookCall.objects.update(queued_at=call.queued_at - earlier, not_before=timezone.now())
    assert 10 <= len(waits) <= 14
    assert 3 < waits[0] < 7
    assert all(wait < 4 * 3600 * 1.21 for wait in waits)
    assert 18 * 3600 < sum(waits) <= 24 * 3600
    assert all(later > 1.5 * earlier for earlier, later in pairwise(waits[:7]))


@pytest.mark.parametrize("how", ["seconds", "date"])
def test_a_receiver_says_when_it_wants_to_be_asked_again(
    hook: Webhook, quiet: Ticket, listener: Receiver, how: str
) -> None:
    from email.utils import format_datetime

    later = timezone.now() + timedelta(minutes=30)
    listener.answers = [429]
    listener.headers = {"Retry-After": "1800" if how == "seconds" else format_datetime(later, usegmt=False)}
    call = _call(hook, quiet)
    call_all()
    call.refresh_from_db()
    assert abs((call.not_before - later).total_seconds()) < 20


def test_410_ends_it_and_what_happens_meanwhile_is_held_back_until_it_is_replayed(
    hook: Webhook, quiet: Ticket, listener: Receiver, lead: User
) -> None:
    listener.answers = [410, 200]
    call = _call(hook, quiet)
    call_all()
    hook.refresh_from_db()
    call.refresh_from_db()
    assert (call.state, hook.disabled_at is not None) == ("failed", True)
    Ticket.objects.filter(pk=quiet.pk).update(priority="P1")
    assert [one.state for one in WebhookCall.objects.filter(event="ticket.updated")] == ["held"]
    assert call_all() == 0
    webhooks.switch(webhook=hook, on=True, by=lead)
    day = timedelta(days=1)
    again = webhooks.replay(
        webhook=hook, since=timezone.now() - day, until=timezone.now() + day, states=["held", "failed"], by=lead
    )
    assert (again, call_all(), len(listener.heard)) == (2, 2, 3)


def test_after_days_of_nothing_but_failures_it_is_disabled_and_one_success_ends_them(
    hook: Webhook, quiet: Ticket, listener: Receiver
) -> None:
    listener.answers = [500, 200, 500]
    _call(hook, quiet)
    call_all()
    hook.refresh_from_db()
    assert hook.failing_since is not None
    Webhook.objects.update(failing_since=timezone.now() - timedelta(days=6))
    call_all_later()
    hook.refresh_from_db()
    assert not (hook.failing_since or hook.disabled_at), "it took one"
    _call(hook, quiet)
    call_all()
    Webhook.objects.update(failing_since=timezone.now() - timedelta(days=6))
    call_all_later()
    hook.refresh_from_db()
    assert hook.disabled_at is not None
    assert "5 days" in hook.disabled_why
    assert "500" in hook.disabled_why


@pytest.mark.parametrize("endless", ["body", "headers"])
def test_an_answer_that_never_ends_is_cut_off(
    quiet: Ticket, make_hook: MakeHook, monkeypatch: pytest.MonkeyPatch, endless: str
) -> None:
    monkeypatch.setattr(posting, "TIMEOUT", 1.0)
    with receiving(endless=endless) as receiver:
        call = _call(make_hook(receiver.url, "sla.warning"), quiet)
        began = time.monotonic()
        call_all()
        assert time.monotonic() - began < 5
    assert call.tries.get().error.startswith("It took longer")


def test_a_huge_answer_is_read_no_further_than_needed(
    quiet: Ticket, make_hook: MakeHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "MOST_READ", 100)
    with receiving(endless="body") as receiver:
        call = _call(make_hook(receiver.url, "sla.warning"), quiet)
        call_all()
    call.refresh_from_db()
    assert (call.state, len(call.tries.get().answer)) == ("sent", 100)


def test_a_redirect_inward_is_not_followed(quiet: Ticket, make_hook: MakeHook, listener: Receiver) -> None:
    with receiving(answers=[302], headers={"Location": listener.url}) as leading:
        call = _call(make_hook(leading.url, "sla.warning"), quiet)
        call_all()
        assert (len(leading.heard), listener.heard) == (1, [])
    assert "not followed" in call.tries.get().error


def test_slow_dead_and_mute_addresses_hold_nobody_up(
    quiet: Ticket, make_hook: MakeHook, listener: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "TIMEOUT", 2.0)
    monkeypatch.setattr(calling, "FIRST_WAIT", 600.0)
    live = make_hook(listener.url, "sla.warning", name="Live")
    with receiving(after=1.5) as slow, mute() as silent:
        others = [make_hook(url, "sla.warning", name=str(n)) for n, url in enumerate((slow.url, silent, nobody()))]
        for _ in range(10):
            for each in (*others, live):
                _call(each, quiet)
        began = time.monotonic()
        call_all()
        assert listener.at[-1] - began < 1.5, "all of them, before any of the others has ended"
    assert WebhookCall.objects.filter(webhook=live, state="sent").count() == 10
    assert not WebhookCall.objects.filter(webhook=others[1], state="sent").exists()


def test_an_address_that_fails_is_asked_one_call_at_a_time(hook: Webhook, quiet: Ticket) -> None:
    for _ in range(20):
        _call(hook, quiet)
    assert len(calling.claim({hook.pk: 3})) == calling.HEALTHY - 3
    Webhook.objects.update(failing_since=timezone.now())
    assert len(calling.claim({})) == 1
    assert calling.claim({hook.pk: 1}) == []


def test_ones_own_network_is_not_called_unless_a_setting_allows_it(
    hook: Webhook, quiet: Ticket, listener: Receiver, settings: Any
) -> None:
    settings.WEBHOOKS_PRIVATE = False
    call = _call(hook, quiet)
    call_all()
    call.refresh_from_db()
    assert (call.state, listener.heard) == ("failed", [])
    assert "one's own network" in call.error


def test_an_address_without_tls_is_not_called_unless_a_setting_allows_it(
    hook: Webhook, quiet: Ticket, listener: Receiver, settings: Any
) -> None:
    settings.WEBHOOKS_HTTP = False
    call = _call(hook, quiet)
    call_all()
    call.refresh_from_db()
    assert (call.state, listener.heard) == ("failed", [])


def test_a_killed_process_s_calls_are_taken_up_again_and_its_late_word_changes_nothing(
    hook: Webhook, quiet: Ticket, listener: Receiver
) -> None:
    call = _call(hook, quiet)
    (lost,) = calling.claim({})
    assert calling.claim({}) == []
    WebhookCall.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    call_all()
    calling.finish([calling.Outcome(lost, False, 1, error="Too late.")])
    call.refresh_from_db()
    assert (call.state, call.error, len(listener.heard)) == ("sent", "", 1)


def test_a_webhook_that_is_off_is_not_called(hook: Webhook, quiet: Ticket, listener: Receiver, lead: User) -> None:
    call = _call(hook, quiet)
    webhooks.switch(webhook=hook, on=False, by=lead)
    call_all()
    call.refresh_from_db()
    assert (call.state, listener.heard) == ("held", [])
    Ticket.objects.filter(pk=quiet.pk).update(priority="P1")
    assert WebhookCall.objects.count() == 1, "and what happens is not written down for it"


def test_a_secret_that_cannot_be_opened_is_no_reason_to_send_unsigned(
    hook: Webhook, quiet: Ticket, listener: Receiver
) -> None:
    Webhook.objects.update(secret="what another key locked")
    call = _call(hook, quiet)
    call_all()
    call.refresh_from_db()
    assert (call.state, listener.heard) == ("failed", [])


def test_the_log_is_forgotten_after_a_month_but_not_what_waits(hook: Webhook, quiet: Ticket) -> None:
    old, waiting = _call(hook, quiet), _call(hook, quiet)
    WebhookCall.objects.update(created_at=timezone.now() - timedelta(days=31))
    WebhookCall.objects.filter(pk=old.pk).update(state="failed")
    calling.forget()
    assert list(WebhookCall.objects.all()) == [waiting]
