"""Texts too large for the table, as objects in S3.

An object is put before the item that names it. If the run dies in between, nothing names the object, and it is removed
with the execution's others. An object that exists already is put again, so its age says when it was last used (ADR
0013).
"""

from __future__ import annotations

import functools
import hashlib
import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from adapter.engine.ports import Payloads
from adapter.errors import BadMessage
from adapter.protocol.ids import root_of
from adapter.protocol.times import Instant

CACHE_BYTES = 64 * 1024 * 1024
"""Bytes of objects that a sandbox keeps: the largest one fits in."""


def prefix_of(promise: str) -> str:
    """The prefix that the keys of the objects of the promise's execution have, and no others."""
    return f"{_hash(root_of(promise))[:32]}/"


def key_of(promise: str, text: str) -> str:
    """The key of a text's object. It follows from the content, under the prefix of the promise's execution."""
    return f"{prefix_of(promise)}{_hash(text)}"


def moved(key: str, promise: str) -> str:
    """The key that the same text has for a promise of another execution."""
    return f"{prefix_of(promise)}{key.rpartition('/')[2]}"


_KEY = re.compile(r"[0-9a-f]{32}/[0-9a-f]{64}")


def known(key: str) -> str:
    """Return the key if it can be one of ours. S3's client refuses some others with errors of its own.

    Raises:
        BadMessage: it can't.
    """
    if _KEY.fullmatch(key) is None:
        raise BadMessage(f"a promise names the object {key[:80]!r}, which can't be one that was stored")
    return key


def checked(key: str, text: str) -> str:
    """Return the text if it is the one that was put under the key.

    Raises:
        BadMessage: it isn't.
    """
    if key.rpartition("/")[2] != _hash(text):
        raise BadMessage(f"the object {key} isn't what was stored under this key: restore it, nothing may change it")
    return text


def missing(key: str) -> BadMessage:
    return BadMessage(f"the object {key} is gone, and a promise needs it: restore it, and keep objects from expiring")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class S3Payloads:
    """`adapter.engine.ports.Payloads` in a bucket. ``connect`` makes the client, once one is needed."""

    def __init__(self, bucket: str, connect: Callable[[], Any]) -> None:
        self.bucket = bucket
        self._connect = connect
        self._lock = threading.Lock()

    @functools.cached_property
    def _made(self) -> Any:
        return self._connect()

    @property
    def _client(self) -> Any:
        # boto3 makes clients one at a time only.
        with self._lock:
            return self._made

    def put(self, key: str, text: str) -> None:
        self._client.put_object(
            Bucket=self.bucket, Key=key, Body=text.encode(), ContentType="text/plain; charset=utf-8"
        )

    def get(self, key: str) -> str:
        try:
            found: bytes = self._client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except ClientError as error:
            self._explain(error, key)
            raise
        return found.decode("utf-8", "replace")

    def copy(self, key: str, to: str) -> None:
        try:
            self._client.copy_object(Bucket=self.bucket, Key=to, CopySource={"Bucket": self.bucket, "Key": key})
        except ClientError as error:
            self._explain(error, key)
            raise

    def clear(self, prefix: str, before: Instant) -> None:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        for page in pages:
            old = [each["Key"] for each in page.get("Contents", ()) if each["LastModified"].timestamp() * 1e6 < before]
            if not old:
                continue
            keys = {"Objects": [{"Key": key} for key in old], "Quiet": True}
            failed = self._client.delete_objects(Bucket=self.bucket, Delete=keys).get("Errors")
            if failed:
                # S3 answers 200 all the same. The objects that are left go at the next look, which this error makes
                # Lambda repeat.
                raise BadMessage(f"{len(failed)} objects of s3://{self.bucket}/{prefix} can't be removed: {failed[0]}")

    def _explain(self, error: ClientError, key: str) -> None:
        """Raise the error that S3's answer means, or add a note that says where it happened."""
        if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
            raise missing(f"s3://{self.bucket}/{key}") from error
        # S3 says that an object is missing only to a role that may list the bucket.
        error.add_note(f"reading s3://{self.bucket}/{key}, which may be missing, or closed to this Lambda's role")


class Cached:
    """Keeps the objects that were read last: an object never changes, and a replay reads them once more."""

    def __init__(self, payloads: Payloads, size: int = CACHE_BYTES) -> None:
        self._payloads = payloads
        self._left = size
        self._kept: OrderedDict[str, tuple[str, int]] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, key: str, text: str) -> None:
        self._payloads.put(key, text)

    def get(self, key: str) -> str:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][0]
        text = self._payloads.get(key)
        self._keep(key, text, len(text.encode("utf-8", "surrogatepass")))
        return text

    def copy(self, key: str, to: str) -> None:
        self._payloads.copy(key, to)

    def clear(self, prefix: str, before: Instant) -> None:
        # A kept text may stay after its object is gone: its key follows from its content, and it is checked.
        self._payloads.clear(prefix, before)

    def _keep(self, key: str, text: str, size: int) -> None:
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = text, size
            self._left -= size
            while self._left < 0:
                _, (_, freed) = self._kept.popitem(last=False)
                self._left += freed
