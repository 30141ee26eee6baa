"""How long the properties look: `short` by default and the same every time, `long` to find what nobody thought of.

`HYPOTHESIS_PROFILE=long pytest tests/properties` draws other examples in every run and prints how to repeat a failure.
"""

import os

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.databases import Eraser, OwnDatabase

SHORT = settings(
    max_examples=25,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
    report_multiple_bugs=False,
    # The fixtures of a property are made once, and each example empties the books itself.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.register_profile("short", SHORT)
settings.register_profile("long", SHORT, max_examples=3_000, derandomize=False, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))


@pytest.fixture
def eraser(own_database: OwnDatabase) -> Eraser:
    return own_database.eraser
