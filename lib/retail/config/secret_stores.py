"""Where a secret can live outside of our own variables: what `[secrets]` of the configuration may refer to.

`env:NAME`, `file:PATH`, `aws-secretsmanager:NAME-OR-ARN[#KEY]` and `vault:MOUNT/PATH#KEY`. A reference is no secret and
may be shown.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from retail.config import text_files
from retail.config.environment import LOOPBACK
from retail.outgoing_text import remember

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

_FORMS: Final = "env:NAME, file:PATH, aws-secretsmanager:NAME#KEY or vault:MOUNT/PATH#KEY"
_ARN_OF_SECRET: Final = re.compile(r"arn:aws[a-z-]*:secretsmanager:(?P<region>[a-z0-9-]+):\d+:secret:.+")
_SECONDS: Final = 10  # for each attempt to reach a store


class UnreadableError(Exception):
    """A reference leads to no secret; the message says why, and holds none."""


def require_reference(value: str) -> str:
    """The same text. ValueError, which does not repeat it, if it is no reference: it may be a secret."""
    scheme, _, rest = value.partition(":")
    if scheme not in _STORES or not rest.partition("#")[0]:
        raise ValueError(f"must be one of {_FORMS}; a secret itself never stands here: if it did, replace it")
    if scheme == "vault" and (not re.fullmatch(r"[^#/]+/[^#]+#.+", rest) or ".." in rest):
        raise ValueError("must name mount, path and key, such as vault:secret/retail/amazon#client_secret")
    return value


class SecretStores:
    """Reads references. Each stored object is read once and kept in memory, until `forget`."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment
        self._objects: dict[str, str | Mapping[str, Any]] = {}

    def read(self, reference: str) -> str:
        """The secret, without surrounding white space. Raises UnreadableError."""
        stored, _, key = reference.partition("#") if self._has_keys(reference) else (reference, "", "")
        if stored not in self._objects:
            scheme, _, name = stored.partition(":")
            self._objects[stored] = _STORES[scheme](name, self._environment)
        value = _entry(self._objects[stored], key) if key else self._objects[stored]
        if not isinstance(value, str) or not value.strip():
            raise UnreadableError("it holds no text there")
        return value.strip()

    def forget(self, reference: str) -> None:
        """Have the next `read` ask the store again."""
        stored = reference.partition("#")[0] if self._has_keys(reference) else reference
        self._objects.pop(stored, None)

    @staticmethod
    def _has_keys(reference: str) -> bool:
        return not reference.startswith(("env:", "file:"))


def _entry(held: str | Mapping[str, Any], key: str) -> Any:
    """The entry `key` of an object, or of the JSON text of one. Raises UnreadableError."""
    try:
        values = json.loads(held) if isinstance(held, str) else held
    except ValueError:
        raise UnreadableError(f"it is not JSON, so it has no key {key!r}") from None
    if not isinstance(values, Mapping) or key not in values:
        raise UnreadableError(f"it has no key {key!r}")
    return values[key]


def _from_environment(name: str, environment: Mapping[str, str]) -> str:
    if name not in environment:
        raise UnreadableError(f"the variable {name} is not set")
    return environment[name]


def _from_file(path: str, environment: Mapping[str, str]) -> str:
    del environment
    try:
        return text_files.read(Path(path).expanduser())
    except OSError as error:
        raise UnreadableError(f"the file cannot be read ({error.strerror})") from None


def _from_secrets_manager(name: str, environment: Mapping[str, str]) -> str:
    """The text of a secret's current version, with the credentials that boto3 finds by itself.

    Source: GetSecretValue, AWS Secrets Manager API Reference 2017-10-17.
    """
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    arn = _ARN_OF_SECRET.fullmatch(name)
    patience = Config(connect_timeout=_SECONDS, read_timeout=_SECONDS, retries={"total_max_attempts": 3})
    try:
        client: SecretsManagerClient = boto3.Session().client(
            "secretsmanager",
            region_name=arn["region"] if arn else None,
            endpoint_url=environment.get("AWS_ENDPOINT_URL_SECRETS_MANAGER"),  # S3 has boto3's own look ended
            config=patience,
        )
        found = client.get_secret_value(SecretId=name)
    except ClientError as error:
        raise UnreadableError(f"AWS Secrets Manager: {error.response['Error'].get('Code')}") from None
    except (BotoCoreError, ValueError) as error:
        raise UnreadableError(f"AWS Secrets Manager: {type(error).__name__}: {error}") from None
    if "SecretString" not in found:
        raise UnreadableError("AWS Secrets Manager: the secret is binary")
    return found["SecretString"]


def _from_vault(name: str, environment: Mapping[str, str]) -> Mapping[str, Any]:
    """The newest version of a secret of a KV engine, version 2, by Vault's own variables.

    VAULT_ADDR, VAULT_TOKEN or `~/.vault-token`, VAULT_NAMESPACE and VAULT_CACERT, as for the command `vault`. Source:
    Vault's HTTP API, GET /:mount/data/:path.
    """
    try:
        import hvac
        from hvac.exceptions import VaultError
        from requests import RequestException
    except ImportError:
        raise UnreadableError("hvac is not installed: pip install 'retail-lakehouse[vault]'") from None
    address = environment.get("VAULT_ADDR")
    if not address:
        raise UnreadableError("VAULT_ADDR is not set")
    parts = urlsplit(address)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise UnreadableError("VAULT_ADDR must begin with https://: the token would go there in clear")
    mount, _, path = name.partition("/")
    client = hvac.Client(
        url=address,
        token=environment.get("VAULT_TOKEN"),
        namespace=environment.get("VAULT_NAMESPACE"),
        verify=environment.get("VAULT_CACERT") or True,
        timeout=_SECONDS,
        allow_redirects=False,  # they would carry the token elsewhere
    )
    remember(client.token or "")
    try:
        answer = client.secrets.kv.v2.read_secret_version(
            path=path, mount_point=mount, raise_on_deleted_version=True
        )
        values = answer["data"]["data"]
    except (VaultError, RequestException, ValueError, KeyError, TypeError) as error:
        raise UnreadableError(f"Vault: {type(error).__name__}") from None
    if not isinstance(values, Mapping):
        raise UnreadableError("Vault: the answer holds no entries")
    return values


_STORES: Final[Mapping[str, Callable[[str, Mapping[str, str]], str | Mapping[str, Any]]]] = {
    "env": _from_environment,
    "file": _from_file,
    "aws-secretsmanager": _from_secrets_manager,
    "vault": _from_vault,
}
