"""How a receiver tells that a call is ours and new.

As the Standard Webhooks specification says: `webhook-signature` holds "v1," and the base64 of HMAC-SHA256 over
"{webhook-id}.{webhook-timestamp}.{body}" with the bytes of the secret after "whsec_"; one for each secret in force.
`X-Signature`, for receivers that know nothing of it, is the hexadecimal HMAC-SHA256 of the body alone, with the
characters of the secret as it was shown.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

PREFIX = "whsec_"


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def headers(in_force: Sequence[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Of a message signed with every secret in force, the newest first."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(_signature(secret, message_id, timestamp, body) for secret in in_force),
        "X-Signature": hmac.new(in_force[0].encode(), body, hashlib.sha256).hexdigest(),
    }


def _signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
