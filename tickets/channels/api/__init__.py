from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tickets.channels.base import Channel, SendReceipt
from tickets.channels.email import EmailChannel

if TYPE_CHECKING:
    from tickets.models import Delivery, Ticket


class ApiChannel(Channel):
    """Programs that file tickets for people. An answer goes to the person's address; where the program named none, it
    fetches the answer itself, from GET /api/v1/tickets/{number}/messages.
    """

    kind = "api"
    replies_by = EmailChannel.kind
    can_be_asked: ClassVar[bool] = True  # nothing leaves here, so nothing leaves twice
    links_back: ClassVar[bool] = False
    carries_files: ClassVar[bool] = True

    @classmethod
    def replies_for(cls, ticket: Ticket) -> str:
        return cls.replies_by if ticket.requester_id else cls.kind

    def recipient_of(self, ticket: Ticket) -> str:
        return ticket.source.name

    def send(self, delivery: Delivery) -> SendReceipt:
        return SendReceipt(f"message-{delivery.message_id}")
