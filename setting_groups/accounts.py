"""Settings: accounts, their limits, and customers on their way to a higher tier."""

from functools import cache
from typing import Self

from pydantic import Field, SecretStr, TypeAdapter, ValidationError, field_validator, model_validator

from ledger.limits.tier_limits import LAST_TIER, LimitTable
from ledger.money import is_currency
from setting_groups.setting_group import SettingGroup

# Currency, tier, limit, major units.
_TIER_LIMITS = TypeAdapter(dict[str, dict[str, dict[str, int | None]]])


@cache
def _limit_table(tier_limits: str, cap_major: int | None) -> LimitTable:
    return LimitTable(_TIER_LIMITS.validate_json(tier_limits, strict=True), cap_major)


class AccountSettings(SettingGroup):
    """Accounts, tiers, fundings, and who verifies documents."""

    default_currency: str = Field("INR", description="Of a first account whose registration names no currency.")
    payee_checks: int = Field(50, ge=1, description="How many account numbers a customer may check in 15 minutes.")

    # Limits and tiers.
    tier_limits: str | None = Field(
        None,
        description='Other limits of tiers, as JSON by currency (`*`: all), tier and limit: {"INR": {"1": {…}}}.',
    )
    transaction_cap_major: int | None = Field(
        None, ge=1, description="The most that any one transaction moves, in major units, scaled. Unset: no cap."
    )
    tier_deadline_seconds: int = Field(
        1_209_600, ge=1, description="A request for a higher tier that nobody decides expires after this."
    )
    four_eyes_from_tier: int | None = Field(
        3, ge=2, le=LAST_TIER, description="A request for this tier or a higher one needs two deciders."
    )

    # Fundings.
    funding_floor_major: int = Field(
        1_000_000, ge=0, description="How far each funding account may go below zero, in major units of its currency."
    )
    funding_four_eyes_from_major: int = Field(
        10_000, ge=1, description="A funding of this amount or more needs the approval of a second person."
    )

    # Onboarding.
    verifier_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s#]+$",
        description="Where identity documents are verified, by HTTP.",
    )
    verifier_token: SecretStr | None = Field(None, description="The bearer token of the verifier.")

    @field_validator("default_currency")
    @classmethod
    def _is_a_currency(cls, code: str) -> str:
        if not is_currency(code):
            raise ValueError(f"must be an ISO 4217 code of a currency in circulation, such as USD, not {code}")
        return code

    @model_validator(mode="after")
    def _has_limits(self) -> Self:
        """Refuse limits of what does not exist: a misspelt one would silently limit nothing."""
        self.limits()
        return self

    def limits(self) -> LimitTable:
        """What accounts may send and hold."""
        try:
            return _limit_table(self.tier_limits or "{}", self.transaction_cap_major)
        except ValidationError as error:
            first = error.errors()[0]
            raise ValueError(f"REMIT_TIER_LIMITS: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
        except ValueError as error:
            raise ValueError(f"REMIT_TIER_LIMITS: {error}") from error
