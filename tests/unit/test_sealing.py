"""Texts on their way into the table and back: objects, encryption, and what a follower takes over."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from adapter.aws.payloads import Cached, S3Payloads, key_of
from adapter.aws.sealing import INLINE_BYTES, MARKS, Sealing, cipher_named, in_object
from adapter.engine.ports import Payloads
from adapter.errors import BadMessage, ConfigurationError
from adapter.protocol.records import MAX_OBJECT_BYTES, MAX_PAYLOAD_BYTES, Kind, Record, Stored
from adapter.testing.simulated_aws.in_memory import MemoryBucket
from adapter.testing.simulated_aws.lambdas import environment
from adapter.testing.simulated_aws.world import ENVIRONMENT
from tests.support.ciphers import NAME, Wrong, toy

TEXTS = st.text() | st.builds(lambda mark, rest: mark + rest, st.sampled_from(MARKS), st.text()) | st.just("x" * 20_000)
LARGE = "x" * (INLINE_BYTES + 1)


@pytest.fixture
def bucket() -> Iterator[S3Payloads]:
    """S3 as moto plays it."""
    with environment(ENVIRONMENT), mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="payloads")
        yield S3Payloads("payloads", lambda: client)


@pytest.fixture(params=["s3", "memory"])
def payloads(request: pytest.FixtureRequest) -> Payloads:
    """The port, on each that has it."""
    found: Payloads = request.getfixturevalue("bucket") if request.param == "s3" else MemoryBucket()
    return found


@pytest.mark.parametrize("cipher", [None, toy], ids=["plain", "encrypted"])
@pytest.mark.parametrize("with_bucket", [False, True])
@given(text=TEXTS)
def test_whatever_is_sealed_opens_as_it_was(text: str, cipher: object, with_bucket: bool) -> None:
    """The text may look as if it had been sealed already."""
    sealing = Sealing(MemoryBucket() if with_bucket else None, cipher)  # type: ignore[arg-type]
    record = Record(id="a~0")
    assert sealing.open(sealing.seal(text, record.id, "value"), record, "value") == text


@pytest.mark.parametrize("text", ["1", '"x"', "[]", "{}", "null", "true", "false", "-1"])
def test_json_is_stored_as_it_is(text: str) -> None:
    """No JSON text looks like a mark, so this code reads what earlier versions stored."""
    assert Sealing(MemoryBucket()).seal(text, "a", "value") == text
    assert not text.startswith(MARKS)


def test_an_object_is_named_by_its_execution_and_its_content() -> None:
    """One prefix has all objects of an execution, and no others."""
    assert key_of("a~0.1", "text") == key_of("a~7", "text")
    assert key_of("a", "text").split("/")[0] == key_of("a", "other").split("/")[0]
    assert key_of("a", "text") != key_of("a", "other")
    assert key_of("a/b", "text").split("/")[0] != key_of("a", "text").split("/")[0]


def test_what_was_put_is_got_and_copied(payloads: Payloads) -> None:
    """Its key may have any characters."""
    payloads.put("a/1", "é\n€😀")
    payloads.copy("a/1", "b/1")
    assert payloads.get("a/1") == payloads.get("b/1") == "é\n€😀"


def test_a_missing_object_is_named(payloads: Payloads) -> None:
    """An operator then knows what to restore."""
    with pytest.raises(BadMessage, match=r"a/1 is gone.*restore"):
        payloads.get("a/1")
    with pytest.raises(BadMessage, match="a/1 is gone"):
        payloads.copy("a/1", "b/1")


def test_a_refused_object_is_named_too(bucket: S3Payloads) -> None:
    """S3 doesn't tell those who may not list a bucket whether an object is missing."""
    elsewhere = S3Payloads("nowhere", lambda: bucket._client)
    with pytest.raises(ClientError) as refused:
        elsewhere.get("a/1")
    assert "s3://nowhere/a/1" in refused.value.__notes__[0]


def test_an_object_that_isnt_what_was_stored_is_refused() -> None:
    """Its key is the hash of its content."""
    bucket = MemoryBucket()
    sealing = Sealing(bucket)
    stored = sealing.seal(LARGE, "a", "value")
    bucket.objects[stored[1:]] = LARGE[:-1] + "y"
    with pytest.raises(BadMessage, match="nothing may change it"):
        sealing.open(stored, Record(id="a"), "value")


class Counted(MemoryBucket):
    """Counts what is read."""

    reads = 0

    def get(self, key: str) -> str:
        self.reads += 1
        return super().get(key)


def test_what_was_read_is_kept_while_there_is_room_for_it() -> None:
    """The least recently used text goes first."""
    bucket = Counted()
    cached = Cached(bucket, size=10)
    for key, text in [("a", "12345"), ("b", "12345"), ("c", "12345")]:
        cached.put(key, text)
    assert [cached.get(key) for key in "ababa"] == ["12345"] * 5
    assert bucket.reads == 2
    cached.get("c")
    cached.get("a")
    assert bucket.reads == 3
    cached.get("b")
    assert bucket.reads == 4
    cached.put("d", "x" * 11)
    assert cached.get("d") == cached.get("d")
    assert bucket.reads == 6


@pytest.mark.parametrize("cipher", [None, toy], ids=["plain", "encrypted"])
@pytest.mark.parametrize("text", ["1", "=like a mark", LARGE])
def test_a_follower_reads_what_was_carried_on_to_it(text: str, cipher: object) -> None:
    """The resumer needs no cipher to carry it on. A follower of a follower reads it, too."""
    bucket = MemoryBucket()
    whole = Sealing(bucket, cipher)  # type: ignore[arg-type]
    carrier = Sealing(bucket)
    stored = Stored(whole.seal(text, "root", "value"), "root")
    once = carrier.seal(stored, "other~0", "value")
    twice = carrier.seal(Stored(once, "other~0"), "third~1", "value")
    for promise, carried in [("other~0", once), ("third~1", twice)]:
        assert whole.open(carried, Record(id=promise, kind=Kind.FOLLOW), "value") == text


def test_what_a_follower_takes_over_is_an_object_of_its_own_execution() -> None:
    """The other execution may be removed first."""
    bucket = MemoryBucket()
    sealing = Sealing(bucket)
    stored = Stored(sealing.seal(LARGE, "root", "value"), "root")
    carried = sealing.seal(stored, "other~0", "value")
    assert in_object(carried)
    del bucket.objects[stored[1:]]
    assert sealing.open(carried, Record(id="other~0", kind=Kind.FOLLOW), "value") == LARGE


def test_what_is_encrypted_for_one_promise_is_no_others() -> None:
    """A writer of the table can't hand one promise the text of another."""
    sealing = Sealing(cipher=toy)
    stored = sealing.seal('"secret"', "a~0", "value")
    for promise, part in [("a~1", "value"), ("a~0", "args")]:
        with pytest.raises(Wrong) as refused:
            sealing.open(stored, Record(id=promise), part)
        assert refused.value.__notes__ == [f"decrypting {part} of {promise}"]
    with pytest.raises(BadMessage, match="only a follower's"):
        sealing.open(f"^a~0\n{stored}", Record(id="a~1"), "value")


def test_without_what_sealed_it_the_error_says_what_to_set() -> None:
    """Somebody forgot to configure this Lambda."""
    secret, large = Sealing(cipher=toy).seal("1", "a", "value"), Sealing(MemoryBucket()).seal(LARGE, "a", "value")
    with pytest.raises(ConfigurationError, match="value of a is encrypted: set DURABLE_CIPHER"):
        Sealing().open(secret, Record(id="a"), "value")
    with pytest.raises(ConfigurationError, match="DURABLE_BUCKET"):
        Sealing().open(large, Record(id="a"), "value")
    with pytest.raises(ConfigurationError, match="DURABLE_BUCKET"):
        Sealing().seal(Stored(large, "a"), "b~0", "value")


def test_what_was_stored_before_there_was_a_cipher_is_read() -> None:
    """An operator can introduce a cipher while executions run."""
    assert Sealing(cipher=toy).open('"plain"', Record(id="a"), "value") == '"plain"'


def test_without_a_bucket_what_is_encrypted_has_room_in_an_item() -> None:
    """It has room twice, as text."""
    sealing = Sealing(cipher=toy)
    assert (Sealing().largest, sealing.largest) == (MAX_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES // 2)
    assert Sealing(MemoryBucket(), toy).largest == MAX_OBJECT_BYTES
    assert 2 * len(sealing.seal("x" * sealing.largest, "a", "value")) < 330_000


def test_a_cipher_is_found_by_its_name() -> None:
    """Without a name there is none."""
    assert cipher_named(NAME) is toy
    assert cipher_named("") is None


@pytest.mark.parametrize(
    "name",
    [
        "nowhere:toy",
        "tests.support.ciphers:none",
        "tests.support.ciphers",
        ":x",
        "tests.support.ciphers:KEY",
        "tests.support.ciphers:ToyCipher",
    ],
)
def test_a_cipher_that_isnt_there_is_named(name: str) -> None:
    """The error comes before any promise is stored in the clear."""
    with pytest.raises(ConfigurationError, match="DURABLE_CIPHER is '"):
        cipher_named(name)
