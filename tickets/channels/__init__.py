"""The doors in and out. A new kind is one folder and one line here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tickets.channels.api import ApiChannel
from tickets.channels.base import Channel
from tickets.channels.email import EmailChannel
from tickets.channels.file import FileChannel
from tickets.channels.form import FormChannel
from tickets.channels.github import GithubChannel

if TYPE_CHECKING:
    from tickets.models import Ticket

CHANNELS: dict[str, type[Channel]] = {
    channel.kind: channel for channel in (FormChannel, ApiChannel, EmailChannel, FileChannel, GithubChannel)
}


def replying(ticket: Ticket) -> type[Channel]:
    """The channel that an answer to this ticket leaves by."""
    return CHANNELS[CHANNELS[ticket.source.kind].replies_for(ticket)]
