"""Run by the Python of `.ministack`, on a socket that it is given: nobody else can take the port first.

Its standard input is a pipe that nobody writes to. It ends when that is closed: a test run that is killed leaves no
server behind.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack.app import app


def end_with_whoever_started_this() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


threading.Thread(target=end_with_whoever_started_this, daemon=True).start()
config = Config()
config.bind = [f"fd://{sys.argv[1]}"]
asyncio.run(serve(app, config))
