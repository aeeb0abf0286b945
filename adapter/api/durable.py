"""`durable`, and the durable functions that it makes.

A durable function is its own Lambda handler. A call inside another durable function returns a hot promise. A call by
Lambda runs, resumes or starts an execution. From anywhere else, `Durable.start` starts it.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import replace
from typing import Any, Generic, Literal, ParamSpec, Protocol, TypeVar, overload

from adapter.api import decorating, handles, maps, requests
from adapter.api.handles import Handle
from adapter.api.requests import Options, Placement
from adapter.codec import Signature
from adapter.engine import hosts, registry
from adapter.engine.caller import waking_of
from adapter.engine.events import Submission
from adapter.engine.registry import Definition, define
from adapter.errors import CodecError, ConfigurationError, NotDurable
from adapter.protocol.ids import check_root_id
from adapter.protocol.making import changed
from adapter.protocol.records import Kind, Record, digest_of
from adapter.protocol.retries import Retry
from adapter.replay.steps import Promise, Scope, current

P = ParamSpec("P")
R = TypeVar("R")


class Durable(Generic[P, R]):
    """A durable function: made by `durable`."""

    def __init__(self, definition: Definition, options: Options) -> None:
        functools.update_wrapper(self, definition.function)
        self.definition = definition
        self.options = options

    @property
    def name(self) -> str:
        return self.definition.name

    def __repr__(self) -> str:
        return f"<durable {self.name}>"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Promise[R]:
        """Inside a durable function: start this one, in its own Lambda by default; returns its promise.

        As ``(event, context)``: Lambda's entry.

        Raises:
            CodecError: an argument can't be stored; nothing was written.
            NotDurable: called from where no durable call can be made.
        """
        registry.check_newest(self.definition)
        scope = current.get()
        if scope is None and _is_lambda_call(args, kwargs):
            place = hosts.current()
            return place.handle(args[0], args[1], self._root_of_event, self.options.timeout)  # type: ignore[return-value]
        if scope is None:
            raise NotDurable(
                f"{self.name} was called outside of a durable function: start it with .start(...),"
                " or call the plain function as .__wrapped__(...)"
            )
        return requests.start_call(self.definition, self.options, args, kwargs, scope)

    def detach(self, *args: P.args, **kwargs: P.kwargs) -> Promise[str]:
        """Inside a durable function: start a root whose life isn't tied to the caller's.

        It is under way when the caller next awaits. The promise's ``.id`` is the root's; the promise settles with that
        id as soon as the root exists. A crash changes nothing: the id follows from the call.

        Raises:
            CodecError: an argument can't be stored; nothing was written.
            NotDurable: called outside of an async durable function.
        """
        scope = requests.scope_of(f"{self.name}.detach(...)")
        text = requests.encoded(self.definition, args, kwargs)
        # The id is drawn, so it is the same at every replay, and no call of any other execution has it.
        root = self.options.id or scope.uuid4().hex
        started = scope.request(requests.call_root(Kind.DETACH, self.definition, self.options, text, root, scope))
        started.id = root
        return started

    @overload
    def map(
        self, items: Iterable[Any], *, max_concurrency: int | None = None, return_exceptions: Literal[False] = False
    ) -> asyncio.Task[list[R]]: ...
    @overload
    def map(
        self, items: Iterable[Any], *, max_concurrency: int | None = None, return_exceptions: bool
    ) -> asyncio.Task[list[R | BaseException]]: ...
    def map(
        self, items: Iterable[Any], *, max_concurrency: int | None = None, return_exceptions: bool = False
    ) -> asyncio.Task[list[Any]]:
        """Inside a durable function: call this one with each item; the results in the order of the items.

        It is hot, as a call is: the first calls are under way when the caller next awaits.

        Args:
            max_concurrency: at most so many calls are pending at a time, even after crashes and resumes.
            return_exceptions: put an exception in place of a failed call's result. Otherwise the first failure is
                raised, the pending calls are cancelled, and no further call begins.

        Raises:
            ConfigurationError: ``max_concurrency`` isn't a positive whole number.
        """
        return maps.map_items(self.definition, self.options, items, max_concurrency, return_exceptions)

    def with_options(
        self,
        *,
        id: str | None = None,
        target: str | None = None,
        tags: Mapping[str, str] | None = None,
        retry: Retry | None = None,
        timeout: float | None = None,
        place: Placement | None = None,
    ) -> Durable[P, R]:
        """A copy of the function with other options, for one call.

        With an ``id``, a call inside a durable function awaits the root of that id, and starts it if there is none. So
        several executions can share work. Cancelling such a call leaves the root to the others.

        Raises:
            InvalidId: no promise can have this id.
            ConfigurationError: ``timeout`` isn't a positive number of seconds; ``place`` is no placement.
        """
        options = self.options
        if place is not None:
            options = replace(options, place=requests.place(place))
        if retry is not None:
            decorating.check_retry(retry)
            options = replace(options, retry=retry.to_text())
        if timeout is not None:
            options = replace(options, timeout=requests.seconds(timeout))
        if id is not None:
            options = replace(options, id=check_root_id(id))
        if target is not None:
            options = replace(options, target=target)
        if tags is not None:
            options = replace(options, tags={**options.tags, **tags})
        return Durable(self.definition, options)

    def start(self, *args: P.args, **kwargs: P.kwargs) -> Handle[R]:
        """From outside: start a root execution. With an ``id`` it is started only once.

        If the caller dies before this returns, it may have created the root and not invoked it. The watchdog then
        invokes it after about twenty minutes.

        Raises:
            CodecError: an argument can't be stored; nothing was written.
            IdConflict: the id belongs to another function, or to other arguments.
        """
        if isinstance(current.get(), Scope):
            raise NotDurable(
                f"{self.name}.start(...) inside a durable function would start again at every replay: call it"
            )
        promise = self.options.id or hosts.current().new_id()
        record = self._root(promise, requests.encoded(self.definition, args, kwargs))
        return handles.started(record, self.definition.signature.decode_result, self.options.timeout)

    def _root(self, promise: str, args: str) -> Record:
        registry.check_newest(self.definition)
        return Record(
            id=promise,
            fn=self.name,
            target=hosts.current().qualify(self.options.target),
            args=args,
            digest=digest_of(Kind.CALL, self.name, args),
            retry=self.options.retry,
            tags=self.options.tags,
        )

    def _root_of_event(self, submission: Submission) -> Record:
        try:
            encoded = self.definition.signature.encode_event(submission.argument)
        except CodecError as misfit:
            # Lambda logs the exception of a handler, and an event doesn't belong in a log.
            raise CodecError(misfit.brief or f"{self.name}(): its argument can't be read from the event") from None
        text = hosts.storable(encoded, f"the event of {self.name}")
        digest = digest_of(Kind.CALL, self.name, submission.fingerprint())
        return changed(self._root(submission.root(self.name), text), digest=digest)


def _is_lambda_call(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    return len(args) == 2 and not kwargs and hasattr(args[1], "aws_request_id")


class _Decorator(Protocol):
    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Durable[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Durable[P, R]: ...


@overload
def durable(function: Callable[P, Coroutine[Any, Any, R]], /) -> Durable[P, R]: ...
@overload
def durable(function: Callable[P, R], /) -> Durable[P, R]: ...
@overload
def durable(
    *,
    name: str | None = None,
    retry: Retry | None = None,
    timeout: float | None = None,
    target: str = "",
    tags: Mapping[str, str] | None = None,
    place: Placement = "lambda",
    wake: Literal["stream", "direct", "linger"] | None = None,
    pin: bool = False,
) -> _Decorator: ...
def durable(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    retry: Retry | None = None,
    timeout: float | None = None,
    target: str = "",
    tags: Mapping[str, str] | None = None,
    place: Placement = "lambda",
    wake: Literal["stream", "direct", "linger"] | None = None,
    pin: bool = False,
    **unknown: Any,
) -> Any:
    """Make a function durable: each call of it is its own Lambda invocation, its outcome a promise in DynamoDB.

    Args:
        name: the function's name in records; the default is ``module:qualname``. With a name of your own you can move
            the function.
        retry: whether and when it is tried again after it raises. By default a function that made no durable call is
            tried three times in all, after 1 and 2 seconds. A function that made one isn't tried again.
        timeout: seconds after which its promise times out, and the function is cancelled.
        target: the Lambda that runs it, by its name within the stack; the default is its caller's.
        tags: kept with each of its promises.
        place: where a call of it runs: each in its own Lambda invocation (``"lambda"``), in its caller's
            (``"inline"``), or in its caller's where that is as good (``"auto"``). It changes what a call costs, and
            nothing else: what its caller can't do runs in its own.
        wake: how a call that it waits for alone resumes it. ``"stream"``: through the table's stream and the resumer.
            ``"direct"``: the call's own Lambda invokes it, which is faster by the stream's time. ``"linger"``: it stays
            in its invocation for up to 250 ms, and suspends only for a longer call; that is fastest, and it pays for
            the time. The default is what ``DURABLE_WAKE`` says, else ``"stream"``. A crash loses no call in any way.
        pin: each execution of it stays with the published version of its Lambda that it began with, and so does what it
            calls in the same Lambda. By default an execution follows the newest code. Nothing is pinned to code that
            runs as ``$LATEST``, which is no version: publish versions, by ``AutoPublishAlias``.

    Raises:
        ConfigurationError: ``timeout`` isn't a positive number; ``place`` or ``wake`` is none that there is; an attempt
            of a plain ``def`` can't be timed.
        DuplicateName: another function of this process has the name; a reload of the same one is fine.
        TypeError: it isn't a plain function, but a method, a class or a generator, for instance; or there is no such
            option.
    """
    decorating.check_options(retry, unknown)
    namespace = sys._getframe(1).f_locals
    where = requests.place(place)
    waking = None if wake is None else waking_of(wake, "wake=")
    options = Options(target=target, tags=dict(tags or {}), timeout=requests.seconds(timeout), place=where)

    def decorate(given: Callable[..., Any]) -> Durable[..., Any]:
        plain = decorating.check_function(given)
        if retry is not None and retry.attempt_timeout is not None and not inspect.iscoroutinefunction(plain):
            raise ConfigurationError(
                f"{plain.__qualname__}: a plain def can't be interrupted, so attempt_timeout needs an async def;"
                " for a plain def, the Timeout of its Lambda is the bound"
            )
        full = name or f"{plain.__module__}:{plain.__qualname__}"
        definition = Definition(
            name=full, function=plain, signature=Signature(plain, full, namespace), retry=retry, wake=waking, pin=pin
        )
        define(definition)
        return Durable(definition, options)

    return decorate if function is None else decorate(function)
