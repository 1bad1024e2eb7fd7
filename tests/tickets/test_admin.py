from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from tickets.actions import status
from tickets.context import taxonomy as known_labels
from tickets.models import Agent, Category, Event, Review, Source, Status, Team, Ticket
from triage.models import User


@pytest.fixture
def admin(client: Client, taxonomy: None) -> Client:
    boss = User.objects.create_superuser("boss", "boss@example.org", "a long password")
    Agent.objects.create(user=boss, role="admin")
    client.force_login(boss)
    return client


def _values(ticket: Ticket, **changed: object) -> dict[str, object]:
    held = {
        "status": ticket.status,
        "team": ticket.team_id or "",
        "category": "",
        "priority": ticket.priority,
        "tags": "",
        "is_technical": "unknown",
        "messages-TOTAL_FORMS": 0,
        "messages-INITIAL_FORMS": 0,
    }
    return held | changed


def _change(client: Client, ticket: Ticket, **changed: object) -> None:
    address = reverse("admin:tickets_ticket_change", args=[ticket.pk])
    answer = client.post(address, _values(ticket, **changed))
    assert answer.status_code == 302, answer.context["errors"]
    ticket.refresh_from_db()


def test_a_visitor_is_sent_to_the_one_sign_in(client: Client, db: None) -> None:
    answer = client.get("/admin/", follow=True)
    assert answer.redirect_chain[-1][0].startswith("/sign-in/")


def test_a_field_changed_here_counts_as_a_persons_decision(admin: Client, reviewed: Ticket) -> None:
    _change(admin, reviewed, priority="P1")
    assert reviewed.priority == "P1"
    assert reviewed.decided_by_person("priority")
    assert not reviewed.decided_by_person("category")
    decision = Review.objects.get(field="priority")
    assert decision.by is not None
    assert (decision.by.username, decision.after) == ("boss", "P1")
    latest = Event.objects.filter(pgh_obj=reviewed).order_by("-pgh_id").first()
    assert latest is not None
    assert latest.actor == f"user:{decision.by_id}"


def test_a_team_changed_here_moves_the_ticket(admin: Client, reviewed: Ticket) -> None:
    billing = Team.objects.get(key="billing")
    _change(admin, reviewed, team=billing.pk)
    assert reviewed.team == billing
    assert reviewed.decided_by_person("team")


def test_a_status_changed_here_keeps_its_time(admin: Client, reviewed: Ticket) -> None:
    _change(admin, reviewed, status="closed")
    assert reviewed.status == Status.CLOSED
    assert reviewed.resolved_at is not None


def test_a_page_that_is_overtaken_does_not_give_a_status_back(admin: Client, reviewed: Ticket) -> None:
    shown = admin.get(reverse("admin:tickets_ticket_change", args=[reviewed.pk])).content.decode()
    assert 'name="initial-status" value="in_review"' in shown
    opened = {"status": "in_review", "initial-status": "in_review"}
    status.change(ticket=reviewed, status=Status.RESOLVED, by=None)
    _change(admin, reviewed, **opened, priority="P1")
    assert (reviewed.status, reviewed.priority) == (Status.RESOLVED, "P1")
    _change(admin, reviewed, **opened | {"status": "closed"})
    assert reviewed.status == Status.RESOLVED


def test_nothing_is_decided_by_saving_without_a_change(admin: Client, reviewed: Ticket) -> None:
    _change(admin, reviewed)
    assert not Review.objects.exists()


@pytest.mark.parametrize("action", ["run_again", "close"])
def test_many_tickets_are_run_again_or_closed(admin: Client, reviewed: Ticket, action: str) -> None:
    address = reverse("admin:tickets_ticket_changelist")
    admin.post(address, {"action": action, "_selected_action": [reviewed.pk]})
    reviewed.refresh_from_db()
    if action == "close":
        assert reviewed.status == Status.CLOSED
    else:
        assert reviewed.triage_state == "submitted"


@pytest.mark.parametrize(
    "name", ["suggestion", "review", "event", "delivery", "draft", "example", "importrun", "apikey"]
)
def test_what_the_desk_writes_is_only_read_here(admin: Client, reviewed: Ticket, name: str) -> None:
    assert admin.get(reverse(f"admin:tickets_{name}_changelist")).status_code == 200
    assert admin.get(reverse(f"admin:tickets_{name}_add")).status_code == 403


def test_every_settings_page_opens_without_inline_script(admin: Client, reviewed: Ticket) -> None:
    pages = [reverse("admin:index"), reverse("admin:tickets_ticket_change", args=[reviewed.pk])]
    pages += [reverse(f"admin:tickets_{name}_add") for name in ("team", "category", "source")]
    for page in pages:
        shown = admin.get(page)
        assert shown.status_code == 200, page
        assert "<script>" not in shown.content.decode(), page
        assert " onclick=" not in shown.content.decode(), page


def test_the_settings_have_one_switch_of_the_theme(admin: Client) -> None:
    assert admin.get(reverse("admin:index")).content.decode().count('class="theme-toggle"') == 1


def test_a_source_of_a_kind_that_is_no_door_is_refused(admin: Client) -> None:
    address = reverse("admin:tickets_source_add")
    assert admin.post(address, {"kind": "pigeon", "name": "Loft", "active": "on"}).status_code == 200
    assert not Source.objects.filter(name="Loft").exists()
    assert admin.post(address, {"kind": "api", "name": "Shop", "active": "on"}).status_code == 302


def test_the_settings_show_a_team_its_own_tickets_alone(client: Client, reviewed: Ticket, colleague: User) -> None:
    permissions = Permission.objects.filter(codename__in=["view_ticket", "view_suggestion", "view_event"])
    colleague.user_permissions.set(permissions)
    colleague.is_staff = True
    colleague.save()
    client.force_login(colleague)
    for kind in ("ticket", "suggestion", "event"):
        page = client.get(reverse(f"admin:tickets_{kind}_changelist"))
        assert page.status_code == 200
        assert page.context["cl"].result_count == 0, kind
    Ticket.objects.filter(pk=reviewed.pk).update(team=Team.objects.get(key="billing"))
    assert client.get(reverse("admin:tickets_ticket_changelist")).context["cl"].result_count == 1


def test_masking_is_on_for_every_source_until_an_admin_turns_it_off(admin: Client) -> None:
    source = Source.objects.get(kind="form")
    address = reverse("admin:tickets_source_change", args=[source.pk])
    assert 'name="masking"' in admin.get(address).content.decode()
    assert not Source.objects.filter(masking=False).exists()
    values = {"kind": "form", "name": source.name, "active": "on", "sender": "", "signature": "", "guidance": ""}
    assert admin.post(address, values).status_code == 302
    assert Source.objects.get(masking=False) == source
    assert admin.post(address, values | {"masking": "on"}).status_code == 302
    assert not Source.objects.filter(masking=False).exists()


def test_a_subject_changed_here_is_read_again(admin: Client, reviewed: Ticket) -> None:
    _change(admin, reviewed, subject="Import fails")
    assert (reviewed.subject, reviewed.triage_state) == ("Import fails", "submitted")


def test_a_ticket_keeps_a_subject(admin: Client, reviewed: Ticket) -> None:
    address = reverse("admin:tickets_ticket_change", args=[reviewed.pk])
    answer = admin.post(address, _values(reviewed, subject="  ", priority="P1"))
    assert answer.status_code == 200 and "A ticket needs a subject." in answer.content.decode()
    reviewed.refresh_from_db()
    assert (reviewed.subject, reviewed.priority == "P1") == ("Export fails", False)


def test_a_team_and_a_category_made_here_can_be_given_at_once(admin: Client, reviewed: Ticket) -> None:
    label = {"description": "Doors and badges.", "aliases": "[]", "active": "on"}
    made = admin.post(reverse("admin:tickets_team_add"), {"key": "facilities", "name": "Facilities", **label})
    assert made.status_code == 302, made.context["errors"]
    team = Team.objects.get(key="facilities")
    made = admin.post(
        reverse("admin:tickets_category_add"), {"key": "badges", "name": "Badges", "default_team": team.pk, **label}
    )
    assert made.status_code == 302, made.context["errors"]
    known, _ = known_labels()
    assert ("badges", "facilities") in [(one.key, one.default_team) for one in known.categories]
    _change(admin, reviewed, category=Category.objects.get(key="badges").pk, team=team.pk)
    assert (reviewed.value_of("category"), reviewed.value_of("team")) == ("badges", "facilities")
