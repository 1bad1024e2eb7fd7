"""What an admin decides about colleagues: role, teams, leaving and coming back, and the second factor."""

from __future__ import annotations

from collections.abc import Collection

from allauth.mfa.models import Authenticator
from django.db import transaction
from django.utils import timezone

from tickets.actions.assignment import release
from tickets.actions.errors import Conflict, Forbidden, Invalid
from tickets.actions.sessions import ROLE, end_all, look_again
from tickets.models import Agent, ApiKey, Invitation, SignInPolicy, Team, administers
from triage.models import User

MOST_CARRIED = 1000


def require_admin(by: User) -> None:
    """Raise Forbidden unless this is an admin."""
    if not administers(by):
        raise Forbidden("not_an_admin", "Only admins decide who works here, and as what.")


def change(*, user: User, role: str, teams: Collection[Team], capacity: int, available: bool, by: User) -> Agent:
    """Give somebody a role, teams and a load. Holds from their next request on; open desks connect anew.

    Open tickets that they have and will see no more are nobody's again.
    Whoever is made less than an admin loses what Django knows of rights besides: superuser, staff and permissions.
    """
    require_admin(by)
    if role not in Agent.Role.values:
        raise Invalid("not_a_choice", "That is no role.", field="role")
    if not 0 <= capacity <= MOST_CARRIED:
        raise Invalid("not_a_choice", f"A load is between 0 and {MOST_CARRIED} tickets.", field="capacity")
    with transaction.atomic():
        if role == Agent.Role.AGENT and teams:  # before anybody is locked: whoever is given a ticket holds that first
            release(user=user, by=by, but=teams)
        held = _lock(user)
        _mind_superusers(held, by)
        agent, _ = Agent.objects.get_or_create(user=held)
        if role != Agent.Role.ADMIN and administers(held):
            _keep_an_admin(but=held)
            held.is_superuser = held.is_staff = False
            held.save(update_fields=["is_superuser", "is_staff"])
            held.user_permissions.clear()
            held.groups.clear()
        agent.role, agent.capacity, agent.available = role, capacity, available
        agent.save(update_fields=["role", "capacity", "available"])
        agent.teams.set(teams)
        look_again(held, ROLE)
    return agent


def deactivate(*, user: User, by: User) -> int:
    """Let somebody go: their sessions and keys end, their open tickets are nobody's again. Returns how many those are.

    What they wrote stays, their drafts too; so does their name in the history.
    """
    require_admin(by)
    if user.pk == by.pk:
        raise Conflict("oneself", "Nobody deactivates themselves: another admin has to.")
    with transaction.atomic():
        count = release(user=user, by=by)
        held = _lock(user)
        _mind_superusers(held, by)
        if administers(held):
            _keep_an_admin(but=held)
        now = timezone.now()
        held.is_active = False
        held.save(update_fields=["is_active"])
        ApiKey.objects.filter(user=held, revoked_at=None).update(revoked_at=now)
        Invitation.objects.undecided().filter(invited_by=held).update(revoked_at=now)
        end_all(user=held)
    return count


def reactivate(*, user: User, by: User) -> None:
    """Let somebody back in, with the role and teams they had. Keys that ended stay ended."""
    require_admin(by)
    with transaction.atomic():
        held = _lock(user)
        _mind_superusers(held, by)
        held.is_active = True
        held.save(update_fields=["is_active"])


def reset_second_factor(*, user: User, by: User) -> int:
    """Take away somebody's authenticator, passkeys and recovery codes, who has lost them. Their sessions end."""
    require_admin(by)
    with transaction.atomic():
        held = _lock(user)
        _mind_superusers(held, by)
        count: int = Authenticator.objects.filter(user=held).delete()[0]
        end_all(user=held)
    return count


def ask_second_factor(*, of: str, by: User) -> None:
    """Decide of whom a second factor is asked; it holds from their next request on. `of` is one of SignInPolicy."""
    require_admin(by)
    if of not in dict(SignInPolicy.CHOICES):
        raise Invalid("not_a_choice", "A second factor is asked of nobody, of admins and leads, or of everybody.")
    SignInPolicy.objects.update_or_create(pk=1, defaults={"second_factor": of})


def _lock(user: User) -> User:
    """The row of this person, and all of those who might administer: two admins must not remove each other at once."""
    admins = User.objects.filter(is_superuser=True) | User.objects.filter(agent__role=Agent.Role.ADMIN)
    pks = {user.pk, *admins.values_list("pk", flat=True)}
    held = {one.pk: one for one in User.objects.filter(pk__in=pks).select_for_update(of=("self",)).order_by("pk")}
    return held[user.pk]


def _keep_an_admin(*, but: User) -> None:
    others = User.objects.filter(is_active=True).exclude(pk=but.pk).select_related("agent")
    if not any(administers(one) for one in others.filter(is_superuser=True) | others.filter(agent__role="admin")):
        raise Conflict("last_admin", f"{but.label} is the last admin here. Make somebody else an admin first.")


def _mind_superusers(user: User, by: User) -> None:
    if user.is_superuser and not by.is_superuser:
        raise Forbidden("superuser", f"{user.label} is a superuser: only another superuser changes that account.")
