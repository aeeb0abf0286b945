"""Least privilege, both ways: what each Lambda asks of AWS its role allows, and its role allows nothing else.

Every play of the crash table runs on moto, that is every write and every call of the protocol, and a few programs more.
What is asked is heard from boto3's clients. What is allowed is read from the templates. What Lambda's own service does
in a role's name (it reads queues and streams, and sends what failed) follows from the mappings.
"""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import functools
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner

from adapter import (
    attach,
    cancel,
    durable,
    link,
    promise,
    reject,
    resolve,
    run,
    schedule,
    schedules,
    unschedule,
)
from adapter.cli.adopting.setups import Grant, grants
from adapter.cli.commands import durable as command_line
from adapter.links.endpoint import handler as answer_by_link
from adapter.templates.intrinsics import ACCOUNT, REGION, Stack, open_stack
from adapter.templates.template import Template, default_template, load
from adapter.testing import LocalCloud
from adapter.testing.driver import DEFAULT_FUNCTION
from adapter.testing.hosting import LocalHost
from tests.faults.crashes.plays import PLAYS, staged

Asked = dict[str, set[Grant]]

AS_IAM = {
    "SendMessageBatch": ("SendMessage",),
    "ListObjectsV2": ("ListBucket",),
    "DeleteObjects": ("DeleteObject",),
    "CopyObject": ("GetObject", "PutObject"),
    "Invoke": ("InvokeFunction",),
}
"""The actions of an operation that aren't called as it is."""

OUTSIDERS = ("", "repairs")
"""No Lambdas of the templates: the test itself, and one in which a play starts an execution again."""

ALLOWED_ALL_THE_SAME = {
    ("Fire", "dynamodb:DeleteItem"): "a queue of timers that stood still for days: its look removes what is over",
    (
        "Bury",
        "kms:GenerateDataKey",
    ): "a function whose code dies ten times before it counts: Bury settles it, by the cipher",
    ("Settle", "secretsmanager:GetSecretValue"): "the local cloud has no Secrets Manager: the key is a variable there",
}
"""What no program here asks for, and why it is allowed."""


@durable
def length(text: str) -> int:
    return len(text)


@durable
async def keeps_much() -> int:
    """A schedule whose executions have large arguments; and the list of schedules."""
    await run(schedule, "much", "rate(10 minutes)", length, "x" * 100_000)
    await asyncio.sleep(25 * 60)
    found = await run(schedules)
    await run(unschedule, "much")
    return len(found)


ADDRESSES: list[str] = []


@durable
async def asks_for_much() -> int:
    answer = promise(str)
    ADDRESSES.append(await run(link, answer.id, expires_in=86_400))
    return await length(await answer)


def resource(operation: str, params: Mapping[str, Any]) -> str:
    """The ARN of what a request is for."""
    if name := params.get("FunctionName"):
        # The Lambda that is made up for functions that no template places is an application's.
        return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{'local_durable' if name == DEFAULT_FUNCTION else name}"
    if "QueueUrl" in params:
        return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{params['QueueUrl'].rpartition('/')[2]}"
    if "Bucket" in params:
        bucket = f"arn:aws:s3:::{params['Bucket']}"
        return bucket if operation.startswith("List") else f"{bucket}/object"
    if "TableName" in params:
        index = f"/index/{params['IndexName']}" if "IndexName" in params else ""
        return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{params['TableName']}{index}"
    return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/any/stream/any"


class Ear:
    """Hears what each Lambda of a cloud asks of AWS. ``removed``: the partitions of which they removed an item."""

    def __init__(self) -> None:
        self.asked: Asked = defaultdict(set)
        self.as_ = ""
        self._running: Callable[[], str] = str
        self.removed: dict[str, set[str]] = defaultdict(set)
        self.ciphered: dict[str, set[str]] = defaultdict(set)

    @contextlib.contextmanager
    def cloud(self) -> Iterator[LocalCloud]:
        with LocalCloud(template=default_template()) as cloud:
            self.listen(cloud)
            yield cloud

    def ciphers(self, action: str) -> None:
        """Somebody encrypts or decrypts: a cipher with KMS would ask for this."""
        if (who := self.as_ or self._running()) not in OUTSIDERS:
            self.ciphered[logical(who)].add(action)

    def listen(self, cloud: LocalCloud) -> None:
        world: Any = cloud._world
        self._running = lambda: cloud._driver.running

        def heard(params: Mapping[str, Any], model: Any, **_: Any) -> None:
            function = self.as_ or cloud._driver.running
            service = model.service_model.service_name.replace("dynamodbstreams", "dynamodb")
            for action in AS_IAM.get(model.name, (model.name,)):
                self.asked[function].add(Grant(action=f"{service}:{action}", resource=resource(model.name, params)))
            if model.name == "DeleteItem":
                self.removed[function].add(params["Key"]["pk"]["S"])

        for client in (world.store.client, world.lambda_client, world.sqs, world.s3, world.streams):
            client.meta.events.register("before-parameter-build", heard)


class Heard:
    """A cipher that tells who asks for it. Its texts are no secret."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell

    def encrypt(self, text: str, context: Mapping[str, str]) -> str:
        self._tell("kms:GenerateDataKey")
        return text[::-1]

    def decrypt(self, text: str, context: Mapping[str, str]) -> str:
        self._tell("kms:Decrypt")
        return text[::-1]


cipher: Heard | None = None
"""The one of the run that is heard."""


@pytest.fixture(scope="module")
def ear() -> Ear:
    heard = Ear()
    for name in PLAYS:
        with heard.cloud() as cloud:
            assert staged(name, cloud) == PLAYS[name].outcome
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules[__name__], "cipher", Heard(heard.ciphers))
        patch.setenv("DURABLE_CIPHER", f"{__name__}:cipher")
        with heard.cloud() as cloud:
            assert cloud.run(keeps_much) == 1
            assert answered_at_length(cloud) == 30_000
        for name in ("crashes", "is removed"):
            with heard.cloud() as cloud:
                assert staged(name, cloud) == PLAYS[name].outcome
        with heard.cloud() as cloud:
            used_from_outside(cloud, heard)
            operated(cloud, heard)
    return heard


def used_from_outside(cloud: LocalCloud, ear: Ear) -> None:
    """What a program outside does: nothing else happens while it is heard."""
    ear.as_ = "client"
    handle = asks_for_much.with_options(timeout=600).start()
    much = length.start("x" * 100_000)
    settled = (asks_for_much.with_options(id=f"order-{number}").start() for number in range(4))
    ended = [each.id for each in settled]
    ear.as_ = ""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DURABLE_LINK_SECRET", "k" * 32)
        patch.setenv("DURABLE_LINK_URL", "https://links.example")
        cloud.drive()
    ear.as_ = "client"
    assert (handle.status(), attach(much.id).status()) == ("pending", "resolved")
    resolve(f"{ended[0]}~0", "x" * 30_000)
    reject(f"{ended[1]}~0", ValueError("no"))
    cancel(ended[2])
    # In its place: what it has begun is ended, too.
    resolve(ended[3], 7)
    attach(f"{ended[0]}~0")
    ear.as_ = ""
    cloud.drive()


def operated(cloud: LocalCloud, ear: Ear) -> None:
    """What a person does with the command `durable`."""
    asks_for_much.with_options(id="order-9").start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DURABLE_LINK_SECRET", "k" * 32)
        patch.setenv("DURABLE_LINK_URL", "https://links.example")
        cloud.drive()
    ear.as_ = "operator"
    for command in (
        ["list", "--all"],
        ["show", "order-9", "--values"],
        ["show", "order-0", "--values"],
        ["resume", "order-9", "--force"],
        ["resolve", "order-9~0", json.dumps("x" * 30_000)],
        ["cancel", "order-9"],
        ["redrive"],
        ["count"],
        ["fork", "order-9", "--from", "order-9~0", "--as", "order-10"],
        ["retry", "order-9", "--yes", "--compensated"],
        ["resume", "--every", "--yes"],
        ["cancel", "--function", "nobody", "--yes"],
        ["move", "old", "new"],
        ["rotate-keys"],
    ):
        with pytest.MonkeyPatch.context() as patch:
            # While a person waits, the cloud works, and that is none of the person's doing.
            patch.setattr(LocalHost, "pass_time", lambda host, seconds: None)
            result = CliRunner().invoke(command_line, command)
        assert result.exit_code == 0, result.output
    ear.as_ = ""
    cloud.drive()


def answered_at_length(cloud: LocalCloud) -> object:
    """A person sends a long text, and looks at it afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DURABLE_LINK_SECRET", "k" * 32)
        patch.setenv("DURABLE_LINK_URL", "https://links.example")
        handle = asks_for_much.start()
        cloud.drive()
        token = parse_qs(urlsplit(ADDRESSES[-1]).query)["token"][0]
        cloud.service.function("links").handler = answer_by_link
        for method, body in (("POST", json.dumps("x" * 30_000)), ("GET", "")):
            event = {
                "queryStringParameters": {"token": token},
                "requestContext": {"http": {"method": method}},
                "body": body,
            }
            cloud.service.enqueue("links", json.dumps(event))
            cloud.drive()
        return handle.result()


def nested(stack: Stack) -> Iterator[Stack]:
    yield stack
    for each in stack.nested():
        yield from nested(each)


KEY, CIPHER_KEY = (f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{name}" for name in ("stored", "cipher"))
STACK = open_stack(
    default_template(),
    name="local",
    parameters={"Links": "true", "StackPrefix": "local_", "KeyArn": KEY, "CipherKeyArn": CIPHER_KEY},
)
TEMPLATE: Template = load(default_template())


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def unconditional(statements: list[dict[str, Any]]) -> list[Grant]:
    return list(grants([{key: each for key, each in one.items() if key != "Condition"} for one in statements]))


def statements_of(function: str) -> list[dict[str, Any]]:
    """All that a Lambda's role says, or a policy."""
    return stated()[function]


@functools.cache
def stated() -> dict[str, list[dict[str, Any]]]:
    """By the logical id of each Lambda of the library; what is said for the application's is ``Access``."""
    found: dict[str, list[dict[str, Any]]] = {
        name: STACK.properties(name)["PolicyDocument"]["Statement"]
        for name in ("Access", "ClientAccess", "OperatorAccess")
    }
    for stack in nested(STACK):
        roles = {
            f"arn:aws:iam::{ACCOUNT}:role/{stack.physical_id(each)}": each
            for each in stack.resources_of("AWS::IAM::Role")
        }
        for function in stack.resources_of("AWS::Serverless::Function"):
            properties = stack.properties(function)
            policies = [each["PolicyDocument"] for each in stack.properties(roles[properties["Role"]])["Policies"]]
            found[function] = [each for policy in policies for each in policy["Statement"]]
    return found


def allowed() -> dict[str, list[Grant]]:
    """What each of them may do."""
    return {name: unconditional(statements) for name, statements in stated().items()}


ROLES = {"Resumer": "ResumerRole", "Again": "ResumerRole"}
"""Lambdas that share a role. Every other one has its own."""


def by_mappings() -> Asked:
    """What Lambda's service does in the name of a function's role."""
    found: Asked = defaultdict(set)
    for stream in TEMPLATE.mappings:
        on = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/any/stream/any"
        actions = [("DescribeStream", on), ("GetRecords", on), ("GetShardIterator", on), ("ListStreams", "*")]
        found[stream.function] |= {Grant(action=f"dynamodb:{action}", resource=of) for action, of in actions}
        found[stream.function].add(Grant(action="sqs:SendMessage", resource=str(stream.on_failure)))
    for queue in TEMPLATE.queue_mappings:
        on = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue.queue}"
        found[queue.function] |= {
            Grant(action=f"sqs:{action}", resource=on)
            for action in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
        }
    return found


NAMED = {"links": "Settle", "client": "ClientAccess", "operator": "OperatorAccess"}
"""Who is heard under a name of the tests."""


def logical(function: str) -> str:
    """The template's word for a Lambda; those of an application share one policy."""
    spec = next((each for each in TEMPLATE.functions if each.name == function), None)
    if function in NAMED:
        return NAMED[function]
    return spec.logical_id if spec else "Access"


def asked(ear: Ear) -> Asked:
    """By logical id, what a role has to allow."""
    found: Asked = defaultdict(set)
    for function, every in [*ear.asked.items(), *by_mappings().items()]:
        if function not in OUTSIDERS:
            found[logical(function)] |= {plain(each) for each in every}
    # The on-failure destination of the application's functions.
    letters = STACK.output("DeadLettersArn")
    found["Access"] |= {
        Grant(action="sqs:SendMessage", resource=letters),
        # `link` reads the key, where the stack has links.
        Grant(action="secretsmanager:GetSecretValue", resource=STACK.output("LinkKeyArn")),
    }
    for function, every in found.items():
        every |= {Grant(action=f"kms:{act}", resource=KEY) for grant in every for act in BY_KEY.get(grant.action, ())}
        every |= {Grant(action=each, resource=CIPHER_KEY) for each in ear.ciphered[function]}
    return found


READS = ("Decrypt", "DescribeKey")
WRITES = (*READS, "Encrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext")
BY_KEY = {
    **{f"dynamodb:{each}": READS for each in ("GetItem", "Query", "GetRecords")},
    **{f"dynamodb:{each}": WRITES for each in ("PutItem", "UpdateItem", "DeleteItem")},
    "s3:GetObject": ("Decrypt",),
    "s3:PutObject": ("GenerateDataKey",),
    "sqs:SendMessage": ("GenerateDataKey", "Decrypt"),
    "sqs:ReceiveMessage": ("Decrypt",),
    "secretsmanager:GetSecretValue": ("Decrypt",),
}
"""What a service asks of a customer's key in its caller's name, as AWS documents it: no simulation holds it to that."""


def plain(grant: Grant) -> Grant:
    """Streams have names that AWS makes up."""
    return Grant(action=grant.action, resource="any stream") if "/stream/" in grant.resource else grant


def granted(function: str) -> list[Grant]:
    return [plain(each) for each in allowed()[function]]


FUNCTIONS = sorted(allowed())


def test_every_lambda_asks_for_something(ear: Ear) -> None:
    """Otherwise nothing would be shown of it."""
    assert asked(ear).keys() == allowed().keys()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_lambda_may_do_what_it_does(function: str, ear: Ear) -> None:
    """Nothing is missing."""
    assert [each for each in asked(ear)[function] if not any(one.covers(each) for one in granted(function))] == []


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_lambda_may_do_nothing_else(function: str, ear: Ear) -> None:
    """Nothing is unused, but for what is allowed all the same."""
    together = [one for one in FUNCTIONS if ROLES.get(one, one) == ROLES.get(function, function)]
    needed = {each for one in together for each in asked(ear)[one]}
    unused = {one.action for one in granted(function) if not any(one.covers(each) for each in needed)}
    assert unused == {action for where, action in ALLOWED_ALL_THE_SAME if where == function}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_key_is_used_through_the_services_that_a_lambda_asks_and_not_by_its_code(function: str) -> None:
    """The policy says so on a condition. A cipher has a key of its own."""
    named = {each.action.partition(":")[0] for each in granted(function) if each.action in BY_KEY}
    used = [each for each in statements_of(function) if each["Resource"] == KEY]
    services = {one for each in used for one in listed(each["Condition"]["StringEquals"]["kms:ViaService"])}
    assert services == {f"{each}.{REGION}.amazonaws.com" for each in named}


def test_a_function_removes_schedules_and_nothing_else(ear: Ear) -> None:
    """The policy says so of the table's partitions."""
    (statement,) = [
        each
        for each in STACK.properties("Access")["PolicyDocument"]["Statement"]
        if each["Action"] == "dynamodb:DeleteItem"
    ]
    (patterns,) = [each["dynamodb:LeadingKeys"] for each in statement["Condition"].values()]
    removed = {key for function, keys in ear.removed.items() if logical(function) == "Access" for key in keys}
    assert removed
    assert all(any(fnmatch.fnmatchcase(key, pattern) for pattern in patterns) for key in removed)
