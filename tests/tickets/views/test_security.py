from __future__ import annotations

import pytest
from django.test import Client

from tickets.models import Ticket
from triage.models import User

PAGES = ["/sign-in/", "/support/", "/tickets/", "/"]


@pytest.mark.parametrize("page", PAGES)
def test_pages_forbid_inline_code_frames_and_other_hosts(client: Client, lead: User, page: str) -> None:
    client.force_login(lead)
    response = client.get(page, follow=True)
    policy = response["Content-Security-Policy"]
    for part in ("default-src 'self'", "script-src 'self'", "style-src 'self'", "object-src 'none'", "base-uri 'none'"):
        assert part in policy
    assert "unsafe" not in policy
    assert (response["X-Frame-Options"], response["X-Content-Type-Options"]) == ("DENY", "nosniff")
    assert response["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("noun", ["approval", "review", "escalation", "comments", "status", "reading", "assignment"])
def test_a_decision_without_the_forms_token_is_refused(reviewed: Ticket, agent: User, noun: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(agent)
    response = client.post(f"/tickets/{reviewed.number}/{noun}/", {"text": "x", "status": "closed"})
    assert response.status_code == 403
    before = reviewed.status
    reviewed.refresh_from_db()
    assert reviewed.status == before and not reviewed.deliveries.exists()
