import { Group, Paper, Stack, Text } from "@mantine/core";
import { Money } from "../money/Money";
import { CopyText } from "../ui/CopyText";
import { AccountBadges } from "./AccountBadges";
import { type Account, grouped } from "./queries";

/** An account as a card. Its balance changes as money moves. */
export function BalanceCard({ account }: { account: Account }) {
  return (
    <Paper className="balance" radius="lg" p="lg" component="section" aria-label={`Account in ${account.currency}`}>
      <Stack justify="space-between" h="100%" gap="md">
        <Group justify="space-between" align="flex-start">
          <Text fw={600}>{account.name ?? `${account.currency} account`}</Text>
          <AccountBadges account={account} />
        </Group>
        <div aria-live="polite" aria-atomic="true">
          <Text size="sm">Balance</Text>
          <Money
            minor={account.balance}
            code={account.currency}
            fz={{ base: "1.7rem", sm: "2.2rem" }}
            fw={700}
            lh={1.2}
          />
          {account.held > 0 && (
            <Text size="sm">
              <Money minor={account.available} code={account.currency} /> available,{" "}
              <Money minor={account.held} code={account.currency} /> held for a dispute
            </Text>
          )}
        </div>
        <CopyText text={grouped(account.number)} label="account number" />
      </Stack>
    </Paper>
  );
}
