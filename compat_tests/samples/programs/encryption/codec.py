"""Encrypts payloads. The same text becomes the same bytes (AES-SIV), so that runs can be compared."""

import dataclasses
from collections.abc import Sequence

from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter, PayloadCodec, default

ENCODING = b"binary/siv"
KEY = b"a key of thirty-two bytes, no more"[:32]


class SecretCodec(PayloadCodec):
    """Every payload becomes one whose data is the whole of the first, encrypted."""

    def __init__(self, key: bytes = KEY) -> None:
        self._cipher = AESSIV(key)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """See base class."""
        return [
            Payload(
                metadata={"encoding": ENCODING, "key-id": b"first"},
                data=self._cipher.encrypt(each.SerializeToString(deterministic=True), None),
            )
            for each in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """See base class."""
        return [self._plain(each) for each in payloads]

    def _plain(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        return Payload.FromString(self._cipher.decrypt(payload.data, None))


def secret_converter() -> DataConverter:
    """The default one, and the codec; texts of failures are encrypted, too."""
    return dataclasses.replace(default(), payload_codec=SecretCodec())
