"""The steps of screening: what the order alone decides, and what needs facts or leaves a trace."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from temporalio import activity

from activities.refusals import refusals_as_answers
from database.connections import Unavailable
from ledger.refusals import LedgerConflict
from ledger.transfers import TransferOrder
from screening.postgres.rules_in_force import RulesInForce
from screening.postgres.verdicts import Verdicts
from screening.rules import ScreeningAnswer, Verdict, findings_of, needs_of, verdict_of


class ScreeningFailed(Exception):
    """A rule or a fact gave no answer. The step is retried until there is a verdict; no money moves meanwhile."""


class ScreeningSteps:
    """Screening by the rules in force. A rule that fails leaves the step in doubt: it never allows a transfer."""

    def __init__(self, rules: RulesInForce, verdicts: Verdicts) -> None:
        self._rules = rules
        self._verdicts = verdicts

    @activity.defn
    async def screen_transfer(self, order: TransferOrder) -> Verdict:
        """What the order alone decides: allowed, or a provisional verdict that `screen_with_facts` makes final.

        It runs while the transfer's row is written, and writes nothing. Raises `ScreeningFailed`, which is retried, if
        a rule raises anything.
        """
        in_force = await self._rules.now()
        rules, rule_set = in_force.rules, in_force.rule_set.id
        with _rule_errors_in_doubt():
            if needs_of(order, rules):
                return Verdict(ScreeningAnswer.ALLOW, rule_set=rule_set, is_provisional=True)
            verdict = verdict_of(findings_of(order, rules, in_force.facts(order, {})), rule_set)
        return replace(verdict, is_provisional=verdict.answer is not ScreeningAnswer.ALLOW)

    @activity.defn
    async def screen_with_facts(self, order: TransferOrder) -> Verdict:
        """The verdict by all facts, kept with them. Flags are written with it. A repeat finds the first verdict.

        Raises `ScreeningFailed` if a rule raises anything. Refuses as `UnknownTransfer` or `IllegalTransition` if the
        transfer's row is not as it was when it was opened.
        """
        in_force = await self._rules.now()
        with refusals_as_answers(), _rule_errors_in_doubt():
            return await self._verdicts.give(order, in_force)


@contextmanager
def _rule_errors_in_doubt() -> Iterator[None]:
    """A rule's own exception does not leave the step: a non-retryable `ApplicationError` would read as a refusal."""
    try:
        yield
    except (Unavailable, LedgerConflict):
        raise
    except Exception as error:
        raise ScreeningFailed(f"Screening gave no verdict: {error}") from error
