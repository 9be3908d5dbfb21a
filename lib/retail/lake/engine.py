"""The engine under the DataFrames. The only module that distinguishes Sail from Spark.

Both speak the API of Spark Connect; nothing outside this module may use more than that.
"""

from __future__ import annotations

import atexit
import fcntl
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

import structlog

from retail.config import environment
from retail.config.settings import LakeSettings, Settings
from retail.errors import EngineError
from retail.lake import location, s3_address, sail_server, spark_artifacts, temporary_folder
from retail.lake.spark_artifacts import Home

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

log = structlog.get_logger(__name__)

T = TypeVar("T")

# For Sail only, whose server is in this process.
SECONDS_TO_START: Final = 60
SECONDS_TO_END: Final = 30

# A batch job needs throughput, not short pauses: a tenth less time than with the JVM's default collector.
JAVA_OPTIONS: Final = "-XX:+UseParallelGC"

# How the engines report that S3 did not answer. Sail shows only the innermost cause; Spark's S3A also names
# the call.
_LOST: Final = re.compile(
    r"(Connection (refused|reset by peer|timed out)|Broken pipe|No route to host|Network is unreachable) \(os error"
    r"|connection closed before message completed|end of file before message length reached|operation timed out"
    r"|failed to lookup address information|HTTP error: |non-2xx status code: (408|429|5\d\d)"
    # Only the lease holder commits: that commit conflicts with itself, because its response was lost.
    r"|Failed to commit transaction"
    r"|Unable to execute HTTP request|Service: (Amazon )?S3[,;] Status Code: (408|429|5\d\d)"
)
# S3A doubles the pause after each try, and multiplies it by 0.5 to 1.5.
_S3A_PAUSE_SECONDS: Final = 0.5

_ON_THIS_MACHINE: Final = re.compile(r"local(\[[^\]]*\])?")
_FOR_JARS: Final = "local[1]"
_EXTENSION: Final = "io.delta.sql.DeltaSparkSessionExtension"
# Set where spark-submit started this Python, in each of its ways.
_LAUNCHED: Final = frozenset({"SPARK_ENV_LOADED", "PYSPARK_GATEWAY_PORT"})
_OF_PYSPARK: Final = ("SPARK_", "PYSPARK_")
_OF_CONNECT: Final = frozenset({"SPARK_CONNECT_MODE_ENABLED", "SPARK_LOCAL_REMOTE", "SPARK_REMOTE"})


@contextmanager
def open_session(settings: Settings) -> Iterator[SparkSession]:
    """A session of the configured engine, closed with the block. Raises EngineError with what to install."""
    opened = _sail(settings) if settings.engine == "sail" else _spark(settings)
    with opened as session:
        yield session


@contextmanager
def _sail(settings: Settings) -> Iterator[SparkSession]:
    """A server in this process, and a session of it. The session ends first, then the server, each in limited time."""
    _require_connect()
    environment.keep_loopback_direct()
    with (
        _environment(_sail_variables(settings.lake), without=environment.S3_OPTIONS),
        _sail_server() as target,
    ):
        session = _answered(lambda: _session_at(target))
        try:
            _answered(lambda: session.conf.set("spark.sql.session.timeZone", "UTC"))
            _take_interrupts_back()
            yield session
        finally:
            _disconnect(session)


def _require_connect() -> None:
    """Raise EngineError if PySpark's Connect client is too old for what `_session_at` needs of it."""
    import pyspark

    if int(pyspark.__version__.split(".")[0]) < 4:
        raise EngineError(
            f"Sail needs PySpark 4.0 or newer, and this Python has {pyspark.__version__}",
            hint='run with engine = "spark", or: pip install "pyspark[connect]==4.1.1"',
        )


@contextmanager
def _sail_server() -> Iterator[str]:
    """Where gRPC reaches Sail during the block."""
    server = sail_server.start()
    try:
        exposure = sail_server.exposure_of(server)
        if exposure is not None:
            log.warning("engine open to other accounts", exposure=exposure)
        yield server.target
    finally:
        _in_time("the engine's server", server.stop)


def _session_at(target: str) -> Any:
    """A session for the server at that address, which has not been called yet."""
    from pyspark.sql.connect.client import ChannelBuilder
    from pyspark.sql.connect.client.retries import DefaultPolicy
    from pyspark.sql.connect.session import SparkSession

    class Policy(DefaultPolicy):
        """Also asks again about a plan if the response cannot be read, for a reason not yet known."""

        def can_retry(self, exception: BaseException) -> bool:
            return super().can_retry(exception) or "Exception deserializing response" in str(exception)

    class Channel(ChannelBuilder):
        """As the default, which knows no Unix sockets, and would want TLS if the environment holds a token."""

        host = "localhost"

        def toChannel(self) -> Any:  # noqa: N802
            return self._insecure_channel(target)

    # As `builder.remote` does it, but for the option: a proxy of the environment, even one with its own no_grpc_proxy,
    # would be asked for this machine.
    os.environ["SPARK_CONNECT_MODE_ENABLED"] = "1"
    channel: Any = Channel(channelOptions=[("grpc.enable_http_proxy", 0)])
    session: Any = SparkSession.builder.channelBuilder(channel).create()
    # By default calls to a dead server are retried for ten minutes; one in this process never comes back.
    session.client.set_retry_policies([Policy(max_retries=6, max_backoff=5_000)])
    session.release_session_on_close = False  # its server ends with it
    return session


def _answered(call: Callable[[], T]) -> T:
    """The result of `call`. Raises EngineError if it takes too long."""
    try:
        return _within(SECONDS_TO_START, call)
    except TimeoutError:
        raise EngineError(
            f"Sail was started, and did not answer within {SECONDS_TO_START} s",
            hint="run the same command again; `retail doctor` tries the engine alone",
        ) from None


def _take_interrupts_back() -> None:
    """Undo that Sail's server stops at Ctrl-C by itself while the command is still calling it; the command decides."""
    if threading.current_thread() is threading.main_thread():
        handler = signal.getsignal(signal.SIGINT)
        if handler is not None:
            signal.signal(signal.SIGINT, handler)  # replaces the one that the server set outside Python


def _disconnect(session: Any) -> None:
    """End the session, and leave nothing for its finalizer to do.

    The finalizer would close it again whenever garbage is collected, and with it the threads shared by all sessions of
    a process: it waits for them, for ever if it runs during a call that holds what they wait for.
    """
    _in_time("the engine's session", session.stop)
    atexit.unregister(session.client._cleanup_ml_cache)  # it would call a server that is gone
    session.client.close = _nothing


def _nothing() -> None:
    pass


def _in_time(what: str, end: Callable[[], None]) -> None:
    """Call `end`; if it takes too long it is abandoned, because the work is done."""
    try:
        _within(SECONDS_TO_END, end)
    except TimeoutError:
        log.warning("did not end in time and is left behind", what=what, seconds=SECONDS_TO_END)


def _within(seconds: float, call: Callable[[], T]) -> T:
    """The result or error of `call`. Raises TimeoutError if it takes longer; its thread ends with the process."""
    answer: Future[T] = Future()

    def work() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=work, name="engine", daemon=True).start()
    return answer.result(seconds)


@contextmanager
def _environment(variables: Mapping[str, str], *, without: Collection[str] = ()) -> Iterator[None]:
    """Sets variables of this process, and restores them, including those that PySpark sets meanwhile.

    The variables `without` are removed.

    A Spark Connect client sets some that would make PySpark take a later classic session for a remote one.
    """
    before = dict(os.environ)
    for name in without:
        os.environ.pop(name, None)
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in [name for name in os.environ if name in variables or name.startswith(_OF_PYSPARK)]:
            if name in before:
                os.environ[name] = before[name]
            else:
                del os.environ[name]
        os.environ.update({name: before[name] for name in without if name in before})


def without_session(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for another process, which must not act as a client of this one's session."""
    return {name: value for name, value in environment.items() if name not in _OF_CONNECT}


def _sail_variables(lake: LakeSettings) -> dict[str, str]:
    """Sail reads its S3 settings from the process environment."""
    variables = {
        "RUST_LOG": os.environ.get("RUST_LOG", "error"),
        "AWS_REGION": lake.s3_region,
        "AWS_DEFAULT_REGION": lake.s3_region,
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    }
    if os.environ.get("AWS_CA_BUNDLE"):
        variables["SSL_CERT_FILE"] = os.environ["AWS_CA_BUNDLE"]
    if lake.s3_endpoint:
        address = s3_address.of(lake)
        variables["AWS_ENDPOINT"] = str(address.for_object_store)
        variables["AWS_ALLOW_HTTP"] = str(lake.s3_endpoint.startswith("http://")).lower()
        variables["AWS_VIRTUAL_HOSTED_STYLE_REQUEST"] = str(not address.path_style).lower()
    if lake.s3_encryption != "bucket":
        variables["AWS_SERVER_SIDE_ENCRYPTION"] = lake.s3_encryption
    if lake.s3_kms_key:
        variables["AWS_SSE_KMS_KEY_ID"] = lake.s3_kms_key
    return variables


@contextmanager
def _spark(settings: Settings) -> Iterator[SparkSession]:
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        raise EngineError(
            "Spark needs Java 17 or newer, and no java is on the PATH",
            hint='install a JDK (Debian: openjdk-17-jre-headless), or run with engine = "sail"',
        )
    is_running = SparkContext._active_spark_context is not None
    opened = _theirs(settings, SparkSession.builder.getOrCreate()) if is_running else _ours(settings)
    with opened as session:
        if not str(session.sparkContext.master).startswith("local"):
            location.require_shared(settings.lake)
        yield session


@contextmanager
def _ours(settings: Settings) -> Iterator[SparkSession]:
    """A session that this process starts, and stops; `spark-submit` may have started its JVM."""
    from pyspark import SparkContext
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    found = spark_artifacts.find()
    builder = SparkSession.builder.appName("retail-lakehouse")
    if not _LAUNCHED & os.environ.keys():  # else spark-submit's master and jars apply
        spark_artifacts.require_same(found)
        builder = builder.master(settings.spark.master).config(
            "spark.driver.memory", settings.spark.driver_memory
        )
        for key, value in (
            _temporary(temporary_folder.folder()) | local_options(settings.spark.master)
        ).items():
            builder = builder.config(key, value)
        builder = builder.config("spark.jars", ",".join(_uris(jars(settings))))
    else:
        SparkContext._ensure_initialized()
        found = replace(found, hadoop=_hadoop())
    for key, value in spark_options(settings, found).items():
        builder = builder.config(key, value)
    try:
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
    except (PySparkException, RuntimeError, OSError) as error:
        raise EngineError(
            f"Spark did not start: {error}", hint="see `java -version` (17 or newer) and `retail doctor`"
        ) from error
    try:
        _require_delta(session)
        yield session
    finally:
        session.stop()


@contextmanager
def _theirs(settings: Settings, running: SparkSession) -> Iterator[SparkSession]:
    """A session beside the one that a notebook or a service runs. It has its own options, and theirs is not stopped."""
    session = running.newSession()
    options = spark_options(settings, Home(session.version, hadoop=_hadoop()))
    _require_delta(session)
    for key, value in options.items():
        if key.startswith("spark.hadoop."):  # a session knows them by Hadoop's own names
            session.conf.set(key.removeprefix("spark.hadoop."), value)
        elif session.conf.isModifiable(key):
            session.conf.set(key, value)
    yield session


def _hadoop() -> str:
    """The version of Hadoop in the JVM that runs."""
    from pyspark import SparkContext

    jvm: Any = SparkContext._jvm
    return str(jvm.org.apache.hadoop.util.VersionInfo.getVersion())


def _require_delta(session: Any) -> None:
    """Raise EngineError if the Spark that runs is not supported, or has no Delta."""
    from py4j.protocol import Py4JError

    pair = spark_artifacts.pair_for(session.version)
    if "DATABRICKS_RUNTIME_VERSION" in os.environ:  # its Delta is part of its Spark, under other names
        return
    try:
        session.sparkContext._jvm.org.apache.spark.util.Utils.classForName(_EXTENSION, True, False)
    except Py4JError:
        raise EngineError(
            f"this Spark {session.version} has no Delta",
            hint=f"start it with --packages {pair.delta}, or switch on the service's own Delta",
        ) from None
    if _EXTENSION not in session.conf.get("spark.sql.extensions", ""):
        raise EngineError(
            f"the session of Spark {session.version} that runs here was started without Delta's extension",
            hint=f"start it with --conf spark.sql.extensions={_EXTENSION}"
            " --conf spark.sql.catalog.spark_catalog=org.apache.spark.sql.delta.catalog.DeltaCatalog",
        )


def _uris(files: list[Path]) -> list[str]:
    """The files, by an alias if Spark would misread their folder. It resolves links in paths, not in URIs."""
    return [(location.for_engine(file.parent, "sail") / file.name).as_uri() for file in files]


def _temporary(folder: Path) -> dict[str, str]:
    """Sends all that Spark, Hadoop and the JVM's libraries write outside the lake to `folder`: kills leave files."""
    return {
        "spark.local.dir": str(folder),
        "spark.hadoop.hadoop.tmp.dir": str(folder),
        "spark.sql.warehouse.dir": str(folder / "spark-warehouse"),
        "spark.driver.extraJavaOptions": f'{JAVA_OPTIONS} "-Djava.io.tmpdir={folder}"',
    }


def local_options(master: str) -> dict[str, str]:
    """For a Spark on one machine: ports on loopback, and a secret, which the JVM makes and keeps in memory.

    None for the master of a cluster, whose executors must reach the driver.
    """
    if not _ON_THIS_MACHINE.fullmatch(master):
        return {}
    return {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.authenticate": "true",
    }


def spark_options(settings: Settings, home: Home | None = None) -> dict[str, str]:
    """Spark configuration that the product needs wherever Spark runs; `spark-submit.sh` passes the same.

    The Spark is the one that is installed here, or `home`. Raises EngineError if it is not supported.
    """
    home = home or spark_artifacts.find()
    spark_artifacts.pair_for(home.version, scala=home.scala)
    options = {
        "spark.sql.extensions": _EXTENSION,
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.ansi.enabled": "true",  # Spark 4's default: a value that does not fit is an error, not a null
        "spark.sql.shuffle.partitions": str(settings.spark.shuffle_partitions),
        "spark.databricks.delta.snapshotPartitions": "2",
        # The JVM never compiles a method of more than 8,000 bytes; Spark then splits the code it generates.
        "spark.sql.codegen.hugeMethodLimit": "8000",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    if settings.lake.s3_encryption != "bucket":
        names = {"AES256": "AES256", "aws:kms": "SSE-KMS"}
        options["spark.hadoop.fs.s3a.encryption.algorithm"] = names[settings.lake.s3_encryption]
    if settings.lake.s3_kms_key:
        options["spark.hadoop.fs.s3a.encryption.key"] = settings.lake.s3_kms_key
    if settings.lake.s3_endpoint:
        options["spark.hadoop.fs.s3a.endpoint"] = settings.lake.s3_endpoint
        options["spark.hadoop.fs.s3a.path.style.access"] = str(
            s3_address.of(settings.lake).path_style
        ).lower()
        secure = urlsplit(settings.lake.s3_endpoint).scheme == "https"
        options["spark.hadoop.fs.s3a.connection.ssl.enabled"] = str(secure).lower()
    if location.is_bucket(settings.lake):
        options["spark.hadoop.fs.s3a.endpoint.region"] = settings.lake.s3_region
        # The same chain as everywhere else: variables, profile, web identity, the container's or machine's
        # role.
        options["spark.hadoop.fs.s3a.aws.credentials.provider"] = home.credentials
        options |= _s3a_retries(settings)
    return options


def _s3a_retries(settings: Settings) -> dict[str, str]:
    """S3A's own retries of a call, over within half a lease's life; then the step is redone (`retail.lake.outage`).

    Delta's log store for S3 replaces an existing commit: a commit retried for longer might come after another run's.
    """
    seconds = min(settings.lake.s3_retry_seconds, settings.runs.lease_seconds / 2)
    tries = max(1, int(math.log2(seconds / (1.5 * _S3A_PAUSE_SECONDS) + 1)))
    values = {
        "retry.limit": str(tries),
        "retry.interval": f"{_S3A_PAUSE_SECONDS * 1000:.0f}ms",
        "retry.throttle.limit": str(tries),
        "retry.throttle.interval": f"{_S3A_PAUSE_SECONDS * 1000:.0f}ms",
        # The SDK's retries happen within each of S3A's: a silent server would be waited for five times as
        # long.
        "attempts.maximum": "1",
        # In milliseconds without a unit, as Hadoop 3.3 wants them. The first is the minimum of S3A.
        "connection.establish.timeout": "15000",
        "connection.timeout": "30000",
    }
    return {f"spark.hadoop.fs.s3a.{name}": value for name, value in values.items()}


def to_arrow(rows: DataFrame) -> pa.Table:
    """The frame's rows. Spark 3.5 has no public way to Arrow."""
    if hasattr(rows, "toArrow"):
        return rows.toArrow()
    import pyarrow
    from pyspark.sql.pandas.types import to_arrow_schema

    frame: Any = rows
    return pyarrow.Table.from_batches(frame._collect_as_arrow(), to_arrow_schema(rows.schema))


def failures() -> tuple[type[Exception], ...]:
    """Errors that the engine raises when work in it fails; Spark without Connect lets some of Java's errors through."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    return (PySparkException, Py4JError)


def lost_lake(error: BaseException) -> str | None:
    """The reason, in one line, if the engine failed because S3 did not answer it; None for any other error."""
    return lost_lake_in(str(error)) if isinstance(error, (*failures(), EngineError)) else None


def lost_lake_in(message: str) -> str | None:
    """The same for an engine's message. It contains no row values."""
    found = _LOST.search(message)
    return None if found is None else message[found.start() :].partition("\n")[0].strip()[:200]


def jars(settings: Settings, *, delta: bool = True) -> list[Path]:
    """The jars for the Spark that is installed here, resolved once into `spark.jars_folder`.

    They are Delta and S3A, unless Spark has its own (or, for Delta, `delta` is false), and PostgreSQL's driver if
    `sync.method` needs it. `spark.jars.packages` would resolve them again at every start, which costs 8 s. Only one
    process at a time does it: two in one folder break each other. Raises EngineError.
    """
    found = spark_artifacts.find()
    folder = Path(settings.spark.jars_folder).resolve() / found.pair.delta_version
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "resolving").open("a") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            if not (folder / "complete").exists():
                _resolve_jars(folder, found.pair.packages)
    left_out = spark_artifacts.left_out(delta=found.has_delta or not delta, s3a=found.has_s3a)
    if settings.sync.method != "jdbc":
        left_out = (*left_out, _jar(spark_artifacts.POSTGRESQL))
    return sorted(jar for jar in (folder / "jars").glob("*.jar") if not jar.name.startswith(left_out))


def _jar(package: str) -> str:
    """The name under which a package's jar is resolved."""
    return "{}_{}-{}.jar".format(*package.split(":"))


def _resolve_jars(folder: Path, packages: Collection[str]) -> None:
    with tempfile.TemporaryDirectory() as home:
        result = _resolve(folder, packages, Path(home), {})
        if result.returncode != 0:
            # Maven may have left a pom without its jar in the home's .m2: Ivy then takes it from nowhere
            # else, ever.
            shutil.rmtree(folder / "cache", ignore_errors=True)
            result = _resolve(folder, packages, Path(home), {"SPARK_SUBMIT_OPTS": f"-Duser.home={home}"})
    if result.returncode != 0:
        raise EngineError(
            f"the jars for Spark could not be resolved: {_without_stack(result.stderr)[-800:]}",
            hint="see that Java 17 is there and Maven Central can be reached; then run the same command again",
        )
    spark_artifacts.require_known(folder / "jars")
    (folder / "complete").touch()


def _resolve(
    folder: Path, packages: Collection[str], home: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    program = home / "resolve.py"
    program.write_text("from pyspark.sql import SparkSession\nSparkSession.builder.getOrCreate().stop()\n")
    find_home = [sys.executable, "-m", "pyspark.find_spark_home"]
    spark_home = subprocess.run(find_home, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603
    command = [
        str(Path(spark_home) / "bin" / "spark-submit"),
        *("--master", _FOR_JARS),
        *("--conf", f"spark.jars.ivy={location.for_engine(folder, 'sail')}"),
        *("--conf", "spark.ui.enabled=false"),
        *(word for pair in local_options(_FOR_JARS).items() for word in ("--conf", "=".join(pair))),
        *("--packages", ",".join(packages)),
        *("--exclude-packages", "software.amazon.awssdk:bundle"),  # not SDK v1's, whose group is another
        str(program),
    ]
    return subprocess.run(  # noqa: S603
        command,
        check=False,
        capture_output=True,
        text=True,
        env={**without_session(os.environ), "PYSPARK_PYTHON": sys.executable, **environment},
    )


def _without_stack(error: str) -> str:
    """Java's message without the stack trace."""
    return "\n".join(line for line in error.strip().splitlines() if not line.startswith("\tat "))
