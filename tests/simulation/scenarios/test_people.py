"""People in the loop: a promise is handed out, and somebody answers, late or never."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from adapter import Durable, cancel, durable, errors, reject, resolve
from adapter.testing import LocalCloud
from tests.simulation.scenarios.stage import DAY, HOUR, Outside


def expenses(outside: Outside) -> Durable[[int], str]:
    """Ask the clerk, remind after a day, ask the director after another; after five days it lapses."""

    @durable
    def write_to(who: str, what: str) -> None:
        outside.request(f"{what} {who}")

    @durable
    async def expense(cents: int) -> str:
        answer = await outside.ask("answer", bool)
        await write_to("clerk", "ask")
        for who, what, patience in (("clerk", "remind", DAY), ("director", "ask", DAY), ("", "", 3 * DAY)):
            try:
                async with asyncio.timeout(patience):
                    return f"{cents} {'paid' if await asyncio.shield(answer) else 'refused'}"
            except TimeoutError:
                if who:
                    await write_to(who, what)
        return f"{cents} lapsed"

    return expense


def test_an_expense_that_the_clerk_answers_late_was_reminded_of_once(stage: LocalCloud, outside: Outside) -> None:
    """The clerk answers thirty hours later. The director never hears of it."""
    handle = expenses(outside).start(900)
    stage.advance(30 * HOUR)
    resolve(outside.ids["answer"], False)
    assert handle.result() == "900 refused"
    assert outside.log == ["ask clerk", "remind clerk"]


def test_an_expense_that_nobody_answers_is_escalated_and_lapses(stage: LocalCloud, outside: Outside) -> None:
    """An answer after that is told that it comes too late."""
    assert stage.run(expenses(outside), 900) == "900 lapsed"
    assert outside.log == ["ask clerk", "remind clerk", "ask director"]
    with pytest.raises(errors.AlreadySettled) as told:
        resolve(outside.ids["answer"], True)
    assert told.value.state == "rejected_canceled"


def committee(outside: Outside) -> Durable[[list[str], int], tuple[bool, list[str]]]:
    """Ask all members; whichever side has enough votes first decides."""

    @durable
    async def decide(members: list[str], quorum: int) -> tuple[bool, list[str]]:
        ballots = {member: await outside.ask(member, bool) for member in members}
        votes: dict[bool, list[str]] = {True: [], False: []}
        waiting = set(ballots.values())
        while True:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for member, ballot in ballots.items():
                if ballot in done:
                    votes[ballot.result()].append(member)
            for verdict, voters in votes.items():
                if len(voters) >= quorum:
                    return verdict, voters

    return decide


def test_two_of_three_approve_and_the_third_need_not_answer(stage: LocalCloud, outside: Outside) -> None:
    """The function withdraws the last ballot."""
    handle = committee(outside).start(["ana", "ben", "cleo"], 2)
    for member in ("cleo", "ana"):
        stage.advance(HOUR)
        resolve(outside.ids[member], True)
    assert handle.result() == (True, ["cleo", "ana"])
    with pytest.raises(errors.AlreadySettled, match="canceled"):
        resolve(outside.ids["ben"], True)


def test_two_of_three_refuse_though_the_first_vote_was_in_favour(stage: LocalCloud, outside: Outside) -> None:
    """Two votes arrive in the same instant."""
    handle = committee(outside).start(["ana", "ben", "cleo"], 2)
    stage.advance(HOUR)
    resolve(outside.ids["ben"], True)
    stage.advance(HOUR)
    resolve(outside.ids["cleo"], False)
    resolve(outside.ids["ana"], False)
    assert handle.result() == (False, ["ana", "cleo"])


def test_the_second_of_two_who_decide_is_told_what_the_first_decided(stage: LocalCloud, outside: Outside) -> None:
    """The second may try in any way: the case goes the way of the first."""

    @durable
    async def case() -> str:
        return await (await outside.ask("verdict", str))

    handle = case.start()
    stage.advance(HOUR)
    verdict = outside.ids["verdict"]
    resolve(verdict, "guilty")
    for late in (lambda: resolve(verdict, "free"), lambda: reject(verdict, "mistrial"), lambda: cancel(verdict)):
        with pytest.raises(errors.AlreadySettled, match="resolved"):
            late()  # type: ignore[no-untyped-call]
    assert handle.result() == "guilty"


@dataclass(frozen=True)
class ToolCall:
    tool: str
    argument: str


@dataclass(frozen=True)
class Reply:
    text: str = ""
    calls: list[ToolCall] = field(default_factory=list)


SCRIPT = [
    Reply(calls=[ToolCall("search", "cheap flights"), ToolCall("search", "hotels")]),
    Reply(calls=[ToolCall("pay", "flight 7")]),
    Reply(calls=[ToolCall("pay", "hotel 3"), ToolCall("search", "museums")]),
    Reply(text="booked the hotel; see the museums"),
]
"""What the model says, turn by turn."""


def test_an_agent_uses_tools_until_it_is_done_and_pays_only_what_a_person_approves(
    stage: LocalCloud, outside: Outside
) -> None:
    """Harmless tools run side by side; a payment waits for its approval, a refusal is what the model then reads."""

    @durable
    def model(turn: int, transcript: list[str]) -> Reply:
        return SCRIPT[turn]

    @durable
    def search(query: str) -> str:
        return f"results for {query}"

    @durable
    def pay(what: str) -> str:
        outside.request(f"pay {what}")
        return f"paid {what}"

    async def use(call: ToolCall) -> str:
        if call.tool == "search":
            return await search(call.argument)
        if await (await outside.ask(call.argument, bool)):
            return await pay(call.argument)
        return f"refused: {call.argument}"

    @durable
    async def agent(task: str) -> list[str]:
        transcript = [task]
        for turn in range(10):
            reply = await model(turn, transcript)
            if not reply.calls:
                return [*transcript, reply.text]
            transcript += await asyncio.gather(*(use(call) for call in reply.calls))
        return [*transcript, "gave up"]

    handle = agent.start("book a trip")
    stage.advance(HOUR)
    resolve(outside.ids["flight 7"], False)
    stage.advance(HOUR)
    resolve(outside.ids["hotel 3"], True)
    assert handle.result() == [
        "book a trip",
        "results for cheap flights",
        "results for hotels",
        "refused: flight 7",
        "paid hotel 3",
        "results for museums",
        "booked the hotel; see the museums",
    ]
    assert outside.log == ["pay hotel 3"]
