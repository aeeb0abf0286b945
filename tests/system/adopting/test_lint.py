"""`durable lint` finds each thing that a template lacks, and nothing in one that lacks nothing."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from adapter.cli.adopting.linting import findings
from adapter.cli.commands import durable

ROOT = Path(__file__).resolve().parents[3]

CHANGED = {
    "layer": [("    Layers: [!GetAtt Durable.Outputs.LayerArn]\n", "")],
    "platform": [("python3.13", "python3.12"), ("arm64", "x86_64")],
    "variables": [
        ("    Environment: { Variables: { DURABLE_STACK: !GetAtt Durable.Outputs.Variables } }\n", ""),
        ("DURABLE_STACK: !GetAtt Durable.Outputs.Variables }", "DURABLE_STACK: none }"),
        ("Outputs.Variables } }", "Outputs.Variables, DURABLE_TABLE: another } }"),
    ],
    "permissions": [
        ("      Policies: [!GetAtt Durable.Outputs.PolicyArn]\n", ""),
        (
            "[!GetAtt Durable.Outputs.PolicyArn]",
            "[Statement: [{Effect: Allow, Action: 'dynamodb:*', Resource: '*'}]]",
        ),
        ("Policies: [!GetAtt Durable.Outputs.PolicyArn]", "Role: arn:aws:iam::123456789012:role/elsewhere"),
    ],
    "name": [
        ("      FunctionName: !Sub ${AWS::StackName}_charge\n", ""),
        ("      FunctionName: !Sub ${AWS::StackName}_checkout\n", "      FunctionName: another\n"),
        ('      Parameters: { StackPrefix: !Sub "${AWS::StackName}_" }\n', ""),
    ],
    "destination": [
        (
            "    EventInvokeConfig:\n      DestinationConfig: { OnFailure: { Type: SQS, Destination:"
            " !GetAtt Durable.Outputs.DeadLettersArn } }\n",
            "",
        ),
        ("!GetAtt Durable.Outputs.DeadLettersArn", "arn:aws:sqs:us-east-1:123456789012:another"),
    ],
    "alias": [
        ("    Timeout: 60\n", "    Timeout: 60\n    AutoPublishAlias: live\n"),
        (
            "    Timeout: 60\n",
            "    Timeout: 60\n    AutoPublishAlias: live\n    SnapStart: { ApplyOn: PublishedVersions }\n",
        ),
        ('{ StackPrefix: !Sub "${AWS::StackName}_" }', '{ StackPrefix: !Sub "${AWS::StackName}_", Alias: live }'),
    ],
    "pin": [],
    "recursion": [
        ("    RecursiveLoop: Allow # else", "    # else"),
        ("RecursiveLoop: Allow", "RecursiveLoop: Terminate"),
    ],
    "timeout": [("    Timeout: 60\n", ""), ("Timeout: 60", "Timeout: 5")],
    "handler": [("app.checkout", "app.chekout"), ("app.checkout", "shop.checkout"), ("app.checkout", "app.DAY")],
    "target": [("${AWS::StackName}_charge", "${AWS::StackName}_charging")],
    "unknown": [("app.charge", "other.handler")],
    "visibility": [],
    "batch": [],
    "wake": [],
    "linger": [],
    "stack": [("  Durable:\n    Type: AWS::Serverless::Application", "  Durable:\n    Type: AWS::SSM::Parameter")],
    "copy": [],
}
"""What is replaced in the template of a new application, by the rule that has to find it."""

QUEUE = """\
  Orders:
    Type: AWS::SQS::Queue
    Properties: { VisibilityTimeout: HIDDEN }

"""
MAPPED = """\
      Events:
        Ordered:
          Type: SQS
          Properties: { Queue: !GetAtt Orders.Arn, FunctionResponseTypes: [REPORTED] }
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("made") / "shop"
    assert CliRunner().invoke(durable, ["init", str(place)]).exit_code == 0
    (place / "src" / "other.py").write_text("def handler(event, context):\n    print('hello')\n")
    return place


Broken = Callable[..., Path]


@pytest.fixture
def broken(made: Path, tmp_path: Path) -> Broken:
    """A copy of the application with another template."""
    shop = shutil.copytree(made, tmp_path / "shop")

    def change(old: str, new: str) -> Path:
        path = shop / "template.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        return path

    return change


ALIAS = '{ StackPrefix: !Sub "${AWS::StackName}_", Alias: live }'
OF_VERSION = """\
  CheckoutVersion:
    Type: AWS::Lambda::EventInvokeConfig
    UpdateReplacePolicy: Retain
    Properties:
      FunctionName: !Ref Checkout
      Qualifier: !GetAtt Checkout.Version.Version
      DestinationConfig: { OnFailure: { Destination: !GetAtt Durable.Outputs.DeadLettersArn } }

  Charge:
"""


def test_what_is_pinned_needs_published_versions_and_each_of_them_a_destination(broken: Broken) -> None:
    """Only the Lambda in which the pinned function runs is asked. The page of deploys has the remedy as it is here."""
    path = broken("Description: The", "Description: Once the")
    app = path.parent / "src" / "app.py"
    app.write_text(app.read_text().replace('target="checkout"', 'target="checkout", pin=True'))

    def found() -> list[tuple[str, str]]:
        return [(each.where, each.rule) for each in findings(path)]

    assert found() == [("Checkout", "pin")]
    assert "follows the newest code" in str(findings(path)[0])
    broken("    Timeout: 60\n", "    Timeout: 60\n    AutoPublishAlias: live\n")
    broken('{ StackPrefix: !Sub "${AWS::StackName}_" }', ALIAS)
    assert found() == [("Checkout", "pin")]
    assert "no on-failure destination" in str(findings(path)[0])
    broken("  Charge:\n", OF_VERSION)
    assert found() == []
    assert OF_VERSION.removesuffix("\n  Charge:\n") in (ROOT / "docs" / "deploy.md").read_text()


def test_a_new_application_lacks_nothing(made: Path) -> None:
    """The command says so."""
    result = CliRunner().invoke(durable, ["lint", str(made / "template.yaml")])
    assert (result.exit_code, result.output) == (
        0,
        f"{made / 'template.yaml'} has all that its durable functions need\n",
    )


def test_the_examples_lack_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """With links, too."""
    monkeypatch.chdir(ROOT)
    assert findings(ROOT / "template.yaml") == []
    assert findings(ROOT / "template.yaml", parameters={"Links": "true"}, look_at_code=False) == []


@pytest.mark.parametrize(
    ("rule", "old", "new"), [(rule, *change) for rule, changes in CHANGED.items() for change in changes]
)
def test_what_is_missing_or_wrong_is_found(rule: str, old: str, new: str, broken: Broken) -> None:
    """It is found under the rule's name, and each finding says how to mend it."""
    found = findings(broken(old, new), look_at_code=rule in ("handler", "target", "unknown"))
    assert rule in {each.rule for each in found}
    assert all(each.what and each.mend and each.where for each in found)


def test_a_single_fault_is_a_single_finding_for_each_function(broken: Broken) -> None:
    """Nothing else is said of them."""
    found = findings(broken("RecursiveLoop: Allow", "RecursiveLoop: Terminate"), look_at_code=False)
    assert [(each.where, each.rule) for each in found] == [("Charge", "recursion"), ("Checkout", "recursion")]


@pytest.mark.parametrize(
    ("hidden", "reported", "rules"),
    [
        ("360", "ReportBatchItemFailures", []),
        ("359", "ReportBatchItemFailures", ["visibility"]),
        ("360", "", ["batch"]),
    ],
)
def test_a_queue_that_starts_executions_hides_messages_long_enough(
    hidden: str, reported: str, rules: list[str], broken: Broken
) -> None:
    """Six times the function's timeout; and its mapping lets a failed message come again alone."""
    handler = "      Handler: app.checkout\n"
    broken("Resources:\n", f"Resources:\n{QUEUE.replace('HIDDEN', hidden)}")
    path = broken(handler, handler + MAPPED.replace("REPORTED", reported))
    found = findings(path, look_at_code=False)
    assert [(each.where, each.rule) for each in found] == [("Checkout", rule) for rule in rules]


DECORATED = '@durable(target="checkout", wake="WORD")'
NARROW = """[Statement: [
        {Effect: Allow, Action: 'dynamodb:*', Resource: '*'},
        {Effect: Allow, Action: lambda:InvokeFunction, Resource: !Sub 'arn:*:function:${AWS::StackName}_WHAT'}]]"""


def woken(word: str, path: Path) -> None:
    """The code says how calls resume ``checkout``."""
    code = path.parent / "src" / "app.py"
    code.write_text(code.read_text().replace('@durable(target="checkout")', DECORATED.replace("WORD", word)))


def of_rule(rule: str, path: Path, *, look_at_code: bool = True) -> list[str]:
    return [each.where for each in findings(path, look_at_code=look_at_code) if each.rule == rule]


@pytest.mark.parametrize(("word", "found"), [("stream", []), ("direct", ["Charge"]), ("linger", ["Charge"])])
def test_a_callee_that_is_to_resume_its_caller_may_invoke_it(word: str, found: list[str], broken: Broken) -> None:
    """Otherwise each wake is kept, and comes late. The stream's resumer may invoke all."""
    charge = "Handler: app.charge\n      Policies: "
    path = broken(charge + "[!GetAtt Durable.Outputs.PolicyArn]", charge + NARROW.replace("WHAT", "charge"))
    woken(word, path)
    assert of_rule("wake", path) == found
    broken("${AWS::StackName}_charge'", "${AWS::StackName}_checkout'")
    assert of_rule("wake", path) == []


def test_the_choice_for_all_functions_asks_for_as_much(broken: Broken) -> None:
    """Without the code, any function may be a caller."""
    path = broken("Parameters: { ", "Parameters: { Wake: direct, ")
    assert findings(path) == findings(path, look_at_code=False) == []
    broken("Policies: [!GetAtt Durable.Outputs.PolicyArn]", "Policies: []")
    assert of_rule("wake", path) == ["Charge", "Checkout"]
    assert of_rule("wake", path, look_at_code=False) == ["Charge", "Checkout"]


@pytest.mark.parametrize("name", ["charge", "checkout"])
@pytest.mark.parametrize(
    ("word", "reserved", "count"), [("linger", 1, 1), ("linger", 9, 1), ("linger", 10, 0), ("direct", 1, 0)]
)
def test_who_lingers_leaves_places_for_what_it_waits_for(
    name: str, word: str, reserved: int, count: int, broken: Broken
) -> None:
    """A Lambda with few of them can't run the calls while their callers wait."""
    handler = f"      Handler: app.{name}\n"
    path = broken(handler, f"{handler}      ReservedConcurrentExecutions: {reserved}\n")
    woken(word, path)
    assert of_rule("linger", path) == [name.capitalize()] * count


def test_a_copy_of_another_version_is_found(broken: Broken) -> None:
    """The finding names the files, and the command that renews them."""
    path = broken("Timeout: 60", "Timeout: 61")
    (path.parent / "durable" / "engine.yaml").write_text(
        (path.parent / "durable" / "engine.yaml").read_text().replace("BatchSize: 100", "BatchSize: 99")
    )
    (found,) = findings(path, look_at_code=False)
    assert (found.rule, found.mend) == ("copy", f"durable infra {path.parent / 'durable'}")
    assert "engine.yaml" in found.what


def test_a_function_that_only_starts_executions_needs_no_destination_and_no_name(broken: Broken) -> None:
    """It does need the policy, and the variables. A function that knows nothing of the library needs nothing."""
    (broken("Timeout: 60", "Timeout: 61").parent / "src" / "api.py").write_text(
        "import app\n\ndef handler(event, context):\n    return app.checkout.start('order-7').id\n"
    )
    plain = (
        "    Type: AWS::Serverless::Function\n    Properties: { Handler: %s.handler, Layers: [], Environment: {} }\n"
    )
    path = broken("Outputs:\n", f"  Api:\n{plain % 'api'}\n  Other:\n{plain % 'other'}\nOutputs:\n")
    found = findings(path)
    assert {each.rule for each in found if each.where == "Api"} == {"permissions"}
    path.write_text(re.sub(r"    (Layers|Environment): .*\n", "", path.read_text()))
    found = findings(path)
    assert {each.rule for each in found if each.where == "Api"} == {"permissions", "layer", "variables"}
    assert not [each for each in found if each.where == "Other"]


def test_without_its_code_a_template_is_still_looked_at(broken: Broken) -> None:
    """No handler is imported then, so it needs no packages."""
    path = broken("app.checkout", "missing.checkout")
    broken("RecursiveLoop: Allow", "RecursiveLoop: Terminate")
    result = CliRunner().invoke(durable, ["lint", "--no-code", str(path)])
    assert result.exit_code == 1
    assert set(re.findall(r"\[(\w+)\]$", result.output, re.MULTILINE)) == {"recursion"}


def test_a_handler_whose_import_ends_the_process_is_a_finding(broken: Broken) -> None:
    """The command goes on, and says so."""
    path = broken("app.charge", "ends.handler")
    (path.parent / "src" / "ends.py").write_text("import os\nos._exit(3)\n")
    assert {each.rule for each in findings(path)} == {"handler"}


def test_the_code_may_be_elsewhere(broken: Broken) -> None:
    """`--code` names it."""
    path = broken("CodeUri: src/", "CodeUri: .aws/src/")
    assert findings(path) == []
    (path.parent / "src").rename(path.parent / "elsewhere")
    assert findings(path, code=path.parent / "elsewhere") == []
    assert {each.rule for each in findings(path, code=path.parent)} == {"handler"}


def test_a_template_that_can_not_be_read_is_an_error_in_one_line(tmp_path: Path) -> None:
    """Also one with a parameter that nobody gave a value."""
    result = CliRunner().invoke(durable, ["lint", str(tmp_path / "none.yaml")])
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert "can't read the template" in result.output
    asks = "Parameters: {Name: {Type: String}}\nResources: {}\nConditions: {}\n"
    (tmp_path / "asks.yaml").write_text(
        asks.replace(
            "{}\nCond", "{Q: {Type: 'AWS::Serverless::Function', Properties: {FunctionName: !Ref Name}}}\nCond"
        )
    )
    assert "parameter Name has no value" in CliRunner().invoke(durable, ["lint", str(tmp_path / "asks.yaml")]).output
    given = CliRunner().invoke(durable, ["lint", str(tmp_path / "asks.yaml"), "-p", "Name=orders"])
    assert "[stack]" in given.output


def test_each_rule_is_documented() -> None:
    """docs/deploy.md has a row for each of lint's, docs/operate.md for each of the doctor's own."""
    rows, of_doctor = (
        set(re.findall(r"^\| `(\w+)` \|", page.partition("| finding |")[2].partition("\n\n")[0], re.MULTILINE))
        for page in ((ROOT / "docs" / name).read_text() for name in ("deploy.md", "operate.md"))
    )
    source = "".join(path.read_text() for path in (ROOT / "adapter/cli/adopting").glob("*.py"))
    written = set(re.findall(r'rule="(\w+)"', source)) | set(re.findall(r'_found\(\s*setup,\s*"(\w+)"', source))
    assert written == rows | of_doctor
    assert CHANGED.keys() == rows
