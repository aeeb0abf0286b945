"""Executions seen and steered from outside: find them, take them out as files, replay them, get them going again.

The command ``durable`` and `LocalCloud` stand on this room, so that both do the same. It goes by a host's ports, and
changes records only by the protocol's transitions.
"""
