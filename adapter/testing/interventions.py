"""What a test does to the functions and the Lambdas of a cloud: a part of `LocalCloud`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar, overload

from adapter.api.durable import Durable
from adapter.errors import ConfigurationError
from adapter.testing.driver import Driver
from adapter.testing.fakes import MISSING, Fake, fake_of
from adapter.testing.faults import Kill, Meanwhile
from adapter.testing.simulated_aws.lambdas import import_handler
from adapter.testing.simulated_aws.outages import outage_named
from adapter.testing.simulated_aws.service import Service

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_ALIAS = "live"


def _changed(fn: Durable[..., Any] | str, calls: Callable[..., Any]) -> Fake:
    if isinstance(fn, str):
        raise ConfigurationError(f"whose code is calls=? Give a durable function, not the name of a Lambda, {fn!r}")
    body = calls.definition.function if isinstance(calls, Durable) else calls
    return fake_of(fn, returns=MISSING, raises=MISSING, calls=body)


class Interventions:
    """Each of them holds as long as the cloud, unless it says otherwise."""

    service: Service
    alias: str
    _driver: Driver

    def _lambda_of(self, fn: Durable[..., Any] | str) -> str:
        raise NotImplementedError

    @overload
    def fake(self, fn: Durable[P, R], *, returns: R) -> Fake: ...
    @overload
    def fake(self, fn: Durable[P, R], *, raises: Exception | type[Exception]) -> Fake: ...
    @overload
    def fake(self, fn: Durable[P, R], *, calls: Callable[P, Coroutine[Any, Any, R]]) -> Fake: ...
    @overload
    def fake(self, fn: Durable[P, R], *, calls: Callable[P, R]) -> Fake: ...
    def fake(
        self, fn: Durable[..., Any], *, returns: Any = MISSING, raises: Any = MISSING, calls: Any = MISSING
    ) -> Fake:
        """From now on a function answers so, without its body, wherever and however it was started.

        It holds as long as the cloud, or as its ``with`` is open. ``cloud.stats.bodies`` counts it as a body. A faked
        function that makes no durable call is tried again as any such function is. An inline step, ``run(fn)``, isn't
        remote, and runs the function's own body.

        Args:
            returns: a value of the function's result type.
            raises: an exception or its class. It crosses as if the body had raised it.
            calls: a function, plain or async, that gets the arguments as the body would. In place of an async function
                it may make durable calls, and it replays as the body would.

        Returns:
            the fake. Its ``.calls`` are the arguments of each call, by parameter name.

        Raises:
            ConfigurationError: not exactly one of the three was given; functions run in processes.
            CodecError: the function can't return this value.
        """
        fake = fake_of(fn, returns=returns, raises=raises, calls=calls)
        self._driver.fake(fake)
        return fake

    def forget(self) -> None:
        """End every sandbox, as a deploy does: the next resume of each execution is a replay, by the code as it is now.

        Nothing else changes. In this process the sandboxes lose the suspended executions that they keep, and the
        template's handlers are looked up anew; the values of your modules' variables stay, as those of this process.
        With processes these end, and new ones import your modules. A Lambda that is running finishes first.
        """
        self._driver.forget()

    def kill(self, fn: Durable[..., Any] | str, operation: type[Any], when: str = "after") -> None:
        """Kill one run of a function, once. Its Lambda dies ``"before"`` or ``"after"`` its next operation of this
        class.

        The engine's own Lambdas go by the name of their handler, for instance ``"adapter.lambdas.sweeper.sweep"``. Any
        Lambda can also be killed by its own name, even while it loads and nobody knows what it will run. A process can
        only be killed around its calls of AWS: see `adapter.testing.processes.deaths.CALLS`.

        Args:
            operation: a class of `adapter.engine.operations`, ``Settle`` for instance.

        Raises:
            ConfigurationError: the kill would never come about.
        """
        if not isinstance(operation, type) or when not in ("before", "after"):
            raise ConfigurationError(
                "kill takes a class of adapter.engine.operations and 'before' or 'after',"
                f" not {operation!r} and {when!r}"
            )
        self._driver.kill(Kill(getattr(fn, "name", str(fn)), operation, when))

    def meanwhile(self, fn: Durable[..., Any] | str, operation: type[Any], then: Callable[[], object]) -> None:
        """Each time a run of a function is about to perform such an operation, call ``then`` first.

        What it does happens while the run's invocation is under way: ``lambda: (resolve(id, 1), cloud.drive())`` lets a
        settlement reach the function's record between two of its operations. Time that passes meanwhile passes for the
        run, too. Functions are named as for `kill`.

        Args:
            operation: a class of `adapter.engine.operations`, ``Arm`` for instance.
        """
        self._driver.meanwhile(Meanwhile(getattr(fn, "name", str(fn)), operation, then))

    def kill_midway(self, fn: Durable[..., Any] | str, once: Callable[[], bool]) -> None:
        """Kill one run of a function, once, in the middle of its code: as soon as ``once()`` is true while it runs.

        Only with processes. The cloud asks ``once`` many times a second. Let the function's code leave a sign for it,
        for instance a file, and then wait; otherwise the code may be over before the cloud looks.
        """
        self._driver.kill_midway(getattr(fn, "name", str(fn)), once)

    def publish(
        self,
        fn: Durable[..., Any] | str,
        *,
        calls: Callable[..., Any] | None = None,
        alias: str | None = None,
        share: float = 1.0,
    ) -> int:
        """Publish the next version of the Lambda of ``fn``, as a deploy does; the alias goes there from now on.

        The version keeps the durable functions as they are now, whatever becomes of them in your modules. A fake goes
        before any version.

        Args:
            fn: a durable function, or a Lambda's name.
            calls: the function's code in this version; its own, if it isn't given.
            alias: by default the cloud's, or ``"live"`` where it has none.
            share: the part of the invocations that goes to this version, as in a canary; the rest goes where it went.

        Returns:
            the version. They are counted from 1.

        Raises:
            ConfigurationError: there is no such Lambda; functions run in processes.
        """
        name = self._lambda_of(fn)
        changed = None if calls is None else _changed(fn, calls)
        version = self._publish(name, changed)
        self.shift(fn, version, share, alias)
        return version

    def _publish(self, name: str, changed: Fake | None = None) -> int:
        function = self.service.function(name)
        handler = import_handler(function.spec) if function.spec.handler else function.handler
        return int(self.service.versions.publish(function, handler, self._driver.code(changed)))

    def shift(self, fn: Durable[..., Any] | str, version: int, share: float = 1.0, alias: str | None = None) -> None:
        """Let the alias send this part of the invocations to a version, and the rest to where all of them went before.

        Raises:
            ConfigurationError: there is no such version; nothing could have the rest.
        """
        to = alias or self.alias or DEFAULT_ALIAS
        self.service.versions.shift(self._lambda_of(fn), to, str(version), share)

    def unpublish(self, fn: Durable[..., Any] | str, version: int) -> None:
        """Delete a published version: Lambda knows it no more, and an execution that is pinned to it can't run.

        Raises:
            ConfigurationError: there is no such version, or an alias goes there.
        """
        self.service.versions.unpublish(self._lambda_of(fn), str(version))

    @contextmanager
    def outage(self, fn: Durable[..., Any] | str, kind: str) -> Iterator[None]:
        """While it is open, the Lambda of ``fn`` can't run: it fails as AWS makes it fail.

        What happens meanwhile happens in virtual time, so drive the cloud inside of the ``with``. Of several outages
        for one Lambda the one that was opened last counts.

        Args:
            fn: a durable function, for the Lambda where its executions run; or a Lambda's name. A call without a
                target runs in its caller's Lambda.
            kind: ``"missing"``: Invoke is refused, events that were accepted before fail. ``"import"``: each attempt
                fails while the code is imported. ``"denied"``: Invoke is refused, events that were accepted before
                run. ``"throttled"``: events stay in Lambda's queue, for six hours at most. ``"reserved"``: the reserved
                concurrency is 0, so events go to the on-failure destination at once.

        Raises:
            ConfigurationError: there is no such kind, or no such Lambda.
        """
        with self.service.outage(self._lambda_of(fn), outage_named(kind)):
            yield
