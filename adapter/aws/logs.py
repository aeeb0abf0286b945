"""Structured logs: one line for each event of a run, with the promise's id, the function and the attempt as keys.

Payloads never get into a line. User code has logged before it is replayed, so the lines of a replay are dropped.
"""

from __future__ import annotations

import logging
from typing import Any

from aws_lambda_powertools import Logger

from adapter.engine.operations import Tell
from adapter.engine.telling import What, loggable_id
from adapter.replay.execution import Execution
from adapter.replay.steps import current

MOST_IDS = 10
"""Of the promises that a line names."""


class ReplayFilter(logging.Filter):
    """Drops what a durable function logs while it replays."""

    def filter(self, record: logging.LogRecord) -> bool:
        execution = current.get()
        return not (isinstance(execution, Execution) and execution.replaying)


class LogWatcher:
    """`adapter.engine.ports.Watcher` on Powertools' logger."""

    def __init__(self, logger: Logger) -> None:
        self.logger = logger
        self.attempt = 1

    def tell(self, told: Tell) -> None:
        if told.what is What.RUNNING:
            self.attempt = told.detail.get("attempt", 1)
        details = {key: _bounded(value) for key, value in told.detail.items() if key in told.what.keeps}
        log = getattr(self.logger, told.what.level)
        log(
            told.what.value,
            extra={"promise": loggable_id(told.id), "function": told.fn, "attempt": self.attempt, **details},
        )


def _bounded(detail: Any) -> Any:
    """A detail as a line keeps it. A wide fan-out waits for thousands, and each line is billed by its bytes."""
    if not isinstance(detail, tuple | list):
        return detail
    more = [f"and {len(detail) - MOST_IDS} more"] if len(detail) > MOST_IDS else []
    return [*map(loggable_id, detail[:MOST_IDS]), *more]


def silence_replays() -> None:
    """Give the replay filter to every handler of the root logger, and to Powertools', once each."""
    loggers = [
        logging.getLogger(),
        *(x for x in logging.Logger.manager.loggerDict.values() if isinstance(x, logging.Logger)),
    ]
    for handler in {handler for logger in loggers for handler in logger.handlers}:
        if not any(isinstance(known, ReplayFilter) for known in handler.filters):
            handler.addFilter(ReplayFilter())
