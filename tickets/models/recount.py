from __future__ import annotations

import pgtrigger
from django.db import models

_INSERT = "INSERT INTO tickets_recount (after, created_at) VALUES (0, now()); RETURN NULL;"


class Recount(models.Model):
    """All open tickets' promised times are to be reckoned anew, for what they rest on was changed.

    Written by the database's own triggers, so that no way of changing a policy, a calendar or a holiday passes it by.
    `after` is the number of the last ticket that is done. Many that wait are done as one.
    """

    after = models.BigIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"Promised times after #{self.after}"


def anew(condition: str = "") -> list[pgtrigger.Trigger]:
    """Triggers for a model whose every change concerns promised times, or every update that meets a condition."""
    if condition:
        when = pgtrigger.Condition(condition)
        return [
            pgtrigger.Trigger(
                name="recount", when=pgtrigger.After, operation=pgtrigger.Update, condition=when, func=_INSERT
            )
        ]
    every = pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete
    return [
        pgtrigger.Trigger(
            name="recount", level=pgtrigger.Statement, when=pgtrigger.After, operation=every, func=_INSERT
        )
    ]


ANEW = anew()
