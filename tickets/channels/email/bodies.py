"""What a mail says: its text in whatever charset, its HTML made safe, and text out of HTML."""

from __future__ import annotations

import re
from email.message import Message
from functools import cache
from html.parser import HTMLParser

import nh3

from tickets.channels.base import clean_text
from tickets.markdown import BLOCKS, INLINE, TABLES

HTML_LIMIT = 1_000_000  # characters of HTML that are read; what is longer is cut, and the text said so
TAGS = (
    INLINE | BLOCKS | TABLES | {"b", "i", "u", "div", "span", "img", "dl", "dt", "dd", "sub", "sup", "small", "tfoot"}
)
_BREAKS = {"p", "div", "tr", "li", "ul", "ol", "table", "blockquote", "pre", "hr", "br", "dl", "dt", "dd"} | {
    f"h{level}" for level in range(1, 7)
}
_APART = {"p", "ul", "ol", "table", "blockquote", "pre", "dl"} | {f"h{level}" for level in range(1, 7)}
_CID = re.compile(r"^cid:", re.IGNORECASE)
# Names that mail programs give to charsets, and Python does not know.
CHARSETS = {"unicode-1-1-utf-7": "utf-7", "x-user-defined": "cp1252", "default": "utf-8", "ansi": "cp1252",
            "iso-8859-8-i": "iso-8859-8", "x-sjis": "shift_jis", "x-gbk": "gbk", "cp-850": "cp850"}  # fmt: skip


def content_of(part: Message) -> bytes:
    """The content of one part without its transfer encoding, as far as that can be undone."""
    try:
        content = part.get_payload(decode=True)
    except (ValueError, AssertionError, LookupError, UnicodeError):
        content = None
    if isinstance(content, bytes):
        return content
    held = part.get_payload()
    return held.encode("utf-8", "surrogateescape") if isinstance(held, str) else b""


def text_of(part: Message) -> str:
    """The words of one text part: in its charset, else in UTF-8, else in that of Windows."""
    content = content_of(part)
    try:
        named = str(part.get_content_charset() or "").strip().lower()
    except (LookupError, UnicodeError, ValueError):
        named = ""
    named = CHARSETS.get(named, named)
    for charset in dict.fromkeys(one for one in (named, "utf-8") if one and one != "us-ascii"):
        try:
            return str(clean_text(content.decode(charset)))
        except (LookupError, UnicodeError):
            continue
    return str(clean_text(content.decode("cp1252", "replace")))


def safe_html(html: str) -> str:
    """The HTML of a mail without anything that runs, loads or tells the sender that it was opened.

    Images are those that came along: their source is `cid:` and the name of the part; whoever shows it puts the
    address of the attachment there.
    """
    return nh3.clean(
        html[:HTML_LIMIT],
        tags=TAGS,
        attributes={
            "a": {"href", "title"},
            "img": {"src", "alt", "width", "height"},
            "ol": {"start"},
            "td": {"colspan", "rowspan"},
            "th": {"colspan", "rowspan"},
        },
        attribute_filter=_without_outside_images,
        url_schemes={"http", "https", "mailto", "tel", "cid"},
        link_rel="noopener noreferrer nofollow",
    )


def _without_outside_images(tag: str, attribute: str, value: str) -> str | None:
    if tag == "img" and attribute == "src":
        return value if _CID.match(value) else None
    if attribute in ("width", "height"):
        return value if value.isascii() and value.isdigit() and len(value) < 5 else None
    return None if attribute == "href" and _CID.match(value) else value


def text_from(safe: str) -> str:
    """Plain text of HTML that was made safe: quotations as `>`, links with their address, lists with a dash."""
    reader = _Text()
    reader.feed(safe)
    reader.close()
    return reader.text()


class _Text(HTMLParser):
    """Lines, each with how deep it is quoted."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[tuple[int, str]] = []
        self.line: list[str] = []
        self.depth = 0
        self.verbatim = 0
        self.link = ""
        self.linked: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in _BREAKS:
            self._end_line(apart=tag in _APART)
        if tag == "blockquote":
            self.depth = min(self.depth + 1, 20)
        elif tag == "pre":
            self.verbatim += 1
        elif tag == "li":
            self.line.append("- ")
        elif tag in ("td", "th") and self.line:
            self.line.append("\t")
        elif tag == "a":
            self.link, self.linked = given.get("href") or "", []
        elif tag == "img" and given.get("alt"):
            self.line.append(f"[{given['alt']}]")

    def handle_endtag(self, tag: str) -> None:
        if tag in _BREAKS and tag != "br":
            self._end_line(apart=tag in _APART)
        if tag == "blockquote":
            self.depth = max(self.depth - 1, 0)
        elif tag == "pre":
            self.verbatim = max(self.verbatim - 1, 0)
        elif tag == "a":
            words = " ".join("".join(self.linked).split())
            bare = self.link.removeprefix("mailto:").rstrip("/")
            if bare and words and bare != words.rstrip("/") and self.link.startswith(("http", "mailto")):
                self.line.append(f" ({bare})")
            self.link = ""

    def handle_data(self, data: str) -> None:
        if self.link:
            self.linked.append(data)
        if not self.verbatim:
            self.line.append(re.sub(r"[\s\u200b\ufeff]+", " ", data))
            return
        first, *others = data.split("\n")
        self.line.append(first)
        for other in others:
            self._end_line()
            self.line.append(other)

    def _end_line(self, *, apart: bool = False) -> None:
        words = "".join(self.line)
        self.line = []
        words = words.rstrip() if self.verbatim else words.strip()
        if words or self.verbatim:
            self.lines.append((self.depth, words))
        if apart and self.lines and self.lines[-1][1]:
            self.lines.append((self.depth, ""))

    def text(self) -> str:
        self._end_line()
        depths = [depth for depth, _ in self.lines]
        for number, (depth, words) in enumerate(self.lines):
            if not words and number + 1 < len(depths):  # a gap belongs to the quotation only where that goes on
                depths[number] = min(depth, depths[number + 1])
        quoted = zip(depths, self.lines, strict=True)
        said = "\n".join(("> " * depth + words).rstrip() for depth, (_, words) in quoted)
        return re.sub(r"\n(?:(?:> ?)*\n){2,}", "\n\n", said).strip()


@cache
def looks_like_html() -> re.Pattern[str]:
    """What begins as a document of HTML does, in mails that name it plain text."""
    return re.compile(r"^\s*(<!doctype html|<html[\s>])", re.IGNORECASE)
