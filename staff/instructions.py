"""What operators ask of a transfer that is under way, and how what they typed is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

INSTRUCTION_EXAMPLE = '{"actor": "cus_…", "reason": "ticket 4711"}'

MAX_TEXT = 500


class Unclear(ValueError):
    """What somebody sent cannot be read. The message says what is wrong, and shows what can."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """Who asks, and why. Both are kept with the transfer.

    `action_id` is the record of the admin API's request; None: it was typed in Temporal.
    """

    actor: str
    reason: str
    action_id: str | None = None

    def objection(self) -> str | None:
        """Why this cannot be taken, in a sentence; None: it can."""
        if not self.actor.strip():
            return "Say who asks: actor is empty."
        if not self.reason.strip():
            return "Say why: reason is empty."
        return None


def instruction_in(said: object) -> Instruction:
    """The instruction in a JSON value that somebody typed. Raises `Unclear`."""
    texts = texts_in(said, ("actor", "reason"), INSTRUCTION_EXAMPLE)
    return Instruction(texts["actor"], texts["reason"], action_id_in(said))


def action_id_in(said: object) -> str | None:
    """What the admin API adds. Believed only where the ledger's record of that id asks for the very same."""
    action_id = said.get("action_id") if isinstance(said, Mapping) else None
    return action_id if isinstance(action_id, str) and action_id.isascii() and action_id.isprintable() else None


def texts_in(said: object, names: Sequence[str], example: str) -> dict[str, str]:
    """The texts of these names in a JSON object; others are left alone. Raises `Unclear`, with the example."""
    if not isinstance(said, Mapping):
        raise Unclear(f"Send one JSON object, such as {example}.")
    for name in names:
        if name not in said:
            raise Unclear(f"`{name}` is missing. Send it as in {example}.")
        text = said[name]
        if not isinstance(text, str):
            raise Unclear(f"`{name}` is not text. Send it as in {example}.")
        if len(text) > MAX_TEXT:
            raise Unclear(f"`{name}` is longer than {MAX_TEXT} characters.")
        if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text):
            raise Unclear(f"`{name}` holds a character that cannot be kept.")
    return {name: said[name] for name in names}
