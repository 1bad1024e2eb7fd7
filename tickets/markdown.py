"""Markdown that people write, as HTML that cannot run, load or track anything."""

from __future__ import annotations

from functools import cache

import nh3
from django.utils.html import linebreaks
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

INLINE = {"a", "br", "code", "em", "s", "strong"}
BLOCKS = {"p", "hr", "pre", "ul", "ol", "li", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6"}
TABLES = {"table", "thead", "tbody", "tr", "th", "td"}
RENDERED_AT_MOST = 20_000  # characters; beyond it markup helps nobody, and a text made to be slow would be


def render(text: str) -> SafeString:
    """The text as safe HTML: no images, no raw HTML, links to the web and mail only. Line breaks stay."""
    if len(text) > RENDERED_AT_MOST:
        return mark_safe(linebreaks(text, autoescape=True))  # noqa: S308  escaped by it
    cleaned = nh3.clean(
        _parser().render(text),
        tags=INLINE | BLOCKS | TABLES,
        attributes={"a": {"href", "title"}, "ol": {"start"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
    return mark_safe(cleaned)  # noqa: S308  cleaned by ammonia


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
