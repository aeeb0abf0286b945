"""S3 under the virtual clock."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

from adapter.protocol.times import Instant


@contextmanager
def virtual_time(clock: Callable[[], Instant]) -> Iterator[None]:
    """moto dates objects by the real clock. ``clock``: microseconds since the epoch."""
    from moto.s3 import models

    def utcnow() -> dt.datetime:
        return dt.datetime.fromtimestamp(clock() / 1e6, dt.UTC).replace(tzinfo=None)

    with patch.object(models, "utcnow", utcnow):
        yield
