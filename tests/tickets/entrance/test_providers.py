"""Sign-in with OpenID Connect and GitHub, against a provider on loopback."""

from __future__ import annotations

import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from allauth.socialaccount.models import SocialAccount
from allauth.socialaccount.providers.github.views import GitHubOAuth2Adapter
from django.test import Client
from pytest_django import Settings

from tests.identity import CLIENT, SECRET, IdentityProvider, Person
from tests.tickets.entrance.conftest import set_up_app
from tickets.actions import inviting, people
from tickets.models import Agent, SecurityEvent, Team
from triage.models import User


@pytest.fixture
def provider(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[IdentityProvider]:
    """Both are set up, as the environment would."""
    with IdentityProvider() as one:
        app = {"client_id": CLIENT, "secret": SECRET}
        oidc = {**app, "provider_id": "oidc", "name": "Sand & Co", "settings": {"server_url": one.url}}
        settings.SOCIALACCOUNT_PROVIDERS = {
            "openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": [oidc]},
            "github": {"OAUTH_PKCE_ENABLED": True, "GITHUB_URL": one.url, "APPS": [app]},
        }
        paths = {"access_token_url": "/login/oauth/access_token", "authorize_url": "/login/oauth/authorize",
                 "profile_url": "/api/v3/user", "emails_url": "/api/v3/user/emails"}  # fmt: skip
        for name, path in paths.items():  # read once, when the process starts
            monkeypatch.setattr(GitHubOAuth2Adapter, name, one.url + path)
        yield one


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def come_in(client: Client, key: str, query: str = "") -> Any:
    """Press the button, agree at the provider, come back. The desk's last answer."""
    away = client.post(f"/sign-in/with/{key}/{query}")
    assert away.status_code == 302, away.content.decode()
    try:
        urllib.request.build_opener(_Stay).open(away["Location"])
    except urllib.error.HTTPError as redirect:
        with redirect:
            back = urllib.parse.urlsplit(redirect.headers["Location"])
    return client.get(f"{back.path}?{back.query}")


@pytest.mark.parametrize("key", ["oidc", "github"])
def test_a_verified_address_that_the_desk_knows_opens_it(
    client: Client, agent: User, provider: IdentityProvider, key: str
) -> None:
    assert f'id="sign-in-{"oidc" if key == "oidc" else "github"}"' in client.get("/sign-in/").content.decode()
    provider.person = Person("7", emails={"Ada@Example.org": True})
    assert come_in(client, key, "?next=/welcome/")["Location"] == "/welcome/"
    assert client.get("/settings/").context["request"].user == agent
    assert SecurityEvent.objects.get(noun="account", verb="added").person == agent.pk
    client.post("/sign-out/")
    provider.person = Person("7", emails={"another@example.com": False})  # the account is known from now on
    assert come_in(client, key)["Location"] == "/tickets/"


@pytest.mark.parametrize("key", ["oidc", "github"])
@pytest.mark.parametrize("emails", [{"ada@example.org": False}, {"stranger@example.com": True}, {}])
def test_nobody_gets_in_with_an_address_that_is_unverified_or_unknown(
    client: Client, agent: User, provider: IdentityProvider, key: str, emails: dict[str, bool]
) -> None:
    provider.person = Person("7", emails=emails)
    answer = come_in(client, key)
    assert answer.status_code == 403
    assert "Nobody here by that address" in answer.content.decode()
    assert client.get("/tickets/").status_code == 302
    assert (User.objects.count(), SocialAccount.objects.count()) == (1, 0)


def test_a_second_verified_address_at_github_counts(client: Client, agent: User, provider: IdentityProvider) -> None:
    provider.person = Person("7", emails={"nora@private.example": True, "ada@example.org": True})
    assert come_in(client, "github")["Location"] == "/tickets/"


def test_an_invited_address_makes_the_account_with_its_role_and_teams(
    client: Client, admin_of_desk: User, provider: IdentityProvider
) -> None:
    inviting.invite(email="Nora@example.org", role="lead", teams=[Team.objects.get(key="billing")], by=admin_of_desk)
    provider.person = Person("7", emails={"nora@example.org": True})
    assert come_in(client, "oidc")["Location"] == "/tickets/"
    agent = Agent.objects.get(user__email="nora@example.org")
    assert (agent.role, [team.key for team in agent.teams.all()], agent.user.first_name) == (
        "lead",
        ["billing"],
        "Nora",
    )
    assert not agent.user.has_usable_password()


def test_an_invitation_to_another_address_opens_nothing(
    client: Client, admin_of_desk: User, provider: IdentityProvider
) -> None:
    inviting.invite(email="nora@example.org", role="agent", teams=[], by=admin_of_desk)
    provider.person = Person("7", emails={"other@example.org": True, "nora@example.org": False})
    assert come_in(client, "github").status_code == 403


def test_whoever_was_let_go_does_not_come_in_by_a_provider(
    client: Client, agent: User, admin_of_desk: User, provider: IdentityProvider
) -> None:
    provider.person = Person("7", emails={"ada@example.org": True})
    come_in(client, "oidc")
    people.deactivate(user=agent, by=admin_of_desk)
    assert come_in(client, "oidc")["Location"] == "/sign-in/ended/"
    assert client.get("/tickets/").status_code == 302
    SocialAccount.objects.all().delete()
    assert come_in(client, "oidc").status_code == 403


def test_the_second_factor_is_asked_after_a_provider_too(
    client: Client, agent: User, provider: IdentityProvider
) -> None:
    set_up_app(client, agent)
    client.post("/sign-out/")
    provider.person = Person("7", emails={"ada@example.org": True})
    assert come_in(client, "oidc")["Location"] == "/sign-in/second-step/"
    assert client.get("/tickets/").status_code == 302


def test_who_declines_at_the_provider_or_comes_with_a_forged_state_is_told_so(
    client: Client, agent: User, provider: IdentityProvider
) -> None:
    assert come_in(client, "oidc").status_code == 401
    forged = client.get("/sign-in/with/oidc/callback/?state=forged&code=x")
    assert forged.status_code == 401
    assert "did not let you in" in forged.content.decode()


def test_a_provider_is_connected_and_disconnected_on_the_page_security(
    client: Client, agent: User, provider: IdentityProvider
) -> None:
    client.force_login(agent)
    provider.person = Person("7", emails={"private@example.com": True})
    assert come_in(client, "github", "?process=connect").status_code == 302
    account = SocialAccount.objects.get(user=agent)
    assert "Disconnect" in client.get("/settings/security/").content.decode()
    client.post("/settings/security/providers/", {"account": account.pk})
    assert not SocialAccount.objects.exists()
