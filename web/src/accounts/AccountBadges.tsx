import { Badge, Group } from "@mantine/core";
import type { Account } from "./queries";

const FROZEN = { debits: "Frozen: sends nothing", credits: "Frozen: receives nothing", both: "Frozen" } as const;

/** What the account may do, in words: the colour alone says nothing. */
export function AccountBadges({ account }: { account: Account }) {
  return (
    <Group gap={6}>
      {account.status === "active" && (
        <Badge color="green" variant="light">
          Active
        </Badge>
      )}
      {account.status === "frozen" && (
        <Badge color="red" variant="light">
          {FROZEN[account.frozen ?? "both"]}
        </Badge>
      )}
      {account.status === "closed" && (
        <Badge color="gray" variant="light">
          Closed
        </Badge>
      )}
      <Badge color="gray" variant="light">
        Tier {account.tier}
      </Badge>
    </Group>
  );
}
