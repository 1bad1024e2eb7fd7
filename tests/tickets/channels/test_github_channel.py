"""Replies as comments: written once, whatever happens on the way."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.github_server import GithubServer, Repo
from tests.tickets.conftest import Hook, MakeTicket, last_seen
from tickets.actions import deliveries, replies, splitting
from tickets.actions.errors import Invalid
from tickets.channels.github import mark_of
from tickets.context import inquiry_of
from tickets.models import Delivery, GithubAccount, GithubInstallation, GithubRepository, Message, Ticket
from triage.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def approved(hook: Hook, shop: Repo, lead: User) -> Delivery:
    shop.issue("Checkout crashes", body="On every start.")
    hook("issues", shop.event("issues", "opened", 1))
    ticket = Ticket.objects.get()
    return replies.approve(ticket=ticket, text="Update to **1.5**.", version=0, answers=last_seen(ticket), by=lead)


def deliver(delivery: Delivery) -> Delivery:
    Delivery.objects.filter(pk=delivery.pk, state="queued").update(not_before=timezone.now())
    for claimed in deliveries.claim(1):
        deliveries.deliver(claimed)
    delivery.refresh_from_db()
    return delivery


def written(shop: Repo) -> list[str]:
    return [one["body"] for one in shop.comments_of(1)]


def test_an_approved_reply_is_a_comment_that_carries_its_key_unseen(approved: Delivery, shop: Repo) -> None:
    assert (approved.channel, approved.recipient) == ("github", "acme/shop#1")
    assert deliver(approved).state == "sent"
    assert written(shop) == [f"Update to **1.5**.\n\n{mark_of(approved.key)}"]
    assert shop.comments_of(1)[0]["html_url"] in approved.tries.get().detail


def test_it_comes_back_by_webhook_and_is_no_second_message(hook: Hook, approved: Delivery, shop: Repo) -> None:
    deliver(approved)
    hook("issue_comment", shop.event("issue_comment", "created", 1, comment=shop.comments_of(1)[0], sender="desk-bot"))
    assert Message.objects.filter(ticket=approved.ticket).count() == 2
    assert approved.message.github.comment_id == shop.comments_of(1)[0]["id"]


def test_a_key_that_somebody_copied_stays_their_comment(hook: Hook, approved: Delivery, shop: Repo) -> None:
    deliver(approved)
    comment = shop.comment(1, f"Quoting {mark_of(approved.key)}", author="mallory")
    hook("issue_comment", shop.event("issue_comment", "created", 1, comment=comment))
    assert approved.ticket.messages.filter(kind="inbound", text__startswith="Quoting").exists()


def test_a_connection_lost_after_it_was_written_sends_nothing_twice(
    approved: Delivery, shop: Repo, github: GithubServer
) -> None:
    github.fail("POST", "/comments", silent=True)
    assert deliver(approved).state == "queued"
    assert approved.not_before > timezone.now() + timedelta(seconds=5), "what is under way may still arrive"
    assert len(written(shop)) == 1
    assert deliver(approved).state == "sent"
    assert len(written(shop)) == 1
    assert list(approved.tries.values_list("outcome", flat=True)) == ["unknown", "sent"]


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_server_error_is_asked_about_before_it_is_written_again(
    approved: Delivery, shop: Repo, github: GithubServer, status: int
) -> None:
    github.fail("POST", "/comments", status=status)
    assert deliver(approved).state == "queued"
    assert deliver(approved).state == "sent"
    assert len(github.asked("GET", "/comments")) == 1 and len(written(shop)) == 1


def test_a_desk_that_was_killed_while_sending_asks_first(approved: Delivery, shop: Repo) -> None:
    (claimed,) = deliveries.claim(1)
    shop.comment(1, f"Update to **1.5**.\n\n{mark_of(approved.key)}", author="desk-bot", at=timezone.now())
    Delivery.objects.filter(pk=claimed.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert deliveries.give_up_expired() == 1
    assert deliver(approved).state == "sent" and len(written(shop)) == 1


def test_what_was_split_off_an_issue_says_that_it_has_nowhere_to_be_answered(
    hook: Hook, shop: Repo, lead: User, client: Client
) -> None:
    shop.issue("Checkout crashes", body="On every start.")
    hook("issues", shop.event("issues", "opened", 1))
    hook("issue_comment", shop.event("issue_comment", "created", 1, comment=shop.comment(1, "The logo is gone, too.")))
    ticket = Ticket.objects.get()
    new = splitting.split(ticket=ticket, messages={last_seen(ticket)}, by=lead, subject="Logo").new
    with pytest.raises(Invalid, match="split off") as refused:
        replies.approve(ticket=new, text="It is back.", version=0, answers=last_seen(new), by=lead)
    assert refused.value.code == "no_recipient"
    client.force_login(lead)
    assert refused.value.sentence in client.get(new.get_absolute_url()).content.decode()


def test_it_asks_through_all_pages_of_a_long_thread(approved: Delivery, shop: Repo, github: GithubServer) -> None:
    github.fail("POST", "/comments", silent=True)
    now = timezone.now()
    for number in range(250):
        shop.comment(1, f"Comment {number}", at=now)
    deliver(approved)
    assert deliver(approved).state == "sent"
    assert sum("triage-desk:" in body for body in written(shop)) == 1
    assert len(github.asked("GET", "/comments")) == 3


def test_while_github_cannot_say_nothing_is_written_and_in_the_end_a_person_decides(
    approved: Delivery, shop: Repo, github: GithubServer
) -> None:
    github.fail("POST", "/comments", silent=True)
    github.fail("GET", "/comments", status=502, times=50)
    for _ in range(deliveries.MOST_ATTEMPTS):
        deliver(approved)
    assert approved.state in ("failed", "unknown") and "502" in approved.error
    assert len(written(shop)) == 1 and len(github.asked("POST", "/comments")) == 1


def test_the_webhook_settles_what_was_not_known(
    hook: Hook, approved: Delivery, shop: Repo, github: GithubServer
) -> None:
    github.fail("POST", "/comments", silent=True)
    deliver(approved)
    comment = shop.comments_of(1)[0]
    hook("issue_comment", shop.event("issue_comment", "created", 1, comment=comment, sender="desk-bot"))
    approved.refresh_from_db()
    assert approved.state == "sent" and Message.objects.filter(ticket=approved.ticket).count() == 2


def test_a_retry_that_a_person_asks_for_asks_github_first(
    approved: Delivery, shop: Repo, github: GithubServer, lead: User
) -> None:
    github.fail("POST", "/comments", silent=True)
    deliver(approved)
    Delivery.objects.update(state="unknown")
    deliveries.retry(delivery=approved, by=lead)
    assert deliver(approved).state == "sent" and len(written(shop)) == 1


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        ({"status": 401, "message": "Bad credentials"}, "credentials"),
        ({"status": 403, "message": "Resource not accessible by integration"}, "does not allow"),
        ({"status": 404, "message": "Not Found"}, "nothing there"),
        ({"status": 410, "message": "This issue was deleted"}, "nothing there"),
        ({"status": 422, "message": "Validation Failed"}, "422"),
    ],
)
def test_what_will_never_be_taken_fails_with_its_reason(
    approved: Delivery, github: GithubServer, failure: dict[str, Any], words: str
) -> None:
    github.fail("POST", "/comments", **failure)
    assert deliver(approved).state == "failed" and words in approved.error


def test_a_limit_is_waited_for_and_not_tried_against(approved: Delivery, shop: Repo, github: GithubServer) -> None:
    github.fail(
        "POST",
        "/comments",
        status=403,
        message="You have exceeded a secondary rate limit",
        headers={"Retry-After": "90"},
    )
    assert deliver(approved).state == "queued"
    assert timedelta(seconds=80) < approved.not_before - timezone.now() < timedelta(seconds=91)
    assert deliver(approved).state == "queued", "the account is known to be limited"
    assert len(github.requests) == 1
    GithubAccount.objects.update(limited_until=None)
    assert deliver(approved).state == "sent" and len(written(shop)) == 1


def test_a_primary_limit_lasts_until_its_reset(approved: Delivery, github: GithubServer) -> None:
    github.remaining = 0
    github.resets_at = int(timezone.now().timestamp()) + 1_800
    deliver(approved)
    assert timedelta(minutes=29) < approved.not_before - timezone.now() < timedelta(minutes=31)


def test_a_renamed_repository_is_answered_under_its_new_name(approved: Delivery, shop: Repo) -> None:
    shop.rename("acme/store")
    assert deliver(approved).state == "sent" and len(written(shop)) == 1


def test_a_redirect_to_another_host_is_not_followed(approved: Delivery, github: GithubServer) -> None:
    with GithubServer() as elsewhere:
        github.fail("POST", "/comments", status=307, headers={"Location": f"{elsewhere.url}/steal"})
        assert deliver(approved).state == "failed" and "another host" in approved.error
        assert elsewhere.requests == []


@pytest.mark.parametrize(
    ("change", "words"),
    [({"write_comments": False}, "switched off"), ({"disconnected_at": "2026-01-01T00:00Z"}, "disconnected")],
)
def test_nothing_goes_to_a_repository_that_does_not_want_it(
    approved: Delivery, github: GithubServer, change: dict[str, Any], words: str
) -> None:
    GithubRepository.objects.update(**change)
    assert deliver(approved).state == "failed" and words in approved.error
    assert github.requests == []


def test_a_deleted_issue_is_not_answered(hook: Hook, approved: Delivery, shop: Repo, github: GithubServer) -> None:
    hook("issues", shop.event("issues", "deleted", 1))
    assert deliver(approved).state == "failed" and "deleted" in approved.error and not github.asked("POST")


def test_an_app_writes_as_itself_with_one_token_for_many_comments(
    hook: Hook, shop: Repo, github: GithubServer, lead: User, repository: GithubRepository
) -> None:
    github.install(77, "acme", [shop])
    app = GithubAccount.objects.create(
        name="App", base_url=github.url, way="app", login="acme-triage[bot]", app_id=github.app_id,
        private_key=github.private_key, webhook_secret="the secret of the App",
    )  # fmt: skip
    installation = GithubInstallation.objects.create(account=app, installation_id=77, login="acme")
    GithubRepository.objects.update(account=app, installation=installation)
    for number in (1, 2):
        shop.issue(f"Crash {number}")
        hook("issues", shop.event("issues", "opened", number), secret="the secret of the App")
        ticket = Ticket.objects.order_by("-pk")[0]
        deliver(replies.approve(ticket=ticket, text="Update.", version=0, answers=last_seen(ticket), by=lead))
    assert {one["user"]["login"] for one in shop.comments.values()} == {"acme-triage[bot]"}
    assert len(shop.comments) == 2 and len(github.asked("POST", "access_tokens")) == 1
    installation.refresh_from_db()
    assert installation.token.open() == "ghs_1" and "ghs_1" not in installation.token.locked
    comment = next(iter(shop.comments.values()))
    hook("issue_comment", shop.event("issue_comment", "created", 1, comment=comment), secret="the secret of the App")
    assert not Message.objects.filter(kind="inbound", text__startswith="Update.").exists()
    GithubInstallation.objects.update(expires_at=timezone.now() + timedelta(minutes=2))
    ticket = Ticket.objects.order_by("pk")[0]
    Ticket.objects.update(status="in_review", resolved_at=None)
    seen = ticket.messages.filter(kind="outbound").latest("pk").pk
    again = replies.approve(ticket=ticket, text="Again.", version=0, answers=last_seen(ticket), replied=seen, by=lead)
    deliver(again)
    assert len(github.asked("POST", "access_tokens")) == 2, "a token near its end is not used"


def test_a_reply_too_long_for_a_comment_says_so(hook: Hook, shop: Repo, lead: User) -> None:
    shop.issue("Crash")
    hook("issues", shop.event("issues", "opened", 1))
    ticket = Ticket.objects.get()
    long = replies.approve(ticket=ticket, text="x" * 70_000, version=0, answers=last_seen(ticket), by=lead)
    assert deliver(long).state == "failed" and "65,536" in long.error


def test_a_comment_has_no_link_to_the_customers_page_and_a_mail_has(
    hook: Hook, shop: Repo, make_ticket: MakeTicket
) -> None:
    shop.issue("Crash")
    hook("issues", shop.event("issues", "opened", 1))
    public = Ticket.objects.get()
    assert not inquiry_of(public, list(public.messages.all())).link_follows
    mailed = make_ticket()
    assert inquiry_of(mailed, list(mailed.messages.all())).link_follows


def test_keys_are_read_out_of_comments_and_nonsense_is_not() -> None:
    from tickets.channels.github import marks_in

    key = uuid.uuid4()
    assert marks_in(f"Hello\n{mark_of(key)} <!-- triage-desk:{'-' * 36} -->") == [key]
