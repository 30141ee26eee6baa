"""What operators type into an update in Temporal, and how it is read. Pure: no I/O, no clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

STAFF_REQUEST_EXAMPLE = '{"actor": "cus_…", "reason": "ticket 4711"}'

MAX_TEXT = 500


class Unclear(ValueError):
    """The input cannot be read. The message says what is wrong, with an example that can be read."""


@dataclass(frozen=True, slots=True)
class StaffRequest:
    """Who requests something of a transfer's workflow, and why. `actor` is an id or an address.

    `action_id` names the action that the admin API recorded; None: somebody typed the update in Temporal.
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


def staff_request_in(given: object) -> StaffRequest:
    """The request in a JSON value. Raises `Unclear`."""
    texts = texts_in(given, ("actor", "reason"), STAFF_REQUEST_EXAMPLE)
    return StaffRequest(texts["actor"], texts["reason"], _action_id_in(given))


def _action_id_in(given: object) -> str | None:
    """What the admin API adds. It counts only if the record with this id requests the very same."""
    action_id = given.get("action_id") if isinstance(given, Mapping) else None
    return action_id if isinstance(action_id, str) and action_id.isascii() and action_id.isprintable() else None


def texts_in(given: object, names: Sequence[str], example: str) -> dict[str, str]:
    """The texts with these names in a JSON object; other fields are ignored. Raises `Unclear`, with the example."""
    if not isinstance(given, Mapping):
        raise Unclear(f"Send one JSON object, such as {example}.")
    for name in names:
        if name not in given:
            raise Unclear(f"`{name}` is missing. Send it as in {example}.")
        text = given[name]
        if not isinstance(text, str):
            raise Unclear(f"`{name}` is not text. Send it as in {example}.")
        if len(text) > MAX_TEXT:
            raise Unclear(f"`{name}` is longer than {MAX_TEXT} characters.")
        if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text):
            raise Unclear(f"`{name}` holds a character that cannot be stored.")
    return {name: given[name] for name in names}
