"""Lambdas that can't run: how Lambda refuses to invoke them, and what becomes of the events that it has accepted.

Each kind fails as AWS documents it. What isn't documented, of the events of a function that was deleted, is as others
have measured it: an attempt at it fails with 404, and is repeated like a function's own failure.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from adapter.errors import ConfigurationError
from adapter.templates.intrinsics import ACCOUNT, REGION

FIRST_RETURN_S = 1
LONGEST_RETURN_S = 300
"""Seconds after which Lambda tries again what it throttled: doubled from the first to the longest."""


class Outage(StrEnum):
    """Why a Lambda can't run."""

    MISSING = "missing"
    """It was deleted. Invoke is refused; what was accepted before fails."""
    IMPORT = "import"
    """Its module can't be imported: each attempt fails while it begins."""
    DENIED = "denied"
    """Nobody may invoke it. Invocations that Lambda accepted before run."""
    THROTTLED = "throttled"
    """All concurrency is in use. Events stay in Lambda's queue, until they are too old."""
    RESERVED = "reserved"
    """Its reserved concurrency is 0. Events go to the on-failure destination at once."""


def outage_named(kind: str) -> Outage:
    """Raises ConfigurationError: there is none of this name."""
    if kind not in set(Outage):
        raise ConfigurationError(f"an outage is one of {', '.join(map(repr, map(str, Outage)))}, not {kind!r}")
    return Outage(kind)


class InvokeRefused(Exception):
    """Invoke is answered by an error; nothing was accepted."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message


class NoSuchFunction(InvokeRefused):
    """No function has the name that is invoked."""

    def __init__(self, function: str) -> None:
        super().__init__(404, "ResourceNotFoundException", f"Function not found: {arn_of(function)}")


class Denied(InvokeRefused):
    """The caller's role doesn't allow it."""

    def __init__(self, function: str) -> None:
        message = f"the caller is not authorized to perform: lambda:InvokeFunction on resource: {arn_of(function)}"
        super().__init__(403, "AccessDeniedException", message)


class CannotImport(Exception):
    """An attempt failed before there was a handler."""

    type = "Runtime.ImportModuleError"


class Throttled(Exception):
    """An attempt wasn't made. ``reserved``: nor will another be, since no concurrency is left to the function."""

    type = "TooManyRequestsException"

    def __init__(self, function: str, *, reserved: bool) -> None:
        super().__init__(f"{function}: Rate Exceeded.")
        self.reserved = reserved


class Outages:
    """Those that are open, by the Lambda's name."""

    def __init__(self) -> None:
        self._open: dict[str, list[Outage]] = {}

    @contextmanager
    def open(self, function: str, kind: Outage) -> Iterator[None]:
        """Of several for one function the one that was opened last counts."""
        self.begin(function, kind)
        try:
            yield
        finally:
            self.end(function, kind)

    def begin(self, function: str, kind: Outage) -> None:
        self._open.setdefault(function, []).append(kind)

    def end(self, function: str, kind: Outage) -> None:
        kinds = self._open[function]
        # Of two alike, the one that was opened last.
        del kinds[len(kinds) - 1 - kinds[::-1].index(kind)]

    def of(self, function: str) -> Outage | None:
        kinds = self._open.get(function)
        return kinds[-1] if kinds else None

    def check_invoke(self, function: str) -> None:
        """Raises InvokeRefused: no event is accepted."""
        match self.of(function):
            case Outage.MISSING:
                raise NoSuchFunction(function)
            case Outage.DENIED:
                raise Denied(function)
            case _:
                pass

    def check_attempt(self, function: str) -> None:
        """Raises what comes of an attempt; it isn't made."""
        match self.of(function):
            case Outage.MISSING:
                raise NoSuchFunction(function)
            case Outage.IMPORT:
                raise CannotImport(f"Unable to import the module of {function}")
            case Outage.THROTTLED:
                raise Throttled(function, reserved=False)
            case Outage.RESERVED:
                raise Throttled(function, reserved=True)
            case _:
                pass


def delay_of(returns: int) -> int:
    """Seconds until what was throttled so often before is tried again."""
    return min(FIRST_RETURN_S << min(returns, 16), LONGEST_RETURN_S)


def arn_of(function: str) -> str:
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}"
