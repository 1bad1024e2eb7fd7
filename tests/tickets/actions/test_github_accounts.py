"""Accounts and Apps, what they reach, and repositories connected and disconnected."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.db import connection

from tests.github_server import GithubServer, Repo
from tests.tickets.conftest import SECRET
from tickets.actions import github_accounts
from tickets.actions.errors import Conflict, Forbidden, Invalid
from tickets.actions.github_accounts import Credentials
from tickets.channels.github.browsing import Sieve, reach_of
from tickets.models import GithubAccount, GithubRepository, Source
from tickets.models.github import PUBLIC_API
from triage.models import User

pytestmark = pytest.mark.django_db
Way = GithubAccount.Way


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    cache.clear()


def test_a_token_is_kept_once_github_has_said_whose_it_is(github: GithubServer, lead: User) -> None:
    made = github_accounts.keep_account(
        base_url=github.url, way=Way.TOKEN, given=Credentials(token="ghp_desk"), by=lead
    )
    assert (made.login, made.host) == ("desk-bot", github.url.removeprefix("http://"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT token FROM tickets_githubaccount")
        assert "ghp_desk" not in str(cursor.fetchone())
    assert GithubAccount.objects.get().token.open() == "ghp_desk"


def test_a_token_that_github_does_not_know_is_refused_and_not_kept(github: GithubServer, lead: User) -> None:
    with pytest.raises(Invalid, match="Bad credentials") as refused:
        github_accounts.keep_account(base_url=github.url, way=Way.TOKEN, given=Credentials(token="wrong"), by=lead)
    assert refused.value.field == "token" and not GithubAccount.objects.exists()


@pytest.mark.parametrize(
    "address",
    [
        "ftp://ghe.example/api",
        "http://ghe.example/api/v3",
        "https://me:secret@ghe.example",
        "nonsense",
        "https://x/?a=b",
    ],
)
def test_a_token_goes_to_no_address_that_is_not_safe(db: None, lead: User, address: str) -> None:
    with pytest.raises(Invalid) as refused:
        github_accounts.keep_account(base_url=address, way=Way.TOKEN, given=Credentials(token="ghp"), by=lead)
    assert refused.value.field == "base_url"


def test_an_app_is_kept_with_the_places_where_it_is_installed(github: GithubServer, shop: Repo, lead: User) -> None:
    github.install(11, "acme", [shop])
    given = Credentials(app_id="4242", private_key=github.private_key, webhook_secret="a shared secret")
    made = github_accounts.keep_account(base_url=github.url, way=Way.APP, given=given, by=lead)
    assert made.login == "acme-triage[bot]"
    assert [one.login for one in made.installations.all()] == ["acme"]
    (listed,) = reach_of(made).repositories
    assert (listed.said.full_name, listed.installation) == ("acme/shop", 11)
    with pytest.raises(Invalid, match="private key"):
        github_accounts.keep_account(
            base_url="", way=Way.APP, given=Credentials(private_key="no key"), by=lead, account=made
        )


def test_what_an_account_reaches_is_listed_through_all_pages_and_asked_once(
    github: GithubServer, account: GithubAccount
) -> None:
    for number in range(130):
        github.repository(f"acme/part-{number:03}", permission="push" if number % 2 else "pull")
    github.repository("desk-bot/notes")
    reach = reach_of(account)
    assert reach.owners == ("acme", "desk-bot") and len(reach.repositories) == 131 and not reach.cut
    asked = len(github.requests)
    reach_of(account)
    assert len(github.requests) == asked
    github.repository("acme/new")
    assert len(reach_of(account, fresh=True).repositories) == 132


def test_repositories_are_sieved_by_words_owner_permission_and_connection(
    github: GithubServer, account: GithubAccount
) -> None:
    for name, permission in (("acme/shop", "admin"), ("acme/api", "pull"), ("kim/shop-theme", "push")):
        github.repository(name, permission=permission)
    listed = reach_of(account).repositories

    def found(**asked: str) -> list[str]:
        return [one.said.full_name for one in Sieve(**asked).let_through(listed, {"acme/api"})]

    assert found() == ["acme/api", "acme/shop", "kim/shop-theme"]
    assert found(words="SHOP") == ["acme/shop", "kim/shop-theme"]
    assert found(words="all about theme") == ["kim/shop-theme"]
    assert found(owner="Acme") == ["acme/api", "acme/shop"]
    assert found(permission="push") == ["acme/shop", "kim/shop-theme"]
    assert found(connected="yes") == ["acme/api"] and found(connected="no") == ["acme/shop", "kim/shop-theme"]


def test_a_repository_is_a_source_of_its_own_called_as_it(account: GithubAccount, lead: User) -> None:
    made, secret = github_accounts.connect(account=account, full_name="acme/shop", by=lead)
    assert (made.source.name, made.source.kind, made.source.active) == ("acme/shop", "github", True)
    assert len(secret) == 64 and made.secret.open() == secret
    assert not made.write_comments and not made.writes_back, "nothing goes back unless it is switched on"
    with pytest.raises(Conflict, match="already"):
        github_accounts.connect(account=account, full_name="ACME/Shop", by=lead)


def test_a_name_that_another_source_has_is_no_hindrance(account: GithubAccount, lead: User) -> None:
    Source.objects.create(kind="api", name="acme/shop")
    made, _ = github_accounts.connect(account=account, full_name="acme/shop", by=lead)
    assert made.source.name == f"acme/shop at {account.host}"


def test_disconnected_it_keeps_its_source_and_takes_it_up_again(
    repository: GithubRepository, account: GithubAccount, lead: User
) -> None:
    github_accounts.disconnect(repository=repository, by=lead)
    repository.source.refresh_from_db()
    assert not repository.connected and not repository.source.active and not repository.secret
    again, secret = github_accounts.connect(account=account, full_name="acme/shop", by=lead)
    assert (again.pk, again.connected) == (repository.pk, True) and secret != SECRET
    assert Source.objects.get(name="acme/shop").active


@pytest.mark.parametrize(
    "address",
    [
        "acme/shop", "https://github.com/acme/shop", "https://www.github.com/acme/shop/", "github.com/acme/shop",
        "https://github.com/acme/shop.git", "git@github.com:acme/shop.git", "https://github.com/acme/shop/issues/7?q=1",
        "  https://github.com/acme/shop#readme ", "ssh://git@github.com/acme/shop.git",
    ],
)  # fmt: skip
def test_addresses_are_understood_as_people_copy_them(address: str) -> None:
    if address.startswith("ssh:"):
        address = address.replace("git@", "")
    assert github_accounts.repository_at(address) == "acme/shop"


@pytest.mark.parametrize(
    "address",
    ["", "acme", "https://github.com/acme", "https://evil.example/acme/shop", "acme/../shop", "a b/c", "-a/b"],
)
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(Invalid) as refused:
        github_accounts.repository_at(address)
    assert refused.value.field == "address"


def test_a_public_repository_is_connected_by_its_address(github: GithubServer, shop: Repo, lead: User) -> None:
    public = github_accounts.public_account(github.url)
    address = f"{github.url}/acme/shop/issues"
    made, _ = github_accounts.connect_by_address(address=address, by=lead, account=public)
    assert (made.full_name, made.github_id, made.account.way) == ("acme/shop", shop.id, "public")
    assert all("Authorization" not in headers for _, _, headers in github.requests)
    github.repository("acme/secret", private=True)
    with pytest.raises(Invalid, match="nothing there"):
        github_accounts.connect_by_address(address="acme/secret", by=lead, account=public)


def test_an_account_that_repositories_go_by_is_not_forgotten(
    repository: GithubRepository, account: GithubAccount, lead: User
) -> None:
    with pytest.raises(Conflict, match="Disconnect"):
        github_accounts.remove_account(account=account, by=lead)


def test_agents_and_auditors_set_nothing_up(
    repository: GithubRepository, account: GithubAccount, agent: User, auditor: User
) -> None:
    for by in (agent, auditor):
        for deed in (
            lambda by=by: github_accounts.connect(account=account, full_name="acme/api", by=by),
            lambda by=by: github_accounts.disconnect(repository=repository, by=by),
            lambda by=by: github_accounts.renew_secret(repository=repository, by=by),
            lambda by=by: github_accounts.remove_account(account=account, by=by),
            lambda by=by: github_accounts.choose(repository=repository, options={}, sync_minutes=60, by=by),
            lambda by=by: github_accounts.keep_account(
                base_url=PUBLIC_API, way=Way.TOKEN, given=Credentials(token="x"), by=by
            ),
        ):
            with pytest.raises(Forbidden):
                deed()
