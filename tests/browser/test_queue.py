"""The queue keeps its order and its truth by itself, whatever arrives late or happens while nobody listens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit, live
from tests.running import RunningDesk, wait_for

pytestmark = pytest.mark.browser


def numbers(page: Page) -> list[int]:
    found: list[int] = page.locator("#rows .row[data-number]").evaluate_all(
        "rows => rows.map(row => +row.dataset.number)"
    )
    return found


def in_order(desk: RunningDesk) -> list[int]:
    """The first page of all that is open and not put off, as the database has it."""
    open_now = "status IN ('new', 'in_review', 'escalated', 'waiting') AND snoozed_until IS NULL"
    wanted = f"{open_now} ORDER BY created_at DESC, number DESC LIMIT 50"
    return [number for (number,) in desk.rows(f"SELECT number FROM tickets_ticket WHERE {wanted}")]


def catch_up(page: Page) -> None:
    """As when somebody comes back to the tab."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def bring_in(desk: RunningDesk, name: str, *ages: timedelta) -> None:
    """An import: one ticket of each age."""
    path = Path(desk.var) / f"{name}.csv"
    rows = [
        f"{name} {one},It was so then.,{datetime.now(UTC) - age:%Y-%m-%dT%H:%M:%SZ}" for one, age in enumerate(ages)
    ]
    path.write_text("\n".join(["title,description,created_at", *rows]))
    desk.manage("import_tickets", str(path), "--source", name)


def test_an_import_stands_where_its_time_puts_it(visit: Visit, desk: RunningDesk) -> None:
    page = visit("/tickets/")
    live(page)
    before = numbers(page)
    bring_in(desk, "history", *[timedelta(days=400, minutes=one) for one in range(60)])
    bring_in(desk, "between", timedelta(minutes=90))
    expect(page.locator("#rows .row", has_text="between 0")).to_be_visible()
    wait_for(
        lambda: numbers(page)[: len(before)] == in_order(desk)[: len(before)], seconds=15, what="all have their place"
    )
    assert numbers(page)[:3] != sorted(numbers(page), reverse=True)[:3]  # the import has the highest numbers
    page.reload()
    assert numbers(page) == in_order(desk)
    page.locator("#older").click()
    page.wait_for_url("**before=*")
    later = numbers(page)
    assert len(later) > 0 and not set(later) & set(in_order(desk))
    bring_in(desk, "news", timedelta(0))
    catch_up(page)
    expect(page.locator("#news-words")).to_have_text("1 new")


def test_what_left_while_nobody_listened_is_gone_after_catching_up(visit: Visit, desk: RunningDesk) -> None:
    unread = "SELECT count(*) FROM tickets_ticket WHERE triage_state <> 'triaged'"
    wait_for(lambda: desk.rows(unread) == [(0,)], seconds=60, what="every demo ticket is triaged")
    page = visit("/tickets/", watched=False)
    page.goto("/tickets/?status=in_review")
    live(page)
    first, second, *_ = numbers(page)
    page.locator(f"#open-{first}").focus()
    change = "UPDATE tickets_ticket SET status = 'escalated', updated_at = now() WHERE number = %s RETURNING number"
    assert desk.rows(change, first) == [(first,)]  # past the application: no browser is told
    catch_up(page)
    expect(page.locator(f"#ticket-{first}")).to_have_count(0)
    expect(page.locator(f"#open-{second}")).to_be_focused()
    every = "UPDATE tickets_ticket SET status = %s, updated_at = now() WHERE status = %s RETURNING number"
    moved = desk.rows(every, "escalated", "in_review")
    catch_up(page)
    expect(page.locator("#queue-empty")).to_contain_text("All done here")
    expect(page.locator("#tab-in_review")).to_have_attribute("aria-current", "page")
    for (number,) in (*moved, (first,)):  # for the tests that come after
        desk.rows(change.replace("escalated", "in_review"), number)
