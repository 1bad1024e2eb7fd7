from __future__ import annotations

from django.db import models
from django.db.models import Q

from tickets.models.github import GithubRepository
from tickets.models.message import Message
from tickets.models.ticket import Ticket
from tickets.models.work import Work


class GithubIssue(models.Model):
    """What GitHub says of the issue, or pull request, that a ticket is. Never a decision of the desk's."""

    class Kind(models.TextChoices):
        ISSUE = "issue", "Issue"
        PULL_REQUEST = "pull_request", "Pull request"

    class State(models.TextChoices):
        OPEN = "open", "Open"
        CLOSED = "closed", "Closed"
        TRANSFERRED = "transferred", "Transferred"
        DELETED = "deleted", "Deleted"

    ticket = models.OneToOneField(Ticket, models.CASCADE, related_name="github")
    repository = models.ForeignKey(GithubRepository, models.PROTECT, related_name="issues")
    sync = models.ForeignKey("GithubSync", models.SET_NULL, null=True, blank=True, related_name="issues")
    kind = models.CharField(max_length=12, choices=Kind, default=Kind.ISSUE)
    number = models.PositiveIntegerField()
    github_id = models.BigIntegerField(null=True, blank=True)
    state = models.CharField(max_length=11, choices=State, default=State.OPEN)
    state_reason = models.CharField(max_length=40, blank=True)
    moved_to = models.URLField(max_length=500, blank=True)
    url = models.URLField(max_length=500, blank=True)
    labels = models.JSONField(default=list, blank=True)  # [{name, color}] as they stand there
    assignees = models.JSONField(default=list, blank=True)  # logins
    author = models.CharField(max_length=100, blank=True)
    author_is_bot = models.BooleanField(default=False)
    association = models.CharField(max_length=30, blank=True)
    milestone = models.CharField(max_length=300, blank=True)
    locked = models.BooleanField(default=False)
    text_digest = models.CharField(max_length=64, blank=True)  # SHA-256 of its body as it was taken last
    changed_at = models.DateTimeField(help_text="When it was changed on GitHub, as far as is known here.")
    # What the desk wrote there; whether the ticket was ended when that was looked at last, and how new it was then.
    labels_written = models.JSONField(default=list, blank=True)
    ended = models.BooleanField(default=False)
    seen_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "GitHub issue"
        constraints = [
            models.UniqueConstraint(fields=["repository", "number"], name="github_one_ticket_an_issue"),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def reference(self) -> str:
        return f"{self.repository.full_name}#{self.number}"

    @property
    def is_there(self) -> bool:
        """Whether a comment can be written to it."""
        return self.state in (self.State.OPEN, self.State.CLOSED)

    @property
    def association_word(self) -> str:
        """OWNER, MEMBER, COLLABORATOR, CONTRIBUTOR, FIRST_TIMER, FIRST_TIME_CONTRIBUTOR, MANNEQUIN or NONE."""
        return "" if self.association == "NONE" else self.association.replace("_", " ").capitalize()


class GithubComment(models.Model):
    """Where a message of the thread stands on GitHub. An edited comment is one more message, and replaces the first."""

    message = models.OneToOneField(Message, models.CASCADE, related_name="github")
    repository = models.ForeignKey(GithubRepository, models.PROTECT, related_name="comments")
    comment_id = models.BigIntegerField()
    url = models.URLField(max_length=500, blank=True)
    author = models.CharField(max_length=100, blank=True)
    author_is_bot = models.BooleanField(default=False)
    association = models.CharField(max_length=30, blank=True)
    text_digest = models.CharField(max_length=64, blank=True)
    changed_at = models.DateTimeField()
    replaced = models.BooleanField(default=False, help_text="It was edited: a later message has what it says now.")
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "GitHub comment"
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["repository", "comment_id"], condition=Q(replaced=False), name="github_one_message_a_comment"
            )
        ]

    def __str__(self) -> str:
        return f"Comment {self.comment_id}"


class GithubWriting(Work):
    """Labels and state of one issue that are to be as its ticket has them. What they are is looked up when written."""

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        WRITING = "writing", "Writing"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    issue = models.OneToOneField(GithubIssue, models.CASCADE, related_name="writing")
    wanted_state = models.CharField(max_length=6, blank=True)  # open or closed; empty: it is left as it is
    state = models.CharField(max_length=8, choices=State, default=State.QUEUED)
    written_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "GitHub write-back"
        constraints = [
            models.CheckConstraint(
                condition=Q(lease_until=None) ^ Q(state="writing"), name="github_a_lease_while_writing"
            )
        ]
        indexes = [
            models.Index(fields=["not_before"], condition=Q(state__in=("queued", "writing")), name="github_writing_due")
        ]

    def __str__(self) -> str:
        return f"{self.issue}, {self.get_state_display().lower()}"
