"""The words of each ticket, as PostgreSQL searches them. Kept by triggers, so that no way of writing passes it by."""

# ruff: noqa: S608 - the statements are put together from what stands here alone

from __future__ import annotations

import re
from typing import Any

import pgtrigger
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchHeadline, SearchQuery, SearchVectorField
from django.db import models
from django.db.models import Func, Value

# One configuration for all languages: stems and stop words of other languages come out wrong, but alike in text and
# query, and so they are found.
CONFIG = "english"
# Characters of one message that are searched, and bytes of a ticket's words: a tsvector may have 1 MB, and a text that
# is too long must not keep a ticket from being stored.
OF_A_MESSAGE = 50_000
OF_A_TICKET = 500_000
# Around a found word, as they come from the database: no text has them, and they are escaped with the rest.
START, STOP = "\x02", "\x03"
_LAST_WORD = re.compile(r"(?:^|\s)([^\W\d_]{3,40})$")
_EITHER = re.compile(r"\bor\b", re.IGNORECASE)

_WORDS_OF_TICKET = f"""
    setweight(to_tsvector('simple', {{row}}.number::text), 'A')
    || setweight(to_tsvector('{CONFIG}', {{row}}.subject), 'A')
    || setweight(to_tsvector('{CONFIG}', coalesce((
        SELECT concat_ws(' ', name, email, replace(email, '@', ' ')) FROM tickets_requester
        WHERE id = {{row}}.requester_id), '')), 'B')
"""
_NEW = f"""
    INSERT INTO tickets_searchtext (ticket_id, document) VALUES (NEW.number, {_WORDS_OF_TICKET.format(row="NEW")});
    RETURN NULL;
"""
_ANEW = f"""
    UPDATE tickets_searchtext SET document = {_WORDS_OF_TICKET.format(row="t")} || coalesce((
        SELECT to_tsvector('{CONFIG}', left(string_agg(left(m.text, {OF_A_MESSAGE}), ' ' ORDER BY m.id), {OF_A_TICKET}))
        FROM tickets_message m WHERE m.ticket_id = t.number), ''::tsvector)
    FROM tickets_ticket t WHERE t.number = {{number}} AND ticket_id = t.number;
    RETURN NULL;
"""
_MORE = f"""
    UPDATE tickets_searchtext SET document = document || to_tsvector('{CONFIG}', left(NEW.text, {OF_A_MESSAGE}))
    WHERE ticket_id = NEW.ticket_id AND pg_column_size(document) < {OF_A_TICKET};
    RETURN NULL;
"""


def _after(name: str, operation: pgtrigger.Operation, func: str, when: str = "") -> pgtrigger.Trigger:
    condition = pgtrigger.Condition(when) if when else None
    return pgtrigger.Trigger(name=name, when=pgtrigger.After, operation=operation, func=func, condition=condition)


_RENAMED = "OLD.subject IS DISTINCT FROM NEW.subject OR OLD.requester_id IS DISTINCT FROM NEW.requester_id"
_EDITED = "OLD.text IS DISTINCT FROM NEW.text OR OLD.ticket_id IS DISTINCT FROM NEW.ticket_id"
_MOVED = "OLD.ticket_id IS DISTINCT FROM NEW.ticket_id"
TICKET_TRIGGERS = [
    _after("search_new", pgtrigger.Insert, _NEW),
    _after("search_renamed", pgtrigger.Update, _ANEW.format(number="NEW.number"), _RENAMED),
]
MESSAGE_TRIGGERS = [
    _after("search_more", pgtrigger.Insert, _MORE),
    _after("search_edited", pgtrigger.Update, _ANEW.format(number="NEW.ticket_id"), _EDITED),
    _after("search_moved_away", pgtrigger.Update, _ANEW.format(number="OLD.ticket_id"), _MOVED),
    _after("search_less", pgtrigger.Delete, _ANEW.format(number="OLD.ticket_id")),
]


class SearchText(models.Model):
    """Number, subject, requester, messages and comments of a ticket as one tsvector. Apart: a ticket is read often."""

    ticket = models.OneToOneField("tickets.Ticket", models.CASCADE, primary_key=True, related_name="search_text")
    document = SearchVectorField()

    class Meta:
        indexes = [GinIndex(fields=["document"], name="search_document", fastupdate=False)]

    def __str__(self) -> str:
        return f"Words of #{self.ticket_id}"


def query_of(words: str) -> SearchQuery:
    """What somebody typed: words, "quotes", -without, or. The last word may be the beginning of one."""
    words = re.sub(r"(?<!\S)#(?=\d)", "", words.replace("\x00", " ")).strip()
    whole = SearchQuery(words, config=CONFIG, search_type="websearch")
    last = _LAST_WORD.search(words)
    if last is None or words.count('"') % 2 or last[1].lower() == "or":
        return whole
    begun = SearchQuery(f"{last[1]}:*", config=CONFIG, search_type="raw")
    rest = words[: last.start()].strip()
    if not rest:
        return begun
    begun = SearchQuery(rest, config=CONFIG, search_type="websearch") & begun
    # What has the whole word has its beginning; but an "or" binds what follows it to its right side alone.
    return whole | begun if _EITHER.search(rest) else begun


def found_in(text: str, query: SearchQuery, *, whole: bool = False) -> SearchHeadline:
    """The part of the column `text` (or the `whole` of it) with the words between START and STOP."""
    how: dict[str, Any] = {"highlight_all": True} if whole else {"max_words": 24, "min_words": 10, "max_fragments": 1}
    column = Func(models.F(text), Value(20_000), function="LEFT")
    return SearchHeadline(column, query, config=CONFIG, start_sel=START, stop_sel=STOP, **how)
