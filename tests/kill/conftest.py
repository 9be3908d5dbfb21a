"""One simulator, one server, one process that knows everything, and one undisturbed installation for all kills."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime

import pytest

from retail.cli.local import demo
from retail.warehouse.embedded import server
from tests.end_to_end.installation import Installation
from tests.kill.chains import Undisturbed, undisturbed
from tests.kill.runs import Preloaded, preloaded

Install = Callable[[str], Installation]


@pytest.fixture(scope="session")
def process() -> Iterator[Preloaded]:
    with preloaded() as found:
        yield found


@pytest.fixture(scope="session")
def install(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Install]:
    """Makes an installation by name. Its retailers' orders live on: the third day changes what the first two sold."""
    folder = tmp_path_factory.mktemp("kill")
    clock = datetime(2017, 1, 20, 12, tzinfo=UTC)
    with demo.simulator(demo.demo_environment(), clock=clock, options=["--changes"]) as address:

        def make(name: str) -> Installation:
            return Installation(folder / name, address, folder / "postgresql", date(2017, 1, 1))

        with server.running(make("shared").settings.warehouse):
            yield make


@pytest.fixture(scope="session")
def expected(process: Preloaded, install: Install) -> Undisturbed:
    return undisturbed(process, install("undisturbed"))
