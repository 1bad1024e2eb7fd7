"""Every address, typed by hand by everybody: what each may open, and what each may do.

A row is (GET, POST), a letter for each of ROLES. An address that is not here fails: decide who may, add it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import NoReverseMatch, URLPattern, reverse
from pytest_django import Settings

from tests.tickets.channels.conftest import ApiClient
from tests.tickets.conftest import MakeTicket
from tests.tickets.entrance.world import ROLES, World, addresses, furnish
from tickets.models import SCOPES, ApiKey, Source
from triage.models import User

# y opens or is done · s sent to the sign-in · f forbidden (403) · n not there (404, 410) · m no such method
# k needs a key (401). For: nobody, an outsider, a colleague of another team, an agent, a lead, an admin, an auditor.
OPEN, NOT_THERE, NO_METHOD, NO_GET = "yyyyyyy", "nnnnnnn", "mmmmmmf", "mmmmmmm"
OWN = "syyyyyy"  # of everybody who is signed in
SIGN_IN = ("yyyyyyy", "yyyyyyy")
STEP = (OWN, OWN)  # sends on whoever is signed in already
TICKET = ("snnyyyy", NO_METHOD)  # a page of a ticket
DECISION = (NO_GET, "snnyyyf")  # something that is done to a ticket
FORM = ("snnyyyf", "snnyyyf")  # the same, with a page before
LEADS = (NO_GET, "sfffyyf")
READ_BY_LEADS = ("sfffyyy", NO_METHOD)
KEPT_BY_LEADS = ("sfffyyy", "sfffyyf")
NONE_TO_KEEP = ("sfffnnn", "sfffnnf")
NONE_TO_CHANGE = (NO_GET, "sfffnnf")
ADMINS = (NO_GET, "sffffyf")
OVERSEEN = ("sffffyy", NO_METHOD)
STAFF = ("sfyyyyy", NO_METHOD)
TABLE = {
    "account_login": SIGN_IN,
    "account_logout": (NO_GET, "sssssss"),
    "account_inactive": (OPEN, NO_METHOD),
    "account_reset_password": SIGN_IN,
    "account_reset_password_done": (OPEN, NO_METHOD),
    "account_reset_password_from_key": SIGN_IN,
    "account_reauthenticate": STEP,
    "account_change_password": STEP,
    "account_set_password": STEP,
    "github_login": (NOT_THERE, NOT_THERE),  # not set up here
    "github_callback": (NOT_THERE, "nnnnnnf"),
    "openid_connect_login": (NOT_THERE, NOT_THERE),
    "openid_connect_callback": (NOT_THERE, "nnnnnnf"),
    "mfa_authenticate": STEP,
    "mfa_login_webauthn": STEP,
    "mfa_reauthenticate": STEP,
    "mfa_reauthenticate_webauthn": STEP,
    "mfa_index": (OPEN, "yyyyyyf"),  # sends on to Security
    "mfa_list_webauthn": (OPEN, "yyyyyyf"),
    "mfa_activate_totp": STEP,
    "mfa_deactivate_totp": ("snnnnnn", "snnnnnn"),  # nobody here has one
    "mfa_view_recovery_codes": ("snnnnnn", "smmmmmf"),
    "mfa_generate_recovery_codes": STEP,
    "mfa_download_recovery_codes": ("snnnnnn", "snnnnnf"),
    "mfa_add_webauthn": STEP,
    "mfa_edit_webauthn": STEP,
    "mfa_remove_webauthn": STEP,
    "socialaccount_connections": STEP,
    "tickets:healthz": (OPEN, NO_GET),
    "tickets:readyz": (OPEN, NO_GET),
    "tickets:portal": SIGN_IN,
    "tickets:portal-known": (NO_GET, OPEN),
    "tickets:portal-thanks": (OPEN, NO_GET),
    "tickets:portal-status": SIGN_IN,
    "tickets:portal-file": (OPEN, NO_GET),  # of that very ticket
    "tickets:sign-in": SIGN_IN,
    "tickets:sign-out": (NO_GET, "sssssss"),
    "tickets:invitation": SIGN_IN,
    "tickets:welcome": (OWN, NO_METHOD),
    "tickets:dismissal": (NO_GET, "sfyyyyf"),
    "tickets:settings": STEP,
    "tickets:people": OVERSEEN,
    "tickets:person": ("sffffyy", "sffffyf"),
    "tickets:second-factor-rule": ADMINS,
    "tickets:invite": ADMINS,
    "tickets:invitation-revocation": ADMINS,
    "tickets:deactivation": ADMINS,
    "tickets:factors-removal": ADMINS,
    "tickets:person-sessions-end": ADMINS,
    "tickets:security": (OWN, NO_METHOD),
    "tickets:enrolment": (OWN, NO_METHOD),
    "tickets:sessions-end": (NO_GET, OWN),
    "tickets:session-end": (NO_GET, "snnynnn"),  # the agent's
    "tickets:security-log": OVERSEEN,
    "tickets:notification-choices": STEP,
    "tickets:notifications": (OWN, NO_METHOD),
    "tickets:bell": (OWN, NO_METHOD),
    "tickets:notifications-seen": (NO_GET, OWN),
    "tickets:notification-seen": (NO_GET, OWN),
    "tickets:pause-end": LEADS,
    "tickets:new": ("sfyyyyf", "sfyyyyf"),
    "tickets:replays": ("sfffyyy", "sfffyyf"),
    "tickets:new-replay": ("sfffyyy", NO_METHOD),
    "tickets:replay": ("sfffyyy", NO_METHOD),
    "tickets:policies": READ_BY_LEADS,
    "tickets:new-policy": KEPT_BY_LEADS,
    "tickets:policy": KEPT_BY_LEADS,
    "tickets:policy-preview": READ_BY_LEADS,
    "tickets:policy-deletion": LEADS,
    "tickets:calendars": READ_BY_LEADS,
    "tickets:new-calendar": KEPT_BY_LEADS,
    "tickets:calendar": KEPT_BY_LEADS,
    "tickets:calendar-preview": READ_BY_LEADS,
    "tickets:calendar-deletion": LEADS,
    "tickets:teams": ("sfffyyy", "sfffnnf"),  # of no team in particular
    "tickets:rules": KEPT_BY_LEADS,
    "tickets:new-rule": READ_BY_LEADS,
    "tickets:firings": READ_BY_LEADS,
    "tickets:rule": ("sfffnnn", "sfffnnf"),  # there is none here
    "tickets:rule-state": (NO_GET, "sfffnnf"),
    "tickets:api-keys": KEPT_BY_LEADS,
    "tickets:api-key": READ_BY_LEADS,
    "tickets:api-key-rotation": LEADS,
    "tickets:api-key-revocation": LEADS,
    "tickets:api-key-reversal": LEADS,
    "tickets:webhooks": KEPT_BY_LEADS,
    "tickets:new-webhook": READ_BY_LEADS,
    "tickets:webhook": NONE_TO_KEEP,
    "tickets:webhook-secrets": NONE_TO_CHANGE,
    "tickets:webhook-switch": NONE_TO_CHANGE,
    "tickets:webhook-deletion": NONE_TO_CHANGE,
    "tickets:webhook-pings": NONE_TO_CHANGE,
    "tickets:webhook-replays": NONE_TO_CHANGE,
    "tickets:webhook-call": ("sfffnnn", NO_METHOD),
    "tickets:webhook-redelivery": NONE_TO_CHANGE,
    "tickets:github": KEPT_BY_LEADS,
    "tickets:new-github-account": KEPT_BY_LEADS,
    "tickets:github-account": NONE_TO_KEEP,
    "tickets:github-account-removal": NONE_TO_CHANGE,
    "tickets:github-connect": NONE_TO_CHANGE,
    "tickets:github-repository": NONE_TO_KEEP,
    "tickets:github-status": ("sfffnnn", NO_METHOD),
    "tickets:github-sync": NONE_TO_CHANGE,
    "tickets:github-sync-cancellation": NONE_TO_CHANGE,
    "tickets:github-connection": NONE_TO_CHANGE,
    "tickets:github-secret": NONE_TO_CHANGE,
    "tickets:github-event-again": NONE_TO_CHANGE,
    "tickets:github-webhook": (NO_GET, "yyyyyyf"),  # told that a header is missing: 400
    "tickets:imports": KEPT_BY_LEADS,
    "tickets:import": NONE_TO_KEEP,
    "tickets:import-start": NONE_TO_CHANGE,
    "tickets:import-cancellation": NONE_TO_CHANGE,
    "tickets:import-continuation": NONE_TO_CHANGE,
    "tickets:import-removal": NONE_TO_CHANGE,
    "tickets:import-refusals": ("sfffnnn", NO_METHOD),
    "tickets:export": (OWN, NO_METHOD),  # of what one sees; to an outsider it is empty
    "tickets:blocks": KEPT_BY_LEADS,
    "tickets:block-lifting": LEADS,
    "tickets:mailboxes": KEPT_BY_LEADS,
    "tickets:new-mailbox": READ_BY_LEADS,
    "tickets:mailbox": NONE_TO_KEEP,
    "tickets:mailbox-trial": NONE_TO_CHANGE,
    "tickets:mailbox-reading": NONE_TO_CHANGE,
    "tickets:mailbox-state": NONE_TO_CHANGE,
    "tickets:receipts": NONE_TO_CHANGE,
    "tickets:mail": ("snnnnnn", NO_METHOD),
    "tickets:mail-webhook": (NO_GET, "nnnnnnf"),  # no secret is set
    "tickets:mail-webhook-in": (NO_GET, "nnnnnnf"),
    "tickets:mail-webhook-before": (NO_GET, "nnnnnnf"),
    "tickets:replay-cancellation": LEADS,
    "tickets:replay-switch": LEADS,
    "tickets:queue": (OWN, NO_METHOD),  # to an outsider it is empty
    "tickets:changes": (OWN, NO_METHOD),
    "tickets:meaning": (OWN, NO_METHOD),
    "tickets:looks": (NO_GET, OWN),
    "tickets:save-view": (NO_GET, OWN),
    "tickets:view": (NO_GET, OWN),
    "tickets:readings": (NO_GET, "syyyyyf"),  # goes back to the queue, with a word why not
    "tickets:detail": TICKET,
    "tickets:attachment": TICKET,
    "tickets:pieces": TICKET,
    "tickets:colleagues": TICKET,
    "tickets:deletion": (NO_GET, "snnfyyf"),
    "tickets:macros": (OWN, "syyyyyf"),  # its action refuses an outsider: what is sent here is empty, and no macro
    "tickets:new-macro": (OWN, NO_METHOD),
    "tickets:macro-preview": (NO_GET, "syyyyyf"),
    "tickets:macro": (OWN, "syyyyyf"),
    "tickets:macro-picker": ("snnyyyy", "snnyyyf"),
    "tickets:bulk": (OWN, "syyyyyf"),
    "tickets:bulk-run": TICKET,
    "tickets:bulk-reversal": DECISION,
    "tickets:bulk-cancellation": DECISION,
    "tickets:bulk-dismissal": (NO_GET, "syyyyyf"),
    "tickets:handover": DECISION,
    "tickets:merge": FORM,
    "tickets:split": FORM,
    "tickets:links": FORM,
    **dict.fromkeys(
        (
            "tickets:review",
            "tickets:rejection",
            "tickets:reversal",
            "tickets:draft",
            "tickets:enclosures",
            "tickets:enclosure-removal",
            "tickets:draft-changes",
            "tickets:approval",
            "tickets:delivery",
            "tickets:escalation",
            "tickets:comments",
            "tickets:comment",
            "tickets:merge-reversal",
            "tickets:split-reversal",
            "tickets:link-removal",
            "tickets:snooze",
            "tickets:spam",
            "tickets:status",
            "tickets:reading",
            "tickets:assignment",
        ),
        DECISION,
    ),
    "analytics:dashboard": STAFF,
    "analytics:calls": STAFF,
    "analytics:call": STAFF,
    "analytics:metrics": ("kkkkkkk", NO_GET),
    "analytics:summary": ("sfyyyyy", "sfyyyyf"),
    "analytics:earlier-summary": ("sfnnyyy", NO_METHOD),
}
# With a key in somebody's name: (method, body, letters). An auditor's key reads; nobody's key is a machine's own.
KEYED: dict[str, tuple[tuple[str, dict[str, Any], str], ...]] = {
    "openapi-json": (("get", {}, "yyyyyyy"),),
    "openapi-view": (("get", {}, "yyyyyyy"),),
    "api-root": (("get", {}, "nnnnnnn"),),
    "create_ticket": (("post", {"title": "A", "description": "B"}, "yfyyyyf"),),
    "create_tickets": (("post", {"tickets": [{"title": "A", "description": "B"}]}, "yfyyyyf"),),
    "list_tickets": (("get", {}, "yyyyyyy"),),
    "get_ticket": (("get", {}, "ynnyyyy"),),
    "change_ticket": (("patch", {"priority": "P1"}, "ynnyyyf"),),
    "reprocess_ticket": (("post", {}, "ynnyyyf"),),
    "approve_reply": (("post", {"text": "Hello"}, "fnnyyyf"),),
    "list_messages": (("get", {}, "ynnyyyy"),),
    "list_comments": (("get", {}, "ynnyyyy"),),
    "add_comment": (("post", {"text": "Look"}, "ynnyyyf"),),
    "add_attachments": (("post", {}, "ynnyyyf"),),  # told that there is no file: 422
    "get_attachment": (("get", {}, "ynnyyyy"),),
    "similar_tickets": (("get", {}, "ynnyyyy"),),
    "classify": (("post", {"title": "A", "description": "B"}, "yyyyyyy"),),
    "stats": (("get", {}, "yyyyyyy"),),
}
KEYED["list_tickets"] += KEYED.pop("create_ticket")  # one address, two methods
KEYED["create_ticket"] = KEYED["list_tickets"]
KEYED["get_ticket"] += KEYED.pop("change_ticket")
KEYED["change_ticket"] = KEYED["get_ticket"]
KEYED["list_comments"] += KEYED.pop("add_comment")
KEYED["add_comment"] = KEYED["list_comments"]

pytestmark = [pytest.mark.timeout(600)]


@pytest.fixture
def world(
    settings: Settings,
    tmp_path: Path,
    outsider: User,
    colleague: User,
    agent: User,
    lead: User,
    admin_of_desk: User,
    auditor: User,
    reviewed: Any,
    make_ticket: MakeTicket,
) -> World:
    settings.MEDIA_ROOT = tmp_path
    people = dict(zip(ROLES, (None, outsider, colleague, agent, lead, admin_of_desk, auditor), strict=True))
    return furnish(people, reviewed, make_ticket(title="Another"))


SENT_TO = ("/sign-in/", "/admin/login/")  # the latter opens to nobody: it sends on, or answers 403


def outcome(response: Any) -> str:
    if response.status_code == 302 and response["Location"].partition("?")[0] in SENT_TO:
        return "s"
    known = {401: "k", 403: "f", 404: "n", 410: "n", 405: "m"}
    return known.get(response.status_code, f"!{response.status_code}!" if response.status_code >= 500 else "y")


@pytest.fixture
def cookies(world: World) -> dict[str, Any]:
    """A session of each."""
    held = {}
    for role, user in world.people.items():
        client = Client()
        if user is not None:
            client.force_login(user)
        held[role] = client.cookies
    return held


def tried(cookies: dict[str, Any], method: str, address: str, of: Sequence[str] = ROLES) -> str:
    """The letters of the roles, each in a transaction that leaves nothing behind."""
    letters = ""
    for role in of:
        client = Client(raise_request_exception=False)
        client.cookies.update(cookies[role])
        with transaction.atomic():
            letters += outcome(client.get(address) if method == "GET" else client.post(address))
            transaction.set_rollback(True)
    return letters


def address_of(name: str, pattern: URLPattern, world: World) -> str:
    wanted = {*pattern.pattern.converters, *getattr(pattern.pattern.regex, "groupindex", {})}
    return reverse(name, kwargs={part: value for part, value in world.parts(name).items() if part in wanted})


def of_pages() -> Iterator[tuple[str, URLPattern]]:
    return ((name, pattern) for name, pattern in addresses() if not name.startswith(("admin:", "tickets:api:")))


def test_the_table_names_every_address_and_none_that_is_gone() -> None:
    there, listed = {name for name, _ in of_pages()}, set(TABLE)
    assert (there - listed, listed - there) == (set(), set())
    keyed = {name.removeprefix("tickets:api:") for name, _ in addresses() if "tickets:api:" in name}
    assert (keyed - set(KEYED), set(KEYED) - keyed) == (set(), set())


def test_everybody_opens_and_does_what_the_table_says_and_nothing_else(world: World, cookies: dict[str, Any]) -> None:
    found = {}
    for name, pattern in of_pages():
        address = address_of(name, pattern, world)
        found[name] = (tried(cookies, "GET", address), tried(cookies, "POST", address))
    wrong = {name: (letters, TABLE[name]) for name, letters in found.items() if letters != TABLE[name]}
    assert wrong == {}


def test_the_administration_is_open_to_admins_and_auditors_and_an_auditor_changes_nothing_there(
    world: World, cookies: dict[str, Any]
) -> None:
    wrong = {}
    for name, pattern in addresses():
        if not name.startswith("admin:") or name in ("admin:", "admin:logout"):
            continue
        values = {"object_id": "1", "content_type_id": "1", "app_label": "tickets", "url": "x", "id": "1"}
        wanted = {*pattern.pattern.converters, *getattr(pattern.pattern.regex, "groupindex", {})}
        try:
            address = reverse(name, kwargs={part: values[part] for part in wanted})
        except NoReverseMatch:
            address = reverse(name, args=["1"])
        opened, done = (tried(cookies, method, address, of=AT_THE_DOOR) for method in ("GET", "POST"))
        listed = opened[2:] == "yy" or not name.endswith("_changelist") or name.startswith(NOT_OURS)
        fine = {*opened[:2], *done[:2]} <= {"s", "f"} and done[3] == "f" and "!" not in opened + done
        if not (fine and listed) and name != "admin:password_change":  # which sends on to the one page for that
            wrong[name] = (opened, done)
    assert wrong == {}


AT_THE_DOOR = ("nobody", "lead", "admin", "auditor")
NOT_OURS = ("admin:auth_", "admin:django_q_")  # for superusers alone: groups, and jobs that name any function


def test_a_key_does_what_its_person_may_and_a_deactivated_persons_nothing(world: World) -> None:
    clients = {role: _keyed(user) for role, user in world.people.items()}
    wrong = {}
    for name, tries in KEYED.items():
        number = {"number": world.ticket.pk} if world.ticket and name in OF_A_TICKET else {}
        number |= {"pk": world.named["tickets:portal-file"]["pk"]} if name == "get_attachment" else {}
        address = reverse(f"tickets:api:{name}", kwargs=number)
        for method, body, letters in tries:
            found = "".join(_asked(clients[role], method, address, body) for role in ROLES)
            if found != letters:
                wrong[f"{method} {name}"] = (found, letters)
    assert wrong == {}
    User.objects.filter(pk__in=[user.pk for user in world.people.values() if user]).update(is_active=False)
    gone = [_asked(clients[role], "get", "/api/v1/stats", {}) for role in ROLES if role != "nobody"]
    assert gone == ["k"] * 6


OF_A_TICKET = {
    "get_ticket",
    "change_ticket",
    "reprocess_ticket",
    "approve_reply",
    "list_messages",
    "list_comments",
    "add_comment",
    "similar_tickets",
    "add_attachments",
    "get_attachment",
}


def _keyed(user: User | None) -> ApiClient:
    """With a key that reads, writes and approves; past the action, which makes none for an auditor or an outsider."""
    key, prefix, digest = ApiKey.mint()
    source = Source.objects.get(kind="api")
    ApiKey.objects.create(name="walk", prefix=prefix, digest=digest, scopes=list(SCOPES), source=source, user=user)
    return ApiClient(key)


def _asked(client: ApiClient, method: str, address: str, body: dict[str, Any]) -> str:
    with transaction.atomic():
        letters = outcome(client.send(method, address.removeprefix("/api/v1"), body or None))
        transaction.set_rollback(True)
    return letters
