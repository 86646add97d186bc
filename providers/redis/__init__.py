"""HotMesh on Redis or Valkey: store, stream, sub and search, over redis-py."""

from .backend import RedisBackend
from .settings import Settings, settings_of

__all__ = ["RedisBackend", "Settings", "settings_of"]
