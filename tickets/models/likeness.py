from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction


@contextmanager
def filtered_likeness() -> Iterator[None]:
    """For `nearest()` under further filters: the index goes on until enough of what it finds passes them.

    Without it the index gives its nearest forty, and of these only what passes, which may be none.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL hnsw.iterative_scan = strict_order")
        yield
