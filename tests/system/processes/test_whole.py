"""A durable function from start to settlement: engine, resumer and user code in processes, product code as it is.

What a LocalCloud does with these parts is done by hand here: invocations in a queue, the stream read by our own poller.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapter.aws.wiring import SystemClock
from adapter.protocol.records import Record, State
from adapter.templates.template import FunctionSpec, default_template, load
from adapter.testing.processes import entry
from adapter.testing.processes.environment import EnvironmentDied
from adapter.testing.processes.environments import Environments
from adapter.testing.processes.offset import VARIABLE, ClockOffset
from adapter.testing.simulated_aws.gateway import Call, Gateway, HangUp
from adapter.testing.simulated_aws.outages import NoSuchFunction
from adapter.testing.simulated_aws.world import World
from adapter.testing.stats import Stats
from tests.system.processes.specs import ROOT, function

DAY = 86_400_000_000
STARTED = "event:tests.system.processes.functions:checkout:request:order-7"
"""What a raw event starts, in the invocation ``order-7``."""

SETTLED = '"tea charged in local-charge, shipped in local-ship"'


class App:
    """The infrastructure's own functions, and three of a user: `ship` is one that no template places."""

    def __init__(self, stack: ExitStack, directory: Path) -> None:
        template = load(default_template())
        self.world = World(template, Stats(), lambda function, payload: None, SystemClock().now)
        self.world.open()
        stack.callback(self.world.close)
        self.offset = ClockOffset(directory / "offset", create=True)
        stack.callback(self.offset.close)
        self.lock = threading.Lock()
        self.ready: deque[tuple[str, str, str]] = deque()
        self.numbers = itertools.count()
        self.kill: tuple[str, str, str] | None = None
        clients = {"dynamodb": self.world.store.client, "sqs": self.world.sqs}
        self.gateway = stack.enter_context(Gateway(clients, self.accept, self.lock, self.seen))
        # 128 MB, Lambda's smallest, hold the engine with all its clients.
        users = [function(f"functions.{name}", memory_mb=128) for name in ("checkout", "charge", "ship")]
        users[2] = replace(users[2], handler="")
        self.specs: dict[str, FunctionSpec] = {spec.name: spec for spec in (*template.functions, *users)}
        variables = {
            "AWS_ENDPOINT_URL": self.gateway.url,
            "DURABLE_TABLE": self.world.table,
            "DURABLE_PREFIX": "local-",
            VARIABLE: str(directory / "offset"),
            entry.VARIABLE: "tests.system.processes.functions",
        }
        self.environments = stack.enter_context(Environments(variables=variables, directory=ROOT))

    def accept(self, function: str, payload: str) -> None:
        if function not in self.specs:
            raise NoSuchFunction(function)
        self.ready.append((function, payload, f"request-{next(self.numbers)}"))

    def seen(self, call: Call, when: str) -> None:
        """Kill once the process of a function before or after it does something."""
        (caller,) = [one for one in self.environments.running() if one.access_key == call.caller]
        if self.kill == (caller.function, call.operation, when):
            self.kill = None
            assert self.environments.kill(caller.pid) == 1
            raise HangUp

    def drive(self) -> list[str]:
        """Until nothing moves. Returns the functions whose invocations died, and were repeated."""
        died = []
        while True:
            while self.ready:
                name, payload, request_id = self.ready.popleft()
                try:
                    self.environments.call(self.specs[name], payload, request_id)
                except EnvironmentDied:
                    died.append(name)
                    self.ready.append((name, payload, request_id))
            if not self.poll():
                return died

    def poll(self) -> bool:
        with self.lock:
            for poller in self.world.pollers:
                poller.fetch()
        delivered = [poller.lanes[0].deliver(self.deliver) for poller in self.world.pollers]
        return any(delivered)

    def deliver(self, name: str, event: dict[str, Any], attempt: int) -> Any:
        return self.environments.call(self.specs[name], json.dumps(event), f"request-{next(self.numbers)}")

    def read_function(self, promise: str) -> tuple[Record | None, list[Record]]:
        with self.lock:
            root, children = self.world.store.read_function(promise)
        return root, list(children)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with ExitStack() as stack:
        whole = App(stack, tmp_path)
        yield whole
        assert whole.gateway.failures == []


def test_a_function_of_two_steps_settles_across_processes(app: App) -> None:
    """Each step ran in the Lambda of its own, at the time that all of them were told."""
    app.offset.microseconds = 400 * DAY
    started = app.environments.call(app.specs["local-checkout"], '"tea"', "order-7")
    assert started == {"id": STARTED, "state": "pending"}

    assert app.drive() == []
    root, children = app.read_function(STARTED)
    assert root is not None
    assert (root.state, root.value) == (State.RESOLVED, SETTLED)
    assert [child.state for child in children] == [State.RESOLVED, State.RESOLVED]
    assert all(one.created_at > SystemClock().now() + 399 * DAY for one in (root, *children))
    # Four kinds of Lambda took part, each in one process that stayed warm.
    assert len(app.environments.pids()) == 4


@pytest.mark.parametrize(
    ("victim", "operation", "when"),
    [
        ("local-checkout", "PutItem", "after"),
        ("local-checkout", "Invoke", "before"),
        ("local-charge", "UpdateItem", "before"),
        ("local-ship", "UpdateItem", "after"),
    ],
)
def test_a_kill_around_a_write_or_call_changes_nothing_in_the_end(
    app: App, victim: str, operation: str, when: str
) -> None:
    """SIGKILL comes exactly there. Lambda repeats the invocation under its request id."""
    assert app.environments.call(app.specs["local-checkout"], '"tea"', "order-7")["state"] == "pending"
    app.kill = (victim, operation, when)

    assert app.drive() == [victim]
    root, children = app.read_function(STARTED)
    assert root is not None
    assert (root.state, root.value, len(children)) == (State.RESOLVED, SETTLED, 2)


def test_one_of_the_infrastructure_is_killed_and_its_batch_comes_again(app: App) -> None:
    """The resumer dies before it has woken anybody."""
    app.environments.call(app.specs["local-checkout"], '"tea"', "order-7")
    (resumer,) = {poller.mapping.function for poller in app.world.pollers}
    app.kill = (resumer, "Invoke", "before")

    assert app.drive() == []
    assert app.kill is None
    root, _ = app.read_function(STARTED)
    assert root is not None
    assert (root.state, root.value) == (State.RESOLVED, SETTLED)
