"""Lambda's event filter patterns, as AWS documents them. A pattern is compiled first, so a typo in it is an error, and
not a record that doesn't match.

The rules of a pattern: all its fields must match; a field lists alternatives; ``$or`` lists whole patterns. ``exists``
looks at leaves only, and numbers that DynamoDB wrote as strings are strings, as on AWS.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from adapter.errors import ConfigurationError

Test = Callable[[Any], bool]


class _Absent:
    """The value of a field that the event doesn't have; no JSON value equals it."""


_ABSENT: Final = _Absent()
_MAPPINGS: Final = (dict, Mapping)


def matches(pattern: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Whether a Lambda event source mapping with this one filter pattern passes the event on."""
    return compile_pattern(pattern)(event)


def compile_pattern(pattern: Mapping[str, Any]) -> Test:
    """The pattern as a test of events; raises ``ConfigurationError`` where AWS would refuse the pattern."""
    return _all_of([_field(name, expected) for name, expected in pattern.items()])


def _field(name: str, expected: object) -> Test:
    if name == "$or":
        return _any_of([compile_pattern(_mapping(each, name)) for each in _sequence(expected, name)])
    test = compile_pattern(expected) if isinstance(expected, Mapping) else _leaf(name, expected)
    # A dict first: to ask for any mapping takes longer, and each record of a stream comes here.
    return lambda event: test(event.get(name, _ABSENT) if isinstance(event, _MAPPINGS) else _ABSENT)


def _leaf(name: str, expected: object) -> Test:
    test = _any_of([_alternative(each) for each in _sequence(expected, name)])
    texts = frozenset(each for each in expected if isinstance(each, str)) if isinstance(expected, list) else frozenset()
    # A field that holds several values matches by any of them.
    return lambda value: (
        value in texts or test(value)
        if isinstance(value, str)
        else any(map(test, value))
        if isinstance(value, list) and value
        else test(value)
    )


def _alternative(expected: object) -> Test:
    if not isinstance(expected, Mapping):
        return lambda value: _same(expected, value)
    name, argument = _only_item(expected)
    try:
        make = _OPERATORS[name]
    except KeyError:
        raise ConfigurationError(f"filter pattern: unknown operator {name!r}; known are {sorted(_OPERATORS)}") from None
    return make(argument)


def _anything_but(argument: object) -> Test:
    if isinstance(argument, Mapping):
        name, _ = _only_item(argument)
        if name not in ("prefix", "suffix", "equals-ignore-case"):
            raise ConfigurationError(f"filter pattern: anything-but can't be combined with {name!r}")
        refused = _alternative(argument)
    else:
        refused = _any_of([_literal(each) for each in (argument if isinstance(argument, list) else [argument])])
    return lambda value: _is_leaf(value) and not refused(value)


def _prefix(argument: object) -> Test:
    return _affix("prefix", argument, str.startswith)


def _suffix(argument: object) -> Test:
    return _affix("suffix", argument, str.endswith)


def _affix(name: str, argument: object, has: Callable[[str, str], bool]) -> Test:
    if isinstance(argument, Mapping) and _only_item(argument)[0] == "equals-ignore-case":
        folded = _string(argument["equals-ignore-case"], name).lower()
        return lambda value: isinstance(value, str) and has(value.lower(), folded)
    affix = _string(argument, name)
    return lambda value: isinstance(value, str) and has(value, affix)


def _equals_ignore_case(argument: object) -> Test:
    folded = _string(argument, "equals-ignore-case").lower()
    return lambda value: isinstance(value, str) and value.lower() == folded


def _exists(argument: object) -> Test:
    if not isinstance(argument, bool):
        raise ConfigurationError(f"filter pattern: exists takes true or false, not {argument!r}")
    return lambda value: _is_leaf(value) is argument


_COMPARISONS: Final[Mapping[object, Callable[[float, float], bool]]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _numeric(argument: object) -> Test:
    terms = _sequence(argument, "numeric")
    pairs = list(zip(terms[::2], terms[1::2], strict=False))
    if len(terms) not in (2, 4) or not all(sign in _COMPARISONS and _is_number(bound) for sign, bound in pairs):
        raise ConfigurationError(f'filter pattern: numeric takes one or two comparisons, as [">", 0], not {terms!r}')
    return lambda value: _is_number(value) and all(_COMPARISONS[sign](value, bound) for sign, bound in pairs)


_OPERATORS: Final[Mapping[str, Callable[[object], Test]]] = {
    "anything-but": _anything_but,
    "equals-ignore-case": _equals_ignore_case,
    "exists": _exists,
    "numeric": _numeric,
    "prefix": _prefix,
    "suffix": _suffix,
}


def _literal(expected: object) -> Test:
    if isinstance(expected, Mapping | list):
        raise ConfigurationError(f"filter pattern: a plain value was expected, not {expected!r}")
    return lambda value: _same(expected, value)


def _any_of(tests: Sequence[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]

    def any_of(value: Any) -> bool:
        for test in tests:  # noqa: SIM110
            if test(value):
                return True
        return False

    return any_of


def _all_of(tests: Sequence[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]

    def all_of(value: Any) -> bool:
        for test in tests:  # noqa: SIM110
            if not test(value):
                return False
        return True

    return all_of


def _same(expected: object, value: object) -> bool:
    # JSON's true is not 1, though Python's is.
    return isinstance(expected, bool) is isinstance(value, bool) and expected == value


def _is_leaf(value: object) -> bool:
    return value is not _ABSENT and not isinstance(value, Mapping)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _only_item(mapping: Mapping[str, Any]) -> tuple[str, Any]:
    if len(mapping) != 1:
        raise ConfigurationError(f"filter pattern: exactly one operator was expected in {dict(mapping)!r}")
    return next(iter(mapping.items()))


def _mapping(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"filter pattern: {name} takes patterns, not {value!r}")
    return value


def _sequence(value: object, name: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise ConfigurationError(f"filter pattern: {name} takes a list of at least one, not {value!r}")
    return value


def _string(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(f"filter pattern: {name} takes a string, not {value!r}")
    return value
