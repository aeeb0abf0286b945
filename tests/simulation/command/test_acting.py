"""The command resumes, resolves, rejects and cancels what an operator names."""

from __future__ import annotations

from typing import Any

import pytest

from adapter.errors import RemoteError
from adapter.protocol.records import Kind, Record
from adapter.testing import LocalCloud
from tests.simulation.command.commanding import (
    SECRET,
    approval,
    calls_drifting,
    changed,
    checkout,
    refused,
    said,
    unchanged,
)
from tests.support.laws import HOUR, forget, slow


def test_resume_invokes_what_is_paused_wherever_it_is_in_the_tree(cloud: LocalCloud) -> None:
    """The fix is deployed, and the operator names only the root."""
    cloud.watchers.append(lambda event: forget(cloud))
    handle = calls_drifting.with_options(id="p").start()
    cloud.drive()
    changed[0] = True
    said("resolve", "p~0.0", '"done"')
    cloud.drive()
    line = said("show", "p~0").splitlines()[0]
    assert "pending" in line
    assert "paused: command:drifts (p~0) drifted from its history" in line
    assert SECRET not in said("show", "p")
    changed[0] = False
    assert "invoked command:drifts (p~0) in durable, which was paused" in said("resume", "p")
    cloud.drive()
    assert handle.result() == "done"


def test_resume_changes_nothing_where_nothing_is_wrong(cloud: LocalCloud) -> None:
    """The command says of each that it waits, is settled, or may be at work, and invokes nobody."""
    checkout.with_options(id="order-7").start("tea")
    slow.with_options(id="now").start(1, 1)
    with unchanged(cloud):
        assert "not invoked: tests.support.laws:slow (now) is about to begin, runs" in said("resume", "now")
    cloud.advance(2 * HOUR)
    with unchanged(cloud):
        assert "not invoked: command:checkout (order-7) waits for" in said("resume", "order-7")
        assert "resolved" in said("resume", "now")
        assert "nothing runs for it" in refused("resume", "order-7~1.0")


def test_resume_finds_what_was_lost_before_the_watchdog_does() -> None:
    """An invocation never came, below a root that waits."""
    with LocalCloud(engine="memory") as cloud:
        cloud.service.losses.add(2)
        approval_of = checkout.with_options(id="order-7").start("tea")
        cloud.advance(17 * 60)
        lost = [one.id for one in cloud.records() if one.id == "order-7~1"]
        assert lost
        assert "no news for 17 min" in said("show", "order-7~1")
        assert "invoked command:approval (order-7~1) in durable, which didn't move" in said("resume", "order-7")
        cloud.drive()
        said("resolve", "order-7~1.0", "true")
        assert approval_of.result() == [True, 1]


def test_resume_invokes_by_force_what_it_would_leave_alone() -> None:
    """Its start was lost a moment ago, and its operator knows that."""
    with LocalCloud(engine="memory") as cloud:
        cloud.service.losses.add(1)
        handle = slow.with_options(id="lost").start(7, 1)
        cloud.advance(60)
        assert "not invoked" in said("resume", "lost")
        assert "as was asked" in said("resume", "lost", "--force")
        cloud.drive()
        assert "sleeps until" in said("show", "lost")
        cloud.advance(2 * HOUR)
        assert handle.status() == "resolved"
        with unchanged(cloud):
            said("resume", "lost", "--force")


def test_resolve_settles_by_the_promises_type_and_once(cloud: LocalCloud) -> None:
    """A text that isn't JSON, or of another type, changes nothing. A second settlement is told what stands."""
    handle = approval.with_options(id="a").start("tea")
    cloud.drive()
    with unchanged(cloud):
        assert "must be one JSON value" in refused("resolve", "a~0", "{")
        assert "must be one JSON value" in refused("resolve", "a~0", "NaN")
        assert "expected boolean, got integer" in refused("resolve", "a~0", "3")
    assert said("resolve", "a~0", " true ") == "a~0 is resolved\n"
    cloud.drive()
    assert handle.result() is True
    with unchanged(cloud):
        assert "a~0 was settled before: it is resolved" in refused("resolve", "a~0", "false")
        assert "a~0 was settled before: it is resolved" in refused("reject", "a~0", "no")
        assert "a was settled before: it is resolved" in refused("cancel", "a")


def test_reject_and_cancel_reach_the_code_that_waits(cloud: LocalCloud) -> None:
    """The code gets an error with the message, and a cancellation."""
    handle = approval.with_options(id="a").start("tea")
    other = approval.with_options(id="b").start("tea")
    cloud.drive()
    assert said("reject", "a~0", "not today") == "a~0 is rejected\n"
    assert said("cancel", "b") == "b is cancelled; its function cleans up\n"
    with pytest.raises((RuntimeError, RemoteError), match="not today"):
        handle.result()
    cloud.drive()
    assert other.status() == "rejected_canceled"
    assert [one.closed for one in cloud.records() if one.id == "b"] == [True]


def test_a_functions_own_promise_can_be_resolved_unchecked(cloud: LocalCloud) -> None:
    """The code alone knows its type, and the command says so."""
    handle = approval.with_options(id="a").start("tea")
    cloud.drive()
    assert "it wasn't checked" in said("resolve", "a", "true")
    assert handle.result() is True


@pytest.mark.parametrize("kind", [Kind.INLINE, Kind.DETACH, Kind.SCHEDULE])
def test_what_is_not_settled_from_outside_is_left_alone(kind: Kind, cloud: LocalCloud) -> None:
    """A caller settles its own steps, and a schedule never settles."""
    name = "schedule:s" if kind is Kind.SCHEDULE else "r~0"
    store: Any = cloud._world.store
    store.create(Record(id=name, kind=kind, fn="f", target="t", root="other"))
    with unchanged(cloud):
        for arguments in (["resolve", name, "1"], ["reject", name, "no"], ["cancel", name]):
            assert "was not settled" in refused(*arguments)
