"""Inviting colleagues: an admin names an address, a role and teams; whoever has the link takes the place once."""

from __future__ import annotations

import re
from collections.abc import Collection

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.utils import timezone

from tickets.actions.errors import Conflict, Invalid
from tickets.actions.people import require_admin
from tickets.models import Agent, Invitation, Team
from tickets.models.invitation import RENEWED
from triage.models import User

_odd = re.compile(r"[^\w.@+-]+")


def invite(*, email: str, role: str, teams: Collection[Team], by: User) -> Invitation:
    """Offer a place; whoever was invited before gets a new link and the role now named, and the old link ends."""
    require_admin(by)
    address = email.replace("\x00", "").strip().lower()
    if not _is_address(address):
        raise Invalid("no_address", "That is no e-mail address.", field="email")
    if role not in Agent.Role.values:
        raise Invalid("not_a_choice", "That is no role.", field="role")
    known = User.objects.filter(email__iexact=address).first()
    if known is not None:
        state = "works here already" if known.is_active else "worked here: activate that account again"
        raise Conflict("known", f"{known.label} {state}.")
    with transaction.atomic():
        held = Invitation.objects.undecided().filter(email=address).select_for_update().first()
        if held is None:
            held = _new(address, role, by)
        else:
            held.renew()
            held.role, held.invited_by = role, by
            held.save(update_fields=RENEWED)
        held.teams.set(teams)
    return held


def _is_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return len(text) <= 254  # as the column is, and no mail server takes longer ones


def _new(address: str, role: str, by: User) -> Invitation:
    try:
        with transaction.atomic():
            return Invitation.objects.create(email=address, role=role, invited_by=by)
    except IntegrityError:
        raise Conflict("invited", "Somebody has invited this address this very moment.") from None


def revoke(*, invitation: Invitation, by: User) -> None:
    """Take an offer back: its link opens nothing any more."""
    require_admin(by)
    changed = Invitation.objects.undecided().filter(pk=invitation.pk).update(revoked_at=timezone.now())
    if not changed:
        raise Conflict("decided", "This invitation was accepted or taken back already.")


def accept(*, invitation: Invitation, username: str, first_name: str, last_name: str, password: str | None) -> User:
    """Make the account that was offered. Without a password (None) its person signs in with a provider or a passkey.

    An empty user name is made from the address. Raises Invalid naming the field, Conflict when the offer has ended.
    """
    with transaction.atomic():
        held = Invitation.objects.select_for_update().get(pk=invitation.pk)
        if not held.is_pending:
            raise Conflict("ended", "This invitation was used, taken back, or has run out. Ask for another.")
        if User.objects.filter(email__iexact=held.email).exists():
            raise Conflict("known", "There is an account with this address already.")
        name = username.replace("\x00", "").strip() or _free_name(held.email)
        user = User(username=name, email=held.email, first_name=_cut(first_name), last_name=_cut(last_name))
        _check(user, password)
        if password is None:
            user.set_unusable_password()
        else:
            user.set_password(password)
        user.save()
        agent = Agent.objects.create(user=user, role=held.role)
        agent.teams.set(held.teams.all())
        held.accepted_at, held.accepted_by = timezone.now(), user
        held.save(update_fields=["accepted_at", "accepted_by"])
    return user


def _check(user: User, password: str | None) -> None:
    try:
        User.username_validator(user.username)
    except ValidationError:
        raise Invalid("not_a_name", "A user name has letters, digits and @ . + - _ only.", field="username") from None
    if len(user.username) > 150 or User.objects.filter(username__iexact=user.username).exists():
        raise Invalid("taken", "This user name is taken. Choose another.", field="username")
    if password is not None:
        try:
            validate_password(password, user)
        except ValidationError as refused:
            raise Invalid("weak", " ".join(refused.messages), field="password") from None


def _free_name(email: str) -> str:
    base = _odd.sub("", email.partition("@")[0])[:100] or "colleague"
    taken = {
        name.lower() for name in User.objects.filter(username__istartswith=base).values_list("username", flat=True)
    }
    return next(
        name for number in range(len(taken) + 1) if (name := base + (str(number + 1) if number else "")) not in taken
    )


def _cut(name: str) -> str:
    return name.replace("\x00", "").strip()[:150]
