from __future__ import annotations

from tickets.channels.email import EmailChannel


class FileChannel(EmailChannel):
    """Tickets read from a file of another system. A reply goes to the requester's address, where the file had one."""

    kind = "file"
