"""How the settings read a variable of the environment: a value of the right kind, or the reason why it is none."""

from __future__ import annotations

import math
import zoneinfo
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

_env = environ.Env()

# Variables that hold what cannot be read, and why. Their defaults stand in, and the system checks refuse to go on.
UNREADABLE: dict[str, str] = {}
OPERATIONS = ("classify", "draft", "summary", "repair")


def read(name: str, reader: Callable[[str], Any], default: str) -> Any:
    """The variable as `reader` has it; where that raises, the default, and the reason is kept in UNREADABLE."""
    try:
        return reader(_env.str(name, default="") or default)
    except (ValueError, ImproperlyConfigured) as problem:
        UNREADABLE[name] = str(problem)
        return reader(default)


def number(kind: type[int] | type[float], least: float, most: float = math.inf) -> Callable[[str], Any]:
    """A reader of finite numbers from `least` to `most`, both among them."""

    def read_number(given: str) -> Any:
        try:
            number = kind(given)
        except ValueError:
            raise ValueError(f"{given!r} is no {'whole ' if kind is int else ''}number") from None
        if not least <= number <= most or math.isinf(number):  # nor is "not a number" between any two
            limits = f"{least:g} or more" if math.isinf(most) else f"between {least:g} and {most:g}"
            raise ValueError(f"{given} is not {limits}")
        return number

    return read_number


def time_zone(given: str) -> str:
    try:
        zoneinfo.ZoneInfo(given)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"there is no time zone {given!r}") from None
    return given


def log_level(given: str) -> str:
    if given.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
        raise ValueError(f"there is no level {given!r}")
    return given.upper()


def by_operation(*usual: int) -> Callable[[str], dict[str, int]]:
    """Reads "classify=800,draft=600": what is not named stays as usual, given in the order of OPERATIONS."""

    def read(given: str) -> dict[str, int]:
        chosen = dict(zip(OPERATIONS, usual, strict=True))
        for pair in filter(None, (part.strip() for part in given.split(","))):
            name, _, number = (part.strip() for part in pair.partition("="))
            if name not in chosen or not number.isdecimal() or int(number) < 1:
                raise ValueError(f"{pair!r} is not one of {', '.join(OPERATIONS)} with a number, such as draft=600")
            chosen[name] = int(number)
        return chosen

    return read


def cap(given: str) -> int | None:
    if given and not given.isdecimal():
        raise ValueError("not a whole number")
    return int(given) if given else None


def database(url: str) -> dict[str, Any]:
    if url and urlsplit(url).scheme not in ("postgres", "postgresql", "psql", "pgsql"):
        raise ValueError("not an address of a PostgreSQL server")
    return environ.Env.db_url_config(url) if url else {"ENGINE": "django.db.backends.dummy"}
