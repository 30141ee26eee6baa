"""These tests look at what becomes of events."""

import pytest


@pytest.fixture
def with_events() -> bool:
    return True
