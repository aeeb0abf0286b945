"""What the package brings beside its code: its templates, the files of a new application, and what it was installed as.

In a wheel they are inside the package; in a checkout, beside it.
"""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Final

from adapter.errors import ConfigurationError
from adapter.templates.template import default_template

PACKAGE: Final = "lambda-await"
_HERE = Path(__file__).resolve().parents[2]
_LEFT_OUT = {"__pycache__", ".pytest_cache", ".ruff_cache", ".mypy_cache", ".aws-sam", ".venv"}


def project() -> dict[str, str]:
    """The files of a new application, by path."""
    return _texts(_beside("_project", "docs/project"))


def infrastructure() -> dict[str, str]:
    """The library's own templates and its layer, by path, as an application keeps a copy of them."""
    found = _texts(default_template().parent)
    constraints = _HERE.parent / "constraints.txt"
    if "layer/constraints.txt" not in found and constraints.is_file():
        found["layer/constraints.txt"] = constraints.read_text(encoding="utf-8")
    return {
        **found,
        "layer/requirements.txt": f"# Only this line: other packages belong beside your code.\n{requirement()}\n",
    }


def requirement(extras: str = "") -> str:
    """What pip installs this very package by: its version, or where it was installed from if that was no index."""
    try:
        installed = metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError:
        raise ConfigurationError(f"{PACKAGE} isn't installed here, only importable: install it with pip") from None
    came_from = installed.read_text("direct_url.json")
    name = PACKAGE + extras
    return f"{name} @ {_address(json.loads(came_from))}" if came_from else f"{name}=={installed.version}"


def _address(origin: dict[str, dict[str, str]] | dict[str, str]) -> str:
    """PEP 610's record as an address that pip takes."""
    url, control = str(origin["url"]), origin.get("vcs_info")
    return f"{control['vcs']}+{url}@{control['commit_id']}" if isinstance(control, dict) else url


def _beside(inside: str, outside: str) -> Path:
    for place in (_HERE / inside, _HERE.parent / outside):
        if place.is_dir():
            return place
    raise ConfigurationError(f"the installation of {_HERE} lacks its files of a new application; install it again")


def _texts(place: Path) -> dict[str, str]:
    files = (file for file in sorted(place.rglob("*")) if file.is_file())
    named = ((file.relative_to(place).as_posix(), file) for file in files)
    return {name: file.read_text(encoding="utf-8") for name, file in named if not _left_out(name)}


def _left_out(name: str) -> bool:
    return name.endswith(".pyc") or not _LEFT_OUT.isdisjoint(name.split("/"))
