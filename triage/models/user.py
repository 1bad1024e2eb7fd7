from __future__ import annotations

from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """A person of the staff. What the desk knows of them stands in `tickets.Agent`, one to one."""

    @property
    def label(self) -> str:
        return self.get_full_name() or self.get_username()
