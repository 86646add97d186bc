"""NATS: streams on JetStream, notices on core NATS; the store is another database."""

from .backend import NatsBackend

__all__ = ["NatsBackend"]
