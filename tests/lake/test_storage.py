"""The storage seam: whole writes, put-if-absent, and the same answers from a folder and from S3."""

from __future__ import annotations

import base64
import re
import socket
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.awsrequest import AWSPreparedRequest
from tests.kill.toxiproxy import proxy_to
from tests.outages import Clock, refuse
from tests.s3 import S3Server
from tests.s3_between import listened_to

from retail.config.settings import LakeSettings, home
from retail.errors import LeaseHeldError, ObjectNotFoundError, StorageError
from retail.lake.storage import Storage, open_storage, s3
from retail.lake.storage.local import LocalStorage
from retail.lake.storage.retries import RetryBudget
from retail.lake.storage.s3 import S3Storage
from retail.runs import lease
from retail.runs.fenced_storage import FencedStorage


@pytest.fixture(params=["folder", pytest.param("s3", marks=[pytest.mark.s3, pytest.mark.xdist_group("s3")])])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "folder":
        return LocalStorage(tmp_path)
    server: S3Server = request.getfixturevalue("s3_server")
    return S3Storage(server.new_lake())


def test_what_was_written_is_read(storage: Storage) -> None:
    storage.write("a/b.json", b"one")
    storage.write("a/b.json", b"two")
    assert storage.read("a/b.json") == b"two"


def test_a_file_that_is_written_in_parts_is_there_whole(storage: Storage, tmp_path: Path) -> None:
    data = bytes(range(256)) * 80_000  # 20 MB; S3 takes it in parts of 8
    (tmp_path / "source").write_bytes(data)
    with (tmp_path / "source").open("rb") as file:
        storage.write_from("a/large", file)
    assert storage.read("a/large") == data


def test_what_is_not_there_is_named(storage: Storage) -> None:
    with pytest.raises(ObjectNotFoundError, match=r"a/missing.json does not exist"):
        storage.read("a/missing.json")


def test_create_succeeds_once(storage: Storage) -> None:
    assert storage.create("lease", b"mine")
    assert not storage.create("lease", b"yours")
    assert storage.read("lease") == b"mine"


def test_of_many_creators_one_wins(storage: Storage) -> None:
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: storage.create("lease", str(n).encode()), range(8)))
    assert won.count(True) == 1
    assert storage.read("lease") == str(won.index(True)).encode()


@pytest.mark.s3
@pytest.mark.xdist_group("s3")
@pytest.mark.parametrize("lost", [1, 2])
def test_who_created_an_object_is_told_so_though_the_answer_was_lost(lost: int, s3_server: S3Server) -> None:
    lake = s3_server.new_lake()
    with listened_to(str(lake.s3_endpoint)) as wire:
        storage = S3Storage(lake.model_copy(update={"s3_endpoint": wire.endpoint}))
        wire.lose_answers(lost)
        assert storage.create("lease", b"mine")
        assert wire.all_lost()
        assert len(wire.writes()) == lost + 1
        wire.lose_answers(1)
        assert not storage.create("lease", b"yours")
    assert S3Storage(lake).read("lease") == b"mine"


@pytest.mark.s3
@pytest.mark.xdist_group("s3")
def test_who_was_refused_for_an_object_that_is_gone_since_creates_it(s3_server: S3Server) -> None:
    class Vanishing(S3Storage):
        """Whatever is looked at was deleted just before."""

        def read(self, key: str) -> bytes:
            self.delete(key)
            return super().read(key)

    lake = s3_server.new_lake()
    S3Storage(lake).write("lease", b"another's")
    assert Vanishing(lake).create("lease", b"mine")
    assert S3Storage(lake).read("lease") == b"mine"


@pytest.mark.s3
@pytest.mark.xdist_group("s3")
def test_a_lease_whose_answer_was_lost_is_held(s3_server: S3Server) -> None:
    lake = s3_server.new_lake()
    with listened_to(str(lake.s3_endpoint)) as wire:
        wire.lose_answers(1)
        with lease.hold(S3Storage(lake.model_copy(update={"s3_endpoint": wire.endpoint})), "run") as held:
            held.check()
            assert wire.all_lost()


@pytest.mark.s3
@pytest.mark.xdist_group("s3")
def test_a_write_that_sat_out_an_outage_in_which_another_run_took_over_is_not_made(
    s3_server: S3Server,
) -> None:
    """Cut off for longer than its lease lives, with a budget of retries that is longer still."""
    lake, clock = s3_server.new_lake(), Clock()
    storage = S3Storage(lake, budget=RetryBudget(600, lake.url, clock=clock, sleep=clock.sleep))
    with ExitStack() as stack:
        held = stack.enter_context(lease.hold(storage, "cut-off"))
        guarded = FencedStorage(storage, held.require)
        guarded.write("raw/before", b"1")

        taken_over: list[lease.Lease] = []

        def away(request: AWSPreparedRequest, **_: object) -> None:
            """For this run alone: another one takes over as soon as it may."""
            if clock.now >= 135 and not taken_over:
                held._silent_since -= clock.now
                later = datetime.now(UTC) + timedelta(seconds=clock.now)
                other = lease.hold(S3Storage(lake), "next", now=lambda: later, wait=lambda _: None)
                taken_over.append(stack.enter_context(other))
            if clock.now < 200:
                refuse(request)

        guarded._below.client.meta.events.register("before-send.s3", away)  # type: ignore[attr-defined]
        with pytest.raises(LeaseHeldError, match="cut-off"):
            guarded.write("raw/after", b"1")
        assert taken_over and clock.now < 200
    assert list(S3Storage(lake).list("raw/")) == ["raw/before"]


@pytest.mark.s3
@pytest.mark.xdist_group("s3")
def test_an_answer_that_breaks_off_is_asked_for_again_until_the_budget_ends(
    s3_server: S3Server,
) -> None:
    lake, page = s3_server.new_lake(), bytes(range(256)) * 1000
    S3Storage(lake).write("page", page)
    with listened_to(str(lake.s3_endpoint)) as wire:
        lake, clock = lake.model_copy(update={"s3_endpoint": wire.endpoint}), Clock()
        storage = S3Storage(lake, budget=RetryBudget(60, lake.url, clock=clock, sleep=clock.sleep))
        wire.cut_bodies(4)
        assert storage.read("page") == page
        assert wire.reads() == 5
        clock.now = 0
        wire.cut_bodies(100)
        with pytest.raises(StorageError, match=r"cannot read s3://.*/lake/page: .*(broken|IncompleteRead)"):
            storage.read("page")
        assert clock.now == pytest.approx(60)
        assert 5 + 15 < wire.reads() < 5 + 40, "pauses grow to 5 s"
        wire.cut_none()
        assert storage.read("page") == page


def test_an_answer_that_falls_silent_within_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setattr(s3, "_SECONDS_TO_ANSWER", 0.2)
    asked: list[socket.socket] = []

    def answer(server: socket.socket) -> None:
        for body in (b"wh", b"who", b"whole"):
            client, _ = server.accept()
            asked.append(client)
            client.recv(65536)
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + body)

    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        ThreadPoolExecutor(1) as pool,
        ExitStack() as open_,
    ):
        server.settimeout(10)
        answered = pool.submit(answer, server)
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        lake = LakeSettings(url="s3://bucket/lake", s3_endpoint=endpoint, s3_path_style=True)
        assert S3Storage(lake).read("page") == b"whole"
        answered.result()
        for client in asked:
            open_.enter_context(client)
    assert len(asked) == 3


def test_an_answer_whose_body_is_not_what_its_checksum_says_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    checksum = base64.b64encode(zlib.crc32(b"whole").to_bytes(4, "big"))

    def answer(server: socket.socket) -> None:
        for body in (b"other", b"whole"):
            client, _ = server.accept()
            with client:
                client.recv(65536)
                head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nx-amz-checksum-crc32: " + checksum
                client.sendall(head + b"\r\nConnection: close\r\n\r\n" + body)

    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        server.settimeout(10)
        answered = pool.submit(answer, server)
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        lake = LakeSettings(url="s3://bucket/lake", s3_endpoint=endpoint, s3_path_style=True)
        assert S3Storage(lake).read("page") == b"whole"
        answered.result()


def test_a_server_that_takes_connections_and_says_nothing_is_tried_until_the_budget_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setattr(s3, "_SECONDS_TO_ANSWER", 0.1)
    with socket.create_server(("127.0.0.1", 0), backlog=16) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        lake, clock = LakeSettings(url="s3://bucket/lake", s3_endpoint=endpoint, s3_path_style=True), Clock()
        budget = RetryBudget(2, lake.url, clock=clock, sleep=clock.sleep)
        with pytest.raises(StorageError, match=r"cannot read s3://bucket/lake/a: Read timeout on endpoint"):
            S3Storage(lake, budget=budget).read("a")
        silent.settimeout(0.1)
        tries = 0
        with suppress(TimeoutError):
            while True:
                silent.accept()[0].close()
                tries += 1
    assert tries == len(clock.pauses) + 1
    assert 6 <= tries <= 9, "after 0.1, 0.2, 0.4, 0.8 … s, or half of each"
    assert clock.now == pytest.approx(2)


def test_a_server_that_cannot_be_reached_is_given_up_in_seconds_and_a_silent_one_in_minutes() -> None:
    """What docs/OPERATIONS.md says; botocore's own are a minute each."""
    config = S3Storage(LakeSettings(url="s3://bucket/lake", s3_region="us-east-1")).client.meta.config
    said = re.sub(r"\s+", " ", (home() / "docs" / "OPERATIONS.md").read_text(encoding="utf-8"))
    assert f"within {config.connect_timeout} s" in said  # type: ignore[attr-defined]
    assert f"within {config.read_timeout} s" in said  # type: ignore[attr-defined]


@pytest.mark.s3
@pytest.mark.slow
@pytest.mark.xdist_group("s3")
def test_a_raw_file_that_takes_longer_than_a_connection_may_goes_up_slowly(s3_server: S3Server) -> None:
    lake, data = s3_server.new_lake(), b"x" * 10_000_000
    with proxy_to(s3_server.endpoint) as proxy:
        storage = S3Storage(lake.model_copy(update={"s3_endpoint": proxy.endpoint}))
        began = time.monotonic()
        with proxy.poisoned("bandwidth", stream="upstream", rate=1500):  # kB a second
            storage.write("raw", data)
        assert time.monotonic() - began > s3._SECONDS_TO_CONNECT
    assert S3Storage(lake).read("raw") == data


def test_what_a_killed_writer_left_half_written_is_swept_away_and_nothing_else(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    storage.write("raw/a.json", b"whole")
    program = (
        "import os, signal, sys\nfrom io import BytesIO\nfrom pathlib import Path\n"
        "from retail.lake.storage.local import LocalStorage\n"
        "Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "LocalStorage(Path(sys.argv[1])).write('raw/b.json', b'half')\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert killed.returncode == -9
    (tmp_path / "raw" / ".hidden").write_bytes(b"of others")
    assert len(list((tmp_path / "raw").iterdir())) == 3
    of_spark = "00000000000000000001.crc.b3fa1db7-7ef7-4744-b3fe-444ee78e0662.tmp"
    for name in (f".{of_spark}", f"..{of_spark}.crc"):
        (tmp_path / "raw" / name).touch()
    storage.sweep("raw/")
    assert {path.name for path in (tmp_path / "raw").iterdir()} == {"a.json", ".hidden"}


@pytest.mark.s3
@pytest.mark.xdist_group("s3")
def test_an_upload_in_parts_that_was_cut_off_is_swept_away(s3_server: S3Server) -> None:
    lake = s3_server.new_lake()
    bucket = lake.url.split("/")[2]
    for key in ("lake/raw/half", "elsewhere/half"):
        s3_server.client.create_multipart_upload(Bucket=bucket, Key=key)
    S3Storage(lake).sweep("")
    left = s3_server.client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    assert [each["Key"] for each in left] == ["elsewhere/half"]


def test_list_gives_the_keys_below_a_folder_in_order(storage: Storage) -> None:
    for key in ("x/2", "x/1", "x/deep/3", "xy/4"):
        storage.write(key, b"")
    assert list(storage.list("x/")) == ["x/1", "x/2", "x/deep/3"]
    assert list(storage.list("nothing/")) == []


def test_delete_is_no_error_where_nothing_is(storage: Storage) -> None:
    storage.write("a", b"")
    storage.delete("a")
    storage.delete("a")
    assert list(storage.list("")) == []


def test_a_failed_write_leaves_the_old_object_and_no_litter(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    storage.write("folder/object", b"old")
    with pytest.raises(StorageError, match=r"cannot write .*object/below"):
        storage.write("folder/object/below", b"new")
    assert storage.read("folder/object") == b"old"
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["object"]


@pytest.mark.s3
@pytest.mark.xdist_group("s3")
def test_a_bucket_that_is_not_there_is_named_with_what_to_do(s3_server: S3Server) -> None:
    lake = s3_server.new_lake().model_copy(update={"url": "s3://no-such-bucket/lake"})
    with pytest.raises(StorageError, match=r"s3://no-such-bucket/lake.*\n.*doctor"):
        S3Storage(lake).write("a", b"")


def test_a_profile_that_is_not_there_is_told_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    with pytest.raises(StorageError, match=r"cannot open s3://bucket/lake: .*no-such-profile.*\n.*AWS_"):
        open_storage(LakeSettings(url="s3://bucket/lake"))


def test_an_endpoint_that_boto_refuses_is_told_with_the_key_to_mend() -> None:
    lake = LakeSettings(url="s3://bucket/lake", s3_endpoint="http://not a host:9000")
    with pytest.raises(StorageError, match=r"Invalid endpoint.*\n.*lake\.s3_endpoint"):
        open_storage(lake)


def test_the_engine_names_the_same_place(tmp_path: Path) -> None:
    assert LocalStorage(tmp_path).engine_path("star/x") == f"{tmp_path}/star/x"
    assert LakeSettings(url="s3://bucket/lake").url.startswith("s3://")
