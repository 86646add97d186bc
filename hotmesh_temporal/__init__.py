"""Run Temporal applications on your own database, with no Temporal cluster.

Every public module of ``temporalio`` can be imported under this name and holds the same objects; only connecting
differs: see `hotmesh_temporal.client.Client.connect`, or `hotmesh_temporal.plugin.HotMeshPlugin` for code that keeps
its imports.
"""

from . import _mirror

__version__ = "0.1.0"

_mirror.install()
