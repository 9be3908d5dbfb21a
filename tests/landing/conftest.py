"""What tests of the sources have too: a simulator, a scripted server, and time that tests need not wait for."""

from tests.sources.conftest import (
    lake,
    open_at,
    reply,
    scripted,
    secret_values,
    secrets,
    settings_of,
    simulator,
    time,
)

__all__ = [
    "lake",
    "open_at",
    "reply",
    "scripted",
    "secret_values",
    "secrets",
    "settings_of",
    "simulator",
    "time",
]
