"""The configuration: `conf/*.toml` read into typed settings, environment variables over it.

`RETAIL_WAREHOUSE__HOST=db` sets `warehouse.host`. Secrets are not settings: see `retail.secrets`.
"""

from __future__ import annotations

import os
import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Any, Final, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from retail.errors import ConfigurationError

_LOCAL: Final = Path("conf", "local.toml")


def home() -> Path:
    """The folder that holds `conf/` and `sql/`: `RETAIL_HOME`, or the checkout this package lies in."""
    return Path(os.environ.get("RETAIL_HOME") or Path(__file__).resolve().parents[2])


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
    model_config = ConfigDict(frozen=True, extra="forbid")


class LakeSettings(Section):
    """Where payloads, raw files, Delta tables and the run ledger live: a folder, or `s3://bucket/prefix`.

    `s3_encryption` is asked for with every object, `aws:kms` with the key `s3_kms_key` or else the account's own; by
    default the bucket's own setting holds.
    """

    url: str
    s3_endpoint: str | None = None
    s3_region: str = "us-east-1"
    s3_path_style: bool = False
    s3_encryption: Literal["bucket", "AES256", "aws:kms"] = "bucket"
    s3_kms_key: str | None = None

    @field_validator("url")
    @classmethod
    def _is_a_folder_or_a_bucket(cls, value: str) -> str:
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
    """Used by `engine = "spark"` only; `spark-submit` arguments go over these."""

    master: str = "local[*]"
    driver_memory: str = "3g"
    shuffle_partitions: int = Field(default=8, ge=1)
    jars_folder: str = "var/jars"


class ExtractSettings(Section):
    """How every retailer is asked. `overlap_minutes` before the window catches what was indexed late.

    A run asks a retailer's catalogue at most `master_calls` times (0: never) and not longer than about
    `master_seconds`, and again after `master_days` for what it did not know.
    """

    overlap_minutes: int = Field(default=60, ge=0)
    timeout_seconds: float = Field(default=30, gt=0)
    retry_budget_seconds: float = Field(default=300, ge=0)
    tries: int = Field(default=6, ge=1)
    master_calls: int = Field(default=200, ge=0)
    master_seconds: float = Field(default=60, gt=0)
    master_days: int = Field(default=30, ge=1)


class RunSettings(Section):
    """A command that is given more than `days_a_run` days brings them in by several runs, one behind the other.

    Nothing is due behind `until`, whatever the clock says: for a retailer that tells of the past alone. A run that was
    silent for `lease_seconds` may be taken over by another.
    """

    days_a_run: int = Field(default=31, ge=1)
    until: date | None = None
    lease_seconds: int = Field(default=90, ge=5)


class QualitySettings(Section):
    """The gate stops a run in which a retailer's share of lines in quarantine is above `quarantine_share`.

    Up to `quarantine_lines` of them are let pass whatever their share, for a small retailer's one bad line.

    `daily_sales` judges no rows and money of a retailer's day in a currency that has, and usually had, fewer than
    `daily_rows` rows: of three lines, six are no news.

    A store that sold on `gap_share` of the days on which its retailer sold, of the `gap_days` before, is expected to
    sell; no sooner than `gap_history` such days are known.

    A profile is held against those of the `profile_runs` runs before (limits: conf/expectations/profile.toml).
    """

    quarantine_share: float = Field(default=0.01, ge=0, le=1)
    quarantine_lines: int = Field(default=5, ge=0)
    daily_rows: int = Field(default=20, ge=0)
    gap_days: int = Field(default=28, ge=1)
    gap_share: float = Field(default=0.9, gt=0, le=1)
    gap_history: int = Field(default=14, ge=1)
    profile_runs: int = Field(default=14, ge=2)


class MaintainSettings(Section):
    """What `retail maintain` promises: every version of the last `retention_days` days can be read.

    Files below `target_file_bytes` are put together, within their partition.
    """

    retention_days: int = Field(default=30, ge=1)
    target_file_bytes: int = Field(default=128 * 2**20, ge=2**20)


class WarehouseSettings(Section):
    """PostgreSQL. With `embedded` a server of our own keeps its data in `data_folder`; else host and port."""

    embedded: bool = False
    data_folder: str = "var/postgresql"
    host: str = "localhost"
    port: int = 5432
    database: str = "retail"
    user: str = "retail"
    sslmode: Literal["disable", "prefer", "require", "verify-ca", "verify-full"] = "prefer"
    sslrootcert: str | None = None


class SyncSettings(Section):
    method: Literal["copy", "jdbc"] = "copy"


class RetailerSettings(Section):
    """One retailer. `options` belong to its service class, which checks them before any work starts.

    `mapping_revision` is raised with every change here in what an answer means (its zone, an option such as
    `charge_basis`): days that are landed again then take the place of what was made of them before.
    """

    service: str
    name: str
    base_url: str
    time_zone: str
    mapping_revision: int = Field(default=0, ge=0, le=1_000)
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{value!r} is not an IANA time zone such as America/New_York") from None
        return value

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        return web_address(value)


class Settings(BaseSettings):
    """All of it. Every unknown key is an error, so that a spelling mistake never falls silent."""

    model_config = SettingsConfigDict(
        env_prefix="RETAIL_", env_nested_delimiter="__", extra="forbid", frozen=True, case_sensitive=False
    )

    engine: Literal["sail", "spark"] = "sail"
    start_date: date
    lake: LakeSettings
    spark: SparkSettings = SparkSettings()
    runs: RunSettings = RunSettings()
    extract: ExtractSettings = ExtractSettings()
    quality: QualitySettings = QualitySettings()
    maintain: MaintainSettings = MaintainSettings()
    warehouse: WarehouseSettings = WarehouseSettings()
    sync: SyncSettings = SyncSettings()
    retailers: dict[str, RetailerSettings] = Field(min_length=1)

    @field_validator("retailers")
    @classmethod
    def _have_names_of_their_own(cls, value: dict[str, RetailerSettings]) -> dict[str, RetailerSettings]:
        for name in value:
            if not name.isidentifier() or not name.islower():
                raise ValueError(f"{name!r}: a retailer's id is lower-case letters, digits and _ only")
        shown = [retailer.name for retailer in value.values()]
        for name in shown:
            if shown.count(name) > 1:
                raise ValueError(f"{name!r} is the name of two retailers, which BI would add up as one")
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
    """The one file that is read: `path`, or that of `RETAIL_CONF`; else `conf/local.toml` of the current folder where
    there is one, else that of `home`.
    """
    named = path or os.environ.get("RETAIL_CONF")
    if named:
        return Path(named)
    return (_LOCAL if _LOCAL.is_file() else home() / _LOCAL).absolute()


def load_settings(path: Path | None = None) -> Settings:
    """Settings from one TOML file (see `configuration_file`) and the environment over it.

    Raises ConfigurationError with every problem at once, each by its key.
    """
    path = configuration_file(path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            [f"{path} cannot be read: {error.strerror}"], hint="name it with --conf"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError([f"{path} is not TOML: {error}"]) from None
    try:
        return Settings(**values)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False)]
        raise ConfigurationError(problems, hint=f"mend {path} or the RETAIL_… variable over it") from None
    except SettingsError as error:
        raise ConfigurationError(
            [f"{_variable_of(error)}: is not JSON"],
            hint="a key of a section has a variable of its own, such as RETAIL_LAKE__URL; a whole section is JSON",
        ) from None


def _variable_of(error: SettingsError) -> str:
    """The variable of a section that cannot be read, by the section's name, which is all the error tells."""
    named = re.search(r'field "(\w+)"', str(error))
    variable = f"RETAIL_{named[1].upper()}" if named else "RETAIL_…"
    return variable if variable in (name.upper() for name in os.environ) else f"a variable {variable}__…"
