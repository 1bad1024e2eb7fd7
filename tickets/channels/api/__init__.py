from __future__ import annotations

from tickets.channels.email import EmailChannel


class ApiChannel(EmailChannel):
    """Programs that file tickets for people. The reply goes to the requester's address."""

    kind = "api"
