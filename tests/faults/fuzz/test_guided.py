"""The guided search as far as it goes without atheris: seeds, mutations, and what it makes of a finding."""

from __future__ import annotations

import importlib.util
import random
import sys

import pytest

from tests.faults.fuzz.guided import __main__ as command
from tests.faults.fuzz.guided.mutations import mutated, text_of
from tests.faults.fuzz.guided.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_begins_with_inputs_that_its_law_is_for_and_holds_of(name: str) -> None:
    """Otherwise the search would begin nowhere, or end there."""
    seeds = TARGETS[name].seeds()
    assert seeds
    for seed in seeds:
        assert TARGETS[name].read(seed) is not None
        TARGETS[name].hold(seed.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("name", TARGETS)
def test_what_mutation_makes_of_seeds_keeps_the_law(name: str) -> None:
    """The test makes a few generations: always some text, no larger than allowed."""
    draw = random.Random(name)
    kept = [seed.encode("utf-8", "surrogatepass") for seed in TARGETS[name].seeds()]
    for _ in range(300):
        data = mutated(draw.choice(kept), 4_000, draw.randrange(2**32), lambda data, size: data[:size])
        assert len(data) <= 4_000
        assert text_of(data) or not data
        TARGETS[name].hold(data)
        kept.append(data)


def test_mutations_are_the_same_for_the_same_seed() -> None:
    """A finding can be made again from the seed that libFuzzer prints."""
    data = TARGETS["history"].seeds()[0].encode()
    made = [mutated(data, 10_000, seed, lambda data, size: data) for seed in (*range(20), *range(20))]
    assert made[:20] == made[20:]
    assert len(set(made)) > 5


def test_a_finding_is_made_smaller_while_it_breaks_the_law_in_the_same_place() -> None:
    """An input that breaks it elsewhere is no smaller finding."""
    there = lambda data: "here" if b"ab" in data else "there" if b"a" in data else ""  # noqa: E731
    assert command.smaller(b"x" * 50 + b"ab" + b"y" * 33, there) == b"ab"


def test_without_atheris_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a target, it says which there are."""
    monkeypatch.setattr(sys, "argv", ["guided"])
    assert command.main() == 0
    assert all(name in capsys.readouterr().out for name in ["history"])
    monkeypatch.setattr(sys, "argv", ["guided", "history"])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert command.main() == 2
    assert "pip install atheris" in capsys.readouterr().err
