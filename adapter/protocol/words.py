"""An option that there isn't, and the one that was meant. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping


def no_such_option(of: str, given: str, known: Collection[str], meant: Mapping[str, str]) -> TypeError:
    """The error for an option ``given`` to ``of``. ``meant`` has what other libraries call an option, and ours."""
    likely = meant.get(given) or _close(given, known)
    hint = f"did you mean {likely}?" if likely else f"it takes {', '.join(known)}"
    return TypeError(f"{of} has no option {given!r}: {hint}")


def _close(given: str, known: Collection[str]) -> str:
    import difflib  # Only here: nobody needs it who makes no mistake.

    found = difflib.get_close_matches(given, known, n=1)
    return f"{found[0]}=" if found else ""
