"""The SDK's module `temporalio.envconfig`, under this package's name: the very same module object."""

# For type checkers only: at run time this module is replaced.
from temporalio.envconfig import *  # noqa: F403  # pyright: ignore[reportWildcardImportFromLibrary]

from . import _mirror

_mirror.become(__name__)
