"""Whatever is thrown at the doors: a clear refusal that names the field, or stored whole and shown safely."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.tickets.channels.conftest import NEW, ApiClient
from tests.tickets.channels.test_api import fields, problem
from tickets import markdown
from tickets.channels.base import Inbound, complaints
from tickets.models import Message, Ticket

SCRIPT = "<script>alert('x')</script><img src=x onerror=alert(1)>"
RIGHT_TO_LEFT = "\u202eمرحبا بالعالم שלום\u202c"
FOUR_BYTES = "😀👩‍👩‍👧‍👦𝕏 broken"
STORED = (SCRIPT, RIGHT_TO_LEFT, FOUR_BYTES, "\x1b[31mred", "'; DROP TABLE tickets; --", "{{ 7*7 }}", "%s %(x)s", "\\")


def post(api: ApiClient, **changes: Any) -> Any:
    return api.send("post", "/tickets", NEW | changes)


@pytest.mark.parametrize("text", STORED)
def test_it_stores_any_words_and_gives_them_back_as_data(api: ApiClient, text: str) -> None:
    body = post(api, title=text, description=text, requester={"email": "kim@example.com", "name": text}).json()
    kept = text.replace("\x1b", "")
    assert (body["title"], body["description"], body["requester"]["name"]) == (kept, kept, kept)
    again = api.send("get", f"/tickets/{body['number']}")
    assert again.json()["title"] == kept
    assert again["Content-Type"] == "application/json"
    assert again["X-Content-Type-Options"] == "nosniff"


def test_nul_bytes_control_characters_and_half_surrogates_are_taken_out(api: ApiClient) -> None:
    response = api.generic(
        "POST",
        "/api/v1/tickets",
        rb'{"title": "a\u0000b\ud800c", "description": "d\u0000\u0008e\r\nf"}',
        content_type="application/json",
    )
    assert response.status_code == 201
    assert response.json()["title"] == "ab\ufffdc"
    assert Message.objects.get().text == "de\nf"


def test_a_subject_with_newlines_is_one_line(api: ApiClient) -> None:
    assert (
        post(api, title=" Export\r\nBcc: spy@example.com\n\u2028x ").json()["title"] == "Export Bcc: spy@example.com x"
    )


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": " \n\t"}, "title"),
        ({"title": "\x00\x00"}, "title"),
        ({"title": "\u200b\ufeff"}, "title"),
        ({"title": "a" * 301}, "title"),
        ({"title": 7}, "title"),
        ({"title": None}, "title"),
        ({"title": ["a"]}, "title"),
        ({"description": ""}, "description"),
        ({"description": " "}, "description"),
        ({"description": "a" * 100_001}, "description"),
        ({"description": {"text": "a"}}, "description"),
        ({"requester": "kim@example.com"}, "requester"),
        ({"requester": {}}, "requester.email"),
        ({"requester": {"email": ""}}, "requester.email"),
        ({"requester": {"email": "kim"}}, "requester.email"),
        ({"requester": {"email": "kim@"}}, "requester.email"),
        ({"requester": {"email": "kim@example.com\nBcc: spy@example.com"}}, "requester.email"),
        ({"requester": {"email": "a@b.co, c@d.co"}}, "requester.email"),
        ({"requester": {"email": "a" * 250 + "@example.com"}}, "requester.email"),
        ({"requester": {"email": 7}}, "requester.email"),
        ({"requester": {"email": "kim@example.com", "name": "a" * 201}}, "requester.name"),
        ({"requester": {"email": "kim@example.com", "phone": "1"}}, "requester.phone"),
        ({"priority": "P5"}, "priority"),
        ({"priority": 1}, "priority"),
        ({"tier": 4}, "tier"),
        ({"tier": "1"}, "tier"),
        ({"tier": 1.0}, "tier"),
        ({"tier": True}, "tier"),
        ({"tier": 10**400}, "tier"),
        ({"external_id": "a" * 201}, "external_id"),
        ({"external_id": 7}, "external_id"),
        ({"source": 7}, "source"),
        ({"colour": "red"}, "colour"),
        ({"status": "closed"}, "status"),
    ],
)
def test_it_refuses_a_ticket_and_names_the_field(api: ApiClient, changes: dict[str, Any], field: str) -> None:
    document = problem(post(api, **changes), 422, code="invalid")
    assert field in fields(document)
    assert field in document["detail"]
    assert Ticket.objects.count() == 0


@pytest.mark.parametrize("missing", ["title", "description"])
def test_it_names_a_field_that_is_missing(api: ApiClient, missing: str) -> None:
    body = {name: value for name, value in NEW.items() if name != missing}
    assert fields(problem(api.send("post", "/tickets", body), 422)) == {missing}


@pytest.mark.parametrize(
    "body",
    [b"{", b"\xff\xfe\x00", b"nope", b'{"title": "a",}', b"[" * 50_000, b'{"a":' * 50_000, b'{"tier": ' + b"9" * 5000],
)
def test_it_says_that_a_body_is_no_json(api: ApiClient, body: bytes) -> None:
    problem(api.generic("POST", "/api/v1/tickets", body, content_type="application/json"), 400, code="not_json")


@pytest.mark.parametrize("body", [b"[]", b'"a"', b"1", b"null", b"true", b""])
def test_it_says_that_a_body_is_no_object(api: ApiClient, body: bytes) -> None:
    response = api.generic("POST", "/api/v1/tickets", body, content_type="application/json")
    assert fields(problem(response, 422)) == {"body"}


@pytest.mark.parametrize("size", [1_500_000, 10_000_000])
def test_it_refuses_a_body_of_megabytes(api: ApiClient, size: int) -> None:
    body = json.dumps(NEW | {"description": "a" * size}).encode()
    problem(api.generic("POST", "/api/v1/tickets", body, content_type="application/json"), 413, code="too_large")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "x"])
def test_it_refuses_what_is_not_sent_as_json(api: ApiClient, kind: str) -> None:
    response = api.generic("POST", "/api/v1/tickets", json.dumps(NEW).encode(), content_type=kind)
    problem(response, 415, code="wrong_content_type")


def test_it_names_an_idempotency_key_that_is_too_long(api: ApiClient) -> None:
    response = api.send("post", "/tickets", NEW, headers={"Idempotency-Key": "a" * 201})
    assert fields(problem(response, 422)) == {"Idempotency-Key"}


def test_the_longest_text_is_stored_whole(api: ApiClient) -> None:
    text = "ö" * 99_999 + "!"
    assert post(api, description=text).json()["description"] == text


def test_an_error_never_repeats_the_customers_words(api: ApiClient) -> None:
    response = post(api, requester={"email": "secret-of-kim"}, title="x" * 400)
    assert b"secret-of-kim" not in response.content


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.sampled_from(STORED),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from([*NEW, "priority", "tier", "external_id", "source", "x"]) | st.text(max_size=8)


@given(body=st.dictionaries(names, values, max_size=6), key=st.text(max_size=12))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_at_all_breaks_the_door(api: ApiClient, body: dict[str, Any], key: str) -> None:
    head = {"Idempotency-Key": key.encode("ascii", "ignore").decode().replace("\r", "").replace("\n", "")}
    for given_ in (body, NEW | body):
        response = api.send("post", "/tickets", given_, headers=head)
        assert response.status_code in (200, 201, 400, 409, 422), response.content
        if response.status_code >= 400:
            assert response["Content-Type"] == "application/problem+json"


@given(body=st.binary(max_size=300))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_at_all_break_the_door(api: ApiClient, body: bytes) -> None:
    response = api.generic("POST", "/api/v1/tickets", body, content_type="application/json")
    assert response.status_code in (400, 422)


@given(query=st.dictionaries(st.sampled_from(["q", "cursor", "team", "updated_since", "source"]), st.text(max_size=20)))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_filter_at_all_breaks_the_list(api: ApiClient, query: dict[str, str]) -> None:
    assert api.get("/api/v1/tickets", query).status_code in (200, 422)


# The shape that every door makes of it


@given(title=st.text(), text=st.text(), name=st.text())
@settings(max_examples=200, deadline=None)
def test_what_passes_the_door_can_be_stored(title: str, text: str, name: str) -> None:
    try:
        inbound = Inbound(title=title, text=text, requester_email="kim@example.com", requester_name=name)
    except ValidationError as error:
        assert set(complaints(error)) <= {"title", "text", "requester_name"}
        return
    assert inbound.title == " ".join(inbound.title.split())
    for words in (inbound.title, inbound.text, inbound.requester_name):
        words.encode("utf-8")
        assert "\x00" not in words


def test_an_inbound_says_everything_that_is_wrong_at_once() -> None:
    with pytest.raises(ValidationError) as raised:
        Inbound(title="", text=" ", requester_email="kim", priority="soon", tier=9)
    assert set(complaints(raised.value)) == {"title", "text", "requester_email", "priority", "tier"}


@given(text=st.text(max_size=400) | st.sampled_from(STORED))
@settings(max_examples=150, deadline=None)
def test_rendered_words_hold_no_markup_that_runs(text: str) -> None:
    html = markdown.render(f"{text}\n\n[{text}](javascript:alert(1)) ![x](http://tracker.example/x.png)")
    lower = html.lower()
    assert "<script" not in lower
    assert "<img" not in lower
    assert 'href="javascript' not in lower
