"""When a schedule's occurrences are: cron fields in a time zone, or a rate. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from adapter.errors import BadMessage, ConfigurationError
from adapter.protocol.times import LATEST, SECOND, Instant, datetime_of, instant_of

_RATE = re.compile(r"rate\(\s*([1-9][0-9]{0,8})\s+(second|minute|hour|day|week)s?\s*\)")
_UNITS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}


@dataclass(frozen=True, slots=True)
class When:
    """When a schedule's occurrences are.

    Args:
        expression: five fields of cron, ``"0 3 * * *"``, or ``"rate(5 minutes)"``, counted from when it was made.
        timezone: of the cron fields, as ``"Europe/Berlin"``.
        catch_up: occurrences that were missed, since nothing could run, are started late, in order. Without it they are
            left out.
    """

    expression: str
    timezone: str = "UTC"
    catch_up: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """A schedule's occurrences as its record keeps them. ``timeout`` is that of each execution."""

    when: When
    start: Instant
    timeout: float | None = None

    def after(self, since: Instant) -> Instant:
        """The first occurrence later than ``since``.

        Raises:
            ConfigurationError: the expression or the time zone can't be read, or there is no further occurrence.
        """
        if rate := _RATE.fullmatch(self.when.expression):
            step = int(rate[1]) * _UNITS[rate[2]] * SECOND
            following = self.start + ((since - self.start) // step + 1) * step
        else:
            following = self._cron_after(since)
        if following >= LATEST:
            raise ConfigurationError(f"{self.when.expression[:80]!r} has no further occurrence before the year 10000")
        return following

    def _cron_after(self, since: Instant) -> Instant:
        # Imported only here: every Lambda loads this module, and few ever ask when an occurrence is.
        import zoneinfo

        from cronsim import CronSim, CronSimError

        try:
            local = datetime_of(since).astimezone(zoneinfo.ZoneInfo(self.when.timezone))
            found = next(CronSim(self.when.expression, local))
        except (CronSimError, zoneinfo.ZoneInfoNotFoundError, OSError, ValueError, OverflowError) as unreadable:
            # OSError: the package tzdata takes a name for that of a file, whatever there is under it.
            raise ConfigurationError(
                f"{self.when.expression[:80]!r} in {self.when.timezone[:80]!r} isn't a schedule: five fields of cron,"
                f" as in '0 3 * * *', or a rate, as in 'rate(5 minutes)' ({str(unreadable)[:200]})"
            ) from None
        except StopIteration:
            raise ConfigurationError(f"{self.when.expression[:80]!r} has no further occurrence") from None
        return instant_of(found)

    def to_text(self) -> str:
        when = self.when
        data = [when.expression, when.timezone, when.catch_up, self.start, self.timeout]
        return json.dumps(data, separators=(",", ":"), ensure_ascii=False)


def recurrence(text: str, of: str) -> Recurrence:
    """Read what `Recurrence.to_text` wrote for the schedule ``of``. Raises BadMessage: it isn't that."""
    try:
        expression, timezone, catch_up, start, timeout = json.loads(text)
        known = isinstance(expression, str) and isinstance(timezone, str) and isinstance(catch_up, bool)
        known = known and type(start) is int and 0 <= start < LATEST
        if not known or not (timeout is None or (isinstance(timeout, int | float) and 0 < timeout < LATEST)):
            raise TypeError("something is of another type, or no time")
    except (ValueError, TypeError, RecursionError) as unreadable:
        raise BadMessage(f"the recurrence of {of} can't be read: {unreadable}") from None
    return Recurrence(when=When(expression, timezone, catch_up), start=start, timeout=timeout)
