"""`@name` and `@team` in a comment: who is meant, and how it is shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from django.db.models import Q
from django.db.models.functions import Lower

from tickets.colleagues import members_of
from tickets.models import Team
from triage.models import User

MOST = 50  # different names in one text; beyond, it is no longer talk
# Not after a letter or another "@", so that an e-mail address is none. A user name may be an address itself.
_AT = re.compile(r"(?<![\w@./])@([\w+-][\w.+-]*(?:@[\w-]+(?:\.[\w-]+)+)?)")
_CODE = re.compile(r"(```|~~~).*?(?:\1|$)|(`+)(?!`).*?(?<!`)\2(?!`)", re.DOTALL)

Mentions = Mapping[str, User | Team]  # by the lower-case name as it is written behind the "@"


def names_in(text: str) -> set[str]:
    """What may be a name, in lower case, with and without what may be the end of a sentence; none out of code."""
    found: set[str] = set()
    for match in _AT.finditer(_CODE.sub(" ", text)):
        found.update(_readings(match[1]))
        if len(found) >= MOST:
            break
    return found


def mentioned(texts: Iterable[str]) -> dict[str, User | Team]:
    """Who is meant in these texts, by user name or a team's key. Two queries, none where nothing looks like a name."""
    names = {name for text in texts for name in names_in(text)}
    if not names:
        return {}
    found: dict[str, User | Team] = {team.key.lower(): team for team in Team.objects.filter(key__in=names)}
    staff = Q(agent__isnull=False) | Q(is_superuser=True)
    people = User.objects.annotate(name=Lower("username")).filter(staff, name__in=names)
    found.update({user.username.lower(): user for user in people})
    return found


def meant(text: str) -> list[User]:
    """Everybody whom a text names, by their own name or as a member of a team."""
    people: dict[int, User] = {}
    known = mentioned([text])
    for one in known.values():
        for user in [one] if isinstance(one, User) else members_of(one):
            people[user.pk] = user
    return list(people.values())


def split(text: str, known: Mentions) -> list[tuple[str, User | Team | None]]:
    """A text without code, in pieces: (words, None), or (what was written, who is meant)."""
    pieces: list[tuple[str, User | Team | None]] = []
    at = 0
    for match in _AT.finditer(text):
        for name in _readings(match[1]):
            if name in known:
                end = match.start() + 1 + len(name)
                pieces += [(text[at : match.start()], None), (text[match.start() : end], known[name])]
                at = end
                break
    return [*pieces, (text[at:], None)]


def _readings(written: str) -> list[str]:
    """The name as it stands, then without the full stop behind it, then without the address it may begin."""
    whole = written.lower()
    return list(dict.fromkeys([whole, whole.rstrip(".-"), whole.partition("@")[0].rstrip(".-")]))
