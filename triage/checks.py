"""System checks of the configuration: each with an id and a hint that says what to set.

E000 a variable that cannot be read, or is out of its range   E001 SECRET_KEY   E002 BASE_URL   E003 REDIS_URL
E005 ANTHROPIC_BASE_URL   E006 Redis does not answer (databases)   E007 a provider of sign-in   E008 TRIAGE_API_ORIGINS
E009 TRIAGE_S3_BUCKET without its packages
W001 ALLOWED_HOSTS (deploy)   W002 no price for a model that is asked (database)   W003 BASE_URL without TLS (deploy)
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, Warning
from django.core.exceptions import ImproperlyConfigured

SHORTEST_KEY = 32  # characters; random ones of base64 are then 192 bits
LOCAL = ("localhost", "127.0.0.1", "::1")
SETTINGS = "settings"  # tag of the checks of configuration
BEFORE_COMMANDS = [SETTINGS, Tags.security]  # the rest is the programmer's, and would load every page first


@checks.register(SETTINGS)
def environment(**_: Any) -> Iterable[CheckMessage]:
    for name, problem in settings.UNREADABLE.items():
        yield Error(f"{name} cannot be read: {problem}.", hint=_hints.get(name, _number), id="triage.E000")


_number = "Set it to a number, or leave it unset."
_hints = {
    "BASE_URL": "Set BASE_URL to what people type, scheme and all, such as https://desk.example.com.",
    "DATABASE_URL": "Set it to postgres://user:password@host:5432/name, or leave it unset: one comes along.",
    "TIME_ZONE": "Set it to a name of the time zone database, such as Europe/London, or leave it unset for UTC.",
    "LOG_LEVEL": "Set it to DEBUG, INFO, WARNING, ERROR or CRITICAL, or leave it unset for INFO.",
    "TRUSTED_PROXIES": "Set it to addresses or networks, such as 10.0.0.5,192.168.0.0/24, or leave it unset.",
    "TRIAGE_VAR": "Set it to a folder that this user may write to, or leave it unset: var/ beside the code.",
    "TRIAGE_MAX_TOKENS": "Name operations with numbers, such as classify=800,draft=600, or leave it unset.",
    "TRIAGE_MAX_INPUT": "Name operations with characters, such as classify=8000, or leave it unset.",
    "EMAIL_URL": "Set it to smtp+tls://user:password@host:587 (or smtp+ssl), or leave it unset: mails become files.",
}


@checks.register(Tags.security)
def secret_key(**_: Any) -> Iterable[CheckMessage]:
    try:
        given = bool(settings.SECRET_KEY)
    except ImproperlyConfigured:  # Django's own words for an empty one
        given = False
    if not given:
        yield Error(
            "SECRET_KEY is not set.",
            hint="With DATABASE_URL several processes share one key: set SECRET_KEY to 50 random characters.",
            id="triage.E001",
        )
    elif len(settings.SECRET_KEY) < SHORTEST_KEY:
        yield Error(
            f"SECRET_KEY has {len(settings.SECRET_KEY)} characters: it could be guessed, and sessions forged with it.",
            hint=f"Set SECRET_KEY to 50 random characters; {SHORTEST_KEY} are the least.",
            id="triage.E001",
        )


@checks.register(SETTINGS)
def base_url(**_: Any) -> Iterable[CheckMessage]:
    if not _is_address(settings.BASE_URL, ("http", "https")) or urlsplit(settings.BASE_URL).query:
        yield Error(
            f"BASE_URL is no address: {settings.BASE_URL!r}.",
            hint=_hints["BASE_URL"],
            id="triage.E002",
        )


@checks.register(SETTINGS)
def redis_url(**_: Any) -> Iterable[CheckMessage]:
    if settings.REDIS_URL and not (
        _is_address(settings.REDIS_URL, ("redis", "rediss")) or settings.REDIS_URL.startswith("unix:///")
    ):
        yield Error(
            "REDIS_URL is no address of a Redis server.",
            hint="Set REDIS_URL to redis://host:6379/0, rediss:// for TLS, or unix:///path; or leave it unset.",
            id="triage.E003",
        )


@checks.register(Tags.database, SETTINGS)
def redis_answers(databases: Iterable[str] | None = None, **_: Any) -> Iterable[CheckMessage]:
    """Only where checks may ask what is outside: `migrate`, and `manage.py up`."""
    if not databases or not settings.REDIS_URL or any(redis_url()):
        return
    import redis

    client: Any = redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=2, socket_timeout=2)
    try:
        client.ping()
    except (redis.RedisError, OSError) as problem:
        yield Error(
            f"The Redis of REDIS_URL does not answer ({type(problem).__name__}).",
            hint="Start it, set REDIS_URL to where it is, or leave REDIS_URL unset: one machine needs none.",
            id="triage.E006",
        )
    finally:
        client.close()


@checks.register(SETTINGS)
def model_server(**_: Any) -> Iterable[CheckMessage]:
    if settings.ANTHROPIC_BASE_URL and not _is_address(settings.ANTHROPIC_BASE_URL, ("http", "https")):
        yield Error(
            "ANTHROPIC_BASE_URL is no address.",
            hint="Set it to the root of a server with the Messages API, such as http://localhost:11434, without /v1.",
            id="triage.E005",
        )


@checks.register(SETTINGS)
def bucket(**_: Any) -> Iterable[CheckMessage]:
    """Told before a customer's file finds it out."""
    missing = [name for name in ("storages", "boto3") if settings.S3_BUCKET and find_spec(name) is None]
    if missing:
        yield Error(
            f"TRIAGE_S3_BUCKET is set, and {' and '.join(missing)} cannot be imported.",
            hint="Install them (.venv/bin/pip install 'django-storages[s3]'), or leave TRIAGE_S3_BUCKET unset.",
            id="triage.E009",
        )


@checks.register(Tags.security)
def providers(**_: Any) -> Iterable[CheckMessage]:
    """What is half set would show a button that opens nothing."""
    github = (settings.GITHUB_CLIENT_ID, settings.GITHUB_CLIENT_SECRET)
    oidc = (settings.OIDC_ISSUER, settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET)
    for name, values in (("GITHUB_CLIENT_ID and GITHUB_CLIENT_SECRET", github),
                         ("OIDC_ISSUER, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET", oidc)):  # fmt: skip
        if any(values) and not all(values):
            yield Error(f"Of {name} some are set and some are not.", hint="Set all, or none.", id="triage.E007")
    for name, address in (("OIDC_ISSUER", settings.OIDC_ISSUER), ("GITHUB_URL", settings.GITHUB_URL)):
        if address and not _is_address(address, ("https",)) and urlsplit(address).hostname not in LOCAL:
            yield Error(
                f"{name} is no https address: {address!r}.",
                hint="Who signs in is told over it: give the address of the provider with https://.",
                id="triage.E007",
            )


@checks.register(Tags.security)
def origins(**_: Any) -> Iterable[CheckMessage]:
    """Each by its name: a page of any origin could use a key that it gets hold of."""
    for origin in settings.CORS_ALLOWED_ORIGINS:
        parts = urlsplit(origin)
        if not _is_address(origin, ("http", "https")) or parts.path or parts.query or parts.username:
            yield Error(
                f"TRIAGE_API_ORIGINS names what is no origin: {origin!r}.",
                hint="List origins such as https://shop.example.org, without a path. No sign stands for all of them.",
                id="triage.E008",
            )


@checks.register(Tags.security, deploy=True)
def allowed_hosts(**_: Any) -> Iterable[CheckMessage]:
    if "*" in settings.ALLOWED_HOSTS:
        yield Warning(
            "ALLOWED_HOSTS takes any name: links in mails could be made to point elsewhere.",
            hint="List the names under which the desk is reached.",
            id="triage.W001",
        )


@checks.register(Tags.database)
def model_price(databases: Iterable[str] | None = None, **_: Any) -> Iterable[CheckMessage]:
    """Only where checks may ask the database (`migrate`, `check --database default`)."""
    from django.db import DatabaseError
    from django.utils import timezone

    from triage import calls
    from triage.models import Price

    if not databases or not calls.configured():
        return
    models = dict.fromkeys(filter(None, (settings.TRIAGE_MODEL, settings.TRIAGE_FALLBACK_MODEL)))
    try:
        unpriced = [name for name in models if Price.of(name, timezone.localdate()) is None]
    except DatabaseError:
        return  # not migrated yet
    for name in unpriced:
        yield Warning(
            f"There is no price for {name}: its calls are kept, their cost is unknown, and no budget stops them.",
            hint="Add a price in the admin, or set TRIAGE_MODEL and TRIAGE_FALLBACK_MODEL to models that have one.",
            id="triage.W002",
        )


@checks.register(Tags.security, deploy=True)
def base_url_is_safe(**_: Any) -> Iterable[CheckMessage]:
    address = urlsplit(settings.BASE_URL)
    if address.scheme == "http" and address.hostname not in LOCAL:
        yield Warning(
            "BASE_URL is http: sessions and API keys cross the network readable.",
            hint="Put the desk behind TLS and set BASE_URL to https://…",
            id="triage.W003",
        )


def _is_address(url: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in schemes and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
