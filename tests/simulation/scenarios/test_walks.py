"""Work whose extent nobody knows beforehand: research, walks, pages, queues."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from adapter import durable, run
from adapter.testing import LocalCloud
from tests.simulation.scenarios.stage import HOUR, Outside, is_calm

LINKS = {
    "tea": ["leaf", "pot", "water"],
    "leaf": ["camellia"],
    "pot": [],
    "water": ["rain", "ice"],
    "ice": ["snow"],
}


@dataclass(frozen=True)
class Findings:
    """What is known of a topic and of those beneath it."""

    topic: str
    depth: int
    sources: int


def test_research_follows_every_topic_that_it_comes_across(stage: LocalCloud) -> None:
    """Each topic is an execution of the same function; how deep it goes depends on what is found."""

    @durable
    def read_up(topic: str) -> list[str]:
        return LINKS.get(topic, [])

    @durable
    async def research(topic: str) -> Findings:
        below = await asyncio.gather(*(research(each) for each in await read_up(topic)))
        depth = 1 + max((each.depth for each in below), default=0)
        return Findings(topic, depth, 1 + sum(each.sources for each in below))

    assert stage.run(research, "tea") == Findings("tea", depth=4, sources=8)
    assert not is_calm(stage) or stage.stats.bodies[read_up] == 8


FOLDERS: dict[str, dict[str, int]] = {
    "/": {"/a": 0, "/b": 0, "/readme": 5},
    "/a": {"/a/x": 0, "/a/1": 10, "/a/2": 20},
    "/a/x": {"/a/x/deep": 300},
    "/b": {},
}


def test_a_tree_is_walked_level_by_level_each_folder_in_a_lambda_of_its_own(stage: LocalCloud) -> None:
    """One function holds the frontier; the next level is what this one has found."""

    @durable
    def contents(folder: str) -> dict[str, int]:
        return FOLDERS[folder]

    @durable
    async def size_of(root: str) -> tuple[int, int]:
        level, total, levels = [root], 0, 0
        while level:
            listings = await asyncio.gather(*(contents(folder) for folder in level))
            total += sum(sum(listing.values()) for listing in listings)
            level = [path for listing in listings for path in listing if path in FOLDERS]
            levels += 1
        return total, levels

    assert stage.run(size_of, "/") == (335, 3)


@dataclass(frozen=True)
class Page:
    entries: list[str]
    following: str | None


def test_an_api_is_read_page_by_page_with_one_write_for_each(stage: LocalCloud) -> None:
    """Each page is an inline step: after a crash, the function reads on from the last one in the table."""
    data = [f"entry-{number}" for number in range(23)]

    async def fetch(cursor: str | None) -> Page:
        begin = int(cursor or 0)
        end = begin + 5
        return Page(data[begin:end], str(end) if end < len(data) else None)

    @durable
    async def read_all() -> list[str]:
        page = await run(fetch, None)
        entries = page.entries
        while page.following:
            page = await run(fetch, page.following)
            entries = [*entries, *page.entries]
        return entries

    assert stage.run(read_all) == data
    assert not is_calm(stage) or stage.stats.writes == 5 + 2


def test_two_workers_share_a_queue_of_jobs_to_which_jobs_add_more(stage: LocalCloud, outside: Outside) -> None:
    """The next free worker takes a job, the same one at each replay."""

    @durable
    async def work(job: str, hours: int) -> list[str]:
        await asyncio.sleep(hours * HOUR)
        return [f"{job}.more"] if job == "b" else []

    @durable
    async def pool(jobs: dict[str, int]) -> dict[str, list[str]]:
        queue: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
        done: dict[str, list[str]] = {"ann": [], "bob": []}

        async def worker(name: str) -> None:
            while True:
                job, hours = await queue.get()
                for more in await work(job, hours):
                    queue.put_nowait((more, 1))
                done[name].append(job)
                queue.task_done()

        for each in jobs.items():
            queue.put_nowait(each)
        workers = [asyncio.create_task(worker(name)) for name in done]
        await queue.join()
        for one in workers:
            one.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        return done

    jobs = {"a": 9, "b": 2, "c": 4, "d": 12}
    assert stage.run(pool, jobs) == {"ann": ["a", "b.more"], "bob": ["b", "c", "d"]}
