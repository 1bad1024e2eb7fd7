from __future__ import annotations

from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from tickets.models.source import Source
from tickets.models.work import Work


class ImportRunQuerySet(models.QuerySet["ImportRun"]):
    def due(self, now: datetime) -> Self:
        """What a worker is to take up: it was uploaded, and nobody works on it."""
        free = Q(state=ImportRun.State.WAITING) | Q(state=ImportRun.State.RUNNING, lease_until__lt=now)
        return self.filter(free, not_before__lte=now).exclude(file="")

    def unfinished(self) -> Self:
        return self.exclude(state__in=(ImportRun.State.DRAFT, ImportRun.State.DONE))


class ImportRun(Work):
    """One file being imported. The same file (by digest) into the same source goes on where it stopped.

    A file that was uploaded lies in the storage (`file`) until the run is done; one of the command stays where it is
    (`path`), and only the command goes on with it. `layout` says how the file is read.
    """

    class State(models.TextChoices):
        DRAFT = "draft", "Not started"
        WAITING = "waiting", "Waiting"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        STOPPED = "stopped", "Stopped"
        FAILED = "failed", "Failed"

    WORKING = (State.WAITING, State.RUNNING)
    ENDS = (State.DONE, State.STOPPED, State.FAILED)

    state = models.CharField(max_length=10, choices=State, default=State.DRAFT)
    source = models.ForeignKey(Source, models.CASCADE, null=True, blank=True, related_name="imports")
    source_name = models.CharField(max_length=100, blank=True)
    name = models.CharField(max_length=200, blank=True, help_text="Of the file, as it was uploaded.")
    path = models.CharField(max_length=500, blank=True)
    file = models.CharField(max_length=200, blank=True)
    digest = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField(default=0)
    layout = models.JSONField(default=dict)
    position = models.PositiveBigIntegerField(default=0, help_text="Bytes of the file that are read.")
    rows_read = models.PositiveIntegerField(default=0)
    stored = models.PositiveIntegerField(default=0)
    known = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)
    comments = models.PositiveIntegerField(default=0)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    started_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = ImportRunQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["source", "digest"],
                condition=Q(state__in=("waiting", "running", "stopped", "failed")),
                name="one_open_run_a_file",
            ),
            models.CheckConstraint(
                condition=Q(lease_until=None) ^ Q(state="running"), name="import_lease_while_running"
            ),
            models.CheckConstraint(
                condition=Q(finished_at=None) ^ Q(state__in=("done", "stopped", "failed")),
                name="import_finished_at_its_end",
            ),
            models.CheckConstraint(
                condition=Q(state="draft") | Q(source__isnull=False), name="import_goes_into_a_source"
            ),
        ]
        indexes = [
            models.Index(fields=["not_before"], condition=Q(state__in=("waiting", "running")), name="import_due")
        ]

    def __str__(self) -> str:
        return f"{self.label} into {self.source or self.source_name}"

    def get_absolute_url(self) -> str:
        return reverse("tickets:import", args=[self.pk])

    @property
    def label(self) -> str:
        return self.name or self.path.rpartition("/")[2] or "A file"

    @property
    def is_working(self) -> bool:
        return self.state in self.WORKING and not self.is_interrupted

    @property
    def is_interrupted(self) -> bool:
        """The command that read it ended without a word; only the command can go on."""
        running = self.state == self.State.RUNNING and not self.file
        return running and self.lease_until is not None and self.lease_until < timezone.now()

    @property
    def may_go_on(self) -> bool:
        return self.state in (self.State.STOPPED, self.State.FAILED) and bool(self.file)

    @property
    def percent(self) -> int:
        return min(100, self.position * 100 // self.size) if self.size else 0


class ImportRefusal(models.Model):
    """A row that was refused: its number in the file from 1, why, and what it held as JSON, cut where it is long.

    What it held is a customer's, and no ticket leads to it: it is let go of some time after the import
    (tickets.actions.imports.forget). The row and its reason stay.
    """

    run = models.ForeignKey(ImportRun, models.CASCADE, related_name="refusals")
    number = models.PositiveIntegerField()
    reason = models.TextField()
    content = models.TextField()

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["run", "number"], name="a_row_is_refused_once")]
        indexes = [models.Index(fields=["run"], condition=~Q(content=""), name="refusal_content_kept")]

    def __str__(self) -> str:
        return f"Row {self.number}: {self.reason}"
