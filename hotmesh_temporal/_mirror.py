"""Make ``hotmesh_temporal.<module>`` the same module object as ``temporalio.<module>``.

Three cases, in the order in which the import system meets them:

- a module of ours that only mirrors (``workflow``, ``activity``…) calls `become` and is replaced by the SDK's module;
- a child of such a module (``workflow._definition``): without help Python would load the SDK's file a second time under
  our name, with a second set of classes, so `_ChildOfMirror` stands first in ``sys.meta_path``;
- a module that we have no file for (``api.*``, ``contrib.*``): `_Missing` stands last and looks for the SDK's.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_OURS = "hotmesh_temporal."
_SDK = "temporalio."
# The bridge is private to the SDK and changes with every release; nobody should reach it through us.
_HIDDEN = "hotmesh_temporal.bridge"

PASSED_THROUGH = ("hotmesh_temporal", "asyncpg", "hiredis", "nats", "redis", "uvloop")
"""What workflow code in a sandbox shares with the rest of the process."""


def install() -> None:
    """Add the finders to ``sys.meta_path``, once per process."""
    if not any(isinstance(finder, _Missing) for finder in sys.meta_path):
        sys.meta_path.insert(0, _ChildOfMirror())
        sys.meta_path.append(_Missing())


def become(name: str) -> None:
    """Replace the module that is being imported under ``name`` by the SDK's module of the same place."""
    sys.modules[name] = importlib.import_module(_sdk_name(name))


def pass_through_sandbox() -> None:
    """Let sandboxed workflow code import this package the way it may import ``temporalio``, and drivers of databases.

    A program that names its driver (``{"class": asyncpg, …}``) in the file of its workflows imports it into the sandbox
    too. Compiled modules that are loaded there a second time may take the first one with them when they go, and crash
    the process.

    The SDK's default restrictions hold these sets by reference, so this reaches every default runner: workers,
    replayers and test environments, with our plugin or without it.
    """
    from temporalio.worker.workflow_sandbox import SandboxRestrictions

    for modules in (
        SandboxRestrictions.passthrough_modules_with_temporal,
        SandboxRestrictions.passthrough_modules_maximum,
        SandboxRestrictions.passthrough_modules_default,
    ):
        modules.update(PASSED_THROUGH)


def _sdk_name(name: str) -> str:
    return _SDK + name[len(_OURS) :]


def _mirror_spec(name: str) -> ModuleSpec | None:
    try:
        found = importlib.util.find_spec(_sdk_name(name))
    except ModuleNotFoundError as error:
        # A package that an SDK module needs is another matter: the user must be told which one.
        if not (error.name or "").startswith(_SDK):
            raise
        return None
    return ModuleSpec(name, _MirrorLoader()) if found else None


class _MirrorLoader(Loader):
    def create_module(self, spec: ModuleSpec) -> None:
        """Ask for an empty module: handing out the SDK's own here would overwrite its ``__spec__``."""

    def exec_module(self, module: ModuleType) -> None:
        become(module.__name__)


class _ChildOfMirror(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(_OURS):
            return None
        parent = sys.modules.get(fullname.rpartition(".")[0])
        if parent is None or not (parent.__name__ + ".").startswith(_SDK):
            return None
        return _mirror_spec(fullname)


class _Missing(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(_OURS) or (fullname + ".").startswith(_HIDDEN + "."):
            return None
        return _mirror_spec(fullname)


class Extends(type):
    """Metaclass of a class that stands in for its SDK base: every instance of the base counts as one of the class.

    So ``isinstance`` answers the same under both names, whichever of the two made the object.
    """

    def __instancecheck__(cls, instance: object) -> bool:
        return (
            isinstance(instance, cls.__mro__[1])
            if cls.__module__.startswith(_OURS)
            else super().__instancecheck__(instance)
        )
