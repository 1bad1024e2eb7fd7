"""What of a text is read: the writer's own words, without quotes, signatures, markup and addresses."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# Read no further than this into one text. Tokens stop at 256 (about 1,200 characters of English), so what lies
# beyond could not matter, and a text of 10 MB costs no more than a long mail.
MAX_RAW = 16_000
MAX_CLEAN = 4_000
# Inquiry.text puts this between subject and turns, so that a quote or signature ends with its own message.
TURN = "\f"

_control = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_comment = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_fence = re.compile(r"^[ \t]*(```+|~~~+)[^\n]*\n(.*?)(?:^[ \t]*\1[^\n]*$|\Z)", re.DOTALL | re.MULTILINE)
_tag = re.compile(r"</?[a-zA-Z][^<>\n]{0,300}>")
_image = re.compile(r"!\[([^\]\n]{0,200})\]\([^)\s]{0,2000}\)")
_link = re.compile(r"\[([^\]\n]{1,300})\]\([^)\s]{0,2000}\)")
_url = re.compile(r"(?:https?|ftp)://[^\s<>)\]]{1,2000}|\bwww\.[^\s<>)\]]{1,2000}")
_address = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}")
_blob = re.compile(r"[A-Za-z0-9+/=_-]{80,}")
_quote_line = re.compile(r"^[ \t]*>.*$", re.MULTILINE)
_attribution = re.compile(
    r"^[ \t]*(?:On\b[^\n]{5,150}(?:\n[^\n]{0,100})?\bwrote|Am\b[^\n]{5,150}\bschrieb[^\n]{0,80}"
    r"|Le\b[^\n]{5,150}\ba écrit)[ \t]*:[ \t]*$",
    re.MULTILINE,
)
_forwarded = re.compile(
    r"^[ \t]*(?:-{3,}[ \t]*(?:Original Message|Forwarded message|Ursprüngliche Nachricht)[ \t]*-{3,}"
    r"|_{10,}[ \t]*\n[ \t]*From:|From:[^\n]{1,200}\n(?:Sent|Date|To):)",
    re.MULTILINE | re.IGNORECASE,
)
_signature = re.compile(r"^--[ \t]?$", re.MULTILINE)
_sent_from = re.compile(
    r"^[ \t]*(?:Sent from my|Get Outlook for|Von meinem \w+ gesendet)[^\n]{0,80}$", re.MULTILINE | re.IGNORECASE
)
_closing = re.compile(
    r"^[ \t]*(?:(?:kind|best|warm|many)[ \t]+(?:regards|wishes|thanks)|regards|cheers|sincerely"
    r"|yours(?:[ \t]+\w+)?|best|thanks(?:[ \t]+(?:again|in advance|a lot))?|thank you)[ \t]*[,.!]?[ \t]*$",
    re.MULTILINE | re.IGNORECASE,
)
_box = re.compile(r"^[ \t]*[-*][ \t]*\[[ xX]?\].*$|^[ \t]*_No response_[ \t]*$", re.MULTILINE)
_decoration = re.compile(r"^[ \t]*(?:#{1,6}[ \t]*|[-=*_]{3,}[ \t]*$|\|[-:| \t]+\|[ \t]*$)|\*\*|__|`", re.MULTILINE)
_spaces = re.compile(r"[^\S\n]+")
_breaks = re.compile(r"\s*\n\s*")


def clean(text: str) -> str:
    """The words to read, at most `MAX_CLEAN` characters, one line a paragraph."""
    return _clean(text[: 4 * MAX_RAW])


@lru_cache(maxsize=64)  # one reading asks several times for the same words
def _clean(text: str) -> str:
    parts = text.split(TURN)
    cleaned = [part for part in map(_clean_part, parts) if part]
    return "\n".join(cleaned)[:MAX_CLEAN].strip()


def _clean_part(text: str) -> str:
    text = unicodedata.normalize("NFC", text[:MAX_RAW]).replace("\r\n", "\n").replace("\r", "\n")
    text = _control.sub("", text)
    text = _comment.sub(" ", text)
    text = _fence.sub(_shorten_fence, text)
    text = _without_quotes(text)
    text = _without_signature(text)
    text = _image.sub(r"\1", text)
    text = _link.sub(r"\1", text)
    for pattern in (_tag, _url, _address, _box, _decoration, _blob):
        text = pattern.sub(" ", text)
    text = _spaces.sub(" ", text)
    return _breaks.sub("\n", text).strip()


def _shorten_fence(match: re.Match[str]) -> str:
    """Of a block of code or log the first two lines and the last two: a traceback says what it is about at its end."""
    lines = [line.strip()[:160] for line in match.group(2).splitlines() if line.strip()]
    if len(lines) > 4:
        lines = [*lines[:2], *lines[-2:]]
    return "\n".join(lines) + "\n"


def _without_quotes(text: str) -> str:
    forwarded = _forwarded.search(text)
    # A mail that only forwards something is about what it forwards.
    if forwarded and len(text[: forwarded.start()].strip()) > 20:
        text = text[: forwarded.start()]
    without = _quote_line.sub("", _attribution.sub("", text))
    return without if without.strip() else text


def _without_signature(text: str) -> str:
    dashes = _signature.search(text)
    if dashes and text[: dashes.start()].strip():
        text = text[: dashes.start()]
    text = _sent_from.sub("", text)
    closing = None
    for closing in _closing.finditer(text):  # noqa: B007 - the last one counts
        pass
    if closing and closing.start() > 0:
        rest = [line for line in text[closing.end() :].splitlines() if line.strip()]
        if len(rest) <= 6 and all(len(line) <= 80 for line in rest):
            text = text[: closing.start()]
    return text
