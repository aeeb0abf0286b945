"""Instants and lengths of time: whole microseconds, since 1970 or between two instants. Pure."""

from __future__ import annotations

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 24 * 60 * MINUTE

LATEST = 253_402_300_800 * SECOND
"""The year 10000: nothing is due then or later."""

NEVER = 2**62
"""Later than any instant: a timer at infinity."""
