"""What `durable` takes: a plain function. Each mistake gets one sentence that says what to write instead."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from adapter.errors import ConfigurationError
from adapter.protocol.retries import Retry
from adapter.protocol.words import no_such_option

OPTIONS = ("name", "retry", "timeout", "target", "tags", "place", "wake")

_ATTEMPTS = "retry=Retry(attempts=...), which counts the first attempt, too"
_MEANT = {
    "retries": _ATTEMPTS,
    "attempts": _ATTEMPTS,
    "max_attempts": _ATTEMPTS,
    "max_retries": _ATTEMPTS,
    "retry_policy": "retry=",
    "deadline": "timeout=",
    "timeout_seconds": "timeout=",
    "id": "with_options(id=...), on the function: an id is that of one execution",
}


def check_options(retry: object, unknown: dict[str, Any]) -> None:
    """Raises TypeError: there is no such option. ConfigurationError: ``retry`` is no policy."""
    for option in unknown:
        raise no_such_option("durable", option, OPTIONS, _MEANT)
    check_retry(retry)


def check_retry(retry: object) -> None:
    """Raises ConfigurationError: it is no policy."""
    if retry is not None and not isinstance(retry, Retry):
        number = isinstance(retry, int)
        hint = f"Retry(attempts={retry})" if number else "Retry(attempts=3, initial=1.0)"
        raise ConfigurationError(f"retry is a policy, for instance {hint}, got {retry!r}")


def check_function(given: object) -> Callable[..., Any]:
    """Return the function. Raises TypeError: it is none that can be durable."""
    if not inspect.isfunction(given):
        raise TypeError(f"@durable takes a function that `def` or `async def` makes; {_instead(given)}")
    where = f"{given.__module__}:{given.__qualname__}"
    if inspect.isasyncgenfunction(given) or inspect.isgeneratorfunction(given):
        raise TypeError(f"{where} is a generator; a durable function returns once")
    names = list(inspect.signature(given).parameters)
    if names[:1] in (["self"], ["cls"]) and _is_in_class(given):
        raise TypeError(
            f"{where} is a method, and its object can't be found again after a crash: make it a function that takes"
            " what it needs as arguments"
        )
    if names == ["event", "context"]:
        raise TypeError(
            f"{where} is a Lambda handler (event, context). A durable function takes the event alone, as an argument"
            " of any type, and is itself the handler: drop `context`. Decorators of handlers, such as Powertools'"
            " inject_lambda_context, go above @durable"
        )
    return given


def _is_in_class(function: Callable[..., Any]) -> bool:
    around = function.__qualname__.rpartition(".")[0]
    return bool(around) and not around.endswith("<locals>")


def _instead(given: object) -> str:
    match given:
        case staticmethod():
            return "put @staticmethod above @durable, not below"
        case classmethod() | property():
            return f"a {type(given).__name__} belongs to a class: make it a function"
        case functools.partial():
            return "a partial isn't one: write a function that calls it"
        case type():
            return f"{given.__qualname__} is a class: write a function that makes what it makes"
    if inspect.ismethod(given):
        return f"{given.__qualname__} is bound to an object: write a function that takes what it needs as arguments"
    if type(given).__name__ == "Durable":
        return f"{given!r} is durable already"
    return f"an object of class {type(given).__name__} isn't one: write a function that calls it"
