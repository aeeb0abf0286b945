"""Promises settled over HTTP, by the holder of a link that only the stack can have made."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from adapter import attach, durable, errors, link, promise, resolve, run
from adapter.engine.operations import Settle
from adapter.links.endpoint import handler, verify
from adapter.testing import LocalCloud
from tests.support.laws import HOUR

KEY = "k" * 32
MAILBOX: list[str] = []


@dataclass
class Decision:
    approved: bool
    reason: str = ""


@durable
def mail(promise_id: str) -> None:
    MAILBOX.append(link(promise_id, expires_in=HOUR))


@durable
async def approval() -> str:
    decision = promise(Decision)
    await mail(decision.id)
    decided = await decision
    return f"approved: {decided.reason}" if decided.approved else "refused"


@durable
async def yes_or_no() -> bool:
    return await promise(bool)


@pytest.fixture(autouse=True)
def _configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DURABLE_LINK_SECRET", KEY)
    monkeypatch.setenv("DURABLE_LINK_URL", "https://links.example")
    MAILBOX.clear()


def request(method: str, url: str, body: object = None, **headers: str) -> dict[str, Any]:
    """As Lambda hands over a Function URL's request."""
    token = parse_qs(urlsplit(url).query).get("token", [""])[0]
    return {
        "version": "2.0",
        "headers": {name.replace("_", "-"): value for name, value in headers.items()},
        "queryStringParameters": {"token": token},
        "requestContext": {"http": {"method": method}},
        "body": body if isinstance(body, str) else json.dumps(body),
        "isBase64Encoded": False,
    }


def send(method: str, url: str, body: object = None, **headers: str) -> tuple[int, Any]:
    response = handler(request(method, url, body, **headers), None)
    return response["statusCode"], json.loads(response["body"])


def mailed(cloud: LocalCloud) -> tuple[Any, str]:
    handle = approval.start()
    cloud.drive()
    return handle, MAILBOX[-1]


def test_a_post_settles_the_promise_and_its_function_goes_on(any_cloud: LocalCloud) -> None:
    """It does so in any weather."""
    handle = approval.start()
    while not MAILBOX:
        any_cloud.advance(60)
    assert send("POST", MAILBOX[-1], {"approved": True, "reason": "fine"}) == (200, {"state": "resolved"})
    assert handle.result() == "approved: fine"


def test_a_step_that_dies_mails_the_same_link_again(cloud: LocalCloud) -> None:
    """The mail's own idempotency key can then be the link."""
    cloud.kill(mail, Settle, "before")
    handle = approval.start()
    cloud.drive()
    while len(MAILBOX) < 2:
        cloud.advance(60)
    first, second = MAILBOX
    assert first == second
    assert send("POST", first, {"approved": True, "reason": "once"})[0] == 200
    assert send("POST", second, {"approved": False})[0] == 409
    assert handle.result() == "approved: once"


def test_of_many_answers_one_stands(any_cloud: LocalCloud) -> None:
    """Clients repeat a request without an answer, and so do impatient people, in any weather."""
    handle = approval.start()
    while not MAILBOX:
        any_cloud.advance(60)
    found = []
    for attempt in range(5):
        url = MAILBOX[-1]
        found.append(send("POST", url, {"approved": True, "reason": str(attempt)})[0])
        assert send("GET", url)[0] == 200
        any_cloud.advance(1)
    assert found == [200, 409, 409, 409, 409]
    assert handle.result() == "approved: 0"


def test_what_comes_after_the_deadline_is_told_so(cloud: LocalCloud) -> None:
    """The link is good for longer than the promise."""

    @durable
    async def impatient() -> str:
        try:
            return str(await promise(bool, timeout=60))
        except errors.PromiseTimeout:
            return "too late"

    handle = impatient.start()
    cloud.drive()
    url = link(f"{handle.id}~0", expires_in=HOUR)
    cloud.advance(60)
    assert send("POST", url, True) == (409, {"error": "it was settled before", "state": "rejected_timedout"})
    assert send("GET", url)[1]["state"] == "rejected_timedout"
    assert handle.result() == "too late"


def test_a_get_shows_what_is_expected_and_settles_nothing(cloud: LocalCloud) -> None:
    """Mail scanners follow links."""
    handle, url = mailed(cloud)
    status, content = send("GET", url)
    assert (status, content["state"]) == (200, "pending")
    assert content["expects"]["required"] == ["approved"]
    cloud.drive()
    assert handle.status() == "pending"


def test_a_link_works_once_and_then_says_what_stands(cloud: LocalCloud) -> None:
    """Somebody may have settled the promise in another way."""
    handle, url = mailed(cloud)
    assert send("POST", url, {"approved": False})[0] == 200
    assert send("POST", url, {"approved": True}) == (409, {"error": "it was settled before", "state": "resolved"})
    assert handle.result() == "refused"


def test_an_expired_link_is_gone(cloud: LocalCloud) -> None:
    """The cloud's clock decides."""
    handle, url = mailed(cloud)
    cloud.advance(HOUR)
    assert send("POST", url, {"approved": True})[0] == 410
    assert handle.status() == "pending"


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ("", 400, "JSON"),
        ("{", 400, "JSON"),
        ("NaN", 400, "JSON"),
        ("[" * 100_000, 400, "JSON"),
        ('"\\ud800"', 400, "JSON"),
        ("true", 422, "expected object"),
        ("{}", 422, "$.approved: it is missing"),
        ('{"approved": "yes"}', 422, "$.approved: expected boolean, got string"),
        ('{"approved": true, "more": 1}', 422, "$.more: there is no such field"),
        (json.dumps({"approved": True, "reason": "x" * 170_000}), 413, "163840"),
        (json.dumps({"approved": True, "reason": "x" * 400_000}), 413, "163840"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_body_that_does_not_fit_settles_nothing(body: str, status: int, says: str, cloud: LocalCloud) -> None:
    """The answer says why."""
    handle, url = mailed(cloud)
    found, content = send("POST", url, body)
    assert (found, says in content["error"]) == (status, True)
    cloud.drive()
    assert handle.status() == "pending"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD", "OPTIONS", ""])
def test_other_methods_settle_nothing(method: str, cloud: LocalCloud) -> None:
    """A link has two uses."""
    handle, url = mailed(cloud)
    assert send(method, url, {"approved": True})[0] == 405
    assert handle.status() == "pending"


def test_only_promises_from_outside_can_be_settled(cloud: LocalCloud) -> None:
    """A token for a function's own promise does nothing, nor does one for a promise that doesn't exist."""
    handle, _ = mailed(cloud)
    for promise_id in (handle.id, f"{handle.id}~1", "nothing"):
        assert send("POST", link(promise_id, expires_in=60), {"approved": True})[0] == 404


def test_a_person_gets_a_page_with_two_buttons(cloud: LocalCloud) -> None:
    """Its form settles the promise."""
    handle = yes_or_no.start()
    cloud.drive()
    url = link(f"{handle.id}~0", expires_in=60)
    page = handler(request("GET", url, accept="text/html,*/*"), None)
    assert page["headers"]["content-type"].startswith("text/html")
    assert page["body"].count("<button") == 2
    form = request("POST", url, "value=true", content_type="application/x-www-form-urlencoded", accept="text/html")
    answer = handler(form, None)
    assert (answer["statusCode"], "Thank you" in answer["body"]) == (200, True)
    assert "Already answered" in handler(request("GET", url, accept="text/html,*/*"), None)["body"]
    assert handle.result() is True


def test_the_line_of_the_readme_settles(cloud: LocalCloud) -> None:
    """curl --data says that any body is a form. Lambda hands a form over in base64."""
    handle = yes_or_no.start()
    cloud.drive()
    event = request("POST", link(f"{handle.id}~0", expires_in=60), content_type="application/x-www-form-urlencoded")
    event |= {"body": base64.b64encode(b"true").decode(), "isBase64Encoded": True}
    assert handler(event, None)["body"] == '{"state": "resolved"}'
    assert handle.result() is True


def test_a_body_may_come_in_base64(cloud: LocalCloud) -> None:
    """Lambda encodes so what it takes for binary."""
    handle = yes_or_no.start()
    cloud.drive()
    event = request("POST", link(f"{handle.id}~0", expires_in=60))
    event |= {"body": base64.b64encode(b"true").decode(), "isBase64Encoded": True}
    assert handler(event, None)["statusCode"] == 200
    assert handle.result() is True


def test_a_link_in_the_body_of_a_durable_function_has_to_be_recorded(cloud: LocalCloud) -> None:
    """The key may be another one at the next replay."""

    @durable
    async def unrecorded() -> str:
        return link(promise(bool).id, expires_in=60)

    @durable
    async def recorded() -> str:
        return await run(link, "order-7~0", expires_in=60)

    with pytest.raises(errors.NotDurable, match="await run"):
        cloud.run(unrecorded)
    assert cloud.run(recorded).startswith("https://links.example/?token=v1.")


@pytest.mark.parametrize("missing", ["DURABLE_LINK_SECRET", "DURABLE_LINK_URL"])
def test_what_links_need_is_named_where_it_is_missing(
    missing: str, monkeypatch: pytest.MonkeyPatch, cloud: LocalCloud
) -> None:
    """The error comes before the function makes any link."""
    monkeypatch.delenv(missing)
    with pytest.raises(errors.ConfigurationError, match=missing):
        link("order-7~0", expires_in=60)
    monkeypatch.setenv("DURABLE_LINK_SECRET", "short")
    with pytest.raises(errors.ConfigurationError):
        link("order-7~0", expires_in=60)


def test_the_key_may_be_a_secret_of_aws(monkeypatch: pytest.MonkeyPatch, on_moto: LocalCloud) -> None:
    """The Lambda reads it once."""
    import boto3

    arn = boto3.client("secretsmanager").create_secret(Name="key", SecretString="s" * 64)["ARN"]
    monkeypatch.delenv("DURABLE_LINK_SECRET")
    monkeypatch.setenv("DURABLE_LINK_SECRET_ARN", arn)
    token = parse_qs(urlsplit(link("order-7~0", expires_in=60)).query)["token"][0]
    assert verify(token, b"s" * 64)[0] == "order-7~0"


def test_who_settles_first_wins(cloud: LocalCloud) -> None:
    """A link is one way among others."""
    handle, url = mailed(cloud)
    resolve(f"{handle.id}~0", Decision(approved=True, reason="by phone"))
    assert send("POST", url, {"approved": False})[0] == 409
    assert handle.result() == "approved: by phone"
    assert attach(f"{handle.id}~0").status() == "resolved"
