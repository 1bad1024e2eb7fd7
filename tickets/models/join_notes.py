"""Triggers that note in the history of both tickets when they are linked, merged or split, and when that is undone."""

from __future__ import annotations

import pgtrigger

_NOTE = """
    INSERT INTO tickets_joinevent (ticket_id, other_id, what, words, ended, at, context)
    SELECT ticket, other, what, words, {ended}, now(),
        COALESCE(NULLIF(current_setting('pghistory.context_metadata', true), ''), NULL)::jsonb
    FROM (VALUES {lines}) line (ticket, other, what, words);
    RETURN NULL;
"""
_LINK = """
    ({row}.one_id, {row}.other_id, 'link', CASE {row}.kind
        WHEN 'related' THEN 'related to' WHEN 'duplicate' THEN 'duplicate of' ELSE 'blocks' END),
    ({row}.other_id, {row}.one_id, 'link', CASE {row}.kind
        WHEN 'related' THEN 'related to' WHEN 'duplicate' THEN 'has the duplicate' ELSE 'blocked by' END)"""
_MERGE = "(NEW.into_id, NEW.ticket_id, 'merged_here', '')"
_SPLIT = "(NEW.ticket_id, NEW.new_id, 'split_off', ''), (NEW.new_id, NEW.ticket_id, 'split_from', '')"


def _note(name: str, operation: pgtrigger.Operation, lines: str, *, ended: bool, only: str = "") -> pgtrigger.Trigger:
    return pgtrigger.Trigger(
        name=name,
        when=pgtrigger.After,
        operation=operation,
        condition=pgtrigger.Condition(only) if only else None,
        func=_NOTE.format(lines=lines, ended=str(ended).lower()),
    )


_UNDONE = "OLD.undone_at IS NULL AND NEW.undone_at IS NOT NULL"
LINK_TRIGGERS = [
    _note("linked", pgtrigger.Insert, _LINK.format(row="NEW"), ended=False),
    _note("unlinked", pgtrigger.Delete, _LINK.format(row="OLD"), ended=True),
]
# An undone split leaves the ticket it made as a merged one, with nothing to go back to: the split's line says that.
MERGE_TRIGGERS = [
    _note("merged", pgtrigger.Insert, _MERGE, ended=False, only="NEW.before IS NOT NULL"),
    _note("unmerged", pgtrigger.Update, _MERGE, ended=True, only=f"{_UNDONE} AND NEW.before IS NOT NULL"),
]
SPLIT_TRIGGERS = [
    _note("split", pgtrigger.Insert, _SPLIT, ended=False),
    _note("unsplit", pgtrigger.Update, _SPLIT, ended=True, only=_UNDONE),
]
