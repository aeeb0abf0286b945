"""Fixtures of the store's contract: each law is tried on every store."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator

import botocore.loaders
import pytest

from adapter.aws.store import DynamoStore
from adapter.engine.ports import Store
from tests.contract.stores import STORES
from tests.contract.tables import TABLES, Table
from tests.support import servers

_roots = itertools.count()


@pytest.fixture(scope="session", autouse=True)
def _service_models_are_read_once() -> Iterator[None]:
    """Parsing megabytes of JSON again for each world's clients would take most of these tests' time."""
    with pytest.MonkeyPatch.context() as patch:
        loader = botocore.loaders.JSONFileLoader
        patch.setattr(loader, "_load_file", functools.cache(loader._load_file))
        yield


@pytest.fixture(scope="session", autouse=True)
def _servers_end_with_the_tests() -> Iterator[None]:
    """A server that no test has asked for never starts."""
    yield
    servers.stop_all()


@pytest.fixture(scope="module", params=STORES)
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """Every store, one after the other; tests keep apart by `root`."""
    with STORES[request.param]() as made:
        yield made


@pytest.fixture(scope="module", params=TABLES)
def table(request: pytest.FixtureRequest) -> Iterator[Table]:
    """A table with its stream on every engine, one after the other."""
    with TABLES[request.param]() as made:
        yield made


@pytest.fixture(scope="module")
def dynamo(table: Table) -> DynamoStore:
    """DynamoDB's store, for what only it can get wrong."""
    return table.store


@pytest.fixture
def new_root() -> Callable[[], str]:
    """Makes ids that no other test uses. None is the beginning of another, so a test may append to its own."""
    return lambda: f"root-{next(_roots)}-"


@pytest.fixture
def root(new_root: Callable[[], str]) -> str:
    """The id of a root that doesn't exist yet."""
    return new_root()
