"""What becomes of a message after it was delivered."""

from __future__ import annotations

from ...contracts.commit import Ack
from ...contracts.types import STREAM_GROUP_WORKER
from ...runtime.matching import Delivery
from ...runtime.service import Runtime


def ack_of(runtime: Runtime, delivery: Delivery) -> Ack:
    """Disposes of a delivered message, for a commit."""
    message = delivery.message
    return Ack(delivery.stream, STREAM_GROUP_WORKER, message.message_id, runtime.engine_id, message.attempt)


async def drop(runtime: Runtime, ack: Ack) -> None:
    """Throw a message away that nothing came of. One that was handed over in memory only has no id."""
    if ack.message_id:
        await runtime.stream.ack_and_delete(
            ack.stream, ack.group, [ack.message_id], consumer=ack.consumer, attempt=ack.attempt
        )
