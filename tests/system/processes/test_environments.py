"""Functions in processes: called as Lambda calls them, and dying as Lambda's die."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from adapter.errors import ConfigurationError
from adapter.templates.template import FunctionSpec
from adapter.testing.processes.environment import EnvironmentDied, HandlerFailed, TimedOut
from adapter.testing.processes.environments import Environments
from tests.system.processes.specs import ROOT, function


def test_a_handler_sees_what_lambda_shows_it(environments: Environments) -> None:
    """Event, context and environment are those that AWS documents."""
    seen = environments.call(function("functions.describe", COLOUR="red"), '{"order": "ö-7"}', "request-1")

    assert seen["event"] == {"order": "ö-7"}
    assert seen["request_id"] == "request-1"
    assert seen["function"] == "local-describe"
    assert seen["arn"] == "arn:aws:lambda:us-east-1:123456789012:function:local-describe"
    assert int(seen["memory"]) == 512
    assert 0 < seen["left"] <= 60_000
    assert seen["directory"] == seen["environment"]["LAMBDA_TASK_ROOT"] == str(ROOT)
    assert seen["environment"]["COLOUR"] == "red"
    assert seen["environment"]["AWS_REGION"] == "us-east-1"


def test_no_credentials_of_this_machine_reach_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that went past the gateway couldn't do anything."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "real")
    monkeypatch.setenv("AWS_PROFILE", "real")
    with Environments(variables={"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, directory=ROOT) as service:
        variables = service.call(function("functions.describe"), "{}", "request-1")["environment"]

    assert "real" not in variables.values()
    assert variables["AWS_CONFIG_FILE"] == variables["AWS_SHARED_CREDENTIALS_FILE"] == "/dev/null"
    assert variables["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"


def test_what_a_handler_raises_is_told_by_type_and_message(environments: Environments) -> None:
    with pytest.raises(
        HandlerFailed, match=r"local-refuse raised LookupError: no tea here\n(.|\n)*functions\.py"
    ) as failed:
        environments.call(function("functions.refuse"), '{"what": "tea"}', "request-1")

    assert (failed.value.type, failed.value.message) == ("LookupError", "no tea here")


def test_a_warm_environment_is_used_again_even_after_its_handler_raised(environments: Environments) -> None:
    """One process serves all calls that don't overlap."""
    one = function("functions.fill")
    environments.call(one, '{"mb": 1}', "request-1")
    before = environments.pids("local-fill")
    with pytest.raises(HandlerFailed):
        environments.call(one, '{"mb": "one"}', "request-2")
    environments.call(one, '{"mb": 1}', "request-3")

    assert environments.pids("local-fill") == before
    assert len(before) == 1


def test_calls_that_overlap_have_a_process_each(environments: Environments, tmp_path: Path) -> None:
    """Each of the two ends only when the other one is there, too."""
    payload = f'{{"place": "{tmp_path}", "others": 2}}'
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(environments.call, function("functions.meet"), payload, f"request-{n}") for n in (1, 2)]
    pids = {call.result() for call in calls}

    assert len(pids) == 2
    assert pids == set(environments.pids())


def test_calls_past_the_limit_wait_for_a_free_environment(environments: Environments) -> None:
    with ThreadPoolExecutor(6) as pool:
        calls = [
            pool.submit(environments.call, function("functions.describe"), str(n), f"request-{n}") for n in range(6)
        ]

    assert [call.result()["event"] for call in calls] == list(range(6))
    assert len({call.result()["pid"] for call in calls}) <= 2


def test_a_large_event_and_a_large_response_arrive_whole(environments: Environments) -> None:
    """Lambda's own limit is 6 MB."""
    event = f'{{"size": 5000000, "ballast": "{"y" * 5_000_000}"}}'

    assert environments.call(function("functions.repeat"), event, "request-1") == "x" * 5_000_000


def test_a_killed_process_ends_its_invocation_and_takes_its_children_along(
    environments: Environments, tmp_path: Path
) -> None:
    """SIGKILL in the middle of the handler; the next call has another process."""
    one = function("functions.stay")
    with ThreadPoolExecutor(1) as pool:
        call, pids = _begun(pool, environments, one, tmp_path / "first")
        (running,) = environments.running()
        assert (running.pid, running.function, running.request_id) == (pids[0], "local-stay", "request-1")

        assert environments.kill(pids[0]) == 1
        with pytest.raises(EnvironmentDied, match="was ended by SIGKILL"):
            call.result()
        _until(lambda: not any(_lives(pid) for pid in pids))

        call, others = _begun(pool, environments, one, tmp_path / "second")
        assert others[0] != pids[0]
        assert environments.kill("local-stay") == 1
        with pytest.raises(EnvironmentDied):
            call.result()
    assert environments.running() == []


def test_one_that_was_killed_while_idle_fails_no_call(environments: Environments) -> None:
    one = function("functions.describe")
    first = environments.call(one, "{}", "request-1")["pid"]
    assert environments.kill("local-describe") == 1
    assert environments.pids() == []

    assert environments.call(one, "{}", "request-2")["pid"] != first


def test_those_that_are_retired_answer_first_and_serve_no_further_call(
    environments: Environments, tmp_path: Path
) -> None:
    """Idle ones end at once, and one that serves a call ends after it."""
    idle, busy = function("functions.describe"), function("functions.meet")
    described = environments.call(idle, "{}", "request-1")["pid"]
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(environments.call, busy, f'{{"place": "{tmp_path}", "others": 2}}', "request-2")
        _until(lambda: len(list(tmp_path.iterdir())) == 1)
        environments.retire()
        assert described not in environments.pids()
        (tmp_path / "other").touch()
        assert call.result() not in environments.pids()
    assert environments.pids() == []
    assert environments.call(idle, "{}", "request-3")["pid"] != described


def test_a_process_is_killed_at_its_functions_timeout(environments: Environments, tmp_path: Path) -> None:
    with pytest.raises(TimedOut, match=r"local-stay .* ran longer than its 1 seconds"):
        environments.call(function("functions.stay", timeout_s=1), f'{{"started": "{tmp_path / "it"}"}}', "request-1")

    assert environments.pids() == []


def test_past_its_memory_a_process_is_killed(environments: Environments) -> None:
    """It may have needed that much only briefly. Below its limit, nothing happens."""
    one = function("functions.fill", memory_mb=256)
    assert environments.call(one, '{"mb": 64}', "request-1") == 64
    with pytest.raises(EnvironmentDied, match=r"ran out of memory: \d+ MB, of 256"):
        environments.call(one, '{"mb": 256}', "request-2")

    assert environments.pids() == []


def test_one_that_exits_tells_how_and_what_it_printed(environments: Environments) -> None:
    with pytest.raises(EnvironmentDied, match=r"exited with 7 (.|\n)*about to leave"):
        environments.call(function("functions.leave"), "{}", "request-1")


def test_what_an_invocation_prints_is_handed_on_however_it_ends() -> None:
    """The cloud hands it on once, under its request id, though a warm process prints on into the same file."""
    printed: list[tuple[str, str, str]] = []
    with Environments(variables={}, directory=ROOT, printed=lambda *told: printed.append(told)) as service:
        for number in (1, 2):
            service.call(function("functions.say"), f'"ö{number}"', f"request-{number}")
        service.call(function("functions.fill"), '{"mb": 1}', "request-3")
        with pytest.raises(EnvironmentDied):
            service.call(function("functions.leave"), "{}", "request-4")

    assert printed == [
        ("local-say", "request-1", "ö1\n"),
        ("local-say", "request-2", "ö2\n"),
        ("local-leave", "request-4", "about to leave\n"),
    ]


@pytest.mark.parametrize(
    ("handler", "why"),
    [
        ("broken.handler", "can't begin: RuntimeError: the table of prices is missing"),
        ("absent.handler", "can't begin: Runtime.ImportModuleError: Unable to import module '.*absent'"),
        ("functions.absent", "can't begin: Runtime.HandlerNotFound: Handler 'absent' missing"),
    ],
)
def test_a_module_that_cannot_be_imported_is_named(environments: Environments, handler: str, why: str) -> None:
    with pytest.raises(EnvironmentDied, match=why):
        environments.call(function(handler), "{}", "request-1")

    assert environments.pids() == []


def test_closing_leaves_no_process_and_no_thread(tmp_path: Path) -> None:
    """Some processes are idle, and one is in the middle of a call, which fails."""
    before = threading.active_count()
    service = Environments(variables={}, directory=ROOT)
    with ThreadPoolExecutor(1) as pool:
        idle = service.call(function("functions.describe"), "{}", "request-1")["pid"]
        call, busy = _begun(pool, service, function("functions.stay"), tmp_path / "it")
        service.close()
        with pytest.raises(EnvironmentDied):
            call.result()

    _until(lambda: not any(_lives(pid) for pid in (idle, *busy)))
    assert threading.active_count() == before
    with pytest.raises(EnvironmentDied, match="closed"):
        service.call(function("functions.describe"), "{}", "request-2")


def test_without_the_runtime_interface_client_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "awslambdaric", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'lambda-await\[processes\]'"):
        Environments(variables={}, directory=ROOT)


def _begun(
    pool: ThreadPoolExecutor, service: Environments, one: FunctionSpec, started: Path
) -> tuple[Future[Any], list[int]]:
    """A call of `stay`, in the middle of it: with the ids of its process and of the one that it started."""
    call = pool.submit(service.call, one, f'{{"started": "{started}"}}', "request-1")
    _until(lambda: started.exists() or call.done())
    return call, [int(pid) for pid in started.read_text().split()]


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "it doesn't come to pass"
        time.sleep(0.01)


def _lives(pid: int) -> bool:
    """A zombie doesn't: the child of a killed process is reaped by init, some time."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
