from __future__ import annotations

from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """A person of the staff. What the desk knows of them stands in `tickets.Agent`, one to one."""

    # Said of the person of a session by the backend that found them (tickets.entrance.backend): not a column.
    owes_second_factor = False

    @property
    def label(self) -> str:
        return self.get_full_name() or self.get_username()
