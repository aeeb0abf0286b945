"""With a cipher, nothing at rest shows what was passed, returned or raised; programs behave as without one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from adapter import Retry, attach, durable, promise, resolve, run, schedule
from adapter.engine import registry
from adapter.errors import Paused, PayloadTooLarge
from adapter.protocol.records import MAX_PAYLOAD_BYTES
from adapter.testing import LocalCloud
from adapter.testing.events import Event
from tests.support.ciphers import NAME
from tests.support.laws import STORM, forget

SECRET = "4711-0815"


@durable(name="encryption:charge")
def charge(card: str, times: int = 1) -> str:
    return f"charged {card}" * times


@durable(name="encryption:declines", retry=Retry(attempts=2))
def declines(card: str) -> str:
    raise ValueError(f"declined: {card}")


@durable(name="encryption:nested")
async def nested(card: str) -> list[str]:
    return await charge.map([card, card])


@durable(name="encryption:checkout")
async def checkout(card: str, times: int) -> list[str]:
    """Every way in which data comes to rest."""
    large = await charge(card, times)
    shared, again = await asyncio.gather(
        charge.with_options(id="shared")(card, times), charge.with_options(id="shared")(card, times)
    )
    late = await attach("shared")
    detached = await charge.with_options(id="apart").detach(card)
    try:
        await declines(card)
    except ValueError as error:
        message = str(error)
    inline = await run(str.upper, f"inline {card}")
    answer = await promise(str)
    await asyncio.sleep(3_600)
    return [large, shared, again, late, detached, message, inline, answer, *await nested(card)]


@durable(name="encryption:opens")
async def opens(card: str) -> str:
    answer = await promise(str)
    return answer + await charge(card)


class Seen:
    """All that comes to rest: what the stream tells has every version of every item; envelopes; objects."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.texts: set[str] = set()
        cloud.watchers.append(self.look)

    def look(self, event: Event | None = None) -> None:
        service = self.cloud.service
        self.texts |= {invocation.payload for invocation in service.ready}
        for poller in self.cloud._world.pollers:
            self.texts |= {json.dumps(record, default=str) for record in poller.backlog}
        if event is not None:
            self.texts.add(json.dumps([event.what, event.promise, event.fn]))

    def all(self) -> str:
        self.look()
        world: Any = self.cloud._world
        items = [str(record) for record in world.records()]
        changes = [json.dumps(change) for change in getattr(world.store, "changes", ())]
        return "\n".join([*self.texts, *items, *changes, *world.objects().values(), *world.objects()])


@pytest.fixture(autouse=True)
def _cipher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DURABLE_CIPHER", NAME)


@pytest.fixture(params=["moto", "memory", "cold", "storm"])
def cloud(request: pytest.FixtureRequest) -> Iterator[LocalCloud]:
    """Each engine; each resume a replay; and faults."""
    storm = request.param == "storm"
    engine = request.param if request.param in ("moto", "memory") else "memory"
    with LocalCloud(engine=engine, seed=5, faults=STORM if storm else None) as made:
        if request.param == "cold":
            made.watchers.append(lambda event: forget(made))
        yield made


def play(cloud: LocalCloud, times: int) -> list[str]:
    handle = checkout.with_options(id="shop").start(SECRET, times)
    cloud.advance(1_800)
    (waiting,) = [record.id for record in cloud.records() if record.kind == "external"]
    resolve(waiting, f"answer {SECRET}")
    return handle.result()


def expected(times: int) -> list[str]:
    charged = f"charged {SECRET}"
    return [
        *[charged * times] * 4,
        "apart",
        f"declined: {SECRET}",
        f"INLINE {SECRET}",
        f"answer {SECRET}",
        charged,
        charged,
    ]


@pytest.mark.parametrize("times", [1, 2_000], ids=["in the item", "in the bucket"])
def test_nothing_at_rest_shows_what_was_passed_returned_or_raised(cloud: LocalCloud, times: int) -> None:
    """No item in any version, no stream record, no object, no envelope; and the program gives what it gives."""
    seen = Seen(cloud)
    assert play(cloud, times) == expected(times)
    schedule("nightly", "rate(1 day)", charge, SECRET)
    cloud.advance(90_000)
    assert [record for record in cloud.records() if record.id.startswith("nightly@")]
    everything = seen.all()
    assert SECRET not in everything
    assert "!" in everything
    assert "shop~0" in everything


def test_without_the_cipher_all_of_it_shows(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above would find what it looks for."""
    monkeypatch.delenv("DURABLE_CIPHER")
    with LocalCloud(engine="memory") as plain:
        seen = Seen(plain)
        assert play(plain, 1) == expected(1)
        for marker in (f"charged {SECRET}", f"declined: {SECRET}", f"INLINE {SECRET}", f"answer {SECRET}"):
            assert marker in seen.all()


def test_the_text_of_a_drift_is_encrypted_and_shown_to_whoever_waits(cloud: LocalCloud) -> None:
    """It names the arguments of the call that isn't in the history."""
    seen = Seen(cloud)
    handle = opens.start(SECRET)
    cloud.advance(3_600)

    async def drifted(card: str) -> str:
        return await charge(card)

    registry.definitions[opens.name] = replace(opens.definition, function=drifted)
    try:
        for function in cloud.service.functions.values():
            function.memory.clear()
        resolve(f"{handle.id}~0", "x")
        with pytest.raises(Paused, match=SECRET):
            handle.result()
    finally:
        registry.definitions[opens.name] = opens.definition
    assert SECRET not in seen.all()


def test_digests_are_of_what_was_meant(cloud: LocalCloud) -> None:
    """The same start finds its execution, though the cipher would write another text."""
    once = charge.with_options(id="one").start(SECRET)
    cloud.drive()
    assert charge.with_options(id="one").start(SECRET).result() == once.result() == f"charged {SECRET}"


def test_without_a_bucket_the_limit_leaves_room_for_the_cipher(without_bucket: Callable[[str], LocalCloud]) -> None:
    """Arguments and result, encrypted, share an item."""
    largest = MAX_PAYLOAD_BYTES // 2
    with without_bucket("moto") as cloud:
        assert cloud.run(echo, "x" * (largest - 100)) == "x" * (largest - 100)
        with pytest.raises(PayloadTooLarge, match=str(largest)):
            cloud.run(echo, "x" * largest)


@durable(name="encryption:echo")
def echo(text: str) -> str:
    return text
