"""`durable init` makes an application that works as it is, or nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cfnlint.api import lint_file
from click.testing import CliRunner

from adapter.cli.adopting import shipped
from adapter.cli.commands import durable
from adapter.templates.template import default_template, load

ROOT = Path(__file__).resolve().parents[3]


def said(*arguments: object, code: int = 0) -> str:
    """What a command prints. It needs no table."""
    result = CliRunner().invoke(durable, [str(each) for each in arguments])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    said("init", tmp_path / "shop")
    return tmp_path / "shop"


def test_its_tests_pass_on_a_cloud_of_its_own_template(shop: Path) -> None:
    """Under faults, too: its CI runs them so."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--durable-chaos=2",
            "--durable-engine=memory",
        ],
        cwd=shop,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9 passed" in done.stdout


def test_its_template_is_valid_and_places_each_function_that_has_a_target(shop: Path) -> None:
    """Each handler is in its source, under the name that the target asks for."""
    assert [str(match) for match in lint_file(shop / "template.yaml")] == []
    template, source = load(shop / "template.yaml"), (shop / "src" / "app.py").read_text()
    own = {spec.name: spec.handler for spec in template.functions if not spec.handler.startswith("adapter.")}
    targets = re.findall(r'target="(\w+)"', source)
    assert own == {f"{template.prefix}{target}": f"app.{target}" for target in targets}


def test_its_files_name_it_and_the_package_that_made_it(shop: Path) -> None:
    """No placeholder is left; the layer and the tests get the same package."""
    files = {path.relative_to(shop).as_posix(): path.read_text() for path in shop.rglob("*") if path.is_file()}
    assert not [name for name, text in files.items() if re.search(r"\bNAME\b|LAMBDA_AWAIT", text)]
    assert files["README.md"].startswith("# shop\n")
    assert shipped.requirement() in files["durable/layer/requirements.txt"]
    assert files["requirements-dev.txt"].startswith(shipped.requirement("[testing,cli]"))
    assert {".gitignore", ".github/workflows/ci.yml", "pyproject.toml", "samconfig.toml"} <= files.keys()
    assert "durable lint template.yaml" in {
        step.get("run") for step in yaml.safe_load(files[".github/workflows/ci.yml"])["jobs"]["test"]["steps"]
    }


def test_its_own_template_is_short(shop: Path) -> None:
    """What every application would copy is an output of the library's stack."""
    lines = (shop / "template.yaml").read_text().splitlines()
    assert len(lines) < 50


def test_it_has_the_librarys_templates_and_all_that_the_layer_is_built_from(shop: Path) -> None:
    """No checkout is needed."""
    for file in default_template().parent.rglob("*"):
        if file.is_file():
            assert (shop / "durable" / file.relative_to(default_template().parent)).read_text() == file.read_text()
    assert (shop / "durable/layer/constraints.txt").read_text() == (ROOT / "constraints.txt").read_text()


@pytest.mark.parametrize("name", ["7up", "shop_1", "läden", "a" * 41, "."])
def test_a_name_that_no_stack_can_have_is_refused(name: str, tmp_path: Path) -> None:
    """Nothing is made."""
    assert "can't be an application's name" in said("init", tmp_path / name, code=1)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_already_stays(shop: Path) -> None:
    """The error says so, in a line."""
    before = sorted(shop.rglob("*"))
    (shop / "README.md").write_text("mine")
    out = said("init", shop, code=1)
    assert "exists already" in out
    assert (sorted(shop.rglob("*")), (shop / "README.md").read_text()) == (before, "mine")


def test_where_nothing_can_be_made_nothing_is(tmp_path: Path) -> None:
    """A file is in the way."""
    (tmp_path / "file").write_text("")
    assert "can't write" in said("init", tmp_path / "file" / "shop", code=1)


@pytest.mark.parametrize("arguments", [[], ["shop", "--into", "template.yaml"]])
def test_a_new_one_and_an_old_one_are_asked_for_apart(arguments: list[str]) -> None:
    """A usage error, before anything is made."""
    assert "NAME" in said("init", *arguments, code=2)


def test_the_copy_of_the_templates_is_renewed(shop: Path) -> None:
    """What changed is named. A directory of something else is left alone."""
    copy = shop / "durable"
    assert "already" in said("infra", copy)
    (copy / "engine.yaml").write_text("of an earlier version")
    (copy / "gone.yaml").write_text("of an earlier version")
    assert "engine.yaml, gone.yaml" in said("infra", copy)
    assert not (copy / "gone.yaml").exists()
    assert "already" in said("infra", copy)
    assert "no copy of lambda-await's templates" in said("infra", shop / "src", code=1)
    assert (shop / "src" / "app.py").exists()


PLAIN = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Orders:
    Type: AWS::Serverless::Function
    Properties: {FunctionName: !Sub "${AWS::StackName}_orders", Handler: app.checkout, Runtime: python3.13}
"""


def test_an_old_template_is_told_what_it_lacks(tmp_path: Path, shop: Path) -> None:
    """With these lines in it, it has all that a new application's has. It isn't changed."""
    path = tmp_path / "template.yaml"
    path.write_text(PLAIN)
    lines = said("init", "--into", path)
    assert path.read_text() == PLAIN
    shared, _, rest = lines.partition("# 3.")
    globals_ = shared[shared.index("Globals:") :]
    durable_ = rest[rest.index("  Durable:") : rest.index("# 4.")]
    (shop / "template.yaml").write_text(globals_ + PLAIN + durable_)
    new = load(shop / "template.yaml")
    (orders,) = [spec for spec in new.functions if spec.name == "local_orders"]
    assert orders.on_failure == "local-Durable-Time-DeadLetters"
    assert new.prefix == "local_"
    assert "DURABLE_STACK" in orders.environment


def test_what_an_old_template_has_already_is_only_compared(shop: Path) -> None:
    """The lines are comments then, to be copied by nobody."""
    lines = said("init", "--into", shop / "template.yaml")
    assert "Globals have Layers" in lines
    assert [line.split()[0] for line in lines.splitlines() if not line.startswith("#")] == [
        "FunctionName:",
        "Policies:",
    ]


def test_a_template_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    """In one line."""
    (tmp_path / "bad.yaml").write_text("Resources: [")
    assert "can't read the template" in said("init", "--into", tmp_path / "none.yaml", code=1)
    assert "bad.yaml" in said("init", "--into", tmp_path / "bad.yaml", code=1)
