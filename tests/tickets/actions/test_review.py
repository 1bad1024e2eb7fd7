from __future__ import annotations

import pytest
from django.test import Client

from tickets.actions import review
from tickets.actions.errors import Conflict, Forbidden, Invalid
from tickets.models import Category, Example, Review, Status, Ticket
from triage.models import User


def test_a_correction_is_kept_with_before_and_after(reviewed: Ticket, agent: User) -> None:
    review.correct(ticket=reviewed, changes={"team": "network"}, by=agent, why="It is the VPN.")
    row = Review.objects.get(field="team")
    assert (row.decision, row.before, row.after, row.why, row.by) == (
        "corrected",
        "software",
        "network",
        "It is the VPN.",
        agent,
    )
    reviewed.refresh_from_db()
    assert reviewed.value_of("team") == "network" and reviewed.decided_by_person("team")


def test_confirming_the_machines_value_counts_as_accepted(reviewed: Ticket, agent: User) -> None:
    review.accept(ticket=reviewed, fields=["team", "category"], by=agent)
    assert [(row.field, row.decision) for row in Review.objects.all()] == [("team", "accepted")]


def test_deciding_the_same_twice_is_one_decision(reviewed: Ticket, agent: User) -> None:
    for _ in range(2):
        review.correct(ticket=reviewed, changes={"priority": "high"}, by=agent)
    assert Review.objects.filter(field="priority").count() == 1


def test_a_decision_becomes_an_example_with_the_decided_fields_alone(reviewed: Ticket, agent: User) -> None:
    review.correct(ticket=reviewed, changes={"category": "bug", "tags": ["CSV export", "csv-export"]}, by=agent)
    example = Example.objects.get(ticket=reviewed)
    assert example.labels == {"category": "bug", "tags": ["csv-export"]}
    assert "stops half way" in example.text


def test_a_priority_sets_the_clock(reviewed: Ticket, agent: User) -> None:
    held = review.correct(ticket=reviewed, changes={"priority": "P1"}, by=agent)
    assert held.due_at is not None
    assert (held.due_at - held.created_at).total_seconds() == 3600


def test_an_alias_is_understood(reviewed: Ticket, agent: User) -> None:
    assert review.correct(ticket=reviewed, changes={"category": "defect"}, by=agent).value_of("category") == "bug"


def test_a_key_is_meant_before_the_alias_of_another(reviewed: Ticket, agent: User) -> None:
    Category.objects.filter(key="access").update(aliases=["security"], name="A first name in the list")
    held = review.correct(ticket=reviewed, changes={"category": "security"}, by=agent)
    assert held.value_of("category") == "security"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("category", "nonsense"),
        ("priority", "P9"),
        ("tier", 4),
        ("tier", True),
        ("is_technical", "perhaps"),
        ("tags", ["a", "b", "c", "d", "e", "f"]),
        ("tags", [1]),
        ("status", "closed"),
        ("severity", "awful"),
    ],
)
def test_a_value_outside_its_set_is_refused_by_name(reviewed: Ticket, agent: User, field: str, value: object) -> None:
    with pytest.raises(Invalid) as refused:
        review.correct(ticket=reviewed, changes={field: value}, by=agent)
    assert refused.value.field == field
    assert not Review.objects.exists()


def test_nothing_is_half_done_when_one_of_several_values_is_wrong(reviewed: Ticket, agent: User) -> None:
    with pytest.raises(Invalid):
        review.correct(ticket=reviewed, changes={"priority": "P1", "tier": 9}, by=agent)
    reviewed.refresh_from_db()
    assert reviewed.priority == "" and not Review.objects.exists()


def test_an_auditor_and_an_outsider_change_nothing(reviewed: Ticket, auditor: User, outsider: User) -> None:
    for user in (auditor, outsider):
        with pytest.raises(Forbidden):
            review.correct(ticket=reviewed, changes={"priority": "P1"}, by=user)


def test_an_escalated_ticket_is_not_resolved(reviewed: Ticket, agent: User) -> None:
    held = review.escalate(ticket=reviewed, reason="Needs the vendor.", by=agent)
    assert (held.status, held.resolved_at, held.escalation_reason) == (Status.ESCALATED, None, "Needs the vendor.")


@pytest.mark.parametrize("reason", ["  ", "\x00"])
def test_an_escalation_needs_a_reason(reviewed: Ticket, agent: User, reason: str) -> None:
    with pytest.raises(Invalid) as refused:
        review.escalate(ticket=reviewed, reason=reason, by=agent)
    assert refused.value.field == "reason"


def test_a_rejected_proposal_leaves_nothing_of_the_machines_and_goes_to_manual_review(
    reviewed: Ticket, agent: User
) -> None:
    reviewed.category = Category.objects.get(key="bug")
    reviewed.provenance["category"] = {"engine": "local", "confidence": 0.9, "band": "suggest", "reason": ""}
    reviewed.save()
    review.correct(ticket=reviewed, changes={"priority": "P2"}, by=agent)
    ticket = review.reject(ticket=reviewed, by=agent, why="Not about us.")
    assert (ticket.value_of("category"), ticket.value_of("team"), ticket.priority) == (None, "manual_review", "P2")
    assert set(ticket.provenance) == {"priority"}, "what a person decided stays"
    rejected = ticket.reviews.get(decision="rejected")
    assert (rejected.by, rejected.why, rejected.field) == (agent, "Not about us.", "")
    assert Example.objects.get().labels == {"priority": "P2"}, "a no teaches no value"


def test_a_proposal_that_was_read_again_meanwhile_is_not_rejected(reviewed: Ticket, agent: User, auditor: User) -> None:
    with pytest.raises(Conflict):
        review.reject(ticket=reviewed, by=agent, suggestion=0)
    with pytest.raises(Forbidden):
        review.reject(ticket=reviewed, by=auditor)
    assert not reviewed.reviews.exists()


def test_a_note_to_a_correction_is_shown_beside_the_field(client: Client, reviewed: Ticket, agent: User) -> None:
    client.force_login(agent)
    note = "They pay for <premium>."
    client.post(f"{reviewed.get_absolute_url()}review/", {"field": "priority", "value": "P1", "why": note})
    page = client.get(reviewed.get_absolute_url()).content.decode()
    sheet = page.split('id="why-priority"')[1].split("</details>")[0]
    assert "Corrected by Ada" in sheet and "They pay for &lt;premium&gt;." in sheet
