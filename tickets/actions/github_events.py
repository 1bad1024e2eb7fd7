"""What GitHub's webhooks told: stored at the door, worked through by the worker, each in the order of its issue."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import takewhile
from typing import Any

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from pydantic import ValidationError

from tickets.actions import issue_comments, issues
from tickets.actions.deliveries import Claimed
from tickets.channels.base import clean_text, complaints
from tickets.channels.github.payloads import Account, Comment, Issue, Repository
from tickets.models import GithubAccount, GithubEvent, GithubInstallation, GithubIssue, GithubRepository, Ticket
from tickets.models.work import LEASE
from triage.correlation import acting

log = structlog.get_logger(__name__)
MOST_ATTEMPTS = 6
LOOKED_AT = 2_000  # events of which forget() looks at the age at a time
State = GithubEvent.State
ENDED = (State.DONE, State.IGNORED, State.FAILED)
ABOUT_ISSUES = ("issues", "issue_comment", "pull_request")


@dataclass(slots=True)
class _Forgotten:
    """Up to which event (primary key) this process knows that no payload is left."""

    up_to: int = 0


_forgotten = _Forgotten()


@dataclass(frozen=True, slots=True)
class Done:
    """What became of an event: a sentence, and the ticket that it was about."""

    result: str
    ticket: Ticket | None = None
    ignored: bool = False


def why_ignored(repository: GithubRepository | None, name: str, content: Mapping[str, Any]) -> str:
    """Why nothing is done about an event, known at the door; empty where it is taken. Raises ValidationError."""
    if name not in HANDLERS:
        return f"unsupported event type: {name}"
    if name not in ABOUT_ISSUES:
        return ""
    if repository is None:
        return "this repository is not connected"
    if not repository.source.active:
        return "this repository is switched off"
    issue = _issue_in(content)
    if name == "issue_comment":
        Comment.model_validate(content.get("comment"))
    if (name == "pull_request" or issue.pull_request is not None) and not repository.pull_requests:
        return "pull requests are not taken for this repository"
    return ""


def store(
    *,
    account: GithubAccount,
    repository: GithubRepository | None,
    name: str,
    delivery: str,
    content: Mapping[str, Any],
    answer: dict[str, Any],
) -> GithubEvent:
    """Keep an event for the worker. Raises IntegrityError where this delivery is kept already."""
    about = content.get("issue") or content.get("pull_request")
    number = about.get("number") if isinstance(about, dict) else None
    whose = f"{repository.pk if repository else f'account {account.pk}'}"
    return GithubEvent.objects.create(
        delivery=delivery,
        account=account,
        repository=repository,
        name=name,
        action=answer["action"],
        subject=f"{whose}#{number}" if number else whose,
        payload=clean_text(json.dumps(content, ensure_ascii=False, separators=(",", ":"))),
        answer=answer,
        correlation_id=answer["correlation_id"],
    )


def due() -> QuerySet[GithubEvent]:
    return GithubEvent.objects.due(timezone.now())


def claim(limit: int) -> list[Claimed]:
    """Take up to `limit` events under a lease, one of each issue."""
    now = timezone.now()
    with transaction.atomic():
        waiting = GithubEvent.objects.due(now).order_by("pk")
        taken = list(waiting.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True)[:limit])
        mine = GithubEvent.objects.filter(pk__in=taken)
        mine.update(state=State.WORKING, attempts=F("attempts") + 1, claim=F("claim") + 1, lease_until=now + LEASE)
        return [Claimed(*row) for row in mine.order_by("pk").values_list("pk", "claim")]


def renew(claimed: Claimed) -> None:
    _held(claimed).update(lease_until=timezone.now() + LEASE)


def work(claimed: Claimed) -> None:
    """Do what a claimed event asks for, and note what that was. What breaks is tried again, then left to a person."""
    related = ("account", "repository__account", "repository__source", "repository__installation__account")
    event = _held(claimed).select_related(*related).first()
    if event is None:
        return
    with acting(f"channel:{event.repository or 'github'}", correlation_id=event.correlation_id):
        try:
            with transaction.atomic():
                done = HANDLERS[event.name](event, event.content)
                _finish(event, claimed, State.IGNORED if done.ignored else State.DONE, done.result, done.ticket)
            note_heard(event.repository)
        except ValidationError as wrong:
            said = " ".join(f"{name}: {sentence}" for name, sentence in complaints(wrong).items())
            _finish(event, claimed, State.FAILED, f"No ticket can be made of this. {said}")
        except Exception as error:
            log.exception("github_event_broke", delivery=event.delivery)
            _later(event, claimed, error)


def run_again(*, event: GithubEvent) -> bool:
    """Put a failed event before the worker once more. False where it has not failed, or what it said is forgotten."""
    failed = GithubEvent.objects.filter(pk=event.pk, state=State.FAILED).exclude(payload="")
    return bool(failed.update(state=State.QUEUED, attempts=0, not_before=timezone.now(), finished_at=None, error=""))


def forget() -> int:
    """Let go of what was said GITHUB_PAYLOAD_DAYS ago and is worked through. Gives of how many.

    The rows stay: the same delivery is still known when it comes again. No index leads to those with a payload, so
    this goes through them in their order, and only once.
    """
    old = timezone.now() - timedelta(days=settings.GITHUB_PAYLOAD_DAYS)
    events = GithubEvent.objects.filter(pk__gt=_forgotten.up_to).order_by("pk")
    looked_at = events.values_list("pk", "state", "received_at")[:LOOKED_AT]
    aged = list(takewhile(lambda row: row[2] < old, looked_at))
    ended = [pk for pk, state, _ in aged if state in ENDED]
    count = GithubEvent.objects.filter(pk__in=ended).exclude(payload="").update(payload="")
    waiting = next((pk for pk, state, _ in aged if state not in ENDED), None)
    if aged:
        _forgotten.up_to = aged[-1][0] if waiting is None else waiting - 1
    return count


def note_heard(repository: GithubRepository | None) -> None:
    """Something came from it: shown to the minute, so that the row is not written a hundred times in one."""
    if repository is not None:
        now = timezone.now()
        stale = Q(heard_at=None) | Q(heard_at__lt=now - timedelta(minutes=1))
        GithubRepository.objects.filter(stale, pk=repository.pk).update(heard_at=now)


def _issues(event: GithubEvent, content: Mapping[str, Any]) -> Done:
    repository, issue, actor = _repository(event), _issue_in(content), _actor(content)
    action = event.action
    if action in ("deleted", "transferred"):
        known = GithubIssue.objects.filter(repository=repository, number=issue.number).first()
        if known is None:
            return Done("The issue was not known here.", ignored=True)
        known.repository = repository
        changes = content.get("changes")
        moved = changes.get("new_issue") if isinstance(changes, dict) else None
        to = str(moved.get("html_url") or "") if isinstance(moved, dict) else ""
        issues.move(issue=known, state=GithubIssue.State(action), actor=actor, to=to)
        return Done(f"The issue was {action}.", known.ticket)
    edited = None if action in ("edited", "opened", "reopened") else False
    raw = content.get("issue") or content["pull_request"]
    kept = issues.keep(repository=repository, issue=issue, raw=raw, actor=actor, edited=edited)
    word = "A ticket was made." if kept.created else f"The ticket knows that it was {action or 'changed'}."
    return Done(word, kept.issue.ticket)


def _issue_comment(event: GithubEvent, content: Mapping[str, Any]) -> Done:
    repository, issue, comment = _repository(event), _issue_in(content), Comment.model_validate(content.get("comment"))
    known = GithubIssue.objects.filter(repository=repository, number=issue.number).first()
    if known is None:
        if event.action == "deleted":
            return Done("The issue was not known here.", ignored=True)
        known = issues.keep(repository=repository, issue=issue, raw=content["issue"]).issue
    known.repository = repository
    if event.action == "deleted":
        return Done(issue_comments.remove(issue=known, comment_id=comment.id), known.ticket)
    return Done(issue_comments.keep(issue=known, comment=comment), known.ticket)


def _installation(event: GithubEvent, content: Mapping[str, Any]) -> Done:
    """The App was installed somewhere, taken away, suspended, or may do other things there than before."""
    said = content.get("installation")
    if not isinstance(said, dict) or not isinstance(said.get("id"), int):
        return Done("It names no installation.", ignored=True)
    whose = said.get("account")
    login = str(whose.get("login") or "")[:100] if isinstance(whose, dict) else ""
    installations = GithubInstallation.objects.filter(account=event.account, installation_id=said["id"])
    if event.action == "deleted":
        touched = GithubRepository.objects.filter(installation__in=installations)
        touched.update(error="The App was taken away from here on GitHub. Install it again.", installation=None)
        installations.delete()
        return Done(f"The App is no longer installed at {login}.")
    suspended = event.action == "suspend" or bool(said.get("suspended_at") and event.action != "unsuspend")
    one, _ = GithubInstallation.objects.update_or_create(
        account=event.account, installation_id=said["id"], defaults={"login": login, "suspended": suspended}
    )
    _take_in(event.account, one, content.get("repositories"))
    return Done(f"The App {'is suspended' if suspended else 'is installed'} at {login}.")


def _installation_repositories(event: GithubEvent, content: Mapping[str, Any]) -> Done:
    done = _installation(event, {**content, "repositories": content.get("repositories_added")})
    gone = [one["id"] for one in content.get("repositories_removed") or () if isinstance(one, dict) and "id" in one]
    lost = GithubRepository.objects.filter(account=event.account, github_id__in=gone)
    count = lost.update(error="The App has no access here any more. Give it back on GitHub.", installation=None)
    return Done(f"{count} connected repositories lost the App.") if count else done


def _take_in(account: GithubAccount, installation: GithubInstallation, listed: Any) -> None:
    """Connected repositories that the App reaches now are reached through it."""
    reached = [one["id"] for one in listed or () if isinstance(one, dict) and isinstance(one.get("id"), int)]
    if reached:
        GithubRepository.objects.filter(account=account, github_id__in=reached).update(
            installation=installation, error=""
        )


def _repository_event(event: GithubEvent, content: Mapping[str, Any]) -> Done:
    if event.repository is None:
        return Done("This repository is not connected.", ignored=True)
    if event.action == "deleted":
        mark_gone(event.repository)
        return Done("The repository was deleted on GitHub.")
    rename(event.repository, Repository.model_validate(content.get("repository")))
    return Done(f"The repository was {event.action}.")


def mark_gone(repository: GithubRepository) -> None:
    """It is not there any more, or not for this account: its tickets stay, and say where they came from."""
    GithubRepository.objects.filter(pk=repository.pk).update(
        error="GitHub has no such repository any more, or the account may not see it."
    )


def rename(repository: GithubRepository, said: Repository) -> None:
    """Keep what GitHub says of a repository: its name above all, which may have changed. Its number never does."""
    if not said.full_name:
        return
    with transaction.atomic():
        repository.full_name, repository.private = said.full_name[:141], said.private
        repository.github_id = repository.github_id or said.id
        repository.permission = said.permission or repository.permission
        repository.save(update_fields=["full_name", "private", "github_id", "permission"])


HANDLERS: dict[str, Callable[[GithubEvent, Mapping[str, Any]], Done]] = {
    "issues": _issues,
    "issue_comment": _issue_comment,
    "pull_request": _issues,
    "installation": _installation,
    "installation_repositories": _installation_repositories,
    "repository": _repository_event,
}


def _issue_in(content: Mapping[str, Any]) -> Issue:
    """The issue or pull request of a payload."""
    pull = content.get("pull_request")
    if isinstance(pull, dict) and "issue" not in content:
        return Issue.model_validate({**pull, "pull_request": {"url": pull.get("url")}})
    return Issue.model_validate(content.get("issue"))


def _actor(content: Mapping[str, Any]) -> Account | None:
    sender = content.get("sender")
    return Account.model_validate(sender) if isinstance(sender, dict) else None


def _repository(event: GithubEvent) -> GithubRepository:
    """Its repository, under the name that the event has for it."""
    repository = event.repository
    assert repository is not None  # noqa: S101  the door stores no event of an issue without one
    said = event.content.get("repository")
    if isinstance(said, dict):
        told = Repository.model_validate(said)
        if told.full_name != repository.full_name or (repository.github_id is None and told.id):
            rename(repository, told)
    return repository


def _held(claimed: Claimed) -> Any:
    return GithubEvent.objects.filter(pk=claimed.pk, claim=claimed.claim, state=State.WORKING)


def _later(event: GithubEvent, claimed: Claimed, error: Exception) -> None:
    said = f"{type(error).__name__}: {error}"[:300]
    if event.attempts >= MOST_ATTEMPTS:
        _finish(event, claimed, State.FAILED, said)
        return
    wait = timedelta(seconds=min(2**event.attempts, 300) * random.uniform(0.8, 1.2))
    _held(claimed).update(state=State.QUEUED, lease_until=None, error=said, not_before=timezone.now() + wait)


def _finish(event: GithubEvent, claimed: Claimed, state: str, result: str, ticket: Ticket | None = None) -> None:
    changed = _held(claimed).update(
        state=state,
        lease_until=None,
        result=result[:300],
        error=result if state == State.FAILED else "",
        ticket=ticket,
        finished_at=timezone.now(),
    )
    if not changed:
        log.warning("github_event_lease_lost", delivery=event.delivery)
        if connection.in_atomic_block:
            transaction.set_rollback(True)  # whoever has it now does it
