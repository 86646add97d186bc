"""The SDK's module ``temporalio.testing``, under this package's name: the same objects."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from temporalio.testing import *  # noqa: F403  # pyright: ignore[reportWildcardImportFromLibrary]
else:
    import temporalio.testing

    def __getattr__(name: str) -> object:
        return getattr(temporalio.testing, name)
