"""Cells of CSV that no spreadsheet runs, however it cuts the file.

A spreadsheet whose separator is a semicolon or a tab does not heed the quotes of a file with commas: it begins a cell
wherever its own separator stands in a text, and a row at every line of it. So a quote is put before what it would take
for a formula after any separator too, with or without double quotes between, and every cell is quoted for those that
cut at several separators at once. Source: OWASP, "CSV Injection".
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

_FORMULA = "=+\\-@\uff1d\uff0b\uff0d\uff20"  # in the widths that are taken for the same
_BEHIND = '((?<=[,;|\t\r\n])"*)'
# Quotes that stand before one already are doubled.
_FIRST = re.compile(f"\\A(?='*[{_FORMULA}\t\r\n])")
_INNER = re.compile(f"{_BEHIND}(?='*[{_FORMULA}])")
_FIRST_GUARD = re.compile(f"\\A'(?='*[{_FORMULA}\t\r\n])")
_INNER_GUARD = re.compile(f"{_BEHIND}'(?='*[{_FORMULA}])")
_IN_JSON = re.compile(f"({_BEHIND}'*)([{_FORMULA}])")


def neutral(text: str) -> str:
    """A quote before whatever a spreadsheet would take for a formula."""
    return _FIRST.sub("'", _INNER.sub(r"\1'", text))


def restored(text: str) -> str:
    """The text of a cell that `neutral` wrote."""
    return _FIRST_GUARD.sub("", _INNER_GUARD.sub(r"\1", text))


def neutral_json(text: str) -> str:
    """The same JSON, of an object: what begins a formula behind a separator is spelt in figures."""
    return _IN_JSON.sub(lambda found: f"{found[1]}\\u{ord(found[3]):04x}", text)


def lines(rows: Iterable[Sequence[object]]) -> bytes:
    """Rows of CSV in UTF-8, every cell quoted."""
    page = io.StringIO()
    csv.writer(page, quoting=csv.QUOTE_ALL).writerows(rows)
    return page.getvalue().encode("utf-8", "replace")
