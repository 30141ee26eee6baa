import { Group, Stack, Text, ThemeIcon } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { Money } from "../money/Money";
import { Icon } from "../ui/Icon";
import { When } from "../ui/When";
import { KINDS } from "./filters";
import { direction, type ListedTransfer } from "./queries";
import { StateBadge } from "./StateBadge";

const DIRECTIONS = { in: "Received", out: "Sent" } as const;
const SIDES = { in: "from", out: "to" } as const;

/** What it is to the viewer, and with whom, as soon as money has moved between the two. */
function describe({ kind, counterparty }: ListedTransfer, way: ReturnType<typeof direction>): string {
  const what = kind === "transfer" && way ? DIRECTIONS[way] : KINDS[kind];
  return counterparty && way ? `${what} ${SIDES[way]} ${counterparty.masked_name}` : what;
}

/** A transfer in a list: which way, with whom, what for, when, how much, and how it stands. */
export function TransferRow({ transfer, own }: { transfer: ListedTransfer; own: ReadonlySet<string> }) {
  const way = direction(transfer, own);
  const what = describe(transfer, way);
  return (
    <li className="listed">
      <Link to="/transactions/$transferId" params={{ transferId: transfer.id }} className="row">
        <Group justify="space-between" wrap="nowrap" gap="sm">
          <Group wrap="nowrap" gap="sm" miw={0}>
            <ThemeIcon variant="light" color={way === "in" ? "green" : "gray"} size="lg" radius="xl" visibleFrom="xs">
              <Icon name={way === "in" ? "in" : "out"} size={18} />
            </ThemeIcon>
            <Stack gap={2} miw={0}>
              <Text fw={550} lineClamp={2}>
                {transfer.note || what}
              </Text>
              <Text size="sm" c="dimmed">
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
