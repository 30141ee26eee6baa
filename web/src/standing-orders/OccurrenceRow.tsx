import { Badge, Group, Stack, Text } from "@mantine/core";
import type { ReactNode } from "react";
import { Money } from "../money/Money";
import { TextLink } from "../ui/ButtonLink";
import { When } from "../ui/When";
import { OCCURRENCE_COLORS, OCCURRENCES, type Occurrence } from "./queries";
import { dayText } from "./terms";

type OccurrenceRowProps = { occurrence: Occurrence; currency: string; children?: ReactNode };

/** A date of a standing order, and what became of it. `children`: what can be done about it. */
export function OccurrenceRow({ occurrence, currency, children }: OccurrenceRowProps) {
  const { date, paid_on, state, at, message, tries, amount, transfer_id } = occurrence;
  return (
    <Group component="li" justify="space-between" gap="xs" align="flex-start">
      <Stack gap={2}>
        <Text fw={550}>
          {dayText(date)}
          {paid_on !== date && ` (paid on ${dayText(paid_on)})`}
        </Text>
        {message && <Text size="sm">{message}</Text>}
        {state === "due" && (
          <Text size="sm" c="dimmed">
            Tried {tries} times{at && ", again "}
            {at && <When at={at} size="sm" />}
          </Text>
        )}
        {transfer_id && (
          <TextLink to="/transactions/$transferId" params={{ transferId: transfer_id }} size="sm">
            See the transaction
          </TextLink>
        )}
      </Stack>
      <Group gap="xs">
        {amount !== null && <Money minor={amount} code={currency} size="sm" />}
        <Badge variant="light" color={OCCURRENCE_COLORS[state]}>
          {OCCURRENCES[state]}
        </Badge>
        {children}
      </Group>
    </Group>
  );
}
