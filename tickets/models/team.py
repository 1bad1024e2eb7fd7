from __future__ import annotations

from tickets.models.taxonomy import Label
from triage.pipeline.types import MANUAL_REVIEW


class Team(Label):
    class Meta(Label.Meta):
        pass

    @property
    def is_manual_review(self) -> bool:
        """Whether this is the team where every failure of the machine ends."""
        return self.key == MANUAL_REVIEW
