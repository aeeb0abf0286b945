"""One run of a function's code over its records. Pure: records in, steps out.

Over the same records, the same code asks for the same things in the same order; otherwise the run stops with a drift
(I4). Only `leaving` knows real time: there a function that makes no durable call leaves this room.
"""
