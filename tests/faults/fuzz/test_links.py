"""Any request at the links' address, with anything in the table, gets an answer, and settles at most one promise."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter import errors
from adapter.codec import checking
from adapter.codec.schemas import describe
from adapter.engine import hosts
from adapter.links.endpoint import handler
from adapter.protocol.records import Record
from tests.faults.fuzz import entries
from tests.faults.fuzz.entries import KEY, TOKEN, Table, answered
from tests.faults.fuzz.strategies import anything, deep, jsons, mutated, quick, swollen


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    monkeypatch.setenv("DURABLE_LINK_SECRET", KEY)
    made = Table()
    hosts.enter(made)  # type: ignore[arg-type]
    yield made
    hosts.leave(made)  # type: ignore[arg-type]


def event(method: str, body: Any = None, accept: str = "") -> dict[str, Any]:
    return {
        "headers": {"accept": accept, "content-type": "application/x-www-form-urlencoded"},
        "queryStringParameters": {"token": TOKEN},
        "requestContext": {"http": {"method": method}},
        "body": body,
        "isBase64Encoded": False,
    }


EVENTS = [
    event("GET", accept="text/html"),
    event("GET"),
    event("POST", "true"),
    event("POST", "value=%7B%7D", "text/html"),
]
SHAPES = [describe(list[dict[str, int]]), describe(bool | str), {"enum": ["a", 1]}, describe(tuple[int, str])]
SHAPES += [{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}]


@quick
@given(request=mutated(EVENTS) | mutated(EVENTS, deep) | anything)
def test_every_request_is_answered(table: Table, request: Any) -> None:
    """The holder of a token may send anything."""
    before = table.reset(json.dumps(describe(bool)))
    answered(table, swollen(request), before)


@quick
@given(body=jsons([True, {"a": 1}, [1, "x"]]), shape=st.sampled_from(SHAPES), accept=st.sampled_from(["", "text/html"]))
def test_every_body_is_answered(table: Table, body: str, shape: Any, accept: str) -> None:
    """The table keeps only JSON of the promise's shape."""
    before = table.reset(json.dumps(shape))
    answered(table, event("POST", swollen(body), accept), before)


@quick
@given(
    description=jsons(SHAPES), request=st.sampled_from([*EVENTS, event("POST", '{"a": 1}'), event("POST", '[1, "x"]')])
)
def test_every_description_in_the_table_is_answered_by(table: Table, description: str, request: Any) -> None:
    """A person or another version may have written it. If it can't be read, the value is open."""
    answered(table, request, table.reset(swollen(description)))


@pytest.mark.parametrize(
    "description",
    [
        '{"anyOf": [' * 3_000 + "]}" * 3_000,
        "[" * 100_000,
        '{"type": "object", "required": [[], {}]}',
        '{"enum": [[]]}',
        "5",
    ],
    ids=range(5),
)
def test_a_description_that_no_version_wrote_breaks_no_link(table: Table, description: str) -> None:
    """Those of the first three raised RecursionError or TypeError, at every request."""
    before = table.reset(description)
    for request in EVENTS:
        answered(table, request, before)
        before = table.records[before.id]


@quick
@given(
    token=mutated([TOKEN.split(".")]).map(lambda parts: ".".join(map(str, parts)) if isinstance(parts, list) else "")
)
def test_a_token_is_verified_or_refused(token: str) -> None:
    """The handler checks its signature before it reads anything in it."""
    entries.token(token)


def test_a_record_that_cannot_be_read_fails_with_an_error_of_ours(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It doesn't pass for a missing promise: the platform answers 502, and the log names the item."""

    def unreadable(promise: str) -> Record:
        raise errors.BadMessage("an item isn't a promise")

    monkeypatch.setattr(table, "read_promise", unreadable)
    with pytest.raises(errors.BadMessage):
        handler(event("GET"), None)


@quick
@given(which=st.sampled_from(range(len(entries.SHAPES))), value=mutated(entries.FITTING) | anything)
def test_what_fits_the_description_of_a_type_can_be_decoded(which: int, value: Any) -> None:
    """The handler tells the sender at once about a value that the promise's function couldn't read."""
    entries.shape(which, swollen(value))


@quick
@given(schema=mutated(SHAPES), value=mutated(entries.FITTING) | anything)
def test_a_value_is_held_against_any_description(schema: Any, value: Any) -> None:
    """A person or another version may have written it. An unknown word leaves the value open."""
    entries.description(swollen(schema), swollen(value))


def test_telling_what_is_wrong_in_nested_unions_is_linear() -> None:
    """Once the checker went through each level twice: 2 ** 30 times in all."""
    schema: Any = {"type": "integer"}
    value: Any = "x"
    for _ in range(30):
        schema, value = {"anyOf": [{"type": "array", "items": schema}, {"type": "null"}]}, [value]
    assert list(checking.problems(schema, value)) == [f"${'[0]' * 30}: expected integer, got string"]
