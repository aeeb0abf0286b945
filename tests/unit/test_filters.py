"""Filter patterns decide as AWS documents them for event source mappings."""

import pytest

from adapter.errors import ConfigurationError
from adapter.testing.simulated_aws.filters import compile_pattern, matches

ABSENT: dict[str, object] = {}


@pytest.mark.parametrize(
    ("alternatives", "value", "expected"),
    [
        (["a"], "a", True),
        (["a"], "b", False),
        (["a", "b"], "b", True),
        ([""], "", True),
        ([1], 1, True),
        ([1], "1", False),
        ([1], True, False),
        ([True], True, True),
        ([None], None, True),
        ([None], "", False),
        ([{"anything-but": ["a"]}], "b", True),
        ([{"anything-but": ["a", "b"]}], "b", False),
        ([{"anything-but": "a"}], "b", True),
        ([{"anything-but": 1}], 2, True),
        ([{"anything-but": {"prefix": "rejected"}}], "resolved", True),
        ([{"anything-but": {"prefix": "rejected"}}], "rejected_timedout", False),
        ([{"anything-but": {"suffix": "out"}}], "rejected_timedout", False),
        ([{"prefix": "rej"}], "rejected", True),
        ([{"prefix": "rej"}], "resolved", False),
        ([{"prefix": {"equals-ignore-case": "REJ"}}], "rejected", True),
        ([{"suffix": "ed"}], "resolved", True),
        ([{"suffix": "ed"}], "pending", False),
        ([{"suffix": {"equals-ignore-case": "ED"}}], "resolved", True),
        ([{"prefix": "1"}], 1, False),
        ([{"equals-ignore-case": "Pending"}], "pENDING", True),
        ([{"equals-ignore-case": "Pending"}], "pend", False),
        ([{"exists": True}], "a", True),
        ([{"exists": True}], None, True),
        ([{"exists": False}], "a", False),
        ([{"numeric": ["=", 3]}], 3, True),
        ([{"numeric": [">", 0, "<=", 5]}], 5, True),
        ([{"numeric": [">", 0, "<=", 5]}], 5.5, False),
        ([{"numeric": [">=", 0, "<", 5]}], 0, True),
        (["x", {"prefix": "a"}], "abc", True),
    ],
)
def test_a_field_matches_by_any_of_its_alternatives(alternatives: list[object], value: object, expected: bool) -> None:
    """Each kind of alternative accepts a value and refuses another."""
    assert matches({"field": alternatives}, {"field": value}) is expected


@pytest.mark.parametrize(
    ("alternative", "expected"),
    [
        ("a", False),
        (None, False),
        ({"anything-but": ["a"]}, False),
        ({"prefix": ""}, False),
        ({"numeric": [">", 0]}, False),
        ({"exists": True}, False),
        ({"exists": False}, True),
    ],
)
def test_a_missing_field_matches_only_where_it_must_not_exist(alternative: object, expected: bool) -> None:
    """An absent field isn't null, and isn't "anything but" something."""
    assert matches({"field": [alternative]}, ABSENT) is expected


def test_all_fields_of_a_pattern_must_match() -> None:
    """Fields are joined by and, at every depth."""
    pattern = {"outer": {"a": ["1"], "b": ["2"]}, "c": ["3"]}
    assert matches(pattern, {"outer": {"a": "1", "b": "2"}, "c": "3", "more": "4"})
    assert not matches(pattern, {"outer": {"a": "1", "b": "x"}, "c": "3"})
    assert not matches(pattern, {"outer": {"a": "1", "b": "2"}})


def test_or_joins_whole_patterns_and_is_itself_joined_by_and() -> None:
    """``$or`` stands beside other fields, and all of them must match."""
    pattern = {"a": ["1"], "$or": [{"b": ["2"]}, {"c": ["3"]}]}
    assert matches(pattern, {"a": "1", "c": "3"})
    assert not matches(pattern, {"a": "1", "c": "2"})
    assert not matches(pattern, {"a": "2", "b": "2"})


def test_a_pattern_deeper_than_the_event_does_not_match() -> None:
    """A string where the pattern expects fields has none of them."""
    assert not matches({"a": {"b": ["c"]}}, {"a": "b"})
    assert matches({"a": {"b": [{"exists": False}]}}, {"a": "b"})


def test_exists_sees_leaves_only() -> None:
    """An inner node doesn't exist, as AWS has it: a stream record's attribute needs its type in the pattern."""
    record = {"NewImage": {"wake": {"S": "direct"}}}
    assert not matches({"NewImage": {"wake": [{"exists": True}]}}, record)
    assert matches({"NewImage": {"wake": {"S": [{"exists": True}]}}}, record)


def test_a_number_of_a_stream_record_is_a_string() -> None:
    """DynamoDB writes numbers as strings, and AWS does not convert them."""
    assert not matches({"sk": {"N": [{"numeric": ["=", 1]}]}}, {"sk": {"N": "1"}})
    assert matches({"sk": {"N": ["1"]}}, {"sk": {"N": "1"}})


def test_a_field_of_several_values_matches_by_any_of_them() -> None:
    """A list in the event is a choice of values."""
    assert matches({"tags": ["b"]}, {"tags": ["a", "b"]})
    assert not matches({"tags": ["c"]}, {"tags": ["a", "b"]})
    assert not matches({"tags": ["c"]}, {"tags": []})


def test_an_empty_pattern_matches_everything() -> None:
    """Without conditions nothing is refused."""
    assert matches({}, {"a": "b"})


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ({"a": [{"wildcard": "*"}]}, "unknown operator 'wildcard'"),
        ({"a": [{"anything-but": {"numeric": ["=", 1]}}]}, "can't be combined with 'numeric'"),
        ({"a": [{"anything-but": [["b"]]}]}, "plain value"),
        ({"a": [{"prefix": "x", "suffix": "y"}]}, "exactly one operator"),
        ({"a": "b"}, "a takes a list"),
        ({"a": []}, "a takes a list"),
        ({"$or": []}, r"\$or takes a list"),
        ({"$or": ["a"]}, r"\$or takes patterns"),
        ({"a": [{"prefix": 1}]}, "prefix takes a string"),
        ({"a": [{"exists": "yes"}]}, "exists takes true or false"),
        ({"a": [{"numeric": [">"]}]}, "one or two comparisons"),
        ({"a": [{"numeric": ["<>", 1]}]}, "one or two comparisons"),
        ({"a": [{"numeric": [">", "1"]}]}, "one or two comparisons"),
    ],
)
def test_a_pattern_that_aws_would_refuse_is_an_error_whatever_the_event(
    pattern: dict[str, object], message: str
) -> None:
    """The compiler refuses it before any event comes."""
    with pytest.raises(ConfigurationError, match=message):
        compile_pattern(pattern)
