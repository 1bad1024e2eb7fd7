"""Passkeys with a virtual authenticator of the browser: as the way in, and as the second step."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Visit
from tests.running import PASSWORD, RunningDesk


def with_authenticator(page: Page) -> tuple[Any, str]:
    """A device that verifies its person, as a laptop with a fingerprint reader does."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable", {"enableUI": False})
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    made = session.send(
        "WebAuthn.addVirtualAuthenticator",
        {"options": {**options, "isUserVerified": True, "automaticPresenceSimulation": True}},
    )
    return session, made["authenticatorId"]


def test_a_passkey_opens_the_desk_alone_and_as_the_second_step(visit: Visit, desk: RunningDesk) -> None:
    page = visit("/tickets/", signed_in=True)
    session, device = with_authenticator(page)
    page.goto("/settings/security/")
    page.locator("#add-passkey").click()
    page.locator("#id_name").fill("Work laptop")
    page.locator("#passkey-add").click()
    page.wait_for_url("**/recovery-codes/")
    expect(page.locator("#recovery-codes li")).to_have_count(10)
    page.goto("/settings/security/")
    expect(page.get_by_text("Work laptop")).to_be_visible()
    expect(page.get_by_text("Second factor on")).to_be_visible()

    page.locator("#person-menu summary").click()
    page.locator("#sign-out").click()
    page.wait_for_url("**/sign-in/")
    page.locator("#passkey-sign-in").click()
    page.wait_for_url("**/tickets/")

    page.locator("#person-menu summary").click()
    page.locator("#sign-out").click()
    page.wait_for_url("**/sign-in/")
    page.locator("[name=username]").fill("admin")
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("[name=password]").press("Enter")
    page.wait_for_url("**/second-step/")
    page.goto("/tickets/")
    page.wait_for_url("**/sign-in/**")  # the password alone opens nothing
    page.goto("/sign-in/second-step/")
    page.locator("#passkey-second").click()
    page.wait_for_url("**/tickets/")

    session.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": device})
    page.goto("/settings/security/")
    page.get_by_role("link", name="Remove").click()
    page.get_by_role("button", name="Remove it").click()
    page.wait_for_url("**/settings/security/")
    expect(page.get_by_text("Password alone")).to_be_visible()
    assert desk.rows("SELECT count(*) FROM mfa_authenticator") == [(0,)]


def test_who_signs_out_is_not_sent_back_to_the_page_they_left(visit: Visit) -> None:
    page = visit("/settings/")

    def answer_late(route: Route) -> None:
        answer = route.fetch(max_redirects=0)
        page.wait_for_timeout(1500)  # meanwhile the socket could tell the page that its session ended
        route.fulfill(response=answer)

    page.route("**/sign-out/", answer_late)
    page.locator("#person-menu summary").click()
    page.locator("#sign-out").click()
    page.wait_for_url(re.compile("/sign-in/"))
    assert page.url.endswith("/sign-in/")


def test_an_open_desk_is_left_at_once_when_its_session_is_ended_elsewhere(visit: Visit) -> None:
    first, second = visit("/tickets/"), visit("/settings/security/")
    expect(first.locator("#connection")).to_have_attribute("data-state", "live")
    second.reload()
    second.locator("#end-others").click()
    first.wait_for_url("**/sign-in/**", timeout=10_000)
    expect(second.get_by_text("This one")).to_be_visible()


def test_an_invited_colleague_joins_by_the_link_that_is_shown_once(visit: Visit) -> None:
    page = visit("/settings/people/")
    page.locator("#email").fill("nora@example.org")
    page.locator("#role").select_option("auditor")
    page.locator("#invite-send").click()
    link = page.locator("#invitation-link").inner_text()
    guest = visit("/support/", signed_in=False)
    guest.goto(link)
    guest.locator("#password").fill("quite a long word")
    guest.get_by_role("button", name="Join the desk").click()
    guest.wait_for_url("**/tickets/")
    page.goto("/settings/people/")
    row = page.locator("tr", has_text="nora@example.org")
    expect(row).to_contain_text("Auditor")
    row.get_by_role("link").click()
    page.locator("#deactivate").click()
    expect(page.locator("#reactivate")).to_be_visible()
    guest.wait_for_url("**/sign-in/**", timeout=10_000)
    again = visit("/support/", signed_in=False, watched=False)  # 410 is a complaint to a console
    again.goto(link)
    expect(again.get_by_text("This link opens nothing")).to_be_visible()
