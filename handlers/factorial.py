"""Recursion across machines: each call is its own Lambda invocation, which waits for the next one down at no cost."""

from __future__ import annotations

from adapter import durable


@durable(target="factorial")
async def factorial(n: int) -> int:
    """``n!``, of any size. A crash of any of the ``n`` calls costs that call alone; the others keep their results.

    Raises:
        ValueError: n is negative; a caller on another machine sees the same exception.
    """
    if n < 0:
        raise ValueError(f"factorial of a negative number: {n}")
    return n * await factorial(n - 1) if n > 1 else 1
