"""One issue from GitHub's webhook to the approved comment, against a GitHub on loopback and a real desk."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit, live
from tests.browser.test_pages import PHONE, violations
from tests.github_server import GithubServer, Repo, signed
from tests.running import RunningDesk, wait_for

pytestmark = pytest.mark.browser


@pytest.fixture
def github() -> Iterator[GithubServer]:
    with GithubServer() as server:
        yield server


@pytest.fixture
def shop(github: GithubServer) -> Repo:
    repo = github.repository("acme/shop")
    for number in range(1, 4):
        repo.issue(f"Old problem {number}", body="The export of the list stops half way.")
    return repo


def send(desk: RunningDesk, secret: str, name: str, payload: dict[str, Any], delivery: str) -> int:
    body, headers = signed(secret, payload, name, delivery)
    request = urllib.request.Request(
        f"{desk.address}/webhooks/github", data=body, headers={**headers, "Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def test_an_issue_becomes_a_ticket_and_the_approved_reply_its_comment(
    visit: Visit, desk: RunningDesk, github: GithubServer, shop: Repo
) -> None:
    page = visit("/settings/github/")
    page.locator("#new-account").click()
    page.get_by_label("Token").fill("ghp_desk")
    page.get_by_label("Address of the API").fill(github.url)
    page.locator("#account-save").click()
    page.get_by_label("Search", exact=True).fill("shop")
    page.get_by_role("button", name="Connect acme/shop").click()
    secret = page.locator("#hook-secret").inner_text()
    page.locator("#to-repository").click()
    live(page)
    page.get_by_label("Replies", exact=False).first.check()
    page.locator("#options-save").click()
    live(page)
    page.evaluate("window.notReloaded = true")
    page.locator("#sync-start").click()
    expect(page.locator("#github-status")).to_have_attribute("data-status", "completed", timeout=30_000)
    expect(page.locator("#github-status")).to_contain_text("3 new")
    assert page.evaluate("window.notReloaded"), "it followed along by itself"
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.wait_for_timeout(400)  # colours change over a moment
        assert violations(page) == [], theme
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    page.set_viewport_size({"width": 1440, "height": 900})

    queue = visit("/tickets/")
    live(queue)
    shop.issue("Checkout crashes on start", body="Since **1.4** the checkout crashes.\n\n```\nTraceback\n```")
    assert send(desk, secret, "issues", shop.event("issues", "opened", 4), "first") == 202
    row = queue.locator("#rows .row", has_text="Checkout crashes on start")
    expect(row).to_be_visible(timeout=30_000)
    assert send(desk, "not the secret", "issues", shop.event("issues", "opened", 4), "wrong") == 401
    row.locator(".row-link").click()
    expect(queue.locator("#triage-state")).to_have_attribute("data-triage", "triaged", timeout=30_000)
    expect(queue.locator("#github-link")).to_have_attribute("href", f"{github.url}/acme/shop/issues/4")
    expect(queue.locator("#conversation strong").first).to_have_text("1.4")
    expect(queue.locator("#reply")).to_contain_text("As a comment on acme/shop#4")
    live(queue)
    asked = shop.event("issue_comment", "created", 4, comment=shop.comment(4, "It is urgent for us."))
    assert send(desk, secret, "issue_comment", asked, "second") == 202
    expect(queue.locator("#conversation")).to_contain_text("It is urgent for us.")
    expect(queue.locator("#triage-state")).to_have_attribute("data-triage", "triaged", timeout=30_000)
    queue.reload()
    live(queue)
    queue.locator("#reply-text").fill("Please update to 1.5, which starts again.")
    queue.locator("#approve").click()
    expect(queue.locator("#ticket-status")).to_have_attribute("data-status", "resolved")
    wait_for(lambda: len(shop.comments_of(4)) == 2, seconds=60, what="the comment is written")
    written = shop.comments_of(4)[-1]
    assert written["body"].startswith("Please update to 1.5") and written["user"]["login"] == "desk-bot"
    expect(queue.locator(".delivery")).to_have_attribute("data-state", "sent")
    back = shop.event("issue_comment", "created", 4, comment=written, sender="desk-bot")
    assert send(desk, secret, "issue_comment", back, "third") == 202
    done = "SELECT count(*) FROM tickets_githubevent WHERE state = 'done' AND delivery = 'third'"
    wait_for(lambda: desk.rows(done)[0][0], seconds=30, what="the comment that came back is known")
    expect(queue.locator("#conversation .message")).to_have_count(3)
    assert len(shop.comments_of(4)) == 2
