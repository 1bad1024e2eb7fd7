"""Personal values out of a text before it leaves for a language model, and back into what returns.

A value becomes a placeholder such as [EMAIL_1], the same one wherever it stands. `redact` is the other way to part with
them: for words of one customer shown to another, and nothing brings them back.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from triage.personal import pieces

# As it is given out, and as a model may give it back: in lower case, in other brackets, without any.
PLACEHOLDER = re.compile(
    r"(?i)[\[({<] ?(EMAIL|KEY|IBAN|CARD|IP|PHONE|NAME)[_ -](\d{1,9}) ?[\])}>]"
    r"|(?<!\w)(EMAIL|KEY|IBAN|CARD|IP|PHONE|NAME)_(\d{1,9})(?!\w)",
    re.ASCII,
)
# Whatever could be taken for one, once its neighbours are masked too.
_like_one = re.compile(r"(?i)(EMAIL|KEY|IBAN|CARD|IP|PHONE|NAME)[_ -](\d{1,9})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Masked:
    """`restore` maps a placeholder to the value it stands for; `counts` says how many values of each kind there are."""

    text: str
    restore: Mapping[str, str]
    counts: Mapping[str, int]


def mask(text: str, names: Sequence[str] = ()) -> Masked:
    """Mask one text. `unmask(masked.text, masked.restore)` is `text` again, whatever it held."""
    (masked,), restore, counts = mask_all([text], names)
    return Masked(masked, restore, counts)


def mask_all(
    texts: Sequence[str], names: Sequence[str] = (), *, ours: int = 0
) -> tuple[list[str], dict[str, str], dict[str, int]]:
    """Mask several texts that go out together, one value by one placeholder in all of them.

    The first `ours` of them are the desk's own words: a customer called Grant Access is not named there.
    """
    taken = {mark for place, text in enumerate(texts) for mark in (_marks_in_ours if place < ours else _marks_in)(text)}
    marks: dict[tuple[str, str], str] = {}
    numbers: Counter[str] = Counter()

    def mark(kind: str, value: str) -> str:
        if not kind:
            return value
        while (kind, value) not in marks:
            numbers[kind] += 1
            candidate = f"[{kind}_{numbers[kind]}]"
            if candidate not in taken:  # somebody wrote those very letters: they mean themselves
                marks[kind, value] = candidate
        return marks[kind, value]

    masked = [
        "".join(mark(*piece) for piece in (_pieces_of_ours(text) if place < ours else pieces(text, names)))
        for place, text in enumerate(texts)
    ]
    counts = Counter(kind.lower() for kind, _ in marks)
    return masked, {placeholder: value for (_, value), placeholder in marks.items()}, dict(counts)


def _marks_in(text: str) -> frozenset[str]:
    return frozenset(f"[{kind.upper()}_{int(number)}]" for kind, number in _like_one.findall(text))


# The desk's own words go out with every ticket, the same ones each time.
_marks_in_ours = lru_cache(maxsize=32)(_marks_in)
_pieces_of_ours = lru_cache(maxsize=32)(pieces)


def unmask(text: str, restore: Mapping[str, str]) -> str:
    """Put the values back. A placeholder that nobody gave out stays as it is."""
    return PLACEHOLDER.sub(lambda match: restore.get(_mark(match), match.group()), text)


def _mark(match: re.Match[str]) -> str:
    """The placeholder that is meant, as it is given out."""
    return f"[{(match[1] or match[3]).upper()}_{int(match[2] or match[4])}]"


def unmask_json(text: str, restore: Mapping[str, str]) -> str:
    """The same within JSON, where a quote or backslash in a value must not end its string."""
    return unmask(text, {mark: json.dumps(value, ensure_ascii=False)[1:-1] for mark, value in restore.items()})


_neutral = {
    "EMAIL": "(e-mail address)",
    "KEY": "(secret)",
    "IBAN": "(account number)",
    "CARD": "(card number)",
    "IP": "(IP address)",
    "PHONE": "(phone number)",
    "NAME": "(name)",
}
_greeting = re.compile(
    r"(?im)^([ \t>*_]{0,8})(hi|hello|hey|dear|good (?:morning|afternoon|evening|day)|hallo|guten (?:tag|morgen|abend)"
    r"|liebe[rs]?|sehr geehrte[rs]?|bonjour|bonsoir|salut|cher|chère|hola|estimad[oa]|ciao|gentile|olá|beste|geachte)"
    r"((?:[ \t]{1,3}[^\s,!:;]{1,40}){1,4})(?=[ \t]{0,3}(?:[,!:;]|$))"
)
_farewell = re.compile(
    r"(?im)^[ \t]{0,8}(?:(?:kind|best|warm|kindest|many)?[ \t]?(?:regards|wishes)"
    r"|(?:yours )?(?:sincerely|truly|faithfully)|(?:many )?thanks|thank you|cheers|best"
    r"|mit freundlichen grüßen|(?:viele|beste|liebe) grüße|cordialement|bien à vous"
    r"|(?:un )?saludos?|cordiali saluti|met vriendelijke groet)[ \t]{0,3}[,.!]?[ \t]{0,8}$"
)
_query = re.compile(r"(https?://[^\s?#]++)[?#]\S++")
_street = re.compile(
    r"(?<!\w)(?:\d{1,5}[a-zA-Z]?[ \t](?:[A-Z][\w'-]{0,30}[ \t]){1,3}(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr"
    r"|Boulevard|Blvd|Way|Court|Ct|Square|Place|Terrace|Close)(?!\w)|[A-ZÄÖÜ][\wäöüß-]{0,30}(?:straße|strasse|str\.|gasse"
    r"|weg|platz|allee)[ \t]\d{1,4}[a-z]?(?!\w)|\d{1,4},?[ \t](?:rue|avenue|boulevard|place)[ \t][^\n,]{1,40})"
)
_reference = re.compile(
    r"(?i)(?<!\w)((?:order|invoice|ticket|case|reference|ref|customer|client|account|booking|contract|policy|tracking"
    r"|serial|subscription|transaction|bestellung|rechnung|kunden|commande|facture|pedido|factura)"
    r"(?:nummer|[ \t](?:number|no\.?|nr\.?|id|num|code))?[ \t]{0,2}[:#]{0,2}[ \t]{0,2})"
    r"(#?(?=[a-z-]{0,10}\d)[a-z0-9][a-z0-9-]{2,30})(?!\w)"
)
_number = re.compile(
    r"(?<![\w.])(?:#\d{2,12}|[A-Z]{1,6}[-_]?\d{4,20}|\d{5,}+(?:-\d{1,6})?"  # references, US postal codes
    r"|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}|[A-Z]\d[A-Z] ?\d[A-Z]\d"  # British and Canadian postal codes
    r"|(?:[A-Z]{1,2}-)?(?!19|20)\d{4}(?= [A-ZÄÖÜÉ][a-zäöüéß]{2,})|\d{4} [A-Z]{2})(?!\w)"  # 8001 Zürich, 1016 AB
)
_nobody = "there all team everyone everybody folks again customer support sir madam colleague friend"


def redact(text: str, names: Sequence[str] = ()) -> str:
    """A reply once written to one customer, fit to be shown to another: no names, addresses or numbers of the first.

    The salutation loses its name, the farewell and what follows it go; query strings of links go. Neutral words in
    round brackets stand where something stood. Over-careful by intention: a person reads the result.
    """
    text = _without_farewell(text)
    found = [
        word for match in _greeting.finditer(text) for word in match[3].split() if word.lower() not in _nobody.split()
    ]
    text = _greeting.sub(lambda match: match[1] + ("Hello" if match[2].lower() == "dear" else match[2]), text)
    text = _query.sub(r"\1", text)
    known = (*names, *(word for word in found if word[:1].isupper()))
    text = "".join(_neutral.get(kind, value) for kind, value in pieces(text, known))
    text = _street.sub("(address)", text)
    text = _reference.sub(r"\1(number)", text)
    return _number.sub("(number)", text).strip()


def _without_farewell(text: str) -> str:
    for match in reversed(list(_farewell.finditer(text))):
        if match.start() and len(text) - match.end() <= 300:
            return text[: match.start()].rstrip()
    return text
