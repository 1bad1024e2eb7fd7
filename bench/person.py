"""The simulated person at the desk: works by the product's own actions, and knows what each ticket is about."""

from __future__ import annotations

import threading

from bench.world import Mail, World


def name_of(number: int) -> str:
    """The external id of the day's ticket with that place in the order of arrival."""
    return f"day-{number}"


class Person:
    """Somebody at the desk who opens what is not applied and what the lot has drawn, sets it right, and answers."""

    def __init__(self, today: World) -> None:
        self.today = today
        self.decided = self.approved = 0
        self._seen: set[int] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="person", daemon=True)
        self._broke: Exception | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(60)
        if self._broke is not None:
            raise self._broke

    def _work(self) -> None:
        from django.db import connection

        try:
            while not self._stop.wait(0.5):
                for number, name in self._unopened():
                    self._seen.add(number)
                    self._open(number, self.today.mails[int(name.removeprefix("day-"))])
        except Exception as problem:
            self._broke = problem
        finally:
            connection.close()

    def _unopened(self) -> list[tuple[int, str]]:
        from tickets.models import Ticket

        read = Ticket.objects.filter(external_id__startswith="day-", triage_state="triaged")
        listed = read.order_by("number").values_list("number", "external_id")
        return [one for one in listed if one[0] not in self._seen]

    def _open(self, number: int, mail: Mail) -> None:
        from tickets.actions import replies, review
        from tickets.actions.drafts import last_inbound
        from tickets.models import Audit, Draft, Ticket
        from triage.models import User

        by = User.objects.get(username="admin")
        ticket = Ticket.objects.get(pk=number)
        applied = ticket.provenance.get("category", {}).get("band") == "apply"
        if applied and not Audit.objects.filter(ticket=ticket).exists():
            return
        if ticket.value_of("category") == mail.label:
            ticket = review.accept(ticket=ticket, fields=["category"], by=by)
        else:
            ticket = review.correct(ticket=ticket, changes={"category": mail.label}, by=by)
        self.decided += 1
        draft = Draft.objects.filter(ticket=ticket).first()
        if draft is not None and not draft.flags:
            seen = last_inbound(ticket)
            replies.approve(ticket=ticket, text=draft.text, version=draft.version, answers=seen, by=by)
            self.approved += 1
