"""How long AWS takes, in virtual time: each number with its source. Nothing here was measured by us on AWS.

Each duration is drawn from a log-normal distribution through a median and a 99th percentile, from the cloud's seed.
"""

from __future__ import annotations

import functools
import math
import random
from dataclasses import dataclass, fields

from adapter.errors import ConfigurationError
from adapter.protocol.times import MILLISECOND, NO_TIME, SECOND, Instant, Span

_P99 = 2.3263478740408408
"""So many standard deviations above the median of a normal distribution is its 99th percentile."""


@dataclass(frozen=True)
class Latency:
    """Half of the draws are below ``p50`` milliseconds, and 99 of a hundred below ``p99``. Zeros: it takes no time."""

    p50: float
    p99: float

    def __post_init__(self) -> None:
        if not (0 < self.p50 <= self.p99 < math.inf or self.p50 == self.p99 == 0):
            raise ConfigurationError(f"a Latency has 0 < p50 <= p99 milliseconds, or none at all, got {self}")

    def draw(self, dice: random.Random) -> Span:
        if not self.p50:
            return NO_TIME
        return Span(round(dice.lognormvariate(*_shape(self.p50, self.p99)) * MILLISECOND))


@functools.cache
def _shape(p50: float, p99: float) -> tuple[float, float]:
    return math.log(p50), math.log(p99 / p50) / _P99


# Messaging: 1,024 messages each in eu-west-1 in September 2022, from the producer's call to the consumer's code.
# https://bitesizedserverless.com/bite/serverless-messaging-latency-compared/
_INVOCATION = Latency(73, 225)  # SNS, which invokes Lambda asynchronously
_STREAM = Latency(213, 552)
_QUEUE = Latency(16, 105)

# AWS promises single digits on DynamoDB's own side; a client sees 10 to 20 under typical conditions. So the median is
# AWS's, and the 99th percentile the client's. That a write takes longer than a read is an assumption.
# https://aws.amazon.com/blogs/database/understanding-amazon-dynamodb-latency/
# https://dynobase.dev/dynamodb-performance-latency/
_READ = Latency(4, 20)
_WRITE = Latency(6, 20)

# We found nothing published of what the call itself takes until it is accepted. An assumption: three writes.
_INVOKE = Latency(18, 60)
_SEND = Latency(10, 40)

# A Lambda with boto3 puts 60 KB into a bucket of its region: 60 to 133. https://kkc.github.io/2020/03/16/s3-latency/
_PUT = Latency(80, 133)
# "Roughly 100 to 200 milliseconds" for small objects.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html
_GET = Latency(100, 200)

# Published for Python in 512 MB: 150 to 500. Ours imports boto3, pydantic and the application, so the upper end is
# taken for the median; the 99th percentile is an assumption.
# https://www.arcadegame.cloud/arcade/cloud/03-serverless-cold-starts
_COLD = Latency(450, 900)
# An assumption: what `python -m benchmarks.cold` prints of a second invocation's CPU, in a third of a CPU.
_WARM = Latency(5, 20)

# Found in experiments: some after 5 minutes, most after 45 to 60. The least is taken.
# https://theburningmonk.com/2017/06/finding-coldstarts-how-long-does-aws-lambda-keep-your-idle-functions-around/
_WARM_S = 300

# Each function: 1,000 environments every 10 seconds, refilled continuously, never more than 1,000 at once.
# https://docs.aws.amazon.com/lambda/latest/dg/scaling-behavior.html
_SCALES_BY, _SCALES_IN_S = 1_000, 10

# An on-demand table begins with four partitions' throughput, and each partition has a shard.
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html
_SHARDS = 4


@dataclass(frozen=True, kw_only=True)
class Latencies:
    """What takes time in a `LocalCloud`, and how long; the defaults are published numbers or say what they assume.

    Args:
        invocation: from an asynchronous Invoke until the function's environment has the event.
        stream: from a write until the stream's reader has its record.
        queue: from the time when a message may be received until the function has it.
        read: one read of the table.
        write: one write of the table.
        invoke: the call of Lambda's Invoke, for the caller.
        send: the call of SQS that sends a message, or ten.
        put: writing an object.
        get: reading an object.
        cold: starting a new environment, the code's imports included.
        warm: what an invocation takes beside its calls and your code.
        warm_s: for so many seconds an idle environment stays.
        scales_by: so many environments Lambda makes for each function in ``scales_in_s`` seconds.
        scales_in_s: see ``scales_by``.
        shards: of the table's stream.
    """

    invocation: Latency = _INVOCATION
    stream: Latency = _STREAM
    queue: Latency = _QUEUE
    read: Latency = _READ
    write: Latency = _WRITE
    invoke: Latency = _INVOKE
    send: Latency = _SEND
    put: Latency = _PUT
    get: Latency = _GET
    cold: Latency = _COLD
    warm: Latency = _WARM
    warm_s: float = _WARM_S
    scales_by: int = _SCALES_BY
    scales_in_s: float = _SCALES_IN_S
    shards: int = _SHARDS

    def __post_init__(self) -> None:
        for name in ("warm_s", "scales_by", "scales_in_s", "shards"):
            if not getattr(self, name) > 0:
                raise ConfigurationError(f"Latencies.{name} is above 0, got {getattr(self, name)!r}")

    def made_by(self, since: Instant, now: Instant) -> float:
        """How many environments of a function Lambda may make anew after so long."""
        return (now - since) / SECOND * self.scales_by / self.scales_in_s


class Delays:
    """Draws latencies. It has dice of its own, so that the faults of a seed are the same without any."""

    def __init__(self, latencies: Latencies, seed: int) -> None:
        self.latencies = latencies
        self._dice = random.Random(f"latencies {seed}")
        self._of = {
            field.name: getattr(latencies, field.name)
            for field in fields(latencies)
            if isinstance(getattr(latencies, field.name), Latency)
        }

    def draw(self, name: str) -> Span:
        """How long this one takes."""
        latency: Latency = self._of[name]
        return latency.draw(self._dice)


def latencies_of(given: bool | Latencies | None, processes: bool) -> Latencies | None:
    """What was given to `LocalCloud`; True stands for the published ones.

    Raises:
        ConfigurationError: it is nothing of this, or time isn't virtual.
    """
    if given is None or given is False:
        return None
    if processes:
        raise ConfigurationError(
            "latencies are for functions in this process, whose time is virtual: leave processes=True out"
        )
    if given is True:
        return Latencies()
    if not isinstance(given, Latencies):
        raise ConfigurationError(f"latencies are True, None or adapter.testing.Latencies(...), not {given!r}")
    return given
