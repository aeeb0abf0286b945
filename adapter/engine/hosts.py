"""Which host this process uses: AWS, or a `LocalCloud`.

It is the innermost host that was entered, or else the one that the environment describes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from adapter.errors import ConfigurationError
from adapter.protocol.records import MAX_OBJECT_BYTES, MAX_PAYLOAD_BYTES, check_payload

if TYPE_CHECKING:
    from adapter.engine.host import EngineHost

_entered: list[EngineHost] = []
_default: list[Callable[[], EngineHost]] = []


def current() -> EngineHost:
    """The innermost host that was entered, or else the environment's."""
    if _entered:
        return _entered[-1]
    if not _default:
        raise ConfigurationError("no host: enter a LocalCloud, or configure AWS access")
    return _default[0]()


def enter(new: EngineHost) -> None:
    _entered.append(new)


def leave(old: EngineHost) -> None:
    _entered.remove(old)


def set_default(factory: Callable[[], EngineHost]) -> None:
    """Have ``factory`` make a host from the environment where none is entered."""
    _default[:] = [factory]


def storable(text: str, what: str) -> str:
    """Return an encoded text if this host can store it.

    Raises:
        PayloadTooLarge: it can't. Nothing was written.
    """
    if len(text) <= MAX_PAYLOAD_BYTES // 8:
        # Short enough anywhere, however it is encoded and encrypted. Most texts are, so they need no host.
        return text
    try:
        limit = current().largest()
    except ConfigurationError:
        limit = MAX_PAYLOAD_BYTES
    remedy = "" if limit == MAX_OBJECT_BYTES else "; with a bucket (set DURABLE_BUCKET to its name), more"
    return check_payload(text, what, limit, remedy)
