"""An hour of three people at one desk, each in a browser and a thread of their own: nothing is lost, nothing twice."""

from __future__ import annotations

import email
import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Barrier, BrokenBarrierError
from time import monotonic
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Response, expect, sync_playwright

from tests.browser.conftest import ARGUMENTS, Watch, browser_here, sign_in
from tests.running import PASSWORD, RunningDesk, wait_for

pytestmark = pytest.mark.browser
NAMES = ("dora", "emil", "fred")
OWN, SHARED = 10, 9
REFUSED = {(what, 409) for what in ("approval", "assignment", "review", "status", "merge")}
STAFF = """
from triage.models import User
from tickets.models import Agent, Macro
for name in {!r}:
    user = User.objects.create_user(name, name + "@example.org", {!r}, first_name=name.title())
    Agent.objects.create(user=user, role="lead")
Macro.objects.create(name="Hour", text="From the macro: we have it.", scope="everyone")
"""


@dataclass
class Hour:
    """The tickets of the hour: ten for each of the three, and those that they quarrel about."""

    desk: RunningDesk
    own: dict[str, list[int]]
    shared: list[int]
    gate: Barrier = field(default_factory=lambda: Barrier(len(NAMES), timeout=30))

    @property
    def numbers(self) -> list[int]:
        return [*self.shared, *(number for numbers in self.own.values() for number in numbers)]


@dataclass
class Posted:
    """What a browser sent, and how it was answered."""

    by: str
    ticket: int
    what: str
    form: dict[str, str]
    status: int

    @property
    def done(self) -> bool:
        return self.status < 400


class Person:
    """Somebody at work. Every answer to what they send is written down."""

    def __init__(self, name: str, page: Page, hour: Hour) -> None:
        self.name, self.page, self.hour = name, page, hour
        self.posted: list[Posted] = []
        self.failed: list[str] = []
        page.on("response", self._note)

    def _note(self, response: Response) -> None:
        path = urlsplit(response.url).path.strip("/").split("/")
        if response.status >= 500:
            self.failed.append(f"{response.status} {response.url}")
        if response.request.method == "POST" and path[0] == "tickets" and len(path) >= 3:
            form = {key: said[-1] for key, said in parse_qs(response.request.post_data or "").items()}
            self.posted.append(Posted(self.name, int(path[1]), path[2], form, response.status))

    def at(self, number: int) -> Page:
        self.page.goto(f"/tickets/{number}/", wait_until="domcontentloaded")
        expect(self.page.locator("#connection")).to_have_attribute("data-state", "live")
        return self.page

    def sends(self, what: str, act: Callable[[], Any]) -> None:
        """Act, and wait for the answer; what was just swapped in and is not htmx's yet is sent as a form, as well."""
        with self.page.expect_response(lambda one: one.request.method == "POST" and what in one.url) as answered:
            act()
        assert answered.value.status < 400, f"{self.name}: {answered.value.status} {answered.value.url}"
        self.page.wait_for_timeout(100)

    def replies(self, number: int, button: str = "#approve") -> None:
        page = self.at(number)
        page.locator("#reply-text").fill(f"Hello, {self.name.title()} looked into this: reference {number}.")
        self.sends("/approval/", page.locator(button).click)

    def quarrels(self, number: int, element: str, script: str = "one => one.click()") -> None:
        """Do something to a ticket at the same moment as the two others, or find it done already."""
        page = self.at(number) if "/merge/" not in self.page.url else self.page
        self.hour.gate.wait()
        page.evaluate(f"() => {{ const one = document.querySelector('{element}'); if (one) ({script})(one); }}")
        page.wait_for_timeout(300)
        expect(page.locator(".htmx-request")).to_have_count(0)
        self.hour.gate.wait()


@pytest.fixture
def hour(desk: RunningDesk) -> Hour:
    desk.manage("shell", "-c", STAFF.format(NAMES, PASSWORD))
    key = desk.api_key("the hour")
    numbers = []
    for one in range(OWN * len(NAMES) + SHARED):
        body = {
            "title": f"Hour {one}: the invoice shows the wrong amount",
            "description": f"We were charged twice for seat {one}. Could you check the invoice?",
            "requester": {"email": f"hour{one}@example.com", "name": f"Customer {one}"},
        }
        status, stored = desk.api("POST", "/tickets", key, body)
        assert status == 201, stored
        numbers.append(int(stored["number"]))
    wanted = """
        SELECT count(*) FROM tickets_ticket JOIN tickets_draft d ON d.ticket_id = number
        WHERE triage_state = 'triaged' AND number = ANY(%s)"""
    wait_for(lambda: desk.rows(wanted, numbers) == [(len(numbers),)], seconds=90, what="all are read")
    own = {name: numbers[place * OWN : (place + 1) * OWN] for place, name in enumerate(NAMES)}
    return Hour(desk, own, numbers[OWN * len(NAMES) :])


def _own_work(me: Person) -> None:
    """Ten tickets, each another way."""
    mine, page = me.hour.own[me.name], me.page
    me.at(mine[0])
    me.sends("/review/", lambda: page.keyboard.press("a"))
    me.at(mine[1])
    me.sends("/review/", lambda: page.locator("#value-priority").select_option("P1"))
    me.sends("/assignment/", lambda: page.keyboard.press("t"))
    me.replies(mine[2])
    me.replies(mine[3], "#approve-open")
    me.at(mine[4])
    friend = NAMES[(NAMES.index(me.name) + 1) % len(NAMES)]
    page.locator("#comment-text").fill(f"@{friend} what do you think of {mine[4]}?")
    me.sends("/comments/", page.locator("#comment-send").click)
    me.at(mine[5])
    page.locator("#more-open").click()
    me.sends("/snooze/", page.locator("#snooze-tomorrow").click)
    page.goto(f"/tickets/{mine[6]}/merge/?q=%23{mine[0]}")
    page.locator(f"#found-{mine[0]}").check()
    me.sends("/merge/", page.locator("#merge-do").click)
    me.at(mine[7])
    page.locator("#reply-text").fill("")
    page.locator("#macro-open").click()
    page.locator("#macro-list .insert-item", has_text="Hour").click()
    expect(page.locator("#reply-text")).to_have_value("From the macro: we have it.")
    me.sends("/approval/", page.locator("#approve").click)


def _quarrels(me: Person) -> None:
    """The same ticket at the same moment: approved, corrected, taken and resolved by three; merged crosswise."""
    shared, page = me.hour.shared, me.page
    for number in shared[:3]:
        me.quarrels(number, "#approve")
    value = f"P{1 + NAMES.index(me.name)}"
    change = f"one => {{ one.value = '{value}'; one.dispatchEvent(new Event('change', {{bubbles: true}})); }}"
    me.quarrels(shared[3], "#value-priority", change)
    me.quarrels(shared[4], "#assign-me")
    me.quarrels(shared[5], "#resolve")
    me.quarrels(shared[6], "#accept-all")
    one, other = shared[7:9] if me.name == NAMES[0] else shared[8:6:-1]
    page.goto(f"/tickets/{one}/merge/?q=%23{other}")
    page.locator(f"#found-{other}").check()
    me.quarrels(one, "#merge-do")


def _in_bulk(me: Person) -> None:
    mine, page = me.hour.own[me.name], me.page
    page.goto("/tickets/")
    for number in mine[8:10]:
        page.locator(f"#select-{number}").check()
    page.locator("#bulk-status").click()
    me.sends("/bulk/", page.locator("#bulk-form button[value='status=resolved']").click)


def _works(name: str, hour: Hour) -> tuple[Person, Watch]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_here(), args=ARGUMENTS)
        context = browser.new_context(base_url=hour.desk.address, viewport={"width": 1440, "height": 900})
        context.set_default_timeout(20_000)
        page, watch = context.new_page(), Watch(hour.desk.address)
        watch.over(page)
        me = Person(name, page, hour)
        sign_in(page, name)
        try:
            for part in (_own_work, _quarrels, _in_bulk):
                part(me)
        except BaseException:
            hour.gate.abort()
            raise
        browser.close()
    return me, watch


@pytest.mark.timeout(300)
def test_an_hour_of_three_people_loses_nothing_and_does_nothing_twice(hour: Hour) -> None:
    desk, began = hour.desk, monotonic()
    with ThreadPoolExecutor(len(NAMES)) as pool:
        working = [pool.submit(_works, name, hour) for name in NAMES]
    troubles = [one.exception() for one in working]
    for trouble in sorted(filter(None, troubles), key=lambda one: isinstance(one, BrokenBarrierError)):
        raise trouble  # who waited in vain for somebody comes last
    done = [one.result() for one in working]
    assert monotonic() - began < 300  # a slow machine needs a third of it
    posted = [one for me, _ in done for one in me.posted]
    # A refusal is told by the browser, too: of two that are merged crosswise, one is part of the other already (422),
    # and an emptied reply is no draft to store (422).
    assert {(one.what, one.status) for one in posted if not one.done} <= {*REFUSED, ("merge", 422), ("draft", 422)}
    told = [words for _, watch in done for words in watch.complaints if "status of 422" not in words]
    assert told == []
    assert [me.failed for me, _ in done if me.failed] == []
    assert list(_errors_logged(desk)) == []
    assert any(one.status == 409 for one in posted)  # they did get into each other's way
    _replies_left_once(hour, posted)
    _decisions_stand_once(hour, posted)
    _work_together_stands_once(hour, posted)
    _history_is_whole(hour)


def _errors_logged(desk: RunningDesk) -> Iterator[str]:
    for part in ("web", "worker"):
        for line in (desk.var / "log" / f"{part}.log").read_text(errors="replace").splitlines():
            said = json.loads(line) if line.startswith("{") else {}
            if said.get("level") in ("ERROR", "CRITICAL") or "Traceback" in line:
                yield line[:300]


def _replies_left_once(hour: Hour, posted: list[Posted]) -> None:
    approved = Counter(one.ticket for one in posted if one.what == "approval" and one.done)
    own = {number for mine in hour.own.values() for number in (mine[2], mine[3], mine[7])}
    assert set(approved) == {*hour.shared[:3], *own}
    assert set(approved.values()) == {1}
    queued = "SELECT count(*) FROM tickets_delivery WHERE ticket_id = ANY(%s) AND state <> 'sent'"
    wait_for(lambda: hour.desk.rows(queued, hour.numbers) == [(0,)], seconds=40, what="all replies left")
    rows = hour.desk.rows("SELECT ticket_id, recipient FROM tickets_delivery WHERE ticket_id = ANY(%s)", hour.numbers)
    assert Counter(ticket for ticket, _ in rows) == approved
    left = Counter(str(email.message_from_string(mail)["To"]) for mail in hour.desk.mails())
    assert {to: left[to] for _, to in rows} == {to: 1 for _, to in rows}


def _decisions_stand_once(hour: Hour, posted: list[Posted]) -> None:
    corrections = Counter(
        (one.ticket, one.by, one.form["field"], one.form["value"])
        for one in posted
        if one.what == "review" and one.done and "field" in one.form
    )
    # Each their own; and of the three who corrected one ticket at once whoever came before it had changed.
    assert {(number, by) for number, by, *_ in corrections} >= {(own[1], name) for name, own in hour.own.items()}
    assert len(NAMES) < len(corrections) <= len(NAMES) * 2
    accepted = [hour.shared[6], *(mine[0] for mine in hour.own.values())]
    stored = """
        SELECT r.ticket_id, u.username, r.field, r.after #>> '{}' FROM tickets_review r
        JOIN triage_user u ON u.id = r.by_id
        WHERE r.ticket_id = ANY(%s) AND r.ticket_id <> ALL(%s) AND r.field <> ''"""
    assert Counter(hour.desk.rows(stored, hour.numbers, accepted)) == corrections
    fields = """
        SELECT ticket_id, field, count(*) FROM tickets_review
        WHERE ticket_id = ANY(%s) AND decision = 'accepted' GROUP BY 1, 2"""
    rows = hour.desk.rows(fields, accepted)
    assert {number for number, _, _ in rows} == set(accepted)
    assert {count for _, _, count in rows} == {1}


def _work_together_stands_once(hour: Hour, posted: list[Posted]) -> None:
    desk = hour.desk
    rung = """
        SELECT count(*) FROM tickets_notification n JOIN triage_user u ON u.id = n.user_id
        WHERE n.ticket_id = %s AND u.username = %s AND n.kind = 'mention'"""
    for place, mine in enumerate(hour.own.values()):
        friend = NAMES[(place + 1) % len(NAMES)]
        said = desk.rows("SELECT text FROM tickets_message WHERE ticket_id = %s AND kind = 'comment'", mine[4])
        assert said == [(f"@{friend} what do you think of {mine[4]}?",)]
        assert desk.rows(rung, mine[4], friend) == [(1,)]
        assert desk.rows("SELECT snoozed_until > now() FROM tickets_ticket WHERE number = %s", mine[5]) == [(True,)]
        assert desk.rows("SELECT into_id FROM tickets_merge WHERE ticket_id = %s", mine[6]) == [(mine[0],)]
    bulk = [number for mine in hour.own.values() for number in mine[8:10]]
    ended = "SELECT count(*) FROM tickets_ticket WHERE number = ANY(%s) AND status = 'resolved'"
    wait_for(lambda: desk.rows(ended, bulk) == [(len(bulk),)], seconds=20, what="the bulk runs are through")
    # Whoever sees in time that it is taken takes it over knowingly: each taking is in the history, the last one stands.
    taken = [one.by for one in posted if one.ticket == hour.shared[4] and one.what == "assignment" and one.done]
    owners = """
        SELECT u.username FROM (
            SELECT pgh_id, assignee_id, lag(assignee_id) OVER (ORDER BY pgh_id) AS before
            FROM tickets_event WHERE pgh_obj_id = %s) e
        JOIN triage_user u ON u.id = e.assignee_id WHERE assignee_id IS DISTINCT FROM before ORDER BY pgh_id"""
    noted = [name for (name,) in desk.rows(owners, hour.shared[4])]
    assert Counter(noted) == Counter(taken) and taken
    owner = "SELECT u.username FROM tickets_ticket t JOIN triage_user u ON u.id = t.assignee_id WHERE number = %s"
    assert desk.rows(owner, hour.shared[4]) == [(noted[-1],)]
    standing = "SELECT count(*) FROM tickets_merge WHERE ticket_id = ANY(%s) AND undone_at IS NULL"
    assert desk.rows(standing, hour.shared[7:9]) == [(1,)]


def _history_is_whole(hour: Hour) -> None:
    """The last snapshot of each ticket is what the ticket holds now, and each change names who made it."""
    names = ("status", "priority", "category_id", "team_id", "assignee_id", "merged_into_id", "snoozed_until")
    held, noted = (", ".join(f"{table}.{name}" for name in names) for table in ("t", "e"))
    differs = f"""
        SELECT t.number FROM tickets_ticket t LEFT JOIN LATERAL (
            SELECT * FROM tickets_event WHERE pgh_obj_id = t.number ORDER BY pgh_id DESC LIMIT 1) e ON true
        WHERE t.number = ANY(%s) AND ({held}) IS DISTINCT FROM ({noted})"""
    assert hour.desk.rows(differs, hour.numbers) == []
    nameless = """
        SELECT pgh_id FROM tickets_event
        WHERE pgh_obj_id = ANY(%s) AND coalesce(pgh_context->>'actor', '') = ''"""
    assert hour.desk.rows(nameless, hour.numbers) == []
