from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from tickets.actions import inviting
from tickets.actions.errors import Conflict, Invalid
from tickets.models import Agent, Invitation, SecurityEvent, Team
from triage.models import User


def invite(by: User, email: str = "nora@example.org", role: str = "agent") -> Invitation:
    return inviting.invite(email=email, role=role, teams=[Team.objects.get(key="billing")], by=by)


def accept(invitation: Invitation, username: str = "nora", password: str | None = "a long password") -> User:
    return inviting.accept(
        invitation=invitation, username=username, first_name="Nora", last_name="Sand", password=password
    )


def test_who_accepts_has_the_address_role_and_teams_that_were_offered(admin_of_desk: User) -> None:
    user = accept(invite(admin_of_desk, email=" Nora@Example.org ", role="lead"))
    agent = Agent.objects.get(user=user)
    assert (user.email, agent.role, [team.key for team in agent.teams.all()]) == (
        "nora@example.org",
        "lead",
        ["billing"],
    )
    assert user.check_password("a long password")
    accepted = SecurityEvent.objects.filter(noun="invitation", verb="changed").latest("pk")
    assert (accepted.person, "accepted_at" in accepted.after) == (user.pk, True)


def test_an_offer_is_taken_once(admin_of_desk: User) -> None:
    invitation = invite(admin_of_desk)
    accept(invitation)
    with pytest.raises(Conflict):
        accept(invitation, username="another")
    assert User.objects.filter(email="nora@example.org").count() == 1


def test_an_offer_that_ran_out_or_was_taken_back_is_not_taken(admin_of_desk: User) -> None:
    late = invite(admin_of_desk)
    Invitation.objects.filter(pk=late.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    back = invite(admin_of_desk, email="other@example.org")
    inviting.revoke(invitation=back, by=admin_of_desk)
    for invitation in (late, back):
        with pytest.raises(Conflict):
            accept(invitation)
    with pytest.raises(Conflict):
        inviting.revoke(invitation=back, by=admin_of_desk)


def test_inviting_again_renews_the_offer_and_ends_the_link_before(admin_of_desk: User) -> None:
    first = invite(admin_of_desk)
    link = first.signed_id
    second = invite(admin_of_desk, role="lead")
    assert (second.pk, second.role) == (first.pk, "lead")
    assert Invitation.of(link) is None
    assert Invitation.of(second.signed_id) == second
    assert Invitation.of(second.signed_id[:-2] + "xx") is None


def test_an_address_has_one_open_offer_whatever_its_letters(admin_of_desk: User) -> None:
    invite(admin_of_desk)
    with pytest.raises(IntegrityError), transaction.atomic():
        Invitation.objects.create(email="NORA@example.org")


def test_who_works_or_worked_here_is_not_invited(admin_of_desk: User, agent: User) -> None:
    with pytest.raises(Conflict, match="works here already"):
        invite(admin_of_desk, email="ADA@example.org")
    User.objects.filter(pk=agent.pk).update(is_active=False)
    with pytest.raises(Conflict, match="activate that account again"):
        invite(admin_of_desk, email="ada@example.org")


@pytest.mark.parametrize("email", ["", "nora", "nora@", "a b@example.org", "x" * 250 + "@example.org"])
def test_what_is_no_address_is_refused(admin_of_desk: User, email: str) -> None:
    with pytest.raises(Invalid):
        invite(admin_of_desk, email=email)


@pytest.mark.parametrize(
    ("username", "password", "field"),
    [
        ("ADA", "a long password", "username"),
        ("no spaces", "a long password", "username"),
        ("n" * 151, "a long password", "username"),
        ("nora", "12345678", "password"),
        ("nora", "short", "password"),
        ("nora", "", "password"),
    ],
)
def test_a_taken_name_or_a_weak_password_is_refused_by_its_field(
    admin_of_desk: User, agent: User, username: str, password: str, field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        accept(invite(admin_of_desk), username=username, password=password)
    assert refused.value.field == field
    assert Invitation.objects.pending().count() == 1


def test_without_a_name_one_is_made_from_the_address_that_nobody_has(admin_of_desk: User) -> None:
    User.objects.create_user("nora")
    user = accept(invite(admin_of_desk), username="", password=None)
    assert user.username == "nora2"
    assert not user.has_usable_password()
