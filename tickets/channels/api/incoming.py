"""New tickets as they come over the wire: one, or a thousand of which each is answered for itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from tickets.actions.errors import Refused
from tickets.actions.intake_many import Entry, receive_many
from tickets.channels.api.present import Json, present_known
from tickets.channels.api.problems import Problem, document_of, invalid, named_by, refusal
from tickets.channels.api.schemas import BulkTicket, NewTicket
from tickets.channels.base import Inbound, complaints
from tickets.models import ApiKey, Source

SOURCE_NAME = 100  # characters, as the model has it
NAMES = {"text": "description", "idempotency_key": "Idempotency-Key"}


def inbound_of(body: NewTicket, idempotency_key: str, *, names: dict[str, str] = NAMES) -> Inbound:
    """A ticket as its sender wrote it. Raises Problem 422, with fields by the `names` that they have there."""
    try:
        return Inbound(
            title=body.title,
            text=body.description,
            requester_email=body.requester.email if body.requester else None,
            requester_name=(body.requester.name or "") if body.requester else "",
            external_id=body.external_id or "",
            idempotency_key=idempotency_key,
            priority=body.priority,
            tier=body.tier,
        )
    except ValidationError as error:
        raise invalid(*((names.get(name, name), said) for name, said in complaints(error).items())) from error


def source_of(key: ApiKey, name: str | None) -> Source:
    """The source a ticket names, made when it is new: one client may bring the tickets of several systems."""
    source = key.source
    if name and name != source.name:
        if len(name) > SOURCE_NAME:
            raise invalid(("source", f"Keep the name of a source under {SOURCE_NAME} characters."))
        source, _ = Source.objects.get_or_create(name=name, defaults={"kind": "api"})
        if source.kind != "api":
            raise invalid(("source", "Tickets of this source do not come in through the API. Name another one."))
    if not source.active:
        raise Problem(403, "source_inactive", f"The source {source.name} takes no tickets now.")
    return source


def store_rows(key: ApiKey, rows: Sequence[Any]) -> Json:
    """Store each row that is a ticket, and answer for every one of them, in the order given."""
    results: list[Json] = [{}] * len(rows)
    sources: dict[str | None, Source] = {}
    entries: dict[int, Entry] = {}
    for index, row in enumerate(rows):
        try:
            entries[index] = _entry(key, row, sources)
        except Problem as problem:
            results[index] = _refused(index, problem)
    answers = receive_many(list(entries.values()), sender=key.source)
    for index, answer in zip(entries, answers, strict=True):
        if isinstance(answer, Refused):
            results[index] = _refused(index, refusal(answer))
        else:
            status = 201 if answer.created else 200
            results[index] = {"index": index, "status": status, "ticket": present_known(answer.ticket), "problem": None}
    counted = [result["status"] for result in results]
    created, known = counted.count(201), counted.count(200)
    return {"created": created, "known": known, "refused": len(rows) - created - known, "results": results}


def _entry(key: ApiKey, row: Any, sources: dict[str | None, Source]) -> Entry:
    """Raises Problem. `sources` are those that this call has named before."""
    try:
        body = BulkTicket.model_validate(row)
    except ValidationError as error:
        raise invalid(*named_by([dict(one) for one in error.errors(include_url=False)]).items()) from error
    inbound = inbound_of(body, body.idempotency_key or "", names={"text": "description"})
    if body.source not in sources:
        sources[body.source] = source_of(key, body.source)
    return Entry(inbound, sources[body.source])


def _refused(index: int, problem: Problem) -> Json:
    document = document_of(problem.status, problem.code, problem.detail, errors=problem.errors)
    return {"index": index, "status": problem.status, "ticket": None, "problem": document}
