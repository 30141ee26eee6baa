import { Group, Stack, Text, ThemeIcon } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { Money } from "../money/Money";
import { Icon } from "../ui/Icon";
import { When } from "../ui/When";
import { KINDS } from "./filters";
import { direction, type Transfer } from "./queries";
import { StateBadge } from "./StateBadge";

const DIRECTIONS = { in: "Received", out: "Sent" } as const;

/** A transfer in a list: which way, what for, when, how much, and how it stands. */
export function TransferRow({ transfer, own }: { transfer: Transfer; own: ReadonlySet<string> }) {
  const way = direction(transfer, own);
  const what = transfer.kind === "transfer" && way ? DIRECTIONS[way] : KINDS[transfer.kind];
  return (
    <li className="listed">
      <Link to="/transactions/$transferId" params={{ transferId: transfer.id }} className="row">
        <Group justify="space-between" wrap="nowrap" gap="sm">
          <Group wrap="nowrap" gap="sm" miw={0}>
            <ThemeIcon variant="light" color={way === "in" ? "green" : "gray"} size="lg" radius="xl">
              <Icon name={way === "in" ? "in" : "out"} size={18} />
            </ThemeIcon>
            <Stack gap={2} miw={0}>
              <Text fw={550} truncate>
                {transfer.note || what}
              </Text>
              <Text size="sm" c="dimmed" truncate>
                {transfer.note && `${what} · `}
                <When at={transfer.created_at} size="sm" />
              </Text>
            </Stack>
          </Group>
          <Stack gap={2} align="flex-end" style={{ flexShrink: 0 }}>
            <Money minor={transfer.amount} code={transfer.currency} sign={way} fw={600} />
            <StateBadge state={transfer.state} />
          </Stack>
        </Group>
      </Link>
    </li>
  );
}
