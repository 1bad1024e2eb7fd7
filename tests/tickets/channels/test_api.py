from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connections
from django.utils import timezone

from tests.tickets.channels.conftest import NEW, ApiClient, Caller
from tests.tickets.conftest import MakeTicket, last_seen
from tickets.actions import deliveries, keys, merging, replies
from tickets.channels.api.schemas import KnownTicketOut, ReadingOut, StatsOut, TicketOut
from tickets.models import ApiKey, Delivery, Draft, Message, Review, Source, Suggestion, Team, Ticket
from triage.models import Call, Pause, User
from triage.pipeline.types import NoAnswer, Question

KEYS_OF_A_TICKET = [
    "number",
    "id",
    "url",
    "title",
    "description",
    "status",
    "triage_state",
    "source",
    "requester",
    "category",
    "priority",
    "team",
    "tier",
    "severity",
    "effort",
    "component",
    "sentiment",
    "tags",
    "language",
    "summary",
    "is_technical",
    "confidence",
    "band",
    "engine",
    "reasons",
    "escalated",
    "escalation_reason",
    "assignee",
    "cluster",
    "merged_into",
    "snoozed_until",
    "draft",
    "cost_usd",
    "submitted",
    "sla",
    "created_at",
    "updated_at",
    "triaged_at",
]


def problem(response: Any, status: int, code: str = "") -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert {"type", "title", "status", "code", "detail", "correlation_id"} <= set(document)
    assert document["correlation_id"] == response["X-Correlation-ID"]
    assert document["status"] == status
    assert not code or document["code"] == code
    return document


def fields(document: dict[str, Any]) -> set[str]:
    return {error["field"] for error in document.get("errors", [])}


# Creating


def test_it_stores_a_ticket_and_answers_201_with_all_of_it(api: ApiClient) -> None:
    response = api.send("post", "/tickets", NEW | {"priority": "urgent", "tier": 2, "external_id": "Z-1"})
    assert response.status_code == 201
    body = response.json()
    assert list(body) == KEYS_OF_A_TICKET
    TicketOut.model_validate(body)
    ticket = Ticket.objects.get(number=body["number"])
    assert body["url"].endswith(f"/tickets/{ticket.number}/")
    assert body["url"].startswith("http")
    assert body["description"] == NEW["description"]
    assert body["requester"] == {"email": "kim@example.com", "name": "Kim Tran"}
    assert body["submitted"] == {"priority": "P1", "tier": 2}
    assert (body["status"], body["triage_state"], body["source"]) == ("new", "submitted", "API")
    assert body["priority"] is None
    assert ticket.correlation_id == response["X-Correlation-ID"]


def test_it_stores_a_ticket_without_a_requester(api: ApiClient) -> None:
    response = api.send("post", "/tickets", {"title": "Help", "description": "No address here."})
    assert response.status_code == 201
    assert response.json()["requester"] is None


def test_it_takes_the_key_in_either_header(api: ApiClient, caller: Caller) -> None:
    _, key = keys.create(name="other", scopes=["read"], username=None, source_name="API")
    assert ApiClient("").get("/api/v1/stats", headers={"X-API-KEY": key}).status_code == 200
    assert api.send("get", "/stats").status_code == 200


def test_the_same_external_id_gives_the_first_ticket_back(api: ApiClient) -> None:
    first = api.send("post", "/tickets", NEW | {"external_id": "Z-1"})
    again = api.send("post", "/tickets", NEW | {"external_id": "Z-1", "title": "Another title"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["number"] == first.json()["number"]
    assert again.json()["title"] == NEW["title"]
    assert Ticket.objects.count() == 1


def test_the_same_idempotency_key_and_body_give_the_first_ticket_back(api: ApiClient) -> None:
    head = {"Idempotency-Key": "a-1"}
    first = api.send("post", "/tickets", NEW, headers=head)
    again = api.send("post", "/tickets", NEW, headers=head)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["number"] == first.json()["number"]


def test_the_same_idempotency_key_with_another_body_is_a_conflict(api: ApiClient) -> None:
    head = {"Idempotency-Key": "a-1"}
    api.send("post", "/tickets", NEW, headers=head)
    problem(api.send("post", "/tickets", NEW | {"title": "Another"}, headers=head), 409, code="idempotency_key_reused")
    assert Ticket.objects.count() == 1


def test_the_same_idempotency_key_for_another_source_is_a_conflict(api: ApiClient) -> None:
    head = {"Idempotency-Key": "a-1"}
    first = api.send("post", "/tickets", NEW | {"source": "CRM"}, headers=head).json()
    for another in (NEW, NEW | {"source": "Old helpdesk"}):
        problem(api.send("post", "/tickets", another, headers=head), 409, code="idempotency_key_reused")
    assert api.send("post", "/tickets", NEW | {"source": "CRM"}, headers=head).json()["number"] == first["number"]
    assert Ticket.objects.count() == 1


def test_it_keeps_the_longest_idempotency_key_whole(api: ApiClient) -> None:
    numbers = [
        api.send("post", "/tickets", NEW, headers={"Idempotency-Key": "k" * 199 + end}).json()["number"]
        for end in ("a", "b", "a")
    ]
    assert numbers[0] == numbers[2] != numbers[1]


def test_an_idempotency_key_belongs_to_the_source_of_the_api_key(api: ApiClient, caller: Caller) -> None:
    head = {"Idempotency-Key": "a-1"}
    other = caller(source="Shop")
    numbers = {client.send("post", "/tickets", NEW, headers=head).json()["number"] for client in (api, other)}
    assert len(numbers) == 2


@pytest.mark.django_db(transaction=True)
def test_ten_requests_with_one_idempotency_key_at_once_make_one_ticket(caller: Caller) -> None:
    clients = [caller() for _ in range(10)]
    answers: list[Any] = []

    def post(client: ApiClient) -> None:
        try:
            answers.append(client.send("post", "/tickets", NEW, headers={"Idempotency-Key": "race"}))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=post, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200] * 9 + [201]
    assert len({answer.json()["number"] for answer in answers}) == 1
    assert Ticket.objects.count() == 1


def test_a_ticket_may_name_another_source(api: ApiClient) -> None:
    Source.objects.create(kind="api", name="CRM")
    assert api.send("post", "/tickets", NEW | {"source": "CRM"}).json()["source"] == "CRM"


def test_it_refuses_a_source_whose_tickets_come_in_another_way(api: ApiClient, form: Source) -> None:
    assert fields(problem(api.send("post", "/tickets", NEW | {"source": form.name}), 422)) == {"source"}
    assert Ticket.objects.count() == 0


@pytest.mark.parametrize("again", [{"source": "CRM", "external_id": "7"}, {"source": "CRM"}])
def test_a_known_ticket_that_the_key_may_not_see_is_named_and_not_shown(
    caller: Caller, agent: User, again: dict[str, str]
) -> None:
    head = {"Idempotency-Key": "a-1"}
    sender, for_software = caller(source="CRM"), caller(agent, source="CRM")
    first = sender.send("post", "/tickets", NEW | again, headers=head).json()
    ticket = Ticket.objects.get()
    ticket.team = Team.objects.get(key="billing")
    ticket.save()
    Draft.objects.create(ticket=ticket, text="A secret of billing")
    response = for_software.send("post", "/tickets", NEW | again, headers=head)
    assert response.status_code == 200
    assert response.json() == {name: first[name] for name in ("number", "id", "url", "source", "created_at")}
    KnownTicketOut.model_validate(response.json())
    assert sender.send("post", "/tickets", NEW | again, headers=head).json()["draft"]["text"] == "A secret of billing"


def test_a_source_that_is_new_is_made_and_known_from_then_on(api: ApiClient) -> None:
    first = api.send("post", "/tickets", NEW | {"source": "Old helpdesk", "external_id": "7"}).json()
    again = api.send("post", "/tickets", NEW | {"source": "Old helpdesk", "external_id": "7"})
    assert (again.status_code, again.json()["number"]) == (200, first["number"])
    assert Source.objects.get(name="Old helpdesk").kind == "api"


def test_it_refuses_a_source_with_an_endless_name(api: ApiClient) -> None:
    assert fields(problem(api.send("post", "/tickets", NEW | {"source": "x" * 101}), 422)) == {"source"}


def test_it_refuses_tickets_for_a_source_that_is_switched_off(api: ApiClient) -> None:
    Source.objects.update(active=False)
    problem(api.send("post", "/tickets", NEW), 403, code="source_inactive")


# Keys


def test_it_answers_401_without_a_key_and_says_how_to_send_one(taxonomy: None) -> None:
    for method, path in (("get", "/tickets"), ("post", "/tickets"), ("post", "/classify"), ("get", "/stats")):
        response = ApiClient("").send(method, path)
        assert "Bearer" in problem(response, 401, code="no_key")["detail"]
        assert response["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("key", ["td_wrong", "é", "\x00", "a" * 5000, "Bearer x"])
def test_it_answers_401_to_a_key_nobody_has(taxonomy: None, key: str) -> None:
    problem(ApiClient(key).send("get", "/tickets"), 401)


def test_it_answers_401_to_a_revoked_key_and_to_the_key_of_somebody_who_left(caller: Caller, agent: User) -> None:
    revoked, left = caller(name="revoked"), caller(agent, name="left")
    ApiKey.objects.filter(name="revoked").update(revoked_at=timezone.now())
    agent.is_active = False
    agent.save()
    for client in (revoked, left):
        problem(client.send("get", "/tickets"), 401, code="unknown_key")


def test_it_answers_403_to_a_key_without_the_scope(caller: Caller, make_ticket: MakeTicket) -> None:
    reader, writer = caller(scopes="read"), caller(scopes="write")
    number = make_ticket().number
    for method, path, body in (
        ("post", "/tickets", NEW),
        ("patch", f"/tickets/{number}", {"tier": 1}),
        ("post", f"/tickets/{number}/reprocess", None),
        ("post", f"/tickets/{number}/comments", {"text": "x"}),
        ("post", f"/tickets/{number}/approval", {"text": "x"}),
    ):
        problem(reader.send(method, path, body), 403, code="scope_missing")
    for path in ("/tickets", f"/tickets/{number}", f"/tickets/{number}/comments", "/stats"):
        problem(writer.send("get", path), 403, code="scope_missing")


def test_a_key_is_kept_as_its_digest_alone(taxonomy: None) -> None:
    row, key = keys.create(name="shop", scopes=["read"], username=None, source_name="API")
    assert key not in str(ApiKey.objects.filter(pk=row.pk).values().get())
    assert row.digest == ApiKey.digest_of(key)


def test_a_key_of_a_person_sees_what_the_person_sees(
    caller: Caller, make_ticket: MakeTicket, reviewed: Ticket, colleague: User, agent: User
) -> None:
    for_billing, for_software, for_all = caller(colleague), caller(agent), caller()
    problem(for_billing.send("get", f"/tickets/{reviewed.number}"), 404)
    problem(for_billing.send("patch", f"/tickets/{reviewed.number}", {"tier": 1}), 404)
    assert for_billing.send("get", "/stats").json()["total"] == 0
    assert for_billing.send("get", "/tickets").json()["items"] == []
    for client in (for_software, for_all):
        assert client.send("get", f"/tickets/{reviewed.number}").status_code == 200


def test_a_draft_names_only_tickets_that_the_key_may_see(
    api: ApiClient, caller: Caller, make_ticket: MakeTicket, reviewed: Ticket, agent: User
) -> None:
    other = make_ticket(title="A secret of billing")
    Ticket.objects.filter(pk=other.pk).update(team=Team.objects.get(key="billing"))
    cited = [{"ticket": other.number, "subject": other.subject, "similarity": 0.9}]
    suggestion = Suggestion.objects.create(
        ticket=reviewed, fields={}, confidence=0.9, escalated=False, draft="Hello.", citations=cited
    )
    Draft.objects.filter(ticket=reviewed).update(suggestion=suggestion)
    for client, citations in ((api, cited), (caller(agent), [])):
        ticket = client.send("get", f"/tickets/{reviewed.number}").json()
        listed = client.send("get", "/tickets?team=software").json()["items"][0]
        assert ticket["draft"]["citations"] == listed["draft"]["citations"] == citations


def test_a_key_of_an_auditor_reads_and_changes_nothing(caller: Caller, reviewed: Ticket, auditor: User) -> None:
    row, key = keys.create(name="audit", scopes=["read", "write"], username=None, source_name="API")
    ApiKey.objects.filter(pk=row.pk).update(user=auditor)
    client = ApiClient(key)
    assert client.send("get", f"/tickets/{reviewed.number}").status_code == 200
    problem(client.send("patch", f"/tickets/{reviewed.number}", {"status": "closed"}), 403)


# Reading


def test_it_lists_newest_first_in_pages_that_new_tickets_do_not_shift(api: ApiClient, make_ticket: MakeTicket) -> None:
    numbers = [make_ticket(title=f"Ticket {n}").number for n in range(5)]
    first = api.send("get", "/tickets?limit=2").json()
    make_ticket(title="Between two pages")
    second = api.send("get", f"/tickets?limit=2&cursor={first['next']}").json()
    third = api.send("get", f"/tickets?limit=2&cursor={second['next']}").json()
    shown = [item["number"] for page in (first, second, third) for item in page["items"]]
    assert shown == numbers[::-1]
    assert third["next"] is None


def test_it_shows_each_listed_ticket_as_it_shows_it_alone(api: ApiClient, reviewed: Ticket) -> None:
    Call.objects.create(
        operation="draft",
        provider="fake",
        subject_kind="ticket",
        subject_id=str(reviewed.number),
        model_asked="m",
        cost="0.0025",
    )
    alone = api.send("get", f"/tickets/{reviewed.number}").json()
    (listed,) = api.send("get", "/tickets").json()["items"]
    assert alone == listed
    assert alone["cost_usd"] == 0.0025
    assert alone["draft"] == {
        "text": "Thank you for the report.",
        "citations": [],
        "stale": False,
        "version": 1,
        "answers": reviewed.messages.get().pk,
        "flags": [],
    }
    assert (alone["team"], alone["engine"]["team"], alone["band"]["team"]) == ("software", "local", "suggest")
    TicketOut.model_validate(alone)


def test_fifty_listed_tickets_take_no_more_queries_than_one(
    api: ApiClient, make_ticket: MakeTicket, django_assert_max_num_queries: Any
) -> None:
    for n in range(6):
        make_ticket(title=f"Ticket {n}")
    api.send("get", "/tickets")
    with django_assert_max_num_queries(5):
        assert len(api.send("get", "/tickets").json()["items"]) == 6


def test_it_filters(api: ApiClient, make_ticket: MakeTicket, reviewed: Ticket) -> None:
    make_ticket(title="Refund for order 77")

    def listed(query: str) -> list[str]:
        return [item["title"] for item in api.send("get", f"/tickets?{query}").json()["items"]]

    assert listed("status=in_review") == ["Export fails"]
    assert listed("status=new") == ["Refund for order 77"]
    assert listed("triage_state=submitted") == ["Refund for order 77"]
    assert listed("team=software&status=in_review") == ["Export fails"]
    assert listed("team=billing") == []
    assert listed("q=refund") == ["Refund for order 77"]
    assert listed("source=Support form&q=fails") == ["Export fails"]
    assert listed("category=bug") == []
    reviewed.priority = "P2"
    reviewed.save()
    assert listed("priority=P2") == listed("priority=high") == ["Export fails"]


def test_it_lists_what_changed_since(api: ApiClient, make_ticket: MakeTicket) -> None:
    old, new = make_ticket(title="Old"), make_ticket(title="New")
    Ticket.objects.filter(pk=old.pk).update(updated_at=timezone.now() - timedelta(days=2))
    since = (timezone.now() - timedelta(days=1)).isoformat()
    for moment in (since.replace("+", "%2B"), since, since[:10]):  # escaped, not escaped, a day alone
        items = api.send("get", f"/tickets?updated_since={moment}").json()["items"]
        assert [item["number"] for item in items] == [new.number]
    unusual = api.send("get", "/tickets?updated_since=0207-02-24T05:36:42%2B16:28")  # which PostgreSQL does not know
    assert len(unusual.json()["items"]) == 2
    stamp = api.send("get", f"/tickets/{new.number}").json()["updated_at"]
    assert len(api.send("get", f"/tickets?updated_since={stamp}").json()["items"]) == 1


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=open", "status"),
        ("triage_state=x", "triage_state"),
        ("priority=P9", "priority"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=many", "limit"),
        ("cursor=abc", "cursor"),
        ("cursor=%00", "cursor"),
        ("cursor=YmVmb3JlOi01", "cursor"),
        ("updated_since=yesterday", "updated_since"),
        ("updated_since=9999-12-31T23:59:59-12:00", "updated_since"),
        ("updated_since=0001-01-01T00:00:00%2B12:00", "updated_since"),
        ("colour=red", "colour"),
    ],
)
def test_it_refuses_a_filter_that_makes_no_sense(api: ApiClient, query: str, field: str) -> None:
    assert fields(problem(api.send("get", f"/tickets?{query}"), 422)) == {field}


@pytest.mark.parametrize("number", ["0", "999", "9223372036854775808", "9" * 40, "9" * 5000, "abc", "-1", "1.5", "%00"])
def test_it_answers_404_for_a_ticket_that_is_not_there(api: ApiClient, number: str) -> None:
    for path in (f"/tickets/{number}", f"/tickets/{number}/comments", f"/tickets/{number}/similar"):
        problem(api.send("get", path), 404)


def test_it_answers_other_addresses_and_methods_with_problems(api: ApiClient) -> None:
    problem(api.send("get", "/nothing"), 404, code="not_found")
    response = api.send("delete", "/tickets")
    problem(response, 405, code="method_not_allowed")
    assert "GET" in response["Allow"]


# Changing


def test_it_corrects_fields_as_a_person_does(caller: Caller, reviewed: Ticket, agent: User) -> None:
    client = caller(agent)
    response = client.send(
        "patch",
        f"/tickets/{reviewed.number}",
        {"category": "billing", "priority": "urgent", "tier": 3, "tags": ["Export", "csv"], "is_technical": False},
    )
    body = response.json()
    assert response.status_code == 200
    assert (body["category"], body["priority"], body["tier"]) == ("billing", "P1", 3)
    assert (body["tags"], body["is_technical"]) == (["export", "csv"], False)
    assert set(body["engine"].values()) == {"person", "local"}
    assert body["engine"]["category"] == "person"
    assert body["sla"]["due_at"] is not None
    review = Review.objects.get(field="category")
    assert (review.by, review.api_key) == (agent, client.row)


def test_a_key_of_nobody_corrects_in_its_own_name(api: ApiClient, reviewed: Ticket) -> None:
    assert api.send("patch", f"/tickets/{reviewed.number}", {"severity": "major"}).json()["severity"] == "major"
    review = Review.objects.get(field="severity")
    assert (review.by, review.api_key) == (None, api.row)
    assert reviewed.events.latest("pgh_id").actor == "api:shop"


def test_null_empties_a_field(api: ApiClient, reviewed: Ticket) -> None:
    body = api.send("patch", f"/tickets/{reviewed.number}", {"team": None}).json()
    assert (body["team"], body["engine"]["team"]) == (None, "person")


def test_it_sets_the_status(api: ApiClient, reviewed: Ticket) -> None:
    assert api.send("patch", f"/tickets/{reviewed.number}", {"status": "closed"}).json()["status"] == "closed"
    assert api.send("patch", f"/tickets/{reviewed.number}", {"status": "in_review"}).json()["status"] == "in_review"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"status": "open"}, "status"),
        ({"status": None}, "status"),
        ({"status": "new"}, "status"),
        ({"category": "nonsense"}, "category"),
        ({"category": 7}, "category"),
        ({"team": "soft\x00"}, "team"),
        ({"priority": "P9"}, "priority"),
        ({"tier": 4}, "tier"),
        ({"tier": "2"}, "tier"),
        ({"tier": 10**40}, "tier"),
        ({"tags": "a,b"}, "tags"),
        ({"tags": list("abcdef")}, "tags"),
        ({"tags": ["\ud800", "!"]}, "tags"),
        ({"is_technical": "perhaps"}, "is_technical"),
        ({"language": "klingonese"}, "language"),
        ({"summary": 5}, "summary"),
        ({"title": "Another"}, "title"),
        ({"number": 5}, "number"),
        ({}, "body"),
        ([], "body"),
    ],
)
def test_it_refuses_a_change_and_names_the_field(api: ApiClient, reviewed: Ticket, change: Any, field: str) -> None:
    document = problem(api.send("patch", f"/tickets/{reviewed.number}", change), 422)
    assert {name.partition(".")[0] for name in fields(document)} == {field}


def test_a_change_is_made_whole_or_not_at_all(api: ApiClient, reviewed: Ticket) -> None:
    problem(api.send("patch", f"/tickets/{reviewed.number}", {"tier": 1, "status": "new"}), 422)
    reviewed.refresh_from_db()
    assert reviewed.tier is None


def test_it_has_a_ticket_read_again(api: ApiClient, reviewed: Ticket) -> None:
    body = api.send("post", f"/tickets/{reviewed.number}/reprocess").json()
    assert body["triage_state"] == "submitted"


# Comments, likeness, figures


def test_comments_are_listed_newest_first_and_name_their_author(
    api: ApiClient, caller: Caller, reviewed: Ticket, agent: User
) -> None:
    first = api.send("post", f"/tickets/{reviewed.number}/comments", {"text": "Known since Monday."})
    second = caller(agent).send("post", f"/tickets/{reviewed.number}/comments", {"text": "On it."})
    assert (first.status_code, second.status_code) == (201, 201)
    page = api.send("get", f"/tickets/{reviewed.number}/comments").json()
    assert [(item["author"], item["text"]) for item in page["items"]] == [
        ("Ada", "On it."),
        ("shop", "Known since Monday."),
    ]
    assert page["next"] is None
    assert Message.objects.filter(kind="comment").count() == 2


@pytest.mark.parametrize("body", [{}, {"text": ""}, {"text": " \n"}, {"text": 3}, {"text": "x", "to": "y"}])
def test_it_refuses_a_comment_without_words(api: ApiClient, reviewed: Ticket, body: Any) -> None:
    problem(api.send("post", f"/tickets/{reviewed.number}/comments", body), 422)


@pytest.mark.usefixtures("exact_search")
def test_similar_tickets_are_the_nearest_that_the_key_may_see(
    api: ApiClient, caller: Caller, make_ticket: MakeTicket, colleague: User
) -> None:
    def vector(*head: float) -> list[float]:
        return [*head, *([0.0] * (384 - len(head)))]

    here, near, far = (make_ticket(title=title) for title in ("Here", "Near", "Far"))
    for ticket, values in ((here, (1, 0)), (near, (0.9, 0.1)), (far, (0, 1))):
        Ticket.objects.filter(pk=ticket.pk).update(embedding=vector(*values))
    items = api.send("get", f"/tickets/{here.number}/similar").json()["items"]
    assert [item["title"] for item in items] == ["Near", "Far"]
    assert items[0]["similarity"] == pytest.approx(0.994, abs=0.001)
    assert items[0]["number"] == near.number
    assert len(api.send("get", f"/tickets/{here.number}/similar?limit=1").json()["items"]) == 1


def test_nothing_is_similar_to_a_ticket_that_is_not_read(api: ApiClient, make_ticket: MakeTicket) -> None:
    assert api.send("get", f"/tickets/{make_ticket().number}/similar").json() == {"items": []}


def test_stats_count_every_ticket_once(api: ApiClient, make_ticket: MakeTicket, reviewed: Ticket) -> None:
    make_ticket()
    body = api.send("get", "/stats").json()
    StatsOut.model_validate(body)
    assert body["total"] == 2
    for group in ("by_status", "by_triage_state", "by_category", "by_priority", "by_team"):
        assert sum(body[group].values()) == 2
    assert body["by_status"]["in_review"] == body["by_status"]["new"] == 1
    assert body["by_team"] == {"software": 1, "none": 1}


@pytest.mark.django_db(transaction=True)
def test_classify_reads_a_text_and_stores_no_ticket(api: ApiClient) -> None:
    response = api.send("post", "/classify", {"title": "App crashes", "description": "It crashes when I sign in."})
    assert response.status_code == 200
    body = response.json()
    ReadingOut.model_validate(body)
    assert body["notes"] == []
    assert set(body["engine"].values()) <= {"local", "rules"}
    assert 0 <= body["confidence"]["category"] <= 1
    assert Ticket.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_classify_asks_no_model_while_the_desk_is_paused_and_says_so(
    api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Question] = []

    async def ask(question: Question, **_: Any) -> None:
        asked.append(question)
        raise NoAnswer("a test")

    monkeypatch.setattr("triage.calls.configured", lambda: True)
    monkeypatch.setattr("triage.calls.ask", ask)
    text = {"title": "Hm", "description": "Something about the thing, perhaps."}
    Pause.begin(by="A test")
    told = api.send("post", "/classify", text)
    assert told.status_code == 200 and not asked
    assert told.json()["notes"] == ["The machine is paused, so no model was asked."]
    Pause.end(by="A test")
    told = api.send("post", "/classify", text)
    assert told.status_code == 200 and asked
    assert told.json()["notes"][0].startswith("The model gave no answer")


# Approving


def test_approving_sends_the_draft_in_the_name_of_the_keys_person(
    caller: Caller, reviewed: Ticket, agent: User
) -> None:
    client = caller(agent, "read,write,approve")
    response = client.send("post", f"/tickets/{reviewed.number}/approval", {})
    assert response.status_code == 201
    body = response.json()
    assert body["delivery"] == {
        "state": "queued",
        "channel": "email",
        "approved_by": "Ada",
        "text": "Thank you for the report.",
    }
    assert (body["ticket"]["status"], body["ticket"]["draft"]) == ("resolved", None)
    review = Delivery.objects.get().review
    assert (review.by, review.api_key, review.decision) == (agent, client.row, "approved")


def test_approving_may_carry_the_text_and_keep_the_ticket_open(caller: Caller, reviewed: Ticket, agent: User) -> None:
    client = caller(agent, "approve")
    body = client.send(
        "post", f"/tickets/{reviewed.number}/approval", {"text": "Which version do you use?", "keep_open": True}
    ).json()
    assert body["ticket"]["status"] == "waiting"
    assert Delivery.objects.get().message.text == "Which version do you use?"


def test_two_approvals_send_once(caller: Caller, reviewed: Ticket, agent: User) -> None:
    client = caller(agent, "approve")
    assert client.send("post", f"/tickets/{reviewed.number}/approval", {"text": "One."}).status_code == 201
    for again in ({"text": "Two."}, {}):
        problem(client.send("post", f"/tickets/{reviewed.number}/approval", again), 409, code="already_sent")
    assert Delivery.objects.count() == 1


def test_a_stale_draft_is_not_sent(caller: Caller, reviewed: Ticket, agent: User) -> None:
    from tickets.actions import intake

    intake.add_customer_message(ticket=reviewed, text="It works now.")
    problem(caller(agent, "approve").send("post", f"/tickets/{reviewed.number}/approval", {}), 409, code="stale")
    assert Delivery.objects.count() == 0


def test_a_draft_that_changed_since_it_was_read_is_not_sent(caller: Caller, reviewed: Ticket, agent: User) -> None:
    client = caller(agent, "read,approve")
    address = f"/tickets/{reviewed.number}"
    seen = {name: client.send("get", address).json()["draft"][name] for name in ("version", "answers")}
    Draft.objects.filter(ticket=reviewed).update(text="Another text", version=2)
    problem(client.send("post", f"{address}/approval", seen), 409, code="draft_changed")
    problem(client.send("post", f"{address}/approval", seen | {"text": "Mine"}), 409, code="draft_changed")
    problem(client.send("post", f"{address}/approval", {"version": 2, "answers": 0}), 409, code="stale")
    assert Delivery.objects.count() == 0
    assert client.send("post", f"{address}/approval", seen | {"version": 2}).status_code == 201
    assert Delivery.objects.get().message.text == "Another text"


def test_a_key_that_acts_for_nobody_approves_nothing(api: ApiClient, reviewed: Ticket) -> None:
    assert api.row is not None
    ApiKey.objects.filter(pk=api.row.pk).update(scopes=["approve"])
    problem(api.send("post", f"/tickets/{reviewed.number}/approval", {}), 403, code="no_person")


# Documentation


def test_the_documentation_loads_nothing_from_elsewhere(taxonomy: None) -> None:
    client = ApiClient("")
    page = client.send("get", "/docs")
    assert page.status_code == 200
    assert "//" not in page.content.decode().replace("http://testserver", "")
    assert "script-src 'self'" in page["Content-Security-Policy"]
    described = client.send("get", "/openapi.json").json()["paths"]
    assert set(described) == {
        "/api/v1/tickets",
        "/api/v1/tickets/bulk",
        "/api/v1/tickets/{number}",
        "/api/v1/tickets/{number}/reprocess",
        "/api/v1/tickets/{number}/approval",
        "/api/v1/tickets/{number}/messages",
        "/api/v1/tickets/{number}/comments",
        "/api/v1/tickets/{number}/attachments",
        "/api/v1/tickets/{number}/attachments/{pk}",
        "/api/v1/tickets/{number}/similar",
        "/api/v1/classify",
        "/api/v1/stats",
    }


def test_a_merged_ticket_says_where_it_went(
    api: ApiClient, agent: User, reviewed: Ticket, make_ticket: MakeTicket
) -> None:
    twin = make_ticket(title="Again")
    assert api.send("get", f"/tickets/{twin.number}").json()["merged_into"] is None
    merging.merge(ticket=twin, into=reviewed, by=agent)
    told = api.send("get", f"/tickets/{twin.number}").json()
    assert (told["status"], told["merged_into"], told["snoozed_until"]) == ("closed", reviewed.number, None)
    problem(api.send("patch", f"/tickets/{twin.number}", {"status": "in_review"}), 409)


def test_who_named_no_address_fetches_the_answer(api: ApiClient, agent: User, taxonomy: None) -> None:
    filed = api.send("post", "/tickets", {"title": "Export fails", "description": "It stops half way."}).json()
    ticket = Ticket.objects.get(pk=filed["number"])
    replies.approve(
        ticket=ticket,
        text="Update it.",
        version=0,
        answers=last_seen(ticket),
        by=agent,
        keep_open=True,
        undo_seconds=10,
    )
    said = f"/tickets/{ticket.number}/messages"
    assert [one["kind"] for one in api.send("get", said).json()["items"]] == ["customer"], "it can be taken back"
    Delivery.objects.update(not_before=timezone.now())
    for claimed in deliveries.claim(10):
        deliveries.deliver(claimed)
    assert [(one.channel, one.state) for one in Delivery.objects.all()] == [("api", "sent")]
    reply, asked = api.send("get", said).json()["items"]
    assert (asked["kind"], asked["text"]) == ("customer", "It stops half way.")
    assert (reply["kind"], reply["text"], reply["author"]) == ("reply", "Update it.", agent.label)
    assert mail.outbox == []
