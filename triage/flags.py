"""What of a reply a person should look at twice: addresses that nobody gave, and promises nobody may have meant.

A link, an address or a number is flagged unless the very same one stands in what is known: the conversation, and the
answers that the reply leans on. A promise is flagged unless it is the desk's own: that a customer asked for it gives
no leave. Nothing here is a judgement of the reply as a whole; each flag marks its very words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from triage import personal
from triage.personal import Span

Kind = Literal["link", "address", "phone", "account", "secret", "machine", "ticket", "promise"]
MOST = 50  # a reply with more has one flag's worth of trouble


@dataclass(frozen=True, slots=True)
class Flag:
    """`words` stand at `start` of the text. A promise is pointed out; all else also wants a second yes."""

    kind: Kind
    words: str
    start: int

    @property
    def asks(self) -> bool:
        return self.kind != "promise"


def flags(text: str, known: Iterable[str] = (), own: Iterable[str] = ()) -> tuple[Flag, ...]:
    """The flags of `text`, in its order, none within another.

    `known` are the texts whose addresses and amounts are no news, `own` those of the desk, whose promises hold too.
    Both are read only as far as something of `text` is still news, `own` first.
    """
    found = [(span, kind, _key(text, span)) for kind, span in (*_named(text), *_promised(text))]
    news = {key for _, _, key in found}
    for given, finders in ((own, (_named, _promised)), (known, (_named,))):
        for words in map(visible, given) if news else ():
            news.difference_update(_key(words, span) for finder in finders for _, span in finder(words))
            if not news:
                break
    kept: list[Flag] = []
    reached = 0
    for (start, end), kind, key in sorted(found, key=lambda one: (one[0][0], -one[0][1])):
        if key in news and start >= reached and len(kept) < MOST:
            kept.append(Flag(kind, text[start:end], start))
            reached = end
    return tuple(kept)


_fillers = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_selectors = ((0xFE00, 0xFE0F), (0xE0100, 0xE01EF))
_unseen = re.compile(f"[{''.join(_fillers)}{''.join(f'{chr(first)}-{chr(last)}' for first, last in _selectors)}]")
_lines = {ord("\n"): None, ord("\t"): None}


def visible(text: str) -> str:
    """The text without what cannot be seen: zero-width, bidirectional and tag characters, fillers, controls.

    The joiners stay within Arabic and Indic words, which are misspelt without them.
    """
    if text.translate(_lines).isprintable() and not _unseen.search(text):
        return text
    return "".join(
        character for place, character in enumerate(text) if character in "\n\t" or _is_seen(text, place, character)
    )


def _is_seen(text: str, place: int, character: str) -> bool:
    if character < "\u00ad" and character.isprintable():
        return True
    if character in "\u200c\u200d":
        around = text[place - 1 : place] + text[place + 1 : place + 2]
        return len(around) == 2 and all(
            "\u0600" <= one <= "\u0dff" and unicodedata.category(one)[0] in "LM" for one in around
        )
    if character in _fillers or any(first <= ord(character) <= last for first, last in _selectors):
        return False
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def links(text: str) -> Iterator[Span]:
    """Whatever a reader or their program may take for a link, markup of pictures and frames among it."""
    folded = _folded(text)
    for pattern in _links:
        for match in pattern.finditer(folded):
            start, end = match.span("link")
            words = folded[start:end].rstrip(_AFTER)
            if words.endswith(")") and "(" not in words:  # the bracket is the sentence's, not the link's
                words = words.rstrip(f"{_AFTER})")
            if words:
                yield start, start + len(words)


_AFTER = ".,;:!?'\"*_\u201d\u2019"


# Domains are told from file names and sentences by their endings: with a path any may be one, without it the usual.
_endings = (
    "com|net|org|info|biz|io|co|ai|app|dev|xyz|site|online|shop|store|top|link|click|page|cloud|live|pro|tech|example"
    "|test|invalid|onion|edu|gov|mil|eu|de|fr|uk|ch|nl|es|pt|br|ru|cn|jp|us|ca|au|se|dk|pl|cz|ua|tk|ml|gg|ly|cc|tv|ws"
)
# What a mail program may heed; <your name> and <module> are words.
_tags = (
    "a|applet|area|audio|b|base|body|button|canvas|details|div|embed|font|form|frame|frameset|h[1-6]|head|html|i|iframe"
    "|image|img|input|link|marquee|math|meta|object|p|picture|script|select|source|span|style|svg|table|template"
    "|textarea|title|track|u|video"
)
_links = (
    re.compile(r"(?<![\w+.-])(?P<link>[A-Za-z][A-Za-z0-9+.-]{1,15}:/{1,3}[^\s<>\"'`\\]++)"),
    re.compile(r"(?i)(?<!\w)(?P<link>(?:mailto|tel|sms|javascript|data|vbscript|callto|skype|whatsapp):[^\s<>\"'`]++)"),
    re.compile(r"(?i)(?<![\w./-])(?P<link>www\.[^\s<>\"'`]++)"),
    re.compile(r"(?<![\w:/.])(?P<link>//[\w-]++(?:\.[\w-]++)++[^\s<>\"'`]*+)"),
    re.compile(
        rf"(?i)(?<![\w@/.-])(?P<link>(?:[^\W_](?:[\w-]{{0,61}}[^\W_])?\.){{1,8}}"
        rf"(?:(?-i:{_endings}|xn--[\w-]{{2,59}})(?![\w-])(?!\.\w)(?:[:/?#][^\s<>\"'`]*+)?|[^\W\d_]{{2,24}}(?::\d+)?/[^\s<>\"'`]++))"
    ),
    re.compile(r"(?<![\w-])(?P<link>[\w-]{1,63}(?: ?[\[({] ?(?:\.|dot) ?[\])}] ?[\w-]{1,63}){1,5}(?:/[^\s<>\"'`]*+)?)"),
    re.compile(r"\]\([ \t]{0,9}<?(?P<link>[^\s()<>]++)"),
    re.compile(r"(?m)^[ \t>]{0,9}\[[^\]\n]{1,100}\]:[ \t]{0,9}<?(?P<link>[^\s<>]++)"),
    re.compile(rf"(?i)(?P<link><(?:!--|/?(?:{_tags})(?![\w-])|[a-z][\w-]{{0,30}}\s[^<>=]{{0,200}}=)[^<>]{{0,500}}>?)"),
)
_spelt_address = re.compile(
    r"(?i)(?<![\w.+-])[\w.+-]{1,64} ?[\[({] ?(?:at|@) ?[\])}] ?[\w-]{1,63}"
    r"(?: ?(?:\.|[\[({] ?(?:dot|\.) ?[\])}]) ?[\w-]{1,63}){1,4}"
    r"|(?<![\w.+-])[\w.+-]{1,64} at [\w-]{1,63}(?: dot [\w-]{1,63}){1,4}"
)
_handle = re.compile(r"(?<![\w@.])@[A-Za-z_]\w{3,31}")
_wallet = re.compile(
    r"(?<![A-Za-z0-9])(?:bc1[a-z0-9]{25,60}|0x[0-9a-fA-F]{40}|[13][1-9A-HJ-NP-Za-km-z]{25,34}|T[1-9A-HJ-NP-Za-km-z]{33})"
    r"(?![A-Za-z0-9])"
)
_other_ticket = re.compile(r"(?<![\w&/])#\d{1,12}(?!\w)|(?i:(?<!\w)ticket (?:number |no\.? )?\d{1,12}(?!\w))")
_promises = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?<!\w)(?:we|i|you)(?:'ll|\u2019ll| will| shall| have| are going to) (?:\w+ ){0,4}"
        r"(?:refund|credit|voucher|discount|compensat|reimburs)\w{0,9}",
        r"(?<!\w)(?:guarantee[ds]?|we promise|free of charge|full refund)(?!\w)",
        r"(?<!\w)your refund (?:is|has|was|will)(?: \w+)?",
        r"(?<!\w)(?:will|shall) be (?:fixed|resolved|refunded|ready|released|delivered|credited|repaid|shipped|deleted)"
        r"(?: (?:by|on|within|before|until|today|tomorrow)(?: \w{1,12}){0,3})?",
        r"(?<!\w)(?:by|until|before|no later than) (?:mon|tues|wednes|thurs|fri|satur|sun)day(?!\w)",
        r"(?<!\w)(?:by|until|before|no later than|on) (?:\d{1,2}(?:st|nd|rd|th)? )?"
        r"(?:january|february|march|april|may|june|july|august|september|october|november|december)"
        r"(?: \d{1,2}(?:st|nd|rd|th)?)?(?!\w)",
        r"(?<!\w)(?:by|until|before) "
        r"(?:tomorrow|tonight|noon|the end of (?:the day|(?:this|next) week|the month))(?!\w)",
        r"(?<!\w)within (?:the next )?(?:\d{1,3}|one|two|three|a few|an?) "
        r"(?:(?:working |business )?day|minute|hour|week)s?",
        r"(?<!\w)(?:wir|ich) (?:\w{1,30} ){1,6}(?:erstatte|gutschreibe|garantiere|verspreche)\w{0,3}(?!\w)",
        r"(?<!\w)(?:wir|ich) (?:erstatte|garantiere|verspreche)\w{0,3}(?!\w)",
        r"(?<!\w)(?:nous (?:vous )?(?:rembours|garantiss|promett)\w{1,6}|seront? rembours\w{1,4}"
        r"|(?:le|les|os|lhe|lo) (?:reembols|devolver)\w{1,8}|garantizamos|garantimos|garantiamo"
        r"|(?:la|le) rimbors\w{1,6}"
        r"|wij? (?:betalen|garanderen|beloven))(?!\w)",
        r"(?<!\w)(?:by|until|before|no later than|on|bis|am|avant le|le|antes del|el|at\u00e9|entro il|il|voor|op) "
        r"(?:\d{1,2}[./-]\d{1,2}[./-](?:\d\d){1,2}|\d{4}-\d\d-\d\d)(?!\w)",
        r"(?<!\w)(?:we|i|you)(?:'ll|\u2019ll| will| shall) (?:\w+ ){1,6}(?:today|tomorrow|tonight)(?!\w)",
        r"(?<!\w)(?:bis (?:sp\u00e4testens )?(?:morgen|(?:mon|diens|donners|frei|sams|sonn)tag|mittwoch)"
        r"|(?:d'ici |d\u2019ici |avant )(?:demain|lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche)"
        r"|antes del? (?:ma\u00f1ana|lunes|martes|mi\u00e9rcoles|jueves|viernes|s\u00e1bado|domingo)"
        r"|at\u00e9 (?:amanh\u00e3|segunda|ter\u00e7a|quarta|quinta|sexta|s\u00e1bado|domingo)"
        r"|entro (?:domani|luned\u00ec|marted\u00ec|mercoled\u00ec|gioved\u00ec|venerd\u00ec|sabato|domenica)"
        r"|voor (?:morgen|maandag|dinsdag|woensdag|donderdag|vrijdag|zaterdag|zondag))(?!\w)",
        r"(?<!\w)(?:innerhalb von|binnen|dans les|sous|dentro de|en|em|entro|nei prossimi) \d{1,3} "
        r"(?:(?:werk|arbeits)?tagen?|wochen|jours|semaines|d[i\u00ed]as|semanas|giorni|settimane|(?:werk)?dagen|weken)(?!\w)",
    )
)
_amount = re.compile(
    r"(?:[$\u20ac\u00a3\u00a5]|(?<!\w)(?:USD|EUR|GBP|CHF|BRL) )\d[\d.,']{0,14}|\d[\d.,']{0,14} ?"
    r"(?:[\u20ac\u00a3\u00a5]|(?:USD|EUR|GBP|CHF|BRL|euros?|dollars?|pounds?)(?!\w))",
    re.IGNORECASE,
)
_kinds: dict[str, Kind] = {
    "EMAIL": "address", "KEY": "secret", "IBAN": "account", "CARD": "account", "IP": "machine", "PHONE": "phone",
}  # fmt: skip


def _named(text: str) -> Iterator[tuple[Kind, Span]]:
    """What leads somewhere or counts something: the same in the conversation is no news."""
    yield from (("link", span) for span in links(text))
    yield from ((_kinds[name], span) for name, finder in personal.FINDERS for span in finder(text))
    for kind, pattern in _simple:
        yield from ((kind, match.span()) for match in pattern.finditer(text))


_simple: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("address", _spelt_address),
    ("address", _handle),
    ("account", _wallet),
    ("ticket", _other_ticket),
    ("promise", _amount),
)


def _promised(text: str) -> Iterator[tuple[Kind, Span]]:
    for pattern in _promises:
        yield from (("promise", match.span()) for match in pattern.finditer(text))


def _key(text: str, span: Span) -> str:
    """What makes two spellings the same: case, spaces, punctuation at the end and compatible letters do not count."""
    words = unicodedata.normalize("NFKC", text[span[0] : span[1]]).casefold()
    return re.sub(r"[\s.,;:!?]+$|\s+", "", words).removesuffix("/")


def _folded(text: str) -> str:
    """The text with wide and styled letters as plain ones, each in its place."""
    return text if text.isascii() else "".join(map(_plain, text))


@lru_cache(maxsize=4096)
def _plain(character: str) -> str:
    folded = unicodedata.normalize("NFKC", character)
    return "." if character in "\u3002\u2024\uff61" else folded if len(folded) == 1 else character
