"""Fair scheduling: requests with much work do not delay all others, such as health checks.

The event loop continues every request that is ready before it looks for new ones. If the database
has returned several large pages at the same time, or hundreds of requests arrive at once, a health
check would wait for all of them.
"""

import asyncio
import time
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

# Seconds of work in one iteration of the event loop after which others continue in a later one.
LONG = 0.02


class FairScheduling:
    """ASGI middleware: after long work of requests, the event loop looks for new ones first.

    Requests for the path `urgent`, and for those below it, do not wait before they begin.
    """

    def __init__(self, app: ASGIApp, urgent: str) -> None:
        self._app = app
        self._urgent = urgent
        self._seconds = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if not f"{scope.get('path', '')}/".startswith(f"{self._urgent}/"):
            while self._must_pause:
                await asyncio.sleep(0)
        handling: Any = self._app(scope, receive, send)
        await self._in_steps(handling)

    @coroutine
    def _in_steps(self, handling: Coroutine[Any, Any, None]) -> Generator[Any, Any, None]:
        """Run a coroutine from one await to the next, with a pause where others took long."""
        error: BaseException | None = None
        while True:
            started = time.perf_counter()
            try:
                waits_for = handling.send(None) if error is None else handling.throw(error)
            except StopIteration:
                return
            finally:
                self._count(time.perf_counter() - started)
            error = None
            try:
                yield waits_for
                while self._must_pause:
                    yield
            except BaseException as raised:
                error = raised

    @property
    def _must_pause(self) -> bool:
        return self._seconds > LONG

    def _count(self, seconds: float) -> None:
        if not self._seconds:
            asyncio.get_running_loop().call_soon(self._begin_iteration)
        self._seconds += seconds

    def _begin_iteration(self) -> None:
        self._seconds = 0.0
