"""Pinned functions: an execution of one goes to the version of its Lambda that it began with, and to no other.

Its record names that version as its ``target``, so whoever invokes it, invokes that: the resumer, timers, retries, the
watchdog, a cancellation. What names the Lambda by an alias all the same (Lambda's own retry of the first message, a
duplicate) may come to another version, which *hands it on*. Whatever is called in the same Lambda goes there, too.

Pure: it yields operations.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

from adapter.engine.caller import Caller
from adapter.engine.ending import Ending, Steps
from adapter.engine.operations import Invoke, Operation, Pin, Tell
from adapter.engine.telling import What
from adapter.protocol import addresses
from adapter.protocol.making import changed
from adapter.protocol.messages import Cause, Message, Resume
from adapter.protocol.promises import Refused, Written
from adapter.protocol.records import Kind, Record
from adapter.replay.steps import Request


def is_elsewhere(own: Record, caller: Caller, message: Message) -> bool:
    """Whether a message came to another version than that to which its function is pinned.

    What was handed on isn't handed on again. It comes here only if there is no such version any more, and somebody has
    said that it moved here.
    """
    return bool(own.unpinned) and not message.by and not addresses.is_same(own.target, caller.here)


def hand_on(own: Record, caller: Caller, message: Message) -> Steps:
    """Have the function's own version run the message, as an attempt of the same request.

    So it invokes what an earlier attempt has created and not invoked. If this run dies before, Lambda's retry of it
    hands the message on. If it dies after, it is handed on twice, as any message may come twice.
    """
    sent = replace(message, by=caller.request_id)
    if isinstance(sent, Resume) and sent.cause.claims:
        # This run may have claimed its wake; so that one loads everything.
        sent = replace(sent, cause=Cause.AGAIN, firing=None, armed=None)
    yield Tell(What.HANDED_ON, own.id, own.fn, {"to": own.target})
    yield Invoke(own.target, sent)
    return Ending.HANDED_ON


def pin(own: Record, caller: Caller) -> Generator[Operation, Any, Record]:
    """The record of a function that begins, pinned to the version that runs here, if this one is published.

    Nothing has followed from the function yet. If this run dies before the write, whatever version runs the retry may
    pin it. Of two versions that run it at once, the first write stands, and the other one hands its message on.
    """
    if not addresses.is_version(caller.version) or own.unpinned:
        return own
    to = pinned(own, caller)
    written: Written = yield Pin(own.id, own.target, to.target, to.unpinned)
    stands = written.stands if isinstance(written, Refused) else written
    # If anything else moved it, the next conditional write finds that.
    return own if stands is None else changed(own, target=stands.target, unpinned=stands.unpinned)


def pinned(own: Record, caller: Caller) -> Record:
    """The record as it is with the pin. It names its Lambda as before, unless that was renamed."""
    lambda_ = addresses.split(own.target)[0]
    same = addresses.is_same(lambda_, caller.name)
    here = addresses.with_qualifier(lambda_ if same else caller.name, caller.version)
    # The name by which it goes on, should somebody take back the pin: no version, or that would be none.
    unpinned = addresses.with_qualifier(here, caller.alias) if addresses.version_of(own.target) else own.target
    return changed(own, target=here, unpinned=unpinned)


def pinned_root(root: Record, caller: Caller) -> Record:
    """A root that an event starts in its own Lambda, pinned from the outset, at no write."""
    is_here = addresses.is_same(addresses.split(root.target)[0], caller.name)
    return pinned(root, caller) if is_here and addresses.is_version(caller.version) else root


def address_of(own: Record, request: Request, caller: Caller) -> tuple[str, str]:
    """The name of the Lambda that runs what a function asks for; and, if that is its own one, what it is pinned from.

    What has a life of its own, a root that it starts, isn't bound by its pin.
    """
    free = own.unpinned or own.target
    if request.kind is not Kind.CALL:
        return caller.named(request.target, free), ""
    name = caller.named(request.target, own.target)
    name = own.target if name == own.unpinned else name
    return name, own.unpinned if name == own.target else ""
