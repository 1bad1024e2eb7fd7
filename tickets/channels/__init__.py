"""The doors in and out. A new kind is one folder and one line here."""

from tickets.channels.api import ApiChannel
from tickets.channels.base import Channel
from tickets.channels.email import EmailChannel
from tickets.channels.file import FileChannel
from tickets.channels.form import FormChannel
from tickets.channels.github import GithubChannel

CHANNELS: dict[str, type[Channel]] = {
    channel.kind: channel for channel in (FormChannel, ApiChannel, EmailChannel, FileChannel, GithubChannel)
}
