"""A request that came over the wire. moto answers it, as it answers this process's own boto3 clients.

The request isn't taken apart and put together again. It goes unchanged to botocore's event ``before-send``, where the
client's own requests go, too, and is never sent. So every request that moto knows gets an answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from botocore import parsers
from botocore.awsrequest import AWSPreparedRequest, HeadersDict
from botocore.endpoint import convert_to_response_dict
from botocore.hooks import first_non_none_response

TARGET = "X-Amz-Target"
"""The header in which AWS's JSON protocol names the operation."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """An HTTP request; ``url`` begins with the path."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An HTTP response."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def operation_of(client: Any, request: Request) -> str | None:
    """The operation that the request asks for; None if the client's service has no such operation."""
    model = client.meta.service_model
    if target := request.headers.get(TARGET):
        name = target.rpartition(".")[2]
        return name if name in model.operation_names else None
    # REST names the operation by the path, the query and headers. The one that needs most of them is meant.
    asked = urlsplit(request.url)
    given = {("querystring", name) for name in _query(asked.query)} | {("header", n.lower()) for n in request.headers}
    operations = (model.operation_model(name) for name in model.operation_names)
    candidates = [one for one in operations if one.http["method"] == request.method and _is_at(one, asked.path)]
    needs = {one.name: needed for one in candidates if (needed := _needed(one)) <= given}
    return max(needs, key=lambda name: len(needs[name]), default=None)


def perform(client: Any, operation: str, request: Request) -> Answer:
    """Have the request answered, and tell the client's hooks of it, as if the client had made the call.

    The hooks hear of it before and after if the service speaks JSON. Other services' calls aren't counted, so they
    don't.

    Raises:
        ValueError: the body should be JSON, and isn't.
        LookupError: nothing in this process answers it.
    """
    model = client.meta.service_model.operation_model(operation)
    event = f"{model.service_model.service_id.hyphenize()}.{operation}"
    if TARGET not in request.headers:
        return _answer(_send(client, event, request))
    events = client.meta.events
    context: dict[str, Any] = {}
    events.emit(f"before-parameter-build.{event}", params=json.loads(request.body), model=model, context=context)
    response = _send(client, event, request)
    parsed = parsers.create_parser("json").parse(convert_to_response_dict(response, model), model.output_shape)
    events.emit(f"after-call.{event}", http_response=response, parsed=parsed, model=model, context=context)
    return _answer(response)


def _send(client: Any, event: str, request: Request) -> Any:
    headers = HeadersDict({name: value for name, value in request.headers.items() if name.lower() != "host"})
    url = client.meta.endpoint_url + request.url
    prepared = AWSPreparedRequest(request.method, url, headers, request.body, False)
    response = first_non_none_response(client.meta.events.emit(f"before-send.{event}", request=prepared))
    if response is None:
        raise LookupError(f"nothing in this process answers {request.method} {url}")
    return response


def _answer(response: Any) -> Answer:
    headers = {name: str(value) for name, value in response.headers.items()}
    return Answer(status=response.status_code, body=response.content, headers=headers)


def _is_at(model: Any, path: str) -> bool:
    # A client of S3 takes the bucket out of an operation's URI when it first calls it, and keeps the whole path here.
    # Clients of this process share their models.
    whole = model.http.get("authPath")
    template = urlsplit(model.http["requestUri"]).path if whole is None else whole.rstrip("/")
    return re.fullmatch(re.sub(r"{\w+}", "[^/]+", re.sub(r"{\w+\+}", ".+", template)), path) is not None


def _needed(model: Any) -> set[tuple[str, str]]:
    """The query parameters and headers that a request for the operation has."""
    shape = model.input_shape
    places = [shape.members[name].serialization for name in shape.required_members] if shape else []
    needed = {(place.get("location", ""), place.get("name", "").lower()) for place in places}
    fixed = {("querystring", name) for name in _query(urlsplit(model.http["requestUri"]).query)}
    return fixed | {(location, name) for location, name in needed if location in ("querystring", "header")}


def _query(text: str) -> set[str]:
    return {name.lower() for name in parse_qs(text, keep_blank_values=True)}
