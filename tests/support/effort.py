"""How hard the tests try: enough to check a change, or, where ``SEARCH=1``, much more under the same laws.

`make test` checks, `make search` searches.
"""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")

SEARCH = os.environ.get("SEARCH") == "1"

ENGINE = "moto" if SEARCH else "memory"
"""Of clouds in tests that aren't about the edge. `tests/contract/test_engines.py` shows that both come to the same."""


def effort(check: T, search: T) -> T:
    """Of two amounts the one that is asked for."""
    return search if SEARCH else check
