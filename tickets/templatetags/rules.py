"""What rules did to a ticket, for its history."""

from __future__ import annotations

from django import template
from django.db.models import QuerySet

from tickets.models import RuleFiring, Ticket

register = template.Library()
SHOWN = 20


@register.filter
def firings(ticket: Ticket) -> QuerySet[RuleFiring]:
    """The newest of what rules did to this ticket, or held back."""
    return RuleFiring.objects.filter(ticket=ticket).select_related("rule")[:SHOWN]
