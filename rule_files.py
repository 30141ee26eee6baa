"""The rules that screen transfers, as a file or the settings name them."""

import json
import tomllib
from pathlib import Path

from screening.rule_sets import RuleSet, RulesInvalid, default_rule_set, rule_set_in
from settings import Settings


def rule_set_in_file(path: Path) -> RuleSet:
    """The rule set in a file of TOML, or of JSON by its name. Raises `RulesInvalid`, which names the file."""
    try:
        text = path.read_text()
        found = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise RulesInvalid([f"{path}: {error}"]) from error
    if not isinstance(found, dict) or found.keys() != {"rules"}:
        raise RulesInvalid([f"{path}: must hold `rules`, a list, and nothing else"])
    try:
        return rule_set_in(found["rules"])
    except RulesInvalid as invalid:
        raise RulesInvalid([f"{path}: {error}" for error in invalid.errors]) from invalid


def configured_rules(settings: Settings) -> RuleSet:
    """What every transfer is screened by, as the file of rules or the settings say it. Raises `RulesInvalid`."""
    if settings.rules_file is not None:
        return rule_set_in_file(settings.rules_file)
    return default_rule_set(
        review_from_major=settings.review_from_major, decline_from_major=settings.decline_from_major
    )
