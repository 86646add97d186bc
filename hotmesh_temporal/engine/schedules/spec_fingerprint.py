"""FarmHash's 32-bit fingerprint, of which the server makes the jitter of a schedule.

Written out here because the bindings that there are have to be compiled where they are installed. The jitter of a
time is hashed from 15 bytes and more, so the forms for shorter texts are left out.
"""

from __future__ import annotations

import struct

_MASK = 0xFFFFFFFF
_C1 = 0xCC9E2D51
_C2 = 0x1B873593
_ADDEND = 0xE6546B64


def fingerprint32(data: bytes) -> int:
    """The fingerprint of at least 13 bytes (the text of the algorithm: FarmHash, ``farmhashmk::Hash32``)."""
    if len(data) < 13:
        raise ValueError("fingerprints of fewer than 13 bytes are not needed here")
    return _short(data) if len(data) <= 24 else _long(data)


def _fetch(data: bytes, at: int) -> int:
    word: int = struct.unpack_from("<I", data, at)[0]
    return word


def _rotated(value: int, by: int) -> int:
    return (value >> by | value << 32 - by) & _MASK


def _scrambled(value: int) -> int:
    return _rotated(value * _C1 & _MASK, 17) * _C2 & _MASK


def _stirred(value: int) -> int:
    return (_rotated(value, 19) * 5 + _ADDEND) & _MASK


def _mixed(word: int, into: int) -> int:
    return _stirred(into ^ _scrambled(word))


def _short(data: bytes) -> int:
    size, half = len(data), len(data) >> 1
    a, b, c = _fetch(data, half - 4), _fetch(data, 4), _fetch(data, size - 8)
    d, e, f = _fetch(data, half), _fetch(data, 0), _fetch(data, size - 4)
    h = (d * _C1 + size) & _MASK
    a = (_rotated(a, 12) + f) & _MASK
    h = (_mixed(c, h) + a) & _MASK
    a = (_rotated(a, 3) + c) & _MASK
    h = (_mixed(e, h) + a) & _MASK
    a = (_rotated((a + f) & _MASK, 12) + d) & _MASK
    return _finished((_mixed(b, h) + a) & _MASK)


def _finished(h: int) -> int:
    h = (h ^ h >> 16) * 0x85EBCA6B & _MASK
    h = (h ^ h >> 13) * 0xC2B2AE35 & _MASK
    return h ^ h >> 16


def _long(data: bytes) -> int:
    size = len(data)
    tail = [_scrambled(_fetch(data, size - 4 * word)) for word in range(1, 6)]
    h = _stirred(_stirred(size ^ tail[0]) ^ tail[3])
    g = _stirred(_stirred(_C1 * size & _MASK ^ tail[1]) ^ tail[2])
    f = (_rotated((_C1 * size + tail[4]) & _MASK, 19) + 113) & _MASK
    for a, b, c, d, e in struct.iter_unpack("<5I", data[: (size - 1) // 20 * 20]):
        h, g, f = (h + a) & _MASK, (g + b) & _MASK, (f + c) & _MASK
        h = (_mixed(d, h) + e) & _MASK
        g = (_mixed(c, g) + a) & _MASK
        f = (_mixed((b + e * _C1) & _MASK, f) + d) & _MASK
        f = (f + g) & _MASK
        g = (g + f) & _MASK
    g, f = (_rotated(_rotated(each, 11) * _C1 & _MASK, 17) * _C1 & _MASK for each in (g, f))
    for each in (g, f):
        h = _rotated(_stirred((h + each) & _MASK), 17) * _C1 & _MASK
    return h
