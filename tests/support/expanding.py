"""A template as SAM's own translator expands it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from adapter.templates.intrinsics import parse


def packaged(body: dict[str, Any]) -> dict[str, Any]:
    """The template as ``sam package`` would hand it over: no local paths."""
    for resource in body["Resources"].values():
        properties = resource.setdefault("Properties", {})
        if resource["Type"] == "AWS::Serverless::Function":
            properties["CodeUri"] = "s3://bucket/code.zip"
        elif resource["Type"] == "AWS::Serverless::LayerVersion":
            properties["ContentUri"] = "s3://bucket/layer.zip"
        elif resource["Type"] == "AWS::Serverless::Application":
            properties["Location"] = "https://bucket.s3.amazonaws.com/nested.yaml"
    return body


def transformed(path: Path) -> dict[str, Any]:
    session = boto3.Session(region_name="us-east-1")
    expanded: dict[str, Any] = Translator({}, Parser(), boto_session=session).translate(packaged(parse(path)), {})
    return expanded
