"""Names that Python needs; what the keys in the database are called stands in ``scripts/keys.lua``.

Every key of an app begins with its root, ``<prefix>:{<namespace>:<app>}:``. The braces make Redis Cluster keep all of
them in one hash slot, which is what lets one script change them all.
"""

from __future__ import annotations

DEFAULT_PREFIX = "hm"


def _escape(name: str) -> str:
    """A brace in a name would end the hash tag early."""
    return name.replace("%", "%25").replace("{", "%7B").replace("}", "%7D")


def root_of(prefix: str, namespace: str, app_id: str) -> str:
    """What every key of an app begins with."""
    return f"{prefix}:{{{_escape(namespace)}:{_escape(app_id)}}}:"


def wake_channel(root: str) -> str:
    """Where publications to streams are announced; ``key.wake`` of the scripts."""
    return f"{root}wake"


def topic_channel(root: str, topic: str | None) -> str:
    """The channel of a topic of the sub service; of the app as a whole without one."""
    return f"{root}q:{topic or ''}"


def topic_of(root: str, channel: str) -> str:
    """Undo `topic_channel`."""
    return channel[len(topic_channel(root, None)) :]


def pattern_of(root: str, prefix: str) -> str:
    """The glob that matches the channels of topics with a prefix."""
    literal = topic_channel(root, prefix)
    return "".join(f"\\{letter}" if letter in "*?[]^-\\" else letter for letter in literal) + "*"
