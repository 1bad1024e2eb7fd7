"""What an account reaches: its owners and their repositories, asked once and kept for a few minutes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.cache import cache
from pydantic import ValidationError

from tickets.channels.github.client import Github
from tickets.channels.github.payloads import Repository
from tickets.channels.github.signing_in import github_of, installation_token
from tickets.models import GithubAccount, GithubInstallation

KEPT = 300  # seconds
MOST_PAGES = 10  # of 100 repositories
PERMISSIONS = ("admin", "maintain", "push", "triage", "pull")


@dataclass(frozen=True, slots=True)
class Listed:
    """A repository that an account reaches; `installation` is the number of the App's installation there, or None."""

    said: Repository
    installation: int | None = None

    @property
    def owner(self) -> str:
        return self.said.full_name.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Reach:
    """Owners, those without repositories too, and repositories, by name. `cut`: there are more than are listed."""

    owners: tuple[str, ...]
    repositories: tuple[Listed, ...]
    cut: bool


@dataclass(frozen=True, slots=True)
class Sieve:
    """What is looked for among them; empty: all."""

    words: str = ""
    owner: str = ""
    permission: str = ""
    connected: str = ""

    def let_through(self, listed: Iterable[Listed], connected: set[str]) -> Iterator[Listed]:
        """`connected` are full names in lower case. A permission lets through who has it or a higher one."""
        enough = PERMISSIONS[: PERMISSIONS.index(self.permission) + 1] if self.permission in PERMISSIONS else ()
        for one in listed:
            name = one.said.full_name.lower()
            if any(word not in f"{name} {one.said.description.lower()}" for word in self.words.lower().split()):
                continue
            if self.owner and one.owner.lower() != self.owner.lower():
                continue
            if enough and one.said.permission not in enough:
                continue
            if self.connected and (name in connected) != (self.connected == "yes"):
                continue
            yield one


def reach_of(account: GithubAccount, *, fresh: bool = False) -> Reach:
    """Raises GithubError. Not of an account without credentials: it reaches whatever is public."""
    key = f"github.reach:{account.pk}"
    known: Reach | None = None if fresh else cache.get(key)
    if known is None:
        known = _reach_of_app(account) if account.way == GithubAccount.Way.APP else _reach_of_token(account)
        cache.set(key, known, KEPT)
    return known


def _reach_of_token(account: GithubAccount) -> Reach:
    if account.way == GithubAccount.Way.PUBLIC:
        return Reach((), (), cut=False)
    with github_of(account) as github:
        owners = [account.login, *(str(one.get("login") or "") for one in _all(github, "/user/orgs"))]
        affiliation = "owner,collaborator,organization_member"
        pages = list(_pages(github, "/user/repos", sort="full_name", affiliation=affiliation))
    listed = [Listed(said) for page in pages for said in _parsed(page)]
    return _reach(owners, listed, cut=len(pages) == MOST_PAGES and len(pages[-1]) == 100)


def _reach_of_app(account: GithubAccount) -> Reach:
    owners, listed, cut = [], [], False
    for installation in GithubInstallation.objects.select_related("account").filter(account=account, suspended=False):
        owners.append(installation.login)
        with Github(account.base_url, installation_token(installation)) as github:
            pages = list(_pages(github, "/installation/repositories"))
        cut = cut or (len(pages) == MOST_PAGES and len(pages[-1]) == 100)
        listed += [Listed(said, installation.installation_id) for page in pages for said in _parsed(page)]
    return _reach(owners, listed, cut=cut)


def _reach(owners: Iterable[str], listed: Sequence[Listed], *, cut: bool) -> Reach:
    named = {owner.lower(): owner for owner in (*owners, *(one.owner for one in listed)) if owner}
    in_order = sorted(listed, key=lambda one: one.said.full_name.lower())
    return Reach(tuple(named[key] for key in sorted(named)), tuple(in_order), cut)


def _pages(github: Github, path: str, **asked: str | int) -> Iterator[list[Any]]:
    """Lists; the answer about an installation holds its list by name."""
    for answer in github.pages(path, most=MOST_PAGES, **asked):
        content = answer.content
        yield content.get("repositories", []) if isinstance(content, dict) else content


def _all(github: Github, path: str) -> Iterator[dict[str, Any]]:
    for page in _pages(github, path):
        yield from (one for one in page if isinstance(one, dict))


def _parsed(page: Iterable[Any]) -> Iterator[Repository]:
    for one in page:
        try:
            yield Repository.model_validate(one)
        except ValidationError:
            continue
