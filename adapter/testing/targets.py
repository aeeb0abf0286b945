"""A call for a Lambda that the user's template doesn't have. On AWS it is missing, until a person looks."""

from __future__ import annotations

from collections.abc import Collection

from adapter.engine.registry import definitions
from adapter.errors import ConfigurationError
from adapter.protocol.addresses import is_same, split
from adapter.protocol.records import Record
from adapter.templates.template import FunctionSpec, Template


def is_application(template: Template) -> bool:
    """Whether it has Lambdas of the user's own, beside those of the library."""
    return any(map(_is_users, template.functions))


def check_target(record: Record, template: Template, known: Collection[str]) -> None:
    """Check that there is the Lambda that a record names. A function that a test defines for itself may run anywhere.

    Raises:
        ConfigurationError: no Lambda has the name.
    """
    if not record.target or any(is_same(split(record.target)[0], name) for name in known) or _is_tests(record.fn):
        return
    target, prefix = split(record.target)[0].removeprefix(template.prefix), template.prefix
    names = sorted(spec.name.removeprefix(prefix) for spec in template.functions if _is_users(spec))
    raise ConfigurationError(
        f"{record.fn} has the target {target!r}, and the template has no Lambda of this name. A target is the"
        f" FunctionName of one, without the stack's prefix: {', '.join(names)}"
    )


def _is_users(spec: FunctionSpec) -> bool:
    return not spec.handler.startswith("adapter.")


def _is_tests(fn: str) -> bool:
    """Whether a function is of a test's module, as pytest names them."""
    definition = definitions.get(fn)
    return definition is None or any(part.startswith("test") for part in definition.function.__module__.split("."))
