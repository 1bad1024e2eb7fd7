"""Two people at one ticket, each in a browser of their own."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Visit, live, sign_in
from tests.browser.test_pages import violations
from tests.running import PASSWORD, RunningDesk, wait_for

pytestmark = pytest.mark.browser
STAFF = """
from triage.models import User
from tickets.models import Agent
for name, role in (("berta", "agent"), ("carl", "auditor")):
    if not User.objects.filter(username=name).exists():
        user = User.objects.create_user(name, name + "@example.org", "{}", first_name=name.title())
        Agent.objects.create(user=user, role=role)
"""


@pytest.fixture
def berta(visit: Visit, desk: RunningDesk) -> Page:
    desk.manage("shell", "-c", STAFF.format(PASSWORD))
    page = visit("/sign-in/", signed_in=False)
    sign_in(page, "berta")
    return page


@pytest.fixture
def number(desk: RunningDesk) -> int:
    unread = "SELECT count(*) FROM tickets_ticket WHERE triage_state IN ('submitted', 'processing')"
    wait_for(lambda: desk.rows(unread) == [(0,)], seconds=60, what="every demo ticket is read")
    found: int = desk.rows("SELECT max(number) FROM tickets_ticket WHERE status = 'in_review'")[0][0]
    return found


def _at(page: Page, number: int) -> Page:
    page.goto(f"/tickets/{number}/")
    live(page)
    return page


def test_two_people_see_and_call_each_other_and_nothing_is_lost(visit: Visit, berta: Page, number: int) -> None:
    admin, name = _at(visit("/tickets/"), number), re.compile("admin")
    _at(berta, number)
    expect(admin.locator("#presence")).to_contain_text("Berta is here")
    expect(berta.locator("#presence")).to_contain_text(name)

    admin.locator("#reply-text").press_sequentially("Hello ")
    expect(berta.locator("#presence")).to_contain_text("is writing a reply")
    expect(berta.locator("#presence-warning")).to_contain_text("is writing a reply, too. You can send yours")
    expect(berta.locator("#approve")).to_be_enabled()
    assert violations(berta) == []

    # In the queue the row says so, and follows when admin leaves.
    berta.goto("/tickets/")
    row = berta.locator(f"#ticket-{number} .row-company")
    expect(row).to_have_attribute("title", re.compile("admin is writing a reply"))
    assert violations(berta) == []
    admin.goto("/tickets/")
    expect(row).to_have_count(0)
    _at(admin, number)
    expect(row).to_have_attribute("title", re.compile("admin"))

    # Berta waits elsewhere; admin calls her with the keyboard alone, and her bell rings by itself.
    berta.goto("/tickets/")
    live(berta)
    expect(admin.locator("#presence")).to_be_empty()
    expect(berta.locator("#bell-count")).to_be_hidden()
    admin.locator("#comment-text").press_sequentially("Can you look, @ber")
    expect(admin.locator("#mention-list").get_by_role("option", name="Berta")).to_have_attribute(
        "aria-selected", "true"
    )
    admin.keyboard.press("Enter")
    expect(admin.locator("#comment-text")).to_have_value("Can you look, @berta ")
    admin.locator("#comment-send").click()
    expect(admin.locator(".message-comment .mention").last).to_have_text("@Berta")
    expect(berta.locator("#bell-count")).to_have_attribute("data-count", "1")
    berta.locator("#bell > summary").click()
    expect(berta.locator("#bell-latest")).to_contain_text("admin mentions you")
    berta.locator("#bell-latest .news-link").first.click()
    berta.wait_for_url(f"**/tickets/{number}/")
    expect(berta.locator("#bell-count")).to_be_hidden()


def test_a_merge_is_seen_by_a_colleague_at_once_and_undone(
    visit: Visit, berta: Page, desk: RunningDesk, number: int
) -> None:
    other = desk.rows("SELECT max(number) FROM tickets_ticket WHERE status = 'in_review' AND number < %s", number)[0][0]
    admin = _at(visit("/tickets/"), number)
    _at(berta, other)
    before = desk.rows("SELECT status, resolved_at, merged_into_id FROM tickets_ticket WHERE number = %s", number)
    admin.locator("#more-open").click()
    admin.locator("#merge-open").click()
    admin.locator("#find").fill(f"#{other}")
    admin.locator("#find-go").click()
    admin.locator(f"#found-{other}").check()
    admin.locator("#merge-do").click()
    admin.wait_for_url(f"**/tickets/{other}/")
    expect(berta.locator(f"#part-{number}")).to_contain_text("merged by admin")
    expect(berta.locator(".badge-origin").first).to_have_text(f"from #{number}")
    admin.locator(f"#unmerge-{number}").click()
    admin.wait_for_url(f"**/tickets/{number}/")
    expect(berta.locator(f"#part-{number}")).to_have_count(0)
    after = desk.rows("SELECT status, resolved_at, merged_into_id FROM tickets_ticket WHERE number = %s", number)
    assert after == before


def test_a_click_that_news_fall_into_is_not_lost(visit: Visit, berta: Page, number: int) -> None:
    admin = _at(visit("/tickets/"), number)
    _at(berta, number)
    admin.locator("#close").hover()
    admin.mouse.down()
    berta.locator("#comment-text").fill("Said while the other one pressed.")
    berta.locator("#comment-send").click()
    expect(berta.locator("#conversation")).to_contain_text("Said while the other one pressed.")
    admin.wait_for_timeout(1000)
    expect(admin.locator("#conversation")).not_to_contain_text("Said while the other one pressed.")
    admin.mouse.up()
    expect(admin.locator("#ticket-status")).to_have_attribute("data-status", "closed")
    expect(admin.locator("#conversation")).to_contain_text("Said while the other one pressed.")
    admin.locator("#reopen").click()
    expect(admin.locator("#ticket-status")).to_have_attribute("data-status", "in_review")


def test_a_draft_that_is_not_stored_says_so_and_why_and_is_tried_again(
    visit: Visit, desk: RunningDesk, number: int
) -> None:
    page, saved = _at(visit("/tickets/", watched=False), number), "SELECT text FROM tickets_draft WHERE ticket_id = %s"
    answers = [503, 500, None]

    def answer(route: Route) -> None:
        if not answers:
            route.continue_()
        elif (status := answers.pop(0)) is None:
            route.abort()
        else:
            route.fulfill(status=status, headers={"Retry-After": "1"}, body="")

    page.route("**/draft/", answer)
    state, editor = page.locator("#draft-saved"), page.locator("#reply-text")
    editor.fill("Not lost")
    expect(state).to_have_text(re.compile("Not saved. The desk has too much to do just now. Your text is kept here"))
    expect(state).to_have_text(re.compile(r"Not saved. Something broke on the desk \(500\)"))  # tried again by itself
    expect(state).to_have_text(re.compile("Not saved. The desk cannot be reached. Your text is kept here"))
    assert violations(page) == []
    page.evaluate("window.dispatchEvent(new Event('online'))")
    expect(state).to_have_text("Saved")
    assert desk.rows(saved, number) == [("Not lost",)]
    expect(page.locator(".toast-error")).to_have_count(0)

    # Refused in words: not tried again.
    desk.rows("UPDATE tickets_draft SET version = version + 5 WHERE ticket_id = %s RETURNING version", number)
    editor.fill("Too late")
    expect(state).to_have_text(re.compile("Not saved. The draft was changed by .* Your text is still in the editor"))
    expect(editor).to_have_value("Too late")
    assert desk.rows(saved, number) == [("Not lost",)]


def test_what_was_typed_when_the_line_broke_is_there_after_a_reload(visit: Visit, berta: Page, number: int) -> None:
    page = _at(visit("/tickets/", watched=False), number)
    page.context.set_offline(True)
    page.locator("#reply-text").fill("Half a reply, and then the train")
    page.locator("#comment-text").fill("Half a comment")
    expect(page.locator("#draft-saved")).to_contain_text("Not saved. The desk cannot be reached")
    page.route("**/draft/", lambda route: route.abort())  # else it would be stored as soon as the line is back
    page.context.set_offline(False)
    page.reload()
    page.unroute("**/draft/")
    expect(page.locator("#kept-reply")).to_contain_text(re.compile(r"Your unsaved text of \d\d:\d\d is here"))
    assert violations(page) == []
    page.locator("#reply-text-restore").click()
    expect(page.locator("#reply-text")).to_have_value("Half a reply, and then the train")
    expect(page.locator("#draft-saved")).to_contain_text("Saved")
    page.locator("#comment-text-discard").click()
    page.reload()
    expect(page.locator("#reply-text")).to_have_value("Half a reply, and then the train")
    expect(page.locator("#kept-reply")).to_be_empty()
    expect(page.locator("#kept-comment")).to_be_empty()

    # Nothing is left on this computer for whoever signs in next.
    page.locator("#comment-text").fill("Between us")
    kept = "Object.keys(localStorage).filter(key => key.startsWith('kept:')).length"
    wait_for(lambda: page.evaluate(kept), seconds=10, what="the comment is kept")
    page.locator("#person-menu > summary").click()
    page.locator("#sign-out").click()
    page.wait_for_url("**/sign-in/**")
    assert page.evaluate(kept) == 0


def test_a_reply_sent_before_its_draft_was_stored_is_not_offered_again(visit: Visit, berta: Page, number: int) -> None:
    page = _at(visit("/tickets/"), number)
    page.route("**/draft/", lambda route: route.abort())  # as slow a line as there is
    page.locator("#reply-text").fill("Sent within the second")
    held = "Object.values(localStorage).filter(text => text.includes('Sent within the second')).length"
    wait_for(lambda: page.evaluate(held), seconds=10, what="the text is kept")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#ticket-status")).not_to_have_attribute("data-status", "in_review")
    wait_for(lambda: page.evaluate(held) == 0, seconds=10, what="the text is forgotten")
    page.reload()
    expect(page.locator("#messages, #ticket").first).to_contain_text("Sent within the second")
    expect(page.locator("body")).not_to_contain_text("Your unsaved text")


def test_a_reply_that_was_not_stored_stays_as_typed_when_the_ticket_comes_anew(
    visit: Visit, berta: Page, number: int
) -> None:
    page = _at(visit("/tickets/", watched=False), number)  # Chromium complains of every 422
    editor = page.locator("#reply-text")
    with page.expect_response(lambda one: one.url.endswith("/draft/")) as refused:
        editor.fill("")  # to write anew; an empty draft is refused
    assert refused.value.status == 422
    page.locator("#comment-text").focus()
    other = _at(berta, number)
    other.locator("#comment-text").fill("They called about it, too.")
    other.locator("#comment-send").click()
    expect(page.locator("#conversation")).to_contain_text("They called about it, too.")
    expect(editor).to_have_value("")


def test_the_pages_of_working_together_are_accessible_and_fit_a_phone(visit: Visit, number: int) -> None:
    for theme in ("light", "dark"):
        page = visit("/tickets/", color_scheme=theme)
        own = ("/notifications/", "/notifications/?show=all", "/settings/notifications/")
        for address in (*own, f"/tickets/{number}/merge/", f"/tickets/{number}/split/", f"/tickets/{number}/links/"):
            page.goto(address)
            page.wait_for_timeout(300)
            assert violations(page) == [], f"{address} in {theme}"
        page.set_viewport_size({"width": 390, "height": 844})
        for address in (*own, f"/tickets/{number}/merge/?q=a", f"/tickets/{number}/split/"):
            page.goto(address)
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide == 0, f"{address} is {wide} px too wide"
        page.goto(f"/tickets/{number}/")
        for opened in ("#bell", "#more"):
            page.locator(f"{opened} > summary").click()
            page.wait_for_timeout(300)
            assert violations(page) == [], f"{opened} in {theme}"
            assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
            page.keyboard.press("Escape")
