"""From a message to its effects: a generator yields operations, and ports perform them.

A crash stops the engine between two operations, for ever. Each such stop is safe.
"""
