"""Subjects and names of JetStream. Every text has exactly one token, and no two texts share one."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import unquote

_PLAIN = re.compile(r"[A-Za-z0-9_-]")
_LONGEST = 180
"""Longer tokens are hashed: a subject has to fit into one line of the protocol."""


def token(text: str) -> str:
    """The text as one token: letters, digits, ``_`` and ``-`` as they are, any other byte as ``=XX``."""
    data = text.encode("utf-8", "surrogatepass")
    return "".join(chr(byte) if _PLAIN.match(chr(byte)) else f"={byte:02X}" for byte in data) or "="


def text_of(token: str) -> str:
    """The text of a token."""
    return "" if token == "=" else unquote(token.replace("=", "%"), errors="surrogatepass")


def is_hashed(name_token: str) -> bool:
    """The token of `Names.queue` or `Names.topic` does not tell its text."""
    return name_token.startswith("h")


def _named(kind: str, text: str) -> str:
    plain = kind + token(text)
    if len(plain) <= _LONGEST:
        return plain
    return "h" + hashlib.sha256(f"{kind}{text}".encode("utf-8", "surrogatepass")).hexdigest()


class Names:
    """The names of one app.

    | subject | holds |
    |---|---|
    | ``hotmesh.<namespace>.<app>.q.<queue>.<message>`` | a message with priority 0, in whatever state |
    | ``hotmesh.<namespace>.<app>.q.<queue>.p.<message>`` | one with another priority |
    | ``hotmesh.<namespace>.<app>.d.<queue>.<message>`` | a dead letter |
    | ``hotmesh.<namespace>.<app>.g.<queue>.<group>`` | a consumer group, or ``=`` for the queue itself |
    | ``hotmesh.<namespace>.<app>.n.<topic>`` | notices, ``a`` for those to the app; not kept |
    """

    def __init__(self, namespace: str, app_id: str) -> None:
        self.namespace, self.app_id = namespace, app_id
        self.root = f"hotmesh.{token(namespace)}.{token(app_id)}"
        self.log = f"hotmesh+{token(namespace)}+{token(app_id)}"
        """The JetStream stream."""
        self._prefix = f"{namespace}:{app_id}:x:"

    @property
    def kept(self) -> list[str]:
        """Subjects that the JetStream stream keeps."""
        return [f"{self.root}.{kind}.>" for kind in "qdg"]

    def queue(self, stream: str) -> str:
        """The token of a stream's name."""
        if stream.startswith(self._prefix):
            return _named("t", stream.removeprefix(self._prefix))
        return _named("n", stream)

    def stream(self, queue: str) -> str:
        """The stream's name of a token that is not hashed."""
        return self._prefix + text_of(queue[1:]) if queue.startswith("t") else text_of(queue[1:])

    def topic(self, topic: str | None) -> str:
        """The subject of notices to a topic, or to the app (None)."""
        return f"{self.root}.n." + ("a" if topic is None else _named("t", topic))

    def of(self, kind: str, queue: str, *rest: str) -> str:
        """A subject of the kind ``q``, ``d`` or ``g``."""
        return ".".join((self.root, kind, queue, *rest))
