"""Text that people wrote, as HTML that can do nothing: Markdown without HTML, then a sanitiser over the result."""

from __future__ import annotations

import re
from functools import lru_cache

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

LONGEST_RENDERED = 30_000  # characters; beyond, plain paragraphs are quicker and as readable
TAGS = {
    *("p", "br", "em", "strong", "s", "code", "pre", "blockquote", "ul", "ol", "li", "hr", "a"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "span"),
}
ATTRIBUTES = {"a": {"href", "title"}, "code": {"class"}, "ol": {"start"}, "span": {"class"}, "details": {"class"}}
_QUOTE_HEAD = re.compile(r"^(On .{5,200} wrote:|-{2,}\s*(Original|Forwarded) [Mm]essage\s*-{2,})\s*$", re.MULTILINE)


@lru_cache(maxsize=1)
def _markdown() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
    parser.disable(["image", "html_block", "html_inline"])  # an image from outside would tell its sender who reads
    return parser


def render_text(text: str) -> SafeString:
    """Safe HTML of a message: images become their links, what was quoted is folded."""
    words, quoted = split_quoted(text)
    html = _clean(words)
    if quoted:
        html += f'<details class="quoted"><summary>Quoted text</summary>{_clean(quoted)}</details>'
    return mark_safe(html)  # noqa: S308  nh3 cleaned both parts


def split_quoted(text: str) -> tuple[str, str]:
    """A message and the older mail it ends with: from "On … wrote:" or the last run of `>` lines on."""
    head = _QUOTE_HEAD.search(text)
    if head and text[: head.start()].strip():
        return text[: head.start()].rstrip(), text[head.start() :]
    lines = text.rstrip().split("\n")
    first = len(lines)
    while first > 0 and (lines[first - 1].startswith(">") or not lines[first - 1].strip()):
        first -= 1
    if len(lines) - first >= 3 and "".join(lines[:first]).strip():
        return "\n".join(lines[:first]).rstrip(), "\n".join(lines[first:])
    return text, ""


def _clean(text: str) -> str:
    if len(text) > LONGEST_RENDERED:
        escaped = nh3.clean_text(text).replace("&#10;", "\n").replace("&#32;", " ")
        return f"<pre>{escaped}</pre>"
    html = _markdown().render(text)
    return nh3.clean(
        html,
        tags=TAGS,
        attributes=ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
        strip_comments=True,
    )
