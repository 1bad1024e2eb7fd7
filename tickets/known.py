"""Whether many write about the same just now: for the public form, which is told yes or no and nothing else.

No word, number or count of any ticket leaves this module. To say yes it takes several customers, so that nobody learns
of what one other has written.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from tickets.models import Ticket
from tickets.models.likeness import filtered_likeness

ALIKE = 0.62  # of cosine: the same trouble in other words; two troubles with one product are mostly below
RECENT = timedelta(days=7)
ESCALATED, MANY = 2, 5  # customers whose tickets are open: of escalated ones, and of any
LEAST = 25  # characters: less says too little about anything
_LOOKED_AT = 40


def is_known(title: str, description: str) -> bool:
    """Whether an open trouble of several customers is the one that is being described here."""
    from triage.embedding import clean, embed

    text = clean(f"{title}\n{description}")
    if len(text) < LEAST:
        return False
    alike = Ticket.objects.open().filter(created_at__gt=timezone.now() - RECENT, requester__isnull=False)
    with filtered_likeness():
        nearest: Any = alike.nearest(embed(text).tolist()).only("requester_id", "escalated")[:_LOOKED_AT]
        near = [one for one in nearest if 1 - one.distance >= ALIKE]
    escalated = {one.requester_id for one in near if one.escalated}
    return len(escalated) >= ESCALATED or len({one.requester_id for one in near}) >= MANY
