from __future__ import annotations

from tickets.channels.email import EmailChannel


class FormChannel(EmailChannel):
    """The public form. It asks for an address, and the reply goes there."""

    kind = "form"
