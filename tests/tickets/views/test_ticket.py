from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests.tickets.conftest import MakeTicket, last_seen
from tickets.actions import conversation, drafts, intake, replies, review, status
from tickets.models import Delivery, Draft, Message, Status, Ticket
from triage.correlation import acting
from triage.models import User

HTMX = {"HX-Request": "true"}


@pytest.fixture
def desk(client: Client, agent: User) -> Client:
    client.force_login(agent)
    return client


def _approval(ticket: Ticket, **given: str) -> dict[str, str]:
    return {"text": "Thank you.", "version": "1", "answers": str(last_seen(ticket)), **given}


def test_it_shows_the_conversation_the_draft_and_the_proposal(desk: Client, reviewed: Ticket) -> None:
    shown = desk.get(reviewed.get_absolute_url()).content.decode()
    assert "The CSV export stops half way." in shown
    assert "Thank you for the report.</textarea>" in shown
    assert 'id="field-category"' in shown
    assert "Like others." in shown


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        '<img src="https://evil.example/pixel.gif">',
        "![pixel](https://evil.example/pixel.gif)",
        "[press](javascript:alert(1))",
        "<a href='javascript:alert(1)'>x</a>",
        '<svg onload="alert(1)">',
    ],
)
def test_a_message_can_neither_run_nor_load_anything(desk: Client, make_ticket: MakeTicket, text: str) -> None:
    ticket = make_ticket(title=text[:200], text=text)
    conversation.comment(ticket=ticket, text=text, by=None)
    page = desk.get(ticket.get_absolute_url())
    shown = page.content.decode()
    assert "<script>alert" not in shown
    assert "<img" not in shown
    assert 'href="javascript' not in shown
    assert "<a href='javascript" not in shown
    assert "<svg onload" not in shown
    assert "script-src 'self'" in page["Content-Security-Policy"]


def test_quoted_mail_is_folded(desk: Client, make_ticket: MakeTicket) -> None:
    ticket = make_ticket(text="It works now.\n\nOn Monday, Support <s@example.org> wrote:\n> Try this\n> and that")
    shown = desk.get(ticket.get_absolute_url()).content.decode()
    assert '<details class="quoted">' in shown
    assert shown.index("It works now.") < shown.index('<details class="quoted">') < shown.index("and that")


def test_approving_sends_once_and_resolves(desk: Client, agent: User, reviewed: Ticket) -> None:
    answer = desk.post(f"/tickets/{reviewed.number}/approval/", _approval(reviewed))
    assert answer.status_code == 302
    reviewed.refresh_from_db()
    assert reviewed.status == Status.RESOLVED
    delivery = Delivery.objects.get(ticket=reviewed)
    assert (delivery.review.by, delivery.review.text) == (agent, "Thank you.")


def test_sending_and_keeping_open_waits_for_the_customer(desk: Client, reviewed: Ticket) -> None:
    desk.post(f"/tickets/{reviewed.number}/approval/", _approval(reviewed, keep_open="1"))
    reviewed.refresh_from_db()
    assert reviewed.status == Status.WAITING


def test_sending_and_snoozing_puts_it_off_by_a_preset_or_ones_own_clock(desk: Client, reviewed: Ticket) -> None:
    address = f"/tickets/{reviewed.number}/approval/"
    assert desk.post(address, _approval(reviewed, snooze="custom", at="never"), headers=HTMX).status_code == 422
    assert not Delivery.objects.exists()
    desk.post(address, _approval(reviewed, snooze="week"))
    reviewed.refresh_from_db()
    assert reviewed.status == Status.WAITING
    assert reviewed.snoozed_until is not None
    assert reviewed.snoozed_until > timezone.now() + timedelta(days=6)


def test_after_a_reply_that_kept_the_ticket_open_the_editor_sends_another(desk: Client, reviewed: Ticket) -> None:
    address = f"/tickets/{reviewed.number}/approval/"
    shown = desk.post(address, _approval(reviewed, replied="0", keep_open="1"), headers=HTMX).content.decode()
    sent = reviewed.messages.get(kind=Message.Kind.OUTBOUND).pk
    assert f'name="replied" value="{sent}"' in shown
    values = _approval(reviewed, text="And this.", version="0", replied=str(sent))
    assert desk.post(address, values).status_code == 302
    assert desk.post(address, values).status_code == 409
    assert Delivery.objects.filter(ticket=reviewed).count() == 2


def test_a_second_press_of_approve_sends_nothing_more_and_says_so(desk: Client, reviewed: Ticket) -> None:
    values = _approval(reviewed)
    desk.post(f"/tickets/{reviewed.number}/approval/", values, headers=HTMX)
    again = desk.post(f"/tickets/{reviewed.number}/approval/", values, headers=HTMX)
    assert again.status_code == 409
    assert "sent a reply at" in again.content.decode()
    assert Delivery.objects.filter(ticket=reviewed).count() == 1


def test_of_two_who_approve_one_sends_and_the_other_is_told_and_keeps_the_text(
    desk: Client, lead: User, reviewed: Ticket
) -> None:
    seen = last_seen(reviewed)
    replies.approve(ticket=reviewed, text="Mine.", version=1, answers=seen, by=lead)
    answer = desk.post(f"/tickets/{reviewed.number}/approval/", _approval(reviewed, text="Typed with care."))
    shown = answer.content.decode()
    assert answer.status_code == 409
    assert "Lea sent a reply at" in shown
    assert "Typed with care.</textarea>" in shown
    assert Delivery.objects.filter(ticket=reviewed).count() == 1


def test_a_reply_to_a_customer_who_wrote_again_is_not_sent(desk: Client, reviewed: Ticket) -> None:
    values = _approval(reviewed)
    intake.add_customer_message(ticket=reviewed, text="One more thing.")
    answer = desk.post(f"/tickets/{reviewed.number}/approval/", values)
    assert answer.status_code == 409
    assert "The customer wrote again" in answer.content.decode()
    assert "Thank you.</textarea>" in answer.content.decode()
    assert not Delivery.objects.exists()
    assert 'id="stale"' in desk.get(reviewed.get_absolute_url()).content.decode()


def test_an_empty_reply_is_refused_at_its_place(desk: Client, reviewed: Ticket) -> None:
    answer = desk.post(f"/tickets/{reviewed.number}/approval/", _approval(reviewed, text="  "), headers=HTMX)
    assert answer.status_code == 422
    assert "The reply is empty" in answer.content.decode()


def test_autosave_keeps_the_text_and_hands_back_the_new_version(desk: Client, agent: User, reviewed: Ticket) -> None:
    values = {"text": "Half a sen", "version": "1", "quiet": "1"}
    answer = desk.post(f"/tickets/{reviewed.number}/draft/", values, headers=HTMX)
    assert 'id="draft-version" value="2"' in answer.content.decode()
    draft = Draft.objects.get(ticket=reviewed)
    assert (draft.text, draft.editor) == ("Half a sen", agent)


def test_approving_right_after_an_own_autosave_is_no_conflict(desk: Client, agent: User, reviewed: Ticket) -> None:
    drafts.save(ticket=reviewed, text="Half a sen", version=1, by=agent)
    answer = desk.post(f"/tickets/{reviewed.number}/approval/", _approval(reviewed, text="Half a sentence."))
    assert answer.status_code == 302


def test_a_draft_that_a_colleague_changed_meanwhile_is_not_overwritten(
    desk: Client, lead: User, reviewed: Ticket
) -> None:
    drafts.save(ticket=reviewed, text="Hers.", version=1, by=lead)
    values = {"text": "His.", "version": "1", "quiet": "1"}
    answer = desk.post(f"/tickets/{reviewed.number}/draft/", values, headers=HTMX)
    assert answer.status_code == 409
    assert Draft.objects.get(ticket=reviewed).text == "Hers."


def test_a_stale_draft_that_is_edited_after_the_new_message_was_read_is_current_again(
    desk: Client, reviewed: Ticket
) -> None:
    intake.add_customer_message(ticket=reviewed, text="One more thing.")
    values = {"text": "To both.", "version": "1", "answers": str(last_seen(reviewed))}
    desk.post(f"/tickets/{reviewed.number}/draft/", values)
    assert 'id="stale"' not in desk.get(reviewed.get_absolute_url()).content.decode()


def test_going_back_to_the_suggestion_can_be_undone(desk: Client, agent: User, reviewed: Ticket) -> None:
    drafts.save(ticket=reviewed, text="Mine.", version=1, by=agent)
    values = {"text": "Mine.", "version": "2", "restore": "1"}
    answer = desk.post(f"/tickets/{reviewed.number}/draft/", values, headers=HTMX).content.decode()
    assert Draft.objects.get(ticket=reviewed).text == "Thank you for the report."
    assert 'id="undo-restore"' in answer
    desk.post(f"/tickets/{reviewed.number}/draft/", {"text": "Mine.", "version": "3"})
    assert Draft.objects.get(ticket=reviewed).text == "Mine."


def test_going_back_to_the_suggestion_takes_nothing_of_what_a_colleague_wrote_meanwhile(
    desk: Client, lead: User, reviewed: Ticket
) -> None:
    drafts.save(ticket=reviewed, text="Words of Lea.", version=1, by=lead)
    values = {"text": "Thank you for the report.", "version": "1", "restore": "1"}
    answer = desk.post(f"/tickets/{reviewed.number}/draft/", values, headers=HTMX)
    assert (answer.status_code, "changed by Lea" in answer.content.decode()) == (409, True)
    assert Draft.objects.get(ticket=reviewed).text == "Words of Lea."


def test_of_two_who_correct_a_field_at_once_the_second_sees_why_not(
    desk: Client, agent: User, lead: User, reviewed: Ticket
) -> None:
    page = desk.get(reviewed.get_absolute_url()).content.decode()
    form = re.search(r'id="form-priority".*?</form>', page, re.DOTALL)
    assert form is not None
    shown = dict(re.findall(r'name="(field|seen)" value="([^"]*)"', form[0]))
    review.correct(ticket=reviewed, changes={"priority": "P1"}, by=lead)
    address = f"/tickets/{reviewed.number}/review/"
    answer = desk.post(address, shown | {"value": "P3"}, headers=HTMX)
    assert (answer.status_code, "Lea decided this meanwhile" in answer.content.decode()) == (409, True)
    assert desk.post(address, shown | {"value": "P1"}, headers=HTMX).status_code == 200, "they say the same"
    assert desk.post(address, shown | {"seen": "P1", "value": "P3"}, headers=HTMX).status_code == 200
    assert desk.post(address, shown | {"value": "P4"}, headers=HTMX).status_code == 200, "it was their own"
    assert Ticket.objects.get(pk=reviewed.pk).priority == "P4"


def test_correcting_a_field_makes_it_a_persons(desk: Client, reviewed: Ticket) -> None:
    values = {"field": "priority", "value": "P2"}
    answer = desk.post(f"/tickets/{reviewed.number}/review/", values, headers=HTMX)
    assert "Priority corrected." in answer.content.decode()
    reviewed.refresh_from_db()
    assert reviewed.priority == "P2"
    assert reviewed.decided_by_person("priority")


def test_accepting_all_takes_over_what_is_held(desk: Client, agent: User, reviewed: Ticket) -> None:
    desk.post(f"/tickets/{reviewed.number}/review/", {"accept": "all"})
    reviewed.refresh_from_db()
    assert reviewed.decided_by_person("team")
    assert not reviewed.decided_by_person("category")


def test_values_that_the_person_did_not_see_are_not_accepted(desk: Client, reviewed: Ticket) -> None:
    seen = reviewed.suggestions.get().pk
    assert f'name="suggestion" value="{seen}"' in desk.get(reviewed.get_absolute_url()).content.decode()
    newer = reviewed.suggestions.create(fields={}, confidence=0.4, escalated=False)
    address = f"/tickets/{reviewed.number}/review/"
    answer = desk.post(address, {"accept": "team", "suggestion": str(seen)}, headers=HTMX)
    assert answer.status_code == 409 and "read again meanwhile" in answer.content.decode()
    reviewed.refresh_from_db()
    assert not reviewed.decided_by_person("team")
    desk.post(address, {"accept": "team", "suggestion": str(newer.pk)})
    reviewed.refresh_from_db()
    assert reviewed.decided_by_person("team")


def test_accepting_what_the_machine_was_unsure_of_sets_it(desk: Client, reviewed: Ticket) -> None:
    reading = {"value": "bug", "confidence": 0.4, "band": "ask", "reason": "Words.", "engine": "rules"}
    reviewed.suggestions.create(fields={"category": reading}, confidence=0.4, escalated=True)
    desk.post(f"/tickets/{reviewed.number}/review/", {"accept": "category"})
    reviewed.refresh_from_db()
    assert reviewed.value_of("category") == "bug"
    assert reviewed.decided_by_person("category")


@pytest.mark.parametrize(
    ("name", "values", "word"),
    [
        ("review", {"field": "priority", "value": "P9"}, "is not a priority"),
        ("review", {}, "Say which field"),
        ("escalation", {"reason": " "}, "Say why"),
        ("comments", {"text": ""}, "Write something first"),
        ("status", {"status": "new"}, "new only until"),
        ("status", {"status": "nonsense"}, "Choose a status"),
        ("assignment", {"assignee": "nobody-of-that-name"}, "nobody of that name"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(
    desk: Client, reviewed: Ticket, name: str, values: dict[str, str], word: str
) -> None:
    fragment = desk.post(f"/tickets/{reviewed.number}/{name}/", values, headers=HTMX)
    assert fragment.status_code == 422
    assert word in fragment.content.decode()
    page = desk.post(f"/tickets/{reviewed.number}/{name}/", values)
    assert page.status_code == 422
    assert word in page.content.decode()


def test_escalating_names_the_reason_and_does_not_resolve(desk: Client, reviewed: Ticket) -> None:
    desk.post(f"/tickets/{reviewed.number}/escalation/", {"reason": "Needs the lead."})
    reviewed.refresh_from_db()
    assert (reviewed.status, reviewed.escalation_reason) == (Status.ESCALATED, "Needs the lead.")
    assert "Needs the lead." in desk.get(reviewed.get_absolute_url()).content.decode()


def test_comments_are_internal_and_shown_apart(desk: Client, reviewed: Ticket) -> None:
    desk.post(f"/tickets/{reviewed.number}/comments/", {"text": "Seen this **before**."})
    assert reviewed.messages.filter(kind=Message.Kind.COMMENT).count() == 1
    shown = desk.get(reviewed.get_absolute_url()).content.decode()
    assert "Internal comment" in shown
    assert "<strong>before</strong>" in shown


def test_closing_and_reopening(desk: Client, reviewed: Ticket) -> None:
    desk.post(f"/tickets/{reviewed.number}/status/", {"status": "closed"})
    reviewed.refresh_from_db()
    assert reviewed.status == Status.CLOSED
    desk.post(f"/tickets/{reviewed.number}/status/", {"status": "in_review"})
    reviewed.refresh_from_db()
    assert reviewed.status == Status.IN_REVIEW


def test_a_button_pressed_on_a_page_that_is_overtaken_does_nothing_and_says_who_was_quicker(
    desk: Client, lead: User, reviewed: Ticket
) -> None:
    shown = desk.get(reviewed.get_absolute_url()).content.decode()
    assert shown.count('name="seen" value="in_review"') == 2  # the buttons, and escalating
    with acting(f"user:{lead.pk}"):
        status.change(ticket=reviewed, status=Status.RESOLVED, by=lead)
    for address, said in (("status", {"status": "closed"}), ("escalation", {"reason": "Money"})):
        answer = desk.post(f"/tickets/{reviewed.number}/{address}/", {"seen": "in_review", **said})
        assert answer.status_code == 409
        assert f"{lead.label} set this ticket to resolved" in answer.content.decode()
    reviewed.refresh_from_db()
    assert reviewed.status == Status.RESOLVED


def test_taking_a_ticket_and_letting_it_go(desk: Client, agent: User, reviewed: Ticket) -> None:
    desk.post(f"/tickets/{reviewed.number}/assignment/", {"assignee": "me"})
    reviewed.refresh_from_db()
    assert reviewed.assignee == agent
    desk.post(f"/tickets/{reviewed.number}/assignment/", {"assignee": ""})
    reviewed.refresh_from_db()
    assert reviewed.assignee is None


def test_a_delivery_that_may_be_lost_waits_for_a_persons_word(desk: Client, reviewed: Ticket) -> None:
    desk.post(f"/tickets/{reviewed.number}/approval/", _approval(reviewed))
    delivery = Delivery.objects.get(ticket=reviewed)
    Delivery.objects.filter(pk=delivery.pk).update(state="unknown", error="The desk stopped while sending.")
    shown = desk.get(reviewed.get_absolute_url()).content.decode()
    assert "It is not known whether" in shown
    assert "The desk stopped while sending." in shown
    desk.post(f"/tickets/{reviewed.number}/deliveries/{delivery.pk}/", {"decision": "sent"})
    delivery.refresh_from_db()
    assert delivery.state == Delivery.State.SENT


def test_a_delivery_of_another_ticket_cannot_be_decided_here(
    desk: Client, reviewed: Ticket, make_ticket: MakeTicket
) -> None:
    desk.post(f"/tickets/{reviewed.number}/approval/", _approval(reviewed))
    delivery = Delivery.objects.get(ticket=reviewed)
    other = make_ticket(title="Other")
    answer = desk.post(f"/tickets/{other.number}/deliveries/{delivery.pk}/", {"decision": "retry"})
    assert answer.status_code == 404


@pytest.mark.usefixtures("exact_search")
def test_similar_tickets_of_other_teams_are_not_named(desk: Client, reviewed: Ticket, make_ticket: MakeTicket) -> None:
    from tickets.models import Team

    near, far = make_ticket(title="Near and ours"), make_ticket(title="Near and theirs")
    vector = [0.0] * 383 + [1.0]
    for ticket in (reviewed, near, far):
        Ticket.objects.filter(pk=ticket.pk).update(embedding=vector)
    Ticket.objects.filter(pk=far.pk).update(team=Team.objects.get(key="billing"))
    shown = desk.get(reviewed.get_absolute_url()).content.decode()
    assert "Near and ours" in shown
    assert "Near and theirs" not in shown


def test_the_pieces_leave_the_editor_alone_unless_asked(desk: Client, reviewed: Ticket) -> None:
    address = f"/tickets/{reviewed.number}/pieces/"
    assert 'id="reply-text"' not in desk.get(address, headers=HTMX).content.decode()
    assert 'id="reply-text"' in desk.get(f"{address}?editor=1", headers=HTMX).content.decode()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-7_200, "overdue by 2h"), (30, "due in less than a minute"), (7_260, "due in 2h")],
)
def test_the_clock_of_the_first_answer_is_shown(desk: Client, reviewed: Ticket, seconds: int, words: str) -> None:
    Ticket.objects.filter(pk=reviewed.pk).update(due_at=timezone.now() + timedelta(seconds=seconds))
    assert f"First answer {words}" in desk.get(reviewed.get_absolute_url()).content.decode()


def test_the_history_names_who_changed_what_and_by_which_request(desk: Client, reviewed: Ticket) -> None:
    headers = {"X-Correlation-ID": "abcdef123456"}
    desk.post(f"/tickets/{reviewed.number}/review/", {"field": "priority", "value": "P1"}, headers=headers)
    desk.post(f"/tickets/{reviewed.number}/review/", {"field": "priority", "value": "P2"}, headers=headers)
    shown = desk.get(reviewed.get_absolute_url()).content.decode()
    assert "<s>P1 Urgent</s> to P2 High" in shown
    assert "abcdef123456" in shown
    assert '<span class="strong">Ada</span>' in shown[shown.index('id="history"') :]


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_who_gives_a_ticket_to_another_team_is_back_in_the_queue(
    desk: Client, reviewed: Ticket, headers: dict[str, str]
) -> None:
    values = {"field": "team", "value": "billing"}
    answer = desk.post(f"/tickets/{reviewed.number}/review/", values, headers=headers)
    assert answer.headers.get("HX-Redirect" if headers else "Location") == "/tickets/"
    assert "is with another team now" in desk.get("/tickets/").content.decode()


def test_a_number_beyond_all_numbers_is_refused_and_breaks_nothing(desk: Client, reviewed: Ticket) -> None:
    response = desk.post(f"/tickets/{reviewed.number}/approval/", _approval(reviewed, answers="9" * 5000))
    assert response.status_code == 409


@pytest.mark.parametrize(
    ("address", "values", "status"),
    [
        ("review/", {"field": "category", "value": "billing", "why": "a\x00b"}, 422),
        ("review/", {"field": "nonsense", "value": ""}, 422),
        ("review/", {"field": "subject", "value": ""}, 422),
        ("assignment/", {"assignee": "a\x00b"}, 422),
        ("comments/", {"text": "a\x00b \u202e \U0001f600 <script>1</script>"}, 302),
    ],
)
def test_no_sign_and_no_name_of_a_field_breaks_a_form_of_the_desk(
    desk: Client, reviewed: Ticket, address: str, values: dict[str, str], status: int
) -> None:
    desk.raise_request_exception = False
    answer = desk.post(f"{reviewed.get_absolute_url()}{address}", values)
    assert answer.status_code == status
    reviewed.refresh_from_db()
    assert reviewed.value_of("category") != "billing" and "subject" not in reviewed.provenance


@pytest.mark.parametrize("name", ["a\x00b", "a@\x00", "\U0001f600", "x" * 5000])
def test_no_name_breaks_the_sign_in(client: Client, db: None, name: str) -> None:
    client.raise_request_exception = False
    assert client.post("/sign-in/", {"login": name, "username": name, "password": "x"}).status_code in (200, 422)
