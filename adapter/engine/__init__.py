"""From a message to its effects: a generator of operations, and the ports that perform them.

The engine may be stopped between any two operations, for ever: that is what a crash is, and each such stop is safe.
"""
