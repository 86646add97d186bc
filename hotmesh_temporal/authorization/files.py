"""Files that are read again when they change."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")


class InvalidAccess(ValueError):
    """What says who may come in cannot be used. The text names it, and says what is wrong with it."""


class WatchedFile(Generic[_T]):
    """What a file says, as of now.

    A change that cannot be understood is logged once, and what was there before stays in force. That it is understood
    to begin with is up to the constructor, which raises `InvalidAccess`.

    Args:
        path: The file.
        parse: Understands its content; raises `ValueError` with what is wrong.
    """

    def __init__(self, path: Path, parse: Callable[[bytes], _T]) -> None:
        self._path = path
        self._parse = parse
        self._stamp = self._now()
        self._value = self._read()

    def current(self) -> _T:
        """What it says."""
        stamp = self._now()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._value = self._read()
            except InvalidAccess as error:
                _LOG.warning("the change is not used: %s", error)
            else:
                _LOG.info("%s was read again", self._path)
        return self._value

    def _now(self) -> tuple[int, ...]:
        try:
            status = self._path.stat()
        except OSError:
            return ()
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _read(self) -> _T:
        try:
            return self._parse(self._path.read_bytes())
        except OSError as error:
            raise InvalidAccess(f"{self._path} cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise InvalidAccess(f"{self._path}: {error}") from error
