"""The variables of a stack come each by itself, or in one."""

import json
from pathlib import Path

import pytest

from adapter.errors import ConfigurationError
from adapter.protocol.variables import described
from adapter.templates.intrinsics import open_stack
from adapter.templates.template import default_template


def test_what_the_stack_says_is_as_if_each_variable_were_set() -> None:
    """One that is set by itself goes before it."""
    packed = json.dumps({"DURABLE_TABLE": "theirs", "DURABLE_PREFIX": "shop-"})
    found = described({"DURABLE_STACK": packed, "DURABLE_TABLE": "mine", "HOME": "/"})
    assert (found["DURABLE_TABLE"], found["DURABLE_PREFIX"], found["HOME"]) == ("mine", "shop-", "/")


def test_without_it_the_environment_is_as_it_is() -> None:
    """Lambdas of the library itself have each variable by itself."""
    assert described({"DURABLE_TABLE": "mine", "DURABLE_STACK": ""})["DURABLE_TABLE"] == "mine"


@pytest.mark.parametrize("text", ["promises", "[]", '{"DURABLE_TABLE": 7}', "[" * 100_000])
def test_anything_else_is_refused(text: str) -> None:
    """The error names the output that belongs there."""
    with pytest.raises(ConfigurationError, match="output Variables"):
        described({"DURABLE_STACK": text})


@pytest.mark.parametrize("links", ["true", "false"])
@pytest.mark.parametrize("cipher", ["shop:cipher", ""])
def test_the_stack_says_all_that_its_other_outputs_say(links: str, cipher: str) -> None:
    """With links and a cipher, and without."""
    stack = open_stack(Path(default_template()), name="shop", parameters={"Links": links, "Cipher": cipher})
    names = {
        "DURABLE_TABLE": "TableName",
        "DURABLE_BUCKET": "BucketName",
        "DURABLE_TIMERS": "TimersUrl",
        "DURABLE_PREFIX": "FunctionPrefix",
        "DURABLE_RETENTION_DAYS": "RetentionDays",
        "DURABLE_AGAIN": "RecordsAgainUrl",
        "DURABLE_UNHANDLED": "UnhandledRecordsUrl",
        **({"DURABLE_CIPHER": "Cipher"} if cipher else {}),
        **({"DURABLE_LINK_URL": "LinkUrl", "DURABLE_LINK_SECRET_ARN": "LinkKeyArn"} if links == "true" else {}),
    }
    said = json.loads(stack.output("Variables"))
    # This one is told by no output of its own: a program outside waits for nothing.
    assert said.pop("DURABLE_WAKE") == "stream"
    assert said == {name: stack.output(output) for name, output in names.items()}
