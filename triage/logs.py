"""What a log line must not hold."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any

# PostgreSQL quotes the row it refused ("DETAIL:  Failing row contains (…)"): the customer's words, over many lines.
_quoted_row = re.compile(r"\n(?:DETAIL|CONTEXT):.*?(?=\n\n(?:The above|During handling)|\Z)", re.DOTALL)


def cut_quoted_rows(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take out of an exception's text what the database quotes of the row. A structlog processor."""
    if isinstance(event.get("exception"), str):
        event["exception"] = _quoted_row.sub("\n(quoted row cut)", event["exception"])
    return event
