import { Badge, Group, Stack, Text } from "@mantine/core";
import type { ReactNode } from "react";
import { Money } from "../money/Money";
import { type BatchItem, ITEM_COLORS, ITEMS } from "./queries";

type ItemRowProps = {
  item: BatchItem;
  /** Who is paid. */
  payee: ReactNode;
  /** The way to its transfer. */
  link?: ReactNode;
};

/** A payment of a batch, and what became of it. */
export function ItemRow({ item, payee, link }: ItemRowProps) {
  return (
    <Group component="li" justify="space-between" gap="xs" align="flex-start">
      <Stack gap={2} miw={0} style={{ flex: "1 1 14rem" }}>
        <Text fw={550}>
          {item.line}. {item.reference}
          {item.note && (
            <Text span size="sm" c="dimmed">
              {" "}
              {item.note}
            </Text>
          )}
        </Text>
        <Text size="sm" c="dimmed" component="div">
          {payee}
        </Text>
        {item.failure && <Text size="sm">{item.failure.message}</Text>}
        {link}
      </Stack>
      <Group gap="xs">
        <Money minor={item.amount} code={item.currency} fw={600} />
        <Badge variant="light" color={ITEM_COLORS[item.state]}>
          {ITEMS[item.state]}
        </Badge>
      </Group>
    </Group>
  );
}
