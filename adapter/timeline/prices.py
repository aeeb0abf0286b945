"""What AWS bills for the things that an execution needs, and an estimate of one promise by them.

The prices are those of us-east-1, on demand, in November 2026.
"""

from __future__ import annotations

import math

from adapter.protocol.records import Kind, Record
from adapter.protocol.times import SECOND
from adapter.timeline.model import Course, Part

DOLLARS_PER_WRITE_UNIT = 0.625e-6
DOLLARS_PER_READ_UNIT = 0.125e-6
DOLLARS_PER_INVOCATION = 0.20e-6
DOLLARS_PER_GIGABYTE_SECOND = 13.3334e-6
"""On arm64."""

GIGABYTES = 0.5
"""Of memory that a Lambda is taken to have."""

BYTES = 400
"""Of an item beside its texts."""


def estimated(record: Record, course: Course) -> float:
    """Dollars for one promise: its writes, its runs and their time. What its caller spends for it is the caller's."""
    texts = len(record.args) + len(record.value)
    units = math.ceil((BYTES + texts) / 1024) * (1 if record.kind is Kind.INLINE else 2)
    dollars = (units + record.epoch) * DOLLARS_PER_WRITE_UNIT
    if record.kind is not Kind.CALL:
        return dollars
    runs = [one for one in course.segments if one.part is Part.RUNNING]
    seconds = sum(one.length for one in runs) / SECOND
    dollars += (len(runs) + record.retries) * (DOLLARS_PER_INVOCATION + DOLLARS_PER_READ_UNIT)
    return dollars + seconds * GIGABYTES * DOLLARS_PER_GIGABYTE_SECOND
