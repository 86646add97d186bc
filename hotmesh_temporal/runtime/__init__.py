"""The engine's shell: everything that awaits. Also the SDK's module ``temporalio.runtime``, under this package's name.

The two share a name, so the SDK's public names are looked up here, as the same objects, when they are asked for.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from temporalio.runtime import *  # noqa: F403  # pyright: ignore[reportWildcardImportFromLibrary]
else:
    import temporalio.runtime

    def __getattr__(name: str) -> object:
        # The name of a module of ours must fail here, so that the import system goes on and imports it.
        return getattr(temporalio.runtime, name)
