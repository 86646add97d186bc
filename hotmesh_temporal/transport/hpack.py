"""Header compression of HTTP/2 (RFC 7541): a full decoder, and an encoder that only writes literals.

The client may use the dynamic table until it has read our settings, which forbid it; from then on a header block means
the same whenever it comes, and `Decoder.stateless` says so: the caller may keep the result.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

Header = tuple[bytes, bytes]

_DEFAULT_TABLE_BYTES = 4096
# Each entry counts for this much more than its texts (section 4.1).
_ENTRY_BYTES = 32
# Enough for every number in a header block; more is an attack.
_INTEGER_BYTES = 5


class HpackError(ValueError):
    """The header block cannot be decoded; the connection is of no more use."""


# Appendix A. Names that have several values stand with the first of them as "name=value,value…".
_STATIC = (
    ":authority :method=GET,POST :path=/,/index.html :scheme=http,https :status=200,204,206,304,400,404,500 "
    "accept-charset accept-encoding=gzip;deflate accept-language accept-ranges accept access-control-allow-origin age "
    "allow authorization cache-control content-disposition content-encoding content-language content-length "
    "content-location content-range content-type cookie date etag expect expires from host if-match if-modified-since "
    "if-none-match if-range if-unmodified-since last-modified link location max-forwards proxy-authenticate "
    "proxy-authorization range referer refresh retry-after server set-cookie strict-transport-security "
    "transfer-encoding user-agent vary via www-authenticate"
)


def _static_table() -> list[Header]:
    table: list[Header] = []
    for entry in _STATIC.split():
        name, _, values = entry.partition("=")
        table += [(name.encode(), value.replace(";", ", ").encode()) for value in values.split(",")]
    return table


_STATIC_TABLE = _static_table()

# Appendix B. The code is canonical: it follows from the symbols in the order of their lengths (bits → symbols; the
# ranges are inclusive). 256 is the end of the text, which is padding and never a symbol.
_HUFFMAN_LENGTHS = {
    5: "48-50 97 99 101 105 111 115-116",
    6: "32 37 45-47 51-57 61 65 95 98 100 102-104 108-110 112 114 117",
    7: "58 66-87 89 106-107 113 118-122",
    8: "38 42 44 59 88 90",
    10: "33-34 40-41 63",
    11: "39 43 124",
    12: "35 62",
    13: "0 36 64 91 93 126",
    14: "94 125",
    15: "60 96 123",
    19: "92 195 208",
    20: "128 130-131 162 184 194 224 226",
    21: "153 161 167 172 176-177 179 209 216-217 227 229-230",
    22: "129 132-134 136 146 154 156 160 163-164 169-170 173 178 181 185-187 189-190 196 198 228 232-233",
    23: "1 135 137-141 143 147 149-152 155 157-158 165-166 168 174-175 180 182-183 188 191 197 231 239",
    24: "9 142 144-145 148 159 171 206 215 225 236-237",
    25: "199 207 234-235",
    26: "192-193 200-202 205 210 213 218-219 238 240 242-243 255",
    27: "203-204 211-212 214 221-223 241 244-248 250-254",
    28: "2-8 11-12 14-21 23-31 127 220 249",
    30: "10 13 22 256",
}


def _huffman_symbols() -> dict[tuple[int, int], int]:
    """From (length in bits, code) to symbol."""
    symbols: dict[tuple[int, int], int] = {}
    code = last = 0
    for length, ranges in _HUFFMAN_LENGTHS.items():
        code <<= length - last
        last = length
        for part in ranges.split():
            first, _, end = part.partition("-")
            for symbol in range(int(first), int(end or first) + 1):
                symbols[length, code] = symbol
                code += 1
    return symbols


_HUFFMAN = _huffman_symbols()


class Decoder:
    """Decodes the header blocks of one connection, in their order.

    Args:
        limit: The table size that our settings allow once the client has acknowledged them.
    """

    def __init__(self, limit: int = 0) -> None:
        self._limit = max(limit, _DEFAULT_TABLE_BYTES)
        self._size = _DEFAULT_TABLE_BYTES
        self._used = 0
        self._table: deque[Header] = deque()

    @property
    def stateless(self) -> bool:
        """Whether the dynamic table is closed, so that equal blocks have equal headers."""
        return self._size == 0

    def decode(self, block: bytes) -> list[Header]:
        """Decode one block.

        Raises:
            HpackError: The block is malformed.
        """
        headers: list[Header] = []
        position = 0
        try:
            while position < len(block):
                position = self._decode_one(block, position, headers)
        except IndexError as error:
            raise HpackError("the header block ends too early or names a missing entry") from error
        return headers

    def _decode_one(self, block: bytes, position: int, headers: list[Header]) -> int:
        first = block[position]
        if first & 0x80:
            index, position = _integer(block, position, 7)
            headers.append(self._entry(index))
        elif first & 0x40:
            header, position = self._literal(block, position, 6)
            headers.append(header)
            self._add(header)
        elif first & 0x20:
            size, position = _integer(block, position, 5)
            self._resize(size)
        else:  # without indexing, or never to be indexed: the same for who only reads
            header, position = self._literal(block, position, 4)
            headers.append(header)
        return position

    def _literal(self, block: bytes, position: int, bits: int) -> tuple[Header, int]:
        index, position = _integer(block, position, bits)
        if index:
            name = self._entry(index)[0]
        else:
            name, position = _text(block, position)
        value, position = _text(block, position)
        return (name, value), position

    def _entry(self, index: int) -> Header:
        if index == 0:
            raise HpackError("an entry is named by zero")
        if index <= len(_STATIC_TABLE):
            return _STATIC_TABLE[index - 1]
        return self._table[index - len(_STATIC_TABLE) - 1]

    def _add(self, header: Header) -> None:
        self._table.appendleft(header)
        self._used += _bytes_of(header)
        self._evict()

    def _resize(self, size: int) -> None:
        if size > self._limit:
            raise HpackError("the client wants a larger table than it may have")
        self._size = size
        self._evict()

    def _evict(self) -> None:
        while self._used > self._size:
            self._used -= _bytes_of(self._table.pop())


def encode(headers: Iterable[Header]) -> bytes:
    """A block of literals that are not to be indexed; it means the same at any time."""
    block = bytearray()
    for name, value in headers:
        block.append(0)
        for text in (name, value):
            block += _encoded_length(len(text))
            block += text
    return bytes(block)


def _encoded_length(length: int) -> bytes:
    if length < 0x7F:
        return bytes((length,))
    encoded = bytearray((0x7F,))
    length -= 0x7F
    while length >= 0x80:
        encoded.append(length & 0x7F | 0x80)
        length >>= 7
    encoded.append(length)
    return bytes(encoded)


def _bytes_of(header: Header) -> int:
    return len(header[0]) + len(header[1]) + _ENTRY_BYTES


def _integer(block: bytes, position: int, bits: int) -> tuple[int, int]:
    mask = (1 << bits) - 1
    value = block[position] & mask
    position += 1
    if value < mask:
        return value, position
    for shift in range(0, 7 * _INTEGER_BYTES, 7):
        byte = block[position]
        position += 1
        value += (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise HpackError("a number is too large")


def _text(block: bytes, position: int) -> tuple[bytes, int]:
    huffman = block[position] & 0x80
    length, position = _integer(block, position, 7)
    end = position + length
    if end > len(block):
        raise HpackError("a text is longer than its block")
    text = block[position:end]
    return (_huffman(text) if huffman else text), end


def _huffman(text: bytes) -> bytes:
    decoded = bytearray()
    code = length = 0
    for byte in text:
        for bit in range(7, -1, -1):
            code = code << 1 | (byte >> bit & 1)
            length += 1
            symbol = _HUFFMAN.get((length, code))
            if symbol is not None:
                if symbol == 256:
                    raise HpackError("the end of a text is inside of it")
                decoded.append(symbol)
                code = length = 0
    if length > 7 or code != (1 << length) - 1:
        raise HpackError("a text is not padded with ones")
    return bytes(decoded)
