"""The code under check: workflow classes found by name, in every process anew."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import temporalio.converter
from temporalio import workflow
from temporalio.worker import Interceptor, Replayer, UnsandboxedWorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

# Private to the SDK: whether a class is a workflow, and under which name.
_definition: Callable[[type], Any] = workflow._Definition.from_class  # pyright: ignore[reportPrivateUsage]


class CodeError(Exception):
    """The code cannot be used; the text says why."""


@dataclass(frozen=True)
class Code:
    """What to replay with. Everything is a name, so that each process can load it.

    Args:
        modules: Modules (``orders.workflows``) or files (``orders/workflows.py``) whose workflow classes are meant.
        workflows: Single classes, ``module:Class``.
        data_converter: ``module:object`` of the data converter, with its codec; the SDK's own one if it is empty.
        interceptors: ``module:object`` of the worker's interceptors, or of classes that make them.
        sandbox: Whether workflows run in the SDK's sandbox.
        folder: Where modules are looked for first.
    """

    modules: Sequence[str] = ()
    workflows: Sequence[str] = ()
    data_converter: str = ""
    interceptors: Sequence[str] = ()
    sandbox: bool = True
    folder: str = ""

    def classes(self) -> dict[str | None, type]:
        """The workflow classes by their types; a dynamic one has None.

        Raises:
            CodeError: A module cannot be imported, has no workflow, or two classes have one name.
        """
        found: dict[str | None, type] = {}
        for name in self.modules:
            module = self._module(name)
            classes = [each for each in vars(module).values() if isinstance(each, type) and _definition(each)]
            if not classes:
                raise CodeError(f"there is no workflow class in {name}")
            for each in classes:
                _add(found, each)
        for name in self.workflows:
            each = self._object(name)
            if not isinstance(each, type) or not _definition(each):
                raise CodeError(f"{name} is not a workflow class")
            _add(found, each)
        return found

    def replayer(self) -> Replayer:
        """A replayer with this code. Raises `CodeError`."""
        converter: Any = temporalio.converter.DataConverter.default
        if self.data_converter:
            converter = _made(self._object(self.data_converter), temporalio.converter.DataConverter)
        interceptors: list[Interceptor] = [_made(self._object(name), Interceptor) for name in self.interceptors]
        try:
            return Replayer(
                workflows=list(self.classes().values()),
                data_converter=converter,
                interceptors=interceptors,
                workflow_runner=SandboxedWorkflowRunner() if self.sandbox else UnsandboxedWorkflowRunner(),
            )
        except (RuntimeError, ValueError) as error:
            raise CodeError(f"the workflows cannot be used: {error}") from error

    def _object(self, name: str) -> Any:
        module, colon, attributes = name.rpartition(":")
        if not colon:
            raise CodeError(f"{name!r} names no object: write module:object")
        found: Any = self._module(module)
        for attribute in attributes.split("."):
            try:
                found = getattr(found, attribute)
            except AttributeError as error:
                raise CodeError(f"there is no {attributes} in {module}") from error
        return found

    def _module(self, name: str) -> ModuleType:
        path = Path(self.folder, name)
        if name.endswith(".py"):
            if not path.is_file():
                raise CodeError(f"there is no file {name}")
            _look_in(path.resolve().parent)
            name = path.stem
        elif self.folder:
            _look_in(Path(self.folder))
        try:
            return importlib.import_module(name)
        except Exception as error:  # whatever the module does when it is imported
            raise CodeError(f"{name} cannot be imported: {type(error).__name__}: {error}") from error


def _look_in(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _add(found: dict[str | None, type], cls: type) -> None:
    name: str | None = _definition(cls).name
    if found.setdefault(name, cls) is not cls:
        raise CodeError(f"two classes are the workflow type {name!r}: {_where(found[name])} and {_where(cls)}")


def _where(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _made(thing: Any, kind: type) -> Any:
    """The object, or what it makes when it is called."""
    if isinstance(thing, kind):
        return thing
    made = thing() if callable(thing) else thing
    if not isinstance(made, kind):
        raise CodeError(f"{thing!r} is not, and does not make, a {kind.__name__}")
    return made
