"""The door itself: who is let in, what is stored, what is answered."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import threading
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from pytest_django import Settings

from tests.github_server import GithubServer, Repo, signed
from tests.tickets.conftest import SECRET, Hook, work_through
from tickets.channels.github import endpoint, signature, window
from tickets.models import GithubAccount, GithubEvent, GithubInstallation, GithubRepository, Message, Source, Ticket

pytestmark = pytest.mark.django_db
ADDRESS = "/webhooks/github"


def post(client: Client, body: bytes, **headers: str) -> Any:
    return client.post(ADDRESS, body, content_type="application/json", headers=headers)


@pytest.fixture
def opened(shop: Repo) -> dict[str, Any]:
    shop.issue("Checkout crashes", body="Since **1.4** it crashes.\n\nHelp.")
    return shop.event("issues", "opened", 1)


def test_an_opened_issue_is_answered_202_and_becomes_a_ticket(hook: Hook, opened: dict[str, Any]) -> None:
    answer = hook("issues", opened, delivery="72d3162e-cc78-11e3")
    assert answer.status_code == 202
    assert answer.json()["status"] == "accepted" and answer.json()["repository"] == "acme/shop"
    assert answer.json()["correlation_id"] == answer["X-Correlation-ID"]
    ticket = Ticket.objects.get()
    assert (ticket.subject, ticket.source.name, ticket.external_id) == ("Checkout crashes", "acme/shop", "1")
    assert ticket.messages.get().text.startswith("Since **1.4** it crashes.")
    assert ticket.requester is not None and ticket.requester.name == "kim"
    assert ticket.correlation_id == answer.json()["correlation_id"]


def test_the_payload_is_archived_as_it_came_and_the_issue_with_its_ticket(hook: Hook, opened: dict[str, Any]) -> None:
    opened["odd"] = {"emoji": "\u2713", "number": 1.5, "nul": "a\x00b"}
    hook("issues", opened)
    event, ticket = GithubEvent.objects.get(), Ticket.objects.get()
    assert event.ticket == ticket and event.content["odd"]["emoji"] == "\u2713"
    assert event.content["issue"] == opened["issue"]
    assert ticket.raw is not None and ticket.raw["body"] == opened["issue"]["body"]


def test_it_is_stored_before_it_is_worked_through(hook: Hook, opened: dict[str, Any]) -> None:
    hook("issues", opened, work=False)
    event = GithubEvent.objects.get()
    assert event.state == "queued" and event.content == opened and not Ticket.objects.exists()
    work_through()
    event.refresh_from_db()
    assert (event.state, event.ticket) == ("done", Ticket.objects.get())


def test_the_same_delivery_again_is_answered_200_with_the_first_result(hook: Hook, opened: dict[str, Any]) -> None:
    first = hook("issues", opened, delivery="once")
    again = hook("issues", opened, delivery="once")
    assert again.status_code == 200
    assert {**again.json(), **first.json()} == again.json()
    assert again.json()["ticket"] == Ticket.objects.get().number
    assert GithubEvent.objects.count() == 1


def test_the_same_issue_in_another_delivery_is_no_second_ticket(hook: Hook, opened: dict[str, Any]) -> None:
    for delivery in ("one", "two", "three"):
        assert hook("issues", opened, delivery=delivery).status_code == 202
    assert Ticket.objects.count() == Message.objects.count() == 1


def test_without_a_delivery_id_the_same_body_is_the_same_delivery(
    client: Client, repository: GithubRepository, opened: dict[str, Any]
) -> None:
    body, headers = signed(SECRET, opened, "issues", "")
    headers.pop("X-GitHub-Delivery")
    assert [post(client, body, **headers).status_code for _ in range(3)] == [202, 200, 200]


@pytest.mark.parametrize(
    "given",
    ["", "sha256=", "sha256=" + "0" * 64, "SHA256=" + "a" * 64, "sha256=" + "g" * 64, "ünicode"],
)
def test_a_wrong_or_missing_signature_is_refused(
    client: Client, repository: GithubRepository, opened: dict[str, Any], given: str
) -> None:
    headers = {"X-GitHub-Event": "issues", "X-GitHub-Delivery": "1", "X-Hub-Signature-256": given}
    answer = post(client, json.dumps(opened).encode(), **headers)
    assert answer.status_code == 401 and answer.json()["code"] == "bad_signature"
    assert not GithubEvent.objects.exists()


def test_the_old_sha1_signature_alone_is_refused(
    client: Client, repository: GithubRepository, opened: dict[str, Any]
) -> None:
    body = json.dumps(opened).encode()
    sha1 = "sha1=" + hmac.new(SECRET.encode(), body, hashlib.sha1).hexdigest()
    answer = post(client, body, **{"X-GitHub-Event": "issues", "X-GitHub-Delivery": "1", "X-Hub-Signature": sha1})
    assert answer.status_code == 401


def test_a_body_that_was_changed_after_it_was_signed_is_refused(
    client: Client, repository: GithubRepository, opened: dict[str, Any]
) -> None:
    body, headers = signed(SECRET, opened, "issues", "1")
    assert post(client, body.replace(b"crashes", b"crashed"), **headers).status_code == 401
    assert post(client, body + b" ", **headers).status_code == 401


def test_it_is_closed_to_all_where_no_secret_is_set(client: Client, db: None, opened: dict[str, Any]) -> None:
    body, headers = signed("", opened, "issues", "1")
    assert post(client, body, **headers).status_code == 401
    assert not GithubEvent.objects.exists()


def test_a_secret_that_cannot_be_opened_lets_nothing_in(hook: Hook, opened: dict[str, Any], settings: Settings) -> None:
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another key", []
    from tickets.channels.github.signature import _open

    _open.cache_clear()
    assert hook("issues", opened).status_code == 401


def test_signatures_are_compared_in_constant_time(
    hook: Hook, opened: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str] = []
    real = hmac.compare_digest

    def watched(ours: str, given: str) -> bool:
        compared.append(given)
        return real(ours, given)

    monkeypatch.setattr("tickets.channels.github.signature.hmac.compare_digest", watched)
    assert hook("issues", opened).status_code == 202
    assert len(compared) == 1


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The secrets that bodies were hashed with."""
    secrets: list[str] = []
    real = signature.sign

    def watched(secret: str, body: bytes) -> str:
        secrets.append(secret)
        return real(secret, body)

    monkeypatch.setattr("tickets.channels.github.signature.sign", watched)
    return secrets


def twenty_more(account: GithubAccount) -> None:
    for number in range(20):
        source = Source.objects.create(name=f"acme/r{number}", kind="github")
        GithubRepository.objects.create(
            source=source, account=account, full_name=source.name, github_id=9_000 + number, secret=f"secret {number}"
        )


@pytest.mark.parametrize(
    "body",
    [
        b'{"x": "%s"}',
        b'{"x": "%s", "repository": {"id": 9005, "full_name": "acme/r5"}}',
        b'{"x": "%s", "repository": {"id": 77, "full_name": "ACME/R6"}}',
        b'"repository":{"id":9001} "repository":{"id":9002} "repository":{"id":9003} "repository":{"id":9004} %s'
        b'"repository":{"id":9005} "repository":{"id":9006} "repository":{"id":9007} "repository":{"id":9008}',
        b"payload=%s%%22repository%%22%%3A+%%7B%%22id%%22%%3A+9005%%7D",
    ],
)
def test_a_large_body_without_a_secret_is_not_hashed_for_every_repository(
    client: Client, account: GithubAccount, hashed: list[str], body: bytes
) -> None:
    twenty_more(account)
    headers = {"X-GitHub-Event": "issues", "X-GitHub-Delivery": "1", "X-Hub-Signature-256": "sha256=" + "0" * 64}
    assert post(client, body % (b"x" * 1_000_000), **headers).status_code == 401
    assert len(hashed) <= 6


def test_repositories_that_share_a_secret_are_hashed_once(
    client: Client, account: GithubAccount, hashed: list[str]
) -> None:
    twenty_more(account)
    GithubRepository.objects.update(secret="one for all")
    headers = {"X-GitHub-Event": "issues", "X-GitHub-Delivery": "1", "X-Hub-Signature-256": "sha256=" + "0" * 64}
    assert post(client, b"{}", **headers).status_code == 401
    assert len(hashed) == 1


@pytest.mark.parametrize("as_form", [False, True])
@pytest.mark.parametrize("padded", ["before", "inside", "behind"])
def test_a_large_signed_body_is_taken_whoever_else_is_connected(
    client: Client,
    account: GithubAccount,
    repository: GithubRepository,
    opened: dict[str, Any],
    padded: str,
    as_form: bool,
) -> None:
    twenty_more(account)
    padding = 'x "repository": {"id": 1} ' * 20_000
    if padded == "inside":
        opened["issue"]["body"] = padding[:200_000]
    content = {"before": {"a": padding, **opened}, "inside": opened, "behind": {**opened, "z": padding}}[padded]
    text = json.dumps(content)
    body = urlencode({"payload": text}).encode() if as_form else text.encode()
    headers = {
        "X-GitHub-Event": "issues",
        "X-GitHub-Delivery": "1",
        "X-Hub-Signature-256": signature.sign(SECRET, body),
    }
    kind = "application/x-www-form-urlencoded" if as_form else "application/json"
    assert client.post(ADDRESS, body, content_type=kind, headers=headers).status_code == 202


def test_a_large_body_of_an_app_is_taken_without_the_header_that_names_the_app(
    hook: Hook, app: GithubAccount, github: GithubServer
) -> None:
    from tickets.actions import github_accounts

    mine = github.repository("acme/api")
    made, _ = github_accounts.connect(account=app, full_name="acme/api", by=None)
    GithubRepository.objects.filter(pk=made.pk).update(github_id=mine.id)
    mine.issue("A")
    event = {**mine.event("issues", "opened", 1), "padding": "x" * 1_000_000}
    assert hook("issues", event, secret="the secret of the App").status_code == 202


def test_the_secret_of_one_repository_does_not_speak_for_another(
    hook: Hook, opened: dict[str, Any], github: GithubServer, account: GithubAccount
) -> None:
    other = github.repository("acme/other")
    from tickets.actions import github_accounts

    github_accounts.connect(account=account, full_name="acme/other", by=None, secret="the secret of another")
    other.issue("Not yours")
    assert hook("issues", other.event("issues", "opened", 1)).status_code == 401
    assert hook("issues", opened, secret="the secret of another").status_code == 401


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'"text"', b"\xff\xfe", b"[" * 100_000])
def test_a_signed_body_that_is_no_json_object_is_400(client: Client, repository: GithubRepository, body: bytes) -> None:
    made = signature.sign(SECRET, body)
    headers = {"X-GitHub-Event": "issues", "X-GitHub-Delivery": "1", "X-Hub-Signature-256": made}
    answer = post(client, body, **headers)
    assert answer.status_code == 400 and answer.json()["code"] == "bad_json"


def test_a_missing_event_header_is_400(client: Client, repository: GithubRepository, opened: dict[str, Any]) -> None:
    body, headers = signed(SECRET, opened, "issues", "1")
    headers.pop("X-GitHub-Event")
    answer = post(client, body, **headers)
    assert answer.status_code == 400 and "X-GitHub-Event" in answer.json()["detail"]


def test_an_event_without_its_issue_is_400_and_names_the_place(hook: Hook, opened: dict[str, Any]) -> None:
    opened["issue"] = {"number": "seven"}
    answer = hook("issues", opened)
    assert answer.status_code == 400 and "number" in answer.json()["detail"]


def test_an_event_of_another_kind_is_ignored_with_the_reason(hook: Hook, opened: dict[str, Any]) -> None:
    answer = hook("deployment_status", {"repository": opened["repository"]})
    assert answer.status_code == 200
    assert answer.json()["status"] == "ignored" and "deployment_status" in answer.json()["reason"]
    assert not GithubEvent.objects.exists()


def test_a_ping_is_answered_and_shows_that_the_webhook_is_set_up(
    hook: Hook, shop: Repo, repository: GithubRepository
) -> None:
    answer = hook("ping", {"zen": "Keep it logically awesome.", "hook_id": 1, "hook": {}, "repository": shop.as_json()})
    assert (answer.status_code, answer.json()["status"]) == (200, "pong")
    repository.refresh_from_db()
    assert repository.heard_at is not None


def test_more_than_25_mb_are_413_and_not_read(client: Client, repository: GithubRepository) -> None:
    headers = {"X-GitHub-Event": "issues", "X-GitHub-Delivery": "1", "X-Hub-Signature-256": "sha256=" + "0" * 64}
    answer = post(client, b"x" * (endpoint.BODY_LIMIT + 1), **headers)
    assert answer.status_code == 413

    class Endless(io.BytesIO):
        """Says that it is short, and is not."""

        def read(self, size: int | None = -1, /) -> bytes:
            assert size is not None and 0 < size <= endpoint.BODY_LIMIT + 1
            return b"x" * size

    from django.test import RequestFactory

    request = RequestFactory().post(ADDRESS, b"", content_type="application/json", headers=headers)
    request._stream = Endless()
    assert endpoint.webhook(request).status_code == 413

    class Unread(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise AssertionError("what says that it is too long is not read")

    request = RequestFactory().post(ADDRESS, b"", content_type="application/json", headers=headers)
    request.META["CONTENT_LENGTH"] = request.META["HTTP_CONTENT_LENGTH"] = str(endpoint.BODY_LIMIT + 1)
    request._stream = Unread()
    assert endpoint.webhook(request).status_code == 413


def test_a_payload_of_some_megabytes_is_taken(hook: Hook, opened: dict[str, Any]) -> None:
    opened["padding"] = "x" * 4_000_000
    assert hook("issues", opened).status_code == 202


def test_a_webhook_that_sends_forms_is_understood_too(
    client: Client, repository: GithubRepository, opened: dict[str, Any]
) -> None:
    body = urlencode({"payload": json.dumps(opened)}).encode()
    made = signature.sign(SECRET, body)
    headers = {"X-GitHub-Event": "issues", "X-GitHub-Delivery": "1", "X-Hub-Signature-256": made}
    answer = client.post(ADDRESS, body, content_type="application/x-www-form-urlencoded", headers=headers)
    assert answer.status_code == 202


def test_who_cannot_sign_is_held_up_and_who_can_is_not(
    client: Client, hook: Hook, opened: dict[str, Any], settings: Settings
) -> None:
    settings.GITHUB_REFUSED_PER_WINDOW = 3
    headers = {"X-GitHub-Event": "issues", "X-GitHub-Delivery": "1", "X-Forwarded-For": "10.0.0.1"}
    statuses = []
    for number in range(5):
        headers["X-Forwarded-For"] = f"10.0.0.{number}"  # anybody can say that of themselves
        answer = post(client, b"{}", **headers)
        statuses.append(answer.status_code)
    assert statuses == [401, 401, 401, 429, 429]
    assert 1 <= int(answer["Retry-After"]) <= settings.GITHUB_WINDOW
    assert hook("issues", opened).status_code == 202


def test_a_source_that_sends_too_much_is_told_when_to_send_again(
    hook: Hook, shop: Repo, opened: dict[str, Any], settings: Settings
) -> None:
    settings.GITHUB_PER_WINDOW = 2
    cache.clear()
    answers = [hook("issues", opened, delivery=f"{n}", work=False) for n in range(4)]
    assert [answer.status_code for answer in answers] == [202, 202, 429, 429]
    assert [answer["X-RateLimit-Remaining"] for answer in answers[:3]] == ["1", "0", "0"]
    assert answers[0]["X-RateLimit-Limit"] == "2" and answers[0]["X-RateLimit-Window"] == "60"
    assert int(answers[3]["Retry-After"]) >= 1
    cache.clear()


def test_every_signed_answer_says_how_much_room_is_left(hook: Hook, opened: dict[str, Any], settings: Settings) -> None:
    settings.GITHUB_PER_WINDOW = 50
    cache.clear()
    for answer in (hook("issues", opened), hook("ping", {"repository": opened["repository"]}), hook("star", opened)):
        assert answer["X-RateLimit-Limit"] == "50" and answer["X-RateLimit-Window"] == "60"
        assert 40 <= int(answer["X-RateLimit-Remaining"]) < 50
    settings.GITHUB_PER_WINDOW = 0
    assert "X-RateLimit-Limit" not in hook("issues", opened, delivery="unlimited")
    cache.clear()


def test_the_window_slides(settings: Settings) -> None:
    cache.clear()
    settings.GITHUB_WINDOW = 60
    start = 1_000 * 60.0
    assert [window.take("a", 10, start + 50).wait for _ in range(10)] == [0] * 10
    assert window.take("a", 10, start + 50).wait == 10  # seconds to the end of the window
    # Ten seconds into the next window five sixths of the ten before still count: room for one.
    assert window.take("a", 10, start + 70).wait == 0
    assert window.take("a", 10, start + 70).wait > 0
    # At its middle half of them do.
    assert [window.take("a", 10, start + 90).wait for _ in range(4)] == [0, 0, 0, 0]
    assert window.take("a", 10, start + 90).wait > 0
    assert window.take("b", 10, start + 90).wait == 0
    cache.clear()


def test_pull_requests_are_ignored_until_a_repository_wants_them(
    hook: Hook, shop: Repo, repository: GithubRepository
) -> None:
    shop.pull("Fix the crash", body="It does.")
    shop.comment(1, "Nice.")
    event = shop.event("pull_request", "opened", 1)
    answer = hook("pull_request", event)
    assert answer.status_code == 200 and "pull requests" in answer.json()["reason"]
    comment = shop.event("issue_comment", "created", 1, comment=next(iter(shop.comments.values())))
    assert hook("issue_comment", comment).json()["status"] == "ignored"
    assert not Ticket.objects.exists()
    repository.pull_requests = True
    repository.save()
    assert hook("pull_request", event).status_code == 202
    assert Ticket.objects.get().github.kind == "pull_request"


def test_a_switched_off_source_takes_nothing(hook: Hook, opened: dict[str, Any]) -> None:
    Source.objects.filter(name="acme/shop").update(active=False)
    assert hook("issues", opened).json()["status"] == "ignored"


def test_a_disconnected_repository_is_a_stranger(
    hook: Hook, opened: dict[str, Any], repository: GithubRepository
) -> None:
    GithubRepository.objects.update(disconnected_at="2026-01-01T00:00Z")
    assert hook("issues", opened).status_code == 401


@pytest.fixture
def app(github: GithubServer, taxonomy: None) -> GithubAccount:
    return GithubAccount.objects.create(
        name="acme-triage[bot]", base_url=github.url, way="app", login="acme-triage[bot]", app_id=github.app_id,
        private_key=github.private_key, webhook_secret="the secret of the App",
    )  # fmt: skip


def test_an_app_speaks_for_its_connected_repositories_alone(
    hook: Hook, app: GithubAccount, github: GithubServer, opened: dict[str, Any]
) -> None:
    from tickets.actions import github_accounts

    mine, stranger = github.repository("acme/api"), github.repository("acme/web")
    made, _ = github_accounts.connect(account=app, full_name="acme/api", by=None, secret="not used by the App")
    GithubRepository.objects.filter(pk=made.pk).update(github_id=mine.id)
    mine.issue("A")
    stranger.issue("B")
    target = {"X-GitHub-Hook-Installation-Target-Type": "integration", "X-GitHub-Hook-Installation-Target-ID": "4242"}
    secret = "the secret of the App"
    assert hook("issues", mine.event("issues", "opened", 1), secret=secret, headers=target).status_code == 202
    answer = hook("issues", stranger.event("issues", "opened", 1), secret=secret, headers=target)
    assert answer.json() == {"status": "ignored", "reason": "this repository is not connected", "event": "issues"}
    assert [ticket.source.name for ticket in Ticket.objects.all()] == ["acme/api"]


def test_installations_come_and_go_with_their_events(hook: Hook, app: GithubAccount, github: GithubServer) -> None:
    from tickets.actions import github_accounts

    mine = github.repository("acme/api")
    made, _ = github_accounts.connect(account=app, full_name="acme/api", by=None)
    GithubRepository.objects.filter(pk=made.pk).update(github_id=mine.id)
    said = {"id": 99, "account": {"login": "acme"}}
    secret = "the secret of the App"
    hook("installation", {"action": "created", "installation": said, "repositories": [mine.as_json()]}, secret=secret)
    made.refresh_from_db()
    assert made.installation is not None and made.installation.login == "acme"
    hook("installation", {"action": "suspend", "installation": said}, secret=secret)
    assert GithubInstallation.objects.get().suspended
    hook("installation", {"action": "unsuspend", "installation": said}, secret=secret)
    assert not GithubInstallation.objects.get().suspended
    removed: dict[str, Any] = {"action": "removed", "installation": said, "repositories_removed": [mine.as_json()]}
    hook("installation_repositories", removed, secret=secret)
    lost = GithubRepository.objects.get(pk=made.pk)
    assert lost.installation is None and "no access" in lost.error
    added = {"action": "added", "installation": said, "repositories_added": [mine.as_json()]}
    hook("installation_repositories", added, secret=secret)
    again = GithubRepository.objects.get(pk=made.pk)
    assert again.installation is not None and again.error == ""
    hook("installation", {"action": "deleted", "installation": said}, secret=secret)
    again = GithubRepository.objects.get(pk=made.pk)
    assert again.installation is None and "Install it again" in again.error


def test_a_renamed_repository_keeps_its_door(hook: Hook, shop: Repo, repository: GithubRepository) -> None:
    shop.issue("Before")
    hook("issues", shop.event("issues", "opened", 1))
    shop.rename("acme/store")
    assert hook("repository", {"action": "renamed", "repository": shop.as_json()}).status_code == 202
    shop.issue("After")
    assert hook("issues", shop.event("issues", "opened", 2)).status_code == 202
    repository.refresh_from_db()
    assert repository.full_name == "acme/store"
    assert Ticket.objects.filter(source=repository.source).count() == 2


@pytest.mark.django_db(transaction=True)
def test_the_same_delivery_a_hundred_times_at_once_makes_one_ticket(
    repository: GithubRepository, opened: dict[str, Any]
) -> None:
    body, headers = signed(SECRET, opened, "issues", "the-same")
    statuses: list[int] = []
    gate = threading.Barrier(20)

    def knock() -> None:
        try:
            gate.wait()
            for _ in range(5):
                statuses.append(post(Client(), body, **headers).status_code)
                work_through()
        finally:
            connection.close()

    threads = [threading.Thread(target=knock) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(set(statuses)) == [200, 202] and statuses.count(202) == 1 and len(statuses) == 100
    assert Ticket.objects.count() == GithubEvent.objects.count() == Message.objects.count() == 1
