"""Settings: how transfers are screened, reviewed, disputed, and recovered."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from setting_groups.setting_group import SettingGroup


class TransferSettings(SettingGroup):
    """Thresholds, deadlines, and the times of recovery."""

    # Screening and reviews.
    decline_from_major: int | None = Field(
        None, ge=1, description="Screening declines this amount and more, in major units of its currency. Unset: none."
    )
    review_from_major: int | None = Field(
        None,
        ge=0,
        description="Screening sends this amount and more to review, in major units of its currency. 0: never. Unset: "
        "from 25,000 US dollars on, scaled for other currencies.",
    )
    rules_file: Path | None = Field(
        None, description="The screening rules, as TOML or JSON, in place of those that come from the settings."
    )
    four_eyes_from_major: int | None = Field(
        None, ge=1, description="A review of this amount or more needs two deciders. Unset: one is enough."
    )
    four_eyes_after_seconds: int = Field(
        86_400, ge=0, description="Staff count where two people are needed once their role is this old."
    )
    review_deadline_seconds: int = Field(86_400, ge=1, description="A review that nobody decides fails after this.")
    review_reminder_seconds: int = Field(
        64_800, ge=1, description="Reviewers are reminded after this; if not before the deadline, after 3/4 of it."
    )

    # Disputes.
    dispute_window_days: int = Field(
        120, ge=1, description="A transfer can be disputed for so long after its completion."
    )
    dispute_deadline_seconds: int = Field(
        1_209_600, ge=1, description="A dispute that nobody decides expires after this."
    )

    # Transfers in doubt, and recovery.
    stuck_after_seconds: int = Field(
        60, ge=1, description="A money step in doubt for so long, or up to twice as long, needs attention."
    )
    recovery_grace_seconds: int = Field(
        30, ge=0, description="Recovery ignores transfers that changed within this time."
    )
    recovery_interval_seconds: int = Field(60, ge=1, description="How often recovery looks for stranded transfers.")

    @model_validator(mode="after")
    def _reminds_before_the_deadline(self) -> Self:
        """Move a reminder that would be too late before the deadline, also if only the deadline was lowered."""
        if self.review_reminder_seconds >= self.review_deadline_seconds:
            self.review_reminder_seconds = self.review_deadline_seconds * 3 // 4
        return self

    @model_validator(mode="after")
    def _rules_come_from_one_place(self) -> Self:
        """Refuse thresholds beside a file of rules: nobody could tell which of them count."""
        if self.rules_file is not None and (self.review_from_major, self.decline_from_major) != (None, None):
            raise ValueError(
                "REMIT_RULES_FILE has all rules: unset REMIT_REVIEW_FROM_MAJOR and REMIT_DECLINE_FROM_MAJOR, and say "
                "in the file from which amounts on transfers are reviewed or declined."
            )
        return self

    @model_validator(mode="after")
    def _thresholds_agree(self) -> Self:
        """Refuse thresholds that would silently switch reviews off."""
        review, four_eyes, decline = self.review_from_major, self.four_eyes_from_major, self.decline_from_major
        if review and decline is not None and review >= decline:
            raise ValueError(
                f"REMIT_REVIEW_FROM_MAJOR={review} and REMIT_DECLINE_FROM_MAJOR={decline} contradict each other: "
                "amounts are declined before anybody could review them. Review from a smaller amount."
            )
        if four_eyes is not None and review == 0:
            raise ValueError(
                f"REMIT_FOUR_EYES_FROM_MAJOR={four_eyes} has no effect with REMIT_REVIEW_FROM_MAJOR=0, which switches "
                "reviews off."
            )
        if four_eyes is not None and decline is not None and four_eyes >= decline:
            raise ValueError(
                f"REMIT_FOUR_EYES_FROM_MAJOR={four_eyes} and REMIT_DECLINE_FROM_MAJOR={decline} contradict each other: "
                "amounts are declined before two people could review them. Ask for four eyes from a smaller amount."
            )
        return self
