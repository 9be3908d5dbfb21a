"""A lake to work in."""

from tests.star.conftest import make_context

__all__ = ["make_context"]
