"""The main job, as a person does it: in Chromium, at a desk without a key, a model or a network."""

from __future__ import annotations

import email
import itertools
import json
import os
import re
import signal
from email import policy
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit, live
from tests.running import ROOT, RunningDesk, wait_for

pytestmark = pytest.mark.browser
DEMO = json.loads((ROOT / "tickets/starter/demo.json").read_text())
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def key(desk: RunningDesk) -> str:
    return desk.api_key("the walk")


@pytest.fixture
def ticket(desk: RunningDesk, key: str) -> int:
    """A ticket of its own for each test, read and drafted."""
    return send(desk, key)


def send(desk: RunningDesk, key: str, **fields: Any) -> int:
    """Through the API, and wait until it is triaged."""
    number = next(numbers)
    body = {
        "title": f"The invoice of March shows the wrong amount ({number})",
        "description": "We were charged twice for one seat. Could you check the invoice and correct the amount?",
        "requester": {"email": f"kim{number}@example.com", "name": "Kim Sample"},
        **fields,
    }
    status, stored = desk.api("POST", "/tickets", key, body)
    assert status == 201, stored
    read(desk, key, stored["number"])
    return int(stored["number"])


def read(desk: RunningDesk, key: str, number: int) -> dict[str, Any]:
    def triaged() -> Any:
        found = desk.api("GET", f"/tickets/{number}", key)[1]
        return found if found["triage_state"] == "triaged" else None

    found: dict[str, Any] = wait_for(triaged, seconds=30, what=f"ticket {number} is triaged")
    return found


def mails_to(desk: RunningDesk, address: str) -> list[str]:
    return [mail for mail in desk.mails() if address in mail]


def watch_states(page: Page, subject: str) -> None:
    """Note every state of reading that the row with this subject shows, from now on."""
    page.evaluate(
        """subject => {
            window.states = []; window.notReloaded = true;
            const look = () => document.querySelectorAll('#rows .row').forEach(row => {
                if (!row.textContent.includes(subject)) return;
                const badge = row.querySelector('[data-triage]');
                const state = badge ? badge.dataset.triage : 'triaged';
                if (window.states.at(-1) !== state) window.states.push(state);
            });
            new MutationObserver(look).observe(document.getElementById('rows'), {childList: true, subtree: true});
        }""",
        subject,
    )


def states(page: Page) -> list[str]:
    assert page.evaluate("window.notReloaded") is True
    found: list[str] = page.evaluate("window.states")
    return found


def test_without_a_session_the_desk_asks_to_sign_in_and_then_shows_the_demo_tickets_read(
    visit: Visit, desk: RunningDesk
) -> None:
    page = visit("/", signed_in=False)
    expect(page).to_have_url(re.compile(r"/sign-in/\?next=/$"))
    page.locator("[name=password]").fill("wrong")
    page.locator("[name=login], [name=username]").first.fill("admin")
    page.locator("[name=password]").press("Enter")
    expect(page).to_have_url(re.compile("/sign-in/"))
    signed = visit("/tickets/")
    assert signed.locator("#rows .row[data-number]").count() > 20
    wait_for(
        lambda: desk.rows("SELECT count(*) FROM tickets_ticket WHERE triage_state <> 'triaged'") == [(0,)],
        seconds=60,
        what="every demo ticket is triaged",
    )
    signed.reload()
    expect(signed.locator("[data-triage]")).to_have_count(0)
    # Other tests have sent words that mean nothing; those of the demo came first.
    undecided = "SELECT count(*) FROM tickets_ticket WHERE category_id IS NULL AND number <= %s"
    assert desk.rows(undecided, len(DEMO))[0][0] < 10


def test_a_ticket_from_the_form_appears_by_itself_and_is_read(visit: Visit, desk: RunningDesk) -> None:
    queue = visit("/tickets/")
    live(queue)
    watch_states(queue, "Printer on floor two")
    form = visit("/support/", signed_in=False)
    form.get_by_label("Title").fill("Printer on floor two prints nothing")
    form.get_by_label("Description").fill("It takes the paper and gives it back blank. It worked yesterday.")
    form.get_by_label("Your name").fill("Robin Example")
    form.get_by_label("E-mail address").fill("robin@example.com")
    row = queue.locator("#rows .row", has_text="Printer on floor two")
    with desk.holding("tickets_suggestion"):  # or it would be read before anybody could look
        form.get_by_role("button", name="Send to support").click()
        expect(form.get_by_role("heading", name=re.compile("number"))).to_be_visible()
        expect(row.locator("[data-triage]")).to_have_count(1, timeout=5_000)
    expect(row.locator("[data-triage]")).to_have_count(0, timeout=5_000)
    seen = states(queue)
    assert seen[-1] == "triaged"
    assert set(seen[:-1]) <= {"submitted", "processing"}
    assert len(seen) > 1


def test_a_ticket_from_the_api_appears_by_itself_and_is_read(visit: Visit, desk: RunningDesk, key: str) -> None:
    queue = visit("/tickets/")
    live(queue)
    watch_states(queue, "Where do I change")
    send(desk, key, title="Where do I change the language?", description="I cannot find it in the settings.")
    row = queue.locator("#rows .row", has_text="Where do I change")
    expect(row).to_be_visible(timeout=5_000)
    expect(row.locator("[data-triage]")).to_have_count(0, timeout=10_000)
    assert states(queue)[-1] == "triaged"


def test_it_is_corrected_edited_approved_and_sent_exactly_once(visit: Visit, desk: RunningDesk, ticket: int) -> None:
    address = desk.rows("SELECT email FROM tickets_requester r JOIN tickets_ticket t ON t.requester_id = r.id "
                        "WHERE t.number = %s", ticket)[0][0]  # fmt: skip
    page = visit(f"/tickets/{ticket}/")
    page.locator("#value-priority").select_option("P2")
    expect(page.locator("#field-priority")).to_contain_text("Decided by a person")
    draft = page.locator("#reply-text")
    assert len(draft.input_value()) > 80
    draft.fill(f"{draft.input_value()}\n\nThe corrected invoice is on its way.")
    page.get_by_role("button", name="Approve and send").click()
    expect(page.locator("#ticket-status")).to_have_attribute("data-status", "resolved")
    sent = wait_for(lambda: mails_to(desk, address), seconds=20, what="the mail has left")
    page.wait_for_timeout(1500)
    assert len(mails_to(desk, address)) == len(sent) == 1
    mail = email.message_from_string(sent[0], policy=policy.default)
    body = mail.get_body(("plain",))
    assert body is not None
    assert "The corrected invoice is on its way." in body.get_content()
    page.reload()
    expect(page.locator("#ticket")).to_contain_text("The corrected invoice is on its way.")
    expect(page.locator("#history, .history").first).to_contain_text("admin")
    assert desk.rows("SELECT state FROM tickets_delivery WHERE ticket_id = %s", ticket) == [("sent",)]


def test_an_escalated_ticket_moves_to_the_escalated_queue_unresolved(
    visit: Visit, desk: RunningDesk, ticket: int
) -> None:
    page = visit(f"/tickets/{ticket}/")
    if page.locator("#ticket-status").get_attribute("data-status") != "escalated":
        page.locator("#escalate-open").click()
        page.get_by_label("Why does this need somebody else?").fill("The contract says otherwise.")
        page.locator("#escalate-send").click()
    expect(page.locator("#ticket-status")).to_have_attribute("data-status", "escalated")
    page.goto("/tickets/?status=escalated")
    expect(page.locator(f"#ticket-{ticket}")).to_be_visible()
    page.goto("/tickets/?status=resolved")
    expect(page.locator(f"#ticket-{ticket}")).to_have_count(0)
    assert desk.rows("SELECT resolved_at FROM tickets_ticket WHERE number = %s", ticket) == [(None,)]


def test_it_is_commented_closed_reopened_and_run_again(visit: Visit, desk: RunningDesk, ticket: int) -> None:
    page = visit(f"/tickets/{ticket}/")
    page.locator("#comment-text").fill("Finance knows about this one. <b>Not bold</b>")
    page.locator("#comment-send").click()
    expect(page.locator("#ticket")).to_contain_text("Finance knows about this one. <b>Not bold</b>")
    page.locator("#close").click()
    expect(page.locator("#ticket-status")).to_have_attribute("data-status", "closed")
    page.locator("#reopen").click()
    expect(page.locator("#ticket-status")).to_have_attribute("data-status", "in_review")
    before = desk.rows("SELECT count(*) FROM tickets_suggestion WHERE ticket_id = %s", ticket)[0][0]
    page.locator("#run-again").click()
    wait_for(
        lambda: desk.rows("SELECT count(*) FROM tickets_suggestion WHERE ticket_id = %s", ticket)[0][0] == before + 1,
        seconds=20,
        what="the ticket was read again",
    )
    expect(page.locator("#triage-state")).to_have_attribute("data-triage", "triaged")


def test_of_two_people_who_approve_one_sends_and_the_other_is_told(
    visit: Visit, desk: RunningDesk, ticket: int
) -> None:
    # Without scripts neither page learns of the other before it posts.
    first, second = (visit(f"/tickets/{ticket}/", java_script_enabled=False) for _ in range(2))
    first.get_by_role("button", name="Approve and send").click()
    expect(first.locator("#ticket-status")).to_have_attribute("data-status", "resolved")
    second.locator("#reply-text").fill("My own words, typed before I knew.")
    with second.expect_response(lambda response: response.request.method == "POST") as answered:
        second.get_by_role("button", name="Approve and send").click()
    assert answered.value.status == 409
    expect(second.locator(".notice-place .notice").first).to_be_visible()
    expect(second.locator("#kept-text")).to_have_value("My own words, typed before I knew.")
    assert desk.rows("SELECT count(*) FROM tickets_delivery WHERE ticket_id = %s", ticket) == [(1,)]


def test_a_reply_approved_while_the_customer_writes_is_not_sent(visit: Visit, desk: RunningDesk) -> None:
    form = visit("/support/", signed_in=False)
    form.get_by_label("Title").fill("My export is empty")
    form.get_by_label("Description").fill("The file has a head line and nothing else.")
    form.get_by_label("E-mail address").fill("toni@example.com")
    form.get_by_role("button", name="Send to support").click()
    number = int(re.search(r"number (\d+)", form.get_by_role("heading").first.inner_text()).group(1))  # type: ignore[union-attr]
    wait_for(
        lambda: desk.rows("SELECT 1 FROM tickets_draft WHERE ticket_id = %s", number), seconds=20, what="it is drafted"
    )
    unaware = visit(f"/tickets/{number}/", java_script_enabled=False)
    aware = visit(f"/tickets/{number}/")
    live(aware)
    form.locator("#status-link").click()
    form.get_by_label("Add to your request").fill("Forget it, I used the wrong filter. How do I delete the file?")
    form.get_by_role("button", name="Send").click()
    expect(form.locator("body")).to_contain_text("I used the wrong filter")
    expect(aware.locator("#ticket")).to_contain_text("I used the wrong filter", timeout=5_000)
    unaware.get_by_role("button", name="Approve and send").click()
    expect(unaware.locator(".notice-place .notice").first).to_contain_text(re.compile("customer|wrote", re.I))
    assert desk.rows("SELECT count(*) FROM tickets_delivery WHERE ticket_id = %s", number) == [(0,)]
    assert mails_to(desk, "toni@example.com") == []


def test_a_killed_web_process_comes_back_and_the_queue_catches_up(visit: Visit, desk: RunningDesk, key: str) -> None:
    queue = visit("/tickets/", watched=False)
    live(queue)
    watch_states(queue, "Sent right after the outage")
    os.kill(desk.running()["web"], signal.SIGKILL)
    expect(queue.locator("#connection")).not_to_have_attribute("data-state", "live")

    def stored() -> Any:
        try:
            return desk.api("POST", "/tickets", key, {"title": "Sent right after the outage", "description": "Hello?"},
                            **{"Idempotency-Key": "after-the-outage"})[0] in (200, 201)  # fmt: skip
        except OSError:
            return None

    wait_for(stored, seconds=30, what="the web process answers again")
    live(queue)
    expect(queue.locator("#rows .row", has_text="Sent right after the outage")).to_be_visible()
    assert "triaged" in wait_for(
        lambda: states(queue) if "triaged" in states(queue) else None, seconds=15, what="the row is shown as triaged"
    )
