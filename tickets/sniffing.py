"""What a file is, by its bytes: neither its name nor what a sender says of it is believed."""

from __future__ import annotations

import codecs
import re
import unicodedata
from pathlib import PurePosixPath

import filetype

from tickets.models.attachment import NAME_LIMIT

OTHER = "application/octet-stream"
_HEAD = 262_144  # bytes that are looked at
_MARKUP = re.compile(rb"<\s*(?:!doctype\s+html|html|head|body|script|iframe|svg|\?xml|[a-z]+:svg)\b", re.IGNORECASE)
_BLANK = b"\xef\xbb\xbf\xff\xfe \t\r\n\x00"
_MARKED = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
# Text is text: what kind of it changes nothing but the programs that open it, so here the name may speak.
_BY_ENDING = {".csv": "text/csv", ".json": "application/json", ".ics": "text/calendar", ".eml": "message/rfc822"}
_FORBIDDEN = re.compile(r'[\\/:*?"<>|\x00-\x1f\x7f]+')
_WINDOWS = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)


def type_of(content: bytes, name: str = "") -> str:
    """The media type of `content`, without parameters. Markup of any kind is text/html, SVG with it."""
    head = content[:_HEAD]
    if head.startswith(b"%PDF-"):  # which may be text all through
        return "application/pdf"
    found = filetype.guess(head)
    # "MZ" and "BM" begin words as well as programs: what is text all through is text.
    text = _is_text(head, whole=len(content) <= _HEAD)
    if text:
        return "text/html" if _is_markup(head) else _BY_ENDING.get(PurePosixPath(name.lower()).suffix, "text/plain")
    return str(found.mime) if found else OTHER


def safe_name(given: str, *, otherwise: str = "file") -> str:
    """A name that no file system, header or reader can be fooled by, its ending kept, up to NAME_LIMIT characters."""
    name = unicodedata.normalize("NFC", given.replace("\\", "/")).rpartition("/")[2]
    # format characters turn the reading direction round: "exe.gpj" would be read as "jpg.exe"
    name = "".join(one for one in name if unicodedata.category(one) not in ("Cf", "Cc", "Cs", "Co", "Cn"))
    name = " ".join(_FORBIDDEN.sub("_", name).split()).strip(". ")
    if not name or _WINDOWS.match(name):
        name = f"{otherwise}{'-' + name if name else ''}"
    stem, dot, ending = name.rpartition(".")
    if len(name) > NAME_LIMIT and dot and len(ending) < 20:
        return f"{stem[: NAME_LIMIT - len(ending) - 1]}.{ending}"
    return name[:NAME_LIMIT]


def _is_text(head: bytes, *, whole: bool) -> bool:
    """Whether these bytes are text in UTF-8, in UTF-16 with its mark, or in Windows-1252."""
    marked = _MARKED.get(head[:2])
    if marked is None and b"\x00" in head:
        return False
    for encoding in (marked,) if marked else ("utf-8", "cp1252"):
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(head, final=whole)
        except UnicodeDecodeError:
            continue
        controls = sum(1 for mark in text[:4096] if ord(mark) < 32 and mark not in "\t\r\n\f\x1b")
        return controls <= len(text[:4096]) // 200
    return False


def _is_markup(head: bytes) -> bool:
    """Whether a browser that guesses might take it for a page."""
    begin = head[:8192].replace(b"\x00", b"").lstrip(_BLANK)
    return begin.startswith(b"<") and _MARKUP.search(begin[:4096]) is not None
