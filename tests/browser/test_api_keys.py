"""A key from its making to its end, in the browser, and what a program hears with it meanwhile."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.running import RunningDesk

pytestmark = pytest.mark.browser


def heard(desk: RunningDesk, key: str) -> int:
    request = urllib.request.Request(
        f"http://127.0.0.1:{desk.port}/api/v1/stats", headers={"Authorization": f"Bearer {key}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert int(answer.headers["X-RateLimit-Remaining"]) > 0
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def test_a_key_is_made_used_rotated_revoked_and_brought_back(visit: Visit, desk: RunningDesk) -> None:
    page = visit("/settings/api-keys/")
    page.locator("#key-name").fill("Web shop")
    page.locator("#make-key").click()
    first = page.locator("#api-key").inner_text()
    assert heard(desk, first) == 200
    page.get_by_role("link", name="API keys").first.click()
    expect(page.get_by_text("from 127.0.0.1").first).to_be_visible()
    page.get_by_role("link", name="Web shop").click()
    expect(page.locator("#api-key")).to_have_count(0)
    page.locator("#grace").select_option("1")
    page.locator("#rotate").click()
    second = page.locator("#api-key").inner_text()
    assert [heard(desk, key) for key in (first, second)] == [200, 200]
    page.locator("#revoke").click()
    expect(page.locator("#revoked")).to_contain_text("is revoked")
    assert [heard(desk, key) for key in (first, second)] == [401, 401]
    page.locator("#undo-revocation").click()
    expect(page.get_by_text("is in force again")).to_be_visible()
    assert heard(desk, second) == 200
