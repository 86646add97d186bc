"""Protocol messages: what a worker says of updates, each at the place that its command has, or at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from temporalio.api.command.v1 import Command
from temporalio.api.enums.v1 import CommandType
from temporalio.api.protocol.v1 import Message
from temporalio.api.update.v1 import Acceptance, Rejection, Response

from ...errors import TaskFailed, invalid_argument
from ..machines import update
from ..turn import Turn
from .scope import CommandScope, require


def _accept(turn: Turn, update_id: str, body: Acceptance) -> None:
    update.accept(turn, update_id, body)


def _reject(turn: Turn, update_id: str, body: Rejection) -> None:
    update.reject(turn, update_id, body.failure, gives_request=body.HasField("rejected_request"))


def _complete(turn: Turn, update_id: str, body: Response) -> None:
    update.complete(turn, update_id, body)


_BODIES: dict[str, tuple[type[Any], Callable[[Turn, str, Any], None]]] = {
    Acceptance.DESCRIPTOR.full_name: (Acceptance, _accept),
    Rejection.DESCRIPTOR.full_name: (Rejection, _reject),
    Response.DESCRIPTOR.full_name: (Response, _complete),
}


def check(given: Iterable[Message]) -> None:
    """Every message says something. INVALID_ARGUMENT; the task stays open."""
    if any(not each.HasField("body") for each in given):
        raise invalid_argument("nil message body")


def only_rejections(given: Iterable[Message]) -> bool:
    """The worker refuses all updates that it was given."""
    return all(_kind(each) == Rejection.DESCRIPTOR.full_name for each in given)


def deliver(turn: Turn, message: Message) -> None:
    """Do what a message says. Raises `TaskFailed` if it cannot be."""
    known = _BODIES.get(_kind(message))
    if known is None:
        package = _kind(message).rpartition(".")[0]
        raise TaskFailed(update.BAD_MESSAGE, f"unsupported protocol type {package}")
    body, handler = known
    handler(turn, message.protocol_instance_id, body.FromString(message.body.value))


def _kind(message: Message) -> str:
    return message.body.type_url.rpartition("/")[2]


def deliver_named(scope: CommandScope, command: Command) -> None:
    """ProtocolMessage: the message that the command names."""
    message_id = command.protocol_message_command_attributes.message_id
    require(message_id, update.BAD_MESSAGE, "MessageID is not set on ProtocolMessageCommand.")
    message = scope.messages.pop(message_id, None)
    if message is None:
        raise TaskFailed(update.BAD_MESSAGE, f"ProtocolMessageCommand referenced absent message ID {message_id}")
    deliver(scope.turn, message)


def deliver_rejections(scope: CommandScope, given: Iterable[Command]) -> None:
    """Those that no command gives a place. They come first: a command may close the run, and the caller is told yet."""
    named = {each.protocol_message_command_attributes.message_id for each in given}
    for message_id, message in list(scope.messages.items()):
        if message_id not in named and _kind(message) == Rejection.DESCRIPTOR.full_name:
            deliver(scope.turn, scope.messages.pop(message_id))


def deliver_rest(scope: CommandScope) -> None:
    """Messages that no command gave a place; nothing follows the end of a run."""
    rest, scope.messages = scope.messages, {}
    for message in rest.values():
        if scope.turn.state.running:
            deliver(scope.turn, message)


HANDLERS = {CommandType.COMMAND_TYPE_PROTOCOL_MESSAGE: deliver_named}
