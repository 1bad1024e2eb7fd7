from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core import signing
from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils import timezone
from pgvector.django import CosineDistance, HalfVectorField

from tickets.models.choices import (
    ENDED,
    OPEN,
    Effort,
    Lane,
    Priority,
    ReadWith,
    Sentiment,
    Severity,
    Status,
    Tier,
    TriageState,
)
from tickets.models.clock import CLOCK_TRIGGERS
from tickets.models.excerpt import EXCERPT
from tickets.models.happenings import TICKET_TELLS
from tickets.models.order import DUE, LATEST, NEWEST, Order, Place
from tickets.models.person import Agent, Requester
from tickets.models.search import TICKET_TRIGGERS, query_of
from tickets.models.source import Source
from tickets.models.taxonomy import Category, Component
from tickets.models.team import Team
from tickets.models.vector import VECTOR_TRIGGERS
from tickets.models.work import Work
from tickets.promises import TARGETS, Promise, look_at, next_of
from triage.models import Pause

if TYPE_CHECKING:
    from tickets.models.draft import Draft
    from tickets.models.suggestion import Suggestion
    from triage.models import User

SUBJECT_LIMIT = 300
TEXT_LIMIT = 100_000
PORTAL_SALT = "portal"
_OPEN = Q(status__in=OPEN)
_AT_HAND = (Status.NEW, Status.IN_REVIEW, Status.ESCALATED)


class TicketQuerySet(models.QuerySet["Ticket"]):
    def open(self) -> Self:
        return self.filter(status__in=OPEN)

    def awaiting_approval(self) -> Self:
        """In review or escalated, with a drafted reply that still answers the customer's last message."""
        at_hand = (Status.IN_REVIEW, Status.ESCALATED)
        return self.filter(status__in=at_hand, triage_state=TriageState.TRIAGED, draft__stale=False)

    def spam(self) -> Self:
        """Held as spam. Of `everything`: among `objects` there is none."""
        return self.filter(spam=True)

    def not_deleted(self) -> Self:
        """Of `everything` what is at the desk and what is held as spam: their customers see no difference."""
        return self.filter(Q(deleted_at=None) | Q(spam=True))

    def snoozed(self) -> Self:
        """Open and put off until a time that has not come. Whoever is late to wake them, here they are back in time."""
        return self.open().filter(snoozed_until__gt=timezone.now())

    def awake(self) -> Self:
        return self.filter(self.is_awake())

    @staticmethod
    def is_awake() -> Q:
        return Q(snoozed_until=None) | Q(snoozed_until__lte=timezone.now()) | ~Q(status__in=OPEN)

    def overdue(self) -> Self:
        """With the desk, never answered, and the time for a first answer has run out."""
        return self.filter(status__in=_AT_HAND, first_replied_at=None, due_at__lt=timezone.now())

    def unassigned_in(self, team: Team) -> Self:
        """What the machine may give to somebody of a team, by what is due first (tickets.actions.carrying)."""
        decided = Q(provenance__team__engine="person") | Q(provenance__team__band="apply")
        read = (TriageState.TRIAGED, TriageState.FAILED)
        free = self.filter(decided, team=team, assignee=None, status__in=_AT_HAND, triage_state__in=read)
        free = free.exclude(provenance__contains={"assignee": {"nobody": True}}).awake()
        return free.order_by(models.F("due_at").asc(nulls_last=True), "pk")

    def unreadable(self) -> Self:
        """The machine failed to read them, whatever their status."""
        return self.filter(triage_state=TriageState.FAILED)

    def awaiting_audit(self) -> Self:
        """Drawn by lot from those whose fields were applied by themselves, and not checked yet."""
        return self.filter(audit__checked_at=None, audit__isnull=False)

    def undelivered(self) -> Self:
        """With an approved reply that failed or whose fate is not known: only a person can say what becomes of it."""
        stuck = Ticket.objects.filter(deliveries__state__in=("failed", "unknown"))
        return self.filter(pk__in=stuck.values("pk"))

    def visible_to(self, user: User) -> Self:
        """An agent with teams sees these teams' tickets, of Manual Review and of no team; who left sees none."""
        agent = Agent.of(user)
        if not user.is_active or (agent is None and not user.is_superuser):
            return self.none()
        if agent is None:
            return self
        if agent.sees_everything:
            return self
        return self.filter(Q(team__in=[team.pk for team in agent.seen_teams]) | Q(team=None))

    def for_rows(self) -> Self:
        """What a row of the queue shows, in one query."""
        return self.select_related("category", "team", "assignee", "requester", "source").defer("embedding")

    def in_order(self, order: Order) -> Self:
        return self.annotate(**order.expressions).order_by(*order.by)

    def newest_first(self) -> Self:
        """As a queue shows them: by when the customer wrote. A history that is imported today is not today's work."""
        return self.in_order(NEWEST)

    def below(self, place: Place, order: Order = NEWEST) -> Self:
        """Those that a queue shows after `place`."""
        return self.annotate(**order.expressions).filter(order.below(place))

    def down_to(self, place: Place, order: Order = NEWEST) -> Self:
        """Those that a queue shows before `place`, and the one that has it."""
        return self.annotate(**order.expressions).filter(order.down_to(place))

    def due_for_triage(self) -> Self:
        """What the machine is to read now: nothing while it is paused."""
        paused = models.Exists(Pause.objects.filter(ended_at=None))
        due = self.filter(triage_state=TriageState.SUBMITTED, not_before__lte=timezone.now())
        return due.filter(~paused, merged_into=None)

    def matching(self, words: str) -> Self:
        """Tickets whose number, subject, requester, messages or comments hold the words (tickets.models.search)."""
        return self.filter(search_text__document=query_of(words))

    def nearest(self, vector: Sequence[float]) -> Self:
        """Ordered by likeness to a vector of the shipped embedding; adds `distance` (1 - cosine)."""
        near = self.filter(vector__isnull=False).annotate(distance=CosineDistance("vector__embedding", vector))
        return near.order_by("distance")


class _Kept(models.Manager["Ticket"]):
    """What was neither deleted nor held as spam."""

    def get_queryset(self) -> TicketQuerySet:
        return TicketQuerySet(self.model, using=self._db).filter(deleted_at=None)


class Ticket(Work):
    """One request of a customer. A field holds the best value known: a person's, else the machine's, else nothing.

    `objects` are those at the desk, neither deleted nor held as spam, and so are the tickets of a team, source or
    requester; `everything` is for what must know of all.
    """

    number = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    subject = models.CharField(max_length=SUBJECT_LIMIT)
    excerpt = models.CharField(max_length=EXCERPT, blank=True, editable=False)
    requester = models.ForeignKey(Requester, models.PROTECT, null=True, blank=True, related_name="tickets")
    source = models.ForeignKey(Source, models.PROTECT, related_name="tickets")
    external_id = models.CharField(max_length=200, blank=True, editable=False)
    # "{primary key of the source that sent it}:{the key as given}"
    idempotency_key = models.CharField(max_length=220, blank=True, editable=False)
    intake_digest = models.CharField(max_length=64, blank=True, editable=False)
    submitted_priority = models.CharField(max_length=2, choices=Priority, blank=True, editable=False)
    submitted_tier = models.PositiveSmallIntegerField(choices=Tier, null=True, blank=True, editable=False)
    raw = models.JSONField(null=True, blank=True, editable=False)
    lane = models.PositiveSmallIntegerField(choices=Lane, default=Lane.INTERACTIVE, editable=False)
    # For the next reading alone: afterwards the ticket is read as every other again.
    read_with = models.CharField(max_length=8, choices=ReadWith, default=ReadWith.CASCADE, editable=False)
    correlation_id = models.CharField(max_length=64, blank=True, editable=False)

    status = models.CharField(max_length=10, choices=Status, default=Status.NEW)
    triage_state = models.CharField(max_length=10, choices=TriageState, default=TriageState.SUBMITTED, editable=False)
    category = models.ForeignKey(Category, models.PROTECT, null=True, blank=True, related_name="tickets")
    priority = models.CharField(max_length=2, choices=Priority, blank=True, default="")
    team = models.ForeignKey(Team, models.PROTECT, null=True, blank=True, related_name="tickets")
    tier = models.PositiveSmallIntegerField(choices=Tier, null=True, blank=True)
    severity = models.CharField(max_length=10, choices=Severity, blank=True, default="")
    effort = models.CharField(max_length=12, choices=Effort, blank=True, default="")
    component = models.ForeignKey(Component, models.PROTECT, null=True, blank=True, related_name="tickets")
    sentiment = models.CharField(max_length=10, choices=Sentiment, blank=True, default="")
    tags = ArrayField(models.CharField(max_length=50), default=list, blank=True)
    language = models.CharField(max_length=8, blank=True, default="")
    summary = models.CharField(max_length=500, blank=True, default="")
    is_technical = models.BooleanField(null=True, blank=True)
    # {field: {engine, confidence, band, reason}} of each held value; engine "person" is a decision nobody overwrites
    provenance = models.JSONField(default=dict, blank=True, editable=False)
    confidence = models.FloatField(null=True, blank=True, editable=False)
    escalated = models.BooleanField(default=False, editable=False)
    escalation_reason = models.CharField(max_length=300, blank=True, editable=False)
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="assigned_tickets"
    )
    # the ticket whose thread this one is part of now; never one that is merged itself (tickets.models.merge)
    merged_into = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, editable=False, related_name="parts", db_index=False
    )
    snoozed_until = models.DateTimeField(null=True, blank=True, editable=False)
    embedding = HalfVectorField(dimensions=384, null=True, blank=True, editable=False)
    # of the cleaned conversation as it was read last (tickets.repeats); tickets of one text have one hash
    text_hash = models.CharField(max_length=64, blank=True, editable=False)

    # What is promised to it (tickets.promises), {"at": when reckoned, "next": target, "promises": {target: …}}; the
    # next time due of all; and when the clock has something to note.
    sla = models.JSONField(default=dict, db_default=Value({}, models.JSONField()), blank=True, editable=False)
    due_at = models.DateTimeField(null=True, blank=True, editable=False)
    sla_look_at = models.DateTimeField(null=True, blank=True, editable=False)
    first_replied_at = models.DateTimeField(null=True, blank=True, editable=False)
    resolved_at = models.DateTimeField(null=True, blank=True, editable=False)
    triaged_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)
    # what is spam is out of the desk like what is deleted: nothing reads, counts or tells of it (SpamMark says why)
    spam = models.BooleanField(default=False, db_default=False, editable=False)

    distance: float  # only on rows of nearest(): 1 - cosine
    shown_place: Place | None = None  # set on rows of a page; where one is missing, a template looks for it long
    marked_subject = ""
    found = ""

    objects = _Kept.from_queryset(TicketQuerySet)()
    everything = TicketQuerySet.as_manager()

    class Meta:
        ordering = ["-number"]
        triggers = [*TICKET_TRIGGERS, *CLOCK_TRIGGERS, *VECTOR_TRIGGERS, *TICKET_TELLS]
        constraints = [
            models.UniqueConstraint(
                fields=["source", "external_id"], condition=~Q(external_id=""), name="one_ticket_an_external_id"
            ),
            models.UniqueConstraint(
                fields=["idempotency_key"], condition=~Q(idempotency_key=""), name="one_ticket_an_idempotency_key"
            ),
            models.CheckConstraint(
                condition=Q(resolved_at=None) ^ Q(status__in=ENDED), name="resolved_at_goes_with_its_status"
            ),
            models.CheckConstraint(
                condition=Q(lease_until=None) ^ Q(triage_state=TriageState.PROCESSING), name="a_lease_while_processing"
            ),
            models.CheckConstraint(
                condition=Q(merged_into=None) | Q(status=Status.CLOSED), name="what_is_merged_is_closed"
            ),
            models.CheckConstraint(condition=~Q(merged_into=models.F("number")), name="never_merged_into_itself"),
            models.CheckConstraint(condition=Q(spam=False) | ~Q(deleted_at=None), name="spam_is_out_of_the_desk"),
        ]
        indexes = [
            models.Index(fields=["status", "-number"], name="ticket_queue"),
            models.Index(fields=["team", "-number"], name="ticket_team"),
            models.Index(fields=["-created_at", "-number"], name="ticket_newest"),
            models.Index(fields=["status", "-created_at", "-number"], name="ticket_tab"),
            models.Index(fields=["-updated_at"], name="ticket_updated"),
            # The open ones are few, and what people look at all day: in each order, and by what they filter for.
            models.Index(fields=["-created_at", "-number"], condition=_OPEN, name="open_newest"),
            models.Index(fields=["-updated_at", "-number"], condition=_OPEN, name="open_updated"),
            models.Index(DUE, "number", condition=_OPEN, name="open_due"),
            models.Index(
                fields=["team", "category", "priority", "status", "assignee", "snoozed_until", "deleted_at", "number"],
                condition=_OPEN,
                name="open_labels",
            ),
            models.Index(fields=["-created_at", "-number"], condition=Q(status__in=ENDED), name="ended_newest"),
            models.Index(fields=["lane", "number"], condition=Q(triage_state=TriageState.SUBMITTED), name="ticket_due"),
            models.Index(fields=["text_hash"], condition=~Q(text_hash=""), name="ticket_same_text"),
            models.Index(fields=["number"], condition=Q(triage_state=TriageState.FAILED), name="ticket_failed"),
            models.Index(fields=["lease_until"], condition=Q(triage_state="processing"), name="ticket_leased"),
            models.Index(fields=["sla_look_at"], condition=~Q(sla_look_at=None), name="ticket_sla_look"),
            models.Index(fields=["assignee"], condition=Q(status__in=OPEN, deleted_at=None), name="ticket_load"),
            models.Index(
                fields=["team", "due_at"],
                condition=Q(status__in=OPEN, assignee=None, deleted_at=None),
                name="ticket_unassigned",
            ),
            models.Index(Coalesce("due_at", Value(LATEST)), "number", name="ticket_due_first"),
            models.Index(fields=["merged_into"], condition=~Q(merged_into=None), name="ticket_merged"),
            models.Index(fields=["-created_at", "-number"], condition=Q(spam=True), name="ticket_spam"),
            models.Index(fields=["requester", "-created_at"], name="ticket_of_sender"),
            models.Index(fields=["snoozed_until"], condition=~Q(snoozed_until=None), name="ticket_snoozed"),
        ]

    def __str__(self) -> str:
        return f"#{self.number} {self.subject}"

    def get_absolute_url(self) -> str:
        return reverse("tickets:detail", args=[self.number])

    @property
    def signed_id(self) -> str:
        """What opens the customer's status page: whoever has it may read the conversation and answer."""
        return signing.Signer(salt=PORTAL_SALT).sign(self.public_id.hex)

    def get_status_url(self) -> str:
        return reverse("tickets:portal-status", args=[self.signed_id])

    @property
    def place(self) -> Place:
        return NEWEST.place_of(self)

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def is_snoozed(self) -> bool:
        return self.is_open and self.snoozed_until is not None and self.snoozed_until > timezone.now()

    @property
    def is_reading(self) -> bool:
        waits = self.triage_state in (TriageState.SUBMITTED, TriageState.PROCESSING)
        return waits and self.merged_into_id is None and not self.spam

    @property
    def current_draft(self) -> Draft | None:
        return getattr(self, "draft", None)

    @property
    def latest_suggestion(self) -> Suggestion | None:
        return self.suggestions.order_by("-pk").first()

    def decided_by_person(self, name: str) -> bool:
        return bool(self.provenance.get(name, {}).get("engine") == "person")

    def held_by_rule(self, name: str) -> bool:
        """Whether a rule set it as the ticket came in: then no reading moves it, only a person or another rule."""
        return bool(self.provenance.get(name, {}).get("stays"))

    def value_of(self, name: str) -> Any:
        """The held value of a field as the API and a Verdict spell it: keys for labels, None for nothing."""
        held = getattr(self, name)
        if name in ("category", "team", "component"):
            return held.key if held else None
        if name == "tags":
            return list(held)
        return None if held == "" else held

    def set_status(self, status: Status) -> None:
        """Move to `status`; keeps `resolved_at` in step. The caller saves the fields of STATUS."""
        if self.status in ENDED and status not in ENDED:
            self.snoozed_until = None  # it is work again, and seen at once
        self.status = status
        if status not in ENDED:
            self.resolved_at = None
        elif self.resolved_at is None:
            self.resolved_at = timezone.now()

    def decide_escalated(self, escalated: bool, reason: str = "") -> None:
        """Keep what a person says about it: yes ends a snooze. The caller saves the fields of ESCALATION and STATUS."""
        self.snoozed_until = None if escalated else self.snoozed_until
        self.escalated, self.escalation_reason = escalated, reason
        self.provenance["escalated"] = {"engine": "person"}

    def submit(self, *, lane: Lane | None = None) -> None:
        """Put the ticket before the machine again, at once. The caller saves the fields of SUBMISSION."""
        if lane is not None:
            self.lane = lane
        self.triage_state = TriageState.SUBMITTED
        self.read_with = ReadWith.CASCADE
        self.attempts = 0
        self.error = ""
        self.lease_until = None
        self.not_before = timezone.now()

    @property
    def promises(self) -> list[Promise]:
        """The times promised to it, as they were reckoned last."""
        kept = self.sla.get("promises", {})
        return [Promise.of(target, kept[target]) for target in TARGETS if target in kept]

    def promise(self, promises: Sequence[Promise], now: datetime) -> None:
        """Hold these promises as reckoned `now`. The caller saves the fields of SLA."""
        first = next_of(promises)
        self.sla = {
            "at": now.isoformat(),
            "next": first.target if first else None,
            "promises": {promise.target: promise.to_json() for promise in promises},
        }
        self.due_at = first.due_at if first else None
        self.sla_look_at = look_at(promises, now)


STATUS = ("status", "resolved_at", "snoozed_until")
SLA = ("sla", "due_at", "sla_look_at")
ESCALATION = ("escalated", "escalation_reason", "provenance")
SUBMISSION = ("triage_state", "read_with", "attempts", "error", "lease_until", "not_before", "lane", "updated_at")
