"""Blocking senders: an address or a whole domain. What they send from then on is stored, and held as spam."""

from __future__ import annotations

import re

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from tickets.actions.errors import Conflict, Forbidden, Invalid
from tickets.actions.mail_thread import own_addresses
from tickets.actions.review import require_decider
from tickets.channels.github.payloads import Account
from tickets.models import Block, GithubAccount, Requester, Ticket, leads
from triage.models import User

_DOMAIN = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")
_ADDRESS = re.compile(r"[^\s@<>\"',;]{1,64}@(?P<domain>[^\s@]{4,253})")
# Where everybody may have a mailbox: to block all of it would turn customers away.
EVERYBODYS = frozenset(
    (
        "126.com",
        "163.com",
        "aol.com",
        "fastmail.com",
        "free.fr",
        "gmail.com",
        "gmx.at",
        "gmx.ch",
        "gmx.de",
        "gmx.net",
        "googlemail.com",
        "hotmail.com",
        "icloud.com",
        "laposte.net",
        "libero.it",
        "live.com",
        "mac.com",
        "mail.com",
        "mail.ru",
        "me.com",
        "msn.com",
        "naver.com",
        "orange.fr",
        "outlook.com",
        "posteo.de",
        "proton.me",
        "protonmail.com",
        "qq.com",
        "t-online.de",
        "web.de",
        "yahoo.com",
        "yandex.com",
        "yandex.ru",
        "ymail.com",
        "zoho.com",
    )
)


def block(*, what: str, by: User, ticket: Ticket | None = None) -> Block:
    """Block an address, or a domain with all below it; who is blocked already stays so. A domain is for leads to block.

    Raises Invalid for what is neither, for whoever works here, and for a domain where everybody may have a mailbox.
    """
    require_decider(by)
    wanted = _checked(what)
    if "@" not in wanted and not leads(by):
        raise Forbidden("not_a_lead", "Only leads and admins block a whole domain. Block the address instead.")
    with transaction.atomic():
        Block.objects.bulk_create([Block(what=wanted, by=by, ticket=ticket)], ignore_conflicts=True)
        return Block.objects.in_force().get(what=wanted)


def lift(*, block: Block, by: User) -> Block:
    """Let this sender in from now on. What was held of them stays held until somebody lets it in.

    Raises Conflict when it was lifted before.
    """
    require_decider(by)
    if block.is_domain and not leads(by):
        raise Forbidden("not_a_lead", "Only leads and admins let a whole domain in again.")
    lifted = Block.objects.filter(pk=block.pk, lifted_at=None).update(lifted_at=timezone.now(), lifted_by=by)
    if not lifted:
        raise Conflict("lifted", "This sender is not blocked any more.")
    block.refresh_from_db()
    return block


def sender_or_domain(requester: Requester | None, which: str) -> str:
    """What is blocked where a ticket's `sender` or `domain` is meant. Raises Invalid."""
    if requester is None:
        raise Invalid("no_sender", "Nobody knows who sent this: there is no address to block.", field="block")
    if which not in ("sender", "domain"):
        raise Invalid("not_a_choice", "Choose whom to block: the sender or the domain.", field="block")
    return requester.email if which == "sender" else requester.email.rpartition("@")[2]


def _checked(what: str) -> str:
    wanted = what.replace("\x00", "").strip().lower().removeprefix("@")[:254]
    address = _ADDRESS.fullmatch(wanted)
    domain = address["domain"] if address else wanted
    if not _DOMAIN.fullmatch(domain):
        raise Invalid(
            "not_a_sender", "Enter an address like kim@example.com, or a domain like example.com.", field="what"
        )
    own = own_addresses() | {settings.DEFAULT_FROM_EMAIL.lower()}
    staff = User.objects.filter(is_active=True, agent__isnull=False)
    if address:
        if wanted in own or staff.filter(email__iexact=wanted).exists():
            raise Invalid("own", "This is an address of this desk.", field="what")
    elif domain in EVERYBODYS:
        raise Invalid("everybodys", f"Everybody may have a mailbox at {domain}. Block single addresses.", field="what")
    elif _is_at_github(domain):
        raise Invalid(
            "everybodys",
            "Everybody at GitHub has an address there. Block single accounts at their tickets.",
            field="what",
        )
    elif (
        any(_covers(domain, one.rpartition("@")[2]) for one in own)
        or staff.filter(Q(email__iendswith=f"@{domain}") | Q(email__iendswith=f".{domain}")).exists()
    ):
        raise Invalid("own", "People of this desk have their addresses there.", field="what")
    return wanted


def _is_at_github(domain: str) -> bool:
    """Whether all who write on a GitHub that the desk takes issues from would be blocked with this domain."""
    theirs = [Account().address(account.host).rpartition("@")[2] for account in GithubAccount.objects.all()]
    return any(_covers(domain, one) for one in theirs)


def _covers(domain: str, other: str) -> bool:
    return other == domain or other.endswith(f".{domain}")
