"""What requests and answers look like, for the document of the API. A test holds them to the schemas."""

from __future__ import annotations

from typing import Any

_NEW = {
    "title": "Export stops half way",
    "description": "Since Monday it ends after 1,000 rows.",
    "requester": {"email": "kim@example.com", "name": "Kim Tran"},
    "priority": "high",
    "external_id": "7731",
}
_IDENTITY = {
    "number": 42,
    "id": "0b0f6d0e-5a0f-4f3e-9a44-1f6f5e7a2c11",
    "url": "https://desk.example.org/tickets/42/",
    "source": "Web shop",
    "created_at": "2026-03-02T09:30:00Z",
}
_DECIDED = {
    "category": "bug",
    "priority": "P2",
    "team": "software",
    "tier": 2,
    "severity": "major",
    "effort": "medium",
    "component": None,
    "sentiment": "negative",
    "tags": ["export"],
    "language": "en",
    "summary": "The CSV export ends after 1,000 rows.",
    "is_technical": True,
    "confidence": {"category": 0.97, "priority": 0.71},
    "band": {"category": "apply", "priority": "suggest"},
    "engine": {"category": "local", "priority": "rules"},
    "reasons": {"category": "Like tickets that people decided.", "priority": "The customer said high."},
    "escalated": False,
    "escalation_reason": None,
}
_TICKET = {
    **_IDENTITY,
    **_DECIDED,
    "title": _NEW["title"],
    "description": _NEW["description"],
    "status": "in_review",
    "triage_state": "triaged",
    "requester": _NEW["requester"],
    "assignee": "Ada",
    "cluster": None,
    "merged_into": None,
    "snoozed_until": None,
    "draft": {
        "text": "Thank you for the report. Please choose another folder.",
        "citations": [],
        "stale": False,
        "version": 1,
        "answers": 97,
        "flags": [],
    },
    "cost_usd": 0.0,
    "submitted": {"priority": "P2", "tier": None},
    "sla": {
        "due_at": "2026-03-02T13:30:00Z",
        "first_replied_at": None,
        "breached": False,
        "first_response": {"due_at": "2026-03-02T13:30:00Z", "met_at": None, "state": "running"},
        "next_response": None,
        "resolution": None,
    },
    "updated_at": "2026-03-02T09:30:01Z",
    "triaged_at": "2026-03-02T09:30:01Z",
}
_FRESH = {
    **_TICKET,
    **dict.fromkeys(_DECIDED),
    **{name: {} for name in ("confidence", "band", "engine", "reasons")},
    "tags": [],
    "escalated": False,
    "status": "new",
    "triage_state": "submitted",
    "draft": None,
    "assignee": None,
    "triaged_at": None,
}
_COMMENT = {
    "id": 7,
    "text": "Asked the storage team.",
    "author": "Ada",
    "created_at": "2026-03-02T10:00:00Z",
    "attachments": [],
}
_FILE = {
    "id": 3,
    "name": "log.txt",
    "content_type": "text/plain",
    "size": 512,
    "sha256": "0" * 64,
    "url": "https://desk.example.org/api/v1/tickets/42/attachments/3",
}


def problem(status: int, title: str, code: str, detail: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "about:blank",
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
        "correlation_id": "3f0c6a3e-7d0b-4c56-9d53-0f1e9f8a8f10",
        **more,
    }


_WRONG = problem(
    422,
    "Unprocessable Entity",
    "invalid",
    "tier: Choose tier 1, 2 or 3.",
    errors=[{"field": "tier", "message": "Choose tier 1, 2 or 3."}],
)
# By the name of the operation: what is sent, and what is answered to it by status.
REQUESTS: dict[str, Any] = {
    "create_ticket": _NEW,
    "create_tickets": {"tickets": [_NEW, {"title": "Locked out", "description": "I cannot sign in.", "tier": 2}]},
    "change_ticket": {"category": "billing", "priority": "P1", "tags": ["refund"]},
    "approve_reply": {"text": "It is fixed in 6.3.", "version": 2, "answers": 97, "keep_open": False},
    "add_comment": {"text": _COMMENT["text"]},
    "add_attachments": {"text": _COMMENT["text"], "attachments": ["(the bytes of a file)"]},
    "classify": {"title": _NEW["title"], "description": _NEW["description"]},
}
ANSWERS: dict[str, dict[int, Any]] = {
    "create_ticket": {201: _FRESH, 200: _IDENTITY},
    "create_tickets": {
        200: {
            "created": 1,
            "known": 0,
            "refused": 1,
            "results": [
                {"index": 0, "status": 201, "ticket": _IDENTITY, "problem": None},
                {"index": 1, "status": 422, "ticket": None, "problem": _WRONG},
            ],
        }
    },
    "list_tickets": {200: {"items": [_TICKET], "next": "YmVmb3JlOjQy"}},
    "get_ticket": {200: _TICKET},
    "change_ticket": {200: _TICKET},
    "reprocess_ticket": {200: _FRESH},
    "approve_reply": {
        201: {
            "delivery": {
                "state": "queued",
                "channel": "email",
                "approved_by": "Ada",
                "text": REQUESTS["approve_reply"]["text"],
            },
            "ticket": _TICKET,
        }
    },
    "list_messages": {
        200: {"items": [{**_COMMENT, "kind": "reply", "text": "We mended the export; please try again."}], "next": None}
    },
    "list_comments": {200: {"items": [_COMMENT], "next": None}},
    "add_comment": {201: _COMMENT},
    "add_attachments": {201: {**_COMMENT, "attachments": [_FILE]}},
    "similar_tickets": {200: {"items": [{"number": 17, "title": "Export is empty", "similarity": 0.83}]}},
    "get_attachment": {200: "(the bytes of a file)"},
    "classify": {200: {**_DECIDED, "notes": []}},
    "stats": {
        200: {
            "total": 3,
            "by_status": {"new": 1, "in_review": 2},
            "by_triage_state": {"submitted": 1, "triaged": 2},
            "by_category": {"bug": 2, "none": 1},
            "by_priority": {"P2": 2, "none": 1},
            "by_team": {"software": 2, "none": 1},
        }
    },
}
