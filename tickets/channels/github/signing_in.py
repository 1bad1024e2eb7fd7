"""Tokens to speak to GitHub with: a person's as it was given, an App's for an hour at each place it is installed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from tickets.channels.github.client import Denied, Github
from tickets.models import GithubAccount, GithubInstallation
from triage.vault import VaultError

if TYPE_CHECKING:
    from tickets.models import GithubRepository

EARLY = timedelta(minutes=5)  # a token that ends while it is used is of no use
_SKEW = 60  # seconds: GitHub refuses what was signed in its future


def github_for(repository: GithubRepository) -> Github:
    """A client for one repository. Raises GithubError, where its token has to be asked for, too."""
    account = repository.account
    if account.way != GithubAccount.Way.APP:
        return github_of(account)
    if repository.installation is None:
        raise Denied("The App is not installed where this repository is. Install it there, on GitHub.")
    return Github(account.base_url, installation_token(repository.installation))


def github_of(account: GithubAccount) -> Github:
    """A client for the account itself; of an App that reaches its installations, not their repositories."""
    try:
        token = app_token(account) if account.way == GithubAccount.Way.APP else account.token.open()
    except VaultError as error:
        raise Denied(f"The credentials of {account} are lost: {error}.") from error
    return Github(account.base_url, token)


def app_token(account: GithubAccount, now: datetime | None = None) -> str:
    """A JWT signed as the App (RS256), good for nine minutes; ten are the most that GitHub takes."""
    import jwt  # with its cryptography 10 MB, for Apps alone

    at = int((now or timezone.now()).timestamp())
    claims = {"iat": at - _SKEW, "exp": at + 540, "iss": account.app_id}
    try:
        return jwt.encode(claims, account.private_key.open(), algorithm="RS256")
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise Denied("The private key of the App cannot be read. Give it anew, as GitHub made it (PEM).") from error


def installation_token(installation: GithubInstallation) -> str:
    """The token of an installation; asked for anew when it is near its end. Raises GithubError."""
    if installation.suspended:
        raise Denied(f"The App is suspended at {installation.login}. Lift that on GitHub.")
    soon = timezone.now() + EARLY
    if installation.token and installation.expires_at and installation.expires_at > soon:
        try:
            return installation.token.open()
        except VaultError:
            pass  # locked with a key that is gone: another one is asked for
    with github_of(installation.account) as github:
        given = github.post(f"/app/installations/{installation.installation_id}/access_tokens", {}).content
    token = str(given.get("token", ""))
    installation.token = token
    installation.expires_at = parse_datetime(str(given.get("expires_at", ""))) or timezone.now()
    installation.save(update_fields=["token", "expires_at"])
    return token
