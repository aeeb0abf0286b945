"""docs/events.md tells the truth: its modules handle the events of AWS, and its resources are valid."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import boto3
import pytest
from botocore.stub import Stubber
from cfnlint.api import lint_file
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from adapter.cli.adopting.linting import findings
from adapter.lambdas import status
from adapter.templates.intrinsics import parse
from adapter.testing import LocalCloud
from tests.support.effort import ENGINE

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
MODULES = {
    re.match(r"# (\w+)\.py\n", text)[1]: text  # type: ignore[index]
    for text in re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
}
RESOURCES = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
CONTEXT = type("Context", (), {"get_remaining_time_in_millis": lambda self: 30_000})()


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new application's template, with all resources of the page; its code beside it."""
    from adapter.cli.adopting.creating import create

    place = tmp_path_factory.mktemp("made") / "shop"
    list(create(place))
    template = place / "template.yaml"
    own = template.read_text()
    template.write_text(own.replace("\nOutputs:\n", "\n" + "\n".join(RESOURCES) + "\nOutputs:\n"))
    for name, text in MODULES.items():
        (place / "src" / f"{name}.py").write_text(text)
    return template


@pytest.fixture
def modules(application: Path) -> Iterator[dict[str, Any]]:
    """The page's modules, imported by their names, as Lambda does."""
    found: dict[str, Any] = {}
    sys.path.insert(0, str(application.parent / "src"))
    try:
        for name in MODULES:
            found[name] = importlib.import_module(name)
        yield found
    finally:
        sys.path.remove(str(application.parent / "src"))


@pytest.fixture
def cloud(application: Path, modules: dict[str, ModuleType]) -> Iterator[LocalCloud]:
    with LocalCloud(template=application, engine=ENGINE) as cloud:
        yield cloud


def test_every_lambda_of_the_page_has_what_it_needs(application: Path) -> None:
    """As `durable lint` sees it, with the code."""
    assert findings(application) == []


def test_every_resource_of_the_page_is_valid(application: Path, tmp_path: Path) -> None:
    """As it is written, and as SAM expands it."""
    assert [str(match) for match in lint_file(application)] == []
    body = parse(application)
    body["Globals"]["Function"]["CodeUri"] = "s3://bucket/code.zip"
    body["Resources"]["Durable"]["Properties"]["Location"] = "https://bucket.s3.amazonaws.com/durable.yaml"
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name="us-east-1"))
    expanded = tmp_path / "expanded.json"
    expanded.write_text(json.dumps(translator.translate(body, {})), encoding="utf-8")
    assert [str(match) for match in lint_file(expanded)] == []


def post(body: object, key: str) -> dict[str, Any]:
    """An event of an HTTP API, format 2.0."""
    return {
        "version": "2.0",
        "routeKey": "POST /orders",
        "rawPath": "/orders",
        "headers": {"idempotency-key": key},
        "requestContext": {"http": {"method": "POST", "path": "/orders"}, "requestId": "1"},
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }


def answer_to_get(promise: str) -> tuple[int, Any]:
    answer = status.handler({"pathParameters": {"id": promise}}, CONTEXT)
    return answer["statusCode"], json.loads(answer["body"])


def shown() -> list[Any]:
    """The bodies of the page's two answers."""
    (block,) = re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return [json.loads(line) for line in block.splitlines() if line.startswith("{")]


def begin(function: Any, event: object) -> dict[str, Any]:
    """The answer to a caller who waits for it."""
    context = type("Lambda", (), {"aws_request_id": "1", "get_remaining_time_in_millis": lambda self: 30_000})()
    return cast(dict[str, Any], function(event, context))


def test_http_starts_an_execution_and_tells_how_it_stands(cloud: LocalCloud, modules: dict[str, Any]) -> None:
    """With what the page shows; the same request again starts nothing, and another under its key is refused."""
    order = modules["http_orders"].order
    for _ in range(2):
        answer = begin(order, post({"kind": "Assam", "cups": 2}, "7f3c"))
        assert (answer["statusCode"], json.loads(answer["body"])) == (202, shown()[0])
        assert f"location: {answer['headers']['location']}\n" in PAGE
    assert begin(order, post({"kind": "Assam", "cups": 3}, "7f3c"))["statusCode"] == 422
    promise = shown()[0]["id"]
    assert answer_to_get(promise) == (200, shown()[0])
    cloud.drive()
    assert len(cloud.records()) == 1
    assert answer_to_get(promise) == (200, shown()[1])
    # As it stands in the address.
    assert answer_to_get(answer["headers"]["location"].rpartition("/")[2]) == (200, shown()[1])


def test_a_failure_is_told_with_its_type(cloud: LocalCloud, modules: dict[str, Any]) -> None:
    """Here an order without its number of cups."""
    promise = json.loads(begin(modules["http_orders"].order, post({"kind": "Assam"}, "1"))["body"])["id"]
    cloud.advance(3_600)
    code, body = answer_to_get(promise)
    assert (code, body["state"], body["error"]) == (200, "rejected", {"type": "KeyError", "message": "'cups'"})


def test_the_status_of_what_is_no_execution_is_not_told(cloud: LocalCloud, modules: dict[str, Any]) -> None:
    """A step or a promise may hold what its execution doesn't return."""
    handle = modules["steps"].ships.start("order-7")
    assert answer_to_get(handle.id)[0] == 200
    for promise in ("nothing", "", "~", f"{handle.id}~0", "schedule:x"):
        assert answer_to_get(promise)[0] == 404
    for event in ({}, {"pathParameters": None}, {"pathParameters": ["id"]}, {"pathParameters": {"id": 7}}):
        assert status.handler(event, CONTEXT)["statusCode"] == 404


def queued(body: object, name: str) -> dict[str, Any]:
    return {"messageId": name, "body": json.dumps(body), "eventSource": "aws:sqs", "attributes": {}}


EVENTS: list[tuple[str, object, list[str]]] = [
    ("queue_orders", {"Records": [queued({"cups": 2}, "a"), queued({"cups": 3}, "b")]}, ["2 cups", "3 cups"]),
    (
        "rule_orders",
        {
            "id": "e1",
            "source": "shop",
            "account": "123456789012",
            "region": "us-east-1",
            "detail-type": "order",
            "detail": {"cups": 2},
        },
        ["2 cups for shop"],
    ),
    (
        "bucket_orders",
        {
            "Records": [
                {
                    "eventSource": "aws:s3",
                    "eventName": "ObjectCreated:Put",
                    "s3": {
                        "bucket": {"name": "scans"},
                        "object": {"key": "order+7.pdf", "sequencer": "01", "eTag": "e"},
                    },
                }
            ]
        },
        ["order 7.pdf"],
    ),
    ("partners", "order-7", ["order-7, for a partner"]),
    ("traced", "Assam", ["tea for Assam"]),
]


@pytest.mark.parametrize(("module", "event", "results"), EVENTS, ids=[name for name, _, _ in EVENTS])
def test_an_event_starts_its_executions_once(
    module: str, event: object, results: list[str], cloud: LocalCloud, modules: dict[str, Any]
) -> None:
    """Also where it is delivered twice, if AWS gives it an identity."""
    deliveries = 1 if isinstance(event, str) else 2
    for _ in range(deliveries):
        cloud.invoke(modules[module].order, event)
    cloud.drive()
    assert sorted(json.loads(record.value) for record in cloud.records()) == results


def test_a_schedule_of_the_template_starts_an_execution_each_time(cloud: LocalCloud, modules: dict[str, Any]) -> None:
    """Each time has an id of its own."""
    for number in (1, 2):
        event = {
            "id": f"e{number}",
            "source": "aws.events",
            "account": "123456789012",
            "region": "us-east-1",
            "detail-type": "Scheduled Event",
            "time": f"2026-01-0{number}T03:00:00Z",
            "detail": {},
        }
        cloud.invoke(modules["nightly"].report, event)
    cloud.drive()
    assert len(cloud.records()) == 2


def test_a_state_machine_waits_for_an_execution(
    cloud: LocalCloud, modules: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets its token back, and a token that was given back before is no failure."""
    client = boto3.client("stepfunctions", region_name="us-east-1")
    monkeypatch.setattr(boto3, "client", lambda service: client)
    with Stubber(client) as stubber:
        stubber.add_response("send_task_success", {}, {"taskToken": "t", "output": '"a baked cake"'})
        stubber.add_client_error("send_task_success", "InvalidToken")
        for _ in range(2):
            cloud.invoke(modules["steps"].bakes, {"token": "t", "order": "cake"})
            cloud.drive()
        stubber.assert_no_pending_responses()
    assert {record.state.value for record in cloud.records()} == {"resolved"}


def test_an_execution_waits_for_a_state_machine(cloud: LocalCloud, modules: dict[str, Any]) -> None:
    """The state machine has the promise's id, and settles it by a Lambda, perhaps twice."""
    steps = modules["steps"]
    begun = cloud.fake(steps.begin, returns=None)
    handle = steps.ships.start("order-7")
    cloud.drive()
    ((call),) = begun.calls
    for _ in range(2):
        steps.settled({"task": call["task"], "output": "shipped"}, None)
    assert handle.result() == "shipped"
