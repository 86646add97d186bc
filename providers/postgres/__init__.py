"""HotMesh on Postgres: store, stream, sub and search in one database, over asyncpg."""

from .backend import PostgresBackend
from .migrate import migrations
from .settings import Settings, settings_of

__all__ = ["PostgresBackend", "Settings", "migrations", "settings_of"]
