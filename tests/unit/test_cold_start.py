"""Inside of Lambda, clients are made while the code is loaded: it has a whole CPU then, and in an invocation a part."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

LAMBDA = {
    "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001",
    "AWS_LAMBDA_FUNCTION_NAME": "shop-checkout",
    "AWS_REGION": "us-east-1",
    "DURABLE_TABLE": "promises",
}
LOADED = "import sys, adapter; print('boto3' in sys.modules)"
MADE = "import adapter; from adapter.aws import wiring; print(wiring.host.cache_info().currsize)"
FIRST_MESSAGE = """
import adapter
from adapter.engine import hosts
try:
    hosts.current()
except adapter.errors.ConfigurationError as error:
    print(error)
"""


def printed(code: str, variables: dict[str, str], directory: Path | None = None) -> str:
    """What a fresh Python prints."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DURABLE_"))}
    path = os.pathsep.join([*([str(directory)] if directory else []), *filter(None, sys.path), os.getcwd()])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**inherited, **variables, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout.strip()


def test_inside_of_lambda_the_clients_are_there_before_the_first_message() -> None:
    """The import alone makes them."""
    assert printed(MADE, LAMBDA) == "1"


def test_outside_of_lambda_an_import_loads_no_client() -> None:
    """A local run may not need any."""
    outside = {name: value for name, value in LAMBDA.items() if name != "AWS_LAMBDA_RUNTIME_API"}
    assert printed(LOADED, outside) == "False"


@pytest.mark.parametrize(
    ("variables", "error"),
    [({"DURABLE_TABLE": ""}, "set DURABLE_TABLE"), ({"DURABLE_CIPHER": "nowhere:cipher"}, "nowhere")],
    ids=["no table", "no such cipher"],
)
def test_what_is_wrong_with_the_environment_is_told_to_the_first_message(variables: dict[str, str], error: str) -> None:
    """An import that failed would say less, and Lambda would try it again and again."""
    assert error in printed(FIRST_MESSAGE, {**LAMBDA, **variables})


def test_a_cipher_may_be_in_the_module_that_imports_the_library(tmp_path: Path) -> None:
    """It isn't there yet when Python loads the library. It is when the first message comes."""
    (tmp_path / "shop.py").write_text(
        "import adapter\n"
        "class Plain:\n"
        "    def encrypt(self, text, context): return text\n"
        "    def decrypt(self, text, context): return text\n"
        "cipher = Plain()\n",
        encoding="utf-8",
    )
    code = "import shop; from adapter.engine import hosts; print(hosts.current().ports.store.sealing.cipher.__class__)"
    assert "shop.Plain" in printed(code, {**LAMBDA, "DURABLE_CIPHER": "shop:cipher"}, tmp_path)
