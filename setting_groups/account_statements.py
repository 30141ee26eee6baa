"""Settings: what statements print, and in which zones days are counted."""

from pydantic import Field, field_validator

from setting_groups.setting_group import SettingGroup
from standing_orders.calendar import is_zone
from statements.statement import Bank, StatementTerms
from statements.statement_period import zones_in


class StatementSettings(SettingGroup):
    """Statements of accounts, and the zones of their days."""

    bank_name: str = Field("Remit", pattern=r"^[^\x00-\x1f]{1,140}$", description="Who keeps the accounts.")
    bank_address: str | None = Field(None, max_length=300, description="Its address, lines separated by semicolons.")
    time_zone: str = Field(
        "UTC",
        description="An IANA name: in which zone the days of statements, and of orders that name none, are counted.",
    )
    time_zones: str | None = Field(None, description="JSON: other zones by currency.")

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, given: str) -> str:
        if not is_zone(given):
            raise ValueError(f"must be a zone of the IANA database, such as Africa/Lagos, not {given}")
        return given

    def statement_terms(self) -> StatementTerms:
        """What statements print, and in which time zones they count days."""
        address = tuple(line for part in (self.bank_address or "").split(";") if (line := part.strip()))
        return StatementTerms(Bank(self.bank_name, address), zones_in(self.time_zone, self.time_zones or "{}"))
