"""Whatever is in the table, written by hand or by another version: read as what it is, or refused by name."""

from __future__ import annotations

import json
import sys
import zoneinfo
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.aws import store
from adapter.aws.sealing import Sealing
from adapter.aws.store import to_item, to_record
from adapter.errors import BadMessage, ConfigurationError
from adapter.protocol.records import Kind, Record, State, Stored, Wake
from adapter.protocol.recurrence import Recurrence, When
from adapter.protocol.retries import Retry
from tests.faults.fuzz import entries, laws
from tests.faults.fuzz.guided import targets
from tests.faults.fuzz.guided.targets import traffic
from tests.faults.fuzz.strategies import jsons, mutated, quick, swollen, texts

ITEMS = [
    to_item(Record(id="order-7", fn="f", target="shop", args="{}", epoch=2, arrivals=1, threshold=3, wake_at=5)),
    to_item(Record(id="order-7~0.300", kind=Kind.INLINE, state=State.RESOLVED, value="1", settled_at=5, seen="")),
    to_item(Record(id="order-7~1", wake=Wake.COUNTED, reply_to="shop", seen="0,t1", tags={"a": "b"}, closed=True)),
]

digits = st.sampled_from(["0", "-1", "1.5", "1E+30", "1E+125", "-1E-130", "9" * 38, "007"]) | st.integers().map(str)
attributes = st.one_of(
    st.builds(lambda text: {"S": text}, texts | st.sampled_from(["<deep list>", "[]", '{"a": 1}', "pending", "call"])),
    st.builds(lambda text: {"N": text}, digits),
    st.builds(lambda value: {"BOOL": value}, st.booleans()),
    st.builds(lambda some: {"SS": some}, st.lists(texts, min_size=1, max_size=2)),
    st.sampled_from([{"NULL": True}, {"B": b"x"}, {"NS": ["1"]}, {"BS": [b"x"]}, {"L": [{"S": "x"}]}, {"M": {}}]),
)


@st.composite
def items(draw: st.DrawFn) -> dict[str, Any]:
    """Typed as DynamoDB types them, since it does: any attribute missing, of another type, or unknown."""
    item = dict(draw(st.sampled_from(ITEMS)))
    names = st.sampled_from([*store.Item.get_attributes(), "ttl", "size"])
    for name, value in draw(st.lists(st.tuples(names, st.none() | attributes), min_size=1, max_size=3)):
        item.pop(name, None)
        item.update({} if value is None else {name: value})
    return item


@quick
@given(item=items())
def test_an_item_is_a_record_or_is_refused(item: dict[str, Any]) -> None:
    """I6: the store would write the record as it read it, under the same key."""
    laws.item(swollen(item))


@pytest.mark.parametrize(
    "wrong",
    [
        {"v": {"N": "2"}},
        {"v": {"S": "1"}},
        {"pk": {"S": "order-7~"}},
        {"pk": {"S": "order-7~~1"}},
        {"pk": {"N": "7"}},
        {"sk": {"N": "-2"}},
        {"sk": {"N": "256"}},
        {"sk": {"S": "0"}},
        {"kind": {"S": "saga"}},
        {"state": {"S": "running"}},
        {"wake": {"S": "fast"}},
        {"epoch": {"N": "1.5"}},
        {"tags": {"S": "[" * 100_000}},
        {"tags": {"S": "[1]"}},
        {"tags": {"S": '{"a": 1}'}},
        {"closed": {"BOOL": False}},
        {"created_at": {"NULL": True}},
    ],
    ids=lambda wrong: "-".join(wrong),
)
def test_an_item_that_this_version_never_wrote_is_refused(wrong: dict[str, Any]) -> None:
    """A condition on what was read as another value would be refused for ever; a strange id is another's key."""
    with pytest.raises(BadMessage):
        to_record({**ITEMS[0], **wrong})


@quick
@given(item=items())
def test_an_entry_of_the_index_is_due_or_is_named(item: dict[str, Any]) -> None:
    """The error has its key, for the person that has to mend it."""
    laws.index_entry(item)


POLICIES = [json.loads(Retry().to_text()), json.loads(Retry(attempts=float("inf"), never=(ValueError,)).to_text())]


@quick
@given(text=jsons(POLICIES), attempt=st.integers(1, 2**63 - 1))
def test_a_policy_is_read_or_refused(text: str, attempt: int) -> None:
    """What is read decides: a time that comes, and whether there is one."""
    laws.policy(swollen(text), attempt)


@pytest.mark.parametrize(
    "policy", [Retry(backoff=1e10), Retry(backoff=10**400, max_delay=float("inf")), Retry(initial=1e300)]
)
def test_a_policy_that_grows_beyond_all_numbers_has_a_delay(policy: Retry) -> None:
    """Once the exponent was bounded, and the power wasn't: OverflowError."""
    assert policy.delay(100, "order-7") > 0


@pytest.mark.parametrize("attempts", [float("-inf"), float("nan"), 1.5, 0])
def test_attempts_that_are_no_count_are_refused(attempts: float) -> None:
    """The first one raised OverflowError, the second ValueError."""
    with pytest.raises(ConfigurationError):
        Retry(attempts=attempts)


RULES = [["0 3 * * *", "Europe/Berlin", True, laws.NOW, None], ["rate(5 minutes)", "UTC", False, laws.NOW, 60.0]]


@quick
@given(rule=jsons(RULES), at=st.sampled_from([laws.NOW, 0, -1, 2**62, 10**30]))
def test_a_rule_makes_a_schedule_occur_or_is_refused(rule: str, at: int) -> None:
    """A refused one creates nothing."""
    laws.recurs(swollen(rule), at)


def test_a_rate_that_ends_after_all_calendars_is_refused() -> None:
    """Once it raised an OverflowError, after the library had made the schedule."""
    with pytest.raises(ConfigurationError, match="no further occurrence"):
        Recurrence(when=When("rate(999999999 weeks)"), start=laws.NOW).after(laws.NOW)


@pytest.mark.parametrize("name", ["America", "x" * 300], ids=["directory", "long"])
def test_a_time_zone_that_is_no_file_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where tzdata is installed, it once raised IsADirectoryError, or another OSError."""
    (tmp_path / "tzdata" / "zoneinfo" / "America").mkdir(parents=True)
    for package in ("tzdata", "tzdata/zoneinfo"):
        (tmp_path / package / "__init__.py").touch()
        monkeypatch.delitem(sys.modules, package.replace("/", "."), raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    zoneinfo.reset_tzpath(to=[])
    try:
        with pytest.raises(ConfigurationError, match="isn't a schedule"):
            Recurrence(when=When("0 3 * * *", name), start=laws.NOW).after(laws.NOW)
    finally:
        zoneinfo.reset_tzpath()
        for package in [module for module in sys.modules if module.partition(".")[0] == "tzdata"]:
            del sys.modules[package]


@quick
@given(item=mutated(ITEMS).filter(lambda item: isinstance(item, dict)))
def test_a_version_is_asked_before_anything_else(item: dict[str, Any]) -> None:
    """A later format may have any other shape."""
    with pytest.raises(BadMessage, match="format 2"):
        to_record({"v": {"N": "2"}, "pk": {"S": "x" * 2_000}})
    with pytest.raises(BadMessage, match="format 2"):
        to_record({**item, "v": {"N": "2"}, "pk": {"S": "order-7"}, "sk": {"N": "-1"}})


texts_as_stored = st.tuples(st.sampled_from(["", "@", "!", "^", "=", "^a~0\n", "^a~0\n@", "@0/1"]), texts).map("".join)


@quick
@given(which=st.sampled_from(range(4)), text=texts_as_stored)
def test_a_stored_text_is_read_or_refused_and_every_text_can_be_stored(which: int, text: str) -> None:
    """It begins in any way, with or without a bucket and a cipher, and a follower may take it over."""
    entries.stored(which, text)


@pytest.mark.parametrize("key", ["", "../secret", "x" * 2_000, "\ud800", "0/1"])
def test_a_key_that_no_object_of_ours_has_is_refused(key: str) -> None:
    """S3's client refused the first by a ParamValidationError, and looked for others."""
    sealing = Sealing(payloads=entries.Bucket())
    with pytest.raises(BadMessage, match="can't be one that was stored"):
        sealing.open(f"@{key}", Record(id="order-7"), "value")
    with pytest.raises(BadMessage, match="can't be one that was stored"):
        sealing.seal(Stored(f"@{key}", "order-7"), "order-8~0", "value")


@pytest.mark.parametrize("origin", ["x" * 100_000, "", "a~", "\ud800"], ids=["long", "empty", "path", "surrogate"])
def test_what_was_carried_from_no_promise_is_refused(origin: str) -> None:
    """Once the cipher got that name, or the error had the whole text again."""
    link = Record(id="order-8~0", kind=Kind.FOLLOW)
    with pytest.raises(BadMessage, match="another promise's") as refused:
        Sealing().open(f"^{origin}\n!x", link, "value")
    assert len(str(refused.value)) < 300


@quick
@given(items=mutated([json.loads(one) for one in traffic()["history"]]))
def test_every_history_is_replayed_or_refused(items: Any) -> None:
    """Records may be missing, doubled, or of another type than DynamoDB would have them."""
    found = targets.items(json.dumps(items))
    if found:
        entries.history(*found)
