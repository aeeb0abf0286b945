"""Code that can pause between two operations, so that invocations overlap. One runs at a time, in a known order."""

from __future__ import annotations

import threading
from collections.abc import Callable

from adapter.protocol.times import Instant
from adapter.testing.faults import Killed


class Activity:
    """Runs code in a thread of its own. The thread only runs while another one waits in `resume`.

    ``until``: it has paused to let time pass, until then.
    """

    def __init__(self, code: Callable[[], object]) -> None:
        self._code = code
        self._go, self._back = threading.Lock(), threading.Lock()
        self._go.acquire()
        self._back.acquire()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._dropped = False
        self._error: BaseException | None = None
        self.done = False
        self.until: Instant | None = None

    @property
    def is_current(self) -> bool:
        """Whether the caller is its code."""
        return threading.current_thread() is self._thread

    def resume(self) -> None:
        """Run the code until it pauses or ends. Raises what the code raised."""
        if self._thread.ident is None:
            self._thread.start()
        self._go.release()
        self._back.acquire()
        if self._error is not None:
            raise self._error

    def pause(self, until: Instant | None = None) -> None:
        """The code calls this: let others go on until `resume`."""
        self.until = until
        self._back.release()
        self._go.acquire()
        if self._dropped:
            raise Killed

    def drop(self) -> None:
        """End the code where it stands, as a crash would."""
        self._dropped = True
        while not self.done:
            self.resume()
        self._thread.join()

    def _run(self) -> None:
        self._go.acquire()
        try:
            if not self._dropped:
                self._code()
        except Killed:
            pass
        except BaseException as error:
            self._error = error
        finally:
            self.done = True
            self._back.release()
