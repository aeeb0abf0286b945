"""What a call of a durable function asks the execution for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from adapter.codec import decode
from adapter.engine.hosts import storable
from adapter.engine.registry import Definition
from adapter.errors import ConfigurationError, NotDurable
from adapter.protocol.making import changed
from adapter.protocol.records import Kind, digest_of
from adapter.protocol.times import Instant, span_of
from adapter.replay.steps import Place, Promise, Request, Scope, current

Placement = Literal["lambda", "inline", "auto"]
_LONGEST = 100 * 365 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of a call. ``id`` is that of the root that runs it, ``target`` the Lambda; ``tags`` are kept with it.

    After ``timeout`` seconds its promise times out. ``retry`` is a policy of this call, which travels with it. Where it
    is a root's, ``place`` says nothing.
    """

    id: str | None = None
    target: str = ""
    retry: str = ""
    timeout: float | None = None
    place: Place = Place.LAMBDA
    tags: Mapping[str, str] = field(default_factory=dict)


def seconds(timeout: float | None) -> float | None:
    """Return the timeout. Raises ConfigurationError: it isn't a positive number of seconds."""
    if timeout is None or (type(timeout) in (int, float) and 0 < timeout <= _LONGEST):
        return timeout
    raise ConfigurationError(f"timeout is a positive number of seconds, at most 100 years of them, got {timeout!r}")


def place(word: str) -> Place:
    """Return the placement. Raises ConfigurationError: it is none."""
    try:
        return Place(word)
    except ValueError:
        known = ", ".join(repr(one.value) for one in Place)
        raise ConfigurationError(f"place is one of {known}, got {word!r}") from None


def deadline(scope: Scope, timeout: float | None) -> Instant | None:
    return None if timeout is None else scope.clock() + span_of(timeout)


def scope_of(what: str) -> Scope:
    """The scope whose code is running. Raises NotDurable: none is."""
    scope = current.get()
    if scope is None:
        raise NotDurable(f"{what} was called outside of a durable function")
    return scope


def encoded(definition: Definition, args: Any, kwargs: Any) -> str:
    """The arguments as they are stored.

    Raises:
        CodecError: one can't be stored; nothing was written.
    """
    return storable(definition.signature.encode_args(args, kwargs), f"the arguments of {definition.name}")


def call(definition: Definition, options: Options, args: str, scope: Scope) -> Request:
    """The function runs as a child of the caller."""
    return Request(
        kind=Kind.CALL,
        fn=definition.name,
        args=args,
        digest=digest_of(Kind.CALL, definition.name, args),
        decode=definition.signature.decode_result,
        target=options.target,
        place=options.place,
        deadline=deadline(scope, options.timeout),
        retry=options.retry,
        tags=dict(options.tags),
    )


def call_root(kind: Kind, definition: Definition, options: Options, args: str, root: str, scope: Scope) -> Request:
    """The function runs as a root. The caller awaits it (``FOLLOW``), or leaves it to itself (``DETACH``)."""
    return changed(
        call(definition, options, args, scope),
        kind=kind,
        digest=digest_of(kind, definition.name, f"{root}\0{args}"),
        decode=definition.signature.decode_result if kind is Kind.FOLLOW else decode,
        root=root,
    )


def start_call(definition: Definition, options: Options, args: Any, kwargs: Any, scope: Scope) -> Promise[Any]:
    """Call the function, by the options of the call."""
    text = encoded(definition, args, kwargs)
    if options.id is None:
        return scope.request(call(definition, options, text, scope))
    return scope.request(call_root(Kind.FOLLOW, definition, options, text, options.id, scope))
