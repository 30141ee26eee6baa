import { Badge, Group, Paper, Stack, Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { ListOf } from "../ui/ListOf";
import { PageTitle } from "../ui/PageTitle";
import { When } from "../ui/When";
import { type Dispute, disputesQuery, STATES } from "./queries";

export function DisputesPage() {
  return (
    <>
      <PageTitle
        title="Disputes"
        says="Payments that somebody objects to, yours and those to you: read both sides and answer."
      />
      <ListOf
        query={disputesQuery}
        nothing="There is no dispute. To object to a payment of yours, open it under Transactions."
        label="Disputes"
      >
        {(dispute) => (
          <Paper key={dispute.id} withBorder component="li">
            <Link to="/disputes/$disputeId" params={{ disputeId: dispute.id }} className="row inset">
              <Group justify="space-between" wrap="nowrap" gap="sm">
                <Stack gap={2} miw={0}>
                  <Text fw={550} truncate>
                    {dispute.reason}
                  </Text>
                  <Text size="sm" c="dimmed">
                    opened <When at={dispute.created_at} size="sm" />
                  </Text>
                </Stack>
                <DisputeState state={dispute.state} />
              </Group>
            </Link>
          </Paper>
        )}
      </ListOf>
    </>
  );
}

export function DisputeState({ state }: { state: Dispute["state"] }) {
  return (
    <Badge variant="light" color={STATES[state].color} style={{ flexShrink: 0 }}>
      {STATES[state].label}
    </Badge>
  );
}
