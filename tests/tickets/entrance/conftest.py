from __future__ import annotations

import base64
import hashlib
import hmac
import re
import struct
import time

import pytest
from django.core.cache import cache
from django.test import Client

from triage.models import User

PASSWORD = "a long password"


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    """The cache knows used codes and seen sessions; numbers of people begin anew with each test."""
    cache.clear()


def code_at(secret: str) -> str:
    """What an authenticator app shows now (RFC 6238)."""
    counter = struct.pack(">Q", int(time.time()) // 30)
    digest = hmac.new(base64.b32decode(secret), counter, hashlib.sha1).digest()
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at : at + 4])[0] & 0x7FFFFFFF) % 1_000_000:06d}"


def sign_in(client: Client, user: User, password: str = PASSWORD) -> str:
    """Where the form leads; "" when it does not let in."""
    answer = client.post("/sign-in/", {"username": user.username, "password": password})
    return answer["Location"] if answer.status_code == 302 else ""


def set_up_app(client: Client, user: User) -> str:
    """Sign in and set up an authenticator app, as a person does it. Returns its secret."""
    sign_in(client, user)
    page = client.get("/settings/security/authenticator/").content.decode()
    found = re.search(r'id="totp-secret">([A-Z2-7]+)<', page)
    assert found is not None, page
    answer = client.post("/settings/security/authenticator/", {"code": code_at(found[1])})
    assert answer.status_code == 302
    return found[1]
