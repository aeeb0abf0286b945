"""Signed links: no token but ours, no settlement by garbage, and one settlement whatever is sent."""

from __future__ import annotations

import base64
import json
import logging
import string
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, quote, quote_plus, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapter import errors, link
from adapter.codec.schemas import describe
from adapter.engine import hosts
from adapter.links.endpoint import MAX_BODY, handler
from adapter.links.tokens import sign, verify
from adapter.protocol.promises import Written, settle
from adapter.protocol.records import Kind, Record, State
from adapter.replay.steps import Scope, current

KEY = "k" * 32
SECOND = 1_000_000
PROMISE = "order-7~0"
FORM = "application/x-www-form-urlencoded"

on_one_table = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass
class Decision:
    approved: bool
    reason: str = ""


@dataclass
class Table:
    """A host with one table in memory, and a clock that a test sets. The transitions are the real ones."""

    records: dict[str, Record] = field(default_factory=dict)
    time: int = 1_000 * SECOND
    entered: list[Any] = field(default_factory=list)

    def reset(self, type_: Any = Decision) -> None:
        self.time = 1_000 * SECOND
        self.records = {
            PROMISE: Record(id=PROMISE, kind=Kind.EXTERNAL, args=json.dumps(describe(type_))),
            "order-7": Record(id="order-7"),
        }

    def enter_invocation(self, context: Any) -> None:
        self.entered.append(context)

    def read_promise(self, promise: str) -> Record | None:
        return self.records.get(promise)

    def settle(self, promise: str, state: State, value: str) -> Written:
        written = settle(self.records.get(promise), state, value, self.time)
        if isinstance(written, Record):
            self.records[promise] = written
        return written

    def now(self) -> int:
        return self.time

    @property
    def state(self) -> State:
        return self.records[PROMISE].state


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    """The promise of a decision, pending."""
    monkeypatch.setenv("DURABLE_LINK_SECRET", KEY)
    monkeypatch.setenv("DURABLE_LINK_URL", "https://links.example")
    made = Table()
    made.reset()
    hosts.enter(made)  # type: ignore[arg-type]
    yield made
    hosts.leave(made)  # type: ignore[arg-type]


def token_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["token"][0]


def event(method: str, token: str, body: str | None = None, **more: Any) -> dict[str, Any]:
    """As Lambda hands over a Function URL's request, format 2.0."""
    return {
        "version": "2.0",
        "headers": {},
        "queryStringParameters": {"token": token},
        "requestContext": {"http": {"method": method, "sourceIp": "192.0.2.1"}},
        "body": body,
        "isBase64Encoded": False,
        **more,
    }


def status(request: Any) -> int:
    answer = handler(request, None)
    if answer["headers"]["content-type"] == "application/json":
        json.loads(answer["body"])
    return int(answer["statusCode"])


@given(promise_id=st.text(), expires=st.integers(0, 2**40))
def test_a_token_survives_signing(promise_id: str, expires: int) -> None:
    """Any id may be in it."""
    token = sign(promise_id, expires, KEY.encode())
    assert verify(token, KEY.encode()) == (promise_id, expires)
    assert quote(token, safe=".") == token


@given(bit=st.integers(0, 10_000), key_bit=st.integers(0, 8 * 32 - 1))
def test_a_token_with_any_bit_flipped_is_not_ours(bit: int, key_bit: int) -> None:
    """The test flips a bit of the token, or of the key."""
    key = bytearray(KEY.encode())
    token = bytearray(sign(PROMISE, 2_000_000_000, bytes(key)).encode())
    bit %= 8 * len(token)
    token[bit // 8] ^= 1 << bit % 8
    with pytest.raises(errors.BadMessage):
        verify(token.decode("latin-1"), bytes(key))
    token[bit // 8] ^= 1 << bit % 8
    key[key_bit // 8] ^= 1 << key_bit % 8
    with pytest.raises(errors.BadMessage):
        verify(token.decode(), bytes(key))


@given(
    position=st.integers(0, 10_000),
    length=st.integers(0, 3),
    instead=st.text(string.ascii_letters + string.digits + "-_.=+/ é\ud800", max_size=3),
)
def test_a_token_spelled_otherwise_is_not_ours(position: int, length: int, instead: str) -> None:
    """The test cuts, extends or changes it: each character counts."""
    token = sign(PROMISE, 2_000_000_000, KEY.encode())
    position %= len(token) + 1
    changed = token[:position] + instead + token[position + length :]
    if changed != token:
        with pytest.raises(errors.BadMessage):
            verify(changed, KEY.encode())


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=8), below, max_size=3),
    max_leaves=10,
)


@on_one_table
@given(parts=st.fixed_dictionaries({}, optional=dict.fromkeys(event("POST", ""), ANYTHING)) | ANYTHING)
def test_an_event_of_any_shape_without_a_token_of_ours_is_forbidden(parts: Any, table: Table) -> None:
    """The handler raises nothing."""
    assert status(parts) == 403
    assert table.state is State.PENDING


@on_one_table
@given(more=st.fixed_dictionaries({}, optional={"headers": ANYTHING, "isBase64Encoded": ANYTHING, "body": ANYTHING}))
def test_with_a_token_of_ours_a_request_of_any_shape_has_an_answer(more: dict[str, Any], table: Table) -> None:
    """The answer names what was wrong."""
    table.reset()
    assert status(event("POST", token_of(link(PROMISE, expires_in=60)), **more)) in (400, 413, 422)
    assert table.state is State.PENDING


def fits(body: str) -> bool:
    """Whether it is a `Decision` that can be stored, told by other means than the handler's."""
    try:
        value = json.loads(body)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return False
    if not isinstance(value, dict) or not value.keys() <= {"approved", "reason"}:
        return False
    return isinstance(value.get("approved"), bool) and isinstance(value.get("reason", ""), str)


GARBAGE = (
    st.text(st.characters())
    | ANYTHING.map(json.dumps)
    | st.fixed_dictionaries({"approved": ANYTHING}, optional={"reason": ANYTHING, "more": ANYTHING}).map(json.dumps)
    | st.binary().map(lambda data: base64.b64encode(data).decode())
)


@on_one_table
@given(
    body=GARBAGE,
    content=st.sampled_from(["application/json", FORM, "text/plain", "multipart/form-data"]),
    encoded=st.booleans(),
)
def test_a_body_settles_if_it_is_of_the_type_and_else_never(
    body: str, content: str, encoded: bool, table: Table
) -> None:
    """The sender may send it in any way."""
    table.reset()
    more = {"headers": {"content-type": content}, "isBase64Encoded": encoded}
    found = status(event("POST", token_of(link(PROMISE, expires_in=60)), body, **more))
    assert (found == 200) is (table.state is State.RESOLVED)
    if not encoded:
        assert (found == 200) is fits(body)
    assert found in (200, 400, 413, 422)


@on_one_table
@given(value=ANYTHING, plain=st.booleans())
def test_what_a_form_sends_is_what_a_client_sends(value: Any, plain: bool, table: Table) -> None:
    """A browser names the field, curl sends the JSON itself under the same content type."""
    table.reset(Any)
    body = json.dumps(value)
    sent = body if plain else f"value={quote_plus(body)}"
    headers = {"content-type": FORM}
    first = status(event("POST", token_of(link(PROMISE, expires_in=60)), sent, headers=headers))
    by_form = table.records[PROMISE].value
    table.reset(Any)
    assert status(event("POST", token_of(link(PROMISE, expires_in=60)), body)) == first
    assert table.records[PROMISE].value == by_form


@dataclass(frozen=True)
class Sent:
    """A request, seconds after the one before."""

    method: str
    body: str
    after: int


GOOD = json.dumps({"approved": True})
REQUESTS = st.lists(
    st.builds(
        Sent, st.sampled_from(["GET", "HEAD", "POST", "PUT"]), st.sampled_from([GOOD, "[]", "{"]), st.integers(0, 40)
    ),
    max_size=8,
)


@on_one_table
@given(requests=REQUESTS)
def test_the_first_good_post_in_time_settles_and_nothing_else_does(requests: list[Sent], table: Table) -> None:
    """Other requests come before it, after it, or again."""
    table.reset()
    token, begun, settled = token_of(link(PROMISE, expires_in=60)), table.time, False
    for sent in requests:
        table.time += sent.after * SECOND
        late = table.time >= begun + 60 * SECOND
        good = sent.method == "POST" and sent.body == GOOD
        found = status(event(sent.method, token, sent.body))
        if late:
            assert found == 410
        elif good:
            assert found == (409 if settled else 200)
        elif settled and sent.method == "POST":
            assert found == 409
        else:
            assert found == {"GET": 200, "POST": 422 if sent.body == "[]" else 400}.get(sent.method, 405)
        settled = settled or (good and not late)
        assert (table.state is State.RESOLVED) is settled


def test_what_stands_is_told_and_no_more(table: Table) -> None:
    """The answer has the state, never the value: a second holder of a link isn't the first."""
    token = token_of(link(PROMISE, expires_in=60))
    body = json.dumps({"approved": True, "reason": "confidential"})
    assert status(event("POST", token, body)) == 200
    for request in (event("GET", token), event("POST", token, body)):
        answer = json.dumps(handler(request, None))
        assert "resolved" in answer
        assert "confidential" not in answer


def test_a_key_is_replaced_while_its_links_are_under_way(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first key signs, and all verify. A Lambda with the old secret verifies what the old key signs."""
    old, new = "o" * 32, "n" * 32
    secrets = (old, f"{old} {new}", f"{new} {old}", new)
    tokens, accepted = [], {}
    for secret in secrets:
        monkeypatch.setenv("DURABLE_LINK_SECRET", secret)
        tokens.append(token_of(link(PROMISE, expires_in=60)))
    for secret in secrets:
        monkeypatch.setenv("DURABLE_LINK_SECRET", secret)
        accepted[secret] = [status(event("GET", token)) == 200 for token in tokens]
    assert accepted == {
        old: [True, True, False, False],
        f"{old} {new}": [True] * 4,
        f"{new} {old}": [True] * 4,
        new: [False, False, True, True],
    }


@pytest.mark.parametrize("text", ["", " ", "short", "k" * 31, f"{'k' * 32} short"])
def test_no_key_may_be_short(text: str, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one may not either."""
    monkeypatch.setenv("DURABLE_LINK_SECRET", text)
    with pytest.raises(errors.ConfigurationError, match="32 characters"):
        link(PROMISE, expires_in=60)


def test_the_host_is_told_how_much_time_the_lambda_has(table: Table) -> None:
    """Otherwise its patience might be longer than the Lambda lives."""
    context = object()
    handler(event("GET", token_of(link(PROMISE, expires_in=60))), context)
    assert table.entered == [context]


def test_neither_token_nor_body_is_logged(
    table: Table, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """The handler logs neither for any request, good or bad."""
    caplog.set_level(logging.DEBUG)
    token = token_of(link(PROMISE, expires_in=60))
    bodies = ['{"approved": "confidential"}', "confidential", '{"approved": true, "reason": "confidential"}']
    for request in [event("POST", token, body) for body in bodies] + [event("GET", token), event("POST", token + "x")]:
        handler(request, None)
    out, err = capfd.readouterr()
    assert table.state is State.RESOLVED
    assert not [secret for secret in (token, "confidential", KEY) if secret in caplog.text + out + err]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (json.dumps({"approved": True, "reason": "x" * (MAX_BODY - 100)}), 200),
        (json.dumps({"approved": True, "reason": "x" * MAX_BODY}), 413),
        (json.dumps({"approved": True, "reason": "é" * (MAX_BODY // 2)}, ensure_ascii=False), 413),
        (" " * MAX_BODY * 3, 413),
        ("[" * 102 + "]" * 102, 400),
        ("1" * 5_000, 400),
        ("1e400", 400),
        ("\ufeff{}", 400),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_body_beyond_the_limits_settles_nothing(body: str, expected: int, table: Table) -> None:
    """The limits count bytes, depth and digits."""
    assert status(event("POST", token_of(link(PROMISE, expires_in=60)), body)) == expected
    assert (table.state is State.RESOLVED) is (expected == 200)


@pytest.mark.parametrize("expires_in", [0, -1, float("nan"), float("inf"), "3", None])
def test_a_link_expires_at_some_time_to_come(expires_in: Any, table: Table) -> None:
    """`link` refuses any other time before there is a link."""
    with pytest.raises(errors.ConfigurationError, match="positive number of seconds"):
        link(PROMISE, expires_in=expires_in)


@pytest.mark.parametrize("promise", ["", "a~b", 3, None])
def test_a_link_is_for_an_id(promise: Any, table: Table) -> None:
    """`link` refuses a promise object, and any text that can't be an id."""
    with pytest.raises(errors.BadMessage, match="can't be a promise's id"):
        link(promise, expires_in=60)


@on_one_table
@given(now=st.integers(0, 10**16), expires_in=st.floats(0.001, 10**8))
def test_no_link_is_born_expired(now: int, expires_in: float, table: Table) -> None:
    """`link` rounds fractions of seconds in favour of the link's holder."""
    table.reset()
    table.time = now
    _, expires = verify(token_of(link(PROMISE, expires_in=expires_in)), KEY.encode())
    assert 0 <= expires - (now / SECOND + expires_in) < 2 + 1e-3


@on_one_table
@given(later=st.integers(0, 10**12))
def test_a_step_makes_the_same_link_at_each_attempt(later: int, table: Table) -> None:
    """Its time is that of the call, however much later the step runs again."""
    token = current.set(Scope("order-7~1", 5 * SECOND))
    try:
        first = link(PROMISE, expires_in=60)
        table.time += later
        assert link(PROMISE, expires_in=60) == first
    finally:
        current.reset(token)
    assert verify(token_of(first), KEY.encode()) == (PROMISE, 65)


@pytest.mark.parametrize("args", ["", "nothing", "[]", "3", '{"type": "what"}', '{"anyOf": 3}', '{"required": 3}'])
def test_a_description_that_cannot_be_read_leaves_the_value_open(args: str, table: Table) -> None:
    """It is data from a table: the awaiting function decodes the value by the type itself."""
    table.records[PROMISE] = replace(table.records[PROMISE], args=args)
    assert status(event("GET", token_of(link(PROMISE, expires_in=60)))) == 200
    assert status(event("POST", token_of(link(PROMISE, expires_in=60)), "7")) == 200


def test_a_page_shows_what_comes_from_outside_as_text(table: Table) -> None:
    """A description holds names that the code's author chose, and the page runs nothing."""
    description = {"enum": ["<script>alert(1)</script>", '"><b>']}
    table.records[PROMISE] = replace(table.records[PROMISE], args=json.dumps(description))
    token = token_of(link(PROMISE, expires_in=60))
    answer = handler(event("GET", token, headers={"accept": "text/html"}), None)
    assert "<script" not in answer["body"]
    assert "<b>" not in answer["body"]
    assert answer["headers"]["content-security-policy"].startswith("default-src 'none'")
