"""`POST /webhooks/github`: checked, stored as it came, and answered at once; the worker does the rest."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from pydantic import ValidationError

from tickets.actions import github_events
from tickets.channels.base import clean_line
from tickets.channels.github import signature, window
from tickets.models import GithubAccount, GithubEvent, GithubRepository
from triage import brake, correlation
from triage.brake import Limit
from triage.queue import ring

log = structlog.get_logger(__name__)
BODY_LIMIT = 25 * 1024 * 1024  # bytes, as GitHub has it: it sends nothing larger


class Refusal(Exception):
    def __init__(self, status: int, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.code, self.sentence = status, code, sentence


@dataclass(frozen=True, slots=True)
class Door:
    """Through whose webhook it came, and of which repository; None where it is about an App itself, or a stranger's."""

    account: GithubAccount
    repository: GithubRepository | None

    @property
    def subject(self) -> str:
        return f"repository:{self.repository.pk}" if self.repository else f"account:{self.account.pk}"


@csrf_exempt
@require_POST
def webhook(request: HttpRequest) -> HttpResponse:
    """202 for what is taken, 200 for what was taken before and for what nothing is done about; else 400 to 429."""
    try:
        return _taken(request)
    except Refusal as refused:
        log.info("github_webhook_refused", code=refused.code, status=refused.status)
        return JsonResponse(
            {"status": "error", "code": refused.code, "detail": refused.sentence}, status=refused.status
        )


def _taken(request: HttpRequest) -> HttpResponse:
    name = clean_line(request.headers.get("X-GitHub-Event", ""))[:60]
    if not name:
        raise Refusal(400, "no_event", "The header X-GitHub-Event is missing.")
    body = _body(request)
    holders = signature.holders_of(
        body,
        request.headers.get(signature.HEADER, ""),
        target_kind=request.headers.get("X-GitHub-Hook-Installation-Target-Type", ""),
        target=request.headers.get("X-GitHub-Hook-Installation-Target-ID", ""),
    )
    if not holders:
        return _unsigned(request)
    content = _content(request, body)
    door = _door(holders, content)
    if door is None:
        return _unsigned(request)
    room = window.take(door.subject, settings.GITHUB_PER_WINDOW)
    if room.wait:
        return room.tell(_error(429, "too_many", f"Too many deliveries. Send again in {brake.spoken(room.wait)}."))
    given = clean_line(request.headers.get("X-GitHub-Delivery", ""))[:100]
    delivery = given or f"sha256:{hashlib.sha256(name.encode() + b' ' + body).hexdigest()}"
    return room.tell(_answer(door, name, delivery, content))


def _body(request: HttpRequest) -> bytes:
    """The raw body. Not `request.body`: that is held to what a form of the desk may hold."""
    length = request.headers.get("Content-Length", "")
    too_long = Refusal(413, "too_long", f"A delivery holds {BODY_LIMIT:,} bytes at most.")
    if length.isascii() and length.isdigit() and int(length) > BODY_LIMIT:
        raise too_long
    try:
        body = request.read(BODY_LIMIT + 1)
    except OSError as error:
        raise Refusal(400, "cut_short", "The body did not come whole.") from error
    if len(body) > BODY_LIMIT:
        raise too_long
    return body


def _unsigned(request: HttpRequest) -> HttpResponse:
    """401; to an address that keeps on guessing 429. One that signs is never held up by what its neighbours do."""
    limit = Limit(settings.GITHUB_REFUSED_PER_WINDOW, settings.GITHUB_WINDOW)
    wait = brake.press({brake.mark("github", brake.peer_of(request)): [limit]})
    if wait:
        return window.Room(limit.count, 0, wait).tell(
            _error(429, "too_many", f"Too many unsigned deliveries. Wait {brake.spoken(wait)}.")
        )
    raise Refusal(
        401,
        "bad_signature",
        "X-Hub-Signature-256 is missing, or made with no secret of a connected repository or App.",
    )


def _content(request: HttpRequest, body: bytes) -> dict[str, Any]:
    """The payload; webhooks may be set to send it as a field of a form, too."""
    if request.content_type == "application/x-www-form-urlencoded":
        body = parse_qs(body.decode("utf-8", "replace"), max_num_fields=10).get("payload", [""])[0].encode()
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "bad_json", "The body is no JSON.") from error
    if not isinstance(content, dict):
        raise Refusal(400, "bad_json", "The body is no JSON object.")
    return content


def _door(holders: list[signature.Holder], content: dict[str, Any]) -> Door | None:
    """Who of those whose secret signed it this is about. A repository's secret speaks for that repository alone."""
    said = content.get("repository")
    said = said if isinstance(said, dict) else {}
    number, full_name = said.get("id"), str(said.get("full_name") or "").lower()
    for holder in holders:
        if isinstance(holder, GithubRepository):
            same_id = holder.github_id is not None and holder.github_id == number
            same_name = holder.full_name.lower() == full_name and (holder.github_id is None or number is None)
            if same_id or same_name or (not said and "hook" in content):
                return Door(holder.account, holder)
    for holder in holders:
        if isinstance(holder, GithubAccount):
            repositories = holder.repositories.connected().select_related("account", "source")
            found = repositories.filter(github_id=number).first() if isinstance(number, int) else None
            return Door(holder, found or (repositories.called(full_name).first() if full_name else None))
    return None


def _answer(door: Door, name: str, delivery: str, content: dict[str, Any]) -> HttpResponse:
    if name == "ping":
        github_events.note_heard(door.repository)
        return JsonResponse({"status": "pong", "repository": str(door.repository or ""), "account": str(door.account)})
    try:
        reason = github_events.why_ignored(door.repository, name, content)
    except ValidationError as wrong:
        where = ".".join(str(part) for part in wrong.errors()[0]["loc"])
        raise Refusal(400, "bad_payload", f"This is no {name} event as GitHub sends it: {where}.") from wrong
    if reason:
        return JsonResponse({"status": "ignored", "reason": reason, "event": name})
    answer = {
        "status": "accepted",
        "delivery": delivery,
        "event": name,
        "action": str(content.get("action") or "")[:60],
        "repository": door.repository.full_name if door.repository else "",
        "correlation_id": correlation.current(),
    }
    try:
        with transaction.atomic():
            github_events.store(
                account=door.account,
                repository=door.repository,
                name=name,
                delivery=delivery,
                content=content,
                answer=answer,
            )
            ring("interactive")
    except IntegrityError:
        return _again(door, delivery)
    return JsonResponse(answer, status=202)


def _again(door: Door, delivery: str) -> HttpResponse:
    """The same delivery came before: its first result."""
    first = GithubEvent.objects.get(delivery=delivery)
    if first.account_id != door.account.pk or first.repository_id != (door.repository and door.repository.pk):
        return _error(409, "delivery_reused", "This X-GitHub-Delivery belongs to another repository.")
    return JsonResponse({**first.answer, "state": first.state, "result": first.result, "ticket": first.ticket_id})


def _error(status: int, code: str, sentence: str) -> JsonResponse:
    return JsonResponse({"status": "error", "code": code, "detail": sentence}, status=status)
