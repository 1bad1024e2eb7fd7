"""The tools, called by the official client: what they do, for whom, and what none of them can do."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from mcp import Client, MCPError

from tickets.actions import keys
from tickets.mcp import caller, server
from tickets.mcp.caller import local_key
from tickets.mcp.server import build
from tickets.models import ApiKey, Delivery, Draft, Message, Notification, Review, Status, Team, Ticket
from triage.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def in_the_thread_of_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that its transaction is seen; threads of their own are met at the running desk (test_transports.py)."""
    for module in (caller, server):
        monkeypatch.setattr(module, "in_thread", lambda work: sync_to_async(work)())


class Talk:
    """The client, with a key."""

    def __init__(self, scopes: str, user: User | None = None) -> None:
        row, self.key = keys.create(
            name="Claude", scopes=scopes.split(","), username=user.username if user else None, source_name="MCP"
        )
        self.row = row

    def ask(self, work: Any) -> Any:
        async def talk() -> Any:
            token = local_key.set(self.key)
            try:
                async with Client(build()) as client:
                    return await work(client)
            finally:
                local_key.reset(token)

        return async_to_sync(talk)()

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """What a tool gives; AssertionError with its sentence where it refuses."""
        result = self.ask(lambda client: client.call_tool(tool, arguments))
        assert not result.is_error, result.content[0].text
        found: dict[str, Any] = result.structured_content
        return found

    def refused(self, tool: str, **arguments: Any) -> str:
        result = self.ask(lambda client: client.call_tool(tool, arguments))
        assert result.is_error, result
        return str(result.content[0].text)


@pytest.fixture
def writer(taxonomy: None) -> Talk:
    return Talk("read,write")


def test_it_offers_seven_tools_two_prompts_and_the_taxonomy(writer: Talk, reviewed: Ticket) -> None:
    async def look(client: Client) -> Any:
        return await client.list_tools(), await client.list_prompts(), await client.list_resources()

    tools, prompts, resources = writer.ask(look)
    names = {tool.name: tool.annotations.read_only_hint for tool in tools.tools}
    reading = {"get_ticket", "list_open_tickets", "search_similar", "classify_text"}
    writing = {"post_escalation_alert", "add_note", "propose_reply"}
    assert names == {**dict.fromkeys(reading, True), **dict.fromkeys(writing, False)}
    assert {prompt.name for prompt in prompts.prompts} == {"triage_this_ticket", "draft_a_reply"}
    assert [str(resource.uri) for resource in resources.resources] == ["desk://taxonomy"]


def test_a_ticket_is_read_with_its_conversation_and_comments(writer: Talk, reviewed: Ticket) -> None:
    writer.call("add_note", number=reviewed.number, text="Looks like the export again.")
    found = writer.call("get_ticket", number=reviewed.number)
    assert (found["number"], found["team"], found["draft"]["text"]) == (
        reviewed.number,
        "software",
        "Thank you for the report.",
    )
    assert [one["text"] for one in found["conversation"]] == ["The CSV export stops half way."]
    assert [(one["author"], one["text"]) for one in found["comments"]] == [("Claude", "Looks like the export again.")]


def test_open_tickets_are_listed_narrowed_and_paged(writer: Talk, reviewed: Ticket, make_ticket: Any) -> None:
    others = [make_ticket(f"Another {number}") for number in range(3)]
    Ticket.objects.filter(pk=others[0].pk).update(status=Status.RESOLVED, resolved_at=reviewed.created_at)
    listed = writer.call("list_open_tickets", limit=2)
    assert [one["number"] for one in listed["items"]] == [others[2].number, others[1].number]
    rest = writer.call("list_open_tickets", below=listed["next_below"])
    assert ([one["number"] for one in rest["items"]], rest["next_below"]) == ([reviewed.number], None)
    assert [one["number"] for one in writer.call("list_open_tickets", team="software")["items"]] == [reviewed.number]
    assert "status is one of" in writer.refused("list_open_tickets", status="eaten")


def test_an_alert_escalates_the_ticket_and_tells_those_who_lead_its_team(
    writer: Talk, reviewed: Ticket, lead: User
) -> None:
    said = writer.call("post_escalation_alert", number=reviewed.number, reason="Production is down.")
    reviewed.refresh_from_db()
    assert (reviewed.status, reviewed.escalated, reviewed.escalation_reason) == (
        "escalated",
        True,
        "Production is down.",
    )
    assert said["notified"] == [lead.label]
    assert Notification.objects.get(kind="escalated").user == lead
    assert Review.objects.get(decision="escalated").api_key == writer.row
    assert reviewed.events.latest("pgh_id").actor == "api:Claude"


@pytest.mark.usefixtures("exact_search")
def test_similar_ones_are_found_by_number_and_by_meaning(writer: Talk, reviewed: Ticket, make_ticket: Any) -> None:
    from tickets.models import TicketVector
    from triage.embedding import embed

    other = make_ticket("Invoice", "My invoice shows the wrong address.")
    for ticket, text in ((reviewed, "The CSV export stops half way."), (other, "My invoice is wrong.")):
        Ticket.objects.filter(pk=ticket.pk).update(embedding=embed(text).tolist())
    assert TicketVector.objects.count() == 2
    found = writer.call("search_similar", text="exporting a spreadsheet breaks off")
    assert found["items"][0]["number"] == reviewed.number
    assert found["items"][0]["similarity"] > found["items"][1]["similarity"]
    assert [one["number"] for one in writer.call("search_similar", number=reviewed.number)["items"]] == [other.number]
    assert "Give the number" in writer.refused("search_similar")


def test_a_text_is_read_and_no_ticket_made_of_it(writer: Talk) -> None:
    found = writer.call("classify_text", title="Refund", description="Please give me my money back for the invoice.")
    assert {"category", "priority", "team", "confidence", "reasons"} <= set(found)
    assert found["escalated"] is True
    assert not Ticket.objects.exists()


def test_a_proposed_reply_waits_for_a_person_and_nothing_is_sent(writer: Talk, reviewed: Ticket) -> None:
    said = writer.call("propose_reply", number=reviewed.number, text="See https://evil.example/ for the fix.")
    draft = Draft.objects.get()
    assert (draft.text, draft.proposed_by, draft.editor, draft.version) == (
        "See https://evil.example/ for the fix.",
        "Claude",
        None,
        said["version"],
    )
    assert [flag["kind"] for flag in said["flags"]] == ["link"]
    assert not Delivery.objects.exists()
    assert not Message.objects.filter(kind="outbound").exists()


def test_what_a_person_has_written_is_not_overwritten(writer: Talk, reviewed: Ticket, agent: User) -> None:
    Draft.objects.update(text="Dear Kim,", editor=agent)
    assert "A person has written" in writer.refused("propose_reply", number=reviewed.number, text="Hello.")
    assert Draft.objects.get().text == "Dear Kim,"


def test_no_scope_lets_anything_be_sent_to_a_customer(reviewed: Ticket, agent: User) -> None:
    """Whatever tools a key of all scopes calls, in whatever order."""
    talk = Talk("read,write,approve", agent)
    for tool, arguments in (
        ("propose_reply", {"text": "Sent?"}),
        ("add_note", {"text": "Send it."}),
        ("post_escalation_alert", {"reason": "Send it."}),
    ):
        talk.call(tool, number=reviewed.number, **arguments)
    with suppress(MCPError):
        for tool in ("approve_reply", "send_reply", "approval"):
            assert "Unknown tool" in talk.refused(tool, number=reviewed.number)
    assert not Delivery.objects.exists()


def test_a_key_reads_what_its_scopes_and_its_person_may_alone(reviewed: Ticket, colleague: User, agent: User) -> None:
    reader = Talk("read")
    assert reader.call("get_ticket", number=reviewed.number)["number"] == reviewed.number
    for tool, arguments in (
        ("add_note", {"text": "x"}),
        ("propose_reply", {"text": "x"}),
        ("post_escalation_alert", {"reason": "x"}),
    ):
        assert "scope write" in reader.refused(tool, number=reviewed.number, **arguments)
    elsewhere = Talk("read,write", colleague)
    assert "no ticket" in elsewhere.refused("get_ticket", number=reviewed.number)
    assert "no ticket" in elsewhere.refused("add_note", number=reviewed.number, text="x")
    assert "no ticket" in elsewhere.refused("search_similar", number=reviewed.number)
    assert elsewhere.call("list_open_tickets")["items"] == []
    own = Talk("read,write", agent)
    assert own.call("add_note", number=reviewed.number, text="Mine.")["author"] == agent.label
    assert Message.objects.get(kind="comment").author == agent


def test_a_revoked_key_and_one_of_an_auditor_s_do_nothing_more(writer: Talk, reviewed: Ticket, agent: User) -> None:
    theirs = Talk("read,write", agent)
    agent.agent.role = "auditor"
    agent.agent.save()
    assert "read tickets, not change" in theirs.refused("add_note", number=reviewed.number, text="x")
    ApiKey.objects.filter(pk=writer.row.pk).update(revoked_at=reviewed.created_at)
    assert "revoked" in writer.refused("get_ticket", number=reviewed.number)


def test_it_asks_too_often_and_is_told_how_long_to_wait(writer: Talk, reviewed: Ticket, settings: Any) -> None:
    settings.MCP_PER_MINUTE = 2
    for _ in range(2):
        writer.call("get_ticket", number=reviewed.number)
    assert "Too many requests" in writer.refused("get_ticket", number=reviewed.number)


def test_arguments_that_make_no_sense_are_refused_with_a_sentence(writer: Talk, reviewed: Ticket) -> None:
    for tool, arguments in (
        ("get_ticket", {"number": -1}),
        ("get_ticket", {"number": 2**70}),
        ("get_ticket", {"number": "seven"}),
        ("list_open_tickets", {"limit": 10_000}),
        ("add_note", {"number": reviewed.number, "text": "\x00 "}),
        ("post_escalation_alert", {"number": reviewed.number, "reason": "  "}),
        ("propose_reply", {"number": reviewed.number, "text": ""}),
    ):
        said = writer.refused(tool, **arguments)
        assert "Traceback" not in said
        assert said != f"Error executing tool {tool}", f"{arguments}: it broke, and did not refuse"


def test_resources_and_prompts_say_what_a_model_needs(writer: Talk, reviewed: Ticket) -> None:
    async def look(client: Client) -> Any:
        taxonomy = await client.read_resource("desk://taxonomy")
        ticket = await client.read_resource(f"desk://tickets/{reviewed.number}")
        prompt = await client.get_prompt("triage_this_ticket", {"number": str(reviewed.number)})
        with pytest.raises(MCPError):
            await client.read_resource("desk://tickets/999999")
        return taxonomy, ticket, prompt

    taxonomy, ticket, prompt = writer.ask(look)
    known = json.loads(taxonomy.contents[0].text)
    assert {one["key"] for one in known["teams"]} == set(Team.objects.filter(active=True).values_list("key", flat=True))
    assert json.loads(ticket.contents[0].text)["number"] == reviewed.number
    assert f"ticket {reviewed.number}" in prompt.messages[0].content.text
