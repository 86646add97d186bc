"""Real threads for what is asyncio, as gevent has replaced Python's own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, ParamSpec, TypeVar, cast

from gevent.threadpool import ThreadPoolExecutor

P = ParamSpec("P")
T = TypeVar("T")


class RealThreads(ThreadPoolExecutor):
    """gevent's executor of real threads, with futures that asyncio understands."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run a function in a thread."""
        future: Future[T] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)

        cast("Any", super()).submit(run)
        return future
