"""What checkov says of the library's templates, as SAM expands them, with all on that a careful team would ask for.

``python -m tests.support.audit PATH_OF_CHECKOV`` (``make audit``). Checkov evaluates hardly any intrinsic function: it
reads resources whose conditions and references are resolved. What isn't asked of them stands here, with the reason.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from adapter.templates.intrinsics import Stack, open_stack
from adapter.templates.template import default_template
from tests.support.expanding import transformed

SKIPPED: Final = {
    "CKV_AWS_18": "access logs of the bucket need a bucket of their own, and a trail of data events tells as much",
    "CKV_AWS_115": "an account may have too little concurrency to reserve any; three parameters do where it has",
    "CKV_AWS_116": "a queue or the stream invokes all but Sweep, and has a dead-letter queue; a dropped sweep rings",
    "CKV_AWS_173": "no variable of theirs is a secret: names, addresses, a level of logs",
    "CKV_AWS_258": "the address of links is public: the token in a link is the authorisation",
}
"""Checks that don't apply to any resource, each with the reason."""

SKIPPED_FOR: Final = {
    "Basics": ("CKV_AWS_111", "IAM knows what puts a Lambda into a VPC, and what sends traces, for all resources only"),
}
"""Checks that don't apply to this resource."""

CAREFUL: Final = {
    "Links": "true",
    "KeyArn": "arn:aws:kms:us-east-1:123456789012:key/ours",
    "SubnetIds": "subnet-0123456789abcdef0",
    "SecurityGroupIds": "sg-0123456789abcdef0",
    "Tracing": "Active",
}


def resolved(stack: Stack) -> dict[str, Any]:
    """A stack's template as SAM expands it, with the values of this stack's parameters."""
    expanded = Stack(path=stack.path, name=stack.name, body=transformed(stack.path), parameters=stack._given)
    resources = {name: _resource(expanded, name) for name in expanded.logical_ids}
    return {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}


def _resource(stack: Stack, name: str) -> dict[str, Any]:
    body: dict[str, Any] = {"Type": stack.kind(name), "Properties": stack.properties(name)}
    if name in SKIPPED_FOR:
        check, why = SKIPPED_FOR[name]
        body["Metadata"] = {"checkov": {"skip": [{"id": check, "comment": why}]}}
    return body


def main(checkov: str) -> int:
    """Checkov's exit status: 1 if it finds anything."""
    durable = open_stack(default_template(), name="shop", parameters=CAREFUL)
    with TemporaryDirectory() as directory:
        for stack in (durable, *durable.nested()):
            body = json.dumps(resolved(stack), indent=1)
            (Path(directory) / f"{stack.path.stem}.json").write_text(body, encoding="utf-8")
        options = ["--framework", "cloudformation", "--compact", "--quiet", "--skip-download"]
        return subprocess.run(
            [checkov, "--directory", directory, *options, "--skip-check", ",".join(SKIPPED)], check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
