import { Group, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import type { Schemas } from "../../api/client";
import { Money } from "../../money/Money";
import { TextLink } from "../../ui/ButtonLink";
import { CopyText } from "../../ui/CopyText";
import { Facts } from "../../ui/Facts";
import { ListOf } from "../../ui/ListOf";
import { PageTitle } from "../../ui/PageTitle";
import { Section } from "../../ui/Section";
import { Shown } from "../../ui/Shown";
import { When } from "../../ui/When";
import { ActionRow } from "../audit/ActionRow";
import { CustomerLink, TransferLink } from "../Names";
import { AccountCard } from "./AccountCard";
import { accountQuery, actionsOn, entriesQuery, limitsQuery, type MarkedAccount } from "./queries";
import { Statements } from "./Statements";

const route = getRouteApi("/customers/staff/accounts/$accountId");

export function AccountPage() {
  const { accountId } = route.useParams();
  const account = useQuery(accountQuery(accountId));
  return (
    <>
      <TextLink to="/staff/users" size="sm">
        All users
      </TextLink>
      <PageTitle title="Account" says="What is on it, what it may send, and what changed it." />
      <Shown query={account} rows={6}>
        {(found) => <AccountFile account={found} />}
      </Shown>
    </>
  );
}

function AccountFile({ account }: { account: MarkedAccount }) {
  return (
    <Stack gap="lg">
      <Section title="Now">
        <AccountCard account={account} isOpen />
        <Facts
          facts={[
            ["Owner", <CustomerLink key="owner" id={account.owner_id} />],
            ["Opened", <When key="at" at={account.created_at} exact />],
            ["Number", <CopyText key="id" text={account.id} label="the account's number" />],
            [
              "Open case",
              account.open_case_id && (
                <TextLink key="case" to="/staff/cases" search={{ account: account.id }} size="sm">
                  Flagged by a fraud rule
                </TextLink>
              ),
            ],
            ["Entries", account.version],
            [
              "Head hash",
              <span key="hash" className="code">
                {account.head_hash}
              </span>,
            ],
          ]}
        />
      </Section>
      <Limits account={account} />
      <Statements accountId={account.id} />
      <Section title="Entries" says="Newest first.">
        <ListOf query={entriesQuery(account.id)} nothing="Nothing has moved." label="Entries">
          {(entry) => <EntryRow key={entry.version} entry={entry} code={account.currency} />}
        </ListOf>
      </Section>
      <Section title="What staff did">
        <ListOf query={actionsOn(account.id)} nothing="Nothing was done." label="Actions">
          {(action) => <ActionRow key={action.id} action={action} />}
        </ListOf>
      </Section>
    </Stack>
  );
}

function EntryRow({ entry, code }: { entry: Schemas["EntryOut"]; code: string }) {
  return (
    <Group component="li" justify="space-between" gap="xs">
      <Group gap="sm">
        <TransferLink id={entry.transfer_id} />
        <Text size="sm">{entry.leg}</Text>
        <When at={entry.recorded_at} size="sm" c="dimmed" exact />
      </Group>
      <Text size="sm">
        <Money minor={entry.amount} code={code} fw={600} size="sm" /> →{" "}
        <Money minor={entry.balance_after} code={code} size="sm" />
      </Text>
    </Group>
  );
}

const LIMITS = {
  one_transaction: "One transaction",
  daily_total: "In a day",
  monthly_total: "In a month",
  highest_balance: "Balance",
} as const;

function Limits({ account }: { account: MarkedAccount }) {
  const limits = useQuery(limitsQuery(account.id));
  return (
    <Section title="Limits" says={`Of tier ${account.tier}.`}>
      <Shown query={limits} rows={2}>
        {(found) => (
          <Facts
            facts={(Object.keys(LIMITS) as (keyof typeof LIMITS)[]).map((name) => [
              LIMITS[name],
              found[name].limit === null ? (
                "None"
              ) : (
                <Text key={name} span>
                  <Money minor={found[name].limit} code={found.currency} />
                  {found[name].left !== null && (
                    <>
                      , <Money minor={found[name].left} code={found.currency} /> left
                    </>
                  )}
                </Text>
              ),
            ])}
          />
        )}
      </Shown>
    </Section>
  );
}
