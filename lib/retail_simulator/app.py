"""The one web application: three retailers' APIs, and what a test needs to know of them."""

import time
from dataclasses import asdict
from email.utils import formatdate
from math import ceil
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retail_simulator.access import Credentials
from retail_simulator.amazon import Amazon
from retail_simulator.amazon_standing import amazon_standing
from retail_simulator.clock import SimulatedClock, instant_text, parse_instant
from retail_simulator.fault_answers import own_answers
from retail_simulator.faults import Faults, SpoilRequests
from retail_simulator.orders import dollars
from retail_simulator.reports import REPORTS, as_json
from retail_simulator.sales import Book, Totals
from retail_simulator.shopify import Shopify
from retail_simulator.shopify_schema import Shop
from retail_simulator.shopify_standing import shopify_standing
from retail_simulator.standing import standing
from retail_simulator.traffic import CountRequests, Traffic
from retail_simulator.walmart import Walmart

STANDING = {"retailer_1": amazon_standing, "retailer_2": standing, "retailer_3": shopify_standing}

SPAN_WANTED = "give `from` and `to` as 2017-01-05T00:00:00Z"


class Simulator:
    """The paths under /simulator, which no retailer has."""

    def __init__(self, books: dict[str, Book], clock: SimulatedClock, traffic: Traffic) -> None:
        self._books = books
        self._clock = clock
        self._traffic = traffic

    def routes(self) -> list[Route]:
        """The paths served."""
        return [
            Route("/simulator/health", self.health, methods=["GET"]),
            Route("/simulator/totals", self.totals, methods=["GET"]),
            Route("/simulator/report", self.report, methods=["GET"]),
            Route("/simulator/usage", self.usage, methods=["GET"]),
            Route("/simulator/clock", self.move_clock, methods=["POST"]),
        ]

    async def health(self, _request: Request) -> JSONResponse:
        """That the simulator answers, its time, and how many orders each retailer holds."""
        orders = {name: len(book) for name, book in self._books.items()}
        return JSONResponse({"status": "ok", "now": instant_text(self._clock.now()), "orders": orders})

    async def totals(self, request: Request) -> JSONResponse:
        """What each retailer truly sold from `from` up to, not including, `to`, as far as visible now.

        Orders, rows and amounts are as sold. Where orders live on, `records`, `money` and `skipped` say what must stand
        in a star that has seen everything up to now: returns are negative and at their own time.
        """
        span = _span(request)
        if span is None:
            return JSONResponse({"error": SPAN_WANTED}, status_code=400)
        now = int(self._clock.now())
        first, last = span[0], min(span[1], now)
        sold = {}
        for name, book in self._books.items():
            sold[name] = _totals(book.totals(book.created_between(first, last)))
            if book.changes is not None:
                stands = STANDING[name](book, book.changes, first, last, now=now)
                sold[name] |= stands.as_json()
        return JSONResponse({**_named(request, "from", "to"), "retailers": sold})

    async def report(self, request: Request) -> JSONResponse:
        """One retailer's own report of what it posted from `from` up to, not including, `to`, as far as known now."""
        name, span = request.query_params.get("retailer", ""), _span(request)
        book = self._books.get(name)
        if book is None or book.changes is None or span is None:
            refusal = f"{SPAN_WANTED}, and a `retailer` whose orders live on (--changes)"
            return JSONResponse({"error": refusal}, status_code=400)
        postings = REPORTS[name](book, book.changes, *span, now=int(self._clock.now()))
        return JSONResponse({**_named(request, "retailer", "from", "to"), "lines": as_json(postings)})

    async def usage(self, _request: Request) -> JSONResponse:
        """CPU seconds of this process so far, and the requests for data by retailer and path."""
        return JSONResponse({"cpu_seconds": time.process_time(), "requests": self._traffic.as_json()})

    async def move_clock(self, request: Request) -> JSONResponse:
        """Advance the simulated time by `advance_seconds`."""
        try:
            seconds = float((await request.json())["advance_seconds"])
        except (ValueError, KeyError, TypeError):
            return JSONResponse({"error": 'send {"advance_seconds": 60}'}, status_code=400)
        self._clock.advance(seconds)
        return JSONResponse({"now": instant_text(self._clock.now())})


def build(
    books: dict[str, Book],
    clock: SimulatedClock,
    credentials: Credentials,
    *,
    throttle: bool,
    shop: Shop | None = None,
    walmart_most_orders: int | None = None,
) -> Starlette:
    """The application over these books; `shop` is how Shopify's shop is set up."""
    amazon = Amazon(books["retailer_1"], clock, credentials, throttle=throttle)
    most = walmart_most_orders
    walmart = Walmart(books["retailer_2"], clock, credentials, throttle=throttle, most_orders=most)
    shopify = Shopify(books["retailer_3"], clock, credentials, throttle=throttle, shop=shop)
    faults, traffic = Faults(), Traffic()
    simulator = Simulator(books, clock, traffic)
    own = [amazon.routes(), walmart.routes(), shopify.routes(), simulator.routes(), faults.routes()]
    application = Starlette(routes=[route for routes in own for route in routes])
    application.add_middleware(SpoilRequests, faults=faults, own=own_answers(clock, walmart.refusals))
    application.add_middleware(CountRequests, traffic=traffic)
    application.add_middleware(DateHeader, clock=clock)
    return application


class DateHeader:
    """Says the simulated time in each answer's `Date`, where a client learns the retailer's time from."""

    def __init__(self, app: ASGIApp, clock: SimulatedClock) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Date"] = formatdate(self._clock.now(), usegmt=True)
            await send(message)

        await self._app(scope, receive, send_dated)


def _span(request: Request) -> tuple[int, int] | None:
    """The first and the last second that `from` and `to` name; None if they do not."""
    try:
        first, end = (parse_instant(request.query_params[name]).timestamp() for name in ("from", "to"))
    except (KeyError, ValueError):
        return None
    return ceil(first), ceil(end) - 1


def _named(request: Request, *names: str) -> dict[str, str]:
    return {name: request.query_params[name] for name in names}


def _totals(totals: Totals) -> dict[str, Any]:
    counts = asdict(totals)
    money = {"gross": totals.net + totals.discount, "discount": totals.discount, "net": totals.net}
    return counts | {name: str(dollars(cents)) for name, cents in money.items()}
