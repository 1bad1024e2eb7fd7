"""The same desk with a model to ask: a Messages API on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.running import RunningDesk, running_desk, wait_for
from triage.providers.fake import FakeMessagesAPI

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def model() -> Iterator[FakeMessagesAPI]:
    with FakeMessagesAPI(latency=0.3) as server:
        yield server


@pytest.fixture(scope="module")
def desk(open_folder_factory: Callable[[], Path], model: FakeMessagesAPI) -> Iterator[RunningDesk]:
    with running_desk(open_folder_factory(), ANTHROPIC_BASE_URL=model.base_url, ANTHROPIC_API_KEY="sk-test") as one:
        yield one


def test_what_the_model_reads_is_in_the_ledger_and_the_summary_is_its_own(visit: Visit, desk: RunningDesk) -> None:
    key = desk.api_key("the model's test")
    body = {
        "title": "Zxqv",
        "description": "Flurb the wodget, jane.doe@example.org said.",
        "requester": {"email": "jane.doe@example.org"},
    }
    number = desk.api("POST", "/tickets", key, body)[1]["number"]
    answered = "SELECT 1 FROM triage_call WHERE subject_id = %s AND status = 'ok'"
    wait_for(lambda: len(desk.rows(answered, str(number))) >= 2, seconds=60, what="the model classified and drafted")
    page = visit("/calls/")
    # Demo tickets are being read meanwhile: their calls may fill the first page.
    page.locator("#filter-ticket").fill(str(number))
    page.locator("#filter-ticket").press("Enter")
    expect(page.locator(".calls tbody tr", has_not_text=f"#{number}")).to_have_count(0)
    line = page.locator(".calls tbody tr", has_text=f"#{number}").first
    expect(line).to_contain_text("claude-haiku-5-5")
    expect(line).to_contain_text("$0.0")
    expect(line.locator(".latency")).to_be_visible()
    page.locator("#filter-operation").select_option("draft")
    expect(page.locator(".calls tbody tr", has_text="classify")).to_have_count(0)
    page.goto("/summary/")
    page.locator("#write-summary").click()
    expect(page.locator(".story header")).to_contain_text("claude-haiku-5-5", timeout=30_000)
    assert desk.rows("SELECT count(*) FROM triage_call WHERE operation = 'summary' AND status = 'ok'") == [(1,)]


def test_a_model_that_fails_leaves_the_desk_working(visit: Visit, desk: RunningDesk, model: FakeMessagesAPI) -> None:
    key = desk.api_key("the failing model's test")
    model.always("error")
    number = desk.api("POST", "/tickets", key, {"title": "Qwzx", "description": "Grobble frint."})[1]["number"]
    wait_for(
        lambda: desk.api("GET", f"/tickets/{number}", key)[1]["triage_state"] == "triaged",
        seconds=60,
        what="the ticket is triaged without the model",
    )
    page = visit("/calls/?status=failed")
    expect(page.locator(".calls tbody tr").first).to_contain_text("Failed")
