from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from analytics.models import Summary
from tests.analytics.conftest import Make
from tickets.models import Draft
from triage.models import Call, User

pytestmark = pytest.mark.django_db
PAGES = ("/", "/calls/", "/summary/")


def visit(user: User, address: str, **headers: str) -> Any:
    client = Client(headers=headers)
    client.force_login(user)
    return client.get(address)


def call(**fields: Any) -> Call:
    made = {"operation": "classify", "provider": "anthropic", "model_asked": "claude-haiku-5-5", "status": "ok",
            "latency_ms": 900, "cost": Decimal("0.0004")}  # fmt: skip
    return Call.objects.create(**{**made, **fields})


@pytest.mark.parametrize("address", PAGES)
def test_without_a_session_it_sends_to_sign_in(address: str, db: None) -> None:
    response = Client().get(address)
    assert response.status_code == 302
    assert response["Location"].startswith("/sign-in/")


@pytest.mark.parametrize("address", PAGES)
def test_a_person_without_a_place_at_the_desk_is_refused(address: str, outsider: User) -> None:
    assert visit(outsider, address).status_code == 403


@pytest.mark.parametrize("address", PAGES)
def test_an_empty_desk_has_its_pages(address: str, lead: User) -> None:
    assert visit(lead, address).status_code == 200


@pytest.mark.parametrize(
    "address",
    [
        *PAGES,
        "/?period=<b>",
        "/calls/?before=x&period=%00&status=%00&operation=a%00",
        f"/calls/?before=2026-01-01T00:00:00Z_{'9' * 5000}",
    ],
)
def test_it_shows_no_inline_style_and_survives_odd_addresses(address: str, lead: User) -> None:
    response = visit(lead, address)
    assert response.status_code == 200
    assert " style=" not in response.content.decode()


def test_the_dashboard_counts_what_its_reader_may_see(make: Make, agent: User, lead: User) -> None:
    for team in ("software", "billing", "billing"):
        Draft.objects.create(ticket=make(team=team, status="in_review", triage_state="triaged"), text="Hello")
    for reader, count in ((agent, 1), (lead, 3)):
        response = visit(reader, "/")
        assert response.context["open"] == response.context["new"] == count
        assert next(item.count for item in response.context["waiting"] if item.word == "To approve") == count


def test_the_dashboard_asks_a_bounded_number_of_questions(
    make: Make, lead: User, django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        make(ago=number, tags=[f"tag-{number % 3}"])
    client = Client()
    client.force_login(lead)
    with django_assert_max_num_queries(40):
        assert client.get("/").status_code == 200


@pytest.mark.parametrize("period", [7, 14, 30])
def test_the_dashboard_takes_a_period(make: Make, lead: User, period: int) -> None:
    make(ago=0)
    make(ago=10)
    make(ago=20)
    response = visit(lead, f"/?period={period}d")
    assert response.context["new"] == {7: 1, 14: 2, 30: 3}[period]
    assert len(response.context["flow"].columns) == period


@pytest.mark.parametrize("waits", ["approval", "answer", "reading", "delivery"])
def test_what_waits_leads_to_where_it_waits(make: Make, lead: User, waits: str) -> None:
    late = timezone.now() - timedelta(hours=1)
    Draft.objects.create(ticket=make(status="in_review", triage_state="triaged", due_at=late), text="Hello")
    make(status="closed", triage_state="failed")
    links = {item.query: item.count for item in visit(lead, "/").context["waiting"]}
    found = visit(lead, f"/tickets/?needs={waits}")
    assert found.status_code == 200
    assert len(found.context["rows"]) == links[f"needs={waits}"]


def test_a_tag_leads_to_its_tickets(make: Make, lead: User) -> None:
    make(tags=["vpn", "a&b"])
    make(tags=["a&b"])
    make(tags=["other"])
    assert "/tickets/?tag=a%26b" in visit(lead, "/").content.decode()
    assert len(visit(lead, "/tickets/?tag=a%26b").context["rows"]) == 2


def test_a_hostile_tag_is_text(make: Make, lead: User) -> None:
    for _ in range(2):
        make(tags=["<img src=x onerror=alert(1)>"])
    page = visit(lead, "/").content.decode()
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page


def test_the_log_says_so_when_no_model_was_called(lead: User) -> None:
    page = visit(lead, "/calls/").content.decode()
    assert "No model was called" in page
    assert "local engine read everything" in page


def test_the_log_shows_a_call_with_its_cost_and_its_pace(make: Make, agent: User) -> None:
    ours, theirs = make(team="software"), make(team="billing")
    call(subject_kind="ticket", subject_id=str(ours.pk), input_tokens=1200, cache_read_tokens=1800, output_tokens=50)
    call(subject_kind="ticket", subject_id=str(theirs.pk), latency_ms=2000, operation="draft")
    call(subject_kind="summary", latency_ms=3100, status="failed", error_code="overloaded", error="<b>Overloaded.</b>")
    page = visit(agent, "/calls/").content.decode()
    for shown in ("$0.0004", "1,200", "1,800", "900 ms", ", slow", ", very slow", "&lt;b&gt;Overloaded."):
        assert shown in page
    assert f'href="/tickets/{ours.pk}/"' in page
    assert f'href="/tickets/{theirs.pk}/"' not in page


def test_the_log_is_filtered_and_htmx_gets_its_fragment(lead: User) -> None:
    call()
    call(operation="draft", model_answered="claude-haiku-5-5-20261001")
    call(operation="draft", status="refused")
    call(created_at=timezone.now() - timedelta(days=20))

    def shown(query: str) -> int:
        return len(visit(lead, f"/calls/?{query}").context["rows"])

    assert [shown(""), shown("period=30d"), shown("operation=draft"), shown("status=refused")] == [3, 4, 2, 1]
    assert [shown("model=claude-haiku-5-5"), shown("model=claude-haiku-5-5-20261001"), shown("model=x")] == [2, 1, 0]
    call(subject_kind="ticket", subject_id="41")
    call(subject_kind="classify", subject_id="41")
    assert [shown("ticket=41"), shown("ticket=%2341"), shown("ticket=4"), shown("ticket=x")] == [1, 1, 0, 5]
    fragment = visit(lead, "/calls/?operation=draft", **{"HX-Request": "true"}).content.decode()
    assert fragment.strip().startswith('<div id="log">')


def test_the_log_goes_on_where_its_page_ended_also_within_one_instant(lead: User) -> None:
    instant = timezone.now() - timedelta(hours=1)
    made = [call(created_at=instant).pk for _ in range(60)] + [call().pk for _ in range(60)]
    seen: list[int] = []
    address = "/calls/"
    for _ in range(3):
        response = visit(lead, address)
        seen += [row.pk for row in response.context["rows"]]
        address = f"/calls/?period=7d&before={response.context['older'].replace('+', '%2B')}"
    assert seen == sorted(made, reverse=True)
    assert response.context["older"] == ""


def test_one_click_writes_a_summary_that_is_kept(make: Make, lead: User) -> None:
    make(category="billing", priority="P1")
    client = Client()
    client.force_login(lead)
    response = client.post("/summary/", {"period": "7d"}, follow=True)
    kept = Summary.objects.get()
    assert response.redirect_chain == [(f"/summary/{kept.pk}/", 302)]
    assert "1 ticket came in and none was resolved" in response.content.decode()
    assert (kept.engine, kept.by, kept.unmatched, kept.figures["tickets"]["new"]) == ("template", lead, [], 1)
    client.post("/summary/", {"period": "nonsense"})
    assert Summary.objects.first().period == "7d"  # type: ignore[union-attr]
    assert len(client.get("/summary/").context["kept"]) == 2


def test_a_summary_is_for_its_writer_and_those_who_see_everything(agent: User, colleague: User, lead: User) -> None:
    client = Client()
    client.force_login(agent)
    client.post("/summary/", {"period": "7d"})
    address = f"/summary/{Summary.objects.get().pk}/"
    assert visit(agent, address).status_code == visit(lead, address).status_code == 200
    assert visit(colleague, address).status_code == 404
    assert list(visit(colleague, "/summary/").context["kept"]) == []


def test_a_summarys_text_is_escaped_and_its_doubtful_numbers_marked(lead: User) -> None:
    Summary.objects.create(
        period="7d", last_day=timezone.localdate(), figures={}, text="<script>x</script> 99 came, 12,345 left.\n\nBye.",
        engine="model", unmatched=["12,345"], by=lead,
    )  # fmt: skip
    page = visit(lead, "/summary/").content.decode()
    assert "&lt;script&gt;" in page
    assert '<mark title="Not among the figures">12,345</mark>' in page
    assert "<p>Bye.</p>" in page
    assert page.count("<mark") == 1
