from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from tickets.models.github import GithubRepository
from tickets.models.work import Work


class GithubSyncQuerySet(models.QuerySet["GithubSync"]):
    def running(self) -> Self:
        return self.filter(state__in=GithubSync.RUNNING)

    def due(self, now: datetime) -> Self:
        """What is to be taken up, of accounts from which GitHub takes requests now."""
        free = Q(state=GithubSync.State.PENDING) | Q(state=GithubSync.State.SYNCING, lease_until__lt=now)
        account = "repository__account__limited_until"
        unlimited = Q(**{account: None}) | Q(**{f"{account}__lte": now})
        return self.filter(free, unlimited, not_before__lte=now)


class GithubSync(Work):
    """Issues and comments of a repository being read, page by page. It goes on where it stopped, whatever stopped it.

    `pending` until a worker has it, and again while it waits for GitHub; `syncing` while a page is in hand.
    """

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        SYNCING = "syncing", "Syncing"
        COMPLETED = "completed", "Completed"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    class Kind(models.TextChoices):
        BACKFILL = "backfill", "Everything"
        INCREMENTAL = "incremental", "What changed"

    class Phase(models.TextChoices):
        ISSUES = "issues", "Issues"
        COMMENTS = "comments", "Comments"

    RUNNING = (State.PENDING, State.SYNCING)

    repository = models.ForeignKey(GithubRepository, models.CASCADE, related_name="syncs")
    kind = models.CharField(max_length=12, choices=Kind)
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    phase = models.CharField(max_length=10, choices=Phase, default=Phase.ISSUES)
    # Where the next page begins: at what was changed on GitHub then; and its address, where that alone does not say
    since = models.DateTimeField(null=True, blank=True, editable=False)
    next_url = models.CharField(max_length=1000, blank=True, editable=False)
    expected = models.PositiveIntegerField(null=True, blank=True, help_text="Issues, as GitHub counted them.")
    pages = models.PositiveIntegerField(default=0)
    seen = models.PositiveIntegerField(default=0)
    stored = models.PositiveIntegerField(default=0)
    known = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)
    comments = models.PositiveIntegerField(default=0)
    removed = models.PositiveIntegerField(default=0, help_text="Unread tickets taken away when it was cancelled.")
    kept = models.PositiveIntegerField(default=0)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = GithubSyncQuerySet.as_manager()

    class Meta:
        verbose_name = "GitHub sync"
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["repository"], condition=Q(state__in=("pending", "syncing")), name="github_one_sync_at_a_time"
            ),
            models.CheckConstraint(
                condition=Q(lease_until=None) ^ Q(state="syncing"), name="github_a_lease_while_syncing"
            ),
            models.CheckConstraint(
                condition=Q(finished_at=None) ^ Q(state__in=("completed", "failed", "cancelled")),
                name="github_sync_finished_at_its_end",
            ),
        ]
        indexes = [
            models.Index(fields=["not_before"], condition=Q(state__in=("pending", "syncing")), name="github_sync_due")
        ]

    def __str__(self) -> str:
        return f"{self.repository}, {self.get_state_display().lower()}"

    @property
    def is_running(self) -> bool:
        return self.state in self.RUNNING

    def as_json(self) -> dict[str, Any]:
        return {
            "status": self.state,
            "kind": self.kind,
            "phase": self.phase,
            "expected": self.expected,
            "seen": self.seen,
            "stored": self.stored,
            "known": self.known,
            "refused": self.refused,
            "comments": self.comments,
            "removed": self.removed,
            "kept": self.kept,
            "error": self.error,
            "waits_until": self.not_before.isoformat() if self.state == self.State.PENDING else None,
            "started_at": self.created_at.isoformat(),
            "finished_at": self.finished_at.isoformat() if self.finished_at else None,
        }
