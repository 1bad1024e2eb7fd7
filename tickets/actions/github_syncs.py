"""Issues and comments of a repository read page by page: begun, gone on with wherever it stopped, cancelled."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone
from pydantic import ValidationError

from tickets.actions import github_events, issue_comments, issues
from tickets.actions.deliveries import Claimed
from tickets.actions.errors import Conflict, Invalid
from tickets.actions.review import require_lead
from tickets.channels.github.client import Answer, Github, GithubError, Gone, Limited, Unavailable
from tickets.channels.github.payloads import Comment, Issue, Repository
from tickets.channels.github.signing_in import github_for
from tickets.estimate import Estimate, estimate_new
from tickets.live import EVERYTHING
from tickets.models import GithubAccount, GithubIssue, GithubRepository, GithubSync, Lane, Message, Ticket
from tickets.models.work import LEASE
from tickets.reader import Reader
from triage.correlation import acting
from triage.models import User
from triage.notify import publish
from triage.queue import ring, stopping

log = structlog.get_logger(__name__)
BUDGET = 20.0  # seconds a claim goes from page to page
MOST_ATTEMPTS = 8
AFTER_FAILURE = timedelta(hours=1)
RESERVE = 50  # requests of the hour that are left for replies
State, Kind, Phase = GithubSync.State, GithubSync.Kind, GithubSync.Phase


@dataclass(frozen=True, slots=True)
class Size:
    """Issues that a sync would bring, as GitHub counts them (pull requests among them), and what reading them costs."""

    issues: int
    estimate: Estimate


def measure(repository: GithubRepository) -> Size:
    """Ask GitHub how many there are to read. Raises GithubError."""
    since = _since_words(repository.issues_since)
    with github_for(repository) as github:
        path = f"/repos/{repository.full_name}/issues"
        answer = github.get(path, state="all", per_page=1, **({"since": since} if since else {}))
    last = answer.links.get("last", "")
    count = int(last.rpartition("page=")[2]) if last.rpartition("page=")[2].isdigit() else len(answer.content or ())
    return Size(count, estimate_new(count, Reader()))


def begin(
    *, repository: GithubRepository, by: User | None, expected: int | None = None, kind: GithubSync.Kind | None = None
) -> GithubSync:
    """Have the worker read it: everything the first time, then what has changed. `by` None: its time has come.

    Raises Conflict while one is running, Invalid where it is disconnected, Forbidden.
    """
    if by is not None:
        require_lead(by)
    if not repository.connected:
        raise Invalid("disconnected", "This repository is disconnected. Connect it again first.")
    kind = kind or (Kind.INCREMENTAL if repository.issues_since else Kind.BACKFILL)
    since = repository.issues_since if kind == Kind.INCREMENTAL else None
    try:
        with transaction.atomic():
            sync = GithubSync.objects.create(repository=repository, kind=kind, since=since, by=by, expected=expected)
            ring("batch")
            tell(sync)
    except IntegrityError as taken:
        raise Conflict("syncing", "This repository is being read already. Wait, or cancel that first.") from taken
    return sync


def begin_due(limit: int = 20) -> int:
    """Begin the syncs whose time has come: a webhook may have been missed, and a public repository has none.

    What failed is tried again after AFTER_FAILURE: GitHub may have been away for longer than a sync has patience.
    """
    now = timezone.now()
    idle = GithubRepository.objects.connected().filter(sync_minutes__gt=0, source__active=True)
    lately = GithubSync.objects.filter(repository=OuterRef("pk"), finished_at__gt=now - AFTER_FAILURE)
    idle = idle.filter(Q(error="") | ~Exists(lately))
    idle = idle.exclude(issues_since=None).exclude(syncs__state__in=GithubSync.RUNNING)
    begun = 0
    for repository in idle.filter(synced_at__lt=now - timedelta(minutes=1))[: limit * 10]:
        late = repository.synced_at is not None and repository.synced_at < now - timedelta(
            minutes=repository.sync_minutes
        )
        if late and begun < limit:
            try:
                begin(repository=repository, by=None)
                begun += 1
            except Conflict:  # another machine was quicker
                continue
    return begun


def cancel(*, repository: GithubRepository, by: User) -> GithubSync:
    """Stop it. What the machine has read stays; what it has not, and nobody has touched, is taken away again.

    Raises Conflict where none is running, Forbidden.
    """
    require_lead(by)
    with transaction.atomic():
        running = GithubSync.objects.select_for_update().filter(repository=repository).running()
        sync = running.first()
        if sync is None:
            raise Conflict("not_syncing", "Nothing is being read. It is finished already.")
        sync.removed = _take_away(sync)
        sync.kept = GithubIssue.objects.filter(sync=sync).count()
        sync.state, sync.lease_until, sync.finished_at = State.CANCELLED, None, timezone.now()
        sync.save(update_fields=["removed", "kept", "state", "lease_until", "finished_at"])
        if sync.kind == Kind.BACKFILL:  # the next one begins anew; what is known is not stored twice
            GithubRepository.objects.filter(pk=repository.pk).update(issues_since=None, comments_since=None, etags={})
        tell(sync, "sync_cancelled", issues_removed=sync.removed, issues_kept=sync.kept)
    return sync


def _take_away(sync: GithubSync) -> int:
    """Delete the tickets of this sync that nobody, no machine and no person, has done anything to."""
    unread = Ticket.objects.filter(github__sync=sync, triage_state="submitted", triaged_at=None, assignee=None)
    unread = unread.filter(merged_into=None, provenance={}, first_replied_at=None, reviews=None, parts=None)
    touched = Message.objects.filter(kind=Message.Kind.COMMENT).values("ticket")
    numbers = unread.exclude(pk__in=touched).select_for_update(of=("self",), skip_locked=True)
    chosen = list(numbers.values_list("pk", flat=True))
    for start in range(0, len(chosen), 500):
        Ticket.objects.filter(pk__in=chosen[start : start + 500]).delete()
    return len(chosen)


def due() -> QuerySet[GithubSync]:
    return GithubSync.objects.due(timezone.now())


def claim(limit: int) -> list[Claimed]:
    now = timezone.now()
    with transaction.atomic():
        waiting = GithubSync.objects.due(now).order_by("not_before", "pk")
        taken = list(waiting.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True)[:limit])
        mine = GithubSync.objects.filter(pk__in=taken)
        mine.update(state=State.SYNCING, attempts=F("attempts") + 1, claim=F("claim") + 1, lease_until=now + LEASE)
        return [Claimed(*row) for row in mine.values_list("pk", "claim")]


def renew(claimed: Claimed) -> None:
    _held(claimed).update(lease_until=timezone.now() + LEASE)


def work(claimed: Claimed) -> None:
    """Go on with a claimed sync: page by page until its end, its time, or GitHub's patience is over."""
    related = ("repository__account", "repository__source", "repository__installation__account")
    sync = _held(claimed).select_related(*related).first()
    if sync is None:
        return
    until = time.monotonic() + BUDGET
    with acting(f"channel:{sync.repository.full_name}"):
        try:
            with github_for(sync.repository) as github:
                while _turn(sync, claimed, github):
                    if time.monotonic() > until or stopping():
                        _wait(sync, claimed, timezone.now())
                        ring("batch")
                        return
        except Limited as error:
            GithubAccount.objects.filter(pk=sync.repository.account_id).update(limited_until=error.until)
            _wait(sync, claimed, error.until, why=str(error), attempts=0)
        except Unavailable as error:
            _later(sync, claimed, error)
        except GithubError as error:
            if isinstance(error, Gone):
                github_events.mark_gone(sync.repository)
            _end(sync, claimed, State.FAILED, str(error))
        except Exception as error:
            log.exception("github_sync_broke", sync=sync.pk)
            _later(sync, claimed, error)


def _turn(sync: GithubSync, claimed: Claimed, github: Github) -> bool:
    """Ask for one page, and store it with how far that is. False: there is no more to do with this claim."""
    answer = _ask(sync, github)
    if answer.moved:
        said = github.get(f"/repos/{sync.repository.full_name}").content
        github_events.rename(sync.repository, Repository.model_validate(said))
    items = answer.content if isinstance(answer.content, list) else []
    with transaction.atomic():
        held = _held(claimed).select_for_update(of=("self",)).first()
        if held is None:  # cancelled, or somebody else has it
            return False
        store = _store_issues if sync.phase == Phase.ISSUES else _store_comments
        newest = store(sync, items)
        sync.pages, sync.attempts, sync.error = sync.pages + 1, 0, ""
        more = _advance(sync, answer, newest)
        sync.lease_until = timezone.now() + LEASE
        fields = ("pages", "attempts", "error", "phase", "since", "next_url", "lease_until")
        sync.save(update_fields=[*fields, "seen", "stored", "known", "refused", "comments"])
        if sync.stored:
            ring("batch")
        tell(sync)
    if not more:
        _end(sync, claimed, State.COMPLETED)
    elif answer.resets_at and answer.remaining is not None and answer.remaining < _reserve(answer):
        why = f"Waits for more of GitHub's requests until {answer.resets_at:%H:%M} UTC: the last are for replies."
        _wait(sync, claimed, answer.resets_at, why=why)
        return False
    return more


def _reserve(answer: Answer) -> int:
    return min(RESERVE, (answer.limit or 0) // 10)


def _ask(sync: GithubSync, github: Github) -> Answer:
    path = f"/repos/{sync.repository.full_name}/issues" + ("/comments" if sync.phase == Phase.COMMENTS else "")
    if sync.next_url:
        return github.get(sync.next_url)
    asked: dict[str, str | int] = {"sort": "updated", "direction": "asc", "per_page": 100}
    if sync.phase == Phase.ISSUES:
        asked["state"] = "all"
    if sync.since:
        asked["since"] = _since_words(sync.since)
    # The first page of what changed: mostly nothing has, and that costs no request of the hour.
    etag = str(sync.repository.etags.get(_etag_key(sync), ""))
    return github.get(path, etag=etag, **asked)


def _advance(sync: GithubSync, answer: Answer, newest: datetime | None) -> bool:
    """Where the next page begins. Not by counting pages: what is changed meanwhile moves from one to the next.

    It begins at the time of the last one seen; where a whole page is of one moment, `Link` leads on. False at the end.
    """
    if answer.next_url:
        if newest is not None and (sync.since is None or newest > sync.since):
            sync.since, sync.next_url = newest, ""
        else:
            sync.next_url = answer.next_url
        return True
    repository, column = sync.repository, f"{sync.phase}_since"
    if answer.etag and not answer.unchanged and not sync.next_url:
        others = {key: etag for key, etag in repository.etags.items() if not key.startswith(sync.phase)}
        repository.etags = {**others, _etag_key(sync): answer.etag}
    reached = max(filter(None, (newest, sync.since)), default=sync.created_at)
    setattr(repository, column, reached)
    repository.save(update_fields=[column, "etags"])
    sync.next_url = ""
    if sync.phase == Phase.ISSUES:
        sync.phase = Phase.COMMENTS
        sync.since = repository.comments_since if sync.kind == Kind.INCREMENTAL else None
        return True
    return False


def _etag_key(sync: GithubSync) -> str:
    return f"{sync.phase} since {_since_words(sync.since)}"


def _store_issues(sync: GithubSync, items: Sequence[Any]) -> datetime | None:
    """Gives when the last of them was changed."""
    repository, newest = sync.repository, None
    for raw in items:
        issue = _parsed(sync, Issue, raw)
        if issue is None:
            continue
        newest = max(newest or issue.updated_at, issue.updated_at)
        if issue.pull_request is not None and not repository.pull_requests:
            continue
        known = GithubIssue.objects.filter(repository=repository, number=issue.number).first()
        if known is not None and sync.since and known.changed_at >= issue.updated_at == sync.since:
            continue  # the last of the page before, once more
        fresh = repository.synced_at is not None and issue.created_at >= repository.synced_at
        lane = Lane.INTERACTIVE if sync.kind == Kind.INCREMENTAL and fresh else Lane.IMPORTED
        try:
            kept = issues.keep(repository=repository, issue=issue, raw=raw, lane=lane, sync=sync)
        except ValidationError:
            sync.refused += 1
            continue
        sync.seen += 1
        sync.stored += kept.created
        sync.known += not kept.created
    return newest


def _store_comments(sync: GithubSync, items: Sequence[Any]) -> datetime | None:
    repository, newest = sync.repository, None
    comments = [comment for raw in items if (comment := _parsed(sync, Comment, raw)) is not None]
    numbers = {comment.issue_number for comment in comments}
    there = {row.number: row for row in GithubIssue.objects.filter(repository=repository, number__in=numbers - {None})}
    for comment in comments:
        newest = max(newest or comment.updated_at, comment.updated_at)
        issue = there.get(comment.issue_number or 0)
        if issue is None:
            continue
        issue.repository = repository
        before = repository.synced_at is None or comment.created_at < repository.synced_at
        issue_comments.keep(issue=issue, comment=comment, past=sync.kind == Kind.BACKFILL or before)
        sync.comments += 1
    return newest


def _parsed(sync: GithubSync, kind: Callable[..., Any], raw: Any) -> Any:
    try:
        return kind.model_validate(raw)  # type: ignore[attr-defined]
    except ValidationError:
        sync.refused += 1
        return None


def tell(sync: GithubSync, event: str = "sync_progress", **more: Any) -> None:
    """Tell open desks how it stands: sync_progress, sync_completed, sync_cancelled, sync_failed."""
    owner, _, name = sync.repository.full_name.partition("/")
    about = {"repository": sync.repository_id, "owner": owner, "repo": name, "result": sync.as_json()}
    at = timezone.now().isoformat()
    publish({"type": "github.sync", "event": event, "timestamp": at, **about, **more}, EVERYTHING)


def _end(sync: GithubSync, claimed: Claimed, state: GithubSync.State, why: str = "") -> None:
    now = timezone.now()
    with transaction.atomic():
        if not _held(claimed).update(state=state, lease_until=None, error=why, finished_at=now):
            return
        sync.state, sync.error, sync.finished_at = state, why, now
        if state == State.COMPLETED:
            GithubRepository.objects.filter(pk=sync.repository_id).update(synced_at=now, error="")
        elif why:
            failed = GithubRepository.objects.filter(pk=sync.repository_id, error="")
            failed.update(error=why[:300])
        tell(sync, "sync_completed" if state == State.COMPLETED else "sync_failed")
    log.info("github_sync_ended", sync=sync.pk, repository=sync.repository.full_name, state=state)


def _wait(sync: GithubSync, claimed: Claimed, until: datetime, *, why: str = "", attempts: int | None = None) -> None:
    """Put it back. It goes on from its last stored page."""
    counted = {} if attempts is None else {"attempts": attempts}
    _held(claimed).update(state=State.PENDING, lease_until=None, not_before=until, error=why, **counted)
    tell(sync)


def _later(sync: GithubSync, claimed: Claimed, error: Exception) -> None:
    said = str(error) if isinstance(error, GithubError) else f"{type(error).__name__} while storing."
    if sync.attempts >= MOST_ATTEMPTS:
        _end(sync, claimed, State.FAILED, f"{said} Given up after {sync.attempts} attempts in a row.")
    else:
        _wait(sync, claimed, timezone.now() + timedelta(seconds=min(2**sync.attempts, 300)), why=said)


def _held(claimed: Claimed) -> Any:
    return GithubSync.objects.filter(pk=claimed.pk, claim=claimed.claim, state=State.SYNCING)


def _since_words(since: datetime | None) -> str:
    return since.strftime("%Y-%m-%dT%H:%M:%SZ") if since else ""
