"""The exports that are known by their own names of columns. A new one is one entry of FORMATS.

Column names stand as `key_of` spells them; a dot leads into an object of JSON. docs/import.md says which of them
are confirmed, and by what. Sources: Zendesk's account export (CSV, and the NDJSON of tickets with their comments), its
reports (Explore) and its tickets API; the ticket export of Freshdesk and Freshservice, Freshdesk's account export
and its API v2; Zammad's report of tickets and its API with `expand`; osTicket's export of a queue (class.queue.php,
until 1.10 class.export.php); `gh issue list --json` and GitHub's REST API.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tickets.channels.file import conversations
from tickets.channels.file.conversations import Said
from tickets.models import Status

Columns = Mapping[str, tuple[str, ...]]

# What a ticket is made of, and what a person who maps columns reads.
FIELDS = {
    "title": "Title",
    "text": "Description",
    "requester_email": "Customer\u2019s e-mail",
    "requester_name": "Customer\u2019s name",
    "external_id": "Number there",
    "created_at": "Came in",
    "priority": "Priority",
    "status": "Status",
    "ended_at": "Ended",
    "tags": "Tags",
}


@dataclass(frozen=True, slots=True)
class Format:
    """One system's export. `marks` are sets of columns, each of which only that system has together.

    `statuses` and `priorities` are its words in lower case; a word that is not there stays with the raw columns.
    `takes_html`: its texts may be HTML. `by_login`: its customers have a login and no address. `vague`: columns that
    hold an address or something else, and count only where it is one.
    """

    key: str
    label: str
    columns: Columns
    marks: tuple[frozenset[str], ...] = ()
    statuses: Mapping[str, Status] = field(default_factory=dict)
    priorities: Mapping[str, str] = field(default_factory=dict)
    conversation: Callable[[dict[str, Any], str], tuple[str, list[Said]]] | None = None
    takes_html: bool = False
    by_login: bool = False
    vague: frozenset[str] = frozenset()
    unquotes: bool = False  # a quote before what a spreadsheet would take for a formula is not part of the text


def _marks(*sets: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(names.split()) for names in sets)


_URGENCIES = {"urgent": "P1", "high": "P2", "normal": "P3", "medium": "P3", "low": "P4"}

PLAIN = Format(
    key="plain",
    label="Plain columns",
    columns={
        "title": ("title", "subject"),
        "text": ("description", "body", "text"),
        "requester_email": ("email",),
        "requester_name": ("name",),
        "external_id": ("external_id", "id"),
        "created_at": ("created_at",),
        "priority": ("priority",),
    },
)
DESK = Format(
    key="desk",
    label="Triage Desk",
    columns={
        "title": ("title",),
        "text": ("description",),
        "requester_email": ("requester_email",),
        "requester_name": ("requester_name",),
        "external_id": ("number",),
        "created_at": ("created_at",),
        "priority": ("submitted_priority",),
        "status": ("status",),
        "ended_at": ("resolved_at",),
        "tags": ("tags",),
    },
    marks=_marks("number submitted_priority requester_email"),
    # What was under way there is to be read anew here.
    statuses={
        "new": Status.NEW,
        "in_review": Status.NEW,
        "escalated": Status.NEW,
        "waiting": Status.WAITING,
        "resolved": Status.RESOLVED,
        "closed": Status.CLOSED,
    },
    conversation=conversations.of_desk,
    unquotes=True,
)
ZENDESK = Format(
    key="zendesk",
    label="Zendesk",
    columns={
        "title": ("subject", "raw_subject", "ticket_subject"),
        "text": ("description",),
        "requester_email": ("requester_email", "requester.email"),
        "requester_name": ("requester.name", "requester_name", "requester"),
        "external_id": ("id", "ticket_id"),
        "created_at": ("created_at", "requested", "ticket_created_-_timestamp", "ticket_created_-_date"),
        "priority": ("priority", "ticket_priority"),
        "status": ("status", "ticket_status"),
        "ended_at": ("solved_at", "metric_set.solved_at", "ticket_solved_-_timestamp", "ticket_solved_-_date"),
        "tags": ("tags", "ticket_tags"),
    },
    marks=_marks(
        "id summation_column",
        "id via satisfaction_score",
        "id requester_email ticket_type via",
        "id requester_id ticket_type satisfaction_score",
        "id group_stations assignee_stations",
        "id raw_subject via",
        "id requester submitter ticket_type",
        # Not "Ticket ID" with "Ticket subject" alone: many a desk's table has those.
        "ticket_id ticket_subject ticket_created_-_timestamp",
        "ticket_id ticket_subject ticket_created_-_date",
    ),
    statuses={
        "new": Status.NEW,
        "open": Status.NEW,
        "pending": Status.WAITING,
        "hold": Status.NEW,
        "on-hold": Status.NEW,
        "solved": Status.RESOLVED,
        "closed": Status.CLOSED,
        "deleted": Status.CLOSED,  # the incremental export carries those along
    },
    priorities=_URGENCIES,
    conversation=conversations.of_zendesk,
    takes_html=True,
)
FRESHDESK = Format(
    key="freshdesk",
    label="Freshdesk",
    columns={
        "title": ("subject",),
        "text": ("description_text", "description"),
        "requester_email": ("requester_email", "requester.email", "email", "contact_id"),
        "requester_name": ("full_name", "requester_name", "requester.name"),
        "external_id": ("ticket_id", "display_id", "id"),
        "created_at": ("created_time", "created_at"),
        "priority": ("priority_name", "priority"),
        "status": ("status_name", "status"),
        "ended_at": ("resolved_time", "closed_time", "stats.resolved_at", "stats.closed_at"),
        "tags": ("tags",),
    },
    marks=_marks(
        "ticket_id created_time due_by_time",
        "ticket_id created_time resolved_time",
        "ticket_id created_time requester_email",
        "ticket_id created_time full_name",
        "ticket_id agent_interactions",
        "ticket_id resolution_status",
        "id description_text responder_id",
        "id fr_escalated responder_id",
        "display_id responder_id requester_id",
        "display_id notes",
    ),
    statuses={
        "2": Status.NEW,
        "open": Status.NEW,
        "3": Status.WAITING,
        "pending": Status.WAITING,
        "4": Status.RESOLVED,
        "resolved": Status.RESOLVED,
        "5": Status.CLOSED,
        "closed": Status.CLOSED,
        "6": Status.WAITING,
        "waiting on customer": Status.WAITING,
        "7": Status.NEW,
        "waiting on third party": Status.NEW,
    },
    priorities={"1": "P4", "2": "P3", "3": "P2", "4": "P1", **_URGENCIES},
    conversation=conversations.of_freshdesk,
    takes_html=True,
    vague=frozenset({"contact_id"}),
)
ZAMMAD = Format(
    key="zammad",
    label="Zammad",
    columns={
        "title": ("title",),
        "text": (),
        "requester_email": ("customer.email", "customer"),
        "requester_name": ("customer.fullname", "customer"),
        "external_id": ("number", "#"),
        "created_at": ("created_at",),
        "priority": ("priority",),
        "status": ("state",),
        "ended_at": ("close_at", "closed_at"),
        "tags": ("tags", "tag_list"),
    },
    marks=_marks(
        "# title state owner customer",
        "# title state create_channel",
        "number title state customer article_count",
        "number title state customer articles",
        "number title group_id state_id",
    ),
    statuses={
        "new": Status.NEW,
        "open": Status.NEW,
        "pending reminder": Status.WAITING,
        "pending close": Status.WAITING,
        "closed": Status.CLOSED,
        "merged": Status.CLOSED,
        "removed": Status.CLOSED,
    },
    priorities={"1 low": "P4", "2 normal": "P3", "3 high": "P2", **_URGENCIES},
    conversation=conversations.of_zammad,
    takes_html=True,
)
OSTICKET = Format(
    key="osticket",
    label="osTicket",
    columns={
        "title": ("subject", "issue_summary"),
        "text": ("issue_details", "description"),
        "requester_email": ("from_email",),
        "requester_name": ("from",),
        "external_id": ("ticket_number", "ticket_id"),
        "created_at": ("date_created", "date"),
        "priority": ("priority",),
        "status": ("current_status", "status"),
        "ended_at": ("closed_date",),
    },
    marks=_marks(
        "ticket_number date_created from_email",
        "ticket_number help_topic",
        "ticket_number current_status",
        "ticket_number date_created subject",
        "ticket_id help_topic current_status",
    ),
    statuses={
        "open": Status.NEW,
        "resolved": Status.RESOLVED,
        "closed": Status.CLOSED,
        "archived": Status.CLOSED,
        "deleted": Status.CLOSED,
    },
    priorities={"low": "P4", "normal": "P3", "high": "P2", "emergency": "P1"},
    takes_html=True,
)
GITHUB = Format(
    key="github",
    label="GitHub issues",
    columns={
        "title": ("title",),
        "text": ("body",),
        "requester_email": (),
        "requester_name": ("author.login", "user.login", "author", "user"),
        "external_id": ("number",),
        "created_at": ("createdat", "created_at"),
        "status": ("state",),
        "ended_at": ("closedat", "closed_at"),
        "tags": ("labels",),
    },
    marks=_marks(
        "number title state createdat",
        "number title author createdat",
        "number title author labels body",
        "number title user author_association",
        "number title html_url node_id",
    ),
    statuses={"open": Status.NEW, "closed": Status.CLOSED},
    conversation=conversations.of_github,
    by_login=True,
)
FORMATS = {one.key: one for one in (DESK, ZENDESK, FRESHDESK, ZAMMAD, OSTICKET, GITHUB, PLAIN)}


def recognise(keys: frozenset[str]) -> Format:
    """Whose export has these columns; plain columns where nobody's is known by them."""
    return next((one for one in FORMATS.values() if any(mark <= keys for mark in one.marks)), PLAIN)


def key_of(column: object) -> str:
    return str(column).strip().lower().replace(" ", "_")
