"""Bugs in how an execution stays with its version of the code."""

from __future__ import annotations

from tests.faults.mutations.mutation import Mutation

VERSIONS = "tests/simulation/test_versions.py"

OF_VERSIONS = [
    Mutation(
        name="later-pin-stands",
        bug="Of two versions that begin a function at once, the later one takes it from the earlier.",
        breaks="one version runs what is pinned (pins)",
        file="adapter/protocol/promises.py",
        old="    if standing.target != was:\n",
        new="    if False:\n",
        check=(f"{VERSIONS}::test_of_two_versions_that_begin_it_at_once_the_first_pin_stands",),
    ),
    Mutation(
        name="runs-what-is-pinned-elsewhere",
        bug="A version runs what is pinned to another one, if a message for it comes.",
        breaks="one version runs what is pinned (pins)",
        file="adapter/engine/pinning.py",
        old="    return bool(own.unpinned) and",
        new="    return False and",
        check=(f"{VERSIONS}::test_what_lambda_repeats_in_another_version_is_handed_on",),
    ),
    Mutation(
        name="handed-on-for-ever",
        bug="What was handed on to a version that moved here is handed on again.",
        breaks="a move ends an outage (pins)",
        file="adapter/engine/pinning.py",
        old=" and not message.by and",
        new=" and",
        check=(f"{VERSIONS}::test_a_version_that_moved_to_the_alias_goes_on_there",),
    ),
    Mutation(
        name="handed-on-as-another-request",
        bug="What is handed on doesn't know what the attempt that died has created and not invoked.",
        breaks="I3",
        file="adapter/engine/pinning.py",
        old="by=caller.request_id",
        new='by="handed on"',
        check=(f"{VERSIONS}::test_what_lambda_repeats_in_another_version_is_handed_on[before-Invoke]",),
    ),
    Mutation(
        name="pins-what-has-begun",
        bug="Whatever version runs a function that isn't pinned pins it, however old it is.",
        breaks="what was unpinned follows the newest (pins)",
        file="adapter/engine/run.py",
        old="        if never_ran and function.pin:",
        new="        if function.pin:",
        check=(f"{VERSIONS}::test_what_was_unpinned_is_not_pinned_again",),
    ),
    Mutation(
        name="calls-lose-the-pin",
        bug="The calls of what is pinned can't be unpinned: they don't tell that they are pinned.",
        breaks="calls in the same Lambda are pinned (pins)",
        file="adapter/engine/pinning.py",
        old='return name, own.unpinned if name == own.target else ""',
        new='return name, ""',
        check=(f"{VERSIONS}::test_what_is_below_is_unpinned_with_it",),
    ),
    Mutation(
        name="roots-inherit-the-pin",
        bug="A root that a pinned function starts is bound to its version, too.",
        breaks="a root has a life of its own (pins)",
        file="adapter/engine/pinning.py",
        old="    free = own.unpinned or own.target",
        new="    free = own.target",
        check=(f"{VERSIONS}::test_calls_in_its_own_lambda_are_pinned_too_and_others_are_not",),
    ),
]
