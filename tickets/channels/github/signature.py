"""Whose webhook it is: the HMAC-SHA256 of the raw body with a secret that GitHub and the desk share.

It fails closed: without a secret nothing is taken. `X-Hub-Signature`, which is SHA-1, is not looked at.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator
from functools import lru_cache

from django.db.models import Q
from django.db.models.functions import Lower

from tickets.channels.github.naming import Named, named_in
from tickets.models import GithubAccount, GithubRepository
from tickets.sealed import Secret
from triage.vault import VaultError

HEADER = "X-Hub-Signature-256"
SHORT = 128 * 1024  # bytes of a body; up to it every secret is tried, whatever the body says
_SIGNATURE = re.compile(r"sha256=[0-9a-fA-F]{64}")
Holder = GithubRepository | GithubAccount


def sign(secret: str, body: bytes) -> str:
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


def holders_of(body: bytes, signature: str, *, target_kind: str = "", target: str = "") -> list[Holder]:
    """The repositories and Apps whose secret signed this body: none for a wrong or missing signature.

    `target_kind` and `target` are what GitHub says in X-GitHub-Hook-Installation-Target-Type and -ID: only whom they
    name is tried then. A body that is longer than SHORT is tried with those alone whose repository it names: that of
    somebody without a secret so costs a few hashes, however many there are. Each secret is compared in constant time.
    """
    if not _SIGNATURE.fullmatch(signature):
        return []
    given, signed = signature.lower(), dict[str, bool]()
    named = named_in(body) if len(body) > SHORT else None
    for secrets in (_of_repositories(target_kind, target, named), _of_apps(target_kind, target, named)):
        found = []
        for holder, secret in secrets:
            if secret not in signed:  # several may share one
                signed[secret] = hmac.compare_digest(sign(secret, body), given)
            if signed[secret]:
                found.append(holder)
        if found:
            return found
    return []


def _of_repositories(target_kind: str, target: str, named: Named | None) -> Iterator[tuple[Holder, str]]:
    if target_kind == "integration":
        return
    repositories = GithubRepository.objects.connected().exclude(secret="").select_related("account", "source")
    if target_kind == "repository" and target.isascii() and target.isdigit() and len(target) < 19:
        repositories = repositories.filter(Q(github_id=int(target)) | Q(github_id=None))
    if named is not None:
        repositories = repositories.filter(_is_among(named))
    for repository in repositories:
        if secret := _opened(repository.secret):
            yield repository, secret


def _of_apps(target_kind: str, target: str, named: Named | None) -> Iterator[tuple[Holder, str]]:
    if target_kind == "repository":
        return
    apps = GithubAccount.objects.filter(way=GithubAccount.Way.APP).exclude(webhook_secret="")
    if target_kind == "integration":
        apps = apps.filter(app_id=target)
    elif named is not None:
        apps = apps.filter(pk__in=GithubRepository.objects.connected().filter(_is_among(named)).values("account"))
    for app in apps:
        if secret := _opened(app.webhook_secret):
            yield app, secret


def _is_among(named: Named) -> Q:
    full_names = Q(pk__in=GithubRepository.objects.alias(called=Lower("full_name")).filter(called__in=named.full_names))
    return Q(github_id__in=named.ids) | full_names


def _opened(secret: Secret) -> str:
    try:
        return _open(secret.locked)
    except VaultError:  # the key was changed: what cannot be opened lets nothing in
        return ""


@lru_cache(maxsize=1_000)
def _open(locked: str) -> str:
    return Secret(locked).open()
