"""A Lambda that can't run is no attempt of the function's: what it was to do is kept, and done once it can."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from adapter import durable, errors
from adapter.testing import LocalCloud
from tests.support.laws import slow, step

KINDS = ["missing", "import", "denied", "throttled", "reserved"]


@durable(name="outages:elsewhere", target="elsewhere")
def elsewhere(value: int) -> int:
    return value


@pytest.mark.parametrize("kind", ["import", "throttled", "reserved"])
def test_what_is_accepted_in_an_outage_does_not_run(kind: str, on_moto: LocalCloud) -> None:
    """Its body never began."""
    handle = step.start(1)
    with on_moto.outage(step, kind):
        on_moto.advance(10)
    assert on_moto.stats.bodies[step] == 0
    assert handle.status() == "pending"


def test_an_outage_is_of_one_lambda(cloud: LocalCloud) -> None:
    """By its function, or by its name; others run."""
    elsewhere.start(1)
    for lambda_ in (elsewhere, "elsewhere"):
        with cloud.outage(lambda_, "import"):
            assert cloud.run(step, 7) == 7
    with cloud.outage(slow, "import"), cloud.outage("durable", "throttled"):
        assert cloud.run(elsewhere, 7) == 7


@pytest.mark.parametrize(("fn", "kind"), [("durable", "broken"), ("nobody", "missing"), ("durable", "")])
def test_an_outage_that_there_cannot_be_is_refused(fn: str, kind: str, cloud: LocalCloud) -> None:
    """The error names those that there can."""
    with (
        pytest.raises(errors.ConfigurationError, match=r"there is no Lambda|an outage is one of"),
        cloud.outage(fn, kind),
    ):
        pass


@pytest.mark.parametrize("engine", ["moto", "memory"])
@pytest.mark.parametrize(
    ("kind", "code"), [("missing", "ResourceNotFoundException"), ("denied", "AccessDeniedException")]
)
def test_a_client_of_aws_is_refused_as_by_aws(kind: str, code: str, engine: str) -> None:
    """By the code that boto3's errors have; afterwards it isn't any more."""
    call = {"FunctionName": "durable", "InvocationType": "Event", "Payload": b"{}"}
    with LocalCloud(engine=engine) as cloud:
        with cloud.outage("durable", kind), pytest.raises(ClientError) as refused:
            cloud._world.lambda_client.invoke(**call)
        assert refused.value.response["Error"]["Code"] == code
        assert not cloud.service.ready
        cloud._world.lambda_client.invoke(**call)
        assert len(cloud.service.ready) == 1
