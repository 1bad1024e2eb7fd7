"""Django's SMTP backend, able to say afterwards how far it came: the difference between "again" and "not known"."""

from __future__ import annotations

import smtplib
from typing import Any

from django.core.mail.backends import smtp


class _Witness(smtplib.SMTP):
    """Remembers that the server asked for the message (354), and what it said when it had it."""

    handed_over = False
    accepted = False
    turned_away: dict[str, tuple[int, bytes]]

    def sendmail(self, *args: Any, **kwargs: Any) -> dict[str, tuple[int, bytes]]:
        self.turned_away = super().sendmail(*args, **kwargs)
        return self.turned_away

    def getreply(self) -> tuple[int, bytes]:
        code, text = super().getreply()
        if code == 354:
            self.handed_over = True
        return code, text

    def data(self, msg: Any) -> tuple[int, bytes]:
        code, text = super().data(msg)
        self.accepted = code == 250
        return code, text


class _SecureWitness(_Witness, smtplib.SMTP_SSL):
    pass


class EmailBackend(smtp.EmailBackend):
    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return _SecureWitness if self.use_ssl else _Witness

    @property
    def handed_over(self) -> bool:
        """Whether the server has begun to receive the text."""
        return bool(getattr(self.connection, "handed_over", False))

    @property
    def accepted(self) -> bool:
        """Whether the server confirmed that it has the whole message."""
        return bool(getattr(self.connection, "accepted", False))

    @property
    def turned_away(self) -> dict[str, tuple[int, bytes]]:
        """{address: what the server said} of those it did not take the message for, while it took it for others."""
        return getattr(self.connection, "turned_away", {})
