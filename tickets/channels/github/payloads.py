"""What GitHub says, as typed, frozen objects: of its webhooks and of its REST API alike."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Annotated, Any

from django.utils import timezone
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from tickets.channels.base import EMAIL_LIMIT, clean_line, clean_text

GHOST = "ghost"  # as GitHub calls an account that was deleted


def _none_is_empty(given: Any) -> Any:
    return "" if given is None else given


def _named(given: Any) -> Any:
    """Labels are objects, and in old answers bare names."""
    return [{"name": one} if isinstance(one, str) else one for one in given or [] if one]


Text = Annotated[str, BeforeValidator(clean_text), BeforeValidator(_none_is_empty)]
Word = Annotated[str, BeforeValidator(clean_line), BeforeValidator(_none_is_empty)]


class _Said(BaseModel):
    """Whatever else GitHub says is left alone: it adds fields at any time."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Account(_Said):
    login: Word = GHOST
    id: int | None = None
    type: Word = "User"

    @property
    def is_bot(self) -> bool:
        return self.type == "Bot" or self.login.endswith("[bot]")

    def address(self, host: str) -> str:
        """The address GitHub gives everybody who wants to keep their own to themselves. Nobody reads it."""
        letters = "".join(one for one in self.login if one.isascii() and (one.isalnum() or one == "-")) or GHOST
        local = f"{self.id}+{letters}" if self.id else letters
        name = host.partition(":")[0]
        if name.replace(".", "").isdigit():  # a server that is known by its number: no address has that as its domain
            name = f"{name.replace('.', '-')}.invalid"
        return f"{local[:64]}@users.noreply.{name}"[:EMAIL_LIMIT]


class Label(_Said):
    name: Word
    color: Word = ""


class App(_Said):
    id: int


class Milestone(_Said):
    title: Word = ""


class Repository(_Said):
    full_name: Word
    id: int | None = None
    private: bool = False
    archived: bool = False
    html_url: Word = ""
    description: Word = ""
    permissions: dict[str, bool] = Field(default_factory=dict)

    @property
    def permission(self) -> str:
        """The highest that the account has: admin, maintain, push, triage or pull; empty where it was not said."""
        ranks = ("admin", "maintain", "push", "triage", "pull")
        return next((rank for rank in ranks if self.permissions.get(rank)), "")


class Issue(_Said):
    """An issue, or a pull request: that is an issue with more to it, and its number is of the same row."""

    number: int = Field(ge=1, lt=2**31)
    title: Word
    id: int | None = None
    body: Text = ""
    state: Word = "open"
    state_reason: Word = ""
    user: Account | None = None
    labels: Annotated[tuple[Label, ...], BeforeValidator(_named)] = ()
    assignees: tuple[Account, ...] = ()
    milestone: Milestone | None = None
    author_association: Word = "NONE"
    html_url: Word = ""
    locked: bool = False
    created_at: datetime = Field(default_factory=timezone.now)
    updated_at: datetime = Field(default_factory=timezone.now)
    closed_at: datetime | None = None
    pull_request: dict[str, Any] | None = None
    merged: bool = False
    comments: int = 0

    @property
    def author(self) -> Account:
        return self.user or Account()

    @property
    def text(self) -> str:
        """Its body as GitHub shows it; an issue that is a title alone says just that."""
        return shown(self.body) or self.title

    @property
    def digest(self) -> str:
        return digest_of(self.text)


class Comment(_Said):
    id: int
    body: Text = ""
    user: Account | None = None
    author_association: Word = "NONE"
    html_url: Word = ""
    issue_url: Word = ""
    created_at: datetime = Field(default_factory=timezone.now)
    updated_at: datetime = Field(default_factory=timezone.now)
    performed_via_github_app: App | None = None

    @property
    def author(self) -> Account:
        return self.user or Account()

    @property
    def issue_number(self) -> int | None:
        """Of the issue that it stands below; the REST API names it by its address alone."""
        last = self.issue_url.rstrip("/").rpartition("/")[2]
        return int(last) if last.isascii() and last.isdigit() else None


def shown(markdown: str) -> str:
    """Without what stands in HTML comments outside of code: the hints of a template, which GitHub shows to nobody."""
    kept, position = "", 0
    while (start := markdown.find("<!--", position)) >= 0 and (end := markdown.find("-->", start)) >= 0:
        inside_code = markdown.count("```", 0, start) % 2
        kept += markdown[position : end + 3 if inside_code else start]
        position = end + 3
    return (kept + markdown[position:]).strip("\n").rstrip()


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
