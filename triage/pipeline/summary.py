"""A ticket in a line, without a model: the first sentences that say something."""

from __future__ import annotations

import re

from triage.embedding.clean import clean
from triage.pipeline.types import Inquiry

MAX_SUMMARY = 200
_sentence = re.compile(r"[^.!?\n]{1,600}(?:[.!?]+(?=\s|$)|\n|$|[.!?](?=\S)[^\s]{0,60})*")
_pleasantry = re.compile(
    r"(?:hi|hello|hey|dear|good (?:morning|afternoon|evening|day)|greetings|to whom it may concern)\b.{0,40}"
    r"|(?:i )?hope (?:you|this|all).{0,60}|thank(?:s| you)\b.{0,60}|please (?:help|advise)\W*|(?:kind|best) regards.*",
    re.IGNORECASE,
)
_template_heading = re.compile(
    r"(?:describe the (?:bug|problem|issue)|steps to reproduce|to reproduce|repro steps|expected(?: behaviou?r)?"
    r"|actual(?: behaviou?r)?|current behaviou?r|environment|version|additional context|is your feature request.{0,60}"
    r"|website or app|what happened|bug report|feature request|description|summary|problem|steps)\W*",
    re.IGNORECASE,
)


def summarise(inquiry: Inquiry) -> str:
    """At most 200 characters: the first informative sentences of the customer's first message, or the subject."""
    subject = clean(inquiry.subject).replace("\n", " ").strip()
    first = next((turn.text for turn in inquiry.turns if turn.author == "customer" and turn.text.strip()), "")
    chosen = ""
    for sentence in _sentences(clean(first)):
        longer = f"{chosen} {sentence}".strip()
        if chosen and len(longer) > MAX_SUMMARY:
            break
        chosen = longer
        if len(chosen) >= 80:
            break
    if len(chosen) < 20 and subject:
        chosen = f"{subject}. {chosen}".rstrip(". ") + "." if chosen else subject
    return _shortened(chosen)


def _sentences(words: str) -> list[str]:
    found = (match.group().strip() for match in _sentence.finditer(words[:2_000]))
    return [
        sentence
        for sentence in found
        if len(sentence) > 3
        and not _pleasantry.fullmatch(sentence.rstrip(".!,"))
        and not _template_heading.fullmatch(sentence)
    ]


def _shortened(text: str) -> str:
    if len(text) <= MAX_SUMMARY:
        return text
    return text[: MAX_SUMMARY - 1].rsplit(" ", 1)[0].rstrip(" ,;:-") + "\u2026"
