import { Group, Progress, Stack, Text } from "@mantine/core";
import { type Batch, ITEM_COLORS, ITEMS, isOver } from "./queries";

const COUNTED = [
  "completed",
  "failed",
  "compensated",
  "cancelled",
  "in_review",
  "debited",
  "initiated",
  "pending",
  "not_posted",
] as const;

/** How far a batch is, as a bar and in words. */
export function Progressed({ batch }: { batch: Batch }) {
  const shown = COUNTED.filter((state) => batch.counts[state] > 0);
  const isWaiting = (state: (typeof COUNTED)[number]) => state === "pending" || state === "not_posted";
  return (
    <Stack gap="xs">
      <Progress.Root size="lg" aria-hidden="true">
        {shown
          .filter((state) => !isWaiting(state))
          .map((state) => (
            <Progress.Section
              key={state}
              value={(100 * batch.counts[state]) / batch.total}
              color={ITEM_COLORS[state]}
            />
          ))}
      </Progress.Root>
      <Text size="sm" role="status">
        {isOver(batch) ? "Ended: " : `${batch.posted} of ${batch.total} have their outcome: `}
        {shown.map((state) => `${batch.counts[state]} ${ITEMS[state].toLowerCase()}`).join(", ")}
      </Text>
      {isOver(batch) && batch.counts.in_review > 0 && (
        <Group>
          <Text size="sm" c="dimmed">
            What is in review goes on by itself once a person has decided.
          </Text>
        </Group>
      )}
    </Stack>
  );
}
