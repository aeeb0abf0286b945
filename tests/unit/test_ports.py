"""Every operation of the engine is performed: by one call of a port, or by what `Ports` says of it."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any, get_args, get_type_hints

import pytest

from adapter.engine.operations import Operation
from adapter.engine.ports import CALLS, Ports


def test_every_operation_has_one_way_to_be_performed() -> None:
    """The table has no others: the engine can ask for each."""
    assert CALLS.keys() == set(get_args(Operation))


@pytest.mark.parametrize("operation", CALLS, ids=lambda operation: operation.__name__)
def test_a_call_passes_what_its_port_takes(operation: type[Any]) -> None:
    """It passes all fields, in the order of the method's parameters; or the operation itself."""
    port, method, passed = CALLS[operation]
    protocol = get_type_hints(Ports)[port] if port else Ports
    taken = [name for name in inspect.signature(getattr(protocol, method)).parameters if name != "self"]
    if passed is None:
        assert get_type_hints(getattr(protocol, method))[taken[0]] is operation
        return
    assert sorted(passed) == sorted(field.name for field in fields(operation))
    assert len(passed) == len(taken)
    renamed = {"id": "promise"}
    assert [renamed.get(name, name) for name in passed] == taken


def test_what_is_no_operation_is_refused() -> None:
    """The error has its text."""
    ports: Any = Ports(**dict.fromkeys(("store", "invoker", "timers", "signer", "clock", "runner", "watcher", "pool")))
    with pytest.raises(TypeError, match="'nothing' is no operation"):
        ports.perform("nothing")
