"""Every kind of change that can be made to many tickets at once."""

from __future__ import annotations

from tickets.actions.alterations import AddTags, Alteration, Assign, ChangeStatus, Field, ReadAgain, RemoveTags, Snooze
from tickets.actions.spam_in_bulk import Spam

ALTERATIONS: dict[str, type[Alteration]] = {
    "assign": Assign,
    "field": Field,
    "tag": AddTags,
    "untag": RemoveTags,
    "status": ChangeStatus,
    "snooze": Snooze,
    "read": ReadAgain,
    "spam": Spam,
}
