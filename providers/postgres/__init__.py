"""HotMesh on Postgres: store, stream, sub and search in one database, over asyncpg."""

from .backend import PostgresBackend

__all__ = ["PostgresBackend"]
