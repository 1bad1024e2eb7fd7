"""Counting a few sets of rows at once, no further than anybody reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet

MOST = 1_000  # beyond, a queue shows "1,000+": to count a million rows takes longer than to show a page of them


def counted_up_to(sets: Mapping[str, QuerySet[Any]], most: int = MOST) -> dict[str, int]:
    """How many rows each set has, `most` + 1 where there are more. One query."""
    parts: list[str] = []
    values: list[Any] = []
    names: list[str] = []
    for name, rows in sets.items():
        try:
            sql, given = rows.order_by().values("pk")[: most + 1].query.sql_with_params()
        except EmptyResultSet:
            continue
        names.append(name)
        parts.append(f"(SELECT count(*) FROM ({sql}) s)")  # noqa: S608 - Django's own SQL, values apart
        values.extend(given)
    found = dict.fromkeys(sets, 0)
    if names:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {', '.join(parts)}", values)
            found.update(zip(names, cursor.fetchone(), strict=True))
    return found


def shown(count: int) -> str:
    """A count as people read it."""
    return f"{MOST:,}+" if count == MOST + 1 else f"{count:,}"
