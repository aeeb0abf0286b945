"""The command ``durable``: an operator sees what runs and how it stands, and can settle, cancel or resume it.

It changes records by the same transitions as the engine. click and rich come with ``lambda-await[cli]``; only this
command imports them.
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
