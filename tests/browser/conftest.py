"""A real browser at a real desk. One desk for all tests here, a browser a module, and a context for each person."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.running import PASSWORD, RunningDesk, running_desk

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
# A refusal under test, and a page left while its socket still connects.
EXPECTED = ("status of 409", "WebSocket is closed before the connection is established")
expect.set_options(timeout=15_000)


@dataclass
class Watch:
    """What a browser complains of and where it goes; both must stay within the desk."""

    address: str
    complaints: list[str] = field(default_factory=list)
    abroad: list[str] = field(default_factory=list)

    def over(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(words in message.text for words in EXPECTED):
            self.complaints.append(message.text)

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.abroad.append(request.url)


def browser_here() -> str | None:
    """The system's, by one of the names that .ci/packages knows."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    # Its own loop, ended with the module: left running it would look like an asynchronous context to Django.
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_here(), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def desk(open_folder_factory: Callable[[], Path]) -> Iterator[RunningDesk]:
    """A desk with its demo tickets, no key and no model."""
    with running_desk(open_folder_factory()) as one:
        yield one


Visit = Callable[..., Page]


@pytest.fixture
def visit(chromium: Browser, desk: RunningDesk) -> Iterator[Visit]:
    """Open a page in a browser of its own, as admin unless told otherwise; in the end its manners are judged."""
    contexts: list[BrowserContext] = []
    watches: list[Watch] = []

    def open_page(address: str, *, signed_in: bool = True, watched: bool = True, **options: Any) -> Page:
        context = chromium.new_context(base_url=desk.address, viewport={"width": 1440, "height": 900}, **options)
        context.set_default_timeout(15_000)
        contexts.append(context)
        watch = Watch(desk.address)
        page = context.new_page()
        watch.over(page)
        if watched:
            watches.append(watch)
        if signed_in:
            sign_in(page)
        if signed_in is False or address != "/tickets/":
            page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    desk.rows("DELETE FROM tickets_habits RETURNING user_id")  # the next test finds the queue as it looks to a newcomer
    assert [watch.complaints for watch in watches if watch.complaints] == []
    assert [watch.abroad for watch in watches if watch.abroad] == []


def sign_in(page: Page, username: str = "admin", password: str = PASSWORD) -> None:
    """From the queue's own redirect, as a person does it; ends at the queue."""
    page.goto("/tickets/")
    page.get_by_label("User name").or_(page.locator("[name=login], [name=username]")).first.fill(username)
    page.locator("[name=password]").fill(password)
    page.locator("[name=password]").press("Enter")
    page.wait_for_url("**/tickets/")


def live(page: Page) -> None:
    """Wait until the page hears from the desk by itself."""
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
