"""When AWS refuses for a while, these ports ask again as long as the Lambda has time. Then Lambda's retry takes over.

Asking again is safe for every operation. If a write did happen and its answer was lost, the second one is refused by
its own condition, and the answer shows what stands. A duplicated invocation meets the same.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from adapter.engine.operations import Invoke, Many, Operation, RunCode, RunLeft, Tell
from adapter.engine.ports import Ports

R = TypeVar("R")

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 10.0
"""Seconds. Each pause is drawn between zero and a bound; the bound doubles from pause to pause, up to this."""

_FROM_THE_SYSTEM = random.SystemRandom()
"""Copies of one snapshot (SnapStart) have the same state of `random`: they would all ask again at once."""

MARGIN = 0.1
"""The part of an invocation's time that is kept for the rest of its work, and for failing in good order."""

OUTSIDE = 30.0
"""Seconds of patience outside of a Lambda."""

BRIEF = 3.0
"""Seconds of patience with Lambda: what it doesn't accept is kept in a queue."""

_PASSING = frozenset(
    {
        "EC2ThrottledException",
        "InternalError",
        "InternalServerError",
        "KMSThrottlingException",
        "LimitExceededException",
        "OverLimit",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "ServiceException",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)


def passes(error: BaseException) -> bool:
    """Whether the failure may pass: AWS may give another answer soon."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return error.response.get("Error", {}).get("Code") in _PASSING or status == 429 or status >= 500
    return isinstance(error, HTTPClientError | ConnectionError)


class Patience:
    """How long to go on asking. One for each sandbox, which runs one invocation at a time."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        draw: Callable[[float, float], float] = _FROM_THE_SYSTEM.uniform,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._draw = draw
        self._end: float | None = None
        self._over = 0.0

    def allow(self, remaining: float) -> None:
        """Allow the part of so many seconds that an invocation which begins now may spend on asking."""
        self._over = self._clock() + remaining
        self._end = self._clock() + remaining * (1 - MARGIN)

    def left(self) -> float:
        """How many seconds a call may take that is made now, so that some are left of the invocation when it fails."""
        left = (self._over - self._clock()) * (1 - MARGIN)
        # No invocation of ours is under way, though one may have been: a handler of the user's own may call us, too.
        return left if left > 0 else OUTSIDE

    def call_briefly(self, code: Callable[[], R]) -> R:
        """As `call`, for what is kept if it can't be done: others wait meanwhile."""
        return self.call(code, BRIEF)

    def call(self, code: Callable[[], R], most: float = OUTSIDE) -> R:
        """Call, and call again after a failure that may pass. When the time is up, raise the last failure."""
        end = self._clock() + most
        if self._end is not None:
            end = self._end if most == OUTSIDE else min(end, self._end)
        longest = FIRST_PAUSE
        while True:
            try:
                return code()
            except Exception as error:
                pause = self._draw(0, longest)
                if not passes(error) or self._clock() + pause >= end:
                    raise
            self._sleep(pause)
            longest = min(2 * longest, LONGEST_PAUSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientPorts(Ports):
    """Ports that ask again."""

    patience: Patience

    def check(self, event: object) -> None:
        return self.patience.call(lambda: Ports.check(self, event))

    def perform(self, operation: Operation) -> Any:
        if isinstance(operation, Many | Invoke | RunCode | RunLeft | Tell):
            # A `Many` performs its parts one by one, each with patience. The invoker has a patience of its own. Whether
            # user code runs again, its own policy says.
            return Ports.perform(self, operation)
        return self.patience.call(lambda: Ports.perform(self, operation))
