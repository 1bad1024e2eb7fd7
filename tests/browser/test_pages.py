"""Every page, in both themes and at the width of a phone: accessible, within its frame, and silent on the console."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.running import RunningDesk
from tickets.views.settings import PAGES

pytestmark = pytest.mark.browser
PHONE = {"width": 390, "height": 844}
INSIDE = ("/", "/tickets/", "/tickets/?status=escalated", "/tickets/?q=nothing-has-this-word", "/tickets/{number}/",
          "/calls/", "/summary/", "/welcome/", "/settings/", "/settings/security/", "/settings/security/authenticator/",
          "/settings/security/passkeys/new/", "/settings/security/password/", "/settings/people/",
          "/settings/people/1/", "/settings/security-log/", "/replays/", "/replays/new/",
          "/settings/sla/", "/settings/sla/new/", "/settings/calendars/", "/settings/calendars/new/",
          "/settings/teams/", "/settings/api-keys/", "/settings/rules/", "/settings/rules/new/",
          "/settings/rules/firings/", "/settings/webhooks/", "/settings/webhooks/new/", "/settings/github/",
          "/settings/github/accounts/new/", "/settings/mail/", "/settings/mail/new/", "/settings/imports/",
          "/settings/spam/", "/settings/macros/", "/settings/macros/new/", "/settings/notifications/",
          "/tickets/meaning/?q=refund", "/tickets/new/", "/tickets/999999/", "/tickets/?open={number}")  # fmt: skip
OUTSIDE = ("/sign-in/", "/sign-in/forgotten/", "/sign-in/ended/", "/invitation/forged/", "/support/",
           "/support/t/forged/")  # fmt: skip


def violations(page: Page) -> list[str]:
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['target']} {one['nodes'][0]['html'][:160]}" for one in found]


def settle(page: Page) -> None:
    """Wait for what a page still does of its own: transitions would be judged half way."""
    page.wait_for_load_state("networkidle") if page.locator("#connection").count() == 0 else page.wait_for_timeout(400)


def test_no_page_of_the_settings_is_left_out() -> None:
    assert {reverse(one.address) for one in PAGES} <= set(INSIDE)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_desks_pages_have_no_accessibility_violation(visit: Visit, desk: RunningDesk, theme: str) -> None:
    number = desk.rows("SELECT max(number) FROM tickets_ticket WHERE status = 'in_review'")[0][0]
    page = visit("/tickets/", color_scheme=theme, watched=False)
    page.goto("/summary/")
    page.locator("#write-summary").click()
    page.wait_for_url("**/summary/*/")
    for address in INSIDE:
        page.goto(address.format(number=number))
        settle(page)
        assert violations(page) == [], f"{address} in {theme}"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_pages_outside_have_no_accessibility_violation(visit: Visit, theme: str) -> None:
    page = visit("/support/", color_scheme=theme, signed_in=False, watched=False)
    for address in OUTSIDE:
        page.goto(address)
        settle(page)
        assert violations(page) == [], f"{address} in {theme}"


def test_on_a_phone_nothing_is_wider_than_the_screen(visit: Visit, desk: RunningDesk) -> None:
    number = desk.rows("SELECT max(number) FROM tickets_ticket WHERE status = 'in_review'")[0][0]
    page = visit("/tickets/", watched=False)
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    for address in (*INSIDE, *OUTSIDE):
        page.goto(address.format(number=number))
        settle(page)
        too_wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert too_wide == 0, f"{address} is {too_wide} px too wide"


def test_every_page_keeps_to_the_content_security_policy_and_to_the_desk(visit: Visit, desk: RunningDesk) -> None:
    number = desk.rows("SELECT max(number) FROM tickets_ticket WHERE status = 'in_review'")[0][0]
    page = visit("/tickets/")
    for address in ("/", "/tickets/", f"/tickets/{number}/", "/calls/", "/summary/", "/welcome/", "/settings/",
                    "/support/", "/api/v1/docs", "/admin/"):  # fmt: skip
        page.goto(address)
        settle(page)


def test_the_theme_can_be_switched_and_stays(visit: Visit) -> None:
    page = visit("/tickets/", color_scheme="light")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("#theme-switch").click()
    page.goto("/")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert dark != light
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


@pytest.mark.parametrize(
    ("chosen", "system", "dark"), [("", "dark", True), ("light", "dark", False), ("dark", "light", True)]
)
def test_the_page_of_the_api_follows_the_desks_theme(visit: Visit, chosen: str, system: str, dark: bool) -> None:
    page = visit("/support/", color_scheme=system, signed_in=False)
    page.evaluate("theme => theme && localStorage.setItem('theme', theme)", chosen)
    page.goto("/api/v1/docs")
    expect(page.get_by_text("Create a ticket")).to_be_visible()
    colour = page.evaluate("getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g).slice(0, 3)")
    assert (sum(map(int, colour)) < 300 and page.locator("html.dark-mode").count() == 1) is dark
