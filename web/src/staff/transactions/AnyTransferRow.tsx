import { Group, Paper, Stack, Text } from "@mantine/core";
import type { ReactNode } from "react";
import { Money } from "../../money/Money";
import { KINDS } from "../../transactions/filters";
import { StateBadge } from "../../transactions/StateBadge";
import { When } from "../../ui/When";
import { AccountLink, CustomerLink, shortId, TransferLink } from "../Names";
import type { AnyTransfer } from "./queries";

type AnyTransferRowProps = { transfer: AnyTransfer; before?: ReactNode; children?: ReactNode };

/** A transfer in staff's lists: how much, how it stands, between whom, and what there is to do. */
export function AnyTransferRow({ transfer, before, children }: AnyTransferRowProps) {
  return (
    <Paper withBorder p="sm" component="li">
      {before}
      <Group justify="space-between" gap="xs" align="flex-start">
        <Stack gap={2} miw={0}>
          <Group gap="sm">
            <Money minor={transfer.amount} code={transfer.currency} fw={650} />
            <StateBadge state={transfer.state} />
            <Text size="sm" c="dimmed">
              {KINDS[transfer.kind]}
              {transfer.attempt > 1 && `, attempt ${transfer.attempt}`}
            </Text>
          </Group>
          <Text size="sm" component="div">
            <AccountLink id={transfer.source_account_id} /> → <AccountLink id={transfer.destination_account_id} />
          </Text>
          {transfer.failure && (
            <Text size="sm" c="dimmed">
              {transfer.failure.code}: {transfer.failure.message}
            </Text>
          )}
          {transfer.note && (
            <Text size="sm" lineClamp={2}>
              “{transfer.note}”
            </Text>
          )}
        </Stack>
        <Stack gap={2} className="at-end">
          <TransferLink id={transfer.id}>Open {shortId(transfer.id)}</TransferLink>
          <When at={transfer.created_at} size="sm" c="dimmed" />
          <Text size="sm" c="dimmed" component="div">
            by <CustomerLink id={transfer.owner_id} />
          </Text>
        </Stack>
      </Group>
      {children}
    </Paper>
  );
}
