"""What gets into a page: its data is the JSON that it was, nothing ends it early, and payloads only as asked for."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.codec.exceptions import encode_exception
from adapter.protocol.records import Record, State, Stored
from adapter.timeline.lines import lines
from adapter.timeline.making import Maker
from adapter.timeline.page import LONGEST, escaped, page

NOW: Any = 10**15
SECRET = "4711-0815"


def data_of(text: str) -> Any:
    """The data of a page, as an HTML parser finds it: up to the first end of its element."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script', text, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def made(*promises: Record, **options: Any) -> str:
    return page(Maker(promises, NOW).make(promises[0].id), **options)


def more_of(text: str, row: int = 0) -> dict[str, Any]:
    more: dict[str, Any] = data_of(text)["rows"][row][-1]
    return more


@given(text=st.text() | st.sampled_from(["</script>", "<!--<script>", "]]>", "\u2028", "&lt;", "DATA", "/*JS*/"]))
def test_no_text_ends_the_data_or_becomes_markup(text: str) -> None:
    """What was written is read back; between lies no character that HTML knows."""
    found = escaped(json.dumps([text], ensure_ascii=False))
    assert json.loads(found) == [text]
    assert not set("<>&") & set(found)


@pytest.mark.parametrize("text", ["</script><script>alert(1)</script>", "<!--", "DATA /*CSS*/ /*JS*/", "\ud800"])
def test_ids_names_arguments_and_errors_are_data(text: str) -> None:
    """Each of them comes from elsewhere."""
    error = encode_exception(ValueError(text))
    own = Record(id="r", fn=text, args=json.dumps([text]), state=State.REJECTED, value=error, tags={text: text})
    found = data_of(made(own))
    assert json.loads(found["rows"][0][-1]["args"]) == [text]
    assert text in found["names"]
    assert made(own).count("<script") == 2


def test_a_page_needs_nothing_else_and_may_ask_for_nothing() -> None:
    """Its own policy forbids every request; it names no address."""
    text = made(Record(id="r"))
    assert "default-src 'none'" in text
    # CloudWatch's address is put together when it is asked for; the other names SVG, and nobody loads it.
    addresses = set(re.findall(r"https?://[^\"'`${ ]*", text))
    assert addresses <= {"http://www.w3.org/2000/svg", "https://"}
    assert not re.search(r"\b(src|@import|url\()=?", text.replace("default-src", "").replace("-src '", ""))


def test_payloads_are_left_out_if_asked() -> None:
    """Arguments, outcomes, the messages and tracebacks of errors. A class of an error is code."""
    failed = {"state": State.REJECTED, "value": encode_exception(ValueError(SECRET))}
    drift = f"f drifted from its history\n  stored:  #0 call g {SECRET}"
    promises = [Record(id="r", fn="f", args=f'"{SECRET}"', **failed), Record(id="r~0", args=SECRET, paused=drift)]
    assert SECRET in made(*promises)
    text = made(*promises, payloads=False)
    assert SECRET not in text
    assert more_of(text)["args"] is None
    assert data_of(text)["payloads"] is False


def test_what_is_encrypted_or_large_is_named_and_not_shown() -> None:
    """The table's text of it doesn't get into the page either."""
    own = Record(id="r", args=Stored("!cipher", "r"), state=State.RESOLVED, value=Stored("@key", "r"))
    text = made(own)
    assert (more_of(text)["args"], more_of(text)["value"]) == (None, None)
    assert "!cipher" not in text
    assert "@key" not in text


def test_long_payloads_are_cut_the_more_promises_the_shorter() -> None:
    """A page of thousands of promises stays a few megabytes; of what failed, more is kept."""
    text = json.dumps("x" * 100_000)
    assert len(more_of(made(Record(id="r", args=text)))["args"]) == LONGEST + 1
    many = [Record(id="r"), *(Record(id=f"r~{n}", fn="shop:step", args=text) for n in range(4_000))]
    assert len(made(*many)) < 4_000 * 900


def test_a_row_without_payloads_takes_few_bytes() -> None:
    """Of 5,000 promises, each takes less than 200 bytes."""
    settled: dict[str, Any] = {"state": State.RESOLVED, "settled_at": 5 * 10**12, "took": 10**6}
    many = [
        Record(id="order-7", fn="shop:checkout"),
        *(
            Record(id=f"order-7~{n}", fn="shop:step", target="shop-step", created_at=10**12 + n, **settled)
            for n in range(5_000)
        ),
    ]
    assert (len(made(*many)) - len(made(many[0]))) / 5_000 < 200


def test_lines_write_out_control_characters_and_count_what_is_alike() -> None:
    """A terminal obeys nothing of an id or an error; of many calls alike there are ten lines."""
    error = encode_exception(ValueError("red \x1b[31m\nand more"))
    settled: dict[str, Any] = {"state": State.RESOLVED, "settled_at": 1}
    many = [Record(id=f"r~{n}", fn="m:step", created_at=n, **settled) for n in range(1, 40)]
    failed = Record(id="r~40", fn="m:last", created_at=40, state=State.REJECTED, value=error, settled_at=50)
    found = lines(Maker([Record(id="r", fn="m:top"), *many, failed], NOW).make("r"))
    assert "\x1b" not in "".join(found)
    assert found[11] == "├── and 29 more of m:step, likewise"
    assert found[-1].startswith("└── r~40  m:last  rejected  0 ms  ValueError: red \\x1b[31m and more")
    assert len(found) == 13


def test_a_tree_of_a_thousand_levels_has_its_lines() -> None:
    """Nothing recurs."""
    ids = ["r"]
    for _ in range(1_500):
        ids.append(ids[-1] + ("~0" if "~" not in ids[-1] else ".1" if ids[-1].endswith("0") else ".0"))
    promises = [Record(id=one, fn="m:deeper") for one in ids]
    timeline = Maker(promises, NOW).make("r")
    assert len(lines(timeline)) == len(ids)
    assert len(data_of(page(timeline))["rows"]) == len(ids)
