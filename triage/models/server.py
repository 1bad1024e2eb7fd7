from __future__ import annotations

from datetime import timedelta

from django.db import IntegrityError, models, transaction
from django.utils import timezone

from triage.providers.base import Ability

LEARN_EVERY = timedelta(hours=1)


class ModelServer(models.Model):
    """What a model server was found to take of the newer API, shared by all processes.

    Nobody can ask a server for it: one call tries, and fails where it is too much. So one call an hour tries, and all
    others meanwhile ask in the way that every server understands.
    """

    endpoint = models.CharField(max_length=200)
    model = models.CharField(max_length=100)
    structured = models.BooleanField(default=False, help_text="Takes output_config, thinking and cache marks.")
    shown = models.BooleanField(default=True, help_text="Is shown the schema in the prompt.")
    learned_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["endpoint", "model"], name="model_server_once")]

    def __str__(self) -> str:
        return f"{self.model} at {self.endpoint}"

    @classmethod
    def ability(cls, endpoint: str, model: str, *, doubtful: bool) -> tuple[Ability, bool]:
        """How to ask, and whether this call is the one that tries. A server that is not `doubtful` is known to take
        all of it until it refuses."""
        found = cls.objects.filter(endpoint=endpoint, model=model).first()
        if found is None:
            if not doubtful or cls._claimed(endpoint, model):
                return Ability(), doubtful
            found = cls.objects.get(endpoint=endpoint, model=model)
        now = timezone.now()
        if (found.shown or not found.structured) and found.learned_at <= now - LEARN_EVERY:
            claim = cls.objects.filter(pk=found.pk, learned_at=found.learned_at)
            if claim.update(learned_at=now) == 1:
                return Ability(), True
        return Ability(found.structured, found.shown), False

    @classmethod
    def _claimed(cls, endpoint: str, model: str) -> bool:
        try:
            with transaction.atomic():
                cls.objects.create(endpoint=endpoint, model=model)
        except IntegrityError:
            return False
        return True

    @classmethod
    def learn(cls, endpoint: str, model: str, ability: Ability) -> None:
        cls.objects.update_or_create(
            endpoint=endpoint,
            model=model,
            defaults={"structured": ability.structured, "shown": ability.shown, "learned_at": timezone.now()},
        )

    @classmethod
    def nothing_learned(cls, endpoint: str, model: str) -> None:
        """The call that tried was not answered, for another reason: the next may try."""
        cls.objects.filter(endpoint=endpoint, model=model).update(learned_at=timezone.now() - LEARN_EVERY)
