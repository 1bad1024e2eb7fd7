"""Saved views of the queue."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from tickets.actions.errors import Conflict, Forbidden, Invalid
from tickets.actions.review import may_decide
from tickets.models import Agent, Team, View, leads
from triage.models import User

MOST = 50  # of one person: more than anybody finds again


def save_view(*, name: str, query: str, scope: View.Scope, by: User, team: Team | None = None) -> View:
    """Keep an address of the queue. What others see too, leads and admins make; a team's also who belongs to it.

    Raises Invalid, Forbidden, or Conflict where this person has a view of that name.
    """
    name = " ".join(name.replace("\x00", "").split())[:60]
    if not name:
        raise Invalid("blank", "Give the view a name.", field="name")
    if len(query) > 2000:
        raise Invalid("too_long", "These are more filters than a view can hold.", field="query")
    if scope == View.Scope.TEAM and team is None:
        raise Invalid("no_team", "Say whose view it is.", field="team")
    if not may_share(by, scope, team):
        raise Forbidden("not_a_lead", "Only leads and admins make views for others.")
    if View.objects.filter(owner=by).count() >= MOST:
        raise Invalid("too_many", f"You have {MOST} views already. Delete one first.")
    try:
        with transaction.atomic():
            of_team = team if scope == View.Scope.TEAM else None
            return View.objects.create(name=name, query=query, scope=scope, team=of_team, owner=by)
    except IntegrityError as taken:
        raise Conflict("taken", f"You have a view “{name}” already. Choose another name.", field="name") from taken


def rename_view(*, view: View, name: str, by: User) -> View:
    _require_owner(view, by)
    name = " ".join(name.replace("\x00", "").split())[:60]
    if not name:
        raise Invalid("blank", "Give the view a name.", field="name")
    try:
        with transaction.atomic():
            view.name = name
            view.save(update_fields=["name"])
    except IntegrityError as taken:
        raise Conflict("taken", f"You have a view “{name}” already. Choose another name.", field="name") from taken
    return view


def delete_view(*, view: View, by: User) -> None:
    _require_owner(view, by)
    view.delete()


def may_share(user: User, scope: str, team: Team | None = None) -> bool:
    if scope == View.Scope.OWN or leads(user):
        return True
    return scope == View.Scope.TEAM and Agent.objects.filter(user=user, teams=team).exclude(role="auditor").exists()


def may_change(view: View, user: User) -> bool:
    """Whoever made it, and leads where it is shared. What others see an auditor leaves as it is."""
    if view.scope == View.Scope.OWN:
        return view.owner_id == user.pk
    return leads(user) or (view.owner_id == user.pk and may_decide(user))


def _require_owner(view: View, by: User) -> None:
    if not may_change(view, by):
        raise Forbidden("not_yours", "Only who made this view, and leads where it is shared, can change it.")
