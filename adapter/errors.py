"""Every exception of the package, grouped by who must act. Imports nothing.

``DurableError`` is the root of all of them, so ``except DurableError`` catches what this package raises and
nothing else. What user code raises crosses machines under its own class and is no ``DurableError``.
"""


class DurableError(Exception):
    """The root of every exception that this package raises."""


class CallerError(DurableError):
    """The calling code must change: nothing was written, a retry would fail alike."""


class OutcomeError(DurableError):
    """How a promise ended, as the code that awaits it sees it: that code decides what follows."""


class PlatformError(DurableError):
    """The platform failed or refused: retried by the platform, harmless to repeat."""


class OperatorError(DurableError):
    """An execution stands still until a person acts, usually by deploying a fix."""


class CodecError(CallerError):
    """A value can't be stored under its annotation; names function, argument and path.

    ``brief`` says the same without anything of the value, for logs; empty where that isn't known.
    """

    def __init__(self, message: str = "", brief: str = "") -> None:
        super().__init__(message)
        self.brief = brief


class PayloadTooLarge(CallerError):
    """An argument, result or error is larger than what can be stored or sent."""


class IdConflict(CallerError):
    """The id belongs to an execution of another function, or with other arguments."""


class InvalidId(CallerError):
    """The id that a caller chose can't be the id of a root promise."""


class UnknownPromise(CallerError):
    """No promise has this id."""


class AlreadySettled(CallerError):
    """The promise was settled before, by someone else; the error says what stands.

    ``state`` is the state that stands (``"resolved"``, ``"rejected"``, …).
    """

    def __init__(self, message: str, state: str = "") -> None:
        super().__init__(message)
        self.state = state


class MixedIO(CallerError):
    """Real I/O in a function that also makes durable calls: it would be repeated at every resume."""


class NotDurable(CallerError):
    """A durable call was made where none can be: outside of an execution, or inside an inline step."""


class DuplicateName(CallerError):
    """Two durable functions of one process claim the same name."""


class UnknownFunction(CallerError):
    """An invocation names a durable function that this Lambda's code doesn't define."""


class BadMessage(CallerError):
    """An envelope, record or item that this version can't read; says why."""


class OtherVersion(BadMessage):
    """An item or envelope of a version that this code doesn't read: wait until one version is deployed everywhere."""


class ConfigurationError(CallerError):
    """The environment lacks what the package needs, for instance the table's name."""


class PromiseTimeout(OutcomeError, TimeoutError):
    """The promise was settled ``rejected_timedout``: its deadline passed first."""


class PromiseCancelled(OutcomeError):
    """The promise was settled ``rejected_canceled``, by someone other than the awaiting code."""


class RemoteError(OutcomeError):
    """The callee raised an exception whose class isn't importable here.

    ``class_name`` is the class's full name, ``message`` its text.
    """

    def __init__(self, message: str, class_name: str = "") -> None:
        super().__init__(f"{class_name}: {message}" if class_name else message)
        self.class_name = class_name
        self.message = message


class FunctionCrashed(OutcomeError):
    """The callee's Lambda died (out of memory, Lambda timeout, killed) more often than its retries allow."""


class RemoteTraceback(DurableError):
    """The traceback of another machine, as text; the ``__cause__`` of an exception that crossed machines."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


class Stuck(OperatorError):
    """Nothing can move any more; names what each function waits for."""


class NonDeterminismError(OperatorError):
    """A replay asked for something other than what is stored; shows both. The execution is paused.

    ``brief`` says the same without arguments, for logs.
    """

    def __init__(self, message: str = "", brief: str = "") -> None:
        super().__init__(message)
        self.brief = brief


class Paused(NonDeterminismError, Stuck):
    """The execution stands still since its code drifted from its history; deploy the fix, start it again."""


class Superseded(PlatformError):
    """Another run of the same function went further; this one leaves everything to it."""
