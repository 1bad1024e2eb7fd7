"""Addresses that nobody reads: mails of no use to anybody, or the beginning of a talk with a program."""

from __future__ import annotations

import re

_WORDS = r"no[._-]?repl(?:y|ies)|(?:do|does)[._-]?not[._-]?reply|dont[._-]?reply|mailer-daemon"
_LOCAL = re.compile(rf"(?:.*[._+-])?(?:{_WORDS})(?:[._+-].*|\d*)", re.IGNORECASE)
# GitHub gives users.noreply.github.com to whoever keeps their own address; nothing is at .invalid (RFC 2606).
_DOMAIN = re.compile(r"(?:.*\.)?no-?reply\..*|(?:.*\.)?invalid", re.IGNORECASE)


def takes_answers(address: str) -> bool:
    """Whether anybody may read what is sent there; False for what is no address at all."""
    local, at, domain = address.strip().rpartition("@")
    return bool(local and at and domain) and not _LOCAL.fullmatch(local) and not _DOMAIN.fullmatch(domain)
