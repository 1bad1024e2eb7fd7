from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from django.db import IntegrityError, connections
from django.test.utils import CaptureQueriesContext

from tests.tickets.channels.conftest import NEW, ApiClient, Caller
from tests.tickets.conftest import MakeTicket
from tickets.actions import intake_many
from tickets.channels.api.schemas import BulkOut
from tickets.models import Acknowledgement, Event, Message, Requester, Source, Team, Ticket
from triage.models import User


def row(number: int, **changes: Any) -> dict[str, Any]:
    return {"title": f"Ticket {number}", "description": f"Text {number}", **changes}


def send(api: ApiClient, *rows: Any) -> Any:
    answer = api.send("post", "/tickets/bulk", {"tickets": list(rows)})
    assert answer.status_code == 200, answer.content
    BulkOut.model_validate(answer.json())
    return answer.json()


def statuses(told: Any) -> list[int]:
    assert [result["index"] for result in told["results"]] == list(range(len(told["results"])))
    return [result["status"] for result in told["results"]]


def test_each_is_stored_as_if_it_had_come_alone(api: ApiClient, django_capture_on_commit_callbacks: Any) -> None:
    whole = {**NEW, "priority": "high", "tier": 2, "source": "Web shop"}
    api.send("post", "/tickets", {**whole, "external_id": "alone"}, headers=_with(api, "alone-1"))
    told = send(api, {**whole, "external_id": "many", "idempotency_key": "many-1"})
    alone, many = Ticket.objects.get(external_id="alone"), Ticket.objects.get(external_id="many")
    assert told["results"][0]["ticket"]["number"] == many.number
    differ = ("number", "public_id", "external_id", "idempotency_key", "intake_digest", "correlation_id")
    moments = ("created_at", "updated_at", "not_before", "sla_look_at")
    fields = [field.attname for field in Ticket._meta.concrete_fields if field.attname not in (*differ, *moments)]
    assert {name: getattr(alone, name) for name in fields} == {name: getattr(many, name) for name in fields}
    assert all((getattr(alone, name) is None) == (getattr(many, name) is None) for name in (*differ, *moments))
    assert many.idempotency_key.partition(":")[0] == alone.idempotency_key.partition(":")[0]
    one, other = alone.messages.get(), many.messages.get()
    assert (one.kind, one.text, one.requester_id) == (other.kind, other.text, other.requester_id)
    events = [set(Event.objects.filter(pgh_obj=ticket).values_list("pgh_label", flat=True)) for ticket in (alone, many)]
    assert events[0] == events[1] == {"created"}
    assert Ticket.objects.matching("Kim").count() == 2


def test_one_bad_row_loses_nothing_and_is_told_what_is_wrong_with_it(api: ApiClient) -> None:
    told = send(
        api, row(0), row(1, tier=9), "no object", {"title": "No text"}, row(4, colour="red"), row(5, priority="P1")
    )
    assert statuses(told) == [201, 422, 422, 422, 422, 201]
    assert (told["created"], told["known"], told["refused"]) == (2, 0, 4)
    fields = [result["problem"]["errors"][0]["field"] for result in told["results"] if result["problem"]]
    assert fields == ["tier", "body", "description", "colour"]
    problem = told["results"][1]["problem"]
    assert (problem["status"], problem["code"], problem["title"]) == (422, "invalid", "Unprocessable Entity")
    assert list(Ticket.objects.order_by("number").values_list("subject", flat=True)) == ["Ticket 0", "Ticket 5"]


def test_the_same_call_again_stores_nothing_and_names_the_first_tickets(api: ApiClient) -> None:
    rows = [row(0, external_id="a"), row(1, idempotency_key="b"), row(2, external_id="c", idempotency_key="c")]
    first, again = send(api, *rows), send(api, *rows)
    assert (statuses(first), statuses(again)) == ([201] * 3, [200] * 3)
    assert [one["ticket"] for one in first["results"]] == [one["ticket"] for one in again["results"]]
    assert (again["created"], again["known"], Ticket.objects.count()) == (0, 3, 3)


def test_what_comes_twice_in_one_call_is_one_ticket(api: ApiClient) -> None:
    told = send(api, row(0, external_id="a"), row(1, external_id="a"), row(2, idempotency_key="k"),
                row(2, idempotency_key="k"), row(3, idempotency_key="k"))  # fmt: skip
    assert statuses(told) == [201, 200, 201, 200, 409]
    assert told["results"][1]["ticket"] == told["results"][0]["ticket"]
    assert told["results"][4]["problem"]["code"] == "idempotency_key_reused"


def test_ids_are_shared_with_the_single_call(api: ApiClient) -> None:
    api.send("post", "/tickets", {**NEW, "external_id": "7731"})
    api.send("post", "/tickets", NEW, headers=_with(api, "order-1"))
    told = send(api, {**NEW, "external_id": "7731"}, {**NEW, "idempotency_key": "order-1"},
                {**NEW, "title": "Another", "idempotency_key": "order-1"})  # fmt: skip
    assert statuses(told) == [200, 200, 409]


def test_a_row_may_name_a_source_and_one_that_is_closed_refuses_that_row_alone(api: ApiClient, form: Source) -> None:
    Source.objects.create(name="Off", kind="api", active=False)
    told = send(api, row(0, source="Shop"), row(1, source="Shop"), row(2, source=form.name), row(3, source="Off"))
    assert statuses(told) == [201, 201, 422, 403]
    assert told["results"][3]["problem"]["code"] == "source_inactive"
    assert Source.objects.get(name="Shop").tickets.count() == 2


def test_people_are_made_once_and_their_missing_names_filled_in(api: ApiClient) -> None:
    Requester.objects.create(email="Kim@example.com")
    Requester.objects.create(email="ed@example.com", name="Edwin")
    people = [("kim@EXAMPLE.com", ""), ("kim@example.com", "Kim"), ("lee@example.com", ""), ("LEE@example.com", "Lee"),
              ("ed@example.com", "Eddie")]  # fmt: skip
    send(api, *(row(n, requester={"email": email, "name": name}) for n, (email, name) in enumerate(people)))
    assert dict(Requester.objects.values_list("email", "name")) == {
        "Kim@example.com": "Kim",
        "lee@example.com": "Lee",
        "ed@example.com": "Edwin",
    }
    assert list(Ticket.objects.order_by("number").values_list("requester__name", flat=True)) == [
        "Kim", "Kim", "Lee", "Lee", "Edwin",
    ]  # fmt: skip


def test_a_source_that_sends_receipts_sends_them(api: ApiClient) -> None:
    Source.objects.create(name="Shop", kind="api", receipts=True)
    send(api, {**NEW, "source": "Shop"}, {**NEW, "source": "Shop", "requester": None}, NEW)
    assert [one.ticket.source.name for one in Acknowledgement.objects.all()] == ["Shop"]


def test_a_thousand_are_taken_and_one_more_is_not(api: ApiClient) -> None:
    answer = api.send("post", "/tickets/bulk", {"tickets": [row(n) for n in range(1_001)]})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "tickets")
    assert not Ticket.objects.exists()
    told = send(api, *(row(n, external_id=str(n)) for n in range(1_000)))
    assert (told["created"], Ticket.objects.count(), Message.objects.count()) == (1_000, 1_000, 1_000)
    order = Ticket.objects.order_by("number").values_list("external_id", flat=True)
    assert list(order) == [str(n) for n in range(1_000)]


def test_more_rows_of_a_portion_take_no_more_queries(api: ApiClient) -> None:
    def count(*rows: Any) -> int:
        with CaptureQueriesContext(connections["default"]) as queries:
            send(api, *rows)
        return len(queries)

    few = count(*(row(n, external_id=f"a{n}", requester={"email": f"a{n}@example.com"}) for n in range(2)))
    many = count(*(row(n, external_id=f"b{n}", requester={"email": f"b{n}@example.com"}) for n in range(200)))
    assert many <= few


def test_bodies_of_megabytes_are_taken_up_to_a_limit(api: ApiClient) -> None:
    long = "x" * 90_000
    assert statuses(send(api, *(row(n, description=long) for n in range(60)))) == [201] * 60  # 5.4 MB
    answer = api.send("post", "/tickets/bulk", {"tickets": [row(n, description=long) for n in range(120)]})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert "10,000,000" in answer.json()["detail"]


@pytest.mark.parametrize(
    "body", [{}, {"tickets": []}, {"tickets": "all"}, {"tickets": {}}, [], {"tickets": [], "x": 1}]
)
def test_a_call_that_is_no_list_of_tickets_is_refused_whole(api: ApiClient, body: Any) -> None:
    assert api.send("post", "/tickets/bulk", body).status_code == 422


def test_it_needs_a_key_that_writes(caller: Caller, auditor: User) -> None:
    assert ApiClient("").send("post", "/tickets/bulk", {"tickets": [row(0)]}).status_code == 401
    assert caller(scopes="read").send("post", "/tickets/bulk", {"tickets": [row(0)]}).status_code == 403
    assert not Ticket.objects.exists()


def test_a_known_ticket_that_the_key_may_not_see_is_named_and_not_shown(
    caller: Caller, make_ticket: MakeTicket, colleague: User
) -> None:
    api = caller(colleague)
    made = send(api, row(0, external_id="a"))["results"][0]["ticket"]
    Ticket.objects.filter(pk=made["number"]).update(team=Team.objects.get(key="software"))
    again = send(api, row(0, external_id="a"))["results"][0]
    assert (again["status"], set(again["ticket"])) == (200, {"number", "id", "url", "source", "created_at"})


def test_a_portion_that_another_request_was_quicker_with_is_stored_row_by_row(
    api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, times = intake_many._together, []

    def late(entries: Any, sender: Any) -> Any:
        times.append(len(entries))
        real(entries, sender)
        raise IntegrityError

    monkeypatch.setattr(intake_many, "_together", late)
    told = send(api, row(0, external_id="a"), row(1, external_id="a"), row(2, idempotency_key="k"),
                row(3, idempotency_key="k"))  # fmt: skip
    assert (times, statuses(told)) == ([4], [201, 200, 201, 409])
    assert Ticket.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_the_same_call_five_times_at_once_makes_each_ticket_once(caller: Caller) -> None:
    api, told = caller(), []

    def call() -> None:
        try:
            client = ApiClient("")
            client.defaults.update(api.defaults)
            rows = [row(n, external_id=str(n), requester={"email": f"{n % 7}@example.com"}) for n in range(60)]
            told.append(client.send("post", "/tickets/bulk", {"tickets": rows}))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=call) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in told} == {200}
    assert sum(json.loads(answer.content)["created"] for answer in told) == 60 == Ticket.objects.count()


def _with(api: ApiClient, key: str) -> dict[str, str]:
    return {"Authorization": api.defaults["HTTP_AUTHORIZATION"], "Idempotency-Key": key}
