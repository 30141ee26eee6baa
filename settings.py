"""Settings: environment variables with the prefix `REMIT_`. An empty variable is unset.

Only composition roots (`cli/`, `devenv/`, and modules at the top) read them and pass plain values on. Each setting is
in a module of `setting_groups/`, by its noun.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches

from pydantic_settings import BaseSettings, SettingsConfigDict

from setting_groups.account_statements import StatementSettings
from setting_groups.accounts import AccountSettings
from setting_groups.audit_trail import TrailSettings
from setting_groups.http_api import HttpSettings
from setting_groups.messages import MessageSettings
from setting_groups.process_sizes import ProcessSettings
from setting_groups.server_addresses import ServerSettings
from setting_groups.standing_orders import StandingOrderSettings
from setting_groups.transfers import TransferSettings

PREFIX = "REMIT_"

# Variables with our prefix that are no settings: the compose file, the bench and the tests read them.
OTHER_VARIABLES = frozenset(
    "AUDITOR_PASSWORD BENCH_SETTING BROKERS_SECONDS CHAOS_ROUNDS CHAOS_SEED CHROMIUM EVENTS_SEEDS "
    "EVENTS_TRANSFERS HISTORY_RETENTION "
    "OPERATOR_PASSWORD OWNER_PASSWORD SCREENSHOTS SERVICE_PASSWORD WORKER_PASSWORD".split()
)

# Kubernetes gives every container variables of this shape for a service whose name begins with `remit`.
SERVICE_LINK = re.compile(r"\w+_SERVICE_(HOST|PORT)(_\w+)?=.*|\w+_PORT_\d+_(TCP|UDP)(_\w+)?=.*|\w+_PORT=(tcp|udp)://.*")


class Settings(
    ServerSettings,
    HttpSettings,
    MessageSettings,
    StatementSettings,
    AccountSettings,
    StandingOrderSettings,
    TransferSettings,
    TrailSettings,
    ProcessSettings,
    BaseSettings,
):
    """Every setting of every Remit process. `docs/reference/settings.md` explains them in groups."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", defer_build=False)


def unknown_variables(variables: Mapping[str, str]) -> list[str]:
    """A sentence for each variable with our prefix that is no setting: a misspelt one would silently do nothing."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    others = {PREFIX + name for name in OTHER_VARIABLES}
    found = []
    for name, value in sorted(variables.items()):
        wanted = name.upper()
        if not wanted.startswith(PREFIX) or wanted in known | others or SERVICE_LINK.fullmatch(f"{wanted}={value}"):
            continue
        (close,) = get_close_matches(wanted, known, n=1) or (None,)
        found.append(f"{name}: there is no such setting.{f' Did you mean {close}?' if close else ''}")
    return found
