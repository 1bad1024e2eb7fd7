"""What a new desk should connect next. Computed from settings and rows; it stands in nobody's way."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX

from tickets.models import Agent, ApiKey, Event, Review, administers
from triage.models import User


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. `how` is a setting or command to copy, `address` a page of the desk; either may be empty."""

    key: str
    word: str
    sentence: str
    done: bool
    how: str = ""
    address: str = ""
    address_word: str = ""


@dataclass(frozen=True, slots=True)
class Checklist:
    steps: tuple[Step, ...]
    shown: bool

    @property
    def done(self) -> int:
        return sum(step.done for step in self.steps)

    @property
    def percent(self) -> int:
        return round(100 * self.done / len(self.steps))

    @property
    def next(self) -> Step | None:
        return next((step for step in self.steps if not step.done), None)


def checklist_for(user: User) -> Checklist:
    """The steps as they stand. `shown` on the dashboard: to who may settle them, until dismissed or all done."""
    steps = (_approve(user), _mail(), _model(), _colleagues(), _form(), _api_key())
    dismissed = Agent.objects.filter(user=user, first_steps_dismissed=True).exists()
    return Checklist(steps, shown=administers(user) and not dismissed and not all(step.done for step in steps))


def _approve(user: User) -> Step:
    return Step(
        "approve",
        "Approve a first reply",
        "Open a ticket, read the suggested reply, change what you like, approve it. Nothing leaves without that.",
        done=Review.objects.filter(by=user, decision=Review.Decision.APPROVED).exists(),
        address="/tickets/",
        address_word="Open the queue",
    )


def _mail() -> Step:
    to_file = "file" in settings.EMAIL_BACKEND.lower() or "console" in settings.EMAIL_BACKEND.lower()
    return Step(
        "mail",
        "Connect a mail server",
        "Replies are written to files until you name a server. Set it in the environment and start the desk again."
        if to_file
        else "Approved replies leave by your mail server.",
        done=not to_file,
        how="EMAIL_URL=smtp+tls://user:password@mail.example.com:587",
    )


def _model() -> Step:
    return Step(
        "model",
        "Add a language model",
        "Tickets are read by the engines that run here, free of charge. With a key, a model is asked where they are "
        "unsure, and writes the drafts.",
        done=bool(settings.ANTHROPIC_API_KEY or settings.ANTHROPIC_BASE_URL),
        how="ANTHROPIC_API_KEY=…",
    )


def _colleagues() -> Step:
    people = User.objects.filter(is_active=True, agent__isnull=False)
    able = people.exclude(password__startswith=UNUSABLE_PASSWORD_PREFIX).count()
    return Step(
        "colleagues",
        "Invite colleagues and sort them into teams",
        "A colleague with teams sees these teams' tickets and what waits for manual review; one without sees all.",
        done=able > 1,
        address="/settings/people/",
        address_word="People",
    )


def _form() -> Step:
    came = Event.objects.filter(pgh_label="created", pgh_context__actor="visitor", pgh_obj__source__kind="form")
    return Step(
        "form",
        "Share the support form",
        "Customers write there without signing in. Put the link on your site or in your signature.",
        done=came.exists(),
        how=f"{settings.BASE_URL}/support/",
        address="/support/",
        address_word="Open the form",
    )


def _api_key() -> Step:
    return Step(
        "api_key",
        "Make an API key",
        "Other systems send tickets with it, and read what became of them.",
        done=ApiKey.objects.in_force().exists(),
        address="/settings/api-keys/#new-key",
        address_word="New key",
    )
