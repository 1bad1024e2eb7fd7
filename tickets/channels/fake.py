"""A channel that answers by the recipient's name, for tests that need no mail server."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tickets.channels.base import Channel, SendReceipt, SendRefused, SendUnknown, TryAgain

if TYPE_CHECKING:
    from tickets.models import Delivery


class FakeChannel(Channel):
    """Takes every reply, but for recipients named `try-again@`, `refused@` and `unknown@`."""

    kind = "fake"
    replies_by = "fake"
    sent: ClassVar[list[tuple[str, str]]] = []

    def send(self, delivery: Delivery) -> SendReceipt:
        match delivery.recipient.partition("@")[0]:
            case "try-again":
                raise TryAgain("The fake is busy.")
            case "refused":
                raise SendRefused("The fake does not want this.")
            case "unknown":
                raise SendUnknown("The fake went silent.")
        self.sent.append((delivery.recipient, delivery.message.text))
        return SendReceipt(f"fake-{delivery.key}")
