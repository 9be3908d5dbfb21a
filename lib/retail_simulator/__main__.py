"""`python -m retail_simulator --clock 2018-01-03T00:00:00Z`: serve the three retailers on one local port.

Beside the retailers' own paths it has some under /simulator: `health`, `totals?from=…&to=…` (what is true), `usage`
(CPU seconds, requests), `clock` (POST `{"advance_seconds": 60}`) and `faults` (see faults.py).
"""

import argparse
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from datetime import datetime

import uvicorn
from starlette.applications import Starlette

from retail_simulator.access import Credentials, CredentialsMissingError
from retail_simulator.app import build
from retail_simulator.clock import SimulatedClock, parse_instant
from retail_simulator.sales import SalesMissingError, load
from retail_simulator.shopify_paging import MOST_OBJECTS
from retail_simulator.shopify_schema import Shop

HOST = "127.0.0.1"


class Server(uvicorn.Server):
    """Tells on stdout, in one line of JSON, where it listens."""

    scheme = "http"

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve, then say so."""
        await super().startup(sockets=sockets)
        for listening in sockets or []:
            host, port = listening.getsockname()
            sys.stdout.write(json.dumps({"listening": f"{self.scheme}://{host}:{port}"}) + "\n")
        sys.stdout.flush()

    def stop_when_stdin_ends(self) -> None:
        """Stop once the process that holds the other end of stdin is gone."""
        # os.read, because a thread blocked in sys.stdin disturbs the interpreter's exit.
        while _read_some():
            pass
        self.stop()

    def hang_up(self, client: tuple[str, int]) -> None:
        """Close the connection to `client` once all that was sent has gone out."""
        for connection in list(self.server_state.connections):
            if getattr(connection, "client", None) == client:
                connection.transport.close()

    def stop(self) -> None:
        """Finish the answers under way, then end."""
        self.should_exit = True


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until told to stop. Returns 2 when it cannot start."""
    options = _parser().parse_args(arguments)
    try:
        credentials = Credentials.read(os.environ)
        books = load(changes=options.changes)
    except (CredentialsMissingError, SalesMissingError) as error:
        return _cannot_start(str(error))
    shop = Shop(
        all_orders=not options.shopify_without_all_orders,
        most_objects=options.shopify_most_objects,
        access_token=os.environ.get("RETAIL_RETAILER_3_ACCESS_TOKEN"),
    )
    app = build(
        books,
        SimulatedClock(options.clock, speed=options.speed),
        credentials,
        throttle=options.throttle,
        walmart_most_orders=options.walmart_most_orders,
        shop=shop,
    )
    # Only on a socket that names its protocol does asyncio set TCP_NODELAY; without it answers wait 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((options.host, options.port))
        except OSError as error:
            return _cannot_start(f"{options.host}, port {options.port}: {error.strerror}")
        try:
            _serve(app, listening, options)
        except OSError as error:  # ssl's errors are of this kind
            return _cannot_start(f"--tls-certificate {options.tls_certificate}: {error}")
    return 0


def _cannot_start(why: str) -> int:
    sys.stderr.write(f"retail_simulator: {why}\n")
    return 2


def _serve(app: Starlette, listening: socket.socket, options: argparse.Namespace) -> None:
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,  # the application says the simulated time
        timeout_graceful_shutdown=2,
        ssl_certfile=options.tls_certificate,
        ssl_keyfile=options.tls_key,
    )
    server = Server(config)
    server.scheme = "https" if options.tls_certificate else "http"
    app.state.hang_up = server.hang_up
    # uvicorn stops on these signals and then raises them again; without a handler that would end in -15.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    if options.exit_with_parent:
        threading.Thread(target=server.stop_when_stdin_ends, daemon=True).start()
    server.run(sockets=[listening])


def _read_some() -> bool:
    try:
        return bool(os.read(0, 4096))
    except OSError:
        return False


def _clock(text: str) -> datetime:
    try:
        return parse_instant(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _speed(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1_000_000:
        raise argparse.ArgumentTypeError("must be from 0 to 1000000")
    return number


def _parser() -> argparse.ArgumentParser:
    keep_lines = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="retail_simulator", description=__doc__, formatter_class=keep_lines)
    parser.add_argument("--port", type=int, default=0, help="0 picks a free port")
    parser.add_argument("--host", default=HOST, help=f"the address to listen on (default {HOST})")
    parser.add_argument("--tls-certificate", metavar="FILE", help="speak https, with this certificate (PEM)")
    parser.add_argument(
        "--tls-key", metavar="FILE", help="the certificate's key, if it is in a separate file"
    )
    parser.add_argument("--clock", type=_clock, required=True, help="the simulated time at start, UTC")
    parser.add_argument(
        "--speed",
        type=_speed,
        default=1.0,
        metavar="X",
        help="simulated seconds per real second (default 1); 0 stops the clock",
    )
    parser.add_argument("--throttle", action="store_true", help="enforce the retailers' rate limits")
    parser.add_argument(
        "--changes",
        action="store_true",
        help="orders change after the sale: late shipments, corrections, cancellations, returns, edits",
    )
    parser.add_argument(
        "--shopify-most-objects",
        type=int,
        default=MOST_OBJECTS,
        metavar="N",
        help="how many objects Shopify lets one list page through",
    )
    parser.add_argument(
        "--shopify-without-all-orders",
        action="store_true",
        help="Shopify's application lacks the scope read_all_orders: orders older than 60 days are silently missing",
    )
    parser.add_argument(
        "--walmart-most-orders",
        type=_count,
        metavar="N",
        help="a Walmart query over this many orders silently ends there; without it, one over 10,000 is refused",
    )
    parser.add_argument("--exit-with-parent", action="store_true", help="stop when stdin is closed")
    return parser


if __name__ == "__main__":
    sys.exit(main())
