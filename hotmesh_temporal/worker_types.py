"""What a worker of the SDK has registered: its workflow and activity types, their handlers, parameters and texts.

The SDK says which classes and functions a worker has (`Worker.config`), but what they were declared as is private to
it: the names, handlers and types of a definition are read from its ``_Definition`` classes.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import msgspec
from temporalio import activity, workflow
from temporalio.worker import Worker

from .runtime.registered import DYNAMIC, Handler, Parameter, TypeSchema, WorkerTypes

_LOG = logging.getLogger(__name__)

_LONGEST_TEXT = 2000


# What the SDK knows of a class or function; without types, because the classes are private.
_workflow_definition: Callable[[type], Any] = workflow._Definition.must_from_class  # pyright: ignore[reportPrivateUsage]
_activity_definition: Any = activity._Definition  # pyright: ignore[reportPrivateUsage]


def types_of(worker: Worker) -> WorkerTypes | None:
    """What is registered; None, and an entry of the log, if this SDK's definitions cannot be read."""
    try:
        # Some of its types are only half known.
        config = cast("Mapping[str, Any]", worker.config())
        types = [_workflow(each) for each in config["workflows"]]
        types += [_activity(each) for each in config["activities"]]
        types.sort(key=lambda each: (each.kind, each.name))
        return WorkerTypes(worker.client.namespace, worker.task_queue, _build_id(config), types)
    except Exception:
        # A worker has to run, whether its types are known to others or not.
        _LOG.exception("the types of the worker of %r cannot be read", worker.task_queue)
        return None


def _build_id(config: Mapping[str, Any]) -> str:
    deployment = config.get("deployment_config")
    if deployment is not None:
        return deployment.version.build_id
    build_id = config.get("build_id")
    if build_id:
        return build_id
    # What the SDK itself takes then: a digest of the loaded code. It has it already, and no public name for it.
    from temporalio.worker._worker import load_default_build_id

    return load_default_build_id()


def _workflow(cls: type) -> TypeSchema:
    definition = _workflow_definition(cls)
    return TypeSchema(
        "workflow",
        definition.name or DYNAMIC,
        _text(cls),
        _parameters(definition.run_fn, definition.arg_types, is_method=True),
        schema_of(definition.ret_type),
        signals=_handlers(definition.signals, is_signal=True),
        queries=_handlers(definition.queries),
        updates=_handlers(definition.updates),
    )


def _activity(function: Callable[..., Any]) -> TypeSchema:
    definition = _activity_definition.must_from_callable(function)
    # Bound methods have no "self" in their signature, and objects that can be called are looked at like functions.
    return TypeSchema(
        "activity",
        definition.name or DYNAMIC,
        _text(function),
        _parameters(definition.fn, definition.arg_types, is_method=False),
        schema_of(definition.ret_type),
    )


def _handlers(definitions: Mapping[str | None, Any], *, is_signal: bool = False) -> list[Handler]:
    # The SDK's own ones (__stack_trace and the like) are the same for all workflows, and not among them.
    return sorted((_handler(each, is_signal=is_signal) for each in definitions.values()), key=lambda each: each.name)


def _handler(definition: Any, *, is_signal: bool) -> Handler:
    return Handler(
        definition.name or DYNAMIC,
        definition.description or _text(definition.fn),
        _parameters(definition.fn, definition.arg_types, is_method=definition.is_method),
        None if is_signal else schema_of(definition.ret_type),
    )


def _parameters(function: Callable[..., Any], types: Iterable[Any] | None, *, is_method: bool) -> list[Parameter]:
    found = list(inspect.signature(function).parameters.values())[1 if is_method else 0 :]
    # Without types for all of them the SDK has none at all.
    known = list(types or ())
    known += [Any] * (len(found) - len(known))
    return [
        Parameter(each.name, schema_of(kind), required=each.default is inspect.Parameter.empty)
        for each, kind in zip(found, known, strict=False)
    ]


def schema_of(kind: Any) -> dict[str, Any]:
    """The JSON schema of a type; of one that has none its name. Nothing is known of ``Any``: empty.

    None stands for what was declared without a type, and ``NoneType`` for a declared None.
    """
    if kind is None:
        return {}
    made = getattr(kind, "model_json_schema", None)
    try:
        return made() if made is not None else msgspec.json.schema(kind)
    except Exception:  # whatever the type is, a name is better than nothing
        return {"title": getattr(kind, "__qualname__", None) or str(kind)}


def _text(thing: Any) -> str:
    # `getdoc` would take the text of a base class, such as that of `object`.
    text: str | None = getattr(thing, "__doc__", None)
    return inspect.cleandoc(text)[:_LONGEST_TEXT] if text else ""
