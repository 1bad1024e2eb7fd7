"""How the desk reaches GitHub: tokens and Apps that leads set up, and the repositories connected by them."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils import timezone
from pydantic import ValidationError as Unreadable

from tickets.actions.errors import Conflict, Forbidden, Invalid
from tickets.channels.github.client import Github, GithubError
from tickets.channels.github.payloads import Repository
from tickets.channels.github.signing_in import github_for, github_of
from tickets.models import GithubAccount, GithubInstallation, GithubIssue, GithubRepository, Source, leads
from tickets.models.github import FULL_NAME, PUBLIC_API
from triage.flags import visible
from triage.models import User

Way = GithubAccount.Way
OPTIONS = ("pull_requests", "follow_state", "write_comments", "write_labels", "write_team_label", "write_state")
SHORTEST_SECRET = 8
_SSH = re.compile(r"git@([^:/]+):(.+)")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What was typed in; what is empty is not changed."""

    token: str = ""
    app_id: str = ""
    private_key: str = ""
    webhook_secret: str = ""


def keep_account(
    *, base_url: str, way: GithubAccount.Way, given: Credentials, by: User, account: GithubAccount | None = None
) -> GithubAccount:
    """Set up a token or an App, or give one other credentials. GitHub is asked whose they are before they are kept.

    Raises Invalid naming the field, Conflict where it is set up already, Forbidden.
    """
    require_lead(by)
    kept = account or GithubAccount(by=by, way=way)
    kept.base_url = _base_url(base_url or kept.base_url)
    for field in ("token", "private_key", "webhook_secret"):
        if text := getattr(given, field).strip():
            setattr(kept, field, text)
    kept.app_id = given.app_id.strip()[:20] or kept.app_id
    _require_complete(kept)
    try:
        kept.login, installed = _whose(kept)
    except GithubError as error:
        field = "token" if kept.way == Way.TOKEN else "private_key"
        raise Invalid("not_taken", str(error), field="base_url" if not error.status else field) from error
    kept.name, kept.error = _name(kept.login, kept.host), ""
    try:
        with transaction.atomic():
            kept.save()
            _keep_installations(kept, installed)
    except IntegrityError as taken:
        raise Conflict("taken", f"{kept.name} is set up already.", field="token") from taken
    return kept


def remove_account(*, account: GithubAccount, by: User) -> None:
    """Raises Conflict while repositories go by it."""
    require_lead(by)
    try:
        account.delete()
    except ProtectedError as held:
        raise Conflict("in_use", "Repositories are connected by this account. Disconnect them first.") from held


def public_account(base_url: str = PUBLIC_API) -> GithubAccount:
    """The account that is none: what everybody may read, at 60 requests an hour."""
    base_url = _base_url(base_url)
    host = urlsplit(base_url).netloc.removeprefix("api.")
    account, _ = GithubAccount.objects.get_or_create(
        way=Way.PUBLIC, base_url=base_url, defaults={"name": f"public at {host}"[:100]}
    )
    return account


def connect(
    *,
    account: GithubAccount,
    full_name: str,
    by: User | None,
    said: Repository | None = None,
    installation: GithubInstallation | None = None,
    secret: str = "",
) -> tuple[GithubRepository, str]:
    """Make a repository a door of the desk, or open the door again. Gives it, and its webhook's secret, shown once.

    `said` is what GitHub says of it. `by` None: a command. Raises Invalid, Conflict, Forbidden.
    """
    if by is not None:
        require_lead(by)
    if not FULL_NAME.fullmatch(full_name):
        raise Invalid("not_a_name", "A repository is named owner/name.", field="address")
    if secret and len(secret) < SHORTEST_SECRET:
        raise Invalid("too_short", f"A secret has {SHORTEST_SECRET} characters or more.", field="secret")
    secret = secret or new_secret()
    try:
        with transaction.atomic():
            repository = _known(account, full_name, said) or GithubRepository(source=_source(account, full_name))
            if repository.pk and repository.connected and repository.account_id == account.pk and by is not None:
                raise Conflict("connected", f"{full_name} is connected already.", field="address")
            repository.account, repository.full_name, repository.secret = account, full_name, secret
            repository.installation = installation
            repository.disconnected_at, repository.error = None, ""
            if said is not None:
                repository.github_id, repository.private = said.id, said.private
                repository.permission = said.permission
            repository.save()
            Source.objects.filter(pk=repository.source_id).update(active=True)
    except IntegrityError as taken:
        raise Conflict("connected", f"{full_name} is connected already.", field="address") from taken
    return repository, secret


def connect_by_address(*, address: str, by: User, account: GithubAccount | None = None) -> tuple[GithubRepository, str]:
    """Connect a repository that everybody may read, by its address in a browser or as owner/name.

    Raises Invalid where there is none, and as `connect`.
    """
    require_lead(by)
    full_name = repository_at(address, account)
    account = account or public_account()
    try:
        with github_of(account) as github:
            said = Repository.model_validate(github.get(f"/repos/{full_name}").content)
    except GithubError as error:
        raise Invalid("not_found", f"{error}", field="address") from error
    except Unreadable as error:  # an answer that is none of GitHub's
        raise Invalid("not_found", "There is no GitHub at this address.", field="address") from error
    return connect(account=account, full_name=said.full_name, by=by, said=said)


def repository_at(address: str, account: GithubAccount | None = None) -> str:
    """owner/name of an address as people copy it: of a page, of an issue, to clone from. Raises Invalid."""
    given = address.strip()
    host = account.host if account else "github.com"
    if match := _SSH.fullmatch(given):
        where, path = match.groups()
    elif "://" in given or given.lower().startswith(("github.com/", "www.github.com/", f"{host}/")):
        parts = urlsplit(given if "://" in given else f"https://{given}")
        where, path = parts.netloc, parts.path
    else:
        where, path = host, given
    if where.lower().removeprefix("www.") != host.lower():
        raise Invalid("another_host", f"This is no address at {host}.", field="address")
    full_name = "/".join(path.strip("/").split("/")[:2]).removesuffix(".git")
    if not FULL_NAME.fullmatch(full_name):
        raise Invalid("not_a_name", "Write owner/name, or copy the address of the repository.", field="address")
    return full_name


def disconnect(*, repository: GithubRepository, by: User) -> GithubRepository:
    """Take nothing more from it and write nothing more to it. Its tickets stay. A sync under way is cancelled."""
    require_lead(by)
    with transaction.atomic():
        repository.syncs.running().update(state="cancelled", lease_until=None, finished_at=timezone.now())
        repository.disconnected_at = timezone.now()
        repository.secret = ""
        repository.save(update_fields=["disconnected_at", "secret"])
        Source.objects.filter(pk=repository.source_id).update(active=False)
    return repository


def renew_secret(*, repository: GithubRepository, by: User) -> str:
    require_lead(by)
    secret = new_secret()
    repository.secret = secret
    repository.save(update_fields=["secret"])
    return secret


def choose(*, repository: GithubRepository, options: dict[str, bool], sync_minutes: int, by: User) -> GithubRepository:
    """Say what is taken from a repository, and what may go back to it."""
    require_lead(by)
    if not 0 <= sync_minutes <= 10_080:
        raise Invalid("out_of_range", "Choose between 0 and 10,080 minutes, which is a week.", field="sync_minutes")
    began = not repository.writes_back
    for name in OPTIONS:
        setattr(repository, name, options.get(name, False))
    repository.sync_minutes = sync_minutes
    with transaction.atomic():
        repository.save(update_fields=[*OPTIONS, "sync_minutes"])
        if began and repository.writes_back:  # what is written back is what changes from now on
            GithubIssue.objects.filter(repository=repository).update(seen_at=timezone.now())
    return repository


def refresh(*, repository: GithubRepository) -> None:
    """Ask GitHub for its name and our rights. Raises GithubError."""
    from tickets.actions.github_events import rename

    with github_for(repository) as github:
        rename(repository, Repository.model_validate(github.get(f"/repos/{repository.full_name}").content))


def new_secret() -> str:
    return secrets.token_hex(32)


def require_lead(by: User) -> None:
    if not leads(by):
        raise Forbidden("not_a_lead", "Only leads and admins connect GitHub.")


def _base_url(given: str) -> str:
    url = given.strip().rstrip("/") or PUBLIC_API
    try:
        URLValidator(schemes=["http", "https"])(url)
        parts = urlsplit(url)
    except (ValidationError, ValueError) as wrong:
        raise Invalid(
            "not_an_address", "Write the address of the API, like https://github.example/api/v3.", field="base_url"
        ) from wrong
    if parts.username or parts.password or parts.query or parts.fragment:
        raise Invalid("not_an_address", "No user name, password or question mark in this address.", field="base_url")
    if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise Invalid("not_safe", "Use https://: the token would be sent for all to read.", field="base_url")
    if parts.hostname == "github.com":
        return PUBLIC_API
    return url


def _require_complete(account: GithubAccount) -> None:
    if account.way == Way.TOKEN and not account.token:
        raise Invalid("blank", "Paste an access token.", field="token")
    if account.way == Way.APP:
        if not account.app_id.isascii() or not account.app_id.isdigit():
            raise Invalid("blank", "Write the App ID: the number on the App's page.", field="app_id")
        if not account.private_key:
            raise Invalid("blank", "Paste the private key that GitHub made for the App.", field="private_key")
        if not account.webhook_secret:
            raise Invalid("blank", "Write the webhook secret of the App.", field="webhook_secret")


def _whose(account: GithubAccount) -> tuple[str, list[dict[str, Any]]]:
    """As whom GitHub knows these credentials, and of an App where it is installed. Raises GithubError."""
    with github_of(account) as github:
        if account.way == Way.TOKEN:
            return str(github.get("/user").content.get("login") or ""), []
        slug = str(github.get("/app").content.get("slug") or "")
        return f"{slug}[bot]", _installed(github)


def _installed(github: Github) -> list[dict[str, Any]]:
    pages = github.pages("/app/installations")
    return [one for page in pages for one in page.content if isinstance(one, dict) and isinstance(one.get("id"), int)]


def _keep_installations(account: GithubAccount, installed: list[dict[str, Any]]) -> None:
    for one in installed:
        whose = one.get("account") or {}
        GithubInstallation.objects.update_or_create(
            account=account,
            installation_id=one["id"],
            defaults={"login": str(whose.get("login") or "")[:100], "suspended": bool(one.get("suspended_at"))},
        )
    there = [one["id"] for one in installed]
    if account.way == Way.APP:
        account.installations.exclude(installation_id__in=there).delete()


def _name(login: str, host: str) -> str:
    name = visible(login) or "unnamed"
    return (name if host == "github.com" else f"{name} at {host}")[:100]


def _known(account: GithubAccount, full_name: str, said: Repository | None) -> GithubRepository | None:
    """The repository, if it was ever connected at this GitHub, by whatever account and under whatever name."""
    there = GithubRepository.objects.select_for_update(of=("self",)).filter(account__base_url=account.base_url)
    by_id = there.filter(github_id=said.id).first() if said is not None and said.id else None
    return by_id or there.called(full_name).first()


def _source(account: GithubAccount, full_name: str) -> Source:
    """A source of its own, called as the repository; where that name is taken, with its host, or a number."""
    for name in (full_name, f"{full_name} at {account.host}", *(f"{full_name} ({n})" for n in range(2, 50))):
        source, made = Source.objects.get_or_create(name=name[:100], defaults={"kind": "github"})
        if made or (source.kind == "github" and not GithubRepository.objects.filter(source=source).exists()):
            return source
    raise Conflict("taken", f"There are too many sources called {full_name}.", field="address")
