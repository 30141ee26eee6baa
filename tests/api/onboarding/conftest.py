"""Whoever registers here goes the whole way."""

import pytest


@pytest.fixture
def with_onboarding() -> bool:
    return True
