"""A new application, and the copy of the library's templates that an application keeps.

All files are made beside the directory, which then gets its name: a death in between leaves no half of an application.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from adapter.cli.adopting import shipped
from adapter.errors import CallerError

COPY: Final = "durable"
"""Where an application keeps its copy of the library's templates."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,39}")


class Refused(CallerError):
    """Nothing was made or changed."""


def create(directory: Path) -> Iterator[str]:
    """Make an application in a directory that isn't there yet.

    Raises:
        Refused: it is there, or a stack can't have its name.
    """
    name = directory.name
    if not _NAME.fullmatch(name):
        raise Refused(
            f"{name!r} can't be an application's name: a stack's begins with a letter, and has at most 40 letters,"
            " digits and hyphens"
        )
    if directory.exists():
        raise Refused(f"{directory} exists already: choose another name, or durable init --into its template.yaml")
    _write(directory, {**_application(name), **_below(COPY, shipped.infrastructure())})
    yield f"made {directory}: its README.md has the commands"
    yield from _of_this_machine()


def renew(directory: Path) -> Iterator[str]:
    """Make the copy of the library's templates, or put this version's in its place.

    Raises:
        Refused: the directory holds something else.
    """
    if directory.exists() and not (directory / "durable.yaml").is_file():
        raise Refused(f"{directory} exists, and is no copy of lambda-await's templates: it has no durable.yaml")
    before = differing(directory)
    if before:
        _write(directory, shipped.infrastructure())
    yield f"{directory} has the templates of this lambda-await" + (f": {', '.join(before)}" if before else " already")
    yield from _of_this_machine()


def differing(directory: Path) -> list[str]:
    """The files of a copy that aren't as this version of the package has them, and those that it hasn't."""
    ours = shipped.infrastructure()
    theirs = {str(path.relative_to(directory).as_posix()) for path in directory.rglob("*") if path.is_file()}
    return sorted(
        name
        for name in ours.keys() | theirs
        if name not in ours or name not in theirs or (directory / name).read_text(encoding="utf-8") != ours[name]
    )


def _application(name: str) -> dict[str, str]:
    required = shipped.requirement("[testing,cli]")
    return {
        path: re.sub(r"\bNAME\b", name, text).replace("LAMBDA_AWAIT", required)
        for path, text in shipped.project().items()
    }


def _below(directory: str, files: Mapping[str, str]) -> dict[str, str]:
    return {f"{directory}/{path}": text for path, text in files.items()}


def _of_this_machine() -> Iterator[str]:
    if " @ file:" in (required := shipped.requirement()):
        yield f"this lambda-await came from this machine, and so does the layer's: {required}"


def _write(directory: Path, files: Mapping[str, str]) -> None:
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory.parent, prefix=f".{directory.name}-") as place:
            made = Path(place) / directory.name
            for path, text in files.items():
                (made / path).parent.mkdir(parents=True, exist_ok=True)
                (made / path).write_text(text, encoding="utf-8")
            _exchange(made, directory, Path(place) / "before")
    except OSError as error:
        raise Refused(f"can't write {directory}: {error.strerror}") from error


def _exchange(made: Path, directory: Path, aside: Path) -> None:
    there = directory.exists()
    if there:
        directory.rename(aside)
    try:
        made.rename(directory)
    except OSError:
        if there:
            aside.rename(directory)
        raise
