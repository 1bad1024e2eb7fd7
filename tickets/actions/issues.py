"""Issues of GitHub as tickets: stored once, kept in step with what is said there, never decided by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from tickets.actions import intake, status
from tickets.actions.errors import Conflict
from tickets.channels.base import Inbound, clean_raw
from tickets.channels.github.payloads import Account, Issue
from tickets.live import announce
from tickets.models import (
    SUBJECT_LIMIT,
    GithubIssue,
    GithubRepository,
    GithubSync,
    Lane,
    Message,
    Status,
    Ticket,
)

State = GithubIssue.State


@dataclass(frozen=True, slots=True)
class Kept:
    issue: GithubIssue
    created: bool


def keep(
    *,
    repository: GithubRepository,
    issue: Issue,
    raw: Mapping[str, Any],
    lane: Lane = Lane.INTERACTIVE,
    sync: GithubSync | None = None,
    actor: Account | None = None,
    edited: bool | None = None,
) -> Kept:
    """Store an issue as a ticket, or bring the ticket in step with it. `raw` is all that GitHub said of it.

    `edited` says whether title or text were changed (None: it is found out). What is older than what is known changes
    nothing: events come in any order. Raises pydantic's ValidationError for what no ticket can be made of.
    """
    with transaction.atomic():
        known = GithubIssue.objects.filter(repository=repository, number=issue.number).first()
        if known is None:
            return _store(repository, issue, raw, lane, sync)
        _bring_in_step(repository, known, issue, raw=raw, actor=actor, edited=edited)
    return Kept(known, created=False)


def move(*, issue: GithubIssue, state: GithubIssue.State, actor: Account | None = None, to: str = "") -> None:
    """It was deleted, or transferred to another repository (`to` is its address there)."""
    with transaction.atomic():
        ticket = _hold(issue)
        issue.refresh_from_db()
        issue.moved_to = to[:500]
        _become(issue, state, ticket, actor)
        issue.save(update_fields=["state", "moved_to"])


def kind_of(issue: Issue) -> GithubIssue.Kind:
    return GithubIssue.Kind.ISSUE if issue.pull_request is None else GithubIssue.Kind.PULL_REQUEST


def _store(
    repository: GithubRepository, issue: Issue, raw: Mapping[str, Any], lane: Lane, sync: GithubSync | None
) -> Kept:
    author = issue.author
    inbound = Inbound(
        title=issue.title[:SUBJECT_LIMIT],
        text=issue.text,
        requester_email=author.address(repository.account.host),
        requester_name=author.login,
        external_id=str(issue.number),
        created_at=issue.created_at,
        lane=lane,
        raw=dict(raw),
    )
    ticket = intake.receive(inbound, source=repository.source).ticket
    over = issue.state == "closed"
    facts = {**_facts(issue), "ticket": ticket, "sync": sync, "text_digest": issue.digest, "ended": over}
    row, made = GithubIssue.objects.get_or_create(repository=repository, number=issue.number, defaults=facts)
    if made and over:
        # What was over before it came is no work for anybody; the machine still reads it, to know its like.
        ticket.set_status(Status.CLOSED)
        ticket.resolved_at = issue.closed_at or issue.updated_at
        ticket.sla_look_at = None
        ticket.save(update_fields=["status", "resolved_at", "sla_look_at", "updated_at"])
    return Kept(row, created=made)


def _facts(issue: Issue) -> dict[str, Any]:
    reason = "merged" if issue.merged else issue.state_reason
    return {
        "kind": kind_of(issue),
        "github_id": issue.id,
        "state": State.CLOSED if issue.state == "closed" else State.OPEN,
        "state_reason": reason[:40] if issue.state == "closed" else "",
        "url": issue.html_url[:500],
        "labels": [{"name": label.name[:100], "color": label.color[:6]} for label in issue.labels[:100]],
        "assignees": [one.login[:100] for one in issue.assignees[:20]],
        "author": issue.author.login[:100],
        "author_is_bot": issue.author.is_bot,
        "association": issue.author_association[:30],
        "milestone": issue.milestone.title[:300] if issue.milestone else "",
        "locked": issue.locked,
        "changed_at": issue.updated_at,
    }


def _bring_in_step(
    repository: GithubRepository,
    row: GithubIssue,
    issue: Issue,
    *,
    raw: Mapping[str, Any],
    actor: Account | None,
    edited: bool | None,
) -> None:
    ticket = _hold(row)
    row.refresh_from_db()
    row.repository = repository
    if issue.updated_at < row.changed_at:
        return
    facts = _facts(issue)
    new_state = State(facts.pop("state"))
    before = {name: getattr(row, name) for name in facts}
    for name, value in facts.items():
        setattr(row, name, value)
    changed = {name for name in facts if before[name] != facts[name]} - {"changed_at"}
    if ticket is not None and edited is not False:
        _revise(row, ticket, issue)
    if new_state != row.state:
        _become(row, new_state, ticket, actor)
        changed.add("state")
    row.save()
    if ticket is not None:
        # Only what is said of it: the ticket's own row, and so its history, is written by whoever decides.
        kept, said = dict(raw), _title_taken(ticket)
        if edited is False and said is not None:
            kept["title"] = said  # of a new title the event of its own has to tell, which may come later
        Ticket.objects.filter(pk=ticket.pk).update(raw=clean_raw(kept))
        if changed:
            Ticket.objects.filter(pk=ticket.pk).update(updated_at=timezone.now())
            announce(ticket, "changed")


def _revise(row: GithubIssue, ticket: Ticket, issue: Issue) -> None:
    """Title or text changed: the text is one more message, and the machine reads it all again."""
    said = _title_taken(ticket)
    title = issue.title if said is not None and issue.title != said else None
    text = issue.text if issue.digest != row.text_digest else None
    row.text_digest = issue.digest
    if title is not None or text is not None:
        intake.revise(ticket=ticket, title=title, text=text)


def _title_taken(ticket: Ticket) -> str | None:
    """The title as it was when it was last taken over; None where the ticket keeps no payload."""
    said = (ticket.raw or {}).get("title")
    return None if said is None else str(said)


def _become(row: GithubIssue, new: GithubIssue.State, ticket: Ticket | None, actor: Account | None) -> None:
    """Note in the thread what became of it on GitHub; end or reopen the ticket, where its repository wants that."""
    row.state = new
    if ticket is None:
        return
    who = actor.login if actor else "Somebody"
    Message.objects.create(
        ticket=ticket,
        kind=Message.Kind.SYSTEM,
        author_name=(actor.login if actor else "GitHub")[:100],
        text=_told(row, new, who),
        created_at=timezone.now(),
    )
    announce(ticket, "comment")
    ours = actor is not None and actor.login.lower() == row.repository.account.login.lower() != ""
    if not row.repository.follow_state or (ours and row.repository.write_state):
        return
    try:
        if new != State.OPEN and ticket.is_open:
            status.change(ticket=ticket, status=Status.RESOLVED, by=None)
        elif new == State.OPEN and not ticket.is_open:
            status.change(ticket=ticket, status=Status.IN_REVIEW, by=None)
    except Conflict:  # it is part of another ticket now, whose people decide
        pass


def _told(row: GithubIssue, new: GithubIssue.State, who: str) -> str:
    what = "pull request" if row.kind == GithubIssue.Kind.PULL_REQUEST else "issue"
    match new:
        case State.CLOSED:
            reason = f" as {row.state_reason.replace('_', ' ')}" if row.state_reason else ""
            return f"{who} closed the {what} on GitHub{reason}."
        case State.OPEN:
            return f"{who} reopened the {what} on GitHub."
        case State.TRANSFERRED:
            return f"{who} moved the {what} on GitHub{f' to {row.moved_to}' if row.moved_to else ''}."
    return f"{who} deleted the {what} on GitHub."


def _hold(row: GithubIssue) -> Ticket | None:
    """Its ticket, locked; None where the desk has deleted it."""
    return Ticket.objects.select_for_update(of=("self",)).filter(pk=row.ticket_id).defer("embedding").first()
