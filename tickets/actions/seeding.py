"""What a new desk starts with: the taxonomy, the doors, the SLA, and demo tickets that show how it works."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from tickets.actions import intake, review
from tickets.business_time import ALWAYS
from tickets.channels.base import Inbound
from tickets.models import (
    Agent,
    Calendar,
    Category,
    Component,
    Delivery,
    DeliveryAttempt,
    Message,
    Review,
    SlaPolicy,
    Source,
    Status,
    Team,
    Ticket,
)
from triage.correlation import acting
from triage.models import User

STARTER = Path(__file__).resolve().parent.parent / "starter"
ROUND_THE_CLOCK = "Round the clock"
SLA_MINUTES = {"P1": 60, "P2": 4 * 60, "P3": 24 * 60, "P4": 72 * 60}
DOORS = {"form": "Support form", "api": "API", "email": "E-mail"}
COLLEAGUES = {"mara": ("Mara", "Lindqvist"), "tomas": ("Tomas", "Okonjo")}


def plant_taxonomy() -> None:
    """Categories, teams, components, SLA and doors; what is there already stays as people left it."""
    data = json.loads((STARTER / "taxonomy.json").read_text())
    with transaction.atomic():
        teams = {row["key"]: _plant(Team, row) for row in data["teams"]}
        for row in data["categories"]:
            default = teams.get(row.pop("default_team", None))
            _plant(Category, row | {"default_team": default})
        for row in data["components"]:
            _plant(Component, row)
        for priority, minutes in SLA_MINUTES.items():
            of_all: dict[str, Any] = {"priority": priority, "team": None, "source": None}
            SlaPolicy.objects.get_or_create(**of_all, defaults={"response_minutes": minutes})
        always = {"hours": ALWAYS.lines, "time_zone": settings.TIME_ZONE}
        Calendar.objects.get_or_create(name=ROUND_THE_CLOCK, defaults=always)
        for kind, name in DOORS.items():
            Source.objects.get_or_create(name=name, defaults={"kind": kind})


def _plant(model: type[Any], row: dict[str, Any]) -> Any:
    return model._default_manager.get_or_create(key=row["key"], defaults=row)[0]


def plant_demo() -> int:
    """Demo tickets of the last two weeks, unread: the worker reads them as it reads any. Returns how many."""
    rows = json.loads((STARTER / "demo.json").read_text())
    sources = {kind: Source.objects.get(name=name) for kind, name in DOORS.items()}
    with transaction.atomic():
        with acting("command:seed"):
            colleagues = _colleagues()
        for number, row in enumerate(sorted(rows, key=lambda row: -row["days_ago"])):
            with acting("command:seed"):
                _plant_ticket(row, sources[row["channel"]], colleagues[number % len(colleagues)])
    return len(rows)


def _colleagues() -> list[User]:
    """Two colleagues who answered the demo's old tickets. They cannot sign in."""
    people = []
    for username, (first, last) in COLLEAGUES.items():
        user, made = User.objects.get_or_create(
            username=username, defaults={"first_name": first, "last_name": last, "email": f"{username}@example.org"}
        )
        if made:
            user.set_unusable_password()
            user.save(update_fields=["password"])
        Agent.objects.get_or_create(user=user)
        people.append(user)
    return people


def _plant_ticket(row: dict[str, Any], source: Source, colleague: User) -> None:
    created = timezone.now() - timedelta(days=row["days_ago"])
    inbound = Inbound(
        title=row["subject"],
        text=row["text"],
        requester_email=row["email"],
        requester_name=row["name"],
        priority=row.get("submitted_priority"),
        created_at=created,
    )
    ticket = intake.receive(inbound, source=source).ticket
    for turn in row.get("thread", []):
        at = min(created + timedelta(hours=turn["hours_after"]), timezone.now())
        _plant_turn(ticket, turn["from"], turn["text"], at, colleague)
    status = Status.NEW if row["final"] == "open" else Status(row["final"])
    if status != Status.NEW:
        ticket.set_status(status)
        last = ticket.messages.last()
        if ticket.resolved_at and last:
            ticket.resolved_at = last.created_at
    ticket.save()
    if row.get("decided"):
        review.correct(ticket=ticket, changes=row["decided"], by=colleague)


def _plant_turn(ticket: Ticket, who: str, text: str, at: datetime, colleague: User) -> None:
    kinds = {"agent": Message.Kind.OUTBOUND, "customer": Message.Kind.INBOUND, "comment": Message.Kind.COMMENT}
    kind = kinds[who]
    message = Message.objects.create(
        ticket=ticket,
        kind=kind,
        text=text,
        author=None if who == "customer" else colleague,
        requester=ticket.requester if who == "customer" else None,
        created_at=at,
    )
    if kind != Message.Kind.OUTBOUND or ticket.requester is None:
        return
    approval = Review.objects.create(ticket=ticket, decision=Review.Decision.APPROVED, text=text, by=colleague)
    Review.objects.filter(pk=approval.pk).update(created_at=at)
    delivery = Delivery.objects.create(
        ticket=ticket,
        message=message,
        review=approval,
        channel="email",
        recipient=ticket.requester.email,
        state=Delivery.State.SENT,
        sent_at=at,
        attempts=1,
    )
    DeliveryAttempt.objects.create(
        delivery=delivery, outcome=DeliveryAttempt.Outcome.SENT, finished_at=at, detail="Demo: sent in the past"
    )
    ticket.first_replied_at = ticket.first_replied_at or at
