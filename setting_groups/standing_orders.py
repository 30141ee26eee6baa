"""Settings: when standing orders are paid."""

from pathlib import Path

from pydantic import Field, field_validator

from setting_groups.setting_group import SettingGroup
from standing_orders.calendar import RunHours, holidays_in


class StandingOrderSettings(SettingGroup):
    """Hours and days on which standing orders are paid."""

    standing_order_hours: str = Field(
        "6,12,18", description="Hours of the payer's day at which standing orders are paid; the first: what is due."
    )
    standing_order_interval_seconds: int = Field(60, ge=1, description="How often what is due is looked for.")
    holidays_file: Path | None = Field(None, description="Holidays: a date, a month and day, or a weekday a line.")

    @field_validator("standing_order_hours")
    @classmethod
    def _are_hours(cls, given: str) -> str:
        try:
            RunHours(tuple(int(hour) for hour in given.split(",")))
        except ValueError:
            raise ValueError(f"must be hours from 0 to 23 in their order, such as 6,12,18, not {given}") from None
        return given

    @field_validator("holidays_file")
    @classmethod
    def _has_holidays(cls, given: Path | None) -> Path | None:
        if given is not None:
            try:
                holidays_in(given.read_text().splitlines())
            except (OSError, ValueError) as error:
                raise ValueError(f"cannot be read: {error}") from error
        return given
