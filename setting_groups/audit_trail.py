"""Settings: the audit trail, and how long records are kept."""

from pathlib import Path

from pydantic import Field

from setting_groups.setting_group import SettingGroup
from setting_groups.value_lists import Keys


class TrailSettings(SettingGroup):
    """What signs the audit trail, when it is sealed, and what is kept for how long."""

    audit_keys: Keys = Field(
        None,
        description="Sign the audit trail: at least 32 characters each, separated by commas. The first signs, all "
        "check. Unset: the fingerprint keys do.",
    )
    audit_folder: Path | None = Field(
        None, description="Where signed heads of the audit trail go as a file, beside the log."
    )
    audit_seal_seconds: int = Field(60, ge=1, description="How often a worker seals the audit trail.")
    audit_months: int | None = Field(
        None, ge=12, description="Whole months that the audit trail keeps. Unset: all of them."
    )
    request_months: int | None = Field(13, ge=1, description="Whole months that the records of requests are kept.")
    event_days: int = Field(90, ge=7, description="Days that events are kept, at least.")
    audit_export_seconds: int = Field(3600, ge=1, description="How often a worker exports its signed heads.")
