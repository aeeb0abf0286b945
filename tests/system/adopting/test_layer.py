"""The layer is made of what its directory says: a requirement, the installed package, or the checkout around it.

Only the commands are looked at. `make` prints them, and nothing is built: that would need an index of packages.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from adapter.cli.adopting import shipped

ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


def commands(layer: Path, *variables: str) -> str:
    """What the build of a layer would run."""
    done = subprocess.run(
        ["make", "-n", "-f", str(layer / "Makefile"), "build-Library", "ARTIFACTS_DIR=/built", *variables],
        cwd=layer,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def written(place: Path) -> Path:
    for name, text in shipped.infrastructure().items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    return place / "layer"


def test_an_applications_layer_is_made_of_its_requirement(tmp_path: Path) -> None:
    """With the versions that its copy pins."""
    layer = written(tmp_path / "durable")
    said = commands(layer)
    assert f'cd "{layer}"' in said
    assert " --requirement requirements.txt" in said
    assert f'--constraint "{layer}/constraints.txt"' in said


def test_the_layer_of_an_installed_package_is_made_of_that_version(tmp_path: Path) -> None:
    """So what pip put somewhere can be built there."""
    layer = written(tmp_path / "site-packages" / "adapter" / "_infra")
    (layer / "requirements.txt").unlink()
    (tmp_path / "site-packages" / "lambda_await-1.2.3.dist-info").mkdir()
    assert " lambda-await==1.2.3\n" in commands(layer)


def test_a_layer_that_finds_no_library_says_what_to_do(tmp_path: Path) -> None:
    """In a container, only the layer's own directory is there. A wheel in it is found by its name."""
    layer = tmp_path / "source" / "layer"
    shutil.copytree(ROOT / "infra" / "layer", layer)
    asked = ["make", "build-Library", "ARTIFACTS_DIR=/built", f"PYTHON={sys.executable}"]
    done = subprocess.run(asked, cwd=layer, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "write its requirement into requirements.txt beside this Makefile" in done.stderr
    (layer / "requirements.txt").write_text("./lambda_await-0.1.0-py3-none-any.whl\n")
    assert " --requirement requirements.txt" in commands(layer)


def test_the_layer_of_a_checkout_is_made_of_the_checkout() -> None:
    """With the checkout's own pins."""
    said = commands(ROOT / "infra" / "layer")
    assert f' "{ROOT}"\n' in said
    assert f'--constraint "{ROOT}/constraints.txt"' in said


def test_the_layer_is_for_the_functions_platform_whatever_python_builds_it(tmp_path: Path) -> None:
    """It is compiled by the functions' Python only: byte code of another one would be dead weight."""
    said = commands(written(tmp_path), f"PYTHON={sys.executable}")
    assert said.count(f'"{sys.executable}" -m pip') == 2
    assert "--no-compile" in said
    assert "--platform manylinux2014_aarch64 --implementation cp --python-version 3.13 --only-binary=:all:" in said
    assert "sys.version_info[:2] != (3, 13)" in said


def test_without_a_python_the_build_says_what_to_do(tmp_path: Path) -> None:
    """Before it does anything."""
    layer = written(tmp_path)
    done = subprocess.run(
        ["make", "-f", str(layer / "Makefile"), "build-Library", "ARTIFACTS_DIR=/nowhere", "PYTHON="],
        cwd=layer,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "the layer needs a Python 3 with pip" in done.stderr
