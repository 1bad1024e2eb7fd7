from __future__ import annotations

from tickets.models import Example, Message, Ticket


def remember(ticket: Ticket) -> Example | None:
    """Make the ticket an example of what people decided about it, at once. Without a person's label it is none."""
    labels = {
        name: ticket.value_of(name)
        for name, how in ticket.provenance.items()
        if how.get("engine") == "person" and name != "escalated"
    }
    if not labels:
        return None
    text = "\n\n".join(
        [ticket.subject, *ticket.messages.filter(kind=Message.Kind.INBOUND).values_list("text", flat=True)]
    )
    example, _ = Example.objects.update_or_create(
        ticket=ticket, defaults={"text": text, "labels": labels, "embedding": ticket.embedding}
    )
    return example
