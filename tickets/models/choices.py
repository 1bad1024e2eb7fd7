"""The closed sets of values that tickets are given; the words are the field's own."""

from __future__ import annotations

from django.db import models


class Status(models.TextChoices):
    NEW = "new", "New"
    IN_REVIEW = "in_review", "In review"
    ESCALATED = "escalated", "Escalated"
    WAITING = "waiting", "Waiting"
    RESOLVED = "resolved", "Resolved"
    CLOSED = "closed", "Closed"


OPEN = (Status.NEW, Status.IN_REVIEW, Status.ESCALATED, Status.WAITING)
ENDED = (Status.RESOLVED, Status.CLOSED)


class TriageState(models.TextChoices):
    SUBMITTED = "submitted", "Submitted"
    PROCESSING = "processing", "Reading"
    TRIAGED = "triaged", "Triaged"
    FAILED = "failed", "Failed"


class Lane(models.IntegerChoices):
    """Which work comes first in a drain."""

    INTERACTIVE = 0
    IMPORTED = 1


class ReadWith(models.TextChoices):
    """Which engines read a ticket the next time. `answer`: the model's answer is here already, from a batch."""

    CASCADE = "cascade", "All engines in turn"
    LOCAL = "local", "Local engine"
    MODEL = "model", "Language model"
    RULES = "rules", "Rules"
    ANSWER = "answer", "Answer of a batch"


class Priority(models.TextChoices):
    P1 = "P1", "Urgent"
    P2 = "P2", "High"
    P3 = "P3", "Medium"
    P4 = "P4", "Low"


class Tier(models.IntegerChoices):
    ONE = 1, "Tier 1"
    TWO = 2, "Tier 2"
    THREE = 3, "Tier 3"


class Severity(models.TextChoices):
    MINOR = "minor", "Minor"
    MAJOR = "major", "Major"
    CRITICAL = "critical", "Critical"
    BLOCKER = "blocker", "Blocker"


class Effort(models.TextChoices):
    SMALL = "small", "Small"
    MEDIUM = "medium", "Medium"
    LARGE = "large", "Large"
    EXTRA_LARGE = "extra-large", "Extra large"


class Sentiment(models.TextChoices):
    POSITIVE = "positive", "Positive"
    NEUTRAL = "neutral", "Neutral"
    NEGATIVE = "negative", "Negative"
    URGENT = "urgent", "Urgent"


PRIORITY_WORDS = {"urgent": "P1", "critical": "P1", "high": "P2", "medium": "P3", "normal": "P3", "low": "P4"}


def priority_of(text: str) -> Priority:
    """P1 to P4, or a word for one ("high", "Normal"). Raises ValueError for anything else."""
    word = text.strip()
    return Priority(PRIORITY_WORDS.get(word.lower(), word.upper()))
