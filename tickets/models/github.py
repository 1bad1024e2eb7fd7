from __future__ import annotations

import re
from typing import Self
from urllib.parse import urlsplit

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.urls import reverse

from tickets.models.source import Source
from tickets.sealed import SealedField

PUBLIC_API = "https://api.github.com"
FULL_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})?/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")


def web_of(base_url: str) -> str:
    """Where people look at what an API address serves: github.com, or the host of an Enterprise server."""
    if base_url.rstrip("/") == PUBLIC_API:
        return "https://github.com"
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc}"


class GithubAccount(models.Model):
    """One way to reach one GitHub: a person's token, a GitHub App, or nothing at all for what is public."""

    class Way(models.TextChoices):
        TOKEN = "token", "Access token"
        APP = "app", "GitHub App"
        PUBLIC = "public", "Without signing in"

    name = models.CharField(max_length=100, unique=True)
    base_url = models.URLField(max_length=300, default=PUBLIC_API)
    way = models.CharField(max_length=8, choices=Way)
    login = models.CharField(max_length=100, blank=True, help_text="As whom comments are written.")
    token = SealedField()
    app_id = models.CharField(max_length=20, blank=True)
    private_key = SealedField()
    webhook_secret = SealedField(help_text="Of the App: one for all its repositories.")
    # Until then GitHub wants no request; whoever has one waits.
    limited_until = models.DateTimeField(null=True, blank=True, editable=False)
    error = models.CharField(max_length=300, blank=True, editable=False)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "GitHub account"
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(way="token", private_key="") | Q(way="app") & ~Q(app_id="") | Q(way="public", token=""),
                name="github_account_has_what_its_way_needs",
            ),
            models.UniqueConstraint(fields=["base_url"], condition=Q(way="public"), name="github_one_public_account"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("tickets:github-account", args=[self.pk])

    @property
    def web_url(self) -> str:
        return web_of(self.base_url)

    @property
    def host(self) -> str:
        return urlsplit(self.web_url).netloc


class GithubInstallation(models.Model):
    """Where an App is installed, and the token it has there for an hour."""

    account = models.ForeignKey(GithubAccount, models.CASCADE, related_name="installations")
    installation_id = models.BigIntegerField()
    login = models.CharField(max_length=100, help_text="Whose repositories it reaches.")
    token = SealedField()
    expires_at = models.DateTimeField(null=True, blank=True, editable=False)
    suspended = models.BooleanField(default=False)

    class Meta:
        verbose_name = "GitHub installation"
        ordering = ["login"]
        constraints = [
            models.UniqueConstraint(fields=["account", "installation_id"], name="github_one_installation_an_id")
        ]

    def __str__(self) -> str:
        return f"{self.account} at {self.login}"


class GithubRepositoryQuerySet(models.QuerySet["GithubRepository"]):
    def connected(self) -> Self:
        return self.filter(disconnected_at=None)

    def called(self, full_name: str) -> Self:
        """By owner and name, however they are written."""
        return self.annotate(called=Lower("full_name")).filter(called=full_name.strip().lower())


class GithubRepository(models.Model):
    """A repository whose issues are tickets. Its Source is the door; here stands how to reach it, and what may go back.

    Disconnected, it keeps its tickets and takes nothing more.
    """

    source = models.OneToOneField(Source, models.PROTECT, related_name="github")
    account = models.ForeignKey(GithubAccount, models.PROTECT, related_name="repositories")
    installation = models.ForeignKey(GithubInstallation, models.SET_NULL, null=True, blank=True, related_name="+")
    github_id = models.BigIntegerField(null=True, blank=True, help_text="Stays when it is renamed.")
    full_name = models.CharField(max_length=141)
    private = models.BooleanField(default=False)
    permission = models.CharField(max_length=10, blank=True, help_text="Of the account: admin, maintain, push, …")
    secret = SealedField(help_text="Of its webhook.")
    pull_requests = models.BooleanField(default=False)
    follow_state = models.BooleanField(default=True)
    write_comments = models.BooleanField(default=False)
    write_labels = models.BooleanField(default=False)
    write_team_label = models.BooleanField(default=False)
    write_state = models.BooleanField(default=False)
    sync_minutes = models.PositiveSmallIntegerField(default=60, help_text="0: only when somebody asks.")
    # How far its issues and comments were read, by when they were changed on GitHub.
    issues_since = models.DateTimeField(null=True, blank=True, editable=False)
    comments_since = models.DateTimeField(null=True, blank=True, editable=False)
    etags = models.JSONField(default=dict, blank=True, editable=False)  # {address: ETag} of what was asked last
    synced_at = models.DateTimeField(null=True, blank=True, editable=False)
    heard_at = models.DateTimeField(null=True, blank=True, editable=False)
    error = models.CharField(max_length=300, blank=True, editable=False)
    connected_at = models.DateTimeField(auto_now_add=True)
    disconnected_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = GithubRepositoryQuerySet.as_manager()

    class Meta:
        verbose_name = "GitHub repository"
        verbose_name_plural = "GitHub repositories"
        ordering = ["full_name"]
        constraints = [
            models.UniqueConstraint("account", Lower("full_name"), name="github_one_repository_a_name"),
            models.UniqueConstraint(
                fields=["account", "github_id"], condition=~Q(github_id=None), name="github_one_repository_an_id"
            ),
        ]

    def __str__(self) -> str:
        return self.full_name

    def get_absolute_url(self) -> str:
        return reverse("tickets:github-repository", args=[self.pk])

    @property
    def web_url(self) -> str:
        return f"{self.account.web_url}/{self.full_name}"

    @property
    def connected(self) -> bool:
        return self.disconnected_at is None

    @property
    def writes_back(self) -> bool:
        return self.connected and (self.write_labels or self.write_team_label or self.write_state)
