"""Every exception of the package, grouped by who must act. This module imports nothing.

``DurableError`` is the root of all of them, so ``except DurableError`` catches the exceptions of this package and
nothing else. An exception of user code crosses machines under its own class, and is no ``DurableError``.
"""


class DurableError(Exception):
    """The root of every exception that this package raises."""


class CallerError(DurableError):
    """The calling code must change. Nothing was written, and a retry would fail the same way."""


class OutcomeError(DurableError):
    """A promise ended so. The code that awaits it decides what follows."""


class PlatformError(DurableError):
    """The platform failed or refused. It retries by itself, and repeating does no harm."""


class OperatorError(DurableError):
    """An execution stands still until a person acts, usually by deploying a fix."""


class CodecError(CallerError):
    """A value can't be stored under its annotation. The message names function, argument and path.

    ``brief`` says the same for logs, with nothing of the value in it. It is empty where there is no such text.
    """

    def __init__(self, message: str = "", brief: str = "") -> None:
        super().__init__(message)
        self.brief = brief


class PayloadTooLarge(CallerError):
    """An argument, a result or an error is too large to be stored or sent."""


class IdConflict(CallerError):
    """The id belongs to an execution of another function, or with other arguments."""


class TooManyFollowers(CallerError):
    """So many promises of other executions await a root already that its record takes no more of them."""


class InvalidId(CallerError):
    """The id that a caller chose can't be the id of a root promise."""


class UnknownPromise(CallerError):
    """No promise has this id."""


class AlreadySettled(CallerError):
    """Someone else has settled the promise before. The error says what stands.

    ``state`` is the state that stands (``"resolved"``, ``"rejected"``, …).
    """

    def __init__(self, message: str, state: str = "") -> None:
        super().__init__(message)
        self.state = state


class MixedIO(CallerError):
    """A function that makes durable calls also does real I/O, which every resume would repeat."""


class NotDurable(CallerError):
    """A durable call was made where none can be made: outside of an execution, or inside an inline step."""


class DuplicateName(CallerError):
    """Two durable functions of one process claim the same name."""


class UnknownFunction(CallerError):
    """An invocation names a durable function that this Lambda's code doesn't define."""


class BadMessage(CallerError):
    """This version can't read an envelope, a record or an item. The message says why."""


class OtherVersion(BadMessage):
    """This code doesn't read the version of an item or an envelope. Deploy one version everywhere."""


class UnsignedEnvelope(BadMessage):
    """An event looks like a message of this package, and nobody signed it who may: it came from outside."""


class ConfigurationError(CallerError):
    """The environment lacks what the package needs, for instance the table's name."""


class PromiseTimeout(OutcomeError, TimeoutError):
    """The promise was settled ``rejected_timedout``, since its deadline passed first."""


class PromiseCancelled(OutcomeError):
    """Someone other than the awaiting code settled the promise ``rejected_canceled``."""


class RemoteError(OutcomeError):
    """The callee raised an exception whose class this process hasn't loaded.

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
    """Nothing can move any more. The message names what each function waits for."""


class NonDeterminismError(OperatorError):
    """A replay asked for something other than what is stored, and the execution is paused. The message shows both.

    ``brief`` says the same for logs, without arguments.
    """

    def __init__(self, message: str = "", brief: str = "") -> None:
        super().__init__(message)
        self.brief = brief


class Paused(NonDeterminismError, Stuck):
    """The execution is paused, since its code drifted from its history. Deploy the fix, then start it again."""


class Unreachable(PlatformError):
    """Lambda refuses to invoke a function, or doesn't answer. ``why``: in a word, or by the name of AWS's error.

    ``target`` is the Lambda that was tried last, if what names it goes to others by now.
    """

    def __init__(self, message: str, target: str, why: str) -> None:
        super().__init__(message)
        self.target = target
        self.why = why


class Superseded(PlatformError):
    """Another run of the same function has gone further, so this one leaves everything to it."""
