"""Signed links. A link is an address that lets its holder settle one promise, once.

A token names one promise and a time of expiry, and is signed with a key that only the stack knows. A promise settles
once, so a token needs no record of its own. There may be several keys: the first one signs, and all of them verify. So
a key can be replaced while links that it signed are under way.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import json
import math
import os
from typing import Any

from adapter.engine import hosts
from adapter.errors import BadMessage, ConfigurationError, NotDurable
from adapter.protocol.ids import is_id
from adapter.protocol.times import SECOND
from adapter.protocol.variables import described
from adapter.replay.execution import Execution
from adapter.replay.steps import current

VERSION = "v1"


def link(promise: str, *, expires_in: float, url: str | None = None) -> str:
    """An address that lets its holder settle a promise, until it expires.

    In the body of an async durable function, call it as ``await run(link, …)``. That records the link, since the key
    may be another one at the next replay. In a plain ``def`` step, or outside, call it directly. A step that runs again
    after a crash or a failure makes the same link again.

    Args:
        promise: its id, for instance the ``.id`` of ``promise(...)``.
        expires_in: seconds from now; in a step, from the time at which the step was called.
        url: the URL of the Lambda whose handler is ``adapter.links.endpoint.handler``; by default ``DURABLE_LINK_URL``.

    Raises:
        BadMessage: no promise can have this id.
        ConfigurationError: there is no key (``DURABLE_LINK_SECRET``, ``DURABLE_LINK_SECRET_ARN``), or no URL.
        NotDurable: it is called in the body of an async durable function.
    """
    scope = current.get()
    if isinstance(scope, Execution):
        raise NotDurable("link(...) in the body of a durable function isn't recorded: write await run(link, ...)")
    if not isinstance(promise, str) or not is_id(promise):
        raise BadMessage(f"{promise!r} can't be a promise's id: give link(...) the promise's .id")
    if not (isinstance(expires_in, int | float) and math.isfinite(expires_in) and expires_in > 0):
        raise ConfigurationError(f"expires_in is a positive number of seconds, got {expires_in!r}")
    base = url or described(os.environ).get("DURABLE_LINK_URL")
    if not base:
        raise ConfigurationError(
            "set DURABLE_LINK_URL to the URL of the Lambda with the handler adapter.links.endpoint.handler"
        )
    now = hosts.current().now() if scope is None else scope.now()
    # Rounded up, so that a link isn't expired when it is made.
    expires = -(-now // SECOND) + math.ceil(expires_in)
    return f"{base.rstrip('/')}/?token={sign(promise, expires, keys()[0])}"


def sign(promise: str, expires: int, key: bytes) -> str:
    """The token for a promise, good until ``expires`` (seconds since the epoch)."""
    claims = _text(json.dumps([promise, expires], separators=(",", ":")).encode())
    return f"{VERSION}.{claims}.{_text(_mac(claims, key))}"


def verify(token: str, *keys: bytes) -> tuple[str, int]:
    """The promise and expiry of a token.

    Raises:
        BadMessage: none of these keys signed it.
    """
    version, _, rest = token.partition(".")
    claims, _, mac = rest.partition(".")
    # The whole token is compared: another spelling of the same bytes is refused.
    ours = token.isascii() and version == VERSION
    if not ours or not any(hmac.compare_digest(mac.encode(), _text(_mac(claims, key)).encode()) for key in keys):
        raise BadMessage("the token isn't one of ours")
    promise, expires = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    return promise, expires


def _mac(claims: str, key: bytes) -> bytes:
    return hmac.new(key, f"lambda-await link {VERSION}\0{claims}".encode(), hashlib.sha256).digest()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


LIFE = 300
"""Seconds for which a sandbox keeps the keys that it has read."""


def keys() -> tuple[bytes, ...]:
    """The keys, from the environment or from Secrets Manager, with spaces between. The first one signs."""
    environment = described(os.environ)
    text, arn = environment.get("DURABLE_LINK_SECRET"), environment.get("DURABLE_LINK_SECRET_ARN")
    if not text and arn:
        text = str(_provider().get(arn, max_age=LIFE))
    found = (text or "").split()
    if not found or any(len(key) < 32 for key in found):
        raise ConfigurationError(
            "links need a key of at least 32 characters, or several with spaces between: set DURABLE_LINK_SECRET_ARN,"
            " or DURABLE_LINK_SECRET"
        )
    return tuple(key.encode() for key in found)


@functools.cache
def _provider() -> Any:
    # Imported only here: few Lambdas make links.
    from aws_lambda_powertools.utilities import parameters
    from botocore.config import Config

    # Together less than the 15 seconds of the links' own Lambda.
    config = Config(connect_timeout=2, read_timeout=4, retries={"mode": "standard", "total_max_attempts": 2})
    return parameters.SecretsProvider(boto_config=config)
