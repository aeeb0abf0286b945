"""I1–I5 in every interleaving of small programs, and the deliberate bugs that the same search finds."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

import pytest

from adapter.api.durable import Durable
from adapter.engine import waking
from adapter.engine.operations import Arm, Arrive, Ask, Create, Invoke, Many, Operation, ReadPromise
from adapter.engine.run import respond
from adapter.lambdas.resumer import resume_counted
from adapter.protocol import promises
from adapter.protocol.messages import Resume
from adapter.protocol.promises import Refusal, Refused
from adapter.protocol.records import Record, State, Wake
from tests.faults.interleavings import programs
from tests.faults.interleavings.explorer import Explorer
from tests.faults.interleavings.performing import Rules
from tests.faults.interleavings.states import Violation
from tests.support.chapters import short_chapters
from tests.support.effort import effort

ANY_NUMBER = None


@pytest.fixture(autouse=True)
def _one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that lingers looks once: each further look would only make every path longer."""
    monkeypatch.setattr(waking, "FIRST", waking.LINGER)


EXPLORED = [
    # program, crashes, duplicates, how often a run may be interrupted by another
    (programs.sequence, 0, 0, ANY_NUMBER),
    (programs.sequence, 2, 0, ANY_NUMBER),
    (programs.sequence, 1, 1, ANY_NUMBER),
    (programs.prompted, 0, 0, ANY_NUMBER),
    (programs.prompted, 2, 0, ANY_NUMBER),
    (programs.prompted, 1, 1, ANY_NUMBER),
    (programs.lingering, 0, 0, ANY_NUMBER),
    (programs.lingering, 2, 0, 1),
    (programs.lingering, 1, 1, 1),
    (programs.lingering_beside, 0, 0, 1),
    (programs.lingering_beside, 1, 0, 1),
    (programs.gather, 0, 0, ANY_NUMBER),
    (programs.gather, 2, 0, 0),
    (programs.gather, 1, 1, 0),
    (programs.gather, 1, 0, 1),
    (programs.gather, 0, 1, 1),
    (programs.outcomes, 0, 0, ANY_NUMBER),
    (programs.outcomes, 1, 0, 1),
    (programs.outcomes, 0, 1, 1),
    (programs.tasks, 0, 0, 1),
    (programs.tasks, 1, 0, 0),
    (programs.tasks, 0, 1, 0),
    (programs.race, 0, 0, ANY_NUMBER),
    (programs.race, 1, 0, 1),
    (programs.two_waves, 0, 0, ANY_NUMBER),
    (programs.two_waves, 2, 0, 0),
    (programs.two_waves, 1, 0, 1),
    (programs.branches, 0, 0, 1),
    (programs.branches, 1, 0, 0),
    (programs.diverging, 0, 0, 1),
    (programs.converging, 0, 0, ANY_NUMBER),
    (programs.converging, 1, 0, effort(1, 2)),
    (programs.shared, 0, 0, ANY_NUMBER),
    (programs.shared, 2, 0, 0),
    (programs.shared, 1, 1, 0),
    (programs.shared, 1, 0, 1),
    (programs.placed, 0, 0, ANY_NUMBER),
    (programs.placed, 2, 0, ANY_NUMBER),
    (programs.placed, 1, 1, ANY_NUMBER),
    (programs.placed_beside, 1, 0, 1),
    (programs.placed_beside, 2, 0, 0),
    (programs.placed_beside, 1, 1, 0),
    *effort(
        [],
        [
            (programs.race, 2, 0, 0),
            (programs.race, 1, 1, 0),
            (programs.two_waves, 1, 1, 0),
            (programs.two_waves, 2, 1, 0),
        ],
    ),
]


def _outside(program: Durable[..., Any]) -> Any:
    return programs.outside_of_diverging if program is programs.diverging else lambda records: None


def _named(case: tuple[Durable[..., Any], int, int, int | None]) -> str:
    program, crashes, duplicates, switches = case
    return f"{program.name.split('.')[1]}-{crashes}crash-{duplicates}dup-{'all' if switches is None else switches}"


@pytest.mark.parametrize("case", EXPLORED, ids=_named)
def test_every_interleaving_ends_well(case: tuple[Durable[..., Any], int, int, int | None]) -> None:
    """No wake is lost, no outcome changes, no replay drifts. Nothing runs twice unless something failed."""
    program, crashes, duplicates, switches = case
    explorer = Explorer(program, crashes=crashes, duplicates=duplicates, switches=switches, outside=_outside(program))
    explorer.explore()
    print(f"{_named(case)}: {explorer.states} states, {explorer.ends} ends")
    assert explorer.ends > 0


TOLD = [
    # program, crashes, duplicates, how often a run may be interrupted by another
    (programs.longer, 0, 0, ANY_NUMBER),
    (programs.longer, 1, 0, ANY_NUMBER),
    (programs.longer, 1, 1, 0),
    (programs.gather, 1, 0, 1),
    (programs.race, 1, 0, 1),
    (programs.two_waves, 2, 0, 0),
    (programs.two_waves, 1, 1, 0),
    (programs.two_waves, 1, 0, 1),
    (programs.shared, 1, 0, 1),
]


@pytest.mark.parametrize("case", TOLD, ids=_named)
def test_every_interleaving_ends_well_where_chapters_tell_of_all(
    case: tuple[Durable[..., Any], int, int, int | None],
) -> None:
    """A chapter tells of a single promise, and no sandbox keeps anything. Each says what the records say."""
    program, crashes, duplicates, switches = case
    explorer = Explorer(program, crashes=crashes, duplicates=duplicates, switches=switches)
    with short_chapters(1):
        explorer.explore()
    assert explorer.ends > 0
    assert explorer.told > 0


DROPPED = [
    # program, records put aside, crashes, duplicates, how often a run may be interrupted by another
    (programs.sequence, 2, 0, 0, ANY_NUMBER),
    (programs.prompted, 1, 1, 0, 1),
    (programs.lingering, 1, 1, 0, 1),
    (programs.gather, 1, 0, 0, 1),
    (programs.race, 1, 0, 0, 1),
    (programs.race, 1, 0, 1, 0),
    (programs.two_waves, 1, 0, 0, 1),
    (programs.two_waves, 2, 0, 0, 0),
    (programs.two_waves, 1, 1, 0, 0),
    (programs.branches, 1, 0, 0, 0),
    (programs.shared, 1, 0, 0, 1),
]


@pytest.mark.parametrize("case", DROPPED, ids=lambda case: "-".join([case[0].name.split(".")[1], *map(str, case[1:])]))
def test_a_record_that_is_put_aside_costs_one_look(case: tuple[Durable[..., Any], int, int, int, int | None]) -> None:
    """I3: no later wait is longer for it. No wake is lost if somebody sends it again after all."""
    program, drops, crashes, duplicates, switches = case
    explorer = Explorer(program, crashes=crashes, duplicates=duplicates, switches=switches, drops=drops)
    explorer.explore()
    print(f"{explorer.states} states, {explorer.ends} ends")
    assert explorer.ends > 0


def test_without_making_up_for_it_a_record_that_is_put_aside_costs_a_look_at_each_wait() -> None:
    """A search that finds nothing must be able to find something."""
    with pytest.raises(Violation, match="one more for"):
        Explorer(programs.two_waves, drops=1, switches=1, rules=Rules(engine=_altered(_without_making_up))).explore()


def test_of_two_outcomes_of_a_promise_only_the_first_is_ever_observed() -> None:
    """I2: each attempt of a step returns something else, and what the root saw is what is stored."""
    explorer = Explorer(programs.sequence, crashes=1, duplicates=1, distinct=True)
    explorer.explore()
    assert len(explorer.outcomes) > 1


def test_a_race_can_go_either_way() -> None:
    """The search isn't blind: with one interruption it reaches both outcomes of a race."""
    explorer = Explorer(programs.race, switches=1)
    explorer.explore()
    assert len(explorer.outcomes) == 2


def _arm_whatever_arrived(standing: Record | None, arming: Any) -> Any:
    if standing is None:
        return promises.arm(standing, arming)
    armed = promises.arm(replace(standing, arrivals=0), replace(arming, arrivals=0))
    return Refused(armed.why, standing) if isinstance(armed, Refused) else replace(armed, arrivals=standing.arrivals)


def _kept(standing: Record | None, registered: Any) -> Any:
    return replace(registered, state=standing.state) if standing else registered


def _register_whatever_stands(standing: Record | None, awaiter: str) -> Any:
    return promises.register(replace(standing, state=State.PENDING), awaiter) if standing else None


def _settle_again(standing: Record | None, state: Any, value: str, at: int, **more: Any) -> Any:
    return replace(standing, state=state, value=value, settled_at=at) if standing else standing


Performed = Generator[Operation, Any, Any]


class Leaves(Exception):
    """A run ends here, whatever it still had to do."""


def _altered(perform: Callable[[Operation], Performed]) -> Callable[[Any, Any, Any], Any]:
    """An engine in which ``perform`` performs each operation: it yields what is done, and returns the answer."""

    def altered(message: Any, caller: Any, memory: Any) -> Any:
        steps = respond(message, caller, memory)
        answer = None
        while True:
            try:
                answer = yield from perform(steps.send(answer))
            except StopIteration as ended:
                return ended.value
            except Leaves:
                steps.close()
                return "refused"

    return altered


def _leaving_when_superseded(operation: Operation) -> Performed:
    """What looks right: another run took over, so this one leaves everything to it."""
    answer = yield operation
    if isinstance(operation, Arm) and isinstance(answer, Refused) and answer.why is Refusal.SUPERSEDED:
        raise Leaves
    return answer


def _without_request(operation: Operation) -> Performed:
    """A retry takes the promises of its dead attempt for another run's, and never invokes them."""
    if isinstance(operation, Many) and all(isinstance(one, Create) for one in operation.operations):
        made = [one.record for one in operation.operations if isinstance(one, Create)]
        operation = Many(tuple(Create(replace(record, by="")) for record in made))
    return (yield operation)


def _without_making_up(operation: Operation) -> Performed:
    """A run that was invoked since something was missed leaves the count as it is."""
    if isinstance(operation, Arm):
        operation = replace(operation, arming=replace(operation.arming, made_up=0))
    return None if isinstance(operation, Arrive) else (yield operation)


def _without_prompting(operation: Operation) -> Performed:
    """The run that settles a step leaves it to others to resume the caller."""
    resumes = isinstance(operation, Invoke) and isinstance(operation.message, Resume)
    return None if resumes else (yield operation)


def _asleep(operation: Operation) -> Performed:
    """A run that has lingered suspends without a word to the call."""
    if not (isinstance(operation, Many) and all(isinstance(one, Ask) for one in operation.operations)):
        return (yield operation)
    found = yield Many(tuple(ReadPromise(one.id) for one in operation.operations if isinstance(one, Ask)))
    return [replace(one, wake=Wake.PROMPT) for one in found]


def _forgetful(operation: Operation) -> Performed:
    """A retry of the run that settled a step doesn't know that it has to resume the caller."""
    answer = yield operation
    return replace(answer, prompted_by="") if isinstance(operation, ReadPromise) else answer


def _acknowledge_before_invoking(parent: str, settled: Any) -> Any:
    """It invokes only at the arrival that reaches the threshold. A resumer that died after counting never does."""
    steps = resume_counted(parent, settled)
    arrive = next(steps)
    assert isinstance(arrive, Arrive)
    standing = yield arrive
    if isinstance(standing, Refused) or standing.threshold is None or standing.arrivals != standing.threshold:
        return "counted"
    invoke = steps.send(standing)
    while not isinstance(invoke, Invoke):
        invoke = next(steps)
    yield invoke
    return "counted"


MUTATIONS = [
    ("settle without resuming", Rules(engine=_altered(_without_prompting)), programs.prompted, 0, 0),
    ("suspend without asking", Rules(engine=_altered(_asleep)), programs.lingering, 0, 0),
    ("settle and resume, but never again", Rules(engine=_altered(_forgetful)), programs.prompted, 1, 0),
    ("arm without the arrivals", Rules(arm=_arm_whatever_arrived), programs.gather, 0, 0),
    ("settle without a condition", Rules(settle=_settle_again), programs.sequence, 0, 1),
    ("wake only at the threshold itself", Rules(counted=_acknowledge_before_invoking), programs.gather, 1, 0),
    (
        "register without a condition",
        Rules(register=lambda standing, awaiter: _kept(standing, _register_whatever_stands(standing, awaiter))),
        programs.shared,
        0,
        0,
    ),
    ("never dispatch again", Rules(engine=_altered(_without_request)), programs.sequence, 1, 0),
    ("leave when superseded", Rules(engine=_altered(_leaving_when_superseded)), programs.diverging, 0, 1),
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation[0])
def test_a_deliberate_bug_is_found(mutation: Any) -> None:
    """A search that finds nothing must be able to find something."""
    _, rules, program, crashes, duplicates = mutation
    explorer = Explorer(
        program,
        crashes=crashes,
        duplicates=duplicates,
        rules=rules,
        distinct=program is programs.sequence,
        outside=_outside(program),
    )
    with pytest.raises(Violation):
        explorer.wander(walks=2_000) if program is programs.diverging else explorer.explore()


PROGRAMS = [programs.gather, programs.race, programs.two_waves, programs.branches, programs.diverging]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_random_ways_through_more_faults_end_well(program: Durable[..., Any]) -> None:
    """There are too many interleavings to see all: two crashes and a duplicate come at any moments."""
    explorer = Explorer(program, crashes=2, duplicates=1, outside=_outside(program))
    walks = effort(50, 500)
    explorer.wander(walks)
    assert explorer.ends == walks
