import { Group, SimpleGrid, Stack, Text } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { BalanceCard } from "../accounts/BalanceCard";
import { type Account, accountsQuery, statisticsQuery } from "../accounts/queries";
import { useMe } from "../customers/queries";
import { VerificationState } from "../customers/VerificationState";
import { Money } from "../money/Money";
import { NotificationRow } from "../notifications/NotificationsPage";
import { newestQuery } from "../notifications/queries";
import { transfersQuery } from "../transactions/queries";
import { TransferRow } from "../transactions/TransferRow";
import { ButtonLink, TextLink } from "../ui/ButtonLink";
import { PageTitle } from "../ui/PageTitle";
import { Section } from "../ui/Section";
import { Nothing, Shown } from "../ui/Shown";
import { When } from "../ui/When";

const RECENT = 6;

export function DashboardPage() {
  const me = useMe();
  const accounts = useQuery(accountsQuery);
  return (
    <>
      <PageTitle title="Dashboard" says={me && `Hello, ${me.full_name.split(" ")[0]}. This is what you have.`}>
        <ButtonLink to="/transfer">Send money</ButtonLink>
      </PageTitle>
      <Stack gap="lg">
        {me && <VerificationState me={me} />}
        <Shown query={accounts} rows={4}>
          {(found) => (
            <>
              <SimpleGrid cols={{ base: 1, md: 2 }}>
                {found.map((account) => (
                  <BalanceCard key={account.id} account={account} />
                ))}
                {found.length === 1 && found[0] && <Statistics account={found[0]} />}
              </SimpleGrid>
              {found.length > 1 && found.map((account) => <Statistics key={account.id} account={account} />)}
              <SimpleGrid cols={{ base: 1, lg: 2 }}>
                <Recent accounts={found} />
                <News />
              </SimpleGrid>
            </>
          )}
        </Shown>
      </Stack>
    </>
  );
}

function Recent({ accounts }: { accounts: Account[] }) {
  const transfers = useInfiniteQuery(transfersQuery({}, RECENT));
  const own = new Set(accounts.map(({ id }) => id));
  return (
    <Section title="Recent transactions" action={<TextLink to="/transactions">All of them</TextLink>}>
      <Shown query={transfers}>
        {(found) => {
          const items = found.pages[0]?.items ?? [];
          if (items.length === 0) return <Nothing says="No money has moved yet." />;
          return (
            <ul className="list">
              {items.map((transfer) => (
                <TransferRow key={transfer.id} transfer={transfer} own={own} />
              ))}
            </ul>
          );
        }}
      </Shown>
    </Section>
  );
}

function News() {
  const newest = useQuery(newestQuery);
  return (
    <Section title="Notifications" action={<TextLink to="/notifications">All of them</TextLink>}>
      <Shown query={newest}>
        {({ items }) =>
          items.length === 0 ? (
            <Nothing says="Nothing has happened yet." />
          ) : (
            <ul className="list">
              {items.map((item) => (
                <NotificationRow key={item.id} item={item} />
              ))}
            </ul>
          )
        }
      </Shown>
    </Section>
  );
}

function Statistics({ account }: { account: Account }) {
  const statistics = useQuery(statisticsQuery(account.id));
  return (
    <Section title={`${account.name ?? account.currency} so far`}>
      <Shown query={statistics} rows={2}>
        {(found) => (
          <Stack gap="md">
            <SimpleGrid cols={2}>
              <Total title="Received" minor={found.total_transferred_in} times={found.transfers_in} account={account} />
              <Total title="Sent" minor={found.total_transferred_out} times={found.transfers_out} account={account} />
              <Total title="Deposited" minor={found.total_deposited} times={found.deposits} account={account} />
              <Total title="Withdrawn" minor={found.total_withdrawn} times={found.withdrawals} account={account} />
            </SimpleGrid>
            {found.last_activity_at && (
              <Text size="sm" c="dimmed">
                Last changed <When at={found.last_activity_at} size="sm" />
              </Text>
            )}
          </Stack>
        )}
      </Shown>
    </Section>
  );
}

type TotalProps = { title: string; minor: number; times: number; account: Account };

function Total({ title, minor, times, account }: TotalProps) {
  return (
    <Stack gap={0}>
      <Text size="sm" c="dimmed">
        {title}
      </Text>
      <Group gap={6}>
        <Money minor={minor} code={account.currency} fw={650} />
        <Text size="sm" c="dimmed">
          in {times}
        </Text>
      </Group>
    </Stack>
  );
}
