"""A template reads as CloudFormation would resolve it for a stack called ``local``."""

from pathlib import Path
from textwrap import dedent

import pytest

from adapter.errors import ConfigurationError
from adapter.templates.intrinsics import open_stack
from adapter.templates.template import FunctionSpec, Template, default_template, find_template, load


def write(directory: Path, text: str, name: str = "template.yaml") -> Path:
    path = directory / name
    path.write_text(dedent(text), encoding="utf-8")
    return path


def only_function(path: Path) -> FunctionSpec:
    (function,) = load(path).functions
    return function


TABLE = """
    Resources:
      Things:
        Type: AWS::DynamoDB::Table
        Properties:
          BillingMode: PAY_PER_REQUEST
          AttributeDefinitions: [{ AttributeName: id, AttributeType: S }]
          KeySchema: [{ AttributeName: id, KeyType: HASH }]
          StreamSpecification: { StreamViewType: KEYS_ONLY }
    Outputs:
      Name: { Value: !Ref Things }
      Stream: { Value: !GetAtt Things.StreamArn }
"""

FUNCTION = """
    Resources:
      Work:
        Type: AWS::Serverless::Function
        Properties:
          Handler: app.work
"""


def test_a_table_carries_what_create_table_takes(tmp_path: Path) -> None:
    """It enables the stream, and leaves out what the API has other calls for."""
    (table,) = load(write(tmp_path, TABLE)).tables
    assert table.name == "local-Things"
    assert table.create_table_arguments == {
        "TableName": "local-Things",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
    }


def test_a_function_has_the_defaults_of_lambda(tmp_path: Path) -> None:
    """What the template leaves out is what Lambda would take."""
    assert only_function(write(tmp_path, FUNCTION)) == FunctionSpec(
        logical_id="Work",
        name="local-Work",
        handler="app.work",
        memory_mb=128,
        timeout_s=3,
        environment={},
        max_retries=2,
    )


def test_globals_are_merged_as_sam_merges_them(tmp_path: Path) -> None:
    """SAM merges mappings, and a function's own values win."""
    function = only_function(
        write(
            tmp_path,
            """
            Globals:
              Function:
                MemorySize: 256
                Timeout: 10
                EventInvokeConfig: { MaximumRetryAttempts: 0 }
                Environment: { Variables: { A: a, B: b } }
            Resources:
              Work:
                Type: AWS::Serverless::Function
                Properties:
                  Handler: app.work
                  Timeout: 20
                  Environment: { Variables: { B: c } }
            """,
        )
    )
    assert (function.memory_mb, function.timeout_s, function.max_retries) == (256, 20, 0)
    assert function.environment == {"A": "a", "B": "c"}


def test_intrinsic_functions_are_resolved(tmp_path: Path) -> None:
    """The reader resolves each that it knows, in a function's environment."""
    function = only_function(
        write(
            tmp_path,
            """
            Parameters:
              Stage: { Type: String, Default: dev }
            Conditions:
              IsDev: !Equals [!Ref Stage, dev]
              IsLive: !Not [!Condition IsDev]
              Both: !And [!Condition IsDev, !Condition IsLive]
              Either: !Or [!Condition IsDev, !Condition IsLive]
            Resources:
              Jobs:
                Type: AWS::SQS::Queue
              Skipped:
                Type: AWS::Serverless::Function
                Condition: IsLive
              Work:
                Type: AWS::Serverless::Function
                Properties:
                  FunctionName: !Sub ${AWS::StackName}-work
                  Handler: app.work
                  Environment:
                    Variables:
                      IF: !If [IsLive, live, !Sub "${Stage}!"]
                      AND: !If [Both, "yes", "no"]
                      OR: !If [Either, "yes", "no"]
                      JOIN: !Join ["-", [a, !Ref Stage]]
                      SELECT: !Select [1, [a, b]]
                      SUB: !Sub ["${Stage} ${Other} ${!Kept} ${Jobs.Arn}", { Other: !Ref AWS::Region }]
                      QUEUE: !Ref Jobs
                      QUEUE_NAME: !GetAtt Jobs.QueueName
                      QUEUE_URL: !GetAtt [Jobs, QueueUrl]
                      LONG: { "Fn::GetAtt": Work.Arn }
                      FLAG: true
                      NUMBER: 1
                      NONE: !Ref AWS::NoValue
            """,
        )
    )
    queue = "https://sqs.us-east-1.amazonaws.com/123456789012/local-Jobs"
    assert function.name == "local-work"
    assert function.environment == {
        "IF": "dev!",
        "AND": "no",
        "OR": "yes",
        "JOIN": "a-dev",
        "SELECT": "b",
        "SUB": "dev us-east-1 ${Kept} arn:aws:sqs:us-east-1:123456789012:local-Jobs",
        "QUEUE": queue,
        "QUEUE_NAME": "local-Jobs",
        "QUEUE_URL": queue,
        "LONG": "arn:aws:lambda:us-east-1:123456789012:function:local-work",
        "FLAG": "true",
        "NUMBER": "1",
    }


def test_a_template_may_look_up_mappings_and_name_what_only_aws_knows(tmp_path: Path) -> None:
    """What other stacks export, and the zones of the region, are placeholders."""
    path = write(
        tmp_path,
        """
        Mappings: { Sizes: { small: { Memory: 256 } } }
        Resources:
          Work:
            Type: AWS::Serverless::Function
            Properties:
              Handler: app.work
              MemorySize: !FindInMap [Sizes, small, Memory]
              Environment:
                Variables:
                  FIRST: !Select [0, !Split [",", "a,b"]]
                  ENCODED: !Base64 text
                  VPC: !ImportValue network-vpc
                  ZONE: !Select [1, !GetAZs ""]
        """,
    )
    (work,) = load(path).functions
    assert work.memory_mb == 256
    assert work.environment == {
        "FIRST": "a",
        "ENCODED": "text",
        "VPC": "network-vpc.imported",
        "ZONE": "us-east-1b",
    }


def test_an_attribute_that_only_aws_could_know_is_a_placeholder(tmp_path: Path) -> None:
    """A template may use more of AWS than the local cloud has."""
    path = write(
        tmp_path,
        """
        Resources:
          Site:
            Type: AWS::Serverless::HttpApi
          Work:
            Type: AWS::Serverless::Function
            Properties:
              Handler: app.work
              FunctionUrlConfig: { AuthType: NONE }
              Environment: { Variables: { SITE: !GetAtt Site.ApiEndpoint, OWN: !GetAtt WorkUrl.FunctionUrl } }
        """,
    )
    assert only_function(path).environment == {"SITE": "local-Site.ApiEndpoint", "OWN": "local-WorkUrl.FunctionUrl"}


NESTING = """
    Resources:
      Store:
        Type: AWS::Serverless::Application
        Properties: { Location: store.yaml }
      Engine:
        Type: AWS::Serverless::Application
        Properties:
          Location: engine.yaml
          Parameters:
            Name: !GetAtt Store.Outputs.Name
            Stream: !GetAtt Store.Outputs.Stream
"""

ENGINE = """
    Parameters:
      Name: { Type: String }
      Stream: { Type: String }
    Resources:
      Unhandled:
        Type: AWS::SQS::Queue
      Work:
        Type: AWS::Serverless::Function
        Properties:
          Handler: app.work
          Environment: { Variables: { TABLE: !Ref Name } }
          Events:
            Changed:
              Type: DynamoDB
              Properties:
                Stream: !Ref Stream
                StartingPosition: LATEST
                BatchSize: 7
                MaximumRetryAttempts: 3
                BisectBatchOnFunctionError: true
                FunctionResponseTypes: [ReportBatchItemFailures]
                DestinationConfig: { OnFailure: { Destination: !GetAtt Unhandled.Arn } }
                FilterCriteria: { Filters: [{ Pattern: '{"eventName": ["INSERT"]}' }] }
            Ignored:
              Type: Schedule
              Properties: { Schedule: rate(1 minute) }
"""


def nest(directory: Path, *, engine: str = ENGINE) -> Path:
    write(directory, TABLE, "store.yaml")
    write(directory, engine, "engine.yaml")
    return write(directory, NESTING)


def test_nested_applications_feed_each_other(tmp_path: Path) -> None:
    """The outputs of one are the parameters of another; names carry the path of stacks."""
    template = load(nest(tmp_path))
    (table,) = template.tables
    (function,) = template.functions
    (mapping,) = template.mappings
    assert table.name == mapping.table == "local-Store-Things"
    assert function.environment == {"TABLE": table.name}
    assert mapping.function == function.name == "local-Engine-Work"
    assert mapping.on_failure == "arn:aws:sqs:us-east-1:123456789012:local-Engine-Unhandled"


def test_an_output_is_there_only_while_its_condition_holds(tmp_path: Path) -> None:
    """CloudFormation refuses a template that asks for one that isn't."""
    conditional = """
        Conditions:
          Always: !Equals [a, a]
          Never: !Equals [a, b]
        Resources: {}
        Outputs:
          There: { Condition: Always, Value: it }
          Missing: { Condition: Never, Value: it }
    """
    stack = open_stack(write(tmp_path, conditional), name="local")
    assert stack.output("There") == "it"
    with pytest.raises(ConfigurationError, match="output 'Missing' is left out, since Never is false"):
        stack.output("Missing")


def test_an_application_may_nest_one_that_nests_others(tmp_path: Path) -> None:
    """Parameters go down two levels, outputs come up two; names carry the whole path of stacks."""
    nest(tmp_path, engine=ENGINE + "    Outputs: { Alarmed: { Value: !GetAtt Unhandled.Arn } }")
    middle = "    Parameters: { Name: { Type: String } }" + NESTING.replace("!GetAtt Store.Outputs.Name", "!Ref Name")
    write(tmp_path, middle + "    Outputs: { Alarmed: { Value: !GetAtt Engine.Outputs.Alarmed } }", "middle.yaml")
    outer = """
        Resources:
          Middle:
            Type: AWS::Serverless::Application
            Properties: { Location: middle.yaml, Parameters: { Name: given } }
          Outermost:
            Type: AWS::Serverless::Function
            Properties:
              Handler: app.work
              Environment: { Variables: { ALARMED: !GetAtt Middle.Outputs.Alarmed } }
    """
    outermost, work = load(write(tmp_path, outer)).functions
    assert outermost.environment == {"ALARMED": "arn:aws:sqs:us-east-1:123456789012:local-Middle-Engine-Unhandled"}
    assert (work.name, work.environment) == ("local-Middle-Engine-Work", {"TABLE": "given"})


def test_a_stream_mapping_says_how_failures_are_handled(tmp_path: Path) -> None:
    """The poller has to honour it. Without a bound in the template there is none."""
    (mapping,) = load(nest(tmp_path)).mappings
    assert (mapping.batch_size, mapping.parallelization_factor, mapping.starting_position) == (7, 1, "LATEST")
    assert (mapping.max_retries, mapping.max_record_age_s) == (3, None)
    assert mapping.bisect
    assert mapping.report_item_failures
    assert mapping.filters == ({"eventName": ["INSERT"]},)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Resources: {A: {Type: AWS::Serverless::Function}}", "function A needs a Handler"),
        ("Resources: {A: !Frobnicate b}", "!Frobnicate isn't supported"),
        ("{", "template.yaml"),
        ("just text", "no CloudFormation template"),
        (FUNCTION.replace("app.work", "!Ref Nowhere"), "refers to 'Nowhere'"),
        (FUNCTION.replace("app.work", "{ 'Fn::Cidr': a }"), "Fn::Cidr isn't supported"),
        (FUNCTION.replace("app.work", "!FindInMap [Sizes, small, memory]"), "no mapping Sizes with small and memory"),
        (FUNCTION.replace("app.work", "!If [Nowhere, a, b]"), "no condition 'Nowhere'"),
        (NESTING.replace("store.yaml", "missing.yaml"), "can't read the template .*missing.yaml"),
        (NESTING.replace("store.yaml", "{ ApplicationId: a }"), "Store isn't local"),
        (NESTING.replace("Store.Outputs.Name", "Store.Outputs.Nothing"), "no output 'Nothing'"),
        (NESTING.replace("Store.Outputs.Name", "Engine.Outputs.Name"), "its own outputs"),
        (NESTING.replace("Name: !GetAtt Store.Outputs.Name", ""), "parameter Name has no value"),
    ],
)
def test_a_template_that_can_not_be_read_is_a_clear_error(tmp_path: Path, text: str, message: str) -> None:
    """The error names the file and what is wrong in it."""
    nest(tmp_path)
    with pytest.raises(ConfigurationError, match=message):
        load(write(tmp_path, text))


@pytest.mark.parametrize(
    ("part", "replacement", "message"),
    [
        ("!Ref Stream", "nothing", "needs the ARN of a table's stream"),
        ('{"eventName": ["INSERT"]}', "{", "Pattern isn't JSON"),
        ('{"eventName": ["INSERT"]}', "[]", "isn't a JSON object"),
    ],
)
def test_a_mapping_that_can_not_work_is_a_clear_error(
    tmp_path: Path, part: str, replacement: str, message: str
) -> None:
    """The error names the function and its event."""
    with pytest.raises(ConfigurationError, match=rf"Work\.Changed.*{message}"):
        load(nest(tmp_path, engine=ENGINE.replace(part, replacement)))


POLLING = """
Resources:
  Jobs: { Type: AWS::SQS::Queue }
  Work:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.work
      Events: { Sent: { Type: SQS, Properties: { Queue: !GetAtt Jobs.Arn, LIMITS } } }
"""


def test_a_queues_batch_may_be_gathered_for_a_while(tmp_path: Path) -> None:
    """Otherwise the poller hands it over at once, ten messages at most."""
    given = "BatchSize: 500, MaximumBatchingWindowInSeconds: 60"
    for limits, expected in ((given, (500, 60)), ("Enabled: true", (10, 0))):
        (mapping,) = load(write(tmp_path, POLLING.replace("LIMITS", limits))).queue_mappings
        assert (mapping.batch_size, mapping.window_s) == expected


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ("BatchSize: 11", "needs a batching window"),
        ("BatchSize: 10001, MaximumBatchingWindowInSeconds: 1", "beyond 10,000"),
        ("MaximumBatchingWindowInSeconds: 301", "beyond 300"),
    ],
)
def test_a_batch_that_lambda_would_not_gather_is_a_clear_error(tmp_path: Path, limits: str, message: str) -> None:
    """The error names the function and its event."""
    with pytest.raises(ConfigurationError, match=rf"Work\.Sent.*{message}"):
        load(write(tmp_path, POLLING.replace("LIMITS", limits)))


def test_a_missing_template_is_a_clear_error(tmp_path: Path) -> None:
    """The error names the path."""
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml"):
        load(tmp_path / "nowhere.yaml")


def test_the_template_is_found_from_any_directory_below_it(tmp_path: Path) -> None:
    """The nearest one counts."""
    path = write(tmp_path, FUNCTION)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert find_template(below) == find_template(tmp_path) == path.resolve()


def test_no_template_is_found_where_there_is_none(tmp_path: Path) -> None:
    """There is none in the directory or above it. A caller then takes the default."""
    assert find_template(tmp_path) is None


def test_the_default_template_has_the_infrastructure_and_no_functions_of_a_user() -> None:
    """It has a table, its resumer, and the Lambdas that time invokes."""
    template = load(default_template())
    assert isinstance(template, Template)
    assert [table.logical_id for table in template.tables] == ["Promises"]
    assert [function.handler for function in template.functions] == [
        "adapter.lambdas.resumer.handler",
        "adapter.lambdas.resumer.again",
        "adapter.lambdas.sweeper.fire",
        "adapter.lambdas.sweeper.tend",
        "adapter.lambdas.sweeper.sweep",
        "adapter.lambdas.deadletters.handler",
    ]
    failures = {queue.name: queue.dead_letters for queue in template.queues}
    queues = ["local-Time-Timers", "local-Time-Upkeep", "local-Time-DeadLetters"]
    assert [failures[queue] for queue in queues] == ["local-Time-Unhandled"] * 3
    assert failures["local-Engine-RecordsAgain"] == "local-Engine-UnhandledRecords"
    assert [mapping.queue for mapping in template.queue_mappings] == ["local-Engine-RecordsAgain", *queues]
    assert [mapping.table for mapping in template.mappings] == [template.tables[0].name]
