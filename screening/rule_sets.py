"""Rule sets: the rules that every transfer is screened by, as configurations write them. Pure.

A rule set's id follows from its contents. Whoever has the same rules has the same id, in any process and after any
restart, so a verdict names exactly the rules that gave it.
"""

import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from importlib.metadata import EntryPoint, entry_points
from types import NoneType, UnionType
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from ledger.ids import RuleSetId, rule_set_id_for
from ledger.money import MAX_AMOUNT_MINOR
from ledger.transfers import Kind
from screening.rules import ScreeningAnswer, ScreeningRule
from screening.standard_rules import STANDARD_RULES, AmountThreshold, Listed, Velocity

# The group under which installed packages offer kinds of rules of their own.
ENTRY_POINTS = "remit.rules"

MOST_RULES = 100

# From here on a review is asked for, in US dollars, unless the settings say otherwise. Other currencies are scaled.
DEFAULT_REVIEW_FROM_MAJOR = 25_000
DEFAULT_FLAG_FROM_MAJOR = 10_000

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")

_ANSWERS = [answer.label for answer in ScreeningAnswer if answer is not ScreeningAnswer.ALLOW]

Contents = Sequence[Mapping[str, Any]]


@dataclass(eq=False)
class RulesInvalid(Exception):
    """A configuration that is no rule set. Each sentence names the rule, the field, and what is wanted."""

    errors: list[str]

    def __str__(self) -> str:
        return "; ".join(self.errors)


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Rules, and the contents that make them again: JSON values with every field of every rule."""

    id: RuleSetId
    rules: tuple[ScreeningRule, ...]
    contents: list[dict[str, Any]]


def rule_set_of(rules: Iterable[ScreeningRule]) -> RuleSet:
    """The rule set of these rules, in this order."""
    made = tuple(rules)
    contents = [_contents_of(rule) for rule in made]
    return RuleSet(_id_of(contents), made, contents)


def default_rule_set(*, review_from_major: int | None, decline_from_major: int | None) -> RuleSet:
    """The rules of an installation that configures none.

    Three withdrawals within a minute and large amounts are flagged, larger ones are reviewed, payments to the list
    `blocked` are declined, and no amount is. A given threshold counts in major units of each currency;
    `review_from_major` 0: no review.
    """
    rules: list[ScreeningRule] = [
        Velocity(within_seconds=60, count=3, kinds=(Kind.WITHDRAWAL,), name="withdrawals_in_a_minute"),
        AmountThreshold(DEFAULT_FLAG_FROM_MAJOR, ScreeningAnswer.FLAG, scaled=True, name="large_amount"),
    ]
    if review_from_major is None:
        rules.append(AmountThreshold(DEFAULT_REVIEW_FROM_MAJOR, ScreeningAnswer.REVIEW, scaled=True))
    elif review_from_major:
        rules.append(AmountThreshold(review_from_major, ScreeningAnswer.REVIEW))
    if decline_from_major is not None:
        rules.append(AmountThreshold(decline_from_major))
    rules.append(Listed("blocked", "payee"))
    return rule_set_of(rules)


def rule_set_in(contents: object) -> RuleSet:
    """The rule set that a configuration describes: a list of objects, each with a `kind` and the fields of that kind.

    Raises `RulesInvalid` with all that is wrong with it.
    """
    if not isinstance(contents, list):
        raise RulesInvalid(["rules: must be a list"])
    if len(contents) > MOST_RULES:
        raise RulesInvalid([f"rules: at most {MOST_RULES}"])
    errors: list[str] = []
    rules: list[ScreeningRule] = []
    for place, given in enumerate(contents, 1):
        try:
            rules.append(_rule_in(given))
        except RulesInvalid as invalid:
            errors += [f"rule {place}: {error}" for error in invalid.errors]
    names = [rule.name for rule in rules]
    errors += [f"two rules are named {name!r}: give one another name" for name in set(names) if names.count(name) > 1]
    if errors:
        raise RulesInvalid(errors)
    return rule_set_of(rules)


def installed_rules() -> Mapping[str, EntryPoint]:
    """The kinds of rules that installed packages offer, by name. None of them is imported yet."""
    return {found.name: found for found in entry_points(group=ENTRY_POINTS)}


def _rule_in(given: object) -> ScreeningRule:
    if not isinstance(given, Mapping):
        raise RulesInvalid(["must be an object with a kind"])
    kind = given.get("kind")
    if not isinstance(kind, str):
        raise RulesInvalid(["kind: is missing, or no text"])
    rule_class = _class_of(kind)
    fields = {field.name: field for field in dataclasses.fields(rule_class) if field.init}
    hints = get_type_hints(rule_class)
    values: dict[str, Any] = {}
    errors: list[str] = []
    for name, value in given.items():
        if name in ("kind", "package"):  # the package is described by contents, and not configured
            continue
        if name not in fields:
            errors.append(f"{name}: {kind} has no such field.{_close_to(str(name), fields)}")
            continue
        try:
            values[name] = _value(value, hints[name])
        except ValueError as error:
            errors.append(f"{name}: {error}")
    required = [
        name
        for name, field in fields.items()
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    errors += [f"{name}: is missing" for name in required if name not in given]
    if "name" in values and not _NAME.fullmatch(str(values["name"])):
        errors.append("name: use up to 40 small letters, digits and underscores, the first a letter")
    if errors:
        raise RulesInvalid(errors)
    try:
        return cast("ScreeningRule", rule_class(**values))
    except ValueError as error:
        raise RulesInvalid([str(error)]) from error


def _class_of(kind: str) -> type:
    """The dataclass of this kind of rule. A package's own kind is imported here."""
    if kind in STANDARD_RULES:
        return STANDARD_RULES[kind]
    installed = installed_rules()
    if kind not in installed:
        known = [*STANDARD_RULES, *installed]
        raise RulesInvalid([f"kind: there is no kind {kind!r}.{_close_to(kind, known)} Known: {', '.join(known)}"])
    try:
        found = installed[kind].load()
    except Exception as error:
        raise RulesInvalid([f"kind: {installed[kind].value} cannot be loaded: {error}"]) from error
    if not (isinstance(found, type) and dataclasses.is_dataclass(found)):
        raise RulesInvalid([f"kind: {installed[kind].value} is no dataclass"])
    return found


def _value(given: object, hint: Any) -> Any:
    """A field's value. Raises `ValueError` with what is wanted instead."""
    if get_origin(hint) in (Union, UnionType):
        if given is None:
            return None
        (hint,) = (each for each in get_args(hint) if each is not NoneType)
    if hint is ScreeningAnswer:
        return ScreeningAnswer.named(str(_one_of(given, _ANSWERS)))
    if get_origin(hint) is Literal:
        return _one_of(given, get_args(hint))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(_one_of(given, [member.value for member in hint]))
    if get_origin(hint) is tuple:
        if not isinstance(given, list):
            raise ValueError("must be a list")
        return tuple(dict.fromkeys(_value(each, get_args(hint)[0]) for each in given))
    plain = _PLAIN.get(hint)
    if plain is None:
        raise ValueError("cannot be configured")
    return plain(given)


def _whole(given: object) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or not 1 <= given <= MAX_AMOUNT_MINOR:
        raise ValueError("must be a whole number from 1 on")
    return given


def _yes_or_no(given: object) -> bool:
    if not isinstance(given, bool):
        raise ValueError("must be true or false")  # noqa: TRY004 - of the configuration, not of our code
    return given


def _text(given: object) -> str:
    if not isinstance(given, str) or not given.strip() or not given.isprintable():
        raise ValueError("must be a text")
    return given


_PLAIN: Mapping[type, Callable[[object], Any]] = {int: _whole, bool: _yes_or_no, str: _text}


def _one_of(given: object, known: Sequence[object]) -> object:
    if given not in known:
        raise ValueError(f"must be one of {', '.join(map(str, known))}, not {given!r}")
    return given


def _close_to(name: str, known: Iterable[str]) -> str:
    (close,) = get_close_matches(name, list(known), n=1) or (None,)
    return f" Did you mean {close}?" if close else ""


def _contents_of(rule: ScreeningRule) -> dict[str, Any]:
    """What makes the rule again, with the package that it comes from: another version may judge otherwise."""
    made_by = type(rule)
    kind = next((name for name, known in STANDARD_RULES.items() if known is made_by), None)
    described: dict[str, Any] = {"kind": kind or made_by.__name__}
    for name, found in ({} if kind else installed_rules()).items():
        if found.value == f"{made_by.__module__}:{made_by.__qualname__}":
            described = {"kind": name}
            if found.dist is not None:
                described["package"] = f"{found.dist.name} {found.dist.version}"
    if dataclasses.is_dataclass(rule):
        fields = [field.name for field in dataclasses.fields(rule) if field.init]
        described |= {name: _json_of(getattr(rule, name)) for name in fields}
    return described


def _json_of(value: Any) -> Any:
    if isinstance(value, ScreeningAnswer):
        return value.label
    if isinstance(value, tuple):
        return [_json_of(each) for each in value]
    return value if isinstance(value, str | int | bool | NoneType) else str(value)


def _id_of(contents: Contents) -> RuleSetId:
    return rule_set_id_for(json.dumps(contents, sort_keys=True, separators=(",", ":")))
