"""A mail's own words, told from what it quotes, signs with and forwards. Line by line, in time linear in its length.

mail-parser-reply does this in more languages; it takes lists with hyphens for signatures, and 20,000 empty lines hold
it up for a minute. Nothing here is lost either way: the whole mail is kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tickets.channels.email.headers import Person, person_of

LINE_LIMIT = 300  # characters: no line that heads a quotation is longer
_LAST_WORDS = (
    r"wrote|writes|schrieb|a écrit|escribió|ha scritto|scrisse|escreveu|schreef|skrev|kirjoitti|napisał\(a\)|napisał"
    r"|написал|написала|пишет|写道|のメッセージ"
)
_ATTRIBUTION = re.compile(rf"^.*\b(?:{_LAST_WORDS})\b.{{0,80}}:\s*$", re.IGNORECASE)
_STARTS_ATTRIBUTION = re.compile(
    r"^(On|Am|Le|El|Il|Em|Op|Den|W dniu|Dnia)\s.*(\d{4}|\d{1,2}[:.h]\d{2}|<)", re.IGNORECASE
)
_DUTCH = re.compile(r"^Op .*\bschreef\b.*:\s*$", re.IGNORECASE)
_RULED = re.compile(
    r"^\s*[-_=*]{2,}\s*(?:Original(?:nachricht)?(?: Message)?|Ursprüngliche Nachricht|Message d'origine"
    r"|Mensaje original|Messaggio originale|Mensagem original|Oorspronkelijk bericht|Reply above this line)\s*[-_=*]*",
    re.IGNORECASE,
)
_FORWARDED = re.compile(
    r"^\s*(?:>\s?)?(?:[-_=*]{2,}\s*(?:Forwarded message|Forwarded by .*|Weitergeleitete Nachricht|Message transféré"
    r"|Message transmis|Mensaje reenviado|Messaggio inoltrato|Mensagem encaminhada|Doorgestuurd bericht)\s*[-_=*]*"
    r"|Begin forwarded message:"
    r"|Anfang der weitergeleiteten Nachricht:|Début du message (?:transféré|réexpédié)\s?:)\s*$",
    re.IGNORECASE,
)
_FROM = r"From|Von|De|Da|Van|Fra|Från|Od|От|发件人|差出人"
_OTHER = (
    r"Sent|Date|To|Cc|Subject|Reply-To"
    r"|Gesendet|Datum|An|Betreff|Envoyé|À|Objet|Enviado(?: el)?|Fecha|Para|Asunto|Inviato|Data|A"
    r"|Oggetto|Assunto|Verzonden|Aan|Onderwerp|Sendt|Til|Emne|Skickat|Till|Ämne|Wysłano|Do|Temat|Отправлено|Кому|Тема"
)
_FROM_LINE = re.compile(rf"^[\s>*]*(?:{_FROM})\s?:\**\s*(?P<who>\S.*)$", re.IGNORECASE)
_OTHER_LINE = re.compile(rf"^[\s>*]*(?P<name>{_OTHER})\s?:\**\s*(?P<value>.*)$", re.IGNORECASE)
_SUBJECT = re.compile(r"Subject|Betreff|Objet|Asunto|Oggetto|Assunto|Onderwerp|Emne|Ämne|Temat|Тема", re.IGNORECASE)
_SIGNATURE = re.compile(r"^(?:-- ?|__+\s*|—\s*)$")
_SENT_FROM = re.compile(
    r"^(?:Sent from (?:my|Yahoo|Outlook|Mail|Samsung)\b.{0,60}|Get Outlook for (?:iOS|Android).{0,80}"
    r"|Von meinem .{0,40} gesendet\.?|Gesendet (?:von|mit) .{0,60}|Envoyé de(?:puis)? mon .{0,60}"
    r"|Enviado desde mi .{0,60}|Inviato da(?:l mio)? .{0,60}|Verzonden vanaf mijn .{0,60}|Enviado do meu .{0,60})$",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"[^\s<>\"'()\[\]:;,]{1,64}@[^\s<>\"'()\[\]:;,]{1,190}")
LONGEST_SIGNATURE = 15  # lines: below "-- " there may be more than a signature


@dataclass(frozen=True, slots=True)
class Split:
    """`own` are the words written now, `rest` the signature and what is quoted, as they stood."""

    own: str
    rest: str


@dataclass(frozen=True, slots=True)
class Forward:
    """What somebody passed on: their own words before it, and who wrote the mail that follows."""

    comment: str
    sender: Person
    subject: str
    text: str


def split(text: str) -> Split:
    """Tell a reply from the older mail below it. Without words of its own the whole mail is its words."""
    lines = text.strip("\n").split("\n")
    end = _quotation(lines)
    end = min(end, _signature(lines[:end]))
    own = "\n".join(lines[:end]).strip("\n").rstrip()
    if not own.strip():
        return _below(lines, text)
    if _answers_between(lines, end):
        return Split(text.strip("\n").rstrip(), "")
    return Split(own, "\n".join(lines[end:]).strip("\n").rstrip())


def forward(text: str) -> Forward | None:
    """The mail that is passed on within this one, if its own sender can be told."""
    lines = text.split("\n")
    for number, line in enumerate(lines[:2_000]):
        marked = len(line) < LINE_LIMIT and _FORWARDED.match(line)
        if not marked and not _is_head(lines, number):
            continue
        found = _head(lines, number + 1 if marked else number)
        if found is None:
            if marked:
                continue
            return None
        sender, subject, after = found
        passed = [_bare(one) for one in lines[after:]] if lines[after - 1].startswith(">") else lines[after:]
        return Forward("\n".join(lines[:number]).strip(), sender, subject, "\n".join(passed).strip())
    return None


def _quotation(lines: list[str]) -> int:
    """The first line of what is quoted, or the number of lines."""
    for number, line in enumerate(lines):
        if len(line) > LINE_LIMIT or not line.strip():
            continue
        if _RULED.match(line) or _FORWARDED.match(line) or _is_attribution(lines, number) or _is_head(lines, number):
            before = number - 1
            while before >= 0 and (not lines[before].strip() or _is_rule(lines[before])):
                before -= 1
            return before + 1
    last = len(lines)
    while last > 0 and (lines[last - 1].startswith(">") or not lines[last - 1].strip()):
        last -= 1
    quoted = sum(line.startswith(">") for line in lines[last:])
    return last if quoted else len(lines)


def _is_attribution(lines: list[str], number: int) -> bool:
    """ "On Friday, Kim <kim@example.com> wrote:", broken over up to three lines."""
    if lines[number].startswith(">"):
        return False
    if not (_STARTS_ATTRIBUTION.match(lines[number]) or _ATTRIBUTION.match(lines[number])):
        return False
    joined = ""
    for line in lines[number : number + 3]:
        joined = f"{joined} {line.strip()}".strip()
        if len(joined) > LINE_LIMIT:
            return False
        if joined.endswith(":") and (_ATTRIBUTION.match(joined) or _DUTCH.match(joined)):
            follows = next((one for one in lines[number + 1 :][:8] if one.strip()), "")
            dated = bool(re.search(r"\d", joined)) or "@" in joined
            return dated or follows.startswith(">")
    return False


def _is_head(lines: list[str], number: int) -> bool:
    """A block of "From:" with at least two more such lines, as Outlook sets it above what it quotes."""
    if len(lines[number]) > LINE_LIMIT or not _FROM_LINE.match(lines[number]):
        return False
    others = sum(bool(len(line) < 1_000 and _OTHER_LINE.match(line)) for line in lines[number + 1 : number + 6])
    return others >= 2


def _head(lines: list[str], number: int) -> tuple[Person, str, int] | None:
    """(sender, subject, first line after the head) of the head that begins within three lines from here."""
    while number < len(lines) and not lines[number].strip(" >"):
        number += 1
    sender, subject, names = None, "", 0
    for place in range(number, min(number + 12, len(lines))):
        line = lines[place][:1_000]
        if (found := _FROM_LINE.match(line)) and sender is None:
            sender, names = _person(found["who"]), names + 1
        elif found := _OTHER_LINE.match(line):
            names += 1
            if _SUBJECT.fullmatch(found["name"]):
                subject = found["value"].strip(" *")
        elif not line.strip(" >"):
            if names >= 2 and sender is not None:
                return sender, subject, place + 1
            if names:
                return None
    return None


def _person(who: str) -> Person | None:
    address = _ADDRESS.search(who)
    if address is None:
        return None
    return person_of(address[0], who[: address.start()].strip(" <(*\"'[").removesuffix("mailto:").strip(" <[(\"'"))


def _signature(lines: list[str]) -> int:
    """The first line of the signature, or the number of lines."""
    last = len(lines)
    while last > 0 and not lines[last - 1].strip():
        last -= 1
    for number in range(last - 1, max(last - 1 - LONGEST_SIGNATURE, -1), -1):
        if _SIGNATURE.match(lines[number]):
            return number
    if last and len(lines[last - 1]) < LINE_LIMIT and _SENT_FROM.match(lines[last - 1].strip()):
        return last - 1
    return len(lines)


def _answers_between(lines: list[str], end: int) -> bool:
    """Whether words stand below quoted lines: an answer point by point, which is nothing without the quotation."""
    seen = False
    for line in lines[end:]:
        if line.startswith(">"):
            seen = True
        elif seen and line.strip() and not _SIGNATURE.match(line):
            return True
        elif _SIGNATURE.match(line):
            return False
    return False


def _below(lines: list[str], text: str) -> Split:
    """A mail that begins with its quotation and says its own words below it, all of them at one place."""
    quoted = [number for number, line in enumerate(lines) if line.startswith(">")]
    if (
        quoted
        and quoted[0] < 6
        and all(one.startswith(">") or not one.strip() for one in lines[quoted[0] : quoted[-1]])
    ):
        below = lines[quoted[-1] + 1 :]
        own = "\n".join(below[: _signature(below)]).strip("\n").rstrip()
        if own.strip():
            return Split(own, "\n".join(lines[: quoted[-1] + 1]).strip("\n"))
    return Split(text.strip("\n").rstrip(), "")


def _is_rule(line: str) -> bool:
    stripped = line.strip()
    return len(stripped) > 4 and not stripped.strip("_-=*")


def _bare(line: str) -> str:
    return line[2:] if line.startswith("> ") else line.removeprefix(">")


def without_signature(text: str) -> str:
    """A mail that begins a conversation: what it passes on or quotes is part of what is asked, its signature is not."""
    lines = text.strip("\n").split("\n")
    own = "\n".join(lines[: _signature(lines)]).rstrip()
    return own if own.strip() else text.strip()
