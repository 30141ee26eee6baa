"""What operators ask of a transfer that is under way."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Instruction:
    """Who asks, and why. Both are kept with the transfer."""

    actor: str
    reason: str

    def objection(self) -> str | None:
        """Why this cannot be taken, in a sentence; None: it can."""
        if not self.actor.strip():
            return "Say who asks: actor is empty."
        if not self.reason.strip():
            return "Say why: reason is empty."
        return None
