from __future__ import annotations

from tickets.models.taxonomy import Label


class Team(Label):
    class Meta(Label.Meta):
        pass
