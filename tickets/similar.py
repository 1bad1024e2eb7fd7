"""Tickets like a given one, as far as somebody may see them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.conf import settings
from django.contrib.postgres.search import SearchQuery, SearchRank, SearchVector

from tickets.models import Ticket
from tickets.models.likeness import filtered_likeness
from tickets.models.ticket import TicketQuerySet

# By words alone: how many of the newest tickets are looked at, how many of these are compared word by word, and how
# much two must have in common (2 x shared / all words, 0 to 1).
CANDIDATES = 2_000
COMPARED = 40
WORDS_ALIKE = 0.3
_MOST_WORDS = 40
_word = re.compile(r"\w{3,40}")
_SHOWN = ("number", "subject", "excerpt", "status", "created_at", "text_hash")


@dataclass(frozen=True, slots=True)
class Similar:
    """`likeness` is a cosine, or the share of common words where the ticket has no embedding (`by_words`)."""

    ticket: Ticket
    likeness: float
    same_text: bool = False
    by_words: bool = False


def similar_to(
    ticket: Ticket, among: TicketQuerySet, *, limit: int | None = None, at_least: float | None = None
) -> list[Similar]:
    """The likest of `among`, those with the same text before all others.

    At most `limit` (else TRIAGE_SIMILAR_K), none whose cosine is below `at_least` (else TRIAGE_SIMILAR_FROM).
    """
    others = among.exclude(pk=ticket.pk).filter(merged_into=None)  # its thread is found at its root
    most = settings.TRIAGE_SIMILAR_K if limit is None else limit
    least = settings.TRIAGE_SIMILAR_FROM if at_least is None else at_least
    if ticket.embedding is None:
        return _by_words(ticket, others, most)
    with filtered_likeness():
        near = list(others.nearest(ticket.embedding).only(*_SHOWN)[:most])
    found = [
        Similar(other, 1 - other.distance, same_text=bool(ticket.text_hash) and other.text_hash == ticket.text_hash)
        for other in near
        if 1 - other.distance >= least
    ]
    return sorted(found, key=lambda one: not one.same_text)


def _by_words(ticket: Ticket, others: TicketQuerySet, most: int) -> list[Similar]:
    mine = _words(ticket)
    if not mine:
        return []
    query = SearchQuery(" | ".join(f"'{word}'" for word in sorted(mine)), search_type="raw", config="simple")
    rank = SearchRank(SearchVector("subject", "excerpt", config="simple"), query)
    newest = others.order_by("-number").values("pk")[:CANDIDATES]
    ranked = Ticket.objects.filter(pk__in=newest).annotate(rank=rank).filter(rank__gt=0).order_by("-rank", "-number")
    found = [Similar(other, _shared(mine, _words(other)), by_words=True) for other in ranked.only(*_SHOWN)[:COMPARED]]
    alike = [one for one in found if one.likeness >= WORDS_ALIKE]
    return sorted(alike, key=lambda one: -one.likeness)[:most]


def _words(ticket: Ticket) -> frozenset[str]:
    return frozenset(_word.findall(f"{ticket.subject} {ticket.excerpt}".lower())[:_MOST_WORDS])


def _shared(mine: frozenset[str], theirs: frozenset[str]) -> float:
    return 2 * len(mine & theirs) / (len(mine) + len(theirs)) if theirs else 0.0
