"""The SDK's module ``temporalio.worker.workflow_sandbox``, under this package's name: the very same module object."""

# For type checkers only: at run time this module is replaced.
from temporalio.worker.workflow_sandbox import *  # noqa: F403  # pyright: ignore[reportWildcardImportFromLibrary]

from hotmesh_temporal import _mirror

_mirror.become(__name__)
