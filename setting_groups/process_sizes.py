"""Settings: sizes, logs, and limits of one process."""

from pathlib import Path

from pydantic import Field

from setting_groups.setting_group import SettingGroup


class ProcessSettings(SettingGroup):
    """Connections and logs of one process."""

    database_connections: int = Field(
        20, ge=1, description="The most PostgreSQL connections of the API, and of a worker."
    )
    log_folder: Path | None = Field(
        None, description="Where `api.log` and `worker.log` go; they rotate. Unset: lines go to stderr."
    )
    report_connections: int = Field(
        4, ge=2, description="The most PostgreSQL connections that lists, totals and audits of the API use."
    )
    audit_timeout_seconds: int = Field(3600, ge=1, description="An audit that takes longer is given up.")
    log_format: str = Field("console", pattern="^(console|json)$")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
