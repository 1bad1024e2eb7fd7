"""Every kind of change that can be made to many tickets at once."""

from __future__ import annotations

from tickets.actions.alterations import Alteration, Assign, ChangeStatus, ReadAgain, Snooze
from tickets.actions.fields_in_bulk import AddTags, Field, RemoveTags
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
