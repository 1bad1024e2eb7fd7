"""Where the personal values stand in a text: addresses, numbers, keys, and the names that are known.

Every pattern reads a text once: its repetitions are possessive or bounded, and it starts only where a run starts, so
that no input makes it slow. What can be checked is checked: a card by Luhn, an IBAN by its remainder, an address by
its parser.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

Span = tuple[int, int]
Finder = Callable[[str], Iterator[Span]]

_email = re.compile(r"(?<![\w.!#$%&'*+/=?^`{|}~-])[\w.!#$%&'*+/=?^`{|}~-]++[@\uff20]([\w-]++(?:\.[\w-]++)++)")


def emails(text: str) -> Iterator[Span]:
    if "@" not in text and "\uff20" not in text:
        return
    for match in _email.finditer(text):
        if not match[1].rpartition(".")[2].isdigit():  # lodash@4.17.21 is no mailbox
            yield match.span()


_known_key = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}+|gh[pousr]_[A-Za-z0-9]{20,}+|github_pat_[A-Za-z0-9_]{20,}+|glpat-[\w-]{16,}+"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,}+|xapp-[A-Za-z0-9-]{10,}+|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[\w-]{30,}+|whsec_[A-Za-z0-9]{16,}+"
    r"|https://hooks\.slack\.com/[\w/]{10,}+|ya29\.[\w-]{20,}+"
    r"|(?:npm_|hf_|pypi-|dop_v1_|SG\.)[\w.-]{20,}+|eyJ[\w-]{8,}+\.[\w-]{8,}+(?:\.[\w-]*+)?)",
    re.ASCII,
)
_given_away = re.compile(
    r"(?i)(?<![a-z])(?:pass(?:word|wd|wort|phrase)|pwd|kennwort|mot de passe|contrase(?:ñ|n\u0303?)a|senha|wachtwoord"
    r"|parola|пароль|密码|密碼|secret|token|(?:api|access|secret)[_ -]?key|bearer|authorization)"
    r"(?:[_-][a-z]{1,20}){0,3}+(?![a-z])[\"']?[ \t]{0,3}(?:(?:is|ist|est|es|é|è|:|=|\uff1a|是)[ \t]{0,3})?"
    r"(?:(?:bearer|basic)[ \t]{1,3})?[\"']?([^\s\"'<>,;]{6,}+)"
)
_long_run = re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{32,}+")
_hexadecimal = re.compile(r"[0-9a-f]+|[0-9A-F]+")
_key_begins = "-----BEGIN "
_key_ends = re.compile(r"-----END [A-Z ]{0,40}-----")


def keys(text: str) -> Iterator[Span]:
    """Private keys, tokens of known make, what stands behind "password:", and long runs that look drawn by lot."""
    start = text.find(_key_begins)
    while start != -1:
        ended = _key_ends.search(text, start)
        end = ended.end() if ended else len(text)
        if "PRIVATE KEY" in text[start : start + 60]:
            yield start, end
        start = text.find(_key_begins, end)
    yield from (match.span() for match in _known_key.finditer(text))
    for match in _given_away.finditer(text):
        if any(character.isdigit() for character in match[1]) or _looks_encoded(match[1]):
            yield match.span(1)
    for match in _long_run.finditer(text):
        if _looks_drawn(match.group()):
            yield match.span()


def _looks_encoded(word: str) -> bool:
    return len(word) >= 12 and not (word.islower() or word.isupper() or word.istitle())


def _looks_drawn(run: str) -> bool:
    digits = sum(map(str.isdigit, run))
    if _hexadecimal.fullmatch(run):
        return digits >= 4 and digits < len(run)
    upper, lower = sum(map(str.isupper, run)), sum(map(str.islower, run))
    return min(digits, upper, lower) >= 4


# Length by country: the IBAN registry of SWIFT, countries in use.
_iban_length = {
    code: int(length)
    for length, codes in {
        "15": "NO", "16": "BE", "18": "DK FI FK FO GL NL SD", "19": "MK SI", "20": "AT BA EE KZ LT LU MN XK",
        "21": "CH HR LI LV", "22": "BG BH CR DE GB GE IE ME RS VA", "23": "AE GI IL IQ OM SO TL",
        "24": "AD CZ DZ ES MD PK RO SA SE SK TN VG", "25": "LY PT ST", "26": "IS TR", "27": "BI DJ FR GR IT MC MR SM",
        "28": "AL AZ BY CY DO GT HN HU LB NI PL SV", "29": "BR EG PS QA UA", "30": "JO KW MU YE", "31": "MT SC",
        "32": "LC", "33": "RU",
    }.items()
    for code in codes.split()
}  # fmt: skip
_iban = re.compile(r"(?<![A-Za-z0-9])([A-Za-z]{2})\d{2}(?:[ -]?[A-Za-z0-9]){11,30}", re.ASCII)
_alphanumeric = re.compile(r"[A-Za-z0-9]")


def ibans(text: str) -> Iterator[Span]:
    for match in _iban.finditer(text):
        length = _iban_length.get(match[1].upper(), 0)
        places = [place.start() for place in _alphanumeric.finditer(text, *match.span())][:length]
        if length and len(places) == length:
            value = "".join(text[place] for place in places).upper()
            if int("".join(str(int(character, 36)) for character in value[4:] + value[:4])) % 97 == 1:
                yield match.start(), places[-1] + 1


# Looked at from every place where digits start, for a card may follow another number.
_card = re.compile(
    r"(?<!\d)(?=([2-6]\d{3}([ -]?)\d{4}\2\d{4}\2\d{4}(?:\2\d{1,3})?(?!\d)"
    r"|3\d{3}([ -]?)\d{6}\3\d{4,5}(?!\d)|[2-6]\d{12,18}(?!\d)))",
    re.ASCII,
)


def cards(text: str) -> Iterator[Span]:
    reached = 0
    for match in _card.finditer(text):
        if match.start() >= reached and _luhn(re.sub(r"\D", "", match[1])):
            reached = match.end(1)
            yield match.span(1)


def _luhn(digits: str) -> bool:
    doubled = [int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(digits))]
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0


_ipv4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)", re.ASCII)
_ipv6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]{2,}+(?:(?:\.\d{1,3}){3})?(?![\w:])", re.ASCII)


def addresses(text: str) -> Iterator[Span]:
    """IPv4 and IPv6, but for those that mean this machine or none."""
    for pattern in (_ipv4, _ipv6):
        for match in pattern.finditer(text):
            value = match.group()
            if pattern is _ipv6 and (value.count(":") < 2 or len(value) > 45 or sum(map(str.isalnum, value)) < 3):
                continue
            try:
                address = ipaddress.ip_address(value)
            except ValueError:
                continue
            if not address.is_loopback and not address.is_unspecified:
                yield match.span()


_gap = r"(?:[.\-/]|[ \u00a0()]{1,3})?"
_phone = re.compile(
    r"(?<![\w.:/-])(?=[+(\d])(?:"
    rf"(?:\+|00)[1-9](?:{_gap}\d){{6,14}}"  # +49 30 1234567, 0044 20 7946 0958
    r"|(?:1[ .-])?\(?[2-9]\d{2}\)?[ .-]{1,2}\d{3}[ .-]\d{4}"  # (555) 867-5309
    r"|1?[2-9]\d{2}[2-9]\d{6}"  # 5558675309
    rf"|\(?0[1-9](?:{_gap}\d){{6,11}}"  # 06 12 34 56 78, 0171/1234567
    r"|[6-9]\d{2}[ .-]\d{2,3}[ .-]\d{2,3}(?:[ .-]\d{2,3})?|[6-9]\d{4}[ -]\d{5}"  # 612 345 678, 98765 43210
    r"|\([1-9]\d\) ?9?\d{4}-\d{4}|1[3-9]\d{9}"  # (11) 91234-5678, 13800138000
    r"|8[ -]?\(?[3-9]\d{2}\)?[ -]\d{3}[ -]\d{2}[ -]\d{2}"  # 8 (495) 123-45-67
    r")(?![\w]|[.:/-]\d)",
    re.ASCII,
)
_labelled_phone = re.compile(
    r"(?i)(?<![a-z])(?:phone|telephone|tel|mobile|cell|fax|call(?: me)?(?: at| on)?|telefon|handy|whatsapp|number is)"
    rf"(?![a-z])[ .:]{{0,4}}(\+?\(?\d(?:{_gap}\d){{5,14}})(?!\d)"
)
_date = re.compile(r"(?:19|20)\d\d[-./ ][01]?\d[-./ ][0-3]?\d(?!\d)|[0-3]?\d[-./ ][01]?\d[-./ ](?:19|20)\d\d(?!\d)")


# What every number of either kind holds, found many times faster than they are.
_six_digits = re.compile(r"\d(?:\W{0,3}\d){5}")


def phones(text: str) -> Iterator[Span]:
    if not _six_digits.search(text):
        return
    for match in _phone.finditer(text):
        if not _date.match(match.group()):
            yield match.span()
    for match in _labelled_phone.finditer(text):
        if not _date.match(match[1]):
            yield match.span(1)


# A name that is also a word is masked as a name is written, not as the word: "Bill", not "bill".
_words = (
    "april art august bell best bill black blanc bob brown case cash chance charity chase christian cliff cruz "
    "crystal dale daisy dawn day dean drew earnest faith field forest frank frei gene good grace grand grant green "
    "groß gut guy hope hunter iris ivy jack jade jay joy june key king klein kurz lance lang law link little long "
    "love luz major mark mason may miles montag neu noir null olive page parker paz penny pat petit post power price "
    "ray rey rich rob robin rock rose ruby rusty sandy santos short sky small sommer sonntag stone summer sunny trip "
    "victor violet wade ward white will winter young"
)
# Words in a display name that name nobody.
_nobody = (
    "mr mrs ms miss dr prof sir herr frau mme mlle von van der den des del della dos bin ibn the and team support help "
    "helpdesk desk service services customer customers user users admin administrator info sales billing account "
    "accounts office contact mail email test company inc ltd llc gmbh corp group department unknown anonymous"
)
_bound = r"(?![^\W_])"  # jane_doe is two words here
_boundless = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")  # scripts that put no space between words


@lru_cache(maxsize=512)
def named(names: Sequence[str]) -> Finder:
    """A finder of these names, whole and in parts, in either Unicode form and without their accents."""
    ways = sorted({way for name in names for way in _ways(name)}, key=len, reverse=True)
    if not ways:
        return lambda text: iter(())
    bounded = "|".join(way for way in ways if way.endswith(_bound))
    boundless = [way for way in ways if not way.endswith(_bound)]
    pattern = re.compile("|".join([*boundless, *([rf"(?<![^\W_])(?:{bounded})"] if bounded else [])]))
    return lambda text: (match.span() for match in pattern.finditer(text))


def _ways(name: str) -> Iterator[str]:
    parts = [part.strip("\"'.,;:()[]<>") for part in name[:200].split()]
    parts = [part for part in parts if part]
    if "@" in name or not any(any(map(str.isalpha, part)) for part in parts):
        return
    if len(parts) > 1:
        form = "{}" if all(part.lower() in _words.split() for part in parts) else "(?i:{})"
        yield from _spelt(_joined(parts, r"[ \t\u00a0._-]{0,3}"), " ".join(parts), form)
    for part in dict.fromkeys(half for whole in parts for half in (whole, *_halves(whole))):
        plain = part.lower()
        if plain in _nobody.split() or not any(map(str.isalpha, part)):
            continue
        if plain in _words.split() or (len(part) < 3 and not _boundless.search(part)):
            yield from _spelt("|".join({re.escape(part), re.escape(part.upper())} - {re.escape(plain)}), part, "(?:{})")
        else:
            genitive = "s?" if len(part) > 4 and not _boundless.search(part) else ""  # Müllers Rechner
            yield from _spelt(_joined(part.split("-"), "[-\u2010\u2011 ]?") + genitive, part, "(?i:{})")


def _halves(part: str) -> list[str]:
    """Anne and Marie of Anne-Marie, who may be called either."""
    halves = part.split("-")
    return [half for half in halves if len(half) > 2] if len(halves) > 1 else []


def _joined(parts: Sequence[str], between: str) -> str:
    return between.join(_apostrophe.sub("['\u2019\u02bc]?", re.escape(part)) for part in parts)


_apostrophe = re.compile("['\u2019\u02bc]")
# Letters that do not come apart in Unicode, and how they are written where keyboards lack them.
_plain = str.maketrans({"ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ß": "ss", "æ": "ae", "Æ": "Ae",
                        "þ": "th", "Þ": "Th", "\u0131": "i", "å": "a", "Å": "A"})  # fmt: skip
_two_letters = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ø": "oe", "Ø": "Oe",
                              "å": "aa", "Å": "Aa"})  # fmt: skip


def _spelt(pattern: str, name: str, form: str) -> Iterator[str]:
    if not pattern:
        return
    whole = unicodedata.normalize("NFC", pattern)
    spellings = [whole, unicodedata.normalize("NFD", pattern), _bare(whole), _bare(whole.translate(_two_letters))]
    for spelling in dict.fromkeys(spellings):
        inner = form.replace("{}", f"(?:{spelling})")
        yield inner if _boundless.search(name) else inner + _bound


def _bare(text: str) -> str:
    apart = unicodedata.normalize("NFD", text.translate(_plain))
    return "".join(character for character in apart if not unicodedata.combining(character))


FINDERS: tuple[tuple[str, Finder], ...] = (
    ("EMAIL", emails),
    ("KEY", keys),
    ("IBAN", ibans),
    ("CARD", cards),
    ("IP", addresses),
    ("PHONE", phones),
)


def pieces(text: str, names: Sequence[str] = ()) -> list[tuple[str, str]]:
    """The text cut up: (kind, value) for what is personal, ("", words) for the rest; joined, they are the text."""
    cut = [("", text)]
    for kind, finder in (*FINDERS, ("NAME", named(tuple(names)))):
        cut = [piece for known, value in cut for piece in ([(known, value)] if known else _cut(kind, value, finder))]
    return cut


def _cut(kind: str, text: str, finder: Finder) -> Iterator[tuple[str, str]]:
    if len(text) < 4 and not any(map(str.isalnum, text)):
        yield "", text  # what stands between values, most often
        return
    reached = 0
    for start, end in sorted(finder(text)):
        if start >= reached and end > start:
            if start > reached:
                yield "", text[reached:start]
            yield kind, text[start:end]
            reached = end
    if reached < len(text):
        yield "", text[reached:]
