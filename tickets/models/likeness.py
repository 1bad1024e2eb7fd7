from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connection

# Where the likest of a million are all another team's, going on to the 20,000th takes seconds; what is less like than
# 2,000 others is hardly worth them.
_SET = "SET {0} hnsw.iterative_scan = strict_order; SET {0} hnsw.max_scan_tuples = {1}"
MOST = 2_000
MOST_IN_TESTS = 20_000  # what was rolled back stays in the index until a vacuum, and counts


@contextmanager
def filtered_likeness() -> Iterator[None]:
    """For `nearest()` under further filters: the index goes on until enough of what it finds passes them.

    Without it the index gives its nearest forty, and of these only what passes, which may be none; with it of the
    nearest 2,000. Set once for a connection; within a transaction, which may take it back, each time.
    """
    connection.ensure_connection()
    most = MOST_IN_TESTS if settings.TESTING else MOST
    if connection.in_atomic_block:
        with connection.cursor() as cursor:
            cursor.execute(_SET.format("LOCAL", most))
    elif not getattr(connection.connection, "iterates", False):
        with connection.cursor() as cursor:
            cursor.execute(_SET.format("SESSION", most))
        connection.connection.iterates = True
    yield
