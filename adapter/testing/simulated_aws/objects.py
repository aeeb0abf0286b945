"""S3 from the side of the service, as far as keeping large payloads takes: put, copy and get, list and delete."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from botocore.exceptions import ClientError

from adapter.testing.simulated_aws.wire import Answer

OPERATIONS = {"PUT": "PutObject", "GET": "GetObject"}
OF_BUCKETS = {"GET": "ListObjectsV2", "POST": "DeleteObjects"}


@contextmanager
def virtual_time(clock: Callable[[], int]) -> Iterator[None]:
    """moto dates objects by the real clock. ``clock``: microseconds since the epoch."""
    from moto.s3 import models

    def utcnow() -> dt.datetime:
        return dt.datetime.fromtimestamp(clock() / 1e6, dt.UTC).replace(tzinfo=None)

    with patch.object(models, "utcnow", utcnow):
        yield


def operation_of(method: str, url: str) -> str | None:
    """The operation that a request at ``/bucket`` or ``/bucket/key`` asks for, if it is answered here."""
    _, _, key = urlsplit(url).path.lstrip("/").partition("/")
    return (OPERATIONS if key else OF_BUCKETS).get(method)


def perform(client: Any, operation: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
    """Put, copy to, or get the object at ``/bucket/key``; list or delete some of ``/bucket``."""
    parts = urlsplit(url)
    bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
    try:
        if operation == "ListObjectsV2":
            return _listed(client, bucket, {name: values[0] for name, values in parse_qs(parts.query).items()})
        if operation == "DeleteObjects":
            return _deleted(client, bucket, body)
        if operation == "PutObject" and (source := headers.get("x-amz-copy-source")):
            from_bucket, _, from_key = unquote(source).lstrip("/").partition("/")
            client.copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": from_bucket, "Key": from_key})
            return _xml("<CopyObjectResult/>")
        if operation == "PutObject":
            kind = headers.get("Content-Type") or "binary/octet-stream"
            put = client.put_object(Bucket=bucket, Key=key, Body=_content(headers, body), ContentType=kind)
            return Answer(status=200, headers={"ETag": put["ETag"]})
        got = client.get_object(Bucket=bucket, Key=key)
        return Answer(
            status=200, body=got["Body"].read(), headers={"ETag": got["ETag"], "Content-Type": got["ContentType"]}
        )
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return _error(status, error.response["Error"]["Code"], error.response["Error"]["Message"])


def _listed(client: Any, bucket: str, asked: Mapping[str, str]) -> Answer:
    token = {"ContinuationToken": asked["continuation-token"]} if "continuation-token" in asked else {}
    found = client.list_objects_v2(Bucket=bucket, Prefix=asked.get("prefix", ""), **token)
    contents = "".join(
        f"<Contents><Key>{escape(each['Key'])}</Key><LastModified>{each['LastModified'].isoformat()}</LastModified>"
        f"<Size>{each['Size']}</Size></Contents>"
        for each in found.get("Contents", ())
    )
    further = found.get("NextContinuationToken", "")
    further = f"<NextContinuationToken>{escape(further)}</NextContinuationToken>" if further else ""
    truncated = f"<IsTruncated>{str(found['IsTruncated']).lower()}</IsTruncated>"
    return _xml(f"<ListBucketResult>{truncated}{contents}{further}</ListBucketResult>")


def _deleted(client: Any, bucket: str, body: bytes) -> Answer:
    keys = [element.text for element in ElementTree.fromstring(body).iter() if element.tag.rpartition("}")[2] == "Key"]
    client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
    return _xml("<DeleteResult/>")


def _xml(text: str, status: int = 200) -> Answer:
    return Answer(status=status, body=text.encode(), headers={"Content-Type": "application/xml"})


def _content(headers: Mapping[str, str], body: bytes) -> bytes:
    """The object's bytes: clients may send them in chunks with a checksum behind the last one."""
    if "aws-chunked" not in (headers.get("Content-Encoding") or ""):
        return body
    content = b""
    while body:
        line, _, body = body.partition(b"\r\n")
        size = int(line.partition(b";")[0], 16)
        if size == 0:
            break
        content, body = content + body[:size], body[size + 2 :]
    return content


def _error(status: int, code: str, message: str) -> Answer:
    return _xml(f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>", status)
