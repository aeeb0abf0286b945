"""The names by which a Lambda is invoked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.protocol import addresses

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:"

names = st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True)
wholes = st.builds(str.__add__, st.sampled_from(["", ARN, "123456789012:function:"]), names)
qualifiers = st.sampled_from(["", "$LATEST", "live", "7", "12"])


@given(name=wholes, qualifier=qualifiers, other=qualifiers)
def test_a_name_is_the_lambda_and_a_qualifier(name: str, qualifier: str, other: str) -> None:
    """Also one that is called `function`, and any ARN."""
    named = addresses.with_qualifier(name, qualifier)
    assert addresses.split(named) == (name, qualifier)
    assert addresses.with_qualifier(named, other) == addresses.with_qualifier(name, other)


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("shop:7", "7"),
        (f"{ARN}shop:7", "7"),
        ("shop:live", ""),
        ("shop:$LATEST", ""),
        ("shop", ""),
        ("function:7", "7"),
    ],
)
def test_a_version_is_a_number(name: str, version: str) -> None:
    """AWS takes no alias for one."""
    assert addresses.version_of(name) == version


@pytest.mark.parametrize(
    ("target", "alias", "named"),
    [
        ("charge", "", "shop-charge"),
        ("charge", "live", "shop-charge:live"),
        ("charge:beta", "live", "shop-charge:beta"),
        ("charge:$LATEST", "live", "shop-charge:$LATEST"),
        (f"{ARN}charge", "live", f"{ARN}charge"),
        ("123456789012:function:charge:2", "", "123456789012:function:charge:2"),
        ("", "live", ""),
    ],
)
def test_a_target_is_a_name_within_the_stack(target: str, alias: str, named: str) -> None:
    """An ARN is whole, and may be another stack's: the alias is for what names none."""
    assert addresses.lambda_of(target, "shop-", alias) == named


@pytest.mark.parametrize(
    ("named", "own", "found"),
    [
        ("", "shop-a:7", "shop-a:7"),
        ("shop-a", "shop-a:7", "shop-a:7"),
        ("shop-a:live", "shop-a:7", "shop-a:7"),
        ("shop-a:beta", "shop-a:7", "shop-a:beta"),
        ("shop-a:$LATEST", "shop-a:7", "shop-a:$LATEST"),
        ("shop-b:live", "shop-a:7", "shop-b:live"),
    ],
)
def test_within_a_lambda_a_name_of_its_own_is_by_its_own_qualifier(named: str, own: str, found: str) -> None:
    """Another qualifier than the stack's alias is meant."""
    assert addresses.within(named, own, "live") == found


@pytest.mark.parametrize(
    ("arn", "name"),
    [(f"{ARN}shop", "shop:live"), (f"{ARN}shop:beta", "shop:beta"), (f"{ARN}shop:7", "shop:7"), ("", "shop:live")],
)
def test_an_event_came_by_a_name(arn: str, name: str) -> None:
    """By the stack's alias where the invocation named none."""
    assert addresses.invoked(arn, "shop", "live") == name
    assert addresses.invoked(arn, "", "live") == ""


def test_an_arn_names_the_same_code_as_a_name() -> None:
    """With the same qualifier."""
    assert addresses.is_same(f"{ARN}shop:7", "shop:7")
    assert not addresses.is_same(f"{ARN}shop:7", "shop:8")
    assert not addresses.is_same("shop:7", "shop-b:7")
