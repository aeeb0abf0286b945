"""Ids, keys and the count that wakes: the laws of the pure promises."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapter.errors import InvalidId
from adapter.protocol.ids import (
    BUCKET,
    MAX_ROOT_ID_BYTES,
    ROOT_ORDINAL,
    SCHEDULE,
    check_root_id,
    child_id,
    key_of,
    ordinal_of,
    parent_of,
    partition_of,
    root_of,
)
from adapter.protocol.promises import (
    Arming,
    Firing,
    Refusal,
    Refused,
    arm,
    arrive,
    claim,
    close,
    create,
    hold,
    pause,
    settle,
    threshold_for,
    wakes,
)
from adapter.protocol.records import Kind, Record, State, digest_of

roots = st.text(
    st.characters(codec="utf-8", exclude_characters="~", exclude_categories=["Cc"]), min_size=1, max_size=20
).filter(lambda root: not root.startswith(SCHEDULE))
paths = st.lists(st.integers(0, 5_000), max_size=5)


@pytest.mark.parametrize(
    ("root", "own", "stands", "replaced"),
    [
        (True, 20, 10, False),
        (True, None, 10, False),
        (False, 20, 10, True),
        (False, None, 10, True),
        (False, 10, 10, False),
        (False, 10, 20, False),
        (False, 20, None, False),
    ],
)
def test_a_child_replaces_what_an_earlier_execution_left_whatever_the_clocks_say(
    root: bool, own: int | None, stands: int | None, replaced: bool
) -> None:
    """The clock that created its root was ahead of the one that creates the child: nothing has expired by this one."""
    promise = "order" if root else "order~0"
    new, standing = (Record(id=promise, expires=expires, created_at=5) for expires in (own, stands))
    assert create(standing, new) == (new if replaced else Refused(Refusal.MOVED, standing))


def named(root: str, path: list[int]) -> str:
    for ordinal in path:
        root = child_id(root, ordinal)
    return root


@given(root=roots, path=paths, ordinal=st.integers(0, 10**9))
@example(root="a.b", path=[], ordinal=0)
@example(root="1.2", path=[3], ordinal=4)
def test_a_childs_id_tells_its_parent_its_ordinal_and_its_root(root: str, path: list[int], ordinal: int) -> None:
    """`child_id` has inverses for any name of the root."""
    parent = named(root, path)
    child = child_id(parent, ordinal)
    assert (parent_of(child), ordinal_of(child), root_of(child)) == (parent, ordinal, root)
    assert Record(id=child).ordinal == ordinal


@given(root=roots)
def test_a_root_has_no_parent_and_its_own_ordinal(root: str) -> None:
    """It is its own root."""
    assert (parent_of(root), ordinal_of(root), root_of(root)) == (None, ROOT_ORDINAL, root)


@given(one=st.tuples(roots, paths), other=st.tuples(roots, paths))
@example(one=("a", [1, 2]), other=("a", [12]))
@example(one=("a", [256]), other=("a", [0]))
def test_different_promises_have_different_ids_and_keys(
    one: tuple[str, list[int]], other: tuple[str, list[int]]
) -> None:
    """Equal promises have equal ones: no two promises share an id or a key."""
    equal = one == other
    assert (named(*one) == named(*other)) is equal
    assert (key_of(named(*one)) == key_of(named(*other))) is equal


@given(root=roots, path=paths, ordinal=st.integers(0, 5_000))
def test_a_child_lies_in_its_parents_partitions_under_its_ordinal(root: str, path: list[int], ordinal: int) -> None:
    """Each partition takes `BUCKET` children."""
    parent = named(root, path)
    assert key_of(child_id(parent, ordinal)) == (partition_of(parent, ordinal // BUCKET), ordinal)


@given(root=roots)
def test_a_root_lies_before_its_first_children(root: str) -> None:
    """One query reads both."""
    assert key_of(root) == (partition_of(root, 0), ROOT_ORDINAL)
    assert key_of(child_id(root, 0)) == (root, 0)
    assert ROOT_ORDINAL < 0


@given(root=roots)
@example(root="x" * MAX_ROOT_ID_BYTES)
@example(root="é" * (MAX_ROOT_ID_BYTES // 2))
@example(root="a b/c.d:e")
def test_an_id_that_can_be_a_roots_is_returned(root: str) -> None:
    """Any text is one that has no separator and no control character, and can be encoded."""
    assert check_root_id(root) == root


@pytest.mark.parametrize("bad", ["", "a~b", "~", "a\nb", "a\x00", "\x7f", "a\ud800", "\udfff", None, 7, b"a"], ids=repr)
def test_an_id_that_cannot_be_a_roots_is_refused(bad: object) -> None:
    """The message shows it."""
    with pytest.raises(InvalidId) as refused:
        check_root_id(bad)  # type: ignore[arg-type]
    assert repr(bad) in str(refused.value)


@pytest.mark.parametrize("long", ["x" * (MAX_ROOT_ID_BYTES + 1), "é" * (MAX_ROOT_ID_BYTES // 2 + 1)], ids=["x", "é"])
def test_an_id_that_is_too_long_is_refused(long: str) -> None:
    """The limit counts bytes. The message doesn't repeat all of them."""
    with pytest.raises(InvalidId, match=str(MAX_ROOT_ID_BYTES)) as refused:
        check_root_id(long)
    assert len(str(refused.value)) < 200


@given(
    a=st.tuples(st.sampled_from(Kind), st.text(), st.text()), b=st.tuples(st.sampled_from(Kind), st.text(), st.text())
)
def test_a_digest_tells_requests_apart(a: tuple[Kind, str, str], b: tuple[Kind, str, str]) -> None:
    """The same request has the same digest, at every replay."""
    if "\0" not in a[1] + b[1]:
        assert (digest_of(*a) == digest_of(*b)) is (a == b)


def test_a_digest_of_any_text_exists() -> None:
    """A digest never raises, even for lone surrogates."""
    assert len(digest_of(Kind.CALL, "f", "\ud800")) == 24


STANDING = [
    None,
    *(
        Record(id="r", state=state, closed=closed, settled_at=5, epoch=2, arrivals=3, threshold=4, wake_at=6)
        for state in State
        for closed in (False, True)
    ),
]


@pytest.mark.parametrize("standing", STANDING, ids=lambda r: "none" if r is None else f"{r.state}-{r.closed}")
def test_each_transition_is_refused_where_it_has_no_business(standing: Record | None) -> None:
    """The test has the whole table: state × transition."""
    arming = Arming(epoch=2, arrivals=3, state=standing.state if standing else State.PENDING)
    written = {
        "settle": settle(standing, State.RESOLVED, "1", 9),
        "claim": claim(standing, "q"),
        "arm": arm(standing, arming),
        "arrive": arrive(standing, 1),
        "pause": pause(standing, "?"),
        "hold": hold(standing, "?", 1, 2),
        "close": close(standing),
    }
    refusals = {name: result.why for name, result in written.items() if isinstance(result, Refused)}
    if standing is None:
        assert refusals == dict.fromkeys(written, Refusal.UNKNOWN)
    elif standing.pending:
        assert refusals == {}
    elif standing.runnable:
        assert refusals == {"settle": Refusal.SETTLED}
    else:
        assert refusals == dict.fromkeys(["settle", "claim", "arm", "arrive", "pause", "hold"], Refusal.SETTLED)
    stands = [result.stands for result in written.values() if isinstance(result, Refused)]
    assert all(record == standing for record in stands)


@pytest.mark.parametrize("standing", STANDING[1:], ids=lambda r: f"{r.state}-{r.closed}")
def test_no_transition_changes_how_a_settled_promise_ended(standing: Record) -> None:
    """I1 holds for all of them at once."""
    if standing.pending:
        return
    arming = Arming(epoch=2, arrivals=3, state=standing.state)
    for written in (
        create(standing, Record(id="r")),
        settle(standing, State.REJECTED, "other", 9),
        claim(standing, "q"),
        arm(standing, arming),
        arrive(standing, 1),
        pause(standing, "?"),
        hold(standing, "?", 1, 2),
        close(standing),
    ):
        record = written.stands if isinstance(written, Refused) else written
        assert record is not None
        assert (record.state, record.value, record.settled_at) == (standing.state, "", 5)


def test_a_claim_takes_what_an_arming_set() -> None:
    """A run that loaded before can't arm any more."""
    armed = arm(Record(id="r"), Arming(epoch=0, arrivals=0, threshold=1, on_reject=True, wake_at=5, due_at=5))
    assert armed == Record(id="r", epoch=1, threshold=1, on_reject=True, wake_at=5, due_at=5)
    assert claim(armed, "q") == Record(id="r", epoch=2, claimed_by="q", wake_at=5)


@pytest.mark.parametrize(
    ("firing", "claims"),
    [
        (Firing(5), True),
        (Firing(5, 0), True),
        (Firing(6), False),
        (Firing(6, 0), False),
        # The run that sent it knew this epoch, and is still on its way to arm.
        (Firing(6, 1), True),
    ],
    ids=repr,
)
def test_a_firing_claims_what_is_armed_for_it_or_about_to_be(firing: Firing, claims: bool) -> None:
    """A timer that nothing waits for any more wakes nobody."""
    armed = Record(id="r", epoch=1, wake_at=5)
    assert isinstance(claim(armed, "q", firing), Record) is claims


def test_a_firing_that_comes_twice_claims_twice() -> None:
    """The platform repeats it if the first run dies."""
    once = claim(Record(id="r", epoch=1, wake_at=5), "q", Firing(5))
    assert isinstance(once, Record)
    assert isinstance(claim(once, "q", Firing(5)), Record)


@pytest.mark.parametrize(
    ("epoch", "by", "claims"),
    [
        (1, "", True),
        # Another run took over, or armed for something else.
        (2, "another", False),
        (3, "another", False),
        # Lambda's retry: the run died after it had claimed, or armed.
        (2, "q", True),
        (3, "q", True),
    ],
)
def test_a_count_claims_what_is_armed_as_it_was_counted(epoch: int, by: str, claims: bool) -> None:
    """Of all messages that the resumer sends for one arming, one claims; and its retry, since nobody else goes on."""
    standing = Record(id="r", epoch=epoch, claimed_by=by, arrivals=2)
    assert isinstance(claim(standing, "q", armed=1), Record) is claims


@pytest.mark.parametrize("on_reject", [False, True])
@pytest.mark.parametrize("threshold", [None, 4, 9])
def test_arrivals_below_the_threshold_refuse_no_arming(threshold: int | None, on_reject: bool) -> None:
    """The resumer has still to count the one that reaches it, and then wakes the function. So has it a rejection."""
    standing = Record(id="r", arrivals=3, rejected_arrivals=1)
    arming = Arming(epoch=0, arrivals=0, rejected_arrivals=1, threshold=threshold, on_reject=on_reject)
    assert arm(standing, arming) == replace(standing, epoch=1, threshold=threshold, on_reject=on_reject)


@pytest.mark.parametrize(
    ("arming", "why"),
    [
        (Arming(epoch=0, arrivals=3), Refusal.SUPERSEDED),
        (Arming(epoch=2, arrivals=3), Refusal.SUPERSEDED),
        (Arming(epoch=0, arrivals=0), Refusal.SUPERSEDED),
        (Arming(epoch=1, arrivals=2, threshold=3), Refusal.MOVED),
        (Arming(epoch=1, arrivals=3, threshold=4, on_reject=True), Refusal.MOVED),
        (Arming(epoch=1, arrivals=2, made_up=2, threshold=5), Refusal.MOVED),
        (Arming(epoch=1, arrivals=3, state=State.CANCELED), Refusal.MOVED),
    ],
)
def test_an_arming_from_what_no_longer_stands_is_refused(arming: Arming, why: Refusal) -> None:
    """Another run took over, or there is news."""
    standing = Record(id="r", epoch=1, arrivals=3, rejected_arrivals=1)
    assert arm(standing, arming) == Refused(why, standing)


@pytest.mark.parametrize(
    ("threshold", "on_reject", "rejected", "expected"),
    [
        (None, True, True, False),
        (4, False, False, False),
        (4, False, True, False),
        (4, True, False, False),
        (4, True, True, True),
        (3, False, False, True),
        (2, False, False, True),
    ],
)
def test_a_parent_is_woken_by_count_or_by_a_rejection(
    threshold: int | None, on_reject: bool, rejected: bool, expected: bool
) -> None:
    """The parent has three arrivals."""
    parent = Record(id="r", arrivals=3, threshold=threshold, on_reject=on_reject)
    assert wakes(parent, rejected=rejected) is expected


def worlds() -> Iterator[tuple[int, int, int, tuple[int, ...], tuple[int, ...]]]:
    """Few enough settlements to try everything.

    Gives how many settlements the run consumed, the arrivals it loaded, how many more settlements it needs, and how
    often each known and each further one is still going to be counted.
    """
    for known, need in itertools.product(range(4), range(1, 4)):
        for counted in itertools.product(range(3), repeat=known):
            for again in itertools.product(range(2), repeat=known):
                # A settlement that wasn't counted before the run loaded is counted after it.
                if all(before + after > 0 for before, after in zip(counted, again, strict=True)):
                    for later in itertools.product((1, 2), repeat=need):
                        yield known, sum(counted), need, again, later


def test_the_threshold_never_loses_a_wake() -> None:
    """I3: counts may lag, or come twice. Once all that is needed has come in, it wakes."""
    tried = 0
    for consumed, arrivals, need, again, later in worlds():
        parent = Record(id="r", arrivals=arrivals, threshold=threshold_for(consumed, arrivals, need))
        final = replace(parent, arrivals=arrivals + sum(again) + sum(later))
        assert wakes(final, rejected=False), (consumed, arrivals, need, again, later)
        tried += 1
    assert tried > 1_000


def test_the_threshold_is_exact_where_nothing_lags_or_comes_twice() -> None:
    """One settlement less doesn't wake, so a wake is hardly ever in vain."""
    for consumed, need in itertools.product(range(5), range(1, 5)):
        parent = Record(id="r", arrivals=consumed, threshold=threshold_for(consumed, consumed, need))
        woken = [wakes(replace(parent, arrivals=consumed + more), rejected=False) for more in range(need + 1)]
        assert woken == [False] * need + [True]


def test_a_threshold_of_one_more_would_lose_a_wake() -> None:
    """The brute force sees it, so it would see any that is too high."""
    lost = [
        (consumed, arrivals)
        for consumed, arrivals, need, again, later in worlds()
        if arrivals + sum(again) + sum(later) < threshold_for(consumed, arrivals, need) + 1
    ]
    assert lost
