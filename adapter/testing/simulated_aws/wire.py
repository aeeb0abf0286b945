"""AWS's JSON protocol from the side of the service: a request's body to a client's arguments, its result back to JSON.

The service models that botocore ships say which members are bytes and times; everything else is JSON already.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError

CONTENT_TYPE = "application/x-amz-json-1.0"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An HTTP response."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def perform(client: Any, operation: str, body: bytes) -> Answer:
    """Have a boto3 client do what the request asks for, and write down what came of it."""
    model = client.meta.service_model
    if operation not in model.operation_names:
        return _error(400, "UnknownOperationException", f"{model.service_name} has no operation {operation}")
    shapes = model.operation_model(operation)
    try:
        arguments = _map(json.loads(body or b"{}"), shapes.input_shape, _read)
        result = getattr(client, xform_name(operation))(**arguments)
    except ClientError as error:
        return _client_error(model, error.response)
    except (BotoCoreError, json.JSONDecodeError) as error:
        return _error(400, "ValidationException", str(error))
    result.pop("ResponseMetadata", None)
    return _json(200, _map(result, shapes.output_shape, _write))


def _client_error(model: Any, response: Mapping[str, Any]) -> Answer:
    error = dict(response["Error"])
    code = str(error.get("QueryErrorCode", error["Code"]))
    shape = model.shape_for_error_code(code)
    # What belongs to the error itself, the old item of a failed condition for instance.
    details = {name: _map(response[name], shape.members[name], _write) for name in _members(shape) if name in response}
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400))
    answer = _error(status, code, str(error.get("Message", "")), details)
    if "QueryErrorCode" not in error:
        return answer
    # SQS spoke another protocol once, with codes that its clients know still.
    headers = {**answer.headers, "x-amzn-query-error": f"{error['Code']};{error.get('Type', 'Sender')}"}
    return Answer(status=answer.status, body=answer.body, headers=headers)


def _error(status: int, code: str, message: str, details: Mapping[str, Any] | None = None) -> Answer:
    # DynamoDB says Message in some errors and message in others; clients read either.
    return _json(status, {**(details or {}), "__type": f"com.amazonaws#{code}", "message": message})


def _json(status: int, value: Any) -> Answer:
    return Answer(status=status, body=json.dumps(value).encode(), headers={"Content-Type": CONTENT_TYPE})


def _members(shape: Any) -> Mapping[str, Any]:
    return {} if shape is None else {name: m for name, m in shape.members.items() if name.lower() != "message"}


def _map(value: Any, shape: Any, leaf: Callable[[Any, str], Any]) -> Any:
    """Apply ``leaf`` to each scalar of a value, with the name of its type."""
    kind = None if shape is None else shape.type_name
    if kind == "structure" and isinstance(value, dict):
        return {name: _map(one, shape.members.get(name), leaf) for name, one in value.items() if one is not None}
    if kind == "list" and isinstance(value, list):
        return [_map(one, shape.member, leaf) for one in value]
    if kind == "map" and isinstance(value, dict):
        return {name: _map(one, shape.value, leaf) for name, one in value.items()}
    return leaf(value, kind or "")


def _read(value: Any, kind: str) -> Any:
    return base64.b64decode(value) if kind == "blob" else value


def _write(value: Any, kind: str) -> Any:
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    return value.timestamp() if isinstance(value, dt.datetime) else value
