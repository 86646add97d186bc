"""SQLite: one file, no server, any number of processes of one machine."""

from .backend import SqliteBackend

__all__ = ["SqliteBackend"]
