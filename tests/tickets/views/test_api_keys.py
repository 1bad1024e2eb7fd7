from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests.tickets.channels.conftest import ApiClient
from tickets.actions import keys
from tickets.models import ApiKey, SecurityEvent
from triage.models import User

PAGE = "/settings/api-keys/"
GIVEN = {"name": "Web shop", "source": "Shop", "scopes": ["read", "write"], "expires": "90"}
SECRET = re.compile(r'id="api-key">(td_[\w-]{40,})<')


@pytest.fixture
def desk(client: Client, lead: User) -> Client:
    client.force_login(lead)
    return client


def made(desk: Client, **changes: object) -> tuple[ApiKey, str]:
    shown = desk.post(PAGE, {**GIVEN, **changes})
    found = SECRET.search(shown.content.decode())
    assert found is not None and shown.headers["Cache-Control"].find("no-store") >= 0
    return ApiKey.objects.latest("pk"), found.group(1)


def test_a_key_is_made_shown_once_and_works(desk: Client) -> None:
    key, secret = made(desk)
    assert (key.name, key.source.name, key.user, key.by.username if key.by else "") == ("Web shop", "Shop", None, "lea")
    assert key.expires_at and timedelta(days=89) < key.expires_at - timezone.now() < timedelta(days=91)
    assert ApiClient(secret).send("get", "/stats").status_code == 200
    for address in (PAGE, f"{PAGE}{key.pk}/"):
        assert secret not in desk.get(address).content.decode()


def test_the_page_says_when_and_from_where_a_key_was_used_last(desk: Client) -> None:
    key, secret = made(desk)
    assert "Never used" in desk.get(PAGE).content.decode()
    ApiClient(secret).get("/api/v1/stats", headers={"X-API-KEY": secret}, REMOTE_ADDR="198.51.100.7")
    shown = desk.get(PAGE).content.decode()
    assert "Never used" not in shown and "from 198.51.100.7" in shown
    key.refresh_from_db()
    first = key.last_used_at
    ApiClient(secret).get("/api/v1/stats", REMOTE_ADDR="198.51.100.8")
    key.refresh_from_db()
    assert (key.last_used_at, key.last_used_from) == (first, "198.51.100.7")  # at most once a minute
    ApiKey.objects.update(last_used_at=timezone.now() - timedelta(minutes=2))
    ApiClient(secret).get("/api/v1/stats", REMOTE_ADDR="198.51.100.8")
    key.refresh_from_db()
    assert key.last_used_from == "198.51.100.8"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": " "}, "has a name"),
        ({"scopes": []}, "at least one"),
        ({"scopes": ["approve"]}, "acts for a person"),
        ({"source": " "}, "Name the source"),
        ({"user": "nobody"}, "no active user"),
    ],
)
def test_what_is_wrong_is_said_and_what_was_typed_is_kept(desk: Client, changes: dict[str, object], said: str) -> None:
    shown = desk.post(PAGE, {**GIVEN, **changes})
    text = shown.content.decode()
    assert shown.status_code == 422 and said in text
    assert 'value="90" selected' in text and not ApiKey.objects.exists()


def test_a_lead_is_offered_themselves_and_an_admin_everybody_who_decides(
    client: Client, lead: User, agent: User, auditor: User, admin_of_desk: User
) -> None:
    def offered(user: User) -> set[str]:
        client.force_login(user)
        select = client.get(PAGE).content.decode().partition('id="key-user"')[2].partition("</select>")[0]
        return set(re.findall(r'value="(\w+)"', select))

    assert offered(lead) == {"lea"}
    assert offered(admin_of_desk) == {"lea", "ada", "alma"}
    client.force_login(lead)
    assert client.post(PAGE, {**GIVEN, "user": "ada"}).status_code == 403
    assert not ApiKey.objects.exists()


def test_rotation_shows_other_letters_and_the_old_ones_go_on_for_the_time_chosen(desk: Client) -> None:
    key, old = made(desk)
    shown = desk.post(f"{PAGE}{key.pk}/rotation/", {"grace": "24"}).content.decode()
    found = SECRET.search(shown)
    assert found is not None and found.group(1) != old and "is taken until" in shown
    assert [ApiClient(secret).send("get", "/stats").status_code for secret in (old, found.group(1))] == [200, 200]
    assert "Old key until" in desk.get(PAGE).content.decode()
    ApiKey.objects.update(previous_until=timezone.now())
    assert [ApiClient(secret).send("get", "/stats").status_code for secret in (old, found.group(1))] == [401, 200]


def test_a_grace_that_is_not_offered_is_refused(desk: Client) -> None:
    key, secret = made(desk)
    for grace in ("", "-1", "9999", "x"):
        assert desk.post(f"{PAGE}{key.pk}/rotation/", {"grace": grace}).status_code == 422
    assert ApiClient(secret).send("get", "/stats").status_code == 200


def test_a_revoked_key_is_refused_until_it_is_undone(desk: Client) -> None:
    key, secret = made(desk)
    shown = desk.post(f"{PAGE}{key.pk}/revocation/", follow=True).content.decode()
    assert 'id="undo-revocation"' in shown and "No longer in force (1)" in shown
    refused = ApiClient(secret).send("get", "/stats")
    assert (refused.status_code, refused.json()["code"]) == (401, "unknown_key")
    desk.post(f"{PAGE}{key.pk}/revocation/reversal/")
    assert ApiClient(secret).send("get", "/stats").status_code == 200
    desk.post(f"{PAGE}{key.pk}/revocation/")
    ApiKey.objects.update(revoked_at=timezone.now() - timedelta(hours=2))
    assert desk.post(f"{PAGE}{key.pk}/revocation/reversal/").status_code == 409
    assert "Bring back" not in desk.get(PAGE).content.decode()


def test_a_key_that_has_run_out_is_told_so(desk: Client) -> None:
    key, secret = made(desk)
    past = timezone.now() - timedelta(days=1)
    ApiKey.objects.update(created_at=past - timedelta(days=1), expires_at=past)
    refused = ApiClient(secret).send("get", "/stats")
    assert (refused.status_code, refused.json()["code"]) == (401, "key_expired")
    assert f"{past:%Y-%m-%d}" in refused.json()["detail"]
    assert "Has run out" in desk.get(f"{PAGE}{key.pk}/").content.decode()


def test_an_auditor_looks_and_is_offered_nothing_to_do(client: Client, auditor: User, taxonomy: None) -> None:
    key, _ = keys.create(name="Shop", scopes=["read"], username=None, source_name="API")
    client.force_login(auditor)
    for address in (PAGE, f"{PAGE}{key.pk}/"):
        shown = client.get(address).content.decode()
        assert "Shop" in shown
        assert not re.search(r'id="(make-key|rotate|revoke)"', shown)


def test_the_security_log_says_it_in_words(client: Client, admin_of_desk: User) -> None:
    client.force_login(admin_of_desk)
    key, _ = made(client)
    for step in ("rotation/", "revocation/", "revocation/reversal/"):
        client.post(f"{PAGE}{key.pk}/{step}", {"grace": "1"})
    shown = client.get("/settings/security-log/").content.decode()
    for words in (
        "made the API key Web shop",
        "gave other letters to",
        "revoked an API key",
        "brought back an API key",
    ):
        assert words in shown
    assert SecurityEvent.objects.filter(noun="key").count() == 4
