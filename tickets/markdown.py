"""Markdown that people write, as HTML that cannot run, load or track anything."""

from __future__ import annotations

from functools import cache

import nh3
from django.utils.html import format_html, linebreaks
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from tickets.mentions import Mentions, split
from triage.models import User

INLINE = {"a", "br", "code", "em", "s", "strong"}
BLOCKS = {"p", "hr", "pre", "ul", "ol", "li", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6"}
TABLES = {"table", "thead", "tbody", "tr", "th", "td"}
RENDERED_AT_MOST = 20_000  # characters; beyond it markup helps nobody, and a text made to be slow would be


def render(text: str, mentions: Mentions | None = None) -> SafeString:
    """The text as safe HTML: no images, no raw HTML, links to the web and mail only. Line breaks stay.

    With `mentions`, of a comment of the staff, the people and teams that are named there are marked.
    """
    if len(text) > RENDERED_AT_MOST:
        return mark_safe(linebreaks(text, autoescape=True))  # noqa: S308  escaped by it
    html = _parser_of_comments().render(text, {"mentions": mentions}) if mentions else _parser().render(text)
    cleaned = nh3.clean(
        html,
        tags=INLINE | BLOCKS | TABLES | ({"span"} if mentions else set()),
        allowed_classes={"span": {"mention"}} if mentions else {},
        attributes={"a": {"href", "title"}, "ol": {"start"}, "span": {"title"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
    return mark_safe(cleaned)  # noqa: S308  cleaned by ammonia


@cache
def _parser_of_comments() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
    parser.core.ruler.after("inline", "mentions", _mark_mentions)
    return parser


def _mark_mentions(state: StateCore) -> None:
    """Give each name in plain words a token of its own; code and links stay as they are written."""
    for block in state.tokens:
        if block.type != "inline" or not block.children:
            continue
        marked: list[Token] = []
        inside_link = 0
        for token in block.children:
            inside_link += token.nesting if token.type in ("link_open", "link_close") else 0
            marked += [token] if token.type != "text" or inside_link else _marked(token, state.env["mentions"])
        block.children = marked


def _marked(token: Token, known: Mentions) -> list[Token]:
    tokens = []
    for words, who in split(token.content, known):
        if who is None:
            tokens.append(Token("text", "", 0, content=words))
        else:
            label = who.label if isinstance(who, User) else who.name
            tokens.append(Token("html_inline", "", 0, content=format_html(_MENTION, words, label)))
    return tokens


_MENTION = '<span class="mention" title="{}">@{}</span>'


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
