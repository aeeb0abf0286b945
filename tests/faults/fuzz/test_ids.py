"""Ids that a user picks: accepted and the same everywhere, or refused before anything is written."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter import attach, durable, link, promise, resolve
from adapter.aws.store import to_item, to_record
from adapter.errors import InvalidId, UnknownPromise
from adapter.links.endpoint import handler
from adapter.links.tokens import sign, verify
from adapter.protocol.ids import (
    BUCKET,
    EVENT,
    MAX_ID_CHARACTERS,
    SCHEDULE,
    check_root_id,
    child_id,
    is_id,
    key_of,
    ordinal_of,
    parent_of,
    root_of,
)
from adapter.protocol.messages import Cause, Resume, Start, parse, to_event
from adapter.protocol.records import Record
from adapter.testing import LocalCloud
from tests.faults.fuzz import laws
from tests.faults.fuzz.strategies import quick
from tests.support.envelopes import sent

KEY = "k" * 32

NFC, NFD = unicodedata.normalize("NFC", "Zoë"), unicodedata.normalize("NFD", "Zoë")
GOOD = [
    *(
        " ",
        "  leading",
        "trailing  ",
        "a b",
        ".",
        "..",
        "a.0",
        "0",
        "-1",
        "a#b",
        "a/b?c=d&e",
        "a%7E0",
        'a"b\\c',
        "{}",
        "null",
    ),
    *(
        "Schedule:x",
        "my schedule:x",
        "Event:x",
        "an event:x",
        "x@2026-01-01",
        "x@2026-01-01T00:00:00Z!",
        "\u202eright to left",
        "\u200b",
        "\ufeffmark",
        "🦊" * 4,
    ),
    *(NFC, NFD, "ß", "SS", "İ", "\x80", "\xa0", "x" * 512, "ä" * 256, "🦊" * 128),
]
BAD = [
    *(
        "",
        "~",
        "a~",
        "a~0",
        "~0",
        "a~0.1",
        "a~~1",
        "schedule:",
        "schedule:x",
        "event:x",
        "event:f:http:key",
        "x@2026-01-01T00:00:00Z",
        "a@b@12026-01-01T00:00:00Z",
        "\0",
        "a\0b",
        "line\nbreak",
        "\t",
        "\x7f",
    ),
    *("\ud800", "a\udfffb", "x" * 513, "ä" * 256 + "x", "🦊" * 129),
]

any_text = st.text(st.characters(), max_size=20) | st.sampled_from([*GOOD, *BAD])
ordinals = st.lists(st.sampled_from([0, 1, 9, 10, BUCKET - 1, BUCKET, 70_000]), max_size=4)


@durable(name="fuzz:identified")
async def identified() -> list[str]:
    """Its own id, as those see it who are handed its child's."""
    asked = promise(str)
    return [asked.id, await asked]


@quick
@given(root=any_text, path=ordinals)
def test_an_id_is_refused_or_the_same_wherever_it_goes(root: str, path: list[int]) -> None:
    """It goes through the table's keys, items, envelopes and links, and never becomes another promise's."""
    try:
        assert check_root_id(root) == root
    except InvalidId:
        assert root in BAD or not root.isprintable() or "~" in root or root.startswith((SCHEDULE, EVENT))
        return
    assert (parent_of(root), root_of(root), key_of(root)) == (None, root, (root, -1))
    one = root
    for ordinal in path:
        child = child_id(one, ordinal)
        assert (parent_of(child), ordinal_of(child), root_of(child)) == (one, ordinal, root)
        one = child
    assert is_id(one)
    assert to_record(to_item(Record(id=one))).id == one
    for message in (Start(id=one), Resume(id=one, cause=Cause.AGAIN)):
        assert parse(json.loads(json.dumps(to_event(message), ensure_ascii=False))) == message
    assert verify(sign(one, 5, KEY.encode()), KEY.encode()) == (one, 5)


@quick
@given(text=any_text | st.from_regex(r"a~[0-9*.]{0,12}", fullmatch=True))
def test_a_text_is_an_id_with_one_parent_or_none(text: str) -> None:
    """Its path may be written in any way."""
    laws.promise_id(text)


def test_what_is_wrong_with_an_id_is_told_in_short() -> None:
    """Once the error had the whole id again."""
    for root in ("~" + "x" * 100_000, "schedule:" + "x" * 100_000):
        with pytest.raises(InvalidId) as refused:
            check_root_id(root)
        assert len(str(refused.value)) < 300


@quick
@given(ids=st.lists(st.tuples(any_text, ordinals), min_size=2, max_size=2))
def test_two_ids_have_two_keys(ids: list[tuple[str, list[int]]]) -> None:
    """They may look alike: no code normalises, trims or folds them."""
    made = []
    for root, path in ids:
        one = root
        for ordinal in path:
            one = child_id(one, ordinal)
        made.append(one)
    first, second = made
    if is_id(first) and is_id(second):
        assert (first == second) == (key_of(first) == key_of(second))


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    """One for all ids: they are to stay apart."""
    with LocalCloud() as made:
        yield made


def test_every_id_a_user_may_pick_names_one_execution_of_its_own(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test starts, awaits and settles them by id or link, all side by side in one table."""
    monkeypatch.setenv("DURABLE_LINK_SECRET", KEY)
    handles = [identified.with_options(id=root).start() for root in GOOD]
    cloud.drive()
    for number, root in enumerate(GOOD):
        assert attach(root).status() == "pending"
        if number % 2:
            resolve(f"{root}~0", root)
        else:
            token = link(f"{root}~0", expires_in=60, url="https://links.example").partition("token=")[2]
            event = {"queryStringParameters": {"token": token}, "requestContext": {"http": {"method": "POST"}}}
            assert handler({**event, "body": json.dumps(root)}, None)["statusCode"] == 200
    assert [handle.result() for handle in handles] == [[f"{root}~0", root] for root in GOOD]
    assert [attach(root).result() for root in GOOD] == [[f"{root}~0", root] for root in GOOD]


@pytest.mark.parametrize("root", BAD, ids=lambda root: ascii(root[:12]))
def test_an_id_that_cannot_be_one_is_refused_before_anything_is_written(cloud: LocalCloud, root: str) -> None:
    """No call can ask for it."""
    cloud.stats.reset()
    with pytest.raises(InvalidId):
        identified.with_options(id=root).start()
    assert cloud.stats.writes == 0
    if not is_id(root) or parent_of(root) is None:
        with pytest.raises(UnknownPromise):
            attach(root)
        with pytest.raises(UnknownPromise):
            resolve(root, 1)


@pytest.mark.parametrize(
    "promise_id", ["x~" + "9" * 40, "\ud800", "ä" * 1_500, "x" * 1_999, "a~0.01", "a~²", "a~-1", "a~0\n"]
)
def test_an_id_that_no_key_can_be_made_of_is_unknown(cloud: LocalCloud, promise_id: str) -> None:
    """Once the table refused such keys by a ClientError."""
    with pytest.raises(UnknownPromise):
        attach(promise_id)


def test_a_function_that_nests_deeper_than_ids_can_be_long_is_told_so(cloud: LocalCloud) -> None:
    """Its child's envelope couldn't be read, and the child stayed pending for ever."""

    @durable(name="fuzz:digs")
    async def digs() -> str:
        await identified()
        return "too deep to be reached"

    deep = "x~" + ".".join("01" * ((MAX_ID_CHARACTERS - 2) // 4)) + ".0"
    assert is_id(deep)
    assert not is_id(child_id(deep, 10))
    cloud._world.store.create(Record(id=deep, fn="fuzz:digs", target="durable", args="{}"))
    sent(cloud, "durable", Start(id=deep))
    with pytest.raises(InvalidId, match="nested too deep"):
        attach(deep).result()
