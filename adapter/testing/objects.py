"""S3's PutObject, CopyObject and GetObject from the side of the service, as far as keeping large payloads takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote
from xml.sax.saxutils import escape

from botocore.exceptions import ClientError

from adapter.testing.wire import Answer

OPERATIONS = {"PUT": "PutObject", "GET": "GetObject"}


def perform(client: Any, operation: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
    """Put, copy to, or get the object at ``/bucket/key``."""
    bucket, _, key = unquote(path).lstrip("/").partition("/")
    if not key:
        return _error(501, "NotImplemented", f"{operation} needs /bucket/key, not {path}")
    try:
        if operation == "PutObject" and (source := headers.get("x-amz-copy-source")):
            from_bucket, _, from_key = unquote(source).lstrip("/").partition("/")
            client.copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": from_bucket, "Key": from_key})
            return Answer(status=200, body=b"<CopyObjectResult/>", headers={"Content-Type": "application/xml"})
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
    text = f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
    return Answer(status=status, body=text.encode(), headers={"Content-Type": "application/xml"})
