"""The data converter of both programs: payloads are compressed, and what is still large goes to a folder of files."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import os
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    DataConverter,
    ExternalStorage,
    PayloadCodec,
    StorageDriver,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

FOLDER = Path(os.environ.get("PAYLOAD_FOLDER", tempfile.gettempdir() + "/sample-external-storage"))
LARGE = 4096
"""Bytes from which on a compressed payload is kept outside."""


class Compression(PayloadCodec):
    """Compresses every payload."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """The payloads as compressed bytes."""
        return [
            Payload(metadata={"encoding": b"binary/zlib"}, data=zlib.compress(payload.SerializeToString()))
            for payload in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """The payloads as they were; those that nobody compressed stay as they are."""
        return [_decompressed(payload) for payload in payloads]


def _decompressed(payload: Payload) -> Payload:
    if payload.metadata.get("encoding") != b"binary/zlib":
        return payload
    return Payload.FromString(zlib.decompress(payload.data))


class Files(StorageDriver):
    """A file per payload, named after its content."""

    def name(self) -> str:
        """The name in the references."""
        return "files"

    async def store(self, context: StorageDriverStoreContext, payloads: Sequence[Payload]) -> list[StorageDriverClaim]:
        """Write each payload to its file; the claim also says for whom."""
        return [await asyncio.to_thread(self._store, context, payload) for payload in payloads]

    async def retrieve(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[Payload]:
        """Read them again."""
        files = [FOLDER / claim.claim_data["file"] for claim in claims]
        return [Payload.FromString(await asyncio.to_thread(file.read_bytes)) for file in files]

    def _store(self, context: StorageDriverStoreContext, payload: Payload) -> StorageDriverClaim:
        data = payload.SerializeToString(deterministic=True)
        name = hashlib.sha256(data).hexdigest()[:20]
        FOLDER.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=FOLDER, delete=False) as file:
            file.write(data)
        # Another process may write the same content at the same time.
        Path(file.name).replace(FOLDER / name)
        owner = "workflow" if isinstance(context.target, StorageDriverWorkflowInfo) else "activity"
        return StorageDriverClaim({"file": name, "for": f"{owner} {context.target.type if context.target else ''}"})


CONVERTER = dataclasses.replace(
    DataConverter.default,
    payload_codec=Compression(),
    external_storage=ExternalStorage([Files()], payload_size_threshold=LARGE),
)
