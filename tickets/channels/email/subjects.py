"""The mark in a subject that leads an answer back to its ticket: the number, and a signature that nobody can guess."""

from __future__ import annotations

import re

from django.conf import settings
from django.core.signing import Signer
from django.utils.crypto import constant_time_compare

from tickets.channels.base import clean_line

LENGTH = 12  # letters and digits: some 70 bits
_MARK = re.compile(rf"\[#(\d{{1,17}})-([A-Za-z0-9]{{{LENGTH}}})\]")
_ANSWER = re.compile(r"^\s*(?:(?:re|aw|sv|vs|antw|odp|r|rif|res|ref|rv)\s*(?:\[\d+\])?\s*:\s*)+", re.IGNORECASE)


def mark_of(number: int) -> str:
    """ "[#7-k3JxQ…]", for the subject of every mail about ticket 7."""
    return f"[#{number}-{_signatures(number)[0]}]"


def numbers_in(subject: str) -> list[int]:
    """The tickets whose marks stand in a subject, the last first; marks that are not signed by us count for nothing."""
    found = []
    for match in _MARK.finditer(subject):
        number = int(match[1])
        if any(constant_time_compare(match[2], signature) for signature in _signatures(number)):
            found.append(number)
    return found[::-1]


def bare(subject: str) -> str:
    """A subject without marks of this form, ours or not."""
    return str(clean_line(_MARK.sub(" ", subject)))


def answering(subject: str, number: int) -> str:
    """The subject of a reply: one "Re:", what it is about, and the mark."""
    about = _ANSWER.sub("", bare(subject)) or "Your request"
    return f"Re: {about} {mark_of(number)}"


def _signatures(number: int) -> list[str]:
    """By the key in force, then by those before it: a mail may be answered long after a change of keys."""
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    signed = (Signer(key=key, salt="mail.subject", fallback_keys=[]).signature(str(number)) for key in keys)
    return [re.sub(r"[-_]", "", one)[:LENGTH] for one in signed]
