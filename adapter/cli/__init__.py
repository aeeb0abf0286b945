"""The command ``durable``: what runs, how it stands, and what an operator may do about it.

It reads, and writes by the same transitions as everything else. click and rich come with ``lambda-await[cli]``, and are
imported by nothing but this command.
"""

from __future__ import annotations

import sys


def main() -> None:
    """The entry point. Ends the process: 0, 1 for an error, 2 for a command line that can't be read."""
    try:
        from adapter.cli.commands import durable
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in ("click", "rich"):
            raise
        sys.exit("durable needs click and rich: pip install 'lambda-await[cli]'")
    durable()
