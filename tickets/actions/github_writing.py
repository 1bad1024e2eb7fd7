"""Labels and state that go back to GitHub where a repository wants them: what people decided, or is sure enough."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from tickets.actions.deliveries import Claimed
from tickets.channels.github.client import Github, GithubError, Gone, Limited, Unavailable
from tickets.channels.github.signing_in import github_for
from tickets.models import ENDED, GithubAccount, GithubIssue, GithubWriting, Ticket, TriageState
from tickets.models.work import LEASE
from triage.queue import ring

log = structlog.get_logger(__name__)
MOST_ATTEMPTS = 8
LABEL_LIMIT = 50  # characters, as GitHub has it
State = GithubWriting.State


def wanted_labels(issue: GithubIssue) -> list[str]:
    """The labels a ticket is to have there. A value that is only suggested is none: it would look decided."""
    ticket, repository, labels = issue.ticket, issue.repository, []
    if repository.write_labels:
        if ticket.category and _is_sure(ticket, "category"):
            labels.append(f"category: {ticket.category.name}")
        if ticket.priority and _is_sure(ticket, "priority"):
            labels.append(f"priority: {ticket.priority}")
    if repository.write_team_label and ticket.team and _is_sure(ticket, "team"):
        labels.append(f"team: {ticket.team.name}")
    return [label[:LABEL_LIMIT] for label in labels]


def _is_sure(ticket: Ticket, field: str) -> bool:
    how: Mapping[str, Any] = ticket.provenance.get(field, {})
    return how.get("engine") == "person" or how.get("band") == "apply"


def note_due(limit: int = 100) -> int:
    """Find the tickets that changed since they were looked at, and queue what is to be written. Gives how many."""
    wants = Q(repository__write_labels=True) | Q(repository__write_team_label=True) | Q(repository__write_state=True)
    changed = Q(seen_at=None) | Q(ticket__updated_at__gt=F("seen_at"))
    there = Q(state__in=(GithubIssue.State.OPEN, GithubIssue.State.CLOSED), ticket__deleted_at=None)
    read = Q(ticket__triage_state__in=(TriageState.TRIAGED, TriageState.FAILED))
    issues = GithubIssue.objects.filter(wants, changed, there, read, repository__disconnected_at=None)
    related = ("repository__account", "ticket__category", "ticket__team")
    queued = 0
    with transaction.atomic():
        # The ticket is not locked: it is looked at again when it has changed again.
        for issue in issues.select_related(*related).select_for_update(of=("self",), skip_locked=True)[:limit]:
            queued += _note(issue)
    if queued:
        ring("batch")
    return queued


def _note(issue: GithubIssue) -> bool:
    ended = issue.ticket.status in ENDED
    turned = issue.repository.write_state and ended != issue.ended
    state = ("closed" if ended else "open") if turned else ""
    labelled = set(wanted_labels(issue)) != set(issue.labels_written)
    issue.ended, issue.seen_at = ended, issue.ticket.updated_at
    issue.save(update_fields=["ended", "seen_at"])
    if (not state or state == issue.state) and not labelled:
        return False
    writing, made = GithubWriting.objects.select_for_update().get_or_create(
        issue=issue, defaults={"wanted_state": state}
    )
    if not made:
        writing.wanted_state = state or writing.wanted_state
        if writing.state != State.WRITING:
            writing.state, writing.attempts, writing.not_before, writing.error = State.QUEUED, 0, timezone.now(), ""
        else:  # whoever writes now does not know of this
            writing.claim += 1
            writing.state, writing.lease_until, writing.not_before = State.QUEUED, None, timezone.now()
        writing.save()
    return True


def due() -> QuerySet[GithubWriting]:
    now = timezone.now()
    free = Q(state=State.QUEUED) | Q(state=State.WRITING, lease_until__lt=now)
    account = "issue__repository__account__limited_until"
    unlimited = Q(**{account: None}) | Q(**{f"{account}__lte": now})
    return GithubWriting.objects.filter(free, unlimited, not_before__lte=now)


def is_due() -> bool:
    return due().exists()


def claim(limit: int) -> list[Claimed]:
    with transaction.atomic():
        waiting = due().order_by("not_before", "pk").select_for_update(skip_locked=True, of=("self",))
        taken = list(waiting.values_list("pk", flat=True)[:limit])
        mine = GithubWriting.objects.filter(pk__in=taken)
        lease = timezone.now() + LEASE
        mine.update(state=State.WRITING, attempts=F("attempts") + 1, claim=F("claim") + 1, lease_until=lease)
        return [Claimed(*row) for row in mine.values_list("pk", "claim")]


def renew(claimed: Claimed) -> None:
    _held(claimed).update(lease_until=timezone.now() + LEASE)


def work(claimed: Claimed) -> None:
    """Make labels and state there what they are here. Written twice they are the same, so it may be tried again."""
    related = ("issue__repository__account", "issue__repository__installation__account")
    held = _held(claimed).select_related(*related, "issue__ticket__category", "issue__ticket__team")
    writing = held.first()
    if writing is None:
        return
    try:
        with github_for(writing.issue.repository) as github:
            _write_labels(github, writing.issue)
            _write_state(github, writing)
    except Limited as error:
        account = GithubAccount.objects.filter(pk=writing.issue.repository.account_id)
        account.update(limited_until=error.until)
        _put_back(claimed, (error.until - timezone.now()).total_seconds(), str(error), attempts=0)
    except Unavailable as error:
        if writing.attempts < MOST_ATTEMPTS:
            _put_back(claimed, min(2**writing.attempts, 300), str(error))
        else:
            _finish(claimed, State.FAILED, f"{error} Given up after {writing.attempts} attempts.")
    except GithubError as error:
        _finish(claimed, State.FAILED, str(error))
    except Exception as error:
        log.exception("github_writing_broke", writing=writing.pk)
        _finish(claimed, State.FAILED, f"{type(error).__name__} while writing.")
    else:
        _finish(claimed, State.DONE, "")


def _write_labels(github: Github, issue: GithubIssue) -> None:
    """Add what is missing, and take away what the desk itself wrote and means no more. Others' labels stay."""
    path = f"/repos/{issue.repository.full_name}/issues/{issue.number}/labels"
    wanted, written = wanted_labels(issue), list(issue.labels_written)
    missing = [label for label in wanted if label not in written]
    if missing:
        github.post(path, {"labels": missing})
        written += missing
        _keep(issue, written)
    for label in [label for label in written if label not in wanted]:
        try:
            github.delete(f"{path}/{_quoted(label)}")
        except Gone as error:
            if error.status != 404:
                raise  # else somebody took it away already
        written.remove(label)
        _keep(issue, written)


def _keep(issue: GithubIssue, written: list[str]) -> None:
    issue.labels_written = written
    GithubIssue.objects.filter(pk=issue.pk).update(labels_written=written)


def _quoted(label: str) -> str:
    from urllib.parse import quote

    return quote(label, safe="")


def _write_state(github: Github, writing: GithubWriting) -> None:
    issue, state = writing.issue, writing.wanted_state
    if not state or not issue.repository.write_state or state == issue.state:
        return
    reason = {"state_reason": "completed"} if state == "closed" else {}
    github.patch(f"/repos/{issue.repository.full_name}/issues/{issue.number}", {"state": state, **reason})
    GithubIssue.objects.filter(pk=issue.pk).update(state=state)


def _held(claimed: Claimed) -> Any:
    return GithubWriting.objects.filter(pk=claimed.pk, claim=claimed.claim, state=State.WRITING)


def _put_back(claimed: Claimed, seconds: float, why: str, *, attempts: int | None = None) -> None:
    counted = {} if attempts is None else {"attempts": attempts}
    at = timezone.now() + timedelta(seconds=seconds)
    _held(claimed).update(state=State.QUEUED, lease_until=None, not_before=at, error=why, **counted)


def _finish(claimed: Claimed, state: str, why: str) -> None:
    now = timezone.now()
    _held(claimed).update(
        state=state, lease_until=None, error=why, wanted_state="", written_at=now if state == State.DONE else None
    )
