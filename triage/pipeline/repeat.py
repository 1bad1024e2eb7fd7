"""Steps one and three for a text that was read before: its verdict is taken over, and no model is asked."""

from __future__ import annotations

from triage.mask import redact
from triage.pipeline.classify import Classified, Heard
from triage.pipeline.draft import Draft, Fields
from triage.pipeline.replies import GREETING, hello, language_in
from triage.pipeline.replies.template import from_template
from triage.pipeline.types import Context, Earlier, Inquiry


def classify_again(earlier: Earlier, heard: Heard) -> Classified:
    """The earlier readings; what must be seen by a person was looked for anew."""
    return Classified(earlier.readings, policy=heard.policy)


def draft_again(inquiry: Inquiry, fields: Fields, context: Context, earlier: Earlier) -> Draft:
    """The earlier draft where it may be shown to this customer, else one from the templates."""
    if earlier.draft is None:
        return Draft(from_template(inquiry, fields, context))
    return Draft(earlier.draft, notes=earlier.notes)


def readdressed(text: str, *, names: tuple[str, ...], to: str) -> str | None:
    """A draft written for a customer called `names`, for another one who sent the same words.

    None where anything in it could be of the first customer: a name, an address, a number.
    """
    first, _, rest = text.partition("\n\n")
    body = rest if GREETING.fullmatch(first.strip()) else text
    if not body.strip() or redact(body, names) != body.strip():
        return None
    return f"{hello(to, language_in(body))}\n\n{body.strip()}"
