from __future__ import annotations

from django.db import models, transaction


class Artifact(models.Model):
    """A fitted local model: arrays without code, named by the hash of its bytes. At most one of a kind is in force."""

    class Kind(models.TextChoices):
        LOCAL = "local", "Local engine"

    kind = models.CharField(max_length=20, choices=Kind, default=Kind.LOCAL)
    version = models.CharField(max_length=32, help_text="Hash of the payload.")
    payload = models.BinaryField(help_text="An .npz without pickled objects.")
    metrics = models.JSONField(default=dict, help_text="What out-of-fold predictions showed, by field.")
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

    def go_live(self) -> None:
        """Put this one in force instead of what was."""
        with transaction.atomic():
            others = Artifact.objects.select_for_update().filter(kind=self.kind, live=True).exclude(pk=self.pk)
            others.update(live=False)
            self.live = True
            self.save(update_fields=["live"])
