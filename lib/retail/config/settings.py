"""The configuration: `conf/*.toml` read into typed settings, environment variables over it.

`RETAIL_WAREHOUSE__HOST=db` sets `warehouse.host`. Secrets are not settings: see `retail.config.secrets`.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from datetime import date
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from retail.config import secret_stores, text_files, variables
from retail.errors import ConfigurationError

_OWN: Final = Path("retail.toml")
_LOCAL: Final = Path("conf", "local.toml")


def home() -> Path:
    """The folder that holds `conf/`, `sql/`, `jobs/` and `dags/`: `RETAIL_HOME`; else `files/`, which a wheel adds to
    this package; else the checkout that this package lies in.
    """
    package = Path(__file__).resolve().parents[1]
    installed = package / "files"
    return Path(os.environ.get("RETAIL_HOME") or (installed if installed.is_dir() else package.parents[1]))


def sql_text(folder: str, name: str) -> str:
    """The text of `sql/<folder>/<name>.sql`."""
    return (home() / "sql" / folder / f"{name}.sql").read_text(encoding="utf-8")


def web_address(value: str) -> str:
    """An address that secrets may be sent to; ValueError for any other. Ends without a slash."""
    parts = urlsplit(value)
    if not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError("must be an address such as https://api.example.com")
    here = parts.hostname in ("127.0.0.1", "localhost", "::1")
    if parts.scheme != "https" and not (parts.scheme == "http" and here):
        raise ValueError("must begin with https:// (http:// only on this machine)")
    return value.rstrip("/")


class Section(BaseModel):
    """A table of the configuration file. The text below a key is its meaning in docs/CONFIGURATION.md."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class LakeSettings(Section):
    """Where payloads, raw files, Delta tables and the run ledger live."""

    url: str
    """A folder, or `s3://bucket/prefix`. S3 credentials come from the default chain of AWS."""
    s3_endpoint: str | None = None
    """The address of an S3 server other than AWS."""
    s3_region: str = "us-east-1"
    """The region of the bucket."""
    s3_path_style: bool | None = None
    """Put the bucket into the path of an address, not into its host name. By default so for an `s3_endpoint` outside
    AWS; always so for an IP address, which has no host names."""
    s3_encryption: Literal["bucket", "AES256", "aws:kms"] = "bucket"
    """The encryption of each object. `bucket`: the bucket's own setting."""
    s3_kms_key: str | None = None
    """The key for `aws:kms`; by default the account's own."""
    s3_retry_seconds: float = Field(default=60, ge=0)
    """How long a call to S3 that fails is retried. A shorter outage fails no run."""

    @field_validator("url")
    @classmethod
    def _is_a_folder_or_a_bucket(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("is empty; name a folder, or s3://bucket/prefix")
        if re.match(r"[a-z][a-z0-9+.-]*:/", value, re.IGNORECASE) and not re.match(r"s3a?://[^/]", value):
            raise ValueError("must be a folder, or s3://bucket/prefix in lower case (s3a:// is the same)")
        return value

    @field_validator("s3_endpoint")
    @classmethod
    def _is_a_server(cls, value: str | None) -> str | None:
        # Unlike `web_address`, http:// goes for any host: S3 servers in a private network often speak nothing else.
        if value is not None and not (value.startswith(("http://", "https://")) and urlsplit(value).hostname):
            raise ValueError("must be an address such as https://s3.example.com or http://10.0.0.5:9000")
        return value

    @model_validator(mode="after")
    def _has_a_key_only_for_kms(self) -> Self:
        if self.s3_kms_key is not None and self.s3_encryption != "aws:kms":
            raise ValueError('s3_kms_key is for s3_encryption = "aws:kms"')
        return self


class SparkSettings(Section):
    """For `engine = "spark"`. Options of `spark-submit` override these."""

    master: str = "local[*]"
    """The Spark master."""
    driver_memory: str = "3g"
    """Memory of the driver."""
    shuffle_partitions: int = Field(default=8, ge=1)
    """Partitions of a shuffle."""
    jars_folder: str = "var/jars"
    """The folder for the jars of Delta, S3 and PostgreSQL, resolved once."""


class ExtractSettings(Section):
    """How each retailer is asked."""

    overlap_minutes: int = Field(default=60, ge=0)
    """Minutes before each day that are fetched again with it, for changes at midnight. See `look_back_hours` too."""
    timeout_seconds: float = Field(default=30, gt=0)
    """How long to wait for a response."""
    retry_budget_seconds: float = Field(default=300, ge=0)
    """How long one call is retried in all."""
    tries: int = Field(default=6, ge=1)
    """How many times one call is tried."""
    master_calls: int = Field(default=200, ge=0)
    """Calls to a retailer's catalogue per run, at most. 0: none."""
    master_seconds: float = Field(default=60, gt=0)
    """About how long a run queries the catalogues."""
    master_days: int = Field(default=30, ge=1)
    """Days after which the catalogue is asked again for items it did not know."""


class RunSettings(Section):
    """How runs are cut and kept apart."""

    days_a_run: int = Field(default=31, ge=1)
    """More days than this take several runs, one after the other."""
    until: date | None = None
    """Later days are never due, whatever the clock says. For retailers that have past days only."""
    lease_seconds: int = Field(default=90, ge=5)
    """Another run may take over from one that was silent for this long."""


class QualitySettings(Section):
    """When the gate and the check stop a run, or warn."""

    quarantine_share: float = Field(default=0.01, ge=0, le=1)
    """The gate stops a run if a larger share of a retailer's lines is in quarantine."""
    quarantine_lines: int = Field(default=5, ge=0)
    """Up to this many lines pass the gate whatever their share, for the single bad line of a small retailer."""
    daily_rows: int = Field(default=20, ge=0)
    """`daily_sales` skips a retailer's day that has, and usually has, fewer rows: six lines after three are no news."""
    gap_days: int = Field(default=28, ge=1)
    """Days before a run in which a store must have sold to count as expected."""
    gap_share: float = Field(default=0.9, gt=0, le=1)
    """The share of those days, of the days on which its retailer sold, that makes a store's silence a gap."""
    gap_history: int = Field(default=14, ge=1)
    """Days that must be known before a store is expected to sell."""
    profile_runs: int = Field(default=14, ge=2)
    """Runs that a profile is compared with. The limits are in `conf/expectations/profile.toml`."""


class MaintainSettings(Section):
    """What `retail maintain` keeps."""

    retention_days: int = Field(default=30, ge=1)
    """Table versions of this many days can still be read."""
    target_file_bytes: int = Field(default=128 * 2**20, ge=2**20)
    """Smaller files are compacted, within their partition."""


def _is_this_machine(host: str) -> bool:
    if host == "localhost" or host.startswith(("/", "@")):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class WarehouseSettings(Section):
    """PostgreSQL."""

    embedded: bool = False
    """Run an embedded server; `host`, `port` and the rest do not apply."""
    data_folder: str = "var/postgresql"
    """The embedded server's data."""
    host: str = "localhost"
    """The server."""
    port: int = 5432
    """Its port."""
    database: str = "retail"
    """The database."""
    user: str = "retail"
    """The login. Its password is a secret."""
    sslmode: Literal["disable", "prefer", "require", "verify-ca", "verify-full"] | None = None
    """TLS, as a libpq `sslmode`: by default `verify-full`, and `prefer` for a server on this machine."""
    sslrootcert: str | None = None
    """The CA certificate file for `verify-ca` and `verify-full`."""
    roles: str | None = Field(default=None, pattern=r"^[a-z_][a-z0-9_]{0,50}$")
    """What the names of the three roles begin with, instead of `retail`: `shop` for `shop_owner`, `shop_loader` and
    `shop_reader`. Databases of one server share roles only if each sets the same."""

    @property
    def is_on_this_machine(self) -> bool:
        """Whether no other machine can be between us and the server: it is embedded, on loopback, or a Unix socket."""
        return self.embedded or all(_is_this_machine(host.strip()) for host in self.host.split(","))

    @property
    def tls(self) -> str:
        """The `sslmode` that holds."""
        return self.sslmode or ("prefer" if self.is_on_this_machine else "verify-full")


class SyncSettings(Section):
    """How rows are sent to PostgreSQL."""

    method: Literal["copy", "jdbc"] = "copy"
    """`copy`: by parallel COPY. `jdbc`: by Spark's JDBC writer, for `engine = "spark"`."""


class RetailerSettings(Section):
    """One retailer."""

    service: str
    """`amazon`, `walmart`, `shopify`, or a class of your own as `package.module:Class`
    ([ADD_A_RETAILER.md](ADD_A_RETAILER.md))."""
    name: str
    """The retailer's name in BI."""
    base_url: str
    """The API's address."""
    time_zone: str
    """The zone of its business days, such as America/New_York."""
    mapping_revision: int = Field(default=0, ge=0, le=1_000)
    """Raise it with every change here to what a response means (the zone, an option such as `charge_basis`): days that
    are landed again then replace their earlier rows."""
    look_back_hours: float | None = Field(default=None, ge=0, le=720)
    """Hours before a day that are fetched again with it, for what the retailer lists late; by default the service's:
    48, and 24 for Shopify and the orders of Amazon. Not for a day that follows another one of the same run."""
    options: dict[str, Any] = Field(default_factory=dict)
    """The options of the service: [RETAILERS.md](RETAILERS.md#options)."""

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):  # a name too long for a file
            raise ValueError(f"{value[:80]!r} is not an IANA time zone such as America/New_York") from None
        return value

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        return web_address(value)


class Settings(BaseSettings):
    """All of it. An unknown key is an error, so that no spelling mistake goes unnoticed."""

    model_config = SettingsConfigDict(
        env_prefix="RETAIL_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        case_sensitive=False,
        use_attribute_docstrings=True,
    )

    engine: Literal["sail", "spark"] = "sail"
    """The DataFrame engine: Sail, in this process, or Apache Spark."""
    start_date: date
    """The first logical date. Nothing before it is ever fetched."""
    lake: LakeSettings
    spark: SparkSettings = SparkSettings()
    runs: RunSettings = RunSettings()
    extract: ExtractSettings = ExtractSettings()
    quality: QualitySettings = QualitySettings()
    maintain: MaintainSettings = MaintainSettings()
    warehouse: WarehouseSettings = WarehouseSettings()
    sync: SyncSettings = SyncSettings()
    retailers: dict[str, RetailerSettings] = Field(min_length=1)
    """The retailers, by id: `[retailers.retailer_1]`."""
    secrets: dict[str, str] = Field(default_factory=dict)
    """Where secrets live that no variable holds, by the name of the secret: `env:NAME`, `file:PATH`,
    `aws-secretsmanager:NAME#KEY` or `vault:MOUNT/PATH#KEY`. See [Secrets](#secrets)."""

    _folder: Path | None = PrivateAttr(default=None)

    @property
    def folder(self) -> Path | None:
        """The folder of the file that these settings come from; None if they come from none."""
        return self._folder

    @field_validator("secrets")
    @classmethod
    def _are_references(cls, value: dict[str, str]) -> dict[str, str]:
        for name, reference in value.items():
            try:
                secret_stores.require_reference(reference)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        return value

    @field_validator("retailers")
    @classmethod
    def _have_names_of_their_own(cls, value: dict[str, RetailerSettings]) -> dict[str, RetailerSettings]:
        for name in value:
            if not name.isidentifier() or not name.islower():
                raise ValueError(f"{name!r}: a retailer id may have only lower-case letters, digits and _")
        shown = [retailer.name for retailer in value.values()]
        for name in shown:
            if shown.count(name) > 1:
                raise ValueError(f"{name!r} is the name of two retailers; BI would add them up as one")
        return dict(sorted(value.items()))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings


def configuration_file(path: Path | None = None) -> Path:
    """The one file that is read: `path`, or that of `RETAIL_CONF`; else `retail.toml` or `conf/local.toml` of the
    current folder where there is one, else that of `home`.
    """
    named = path or os.environ.get("RETAIL_CONF")
    if named:
        return Path(named)
    here = next((each for each in (_OWN, _LOCAL) if each.is_file()), home() / _LOCAL)
    return here.absolute()


def load_settings(path: Path | None = None) -> Settings:
    """Settings from one TOML file (see `configuration_file`) and the environment over it.

    Raises ConfigurationError with every problem at once, each by its key or variable. A variable with our prefix that
    sets nothing is a problem too.
    """
    path = configuration_file(path)
    try:
        values = tomllib.loads(text_files.read(path))
    except OSError as error:
        raise ConfigurationError(
            [f"{path} cannot be read: {error.strerror}", *_of_variables({})], hint="name it with --conf"
        ) from None
    except (ValueError, RecursionError) as error:  # tomllib lets some of Python's own through
        raise ConfigurationError([f"{path} is not TOML: {error}", *_of_variables({})]) from None
    found = _of_variables(values)
    hint = f"fix {path} or the RETAIL_… variable that overrides it"
    try:
        settings = Settings(**values)
    except ValidationError as error:
        empty = {problem.partition(" ")[0] for problem in found if " is empty: " in problem}
        wrong = [e for e in error.errors(include_input=False) if _variable(e["loc"]) not in empty]
        found += [_said(each) for each in wrong]
    except SettingsError as error:
        found.append(f"{_variable_of(error)}: is not JSON")
        hint = "each key has its own variable, such as RETAIL_LAKE__URL; a whole section must be JSON"
    if found:
        raise ConfigurationError(found, hint=hint)
    settings._folder = path.absolute().parent
    return settings


def _of_variables(values: dict[str, Any]) -> list[str]:
    """The problems of the environment, given the values of the file."""
    configured = values.get("retailers")
    retailers = set(configured) if isinstance(configured, dict) else set()
    for name in os.environ:
        section, _, rest = name.upper().partition("RETAIL_RETAILERS__")
        if rest and not section:
            retailers.add(rest.partition("__")[0].lower())
    return variables.problems(os.environ, Settings, retailers)


def _variable(key: tuple[int | str, ...]) -> str:
    """The variable that sets a key."""
    return f"RETAIL_{'__'.join(map(str, key)).upper()}"


def _said(error: ErrorDetails) -> str:
    """One problem of a key, in words; for a key that does not exist, the one that was probably meant."""
    key = ".".join(map(str, error["loc"]))
    if error["type"] != "extra_forbidden":
        example = ", such as 2026-01-31" if "date" in error["type"] else ""
        return f"{key}: {error['msg']}{example}"
    section, *rest = error["loc"]
    field = Settings.model_fields.get(str(section)) if rest else None
    model = (
        Settings if not rest else RetailerSettings if section == "retailers" else field and field.annotation
    )
    fields = getattr(model, "model_fields", {})
    meant = difflib.get_close_matches(str(error["loc"][-1]), fields, n=1)
    parents = ".".join(map(str, error["loc"][:-1]))
    suggestion = f"; did you mean {'.'.join(filter(None, (parents, meant[0])))}?" if meant else ""
    return f"{key}: there is no such key{suggestion}"


def _variable_of(error: SettingsError) -> str:
    """The variable of a section that cannot be read, by the section's name, which is all the error tells."""
    named = re.search(r'field "(\w+)"', str(error))
    variable = f"RETAIL_{named[1].upper()}" if named else "RETAIL_…"
    return variable if variable in (name.upper() for name in os.environ) else f"a variable {variable}__…"
