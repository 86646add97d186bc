"""The slim HTTP/2 server on the wire: header compression by the examples of the RFC, frames by hand, flow control."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from hotmesh_temporal.contracts.backend import ConnectionSpec
from hotmesh_temporal.transport import http2
from hotmesh_temporal.transport.hpack import Decoder, HpackError, encode
from hotmesh_temporal.transport.http2 import ErrorCode, FrameType, SendWindows, Setting, frame
from hotmesh_temporal.transport.loopback import LoopbackListener
from tests.support.echo_frontend import EchoFrontend, NoBackend

PATH = b"/temporal.api.workflowservice.v1.WorkflowService/DescribeNamespace"
HEADERS = encode([(b":method", b"POST"), (b":path", PATH), (b"authorization", b"Bearer t")])
# DescribeNamespaceRequest(namespace="a") as one gRPC message.
BODY = b"\0\0\0\0\x03\x0a\x01a"


def test_the_examples_of_the_rfc_with_huffman_code_and_dynamic_table() -> None:
    decoder = Decoder()
    common = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"www.example.com")]
    assert decoder.decode(bytes.fromhex("828684418cf1e3c2e5f23a6ba0ab90f4ff")) == common
    assert decoder.decode(bytes.fromhex("828684be5886a8eb10649cbf")) == [*common, (b"cache-control", b"no-cache")]
    assert decoder.decode(bytes.fromhex("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf")) == [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":path", b"/index.html"),
        (b":authority", b"www.example.com"),
        (b"custom-key", b"custom-value"),
    ]
    assert not decoder.stateless


def test_a_closed_table_forgets_and_keeps_nothing() -> None:
    decoder = Decoder()
    decoder.decode(bytes.fromhex("400161016240016301643fe11f20"))
    assert decoder.stateless
    assert decoder.decode(bytes.fromhex("4001610162")) == [(b"a", b"b")]
    with pytest.raises(HpackError, match="missing entry"):
        decoder.decode(b"\xbe")


@pytest.mark.parametrize("size", [0, 1, 126, 127, 128, 254, 255, 256, 20_000])
def test_what_is_encoded_is_decoded(size: int) -> None:
    headers = [(b"n" * max(size, 1), b"v" * size)]
    assert Decoder().decode(encode(headers)) == headers


@pytest.mark.parametrize(
    "block",
    [
        "80",  # entry zero
        "ff",  # a number that does not end
        "ffffffffffffff",  # a number that is too large
        "0005616263",  # a text longer than the block
        "0001618138",  # Huffman padding of zeros
        "00016184ffffffff",  # the Huffman end of text inside of one
        "3fe21f",  # a table larger than allowed
    ],
)
def test_malformed_blocks_are_refused(block: str) -> None:
    with pytest.raises(HpackError):
        Decoder().decode(bytes.fromhex(block))


def test_data_waits_for_windows_and_goes_on_in_order() -> None:
    sent: list[bytes] = []
    windows = SendWindows(sent.append)
    windows.settings(10)
    assert not windows.fits(11)
    windows.send(1, b"x" * 25, b"last")
    assert sent == [frame(FrameType.DATA, 0, 1, b"x" * 10)]
    windows.update(1, (7).to_bytes(4, "big"))
    assert sent[1:] == [frame(FrameType.DATA, 0, 1, b"x" * 7)]
    windows.settings(18)
    assert sent[2:] == [frame(FrameType.DATA, 0, 1, b"x" * 8), b"last"]
    assert windows.fits(18)


def test_the_connections_window_holds_for_all_streams() -> None:
    sent: list[bytes] = []
    windows = SendWindows(sent.append)
    windows.settings(1_000_000)
    windows.send(1, b"x" * 65_535, b"one")
    windows.send(3, b"y", b"two")
    assert sent[-1] == b"one"
    assert not windows.fits(1)
    windows.update(0, (1).to_bytes(4, "big"))
    assert sent[-2:] == [frame(FrameType.DATA, 0, 3, b"y"), b"two"]


def test_a_window_that_is_too_large_is_an_error() -> None:
    windows = SendWindows(lambda _: None)
    with pytest.raises(http2.ProtocolError) as caught:
        windows.update(0, ((1 << 31) - 1).to_bytes(4, "big"))
    assert caught.value.code is ErrorCode.FLOW_CONTROL_ERROR


@dataclass
class Wire:
    """A connection whose frames are written by hand."""

    frontend: EchoFrontend
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def next(self, kind: FrameType) -> tuple[int, int, bytes]:
        """Flags, stream and payload of the next frame of a kind."""
        while True:
            head = await asyncio.wait_for(self.reader.readexactly(9), 5)
            payload = await self.reader.readexactly(int.from_bytes(head[:3], "big"))
            if head[3] == kind:
                return head[4], int.from_bytes(head[5:], "big"), payload

    async def error(self) -> ErrorCode:
        """Why the server said good-bye; it must close the connection then."""
        _, _, payload = await self.next(FrameType.GOAWAY)
        assert await self.reader.read() == b""
        return ErrorCode(int.from_bytes(payload[4:8], "big"))


@pytest_asyncio.fixture
async def wire() -> AsyncIterator[Wire]:
    frontend = EchoFrontend(NoBackend(ConnectionSpec("nothing", url="nothing://wire")))
    listener = LoopbackListener(frontend, token="t")
    host, _, port = (await listener.start()).partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    yield Wire(frontend, reader, writer)
    writer.close()
    await listener.close()


def greeting() -> bytes:
    return http2.PREFACE + http2.settings_frame({Setting.INITIAL_WINDOW_SIZE: 1 << 20})


async def test_a_request_that_comes_byte_by_byte(wire: Wire) -> None:
    request = http2.headers_frames(1, HEADERS, end_stream=False) + frame(FrameType.DATA, http2.END_STREAM, 1, BODY)
    for byte in greeting() + request:
        wire.writer.write(bytes((byte,)))
        await wire.writer.drain()
    assert await wire.next(FrameType.DATA) == (0, 1, b"\0\0\0\0\x05\x0a\x03\x0a\x01a")


async def test_padding_priority_and_continuation(wire: Wire) -> None:
    flags = http2.PADDED | http2.PRIORITY
    first = frame(FrameType.HEADERS, flags, 1, b"\x02" + b"\0" * 5 + HEADERS[:10] + b"\0\0")
    rest = frame(FrameType.CONTINUATION, 0, 1, HEADERS[10:20])
    rest += frame(FrameType.CONTINUATION, http2.END_HEADERS, 1, HEADERS[20:])
    data = frame(FrameType.DATA, http2.PADDED, 1, b"\x03" + BODY[:4] + b"\0\0\0")
    data += frame(FrameType.DATA, http2.END_STREAM, 1, BODY[4:])
    wire.writer.write(greeting() + first + rest + data)
    assert (await wire.next(FrameType.DATA))[1] == 1


async def test_pings_are_answered_and_unknown_frames_passed_over(wire: Wire) -> None:
    unknown = b"\0\0\x01\xaa\0\0\0\0\0x"
    wire.writer.write(greeting() + unknown + frame(FrameType.PING, 0, 0, b"12345678"))
    assert await wire.next(FrameType.PING) == (http2.ACK, 0, b"12345678")


async def test_a_reset_cancels_the_call_and_later_frames_of_it_are_nothing(wire: Wire) -> None:
    slow = b"\0\0\0\0\x06\x0a\x04slow"
    wire.writer.write(greeting() + http2.headers_frames(1, HEADERS, end_stream=False))
    wire.writer.write(frame(FrameType.DATA, http2.END_STREAM, 1, slow))
    assert await asyncio.to_thread(wire.frontend.entered.wait, 5)
    wire.writer.write(frame(FrameType.RST_STREAM, 0, 1, (8).to_bytes(4, "big")))
    wire.writer.write(http2.window_update(1, 5) + frame(FrameType.DATA, 0, 1, b"late"))
    assert await asyncio.to_thread(wire.frontend.was_cancelled.wait, 5)
    wire.writer.write(frame(FrameType.PING, 0, 0, b"12345678"))
    await wire.next(FrameType.PING)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", ErrorCode.PROTOCOL_ERROR),
        (greeting() + b"\xff\xff\xff\0\0\0\0\0\x01", ErrorCode.FRAME_SIZE_ERROR),
        (greeting() + http2.headers_frames(2, HEADERS, end_stream=True), ErrorCode.PROTOCOL_ERROR),
        (greeting() + frame(FrameType.HEADERS, http2.END_HEADERS, 1, b"\x80"), ErrorCode.COMPRESSION_ERROR),
        (greeting() + frame(FrameType.CONTINUATION, 0, 1, b""), ErrorCode.PROTOCOL_ERROR),
        (greeting() + frame(FrameType.HEADERS, 0, 1, b"") + frame(FrameType.PING, 0, 0), ErrorCode.PROTOCOL_ERROR),
        (greeting() + frame(FrameType.SETTINGS, 0, 0, b"x"), ErrorCode.FRAME_SIZE_ERROR),
        (greeting() + frame(FrameType.WINDOW_UPDATE, 0, 0, b"x"), ErrorCode.FRAME_SIZE_ERROR),
        (greeting() + frame(FrameType.HEADERS, http2.PADDED, 1, b"\xff"), ErrorCode.PROTOCOL_ERROR),
    ],
)
async def test_a_broken_peer_is_sent_away(wire: Wire, data: bytes, code: ErrorCode) -> None:
    wire.writer.write(data)
    assert await wire.error() is code
