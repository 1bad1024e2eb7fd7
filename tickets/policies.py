"""Which policy holds for a ticket, and by whose clock."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self, cast

import structlog
from django.conf import settings
from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Q

from tickets.business_time import ALWAYS, Hours, NoHours
from tickets.models import Calendar, SlaPolicy, Ticket
from tickets.promises import Terms

REMEMBERED = 1.0  # seconds
_remembered: tuple[float, Policies] | None = None
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Policies:
    """Every policy, with the hours that its minutes are told by."""

    policies: Sequence[SlaPolicy]
    hours: Mapping[int, Hours]  # by the calendar's primary key
    of_teams: Mapping[int, int]  # a team's calendar

    @classmethod
    def remembered(cls) -> Self:
        """As they stood REMEMBERED seconds ago at most; after a change all open tickets are reckoned anew."""
        global _remembered  # noqa: PLW0603  one value a process, replaced whole
        if _remembered is None or time.monotonic() - _remembered[0] > REMEMBERED or settings.TESTING:
            _remembered = (time.monotonic(), cls.current())
        return cast(Self, _remembered[1])

    @classmethod
    def current(cls) -> Self:
        """As they stand in the database. Two queries."""
        policies = sorted(SlaPolicy.objects.order_by("pk"), key=lambda policy: policy.rank, reverse=True)
        hours: dict[int, Hours] = {}
        of_teams: dict[int, int] = {}
        free = ArrayAgg("holidays__on", filter=Q(holidays__isnull=False), distinct=True, default=[])
        teams = ArrayAgg("teams", filter=Q(teams__isnull=False), distinct=True, default=[])
        for calendar in Calendar.objects.annotate(free=free, team_keys=teams):
            try:
                hours[calendar.pk] = Hours.of(calendar.time_zone, calendar.hours, calendar.free)
            except NoHours as wrong:  # written past the application: time goes on all the same
                log.warning("calendar_unusable", calendar=calendar.name, why=str(wrong))
                hours[calendar.pk] = ALWAYS
            of_teams |= dict.fromkeys(calendar.team_keys, calendar.pk)
        return cls(policies, hours, of_teams)

    def hours_for_all(self, priority: str) -> float | None:
        """Hours within which every ticket of a priority is promised a first answer, whatever its team and source.

        None where it cannot be said in plain hours: nothing is promised to some, or by opening hours to some.
        """
        own = [policy for policy in self.policies if policy.priority == priority]
        general = any(policy.team_id is None and policy.source_id is None for policy in own)
        others = [
            policy
            for policy in self.policies
            if not policy.priority and (policy.team_id or policy.source_id or not general)
        ]
        for_everybody = general or any(policy.rank == (0, False, False) for policy in others)
        told = [self._plain_hours(policy) for policy in (*own, *others)]
        return max(filter(None, told)) if for_everybody and all(told) else None

    def _plain_hours(self, policy: SlaPolicy) -> float | None:
        clocks = [policy.calendar_id] if policy.calendar_id else [*self.of_teams.values()]
        return policy.hours if all(self.hours[one].always for one in clocks) else None

    def policy_for(self, ticket: Ticket) -> SlaPolicy | None:
        """Of those that fit, the one that names most."""
        return next((policy for policy in self.policies if policy.fits(ticket)), None)

    def terms_for(self, ticket: Ticket) -> Terms | None:
        """What is promised to a ticket; None where no policy fits."""
        policy = self.policy_for(ticket)
        return self.terms_of(policy, ticket.team_id) if policy else None

    def terms_of(self, policy: SlaPolicy, team: int | None) -> Terms:
        calendar = policy.calendar_id or self.of_teams.get(team or 0)
        minutes = {
            "first_response": policy.response_minutes,
            "next_response": policy.next_response_minutes,
            "resolution": policy.resolution_minutes,
        }
        return Terms(
            policy=policy.pk,
            minutes={target: number for target, number in minutes.items() if number},
            hours=self.hours[calendar] if calendar else ALWAYS,
            warn_percent=policy.warn_percent,
            warn_minutes=policy.warn_minutes,
        )
