"""The engines that play DynamoDB and the services around it: moto, our own store in memory, or a running server."""

from __future__ import annotations

import functools
from collections.abc import Callable

from adapter.errors import ConfigurationError
from adapter.testing.simulated_aws.endpoint import EndpointWorld
from adapter.testing.simulated_aws.in_memory import MemoryWorld
from adapter.testing.simulated_aws.world import World

AnyWorld = World | MemoryWorld | EndpointWorld

ENGINES: dict[str, Callable[..., AnyWorld]] = {"moto": World, "memory": MemoryWorld}


def engine_named(name: str) -> Callable[..., AnyWorld]:
    """The class of an engine's world.

    Raises:
        ConfigurationError: there is no engine of that name, and it is no URL.
    """
    if name.startswith(("http://", "https://")):
        return functools.partial(EndpointWorld, name)
    if name not in ENGINES:
        raise ConfigurationError(f"an engine is {', '.join(ENGINES)}, or the URL of a DynamoDB, not {name!r}")
    return ENGINES[name]
