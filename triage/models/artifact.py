from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models, transaction
from django.utils import timezone

if TYPE_CHECKING:
    from triage.models.user import User

KEPT = 20  # fits, whatever became of them
KEPT_AFTER_FORCE = timedelta(days=90)


class Artifact(models.Model):
    """A fitted local model: arrays without code, named by the hash of its bytes. At most one of a kind is in force."""

    class Kind(models.TextChoices):
        LOCAL = "local", "Local engine"

    kind = models.CharField(max_length=20, choices=Kind, default=Kind.LOCAL)
    version = models.CharField(max_length=32, help_text="Hash of the payload.")
    payload = models.BinaryField(help_text="An .npz without pickled objects.")
    metrics = models.JSONField(default=dict, help_text="What out-of-fold predictions showed, by field.")
    comparison = models.JSONField(
        default=dict, blank=True, help_text="How it did against the fit in force, on decisions that neither had seen."
    )
    audit = models.JSONField(
        default=dict,
        blank=True,
        help_text="What people said about applied values drawn by lot: {field: {right, seen}}.",
    )
    stopped = models.JSONField(
        default=dict,
        blank=True,
        help_text="Fields that it applied no more: {field: what the audit sample showed, and when it was `lifted`}.",
    )
    live = models.BooleanField(default=False, help_text="In force: every process reads with it within seconds.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = [
            models.UniqueConstraint(fields=["kind", "version"], name="artifact_once"),
            models.UniqueConstraint(fields=["kind"], condition=models.Q(live=True), name="artifact_one_live"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.version}{' (live)' if self.live else ''}"

    def put_in_force(self, *, why: str, by: User | None = None, rollback: bool = False) -> None:
        """Let every process read with this one instead of what was, and write down who wanted it and why.

        A stop is the field's and not the fit's: the world has changed, and most of what a fit knows is older than that.
        """
        with transaction.atomic():
            others = Artifact.objects.select_for_update().filter(kind=self.kind, live=True).exclude(pk=self.pk)
            for other in others.defer("payload"):
                standing = {name: other.stopped[name] for name in other.stopped_fields - self.stopped_fields}
                self.stopped = self.stopped | standing
            others.update(live=False)
            self.live = True
            self.save(update_fields=["live", "stopped"])
            Reign.objects.filter(artifact__kind=self.kind, ended_at=None).update(ended_at=timezone.now())
            Reign.objects.create(artifact=self, why=why, by=by, rollback=rollback)

    @property
    def stopped_fields(self) -> frozenset[str]:
        """The fields whose stop still stands."""
        return frozenset(name for name, stop in self.stopped.items() if "lifted" not in stop)

    @property
    def verdict(self) -> str:
        return str(self.comparison.get("verdict", ""))

    def before(self) -> Artifact | None:
        """What was in force before this one; of what was rolled back, nothing comes again."""
        reigns = Reign.objects.filter(artifact__kind=self.kind).order_by("-pk")
        mine = reigns.filter(artifact=self, rollback=False).first()
        earlier = reigns.filter(pk__lt=mine.pk) if mine else reigns
        reign = earlier.exclude(artifact=self).select_related("artifact").defer("artifact__payload").first()
        return reign.artifact if reign else None

    @property
    def rolled_back(self) -> bool:
        """Whether somebody took it out of force: then it comes back by a person's word alone."""
        last = self.reigns.order_by("-pk").first()
        if last is None or self.live:
            return False
        after = Reign.objects.filter(artifact__kind=self.kind, pk__gt=last.pk).order_by("pk").first()
        return after is not None and after.rollback

    @classmethod
    def prune(cls, kind: str = Kind.LOCAL) -> int:
        """Delete what is neither among the last KEPT, nor was in force within KEPT_AFTER_FORCE. Returns how many."""
        fits = cls.objects.filter(kind=kind)
        recent = list(fits.values_list("pk", flat=True)[:KEPT])
        reigned = Reign.objects.filter(ended_at__gte=timezone.now() - KEPT_AFTER_FORCE).values("artifact")
        old = fits.filter(live=False).exclude(pk__in=recent).exclude(pk__in=reigned)
        return old.delete()[1].get("triage.Artifact", 0)


class Reign(models.Model):
    """Who put which fit in force, when and why. One follows another; the last goes on."""

    artifact = models.ForeignKey(Artifact, models.CASCADE, related_name="reigns")
    began_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, editable=False)
    why = models.CharField(max_length=300)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    rollback = models.BooleanField(default=False, help_text="It came back because the one after it was taken out.")

    class Meta:
        ordering = ("-pk",)

    def __str__(self) -> str:
        return f"{self.artifact.version} from {self.began_at:%Y-%m-%d %H:%M}"
