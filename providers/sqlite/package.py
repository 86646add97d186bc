"""The version of the installed package."""

from __future__ import annotations

from importlib import metadata


def package_version() -> str:
    """The version of hotmesh-temporal, ``0`` if it runs from a source tree that is not installed."""
    try:
        return metadata.version("hotmesh-temporal")
    except metadata.PackageNotFoundError:
        return "0"
