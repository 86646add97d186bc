"""The error that a caller of the service sees; see `hotmesh_temporal.errors`."""

from ..errors import Code, RpcError

__all__ = ["Code", "RpcError"]
