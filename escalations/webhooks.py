"""Signed webhooks to the company's other systems, in the form of Standard Webhooks (standardwebhooks.com), which has libraries in many languages.

Each delivery carries `webhook-id`, the same whenever it is tried again; `webhook-timestamp`, of this try, in seconds; and
`webhook-signature`: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`. A receiver checks the signature, refuses a timestamp that is
minutes off, and keeps the ids it has seen: a replayed or repeated delivery is then known as such.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta

TOLERANCE = timedelta(minutes=5)


def signed(secret: str, id_: str, body: bytes, now: datetime) -> dict[str, str]:
    """The headers of one delivery.

    Args:
        secret: shared with the receiver.
        id_: of the notification, the same for each try.
        body: as it is sent, byte for byte.
    """
    timestamp = str(int(now.timestamp()))
    return {
        "webhook-id": id_,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{_signature(secret, id_, timestamp, body)}",
    }


def genuine(secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    """Whether a delivery is ours and of these minutes: what a receiver does. It must still ask whether it has seen the id."""
    try:
        id_, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
        if abs(now.timestamp() - int(timestamp)) > TOLERANCE.total_seconds():
            return False
        given = headers["webhook-signature"].split()
    except (KeyError, ValueError):
        return False
    right = _signature(secret, id_, timestamp, body).encode()
    return any(hmac.compare_digest(each.removeprefix("v1,").encode(), right) for each in given)


def _signature(secret: str, id_: str, timestamp: str, body: bytes) -> str:
    message = b".".join((id_.encode(), timestamp.encode(), body))
    return base64.b64encode(hmac.new(_key(secret), message, hashlib.sha256).digest()).decode()


def _key(secret: str) -> bytes:
    """`whsec_` and base64, as the standard writes secrets; any other text is taken as it is."""
    return base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
