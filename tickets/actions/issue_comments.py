"""Comments below issues as messages of their tickets; the desk's own, coming back, are known again."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from tickets.actions import intake
from tickets.actions.notifying import tell_assignee
from tickets.actions.promising import reckon
from tickets.channels.github import marks_in
from tickets.channels.github.payloads import Comment, digest_of, shown
from tickets.live import announce
from tickets.models import (
    Delivery,
    DeliveryAttempt,
    Draft,
    GithubAccount,
    GithubComment,
    GithubIssue,
    Lane,
    Message,
    Ticket,
    TriageState,
    excerpt_of,
)
from tickets.models.ticket import SLA, SUBMISSION
from triage.queue import ring

OF_THE_HOUSE = ("OWNER", "MEMBER", "COLLABORATOR")
EMPTY = "(empty)"
Kind = Message.Kind


def keep(*, issue: GithubIssue, comment: Comment, past: bool = False) -> str:
    """Store a comment as a message, once; an edited one as another message. Gives a sentence on what was done.

    `past`: it is history that is being imported. Nobody is told of it, and nothing ended is opened again by it.
    """
    with transaction.atomic():
        there = Ticket.everything.not_deleted().select_for_update(of=("self",))
        ticket = there.filter(pk=issue.ticket_id).first()
        if ticket is None:
            return "Its ticket was deleted here."
        known = _known(issue, comment.id)
        if known is None:
            if _is_own_reply(issue, comment):
                return "The desk wrote this comment itself."
            _add(issue, ticket, comment, past=past)
            return "Stored as a message."
        if comment.updated_at < known.changed_at or _digest(comment) == known.text_digest:
            return "It is known already."
        known.replaced = True
        known.save(update_fields=["replaced"])
        _add(issue, ticket, comment, past=past)
    return "Its new text is stored as a message."


def remove(*, issue: GithubIssue, comment_id: int) -> str:
    """It was deleted on GitHub. Its message stays, and says so."""
    with transaction.atomic():
        ticket = Ticket.objects.select_for_update(of=("self",)).filter(pk=issue.ticket_id).first()
        gone = GithubComment.objects.filter(repository=issue.repository, comment_id=comment_id, deleted_at=None)
        if not gone.update(deleted_at=timezone.now()) or ticket is None:
            return "It was not known here."
        _touch(ticket)
    return "Its message is marked as deleted on GitHub."


def _known(issue: GithubIssue, comment_id: int) -> GithubComment | None:
    return GithubComment.objects.filter(repository=issue.repository, comment_id=comment_id, replaced=False).first()


def kind_of(issue: GithubIssue, comment: Comment) -> Message.Kind:
    """Who speaks: a bot's words are a note, those of people of the house an answer, all others' a customer's."""
    author = comment.author
    if author.is_bot:
        return Kind.SYSTEM
    if author.login.lower() != issue.author.lower() and comment.author_association in OF_THE_HOUSE:
        return Kind.OUTBOUND
    return Kind.INBOUND


def _add(issue: GithubIssue, ticket: Ticket, comment: Comment, *, past: bool) -> None:
    kind, author = kind_of(issue, comment), comment.author
    versions = GithubComment.objects.filter(repository=issue.repository, comment_id=comment.id).count()
    external_id = f"comment-{comment.id}" + (f"-{versions + 1}" if versions else "")
    requester = None
    if kind == Kind.INBOUND:
        requester = intake.requester_of(author.address(issue.repository.account.host), author.login)
    if kind == Kind.INBOUND and not past:
        message = intake.add_customer_message(
            ticket=ticket, text=_text(comment), requester=requester, external_id=external_id
        )
    else:
        message = Message.objects.create(
            ticket=ticket,
            kind=kind,
            text=_text(comment),
            requester=requester,
            author_name="" if requester else author.login[:100],
            external_id=external_id,
            created_at=min(comment.created_at, timezone.now()) if not versions else timezone.now(),
        )
        if not ticket.spam:  # there it is kept, and nothing is made of it
            _after(ticket, message, past=past)
    _place(issue, comment, message)


def _after(ticket: Ticket, message: Message, *, past: bool) -> None:
    """What a message means for its ticket, where it is not a customer's that came just now."""
    if past:
        read = ticket.triage_state in (TriageState.TRIAGED, TriageState.FAILED)
        if message.kind == Kind.INBOUND and ticket.is_open and read and ticket.merged_into_id is None:
            ticket.submit(lane=Lane.IMPORTED)  # it was read before the whole thread was here
            ticket.save(update_fields=list(SUBMISSION))
            ring("batch")
        if message.kind == Kind.OUTBOUND:
            ticket.first_replied_at = min(ticket.first_replied_at or message.created_at, message.created_at)
            ticket.save(update_fields=["first_replied_at"])
        return
    if message.kind == Kind.OUTBOUND:
        Draft.objects.filter(ticket=ticket).update(stale=True)
        ticket.first_replied_at = ticket.first_replied_at or message.created_at
        reckon(ticket)
        ticket.save(update_fields=["first_replied_at", *SLA])
        tell_assignee(kind="reply", ticket=ticket, text=excerpt_of(message.text))
    _touch(ticket)


def _touch(ticket: Ticket) -> None:
    Ticket.objects.filter(pk=ticket.pk).update(updated_at=timezone.now())
    announce(ticket, "comment")


def _place(issue: GithubIssue, comment: Comment, message: Message) -> None:
    GithubComment.objects.get_or_create(
        message=message,
        defaults={
            "repository": issue.repository,
            "comment_id": comment.id,
            "url": comment.html_url[:500],
            "author": comment.author.login[:100],
            "author_is_bot": comment.author.is_bot,
            "association": comment.author_association[:30],
            "text_digest": _digest(comment),
            "changed_at": comment.updated_at,
        },
    )


def _text(comment: Comment) -> str:
    return shown(comment.body) or EMPTY


def _digest(comment: Comment) -> str:
    return digest_of(_text(comment))


def _is_own_reply(issue: GithubIssue, comment: Comment) -> bool:
    """Whether this is a reply that left the desk: it carries its key, and the desk's account wrote it.

    Anybody can copy the key into a comment of their own, and that stays theirs. What was not known to have arrived is
    known now.
    """
    keys = marks_in(comment.body)
    if not keys or not _is_by_us(issue, comment):
        return False
    sent = Delivery.objects.select_for_update(of=("self",)).filter(key__in=keys, ticket=issue.ticket_id)
    delivery = sent.select_related("message").first()
    if delivery is None:
        return False
    if not GithubComment.objects.filter(message=delivery.message).exists():
        _place(issue, comment, delivery.message)
    State = Delivery.State
    if delivery.state in (State.UNKNOWN, State.FAILED) or (delivery.state == State.QUEUED and delivery.attempts):
        now = timezone.now()
        delivery.state, delivery.sent_at, delivery.error = State.SENT, now, ""
        delivery.save(update_fields=["state", "sent_at", "error"])
        Outcome = DeliveryAttempt.Outcome
        delivery.tries.filter(outcome=Outcome.STARTED).update(outcome=Outcome.SENT, finished_at=now)
        announce(delivery.ticket, "reply")
    return True


def _is_by_us(issue: GithubIssue, comment: Comment) -> bool:
    account = issue.repository.account
    app = comment.performed_via_github_app
    if account.way == GithubAccount.Way.APP and app is not None and str(app.id) == account.app_id:
        return True
    # A token whose owner was never asked for (no network when it was connected) is taken at its mark.
    return not account.login or comment.author.login.lower() == account.login.lower()
