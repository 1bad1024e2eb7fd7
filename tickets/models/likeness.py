from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

_SET = "SET {} hnsw.iterative_scan = strict_order"


@contextmanager
def filtered_likeness() -> Iterator[None]:
    """For `nearest()` under further filters: the index goes on until enough of what it finds passes them.

    Without it the index gives its nearest forty, and of these only what passes, which may be none. Set once for a
    connection; within a transaction, which may take it back, each time.
    """
    connection.ensure_connection()
    if connection.in_atomic_block:
        with connection.cursor() as cursor:
            cursor.execute(_SET.format("LOCAL"))
    elif not getattr(connection.connection, "iterates", False):
        with connection.cursor() as cursor:
            cursor.execute(_SET.format("SESSION"))
        connection.connection.iterates = True
    yield
