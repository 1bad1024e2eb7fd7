from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from tickets.actions import keys
from tickets.actions.errors import Conflict, Forbidden, Invalid, Refused
from tickets.models import ApiKey, SecurityEvent, Source
from triage.models import User

HOUR = timedelta(hours=1)


@pytest.fixture
def shop(taxonomy: None) -> tuple[ApiKey, str]:
    return keys.create(name="Shop", scopes=["read"], username=None, source_name="API")


def found(secret: str) -> ApiKey | None:
    return ApiKey.objects.in_force().of_secret(secret)


def later(key: ApiKey, by: timedelta) -> None:
    """Let time pass for a key."""
    moments = ("created_at", "previous_until", "expires_at", "revoked_at")
    ApiKey.objects.filter(pk=key.pk).update(**{name: F(name) - by for name in moments})


def test_a_key_ends_when_it_was_to_end(taxonomy: None) -> None:
    until = timezone.now() + HOUR
    key, secret = keys.create(name="Shop", scopes=["read"], username=None, source_name="API", expires_at=until)
    later(key, HOUR * 0.9)
    assert found(secret) == key and key.state == "in force"
    later(key, HOUR * 0.2)
    assert found(secret) is None
    assert ApiKey.objects.get().state == "expired"


def test_it_refuses_an_end_in_the_past(taxonomy: None) -> None:
    with pytest.raises(Invalid) as refused:
        keys.create(name="x", scopes=["read"], username=None, source_name="API", expires_at=timezone.now() - HOUR)
    assert refused.value.field == "expires"
    key, _ = keys.create(name="x", scopes=["read"], username=None, source_name="API")
    with pytest.raises(IntegrityError), transaction.atomic():
        ApiKey.objects.filter(pk=key.pk).update(expires_at=key.created_at - HOUR)


def test_it_refuses_a_source_whose_tickets_come_in_another_way(taxonomy: None) -> None:
    form = Source.objects.get(kind="form")
    with pytest.raises(Invalid) as refused:
        keys.create(name="Shop", scopes=["read"], username=None, source_name=form.name)
    assert refused.value.field == "source"


def test_old_letters_are_taken_for_the_grace_that_was_chosen_and_then_no_more(
    shop: tuple[ApiKey, str], lead: User
) -> None:
    key, old = shop
    held, new = keys.rotate(key=key, grace=HOUR, by=lead)
    assert new != old and held.prefix == new[:10]
    assert found(old) == found(new) == key
    later(key, HOUR * 1.1)
    assert (found(old), found(new)) == (None, key)


def test_without_grace_the_old_letters_end_at_once(shop: tuple[ApiKey, str], lead: User) -> None:
    _, new = keys.rotate(key=shop[0], grace=timedelta(0), by=lead)
    assert (found(shop[1]), found(new)) == (None, shop[0])


def test_of_three_letters_two_are_taken(shop: tuple[ApiKey, str], lead: User) -> None:
    key, first = shop
    second = keys.rotate(key=key, grace=HOUR, by=lead)[1]
    third = keys.rotate(key=key, grace=HOUR, by=lead)[1]
    assert [found(secret) for secret in (first, second, third)] == [None, key, key]


def test_revoking_ends_old_letters_too_and_is_undone_within_the_hour(shop: tuple[ApiKey, str], lead: User) -> None:
    key, old = shop
    new = keys.rotate(key=key, grace=HOUR, by=lead)[1]
    assert keys.revoke(key=key, by=lead)
    assert found(old) is found(new) is None
    with pytest.raises(Conflict):
        keys.rotate(key=key, grace=HOUR, by=lead)
    keys.restore(key=key, by=lead)
    assert found(old) == found(new) == key
    keys.revoke(key=key, by=lead)
    later(key, HOUR * 1.1)
    with pytest.raises(Conflict, match="more than an hour"):
        keys.restore(key=key, by=lead)


def test_a_key_of_somebody_who_left_is_not_brought_back(lead: User, agent: User, admin_of_desk: User) -> None:
    key, _ = keys.create(name="Ada", scopes=["read"], username="ada", source_name="API", by=admin_of_desk)
    keys.revoke(key=key, by=lead)
    User.objects.filter(pk=agent.pk).update(is_active=False)
    with pytest.raises(Conflict, match="does not work here"):
        keys.restore(key=key, by=lead)


def test_a_lead_makes_keys_in_nobodys_name_and_their_own_and_an_admin_in_anybodys(
    lead: User, agent: User, admin_of_desk: User
) -> None:
    keys.create(name="a", scopes=["write"], username=None, source_name="API", by=lead)
    keys.create(name="b", scopes=["approve"], username="lea", source_name="API", by=lead)
    with pytest.raises(Forbidden):
        keys.create(name="c", scopes=["approve"], username="ada", source_name="API", by=lead)
    made, _ = keys.create(name="d", scopes=["approve"], username="ada", source_name="API", by=admin_of_desk)
    with pytest.raises(Forbidden):  # whose letters would let the lead approve as Ada
        keys.rotate(key=made, grace=HOUR, by=lead)
    assert keys.revoke(key=made, by=lead)
    assert set(ApiKey.objects.values_list("name", "by__username")) == {("a", "lea"), ("b", "lea"), ("d", "alma")}


@pytest.mark.parametrize("who", ["agent", "auditor", "outsider"])
def test_nobody_else_keeps_keys(shop: tuple[ApiKey, str], who: str, request: pytest.FixtureRequest) -> None:
    user = request.getfixturevalue(who)
    attempts = (
        lambda: keys.create(name="x", scopes=["read"], username=None, source_name="API", by=user),
        lambda: keys.rotate(key=shop[0], grace=HOUR, by=user),
        lambda: keys.revoke(key=shop[0], by=user),
        lambda: keys.restore(key=shop[0], by=user),
    )
    for attempt in attempts:
        with pytest.raises(Refused):
            attempt()
    assert found(shop[1]) == shop[0] and ApiKey.objects.count() == 1


def test_the_security_log_holds_what_becomes_of_a_key_and_never_its_digest(
    shop: tuple[ApiKey, str], lead: User
) -> None:
    keys.rotate(key=shop[0], grace=HOUR, by=lead)
    keys.revoke(key=shop[0], by=lead)
    events = list(SecurityEvent.objects.filter(noun="key").order_by("pk"))
    assert [event.verb for event in events] == ["added", "changed", "changed"]
    assert set(events[0].after) == {"name", "prefix", "scopes", "expires_at", "revoked_at"}
    assert [set(event.after) for event in events[1:]] == [{"prefix"}, {"revoked_at"}]
