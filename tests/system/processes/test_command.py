"""The installed script `durable` in a process of its own, against AWS's APIs at a loopback address."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from adapter.aws.wiring import SystemClock
from adapter.codec.schemas import describe
from adapter.protocol.messages import Cause, Resume, parse
from adapter.protocol.records import Kind, Record, State, Wake
from adapter.protocol.timing import indexed
from adapter.templates.template import default_template, load
from adapter.testing.simulated_aws.gateway import Gateway
from adapter.testing.simulated_aws.outages import NoSuchFunction
from adapter.testing.simulated_aws.world import World
from adapter.testing.stats import Stats

SCRIPT = Path(sys.executable).with_name("durable")


class Operator:
    """Somebody with AWS access to a stack in which one execution waits for an answer, and another is paused."""

    def __init__(self, stack: ExitStack) -> None:
        self.world = World(load(default_template()), Stats(), lambda function, payload: None, SystemClock().now)
        self.world.open()
        stack.callback(self.world.close)
        self.invoked: list[tuple[str, str]] = []
        self.missing: set[str] = set()
        clients = {"dynamodb": self.world.store.client}
        gateway = Gateway(clients, self._invoked, threading.Lock())
        self.gateway = stack.enter_context(gateway)
        now = SystemClock().now()
        asked = {"kind": Kind.EXTERNAL, "args": json.dumps(describe(bool)), "wake": Wake.DIRECT, "reply_to": "shop-ask"}
        self.world.store.create(indexed(Record(id="order-7", fn="shop:ask", target="shop-ask", created_at=now)))
        self.world.store.create(Record(id="order-7~0", created_at=now, **asked))
        self.world.store.create(indexed(Record(id="order-8", fn="shop:ask", target="shop-ask", created_at=now)))
        self.world.store.pause("order-8", "ask drifted from its history\n  stored: secret")

    def _invoked(self, function: str, payload: str) -> None:
        if function in self.missing:
            raise NoSuchFunction(function)
        self.invoked.append((function, payload))

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": self.gateway.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }
        given = {name: value for name, value in (environment | variables).items() if value}
        command = [SCRIPT, "--region", "us-east-1", *arguments]
        return subprocess.run(command, env=given, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def operator() -> Iterator[Operator]:
    with ExitStack() as stack:
        found = Operator(stack)
        yield found
        assert found.gateway.failures == []


def test_the_installed_command_looks_settles_and_resumes_on_aws(operator: Operator) -> None:
    """A variable names the table. The command finds credentials as any client does."""
    table = operator.world.table
    listed = operator.run("list", DURABLE_TABLE=table)
    assert (listed.returncode, listed.stderr) == (0, "")
    row = next(line for line in listed.stdout.splitlines() if line.startswith("order-7 "))
    assert row.split()[:3] == ["order-7", "shop:ask", "pending"]
    assert row.endswith("waits for the promise order-7~0, to be settled from outside")
    assert "paused: ask drifted from its history" in listed.stdout
    assert "secret" not in listed.stdout

    resolved = operator.run("resolve", "order-7~0", "true", DURABLE_TABLE=table)
    assert (resolved.returncode, resolved.stdout, resolved.stderr) == (0, "order-7~0 is resolved\n", "")
    stands: Any = operator.world.store.read_promise("order-7~0")
    assert (stands.state, stands.value) == (State.RESOLVED, "true")

    resumed = operator.run("resume", "order-8", DURABLE_TABLE=table)
    assert "invoked shop:ask (order-8) in shop-ask, which was paused" in resumed.stdout
    [(function, payload)] = operator.invoked
    paused: Any = operator.world.store.read_promise("order-8")
    again = Resume(id="order-8", cause=Cause.AGAIN, since=paused.created_at)
    assert (function, parse(json.loads(payload))) == ("shop-ask", again)


def test_the_installed_command_moves_a_lambda_on_aws(operator: Operator) -> None:
    """Another process finds the move in the table, and invokes by the new name."""
    there = {"DURABLE_TABLE": operator.world.table, "DURABLE_PREFIX": "shop-"}
    operator.missing.add("shop-ask")
    refused = operator.run("resume", "order-8", **there)
    assert refused.returncode == 1
    assert "the Lambda shop-ask can't be invoked: missing; if shop-ask has another name now" in refused.stderr
    moved = operator.run("move", "ask", "shop-inquire", **there)
    assert (moved.returncode, moved.stderr) == (0, "")
    assert moved.stdout.startswith("shop-ask (moved to shop-inquire)\n")
    assert operator.run("move", **there).stdout == "shop-ask (moved to shop-inquire)\n"
    assert operator.run("resume", "order-8", **there).returncode == 0
    assert [function for function, _ in operator.invoked] == ["shop-inquire"]


def test_what_aws_refuses_is_one_line_and_ends_with_one(operator: Operator) -> None:
    """The command shows no traceback for a missing table, missing credentials or an impossible key."""
    empty = operator.run("show", "", DURABLE_TABLE=operator.world.table)
    assert (empty.returncode, empty.stdout, empty.stderr) == (1, "", "Error: there is no promise ''\n")
    absent = operator.run("--table", "nowhere", "list")
    assert (absent.returncode, absent.stdout) == (1, "")
    assert absent.stderr.startswith("Error: there is no such table")
    assert absent.stderr.count("\n") == 1
    unknown = operator.run("show", "order-7", DURABLE_TABLE=operator.world.table, AWS_ACCESS_KEY_ID="")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert unknown.stderr.startswith("Error: no AWS credentials")
    assert unknown.stderr.count("\n") == 1
