"""Lambda functions in this process: asynchronous invocations with Lambda's retries, in virtual time."""

from __future__ import annotations

import contextvars
import functools
import importlib
import json
import marshal
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from adapter.engine.memory import Memory
from adapter.engine.registry import Definition
from adapter.errors import ConfigurationError
from adapter.protocol.addresses import NEWEST, split, with_qualifier
from adapter.protocol.making import quickly_made
from adapter.protocol.times import EPOCH, MILLISECOND, MINUTE, Instant, Span
from adapter.templates.template import FunctionSpec

RETRY_DELAYS = (MINUTE, 2 * MINUTE)
"""So long it takes until Lambda repeats a failed asynchronous invocation."""


class Unwritten(Protocol):
    """An event that nobody has written as JSON, since it stays in this process."""

    def event(self) -> Any:
        """The event, as a handler may change it: a new one each time."""
        ...

    def written(self) -> str:
        """The JSON text that would travel."""
        ...


@dataclass(kw_only=True)
class Invocation:
    """One asynchronous invocation. Lambda accepted it ``at``, and ``throttled`` it so often in a row."""

    function: str
    body: str | Unwritten
    request_id: str
    attempt: int = 1
    at: Instant = EPOCH
    throttled: int = 0

    @property
    def payload(self) -> str:
        """Its event as JSON."""
        return self.body if isinstance(self.body, str) else self.body.written()

    def event(self) -> Any:
        """Its event, for one attempt."""
        return json.loads(self.body) if isinstance(self.body, str) else self.body.event()


class Batch:
    """An event of an event source mapping. It has no user's objects, so it is copied faster than by way of JSON."""

    def __init__(self, event: dict[str, Any]) -> None:
        self._copy = marshal.dumps(event)

    def event(self) -> Any:
        return marshal.loads(self._copy)  # noqa: S302

    def written(self) -> str:
        return json.dumps(self.event())


@quickly_made
@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The context that Lambda hands to a handler. ``ran`` is for how long it has run."""

    aws_request_id: str
    function_name: str
    memory_limit_in_mb: int
    timeout_s: int
    ran: Callable[[], Span] = Span
    function_version: str = NEWEST
    invoked_as: str = ""
    log_group_name: str = ""
    log_stream_name: str = ""
    identity: Any = None
    client_context: Any = None

    @property
    def invoked_function_arn(self) -> str:
        name = with_qualifier(self.function_name, self.invoked_as)
        return f"arn:aws:lambda:us-east-1:123456789012:function:{name}"

    def get_remaining_time_in_millis(self) -> int:
        return max(0, self.timeout_s * 1_000 - self.ran() // MILLISECOND)


@dataclass
class Function:
    """A Lambda function: its handler, and the memories of its warm sandboxes. ``code``: a version's own functions."""

    spec: FunctionSpec
    handler: Callable[[Any, Any], Any] | None = None
    memories: list[Memory] = field(default_factory=lambda: [Memory()])
    version: str = NEWEST
    code: Mapping[str, Definition] | None = None

    @property
    def memory(self) -> Memory:
        """That of the first sandbox: of the only one, unless a fault makes more."""
        return self.memories[0]

    def forget(self) -> None:
        """No sandbox is left."""
        for memory in self.memories:
            memory.clear()

    def renew(self) -> None:
        """No sandbox is left, as after a deploy: the next one finds the handler as it is then.

        An invocation under way goes on in its own, which nobody uses any more, so it keeps nothing there.
        """
        size = self.memory.size
        for memory in self.memories:
            memory.clear()
            memory.size = 0
        self.memories = [Memory(size=size)]
        if self.spec.handler and self.version == NEWEST:
            self.handler = None

    def resolve(self, fallback: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """The handler that the template names; ``fallback`` for a function that no template defines."""
        if self.handler is None and self.spec.handler:
            self.handler = import_handler(self.spec)
        # Each sandbox has a fallback of its own.
        return self.handler or fallback

    @functools.cached_property
    def environment(self) -> environment:
        """What sets its environment variables."""
        return environment(self.spec.environment)

    def call(self, invocation: Invocation, fallback: Callable[[Any, Any], Any], ran: Callable[[], Span]) -> Any:
        """One attempt: as Lambda calls a handler, in a fresh context. The caller sets the function's environment."""
        context = Context(
            aws_request_id=invocation.request_id,
            function_name=split(self.spec.name)[0],
            function_version=self.version,
            invoked_as=split(invocation.function)[1],
            memory_limit_in_mb=self.spec.memory_mb,
            timeout_s=self.spec.timeout_s,
            ran=ran,
            log_group_name=f"/aws/lambda/{split(self.spec.name)[0]}",
        )
        handler = self.resolve(fallback)
        return contextvars.Context().run(handler, invocation.event(), context)


def import_handler(spec: FunctionSpec) -> Callable[[Any, Any], Any]:
    """Import ``module.attribute`` as Lambda does."""
    module, _, attribute = spec.handler.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as missing:
        raise ConfigurationError(
            f"{spec.logical_id}: its handler {spec.handler!r} can't be imported: {missing}"
        ) from missing
    if not callable(found):
        raise ConfigurationError(f"{spec.logical_id}: its handler {spec.handler!r} isn't callable")
    handler: Callable[[Any, Any], Any] = found
    return handler


class environment:  # noqa: N801
    """A context that sets environment variables for a while.

    Each invocation of a function enters one. So it sets them as `os.environ` does, and leaves out what that does to be
    told of a name: through it, each variable would be encoded and decoded six times.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        environ: Any = os.environ
        self._variables = [(environ.encodekey(name), environ.encodevalue(text)) for name, text in variables.items()]
        self._before: list[tuple[Any, Any]] = []

    def again(self) -> environment:
        """Another one, of the same variables."""
        other = environment({})
        other._variables = self._variables
        return other

    def __enter__(self) -> None:
        data: Any = os.environ._data  # type: ignore[attr-defined]
        for key, value in self._variables:
            self._before.append((key, data.get(key)))
            _set(data, key, value)

    def __exit__(self, *_: object) -> None:
        data: Any = os.environ._data  # type: ignore[attr-defined]
        for key, value in self._before:
            if value is not None:
                _set(data, key, value)
            elif key in data:
                del data[key]
                os.unsetenv(key)
        self._before.clear()


def _set(data: Any, key: Any, value: Any) -> None:
    if data.get(key) != value:
        data[key] = value
        os.putenv(key, value)
