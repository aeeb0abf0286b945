"""Deliberate bugs of the protocol, and for each the tests that must notice it."""

from __future__ import annotations

from dataclasses import dataclass

INTERLEAVINGS = "tests/interleavings/test_interleavings.py"
EVERY = f"{INTERLEAVINGS}::test_every_interleaving_ends_well"
PROMISES = "tests/unit/test_promises.py"
RESUMER = "tests/unit/test_resumer.py"
WATCHDOG = "tests/endurance/test_watchdog.py::test_whichever_one_invocation_is_lost_the_outcome_is_the_same"
TIMERS = "tests/simulation/test_timers.py"
RETRIES = "tests/simulation/test_retries.py"
ROLLING = "tests/endurance/test_rolling_deploy.py"


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """``old``, which occurs once in ``file``, becomes ``new``; then one of the ``check``'s tests must fail."""

    name: str
    breaks: str
    file: str
    old: str
    new: str
    check: tuple[str, ...]


MUTATIONS = [
    Mutation(
        name="settle-twice",
        breaks="I1",
        file="adapter/promises.py",
        old="    if not standing.pending:\n        return Refused(Refusal.SETTLED, standing)\n    # No time",
        new="    # No time",
        check=(PROMISES,),
    ),
    Mutation(
        name="settle-without-condition",
        breaks="I1",
        file="adapter/aws/store.py",
        old='("wake_at",)), *(_DUE - due.keys())),\n            condition="#state = :pending",',
        new='("wake_at",)), *(_DUE - due.keys())),\n            condition="attribute_exists(pk)",',
        check=("tests/simulation/test_promises.py::test_the_second_settlement_is_told_what_stands",),
    ),
    Mutation(
        name="create-over-what-stands",
        breaks="I1, I4",
        file="adapter/promises.py",
        old="return new if standing is None else Refused(Refusal.MOVED, standing)",
        new="return new",
        check=(PROMISES, f"{EVERY}[sequence-1crash-1dup-all]"),
    ),
    Mutation(
        name="arm-without-arrivals",
        breaks="I3",
        file="adapter/promises.py",
        old="standing.arrivals != arming.arrivals or standing.state",
        new="standing.state",
        check=(f"{EVERY}[gather-0crash-0dup-all]",),
    ),
    Mutation(
        name="arm-without-epoch",
        breaks="I3",
        file="adapter/promises.py",
        old="if standing.epoch != arming.epoch:",
        new="if False:",
        check=(PROMISES,),
    ),
    Mutation(
        name="arm-without-state",
        breaks="I3 (cancellation)",
        file="adapter/promises.py",
        old=" or standing.state is not arming.state:",
        new=":",
        check=(PROMISES,),
    ),
    Mutation(
        name="threshold-one-too-high",
        breaks="I3",
        file="adapter/promises.py",
        old="return max(consumed, arrivals) + need",
        new="return max(consumed, arrivals) + need + 1",
        check=(f"{EVERY}[gather-0crash-0dup-all]",),
    ),
    Mutation(
        name="wake-only-at-the-threshold",
        breaks="I3",
        file="adapter/promises.py",
        old="return parent.arrivals >= parent.threshold or",
        new="return parent.arrivals == parent.threshold or",
        check=(RESUMER, f"{EVERY}[gather-1crash-0dup-1]"),
    ),
    Mutation(
        name="claim-without-firing",
        breaks="I5",
        file="adapter/promises.py",
        old="standing.wake_at != firing.at and standing.epoch > firing.epoch",
        new="False",
        check=(PROMISES,),
    ),
    Mutation(
        name="no-orphans",
        breaks="I3",
        file="adapter/flushing.py",
        old="return mine and record.id not in self.dispatched",
        new="return record.id not in self.dispatched and False",
        check=(f"{EVERY}[sequence-2crash-0dup-all]",),
    ),
    Mutation(
        name="all-creates-at-once",
        breaks="I4",
        file="adapter/flushing.py",
        old="            yield from self._create(execution, records[:1])\n"
        "            yield from self._create(execution, records[1:])",
        new="            yield from self._create(execution, records[::-1])",
        check=(f"{EVERY}[race-1crash-1dup-0]", f"{EVERY}[diverging-0crash-0dup-1]", f"{EVERY}[race-1crash-0dup-1]"),
    ),
    Mutation(
        name="seen-not-compared",
        breaks="I4",
        file="adapter/flushing.py",
        old="stands.digest == record.digest and stands.seen == record.seen",
        new="stands.digest == record.digest",
        check=(f"{EVERY}[diverging-0crash-0dup-1]", f"{INTERLEAVINGS}::test_random_ways_through_more_faults_end_well"),
    ),
    Mutation(
        name="resumer-leaves-the-callee",
        breaks="I3 (cancellation)",
        file="adapter/resumer.py",
        old="if settled.canceled and settled.kind == Kind.CALL and settled.target:",
        new="if False:",
        check=(RESUMER,),
    ),
    Mutation(
        name="batch-swallows-failures",
        breaks="I3",
        file="adapter/batches.py",
        old='host.ports.perform(Tell("unhandled", "", "", {"error": text}))\n            raise',
        new='host.ports.perform(Tell("unhandled", "", "", {"error": text}))',
        check=(RESUMER,),
    ),
    Mutation(
        name="other-versions-acknowledged",
        breaks="I3",
        file="adapter/resumer.py",
        old="if raw and not (isinstance(version, str) and is_readable(version)):",
        new="if False:",
        check=(RESUMER,),
    ),
    Mutation(
        name="refusal-counts-as-crash",
        breaks="I6",
        file="adapter/deadletters.py",
        old="early = is_early(record.body)",
        new="early = False",
        check=(f"{ROLLING}::test_what_no_deployed_code_reads_is_kept_until_some_does",),
    ),
    Mutation(
        name="link-without-registering",
        breaks="I3",
        file="adapter/flushing.py",
        old="written: Written = yield Register(link.link, link.id)",
        new="written: Written = link",
        check=("tests/simulation/test_links.py", "tests/simulation/test_roots.py", f"{EVERY}[shared-0crash-0dup-all]"),
    ),
    Mutation(
        name="timer-armed-without-message",
        breaks="I3",
        file="adapter/engine.py",
        old="if wake_at is not None and not far and not self._is_sent(wake_at):",
        new="if False:",
        check=(f"{TIMERS}::test_a_sleep_ends_to_the_second_however_long_it_is",),
    ),
    Mutation(
        name="sweeps-overlap",
        breaks="I8",
        file="adapter/timers.py",
        old="return ahead == 1 or",
        new="return ahead in (0, 1) or",
        check=("tests/unit/test_timers.py",),
    ),
    Mutation(
        name="watchdog-sees-nothing",
        breaks="I3",
        file="adapter/watchdog.py",
        old="        return not direct or (last",
        new="        return False and (last",
        check=(WATCHDOG,),
    ),
    Mutation(
        name="watchdog-looks-once",
        breaks="I3",
        file="adapter/watchdog.py",
        old="    yield Postpone(own.id, own.due_at, following)",
        new="    yield Postpone(own.id, own.due_at, None)",
        check=("tests/endurance/test_watchdog.py",),
    ),
    Mutation(
        name="direct-wait-passes-for-sleep",
        breaks="I3",
        file="adapter/engine.py",
        old="        if step.direct:\n            return None\n        return -1",
        new="        return -1",
        check=(WATCHDOG,),
    ),
    Mutation(
        name="parent-before-its-children",
        breaks="structured concurrency",
        file="adapter/execution.py",
        old="return self._suspended_on_children(pending) if pending else self._done()",
        new="return self._done()",
        check=("tests/simulation/test_exceptions_and_structure.py",),
    ),
    Mutation(
        name="memory-is-always-taken",
        breaks="I4",
        file="adapter/execution.py",
        old="            if record.ordinal >= self._next_ordinal:\n                return False\n",
        new="",
        check=(INTERLEAVINGS, "tests/simulation/test_asyncio.py::test_under_faults_it_is_what_plain_asyncio_gives"),
    ),
    Mutation(
        name="attempts-without-count",
        breaks="bounded retries",
        file="adapter/engine.py",
        old="Start(id=self.own.id, attempt=self.attempt + 1, crashes=self.crashes",
        new="Start(id=self.own.id, attempt=1, crashes=self.crashes",
        check=(RETRIES,),
    ),
]
