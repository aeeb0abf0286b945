"""Envelopes as the engine signs them, for tests that send some themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from adapter.protocol.messages import Timed, to_event
from adapter.testing import LocalCloud


def signed(cloud: LocalCloud, envelope: Timed | Mapping[str, Any]) -> dict[str, Any]:
    """As an event: signed by the cloud's key, whatever it says."""
    event = envelope if isinstance(envelope, Mapping) else to_event(envelope)
    return cloud._driver.signer().sign(event)


def sent(cloud: LocalCloud, function: str, envelope: Timed | Mapping[str, Any]) -> None:
    """Invoke a function with it."""
    cloud.service.enqueue(function, json.dumps(signed(cloud, envelope)))


def trusted(event: object) -> None:
    """A check that takes every envelope for ours: what is read of it is the reader's own affair."""


class Trusting:
    """`adapter.engine.ports.Signer` of a test that sends all envelopes itself."""

    def sign(self, envelope: Mapping[str, Any]) -> dict[str, Any]:
        return dict(envelope)

    def check(self, envelope: Mapping[str, Any]) -> None:
        trusted(envelope)

    def rotate(self, *, drop: bool = False) -> None:
        raise NotImplementedError
