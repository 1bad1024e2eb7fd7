"""Who is signed in, with their place at the desk and their habits: one query for what every page asks."""

from __future__ import annotations

from django.contrib.auth.backends import ModelBackend

from triage.models import User


class DeskBackend(ModelBackend):
    def get_user(self, user_id: int) -> User | None:
        user = User.objects.select_related("agent", "habits").filter(pk=user_id).first()
        return user if user is not None and self.user_can_authenticate(user) else None
