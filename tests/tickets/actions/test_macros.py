from __future__ import annotations

from typing import Any

import pytest

from tests.tickets.conftest import last_seen
from tickets.actions import macros, replies
from tickets.actions.errors import Conflict, Forbidden, Invalid
from tickets.actions.macros import Given
from tickets.flagged import flags_of
from tickets.models import Agent, Delivery, Draft, Macro, Review, Team, Ticket
from triage.models import User


def _make(by: User, **given: Any) -> Macro:
    return macros.keep(given=Given(**{"name": "Refund", "text": "Hello {{requester.name|there}}.", **given}), by=by)


def test_what_others_use_is_made_by_leads_and_a_teams_also_by_its_members(agent: User, lead: User) -> None:
    software, billing = Team.objects.get(key="software"), Team.objects.get(key="billing")
    _make(agent, scope=Macro.Scope.TEAM, team=software)
    for refused in ({"scope": Macro.Scope.EVERYONE}, {"scope": Macro.Scope.TEAM, "team": billing}):
        with pytest.raises(Forbidden):
            _make(agent, name="For others", **refused)
    _make(lead, name="For all", scope=Macro.Scope.EVERYONE)


def test_who_is_an_auditor_by_now_retires_nothing(agent: User) -> None:
    macro = _make(agent)
    Agent.objects.filter(user=agent).update(role="auditor")
    with pytest.raises(Forbidden):
        macros.retire(macro=macro, by=User.objects.get(pk=agent.pk))
    macro.refresh_from_db()
    assert macro.active


def test_one_sees_ones_own_those_of_ones_teams_and_everybodys(agent: User, colleague: User, lead: User) -> None:
    software = Team.objects.get(key="software")
    _make(agent, name="Ada's own")
    _make(lead, name="Software's", scope=Macro.Scope.TEAM, team=software)
    _make(lead, name="All", scope=Macro.Scope.EVERYONE)

    def names(user: User) -> set[str]:
        return {macro.name for macro in Macro.objects.of(user)}

    assert names(agent) == {"Ada's own", "Software's", "All"}
    assert names(colleague) == {"All"}
    assert names(lead) == {"Software's", "All"}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"text": "{{nobody}}"}, "text"),
        ({"name": " "}, "name"),
        ({"text": " "}, "text"),
        ({"priority": "P9"}, "priority"),
    ],
)
def test_it_refuses_a_macro_and_names_the_field(agent: User, given: dict[str, str], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        _make(agent, **given)
    assert refused.value.field == field
    assert not Macro.objects.exists()


def test_a_name_is_given_once_and_is_free_again_when_its_macro_is_retired(agent: User) -> None:
    first = _make(agent)
    with pytest.raises(Conflict):
        _make(agent, name="refund")
    macros.retire(macro=first, by=agent)
    _make(agent)
    with pytest.raises(Conflict):
        macros.retire(macro=first, by=agent, active=True)


def test_it_refuses_an_auditor_and_a_stranger(auditor: User, agent: User, colleague: User) -> None:
    with pytest.raises(Forbidden):
        _make(auditor)
    macro = _make(agent)
    with pytest.raises(Forbidden):
        macros.retire(macro=macro, by=colleague)
    with pytest.raises(Forbidden):
        macros.keep(given=Given("x", "y"), by=colleague, macro=macro)


def test_put_in_it_adds_its_text_tags_and_priority_and_sends_nothing(reviewed: Ticket, agent: User) -> None:
    macro = _make(agent, tags=["refund"], priority="P2", keep_open=True)
    draft = macros.put(
        ticket=reviewed, macro=macro, text="Dear customer", version=1, by=agent, answers=last_seen(reviewed)
    )
    reviewed.refresh_from_db()
    assert draft.text == "Dear customer\n\nHello there."
    assert draft.keep_open
    assert (reviewed.tags, reviewed.priority, reviewed.status) == (["refund"], "P2", "in_review")
    assert reviewed.decided_by_person("tags")
    assert set(Review.objects.values_list("field", "by")) == {("tags", agent.pk), ("priority", agent.pk)}
    assert not Delivery.objects.exists()


def test_a_draft_that_somebody_changed_meanwhile_keeps_the_macro_out_whole(reviewed: Ticket, agent: User) -> None:
    Draft.objects.update(version=4)
    with pytest.raises(Conflict):
        macros.put(ticket=reviewed, macro=_make(agent, tags=["refund"]), text="Mine", version=1, by=agent)
    reviewed.refresh_from_db()
    assert reviewed.tags == []


def test_a_rule_offers_a_macro_but_never_over_what_a_person_wrote(reviewed: Ticket, agent: User, lead: User) -> None:
    macro = _make(lead, scope=Macro.Scope.EVERYONE)
    assert macros.offer(ticket=reviewed, macro=macro)
    draft = Draft.objects.get()
    assert (draft.text, draft.edited, draft.version) == ("Hello there.", False, 2)
    Draft.objects.update(editor=agent, text="By hand")
    assert not macros.offer(ticket=reviewed, macro=macro)
    assert Draft.objects.get().text == "By hand"
    assert not Delivery.objects.exists()


def test_the_status_page_and_what_shared_macros_say_need_no_second_yes(
    reviewed: Ticket, lead: User, agent: User
) -> None:
    text = "See https://help.example.com/refunds and {{status_url}}"
    macro = _make(lead, text=text, scope=Macro.Scope.EVERYONE)
    draft = macros.put(ticket=reviewed, macro=macro, text="", version=1, by=agent)
    assert draft.flags == []
    own = _make(agent, name="Own", text="See https://elsewhere.example.net/")
    assert [flag.kind for flag in flags_of(reviewed, own.text, None)] == ["link"]
    replies.approve(ticket=reviewed, text=draft.text, version=draft.version, answers=last_seen(reviewed), by=agent)
