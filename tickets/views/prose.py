"""A message as it is read: its words as safe HTML, the older mail it quotes folded away."""

from __future__ import annotations

import re

from django.utils.html import format_html
from django.utils.safestring import SafeString

from tickets.markdown import render

_QUOTE_HEAD = re.compile(r"^(On .{5,200} wrote:|-{2,}\s*(Original|Forwarded) [Mm]essage\s*-{2,})\s*$", re.MULTILINE)
FEWEST_QUOTED = 3  # lines: a shorter quotation at the end is part of what is said


def render_text(text: str) -> SafeString:
    words, quoted = split_quoted(text)
    if not quoted:
        return render(words)
    return format_html(
        '{}<details class="quoted"><summary>Quoted text</summary>{}</details>', render(words), render(quoted)
    )


def split_quoted(text: str) -> tuple[str, str]:
    """A message, and the older mail it ends with: from "On … wrote:" on, or the last lines that begin with `>`."""
    head = _QUOTE_HEAD.search(text)
    if head and text[: head.start()].strip():
        return text[: head.start()].rstrip(), text[head.start() :]
    lines = text.rstrip().split("\n")
    first = len(lines)
    while first > 0 and (lines[first - 1].startswith(">") or not lines[first - 1].strip()):
        first -= 1
    if len(lines) - first >= FEWEST_QUOTED and "".join(lines[:first]).strip():
        return "\n".join(lines[:first]).rstrip(), "\n".join(lines[first:])
    return text, ""
