"""The page of a timeline in a real browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from adapter.codec.exceptions import encode_exception
from adapter.protocol.records import Kind, Record, State
from adapter.protocol.times import SECOND
from adapter.timeline.making import Maker
from adapter.timeline.page import page
from tests.support.browsers import browser, played

BEGAN = 1_767_225_600 * SECOND
EVIL = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
SECOND_: Any = SECOND


def settled(promise: str, begin: int, end: int, **rest: Any) -> Record:
    """Of milliseconds from the beginning."""
    times = {"created_at": BEGAN + begin * 1_000, "settled_at": BEGAN + end * 1_000, "took": (end - begin) * 500}
    return Record(**{"id": promise, "fn": "shop:step", "state": State.RESOLVED, **times, **rest})


def shown(*promises: Record) -> str:
    now: Any = BEGAN + 100 * SECOND_
    return page(Maker(promises, now).make(promises[0].id))


def small() -> str:
    failed: dict[str, Any] = {"state": State.REJECTED, "value": encode_exception(ValueError(EVIL))}
    month = 30 * 86_400_000
    return shown(
        settled("order-7", 0, month + 80_000, fn="shop:checkout", took=9_000, **failed),
        settled("order-7~0", 10, 60, seen="", args=json.dumps({"a": EVIL})),
        settled("order-7~1", 90, month, fn="shop:ship", took=9_000),
        settled("order-7~1.0", 100, 140, seen=""),
        settled("order-7~1.1", month - 400, month - 40, fn=EVIL, seen="0,t0", **failed),
        Record(id="order-7~2", kind=Kind.EXTERNAL, created_at=BEGAN + 95_000),
    )


@browser
def test_it_opens_at_the_failure_and_shows_whatever_is_in_it_as_text(tmp_path: Path) -> None:
    """No script fails, nothing of an id, an argument or an error is obeyed, and nothing is asked of a network."""
    told = played(
        tmp_path,
        small(),
        """
        told.ready = document.documentElement.dataset.ready;
        told.rows = [...document.querySelectorAll('.row')].map((row) => row.getAttribute('aria-label'));
        told.picked = document.querySelector('.row.picked .id').textContent;
        told.heading = document.querySelector('#inspector h2').textContent;
        told.error = document.querySelector('#inspector pre.error').textContent;
        told.images = document.querySelectorAll('img').length;
        told.arrows = document.querySelectorAll('#arrows path.head').length;
        const bars = [...document.querySelectorAll('.row .part')].map((one) => one.getBoundingClientRect());
        told.wide = bars.filter((bar) => bar.width >= 2).length === bars.length;
        """,
    )
    assert told["mistakes"] == []
    assert told["ready"] == "yes"
    assert len(told["rows"]) == 6
    assert told["rows"][1] == "step, order-7~0, resolved, 50 ms"
    assert told["picked"] == "order-7~1.1"
    assert told["heading"] == EVIL
    assert EVIL in told["error"]
    assert told["images"] == 0
    assert told["arrows"] >= 1
    assert told["wide"]


@browser
def test_a_deep_link_selects_its_promise_and_keys_go_on_from_there(tmp_path: Path) -> None:
    """Arrows walk and fold, Enter goes to the details, a slash to the search, s to the other scale."""
    told = played(
        tmp_path,
        small(),
        """
        const picked = () => document.querySelector('.row.picked .id').textContent;
        told.linked = picked();
        told.argument = document.querySelector('#inspector pre').textContent;
        press('ArrowDown'); told.down = picked();
        press('ArrowLeft'); told.rows = document.querySelectorAll('.row').length;
        told.folded = document.querySelector('.row.picked').getAttribute('aria-expanded');
        press('ArrowRight'); press('ArrowRight'); told.child = picked();
        told.hash = decodeURIComponent(location.hash);
        press('Enter'); told.focus = document.activeElement.id;
        press('Escape', document.activeElement); press('/'); told.search = document.activeElement.id;
        const find = document.getElementById('find');
        find.value = 'order-7~2'; find.dispatchEvent(new Event('input'));
        told.found = document.getElementById('found').textContent;
        press('Enter', find); told.jumped = picked();
        const width = () => document.querySelector('#row-1 .part').getBoundingClientRect().width;
        const before = width();
        press('Escape', find); press('s'); told.linear = [before > 8, width()];
        press('Home'); told.home = picked(); press('f'); told.failure = picked();
        told.grid = [...document.querySelectorAll('[role=treegrid], [role=row], [role=rowheader]')].length;
        const active = document.getElementById('rows').getAttribute('aria-activedescendant');
        told.active = document.getElementById(active) !== null;
        """,
        "#order-7~0",
    )
    assert told["mistakes"] == []
    assert (told["linked"], told["down"], told["rows"], told["folded"]) == ("order-7~0", "order-7~1", 4, "false")
    assert json.loads(told["argument"]) == {"a": EVIL}
    assert (told["child"], told["hash"]) == ("order-7~1.0", "#order-7~1.0")
    assert (told["focus"], told["search"], told["found"], told["jumped"]) == ("inspector", "find", "1", "order-7~2")
    # A step of 50 ms beside 31 days: readable in the one scale, a hairline in the other.
    assert told["linear"][0]
    assert told["linear"][1] <= 2
    assert (told["home"], told["failure"]) == ("order-7", "order-7~1.1")
    assert told["grid"] == 1 + 6 * 2
    assert told["active"]


@browser
def test_five_thousand_promises_are_folded_to_the_failure_and_unfold_to_few_nodes(tmp_path: Path) -> None:
    """Only the rows in sight are in the document. Its own script needs less than a second for it."""
    promises = [settled("wide", 0, 90_000, fn="shop:wide", state=State.REJECTED)]
    for one in range(50):
        promises.append(settled(f"wide~{one}", one, 1_000 + one * 20, fn="shop:group"))
        promises += [settled(f"wide~{one}.{n}", one + n, 700 + one + n * 9) for n in range(99)]
    promises[-7] = settled("wide~49.92", 50, 4_000, state=State.REJECTED, value=encode_exception(ValueError("no")))
    text = shown(*promises)
    assert len(text) < 5_001 * 250
    told = played(
        tmp_path,
        text,
        """
        told.loaded = performance.now() - window.began;
        told.first = document.querySelectorAll('.row').length;
        told.picked = document.querySelector('.row.picked .id').textContent;
        told.count = document.getElementById('rows').getAttribute('aria-rowcount');
        const began = performance.now();
        press('*');
        told.took = performance.now() - began;
        told.all = document.getElementById('rows').getAttribute('aria-rowcount');
        told.nodes = document.querySelectorAll('*').length;
        press('End'); told.last = document.querySelector('.row.picked .id').textContent;
        told.then = document.querySelectorAll('*').length;
        """,
    )
    assert told["mistakes"] == []
    assert told["picked"] == "wide~49.92"
    # The root, its groups, and what is in the group of the failure.
    assert told["count"] == str(1 + 50 + 99)
    assert told["all"] == "5001"
    assert told["last"] == "wide~49.98"
    assert max(told["nodes"], told["then"]) < 2_000
    size = f"{told['nodes']} nodes, {len(text):,} bytes"
    print(f"5,001 rows read and drawn in {told['loaded']:.0f} ms, unfolded in {told['took']:.0f} ms, {size}")
