"""Fields decided for many tickets at once: each with its Review, its place among the examples, and its clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from tickets.actions import alterations, auditing, learning
from tickets.actions.alterations import Alteration, Held
from tickets.actions.carrying import give
from tickets.actions.decided import LABELS, normalise
from tickets.actions.errors import Invalid
from tickets.actions.review import DECIDED_BY_PEOPLE
from tickets.colleagues import colleagues_of
from tickets.models import Example, Review, Suggestion, Ticket
from triage.models import User
from triage.pipeline.types import MAX_TAGS


class _Decision(Alteration):
    """A person's decision of one field, with its Review, its place among the examples, and its clock."""

    teaches = True
    field: str

    def __init__(self, value: Any, by: User, total: int) -> None:
        super().__init__(value, by, total)
        self.reviews: list[Review] = []

    def decide(self, ticket: Ticket, value: Any) -> bool:
        before = ticket.value_of(self.field)
        setattr(ticket, self.field, value)
        after = ticket.value_of(self.field)
        if before == after and ticket.decided_by_person(self.field):
            return False
        ticket.provenance[self.field] = {
            "engine": "person",
            "confidence": 1.0,
            "band": "apply",
            "reason": "Set by a person.",
        }
        decision = Review.Decision.ACCEPTED if before == after else Review.Decision.CORRECTED
        self.reviews.append(
            Review(ticket=ticket, decision=decision, field=self.field, before=before, after=after, by=self.by)
        )
        self._reckon(ticket)
        return True

    def _reckon(self, ticket: Ticket) -> None:
        ticket.confidence = ticket.provenance.get("category", {}).get("confidence", ticket.confidence)

    def held(self, ticket: Ticket) -> Held:
        return {
            "value": ticket.value_of(self.field),
            "how": ticket.provenance.get(self.field),
            "confidence": ticket.confidence,
        }

    def put_back(self, ticket: Ticket, before: Held) -> None:
        setattr(ticket, self.field, _stored(self.field, before["value"]))
        if before["how"] is None:
            ticket.provenance.pop(self.field, None)
        else:
            ticket.provenance[self.field] = before["how"]
        self._reckon(ticket)
        if self.field == "category":
            ticket.confidence = before["confidence"]

    def settle(self, tickets: Sequence[Ticket]) -> dict[int, list[int]]:
        latest = Suggestion.objects.filter(ticket__in=tickets).order_by("ticket_id", "-pk").distinct("ticket_id")
        suggested = dict(latest.values_list("ticket_id", "pk"))
        for review in self.reviews:
            review.suggestion_id = suggested.get(review.ticket_id)
        made: dict[int, list[int]] = {}
        for review in Review.objects.bulk_create(self.reviews):
            made.setdefault(review.ticket_id, []).append(review.pk)
        self.reviews = []
        if self.total <= alterations.MANY:
            learning.remember_all(tickets)
        auditing.check_all(tickets)
        return made

    def unsettle(self, tickets: Sequence[Ticket], reviews: Sequence[int]) -> None:
        Review.objects.filter(pk__in=reviews).delete()  # what was taken back is no decision, and is not counted as one
        learning.remember_all(tickets)
        undecided = [one.pk for one in tickets if not learning.labels_of(one)]
        Example.objects.filter(ticket__in=undecided).delete()


class Field(_Decision):
    """`value` is [field, value] as the API spells it."""

    key = "value"

    def __init__(self, value: Any, by: User, total: int) -> None:
        super().__init__(value, by, total)
        self.field, given = value
        self.columns = (self.field, "provenance", "confidence")  # type: ignore[misc]
        self.moves = self.field == "team"  # type: ignore[misc]
        self.wanted = normalise(self.field, given)
        self.sees: set[int] = set()
        if self.moves:
            self.columns = (*self.columns, "assignee")  # type: ignore[misc]
            self.sees = set(colleagues_of(Ticket(team=self.wanted)).values_list("pk", flat=True))

    @classmethod
    def accepted(cls, given: str, by: User) -> tuple[Any, str]:
        name, _, value = given.partition(":")
        if name not in DECIDED_BY_PEOPLE or name in ("summary", "tags") or not value:
            raise Invalid("not_a_choice", "Choose a field and its value.", field=name)
        wanted = normalise(name, value)
        shown = wanted.name if name in LABELS else wanted
        return [name, wanted.key if name in LABELS else wanted], f"{name.replace('_', ' ').capitalize()} {shown}"

    def alter(self, ticket: Ticket) -> bool:
        is_new = self.decide(ticket, self.wanted)
        if is_new and self.moves and ticket.assignee_id and ticket.assignee_id not in self.sees:
            give(ticket, None, by_person=False)
        return is_new

    def held(self, ticket: Ticket) -> Held:
        given = {"assignee": ticket.assignee_id, "given": ticket.provenance.get("assignee")} if self.moves else {}
        return super().held(ticket) | given

    def put_back(self, ticket: Ticket, before: Held) -> None:
        """With a team also whoever had it, where nobody has or was to have it since."""
        super().put_back(ticket, before)
        if before.get("assignee") and ticket.assignee_id is None and "assignee" not in ticket.provenance:
            ticket.assignee = User.objects.filter(pk=before["assignee"]).first()
            if ticket.assignee is not None and before["given"] is not None:
                ticket.provenance["assignee"] = before["given"]


class _Tags(_Decision):
    field, key = "tags", "value"
    columns = ("tags", "provenance", "confidence")
    word: ClassVar[str]

    @classmethod
    def accepted(cls, given: str, by: User) -> tuple[Any, str]:
        tags = normalise("tags", given)
        if not tags:
            raise Invalid("blank", "Name a tag.", field="tags")
        return tags, f"{cls.word} {', '.join(tags)}"


class AddTags(_Tags):
    word = "Tagged"

    def alter(self, ticket: Ticket) -> bool:
        tags = list(dict.fromkeys([*ticket.tags, *self.value]))
        if tags == ticket.tags:
            return False
        if len(tags) > MAX_TAGS:
            raise Invalid("too_many", f"A ticket has up to {MAX_TAGS} tags.", field="tags")
        return self.decide(ticket, tags)


class RemoveTags(_Tags):
    word = "Untagged"

    def alter(self, ticket: Ticket) -> bool:
        tags = [tag for tag in ticket.tags if tag not in self.value]
        return tags != ticket.tags and self.decide(ticket, tags)


def _stored(name: str, value: Any) -> Any:
    """What was held before, to be held again: also a label that was retired meanwhile."""
    if name in LABELS:
        return LABELS[name]._default_manager.filter(key=value).first() if value else None
    if value is None:
        return None if name in ("tier", "is_technical") else [] if name == "tags" else ""
    return value
