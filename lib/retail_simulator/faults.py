"""Faults to switch on: the next requests for a retailer's data go wrong in a way that is asked for.

`POST /simulator/faults` with `{"retailer": "retailer_1", "kind": "500", "after": 0, "times": 2}` lets `after` requests
pass and spoils the next `times`; several faults of a retailer come one after the other. `DELETE` ends them all.
"""

import asyncio
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retail_simulator.endless import is_first_page, name_itself, without_endless_token
from retail_simulator.fault_answers import Answer
from retail_simulator.traffic import DATA_PATHS, retailer_of

KINDS = frozenset(
    "429 500 503 slow cut broken_json drop expired_token repeated_page endless_cursor".split(),
)
LONGEST_WAIT = 600


@dataclass(slots=True)
class Fault:
    """A kind of fault: the requests to let pass first, those to spoil, and how long a slow one takes."""

    kind: str
    after: int = 0
    times: int = 1
    seconds: float = 1.0


class Faults:
    """The faults that wait for each retailer's next requests.

    An endless cursor is a state rather than a number of requests: it stays until the faults are cleared.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Fault]] = {name: deque() for name in DATA_PATHS}
        self._endless: set[str] = set()

    def routes(self) -> list[Route]:
        """The path that switches them."""
        return [Route("/simulator/faults", self.switch, methods=["GET", "POST", "DELETE"])]

    async def switch(self, request: Request) -> JSONResponse:
        """Add a fault, show those that wait, or clear them."""
        if request.method == "DELETE":
            self._clear()
        elif request.method == "POST":
            try:
                retailer, fault = _read(await request.json())
            except (ValueError, TypeError, AttributeError) as error:
                return JSONResponse({"error": f"no fault: {error}"}, status_code=400)
            self._waiting[retailer].append(fault)
        return JSONResponse({name: [asdict(one) for one in line] for name, line in self._waiting.items()})

    def next(self, retailer: str) -> Fault | None:
        """What spoils this request, if anything does."""
        line = self._waiting[retailer]
        if not line:
            return None
        fault = line[0]
        if fault.after > 0:
            fault.after -= 1
            return None
        if fault.kind == "endless_cursor":
            line.popleft()
            self._endless.add(retailer)
            return self.next(retailer)
        fault.times -= 1
        if fault.times == 0:
            line.popleft()
        return fault

    def is_endless(self, retailer: str) -> bool:
        """Whether the retailer's last pages name themselves as next."""
        return retailer in self._endless

    def _clear(self) -> None:
        self._endless.clear()
        for line in self._waiting.values():
            line.clear()


def _read(body: Any) -> tuple[str, Fault]:
    unknown = set(body) - {"retailer", "kind", "after", "times", "seconds"}
    retailer, kind = body.get("retailer"), body.get("kind")
    if unknown or retailer not in DATA_PATHS or kind not in KINDS:
        raise ValueError(
            f"retailer is one of {', '.join(DATA_PATHS)}, kind one of {', '.join(sorted(KINDS))}"
        )
    fault = Fault(kind, body.get("after", 0), body.get("times", 1), body.get("seconds", 1.0))
    whole = isinstance(fault.after, int) and isinstance(fault.times, int)
    if not whole or fault.after < 0 or fault.times < 1 or not 0 <= fault.seconds <= LONGEST_WAIT:
        raise ValueError(f"after is 0 or more, times 1 or more, seconds 0 to {LONGEST_WAIT}")
    return retailer, fault


@dataclass(slots=True)
class Whole:
    """A whole answer of the application, caught before it is sent."""

    start: Message
    body: bytes

    async def send_on(self, send: Send) -> None:
        """Send it, its length told anew."""
        MutableHeaders(scope=self.start)["Content-Length"] = str(len(self.body))
        await send(self.start)
        await send({"type": "http.response.body", "body": self.body})


class SpoilRequests:
    """Between the retailers and the network: carries the faults out.

    `own` has each retailer's own wording of a failure. The server offers `hang_up` in the application's state.
    """

    def __init__(self, app: ASGIApp, faults: Faults, own: dict[str, dict[str, Answer]]) -> None:
        self._app = app
        self._faults = faults
        self._own = own
        self._previous: dict[str, bytes] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        retailer = retailer_of(scope["path"]) if scope["type"] == "http" else None
        if retailer is None:
            await self._app(scope, receive, send)
            return
        fault = self._faults.next(retailer)
        kind = None if fault is None else fault.kind
        if fault is not None and kind == "slow":
            await asyncio.sleep(fault.seconds)
        if kind in self._own[retailer]:
            await self._own[retailer][kind]()(scope, receive, send)
        elif kind == "drop":
            await _hang_up(scope, receive)
        elif kind == "repeated_page":
            await self._repeat(retailer, scope, receive, send)
        elif kind in ("cut", "broken_json") or self._faults.is_endless(retailer):
            await self._spoil(retailer, kind, scope, receive, send)
        else:
            await self._pass(retailer, scope, receive, send)

    async def _pass(self, retailer: str, scope: Scope, receive: Receive, send: Send) -> None:
        """As it is, and a page is remembered, for it may be asked to repeat."""
        statuses: list[int] = []
        parts: list[bytes] = []

        async def remember(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            else:
                parts.append(message.get("body", b""))
            await send(message)

        await self._app(scope, receive, remember)
        if statuses == [200]:
            self._previous[retailer] = b"".join(parts)

    async def _repeat(self, retailer: str, scope: Scope, receive: Receive, send: Send) -> None:
        """The page before this one again; a first page repeats none."""
        request = await _body_of(receive)
        if is_first_page(scope, request) or retailer not in self._previous:
            whole = await self._whole(scope, request)
            if whole.start["status"] == 200:
                self._previous[retailer] = whole.body
            await whole.send_on(send)
            return
        await Response(self._previous[retailer], media_type="application/json")(scope, receive, send)

    async def _spoil(
        self, retailer: str, kind: str | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        request = await _body_of(receive)
        endless = self._faults.is_endless(retailer)
        whole = await self._whole(without_endless_token(scope) if endless else scope, request)
        if endless and whole.start["status"] == 200:
            whole.body = name_itself(whole.body, retailer, scope, request)
        if kind == "cut":
            MutableHeaders(scope=whole.start)["Content-Length"] = str(len(whole.body))
            await send(whole.start)
            half = whole.body[: len(whole.body) // 2]
            await send({"type": "http.response.body", "body": half, "more_body": True})
            await _hang_up(scope, receive)
            return
        if kind == "broken_json":
            whole.start["status"], whole.body = 200, whole.body[: len(whole.body) // 2]
        await whole.send_on(send)

    async def _whole(self, scope: Scope, request: bytes) -> Whole:
        caught: list[Message] = []

        async def give() -> Message:
            return {"type": "http.request", "body": request, "more_body": False}

        async def catch(message: Message) -> None:
            caught.append(message)

        await self._app(scope, give, catch)
        return Whole(caught[0], b"".join(message.get("body", b"") for message in caught[1:]))


async def _body_of(receive: Receive) -> bytes:
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


async def _hang_up(scope: Scope, receive: Receive) -> None:
    """Close the connection, and wait until the server knows, or it would answer for us."""
    scope["app"].state.hang_up(scope["client"])
    while (await receive())["type"] != "http.disconnect":
        pass
