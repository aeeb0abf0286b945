"""One run of a function's code over its records. Pure: records in, a step out.

The same records make the same code ask for the same things in the same order, or the run stops with a drift (I4). Only
`leaving` knows real time: it is where a function that makes no durable call leaves this room.
"""
