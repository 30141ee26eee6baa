import { Badge, Group, Paper, Stack, Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { ButtonLink } from "../ui/ButtonLink";
import { ListOf } from "../ui/ListOf";
import { PageTitle } from "../ui/PageTitle";
import { When } from "../ui/When";
import { type Batch, batchesQuery, isOver, MODES, STATE_COLORS, STATES } from "./queries";

export function BatchesPage() {
  return (
    <>
      <PageTitle title="Batches" says="Many payments at once, such as salaries: from a file, or typed.">
        <ButtonLink to="/batches/new">New batch</ButtonLink>
      </PageTitle>
      <ListOf query={batchesQuery} nothing="You have sent no batch yet." label="Batches">
        {(batch) => <BatchRow key={batch.id} batch={batch} />}
      </ListOf>
    </>
  );
}

function BatchRow({ batch }: { batch: Batch }) {
  const { completed, failed } = batch.counts;
  return (
    <Paper withBorder component="li">
      <Link to="/batches/$batchId" params={{ batchId: batch.id }} className="row inset">
        <Group justify="space-between" wrap="nowrap" gap="sm">
          <Stack gap={2} miw={0}>
            <Text fw={550}>
              {batch.total} {batch.total === 1 ? "payment" : "payments"}
            </Text>
            <Text size="sm" c="dimmed">
              <When at={batch.created_at} size="sm" /> · {MODES[batch.mode].label}
            </Text>
          </Stack>
          <Stack gap={2} align="flex-end" style={{ flexShrink: 0 }}>
            <BatchState batch={batch} />
            <Text size="sm" c="dimmed">
              {isOver(batch)
                ? `${completed} completed${failed > 0 ? `, ${failed} failed` : ""}`
                : `${batch.posted} of ${batch.total}`}
            </Text>
          </Stack>
        </Group>
      </Link>
    </Paper>
  );
}

export function BatchState({ batch }: { batch: Pick<Batch, "state"> }) {
  return (
    <Badge variant="light" color={STATE_COLORS[batch.state]}>
      {STATES[batch.state]}
    </Badge>
  );
}
