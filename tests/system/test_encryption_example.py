"""The cipher that docs/encryption.md shows, as it is written there, against KMS as moto plays it."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from cryptography.exceptions import InvalidTag
from moto import mock_aws

from adapter.testing.simulated_aws.lambdas import environment
from adapter.testing.simulated_aws.world import ENVIRONMENT

DOCS = Path(__file__).resolve().parents[2] / "docs" / "encryption.md"
CONTEXT = {"promise": "a~0", "part": "args"}


@pytest.fixture
def module() -> Iterator[Any]:
    """The module of the example, in a sandbox of its own."""
    (code,) = (
        block for block in re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL) if "KmsCipher" in block
    )
    with environment(ENVIRONMENT), mock_aws():
        key = boto3.client("kms").create_key()["KeyMetadata"]["KeyId"]
        boto3.client("kms").create_alias(AliasName="alias/shop", TargetKeyId=key)
        found = types.ModuleType("shop_cipher")
        exec(compile(code, str(DOCS), "exec"), found.__dict__)  # noqa: S102 # our own docs
        yield found


def test_what_the_examples_cipher_encrypts_it_decrypts(module: Any) -> None:
    """The stored text shows nothing. The cipher refuses it in the place of another."""
    first, second = (module.cipher.encrypt("card 4711 é", CONTEXT) for _ in range(2))
    assert first != second
    assert "4711" not in first
    assert module.cipher.decrypt(first, CONTEXT) == module.cipher.decrypt(second, CONTEXT) == "card 4711 é"
    with pytest.raises(InvalidTag):
        module.cipher.decrypt(first, {**CONTEXT, "promise": "a~1"})


def test_a_sandbox_asks_kms_for_one_data_key_and_another_sandbox_reads_it(module: Any) -> None:
    """A sandbox doesn't ask KMS at every step."""
    asked: list[str] = []
    module._kms().meta.events.register("before-call.kms.*", lambda model, **_: asked.append(model.name))
    texts = [module.cipher.encrypt(str(number), CONTEXT) for number in range(5)]
    other = module.KmsCipher(module.cipher.key_id)
    assert [other.decrypt(text, CONTEXT) for text in texts] == ["0", "1", "2", "3", "4"]
    assert asked == ["GenerateDataKey", "Decrypt"]
