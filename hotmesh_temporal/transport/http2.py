"""The frames of HTTP/2 (RFC 9113): how they are written, and the flow control of what we send."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_HEADER_BYTES = 9
# What both sides must accept and we never exceed or raise.
MAX_FRAME_BYTES = 16384
_DEFAULT_WINDOW = 65535
_MAX_WINDOW = (1 << 31) - 1


class FrameType(IntEnum):
    """The types that we know; others are to be ignored."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class ErrorCode(IntEnum):
    """Why a stream or a connection ends."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    FLOW_CONTROL_ERROR = 3
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9


class Setting(IntEnum):
    """The settings that we send or heed."""

    HEADER_TABLE_SIZE = 1
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5


END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITY = 0x20


class ProtocolError(Exception):
    """The peer broke the protocol; the connection has to end with this code."""

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(text)
        self.code = code


def frame(kind: FrameType, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    size = len(payload)
    return struct.pack(">BHBBL", size >> 16, size & 0xFFFF, kind, flags, stream) + payload


def headers_frames(stream: int, block: bytes, *, end_stream: bool) -> bytes:
    """A header block, in as many frames as it needs."""
    flags = END_STREAM if end_stream else 0
    if len(block) <= MAX_FRAME_BYTES:
        return frame(FrameType.HEADERS, flags | END_HEADERS, stream, block)
    parts = [block[at : at + MAX_FRAME_BYTES] for at in range(0, len(block), MAX_FRAME_BYTES)]
    frames = [frame(FrameType.HEADERS, flags, stream, parts[0])]
    frames += [frame(FrameType.CONTINUATION, 0, stream, part) for part in parts[1:-1]]
    return b"".join([*frames, frame(FrameType.CONTINUATION, END_HEADERS, stream, parts[-1])])


def settings_frame(settings: dict[Setting, int]) -> bytes:
    """Our settings."""
    return frame(FrameType.SETTINGS, 0, 0, b"".join(struct.pack(">HL", *item) for item in settings.items()))


def window_update(stream: int, increment: int) -> bytes:
    """Allow the peer to send more bytes on a stream, or on the connection (0)."""
    return frame(FrameType.WINDOW_UPDATE, 0, stream, struct.pack(">L", increment))


def parse_settings(payload: bytes) -> dict[int, int]:
    """The peer's settings.

    Raises:
        ProtocolError: The frame has a wrong size.
    """
    if len(payload) % 6:
        raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, "a SETTINGS frame has a wrong size")
    return dict(struct.iter_unpack(">HL", payload))


def without_padding(flags: int, payload: bytes, *, priority: bool = False) -> bytes:
    """The content of a DATA or HEADERS frame.

    Raises:
        ProtocolError: The padding is longer than the frame.
    """
    if priority and len(payload) < 5 + bool(flags & PADDED):
        raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, "a HEADERS frame is too short")
    if not flags & PADDED:
        return payload[5:] if priority else payload
    if not payload or payload[0] >= len(payload):
        raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "the padding is longer than its frame")
    return payload[6 if priority else 1 : len(payload) - payload[0]]


@dataclass
class _Waiting:
    """What is left to send on a stream."""

    data: memoryview
    last: bytes


class SendWindows:
    """What the peer lets us send, and the data that waits for its leave.

    Args:
        write: Sends bytes on the connection.
    """

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._connection = _DEFAULT_WINDOW
        self._initial = _DEFAULT_WINDOW
        # Streams whose window is not the initial one; most answers are small and leave no trace here.
        self._streams: dict[int, int] = {}
        self._waiting: dict[int, _Waiting] = {}

    def fits(self, size: int) -> bool:
        """Whether a new stream may send this much in one frame now, before any other data that waits."""
        return not self._waiting and size <= MAX_FRAME_BYTES and size <= self._connection and size <= self._initial

    def spend(self, size: int) -> None:
        """Note what was sent on a stream that ended with it, after `fits`."""
        self._connection -= size

    def send(self, stream: int, data: bytes, last: bytes) -> None:
        """Send data in frames, as far as the windows allow; ``last`` (ready frames) follows the data."""
        self._waiting[stream] = _Waiting(memoryview(data), last)
        self._flush()

    def waits(self, stream: int) -> bool:
        """Whether data of a stream waits for the peer's leave."""
        return stream in self._waiting

    def drop(self, stream: int) -> None:
        """Forget a stream that is over."""
        self._streams.pop(stream, None)
        self._waiting.pop(stream, None)

    def settings(self, initial: int) -> None:
        """The peer changed its initial window, which moves the windows of all streams.

        Raises:
            ProtocolError: It is too large.
        """
        if initial > _MAX_WINDOW:
            raise ProtocolError(ErrorCode.FLOW_CONTROL_ERROR, "the initial window is too large")
        change = initial - self._initial
        self._initial = initial
        for stream in self._streams:
            self._streams[stream] += change
        self._flush()

    def update(self, stream: int, payload: bytes) -> None:
        """The peer allows more, on a stream that is open or on the connection (0).

        Raises:
            ProtocolError: The frame is malformed or the window becomes too large.
        """
        if len(payload) != 4:
            raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, "a WINDOW_UPDATE frame has a wrong size")
        increment = int.from_bytes(payload, "big") & _MAX_WINDOW
        if not stream:
            self._connection += increment
        else:
            self._streams[stream] = self._streams.get(stream, self._initial) + increment
        if increment == 0 or max(self._connection, self._streams.get(stream, 0)) > _MAX_WINDOW:
            raise ProtocolError(ErrorCode.FLOW_CONTROL_ERROR, "a window update is zero or too large")
        self._flush()

    def _flush(self) -> None:
        for stream in list(self._waiting):
            self._flush_stream(stream)

    def _flush_stream(self, stream: int) -> None:
        waiting = self._waiting[stream]
        while waiting.data:
            window = self._streams.get(stream, self._initial)
            size = min(len(waiting.data), MAX_FRAME_BYTES, window, self._connection)
            if size <= 0:
                return
            self._streams[stream] = window - size
            self._connection -= size
            self._write(frame(FrameType.DATA, 0, stream, bytes(waiting.data[:size])))
            waiting.data = waiting.data[size:]
        self._write(waiting.last)
        self.drop(stream)
