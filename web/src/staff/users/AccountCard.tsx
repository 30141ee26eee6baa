import { Group, NativeSelect, Stack, Text } from "@mantine/core";
import { useState } from "react";
import { AccountBadges } from "../../accounts/AccountBadges";
import { type Account, grouped } from "../../accounts/queries";
import { api, type Schemas } from "../../api/client";
import { answerTo } from "../../api/problem";
import { Money } from "../../money/Money";
import { TextLink } from "../../ui/ButtonLink";
import { ActButton } from "../ActButton";
import { asOptions } from "../search";
import { useMay } from "../useMay";
import { USERS } from "./queries";

const STOPS: Record<Schemas["Freeze"], string> = {
  both: "Everything",
  debits: "Money that leaves it",
  credits: "Money that reaches it",
};

const TIERS = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];

/** An account as staff see it, and what they can do with it. */
export function AccountCard({ account, isOpen }: { account: Account; isOpen?: boolean }) {
  return (
    <Stack gap="xs" component="article" aria-label={`Account in ${account.currency}`}>
      <Group justify="space-between" gap="sm">
        <Stack gap={0}>
          <Money minor={account.balance} code={account.currency} fz="1.3rem" fw={650} />
          {account.held > 0 && (
            <Text size="sm">
              <Money minor={account.available} code={account.currency} /> available,{" "}
              <Money minor={account.held} code={account.currency} /> held for a dispute
            </Text>
          )}
          <Text size="sm" c="dimmed">
            {account.name ?? account.currency} · {grouped(account.number)}
          </Text>
        </Stack>
        <AccountBadges account={account} />
      </Group>
      <Group gap="xs">
        <AccountActs account={account} />
        {!isOpen && (
          <TextLink to="/staff/accounts/$accountId" params={{ accountId: account.id }} size="sm">
            Entries, statements and limits
          </TextLink>
        )}
        <TextLink to="/staff/transactions" search={{ account: account.id }} size="sm">
          Its transactions
        </TextLink>
      </Group>
    </Stack>
  );
}

function AccountActs({ account }: { account: Account }) {
  const may = useMay();
  if (account.status === "closed") return null;
  return (
    <>
      {account.status === "frozen" ? <Unfreeze account={account} /> : <Freeze account={account} />}
      {may("set_tier") && <TierButton account={account} />}
      {may("close_account") && <Close account={account} />}
    </>
  );
}

const keyed = (account: Account, key: string) => ({
  path: { account_id: account.id },
  header: { "Idempotency-Key": key },
});

function Freeze({ account }: { account: Account }) {
  const [frozen, setFrozen] = useState<Schemas["Freeze"]>("both");
  return (
    <ActButton
      label="Freeze"
      title="Freeze this account?"
      says="What is on its way to it comes back to where it came from. A refund still reaches it."
      confirm="Freeze it"
      isHard
      send={(reason, key) =>
        answerTo(
          api.POST("/v1/admin/accounts/{account_id}/freeze", { params: keyed(account, key), body: { reason, frozen } }),
        )
      }
      effect={() => "The account is frozen."}
      reads={USERS}
    >
      <NativeSelect
        label="What it stops"
        data={asOptions(STOPS)}
        value={frozen}
        onChange={(event) => setFrozen(event.currentTarget.value as Schemas["Freeze"])}
      />
    </ActButton>
  );
}

function Unfreeze({ account }: { account: Account }) {
  return (
    <ActButton
      label="Unfreeze"
      isFirst
      title="Unfreeze this account?"
      says="Money may leave it and reach it again, from the answer on."
      confirm="Unfreeze it"
      send={(reason, key) =>
        answerTo(
          api.POST("/v1/admin/accounts/{account_id}/unfreeze", { params: keyed(account, key), body: { reason } }),
        )
      }
      effect={() => "The account is active again."}
      reads={USERS}
    />
  );
}

function Close({ account }: { account: Account }) {
  return (
    <ActButton
      label="Close"
      title="Close this account?"
      says="For good. Only an empty account with nothing in transit can be closed."
      confirm="Close it for good"
      isHard
      send={(reason, key) =>
        answerTo(api.POST("/v1/admin/accounts/{account_id}/close", { params: keyed(account, key), body: { reason } }))
      }
      effect={() => "The account is closed."}
      reads={USERS}
    />
  );
}

function TierButton({ account }: { account: Account }) {
  const [tier, setTier] = useState<number>(account.tier);
  return (
    <ActButton
      label="Set tier"
      title="Which tier has this account?"
      says="The tier decides how much it may send and hold."
      confirm="Set the tier"
      objection={tier === account.tier ? "This is its tier already." : null}
      send={(reason, key) =>
        answerTo(
          api.POST("/v1/admin/accounts/{account_id}/tier", { params: keyed(account, key), body: { reason, tier } }),
        )
      }
      effect={(changed) => `The account has tier ${changed.tier}.`}
      reads={USERS}
    >
      <NativeSelect
        label="Tier"
        data={TIERS}
        value={String(tier)}
        onChange={(event) => setTier(Number(event.currentTarget.value))}
      />
    </ActButton>
  );
}
