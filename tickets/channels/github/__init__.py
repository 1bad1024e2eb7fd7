from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from django.utils import timezone

from tickets.channels.base import Channel, SendReceipt, SendRefused, SendUnknown, TryAgain
from tickets.channels.github.client import Github, GithubError, Limited, Unavailable
from tickets.channels.github.signing_in import github_for

if TYPE_CHECKING:
    from tickets.models import Delivery, GithubIssue, Ticket

MOST_LETTERS = 65_536  # of a comment, as GitHub takes them
SKEW = timedelta(minutes=10)  # our clock and GitHub's
MARK = "triage-desk"
_MARKED = re.compile(rf"<!-- {MARK}:([0-9a-f-]{{36}}) -->")


class GithubChannel(Channel):
    """Issues are tickets; an approved reply is a comment below the issue, written once.

    Each comment carries the key of its delivery where readers do not see it. Whenever it is not certain that an earlier
    attempt came to nothing, GitHub is asked for that key before anything is written again.
    """

    kind = "github"
    replies_by = "github"
    can_be_asked: ClassVar[bool] = True
    links_back: ClassVar[bool] = False  # everybody reads a comment

    def recipient_of(self, ticket: Ticket) -> str:
        issue: GithubIssue | None = getattr(ticket, "github", None)  # none where it was split off one
        return issue.reference[:254] if issue else ""

    def why_nobody(self, ticket: Ticket) -> str:
        return "This ticket is no issue on GitHub: it was split off one. Answer at the ticket it came from."

    def send(self, delivery: Delivery) -> SendReceipt:
        issue = _issue_of(delivery)
        text = f"{delivery.message.text.rstrip()}\n\n{mark_of(delivery.key)}"
        if len(text) > MOST_LETTERS:
            raise SendRefused(f"A comment on GitHub holds {MOST_LETTERS:,} characters at most. Shorten the reply.")
        again = delivery.tries.exclude(finished_at=None).exists()
        until = issue.repository.account.limited_until
        if until is not None and until > timezone.now():
            raise TryAgain(f"GitHub takes no requests of this account until {until:%H:%M:%S} UTC.", until=until)
        try:
            with github_for(issue.repository) as github:
                written = (_find(github, issue, delivery) if again else None) or _write(github, issue, text)
        except Limited as error:
            note_limit(issue, error)
            raise TryAgain(str(error), until=error.until) from error
        except Unavailable as error:
            if error.maybe_done:
                raise SendUnknown(f"{error} It may have been written all the same, and is looked for.") from error
            raise TryAgain(str(error)) from error
        except GithubError as error:
            raise SendRefused(str(error)) from error
        return SendReceipt(f"comment {written.get('id', '')} {written.get('html_url', '')}".strip())


def mark_of(key: uuid.UUID) -> str:
    return f"<!-- {MARK}:{key} -->"


def marks_in(text: str) -> list[uuid.UUID]:
    """The keys of deliveries that a comment says it is."""
    return [uuid.UUID(key) for key in _MARKED.findall(text) if _is_key(key)]


def _is_key(key: str) -> bool:
    try:
        uuid.UUID(key)
    except ValueError:
        return False
    return True


def note_limit(issue: GithubIssue, error: Limited) -> None:
    """Whoever else speaks for this account waits, too."""
    from tickets.models import GithubAccount

    GithubAccount.objects.filter(pk=issue.repository.account_id).update(limited_until=error.until)


def _issue_of(delivery: Delivery) -> GithubIssue:
    from tickets.models import GithubIssue

    issues = GithubIssue.objects.select_related("repository__account", "repository__installation__account")
    issue = issues.filter(ticket=delivery.ticket_id).first()
    if issue is None:
        raise SendRefused("This ticket is no issue on GitHub.")
    if not issue.repository.connected:
        raise SendRefused(f"{issue.repository} is disconnected. Connect it again to answer there.")
    if not issue.repository.write_comments:
        raise SendRefused(f"Replies are switched off for {issue.repository}: switch them on in its settings.")
    if not issue.is_there:
        raise SendRefused(f"The issue was {issue.get_state_display().lower()} on GitHub. There is nothing to answer.")
    return issue


def _write(github: Github, issue: GithubIssue, text: str) -> dict[str, Any]:
    answer = github.post(f"/repos/{issue.repository.full_name}/issues/{issue.number}/comments", {"body": text})
    return answer.content if isinstance(answer.content, dict) else {}


def _find(github: Github, issue: GithubIssue, delivery: Delivery) -> dict[str, Any] | None:
    """The comment that an earlier attempt wrote, if it did. Raises GithubError, Unavailable where nobody can tell."""
    since = (delivery.created_at - SKEW).strftime("%Y-%m-%dT%H:%M:%SZ")
    mark = mark_of(delivery.key)
    path = f"/repos/{issue.repository.full_name}/issues/{issue.number}/comments"
    for page in github.pages(path, since=since):
        comments: Iterable[Any] = page.content if isinstance(page.content, list) else ()
        for comment in comments:
            if isinstance(comment, dict) and mark in str(comment.get("body") or ""):
                return comment
    return None
