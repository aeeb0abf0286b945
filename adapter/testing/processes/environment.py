"""One execution environment: a process under the runtime interface client, and one invocation of it at a time."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from adapter.templates.intrinsics import ACCOUNT, REGION
from adapter.templates.template import FunctionSpec
from adapter.testing.processes.bootstrap import HIDDEN
from adapter.testing.processes.entry import HANDLER
from adapter.testing.processes.runtime_api import Ended, Request, RuntimeApi

INIT_SECONDS = 60.0
"""Seconds for importing the handler's module. They don't count against the function's timeout. Lambda gives ten, but a
loaded machine needs more."""

_LAST_LINES = 15
_INHERITED = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "TMPDIR")
_RUNTIME = "/2018-06-01/runtime"


class InvocationFailed(Exception):
    """The invocation has no response. Lambda's retries treat all of these alike. ``type``: what Lambda calls it."""

    type = "Runtime.ExitError"


class HandlerFailed(InvocationFailed):
    """The handler raised. ``type`` is the name of the exception's class, ``message`` its text."""

    def __init__(self, function: str, kind: str, message: str, trace: str) -> None:
        super().__init__(f"{function} raised {kind}: {message}\n{trace}".rstrip())
        self.type = kind
        self.message = message


class EnvironmentDied(InvocationFailed):
    """The process ended: it was killed, ran out of memory, exited, or couldn't import its module."""


class OutOfMemory(EnvironmentDied):
    """The process was killed, since it took more memory than its function has."""

    type = "Runtime.OutOfMemory"


class CannotBegin(EnvironmentDied):
    """The handler's module can't be imported, or the handler isn't in it."""

    type = "Runtime.ImportModuleError"


class TimedOut(InvocationFailed):
    """The process was killed at the function's timeout."""

    type = "Sandbox.Timedout"


class Environment:
    """A process, from its creation to `close`. One thread calls it; any thread may `kill` it.

    Memory is measured, not limited in advance: a process that exceeds the function's size is killed, as Lambda does it.
    A limited address space (``RLIMIT_AS``) would raise ``MemoryError`` instead, which user code may catch, and which
    the engine would store as an outcome. It would also count reserved memory: the stacks of 32 threads are 256 MB.
    """

    def __init__(self, spec: FunctionSpec, variables: Mapping[str, str], directory: Path, number: int) -> None:
        self._spec = spec
        self.access_key = f"ENVIRONMENT{number}"
        self.request_id = ""
        self._api = RuntimeApi()
        self._output = tempfile.TemporaryFile()  # noqa: SIM115
        self._read = 0
        self._lock = threading.Lock()
        self._closed = False
        handler = spec.handler or HANDLER
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "adapter.testing.processes.bootstrap", handler],
                env=self._environment(variables, directory, handler),
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                # A process group of its own, so the processes that it starts are killed with it.
                start_new_session=True,
            )
        except BaseException:
            self._api.close()
            self._output.close()
            raise
        self.pid = self._process.pid
        self._api.watch(self.pid)

    @property
    def alive(self) -> bool:
        with self._lock:
            return not self._closed and self._has_ended(os.WNOHANG) is None

    def call(self, payload: str, request_id: str) -> Any:
        """Hand over one event, and wait for the response."""
        self.request_id = request_id
        try:
            self._await_readiness()
            deadline = time.monotonic() + self._spec.timeout_s
            self._api.answer(HTTPStatus.OK, payload.encode(), self._headers(request_id))
            return self._outcome(self._api.receive(deadline, self._check_memory), request_id)
        except Ended:
            # A process that only doesn't listen any more is of no use either.
            self.kill()
            raise EnvironmentDied(self._describe(self._ending())) from None
        except TimeoutError:
            self.kill()
            raise TimedOut(self._describe(f"ran longer than its {self._spec.timeout_s} seconds")) from None
        finally:
            self.request_id = ""

    def printed(self) -> str:
        """The text that it has printed since the last call. It works until `close`, even if the process has ended."""
        size = os.fstat(self._output.fileno()).st_size
        text = os.pread(self._output.fileno(), size - self._read, self._read).decode(errors="replace")
        self._read = size
        return text

    def kill(self) -> bool:
        """Send SIGKILL to the process and to those that it started, and wait for its end. True if it was alive."""
        with self._lock:
            if self._closed:
                return False
            alive = self._has_ended(os.WNOHANG) is None
            os.killpg(self.pid, signal.SIGKILL)
            self._has_ended(0)
            return alive

    def close(self) -> None:
        """Kill the process, and free its resources."""
        self.kill()
        with self._lock:
            if not self._closed:
                self._closed = True
                self._process.wait()
                self._api.close()
                self._output.close()

    def _has_ended(self, flags: int) -> Any:
        # WNOWAIT: no other process can get its number until it is closed, so no other process is killed in its place.
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | flags)

    def _await_readiness(self) -> None:
        try:
            request = self._api.receive(time.monotonic() + INIT_SECONDS, self._check_memory)
        except TimeoutError:
            self.kill()
            raise EnvironmentDied(self._describe(f"wasn't ready within {INIT_SECONDS:.0f} seconds")) from None
        if request.path == f"{_RUNTIME}/invocation/next":
            return
        self._api.answer(HTTPStatus.ACCEPTED)
        if request.path == f"{_RUNTIME}/init/error":
            error = json.loads(request.body)
            raise CannotBegin(self._describe(f"can't begin: {error.get('errorType')}: {error.get('errorMessage')}"))
        raise EnvironmentDied(self._describe(f"asked for {request.path} before its first invocation"))

    def _outcome(self, request: Request, request_id: str) -> Any:
        self._check_memory()
        with contextlib.suppress(Ended):
            # It died after its response, which stands.
            self._api.answer(HTTPStatus.ACCEPTED)
        if request.path == f"{_RUNTIME}/invocation/{request_id}/response":
            return json.loads(request.body)
        if request.path == f"{_RUNTIME}/invocation/{request_id}/error":
            error = json.loads(request.body)
            trace = "".join(error.get("stackTrace") or ())
            raise HandlerFailed(self._spec.name, error.get("errorType", ""), error.get("errorMessage", ""), trace)
        raise EnvironmentDied(self._describe(f"said {request.path} in the middle of {request_id}"))

    def _check_memory(self) -> None:
        peak = _peak_memory(self.pid)
        if peak > self._spec.memory_mb * 1024:
            self.kill()
            raise OutOfMemory(
                self._describe(f"ran out of memory: {peak // 1024} MB, of {self._spec.memory_mb}; it was killed")
            )

    def _ending(self) -> str:
        ended = self._has_ended(0)
        if ended.si_code == os.CLD_EXITED:
            return f"exited with {ended.si_status} in the middle of it"
        return f"was ended by {signal.Signals(ended.si_status).name}"

    def _describe(self, what: str) -> str:
        size = os.fstat(self._output.fileno()).st_size
        text = os.pread(self._output.fileno(), 8192, max(0, size - 8192)).decode(errors="replace")
        lines = text.replace("\r", "\n").splitlines()[-_LAST_LINES:]
        said = "".join(f"\n  {line}" for line in lines) or " nothing"
        return f"{self._spec.name} (process {self.pid}, {self._spec.handler or HANDLER}) {what}. It printed:{said}"

    def _headers(self, request_id: str) -> dict[str, str]:
        deadline = time.time() + self._spec.timeout_s
        return {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": request_id,
            "Lambda-Runtime-Deadline-Ms": str(int(deadline * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{self._spec.name}",
            "Lambda-Runtime-Trace-Id": f"Root=1-{int(deadline):08x}-{os.urandom(12).hex()};Sampled=0",
        }

    def _environment(self, variables: Mapping[str, str], directory: Path, handler: str) -> dict[str, str]:
        """The variables that Lambda sets, and none by which a process could reach AWS itself."""
        return {
            **{name: os.environ[name] for name in _INHERITED if name in os.environ},
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            **variables,
            **self._spec.environment,
            "_HANDLER": handler,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_SESSION_TOKEN": "testing",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
            "AWS_LAMBDA_FUNCTION_NAME": self._spec.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self._spec.memory_mb),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{self._spec.name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": self.access_key,
            HIDDEN: self._api.address,
            "LAMBDA_TASK_ROOT": str(directory),
            "TZ": ":UTC",
        }


def _peak_memory(pid: int) -> int:
    """The peak of resident memory in KB, which Lambda reports as used; 0 for a process that has ended."""
    try:
        found = re.search(r"^VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0
