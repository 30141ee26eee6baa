import { Badge, Group, Paper, Stack, Text } from "@mantine/core";
import type { Schemas } from "../../api/client";
import { When } from "../../ui/When";
import { Changes } from "../Changes";
import { CustomerLink, Subject } from "../Names";

const OUTCOMES: Record<Schemas["RecordOutcome"], [string, string]> = {
  done: ["Done", "green"],
  asked: ["Asked", "blue"],
  refused: ["Refused", "red"],
};

/** One record of the audit trail, with before and after side by side. */
export function RecordRow({ record }: { record: Schemas["AuditRecordOut"] }) {
  const [label, color] = OUTCOMES[record.outcome];
  return (
    <Paper withBorder p="sm" component="li">
      <Stack gap={4}>
        <Group gap="xs">
          <Text size="sm" fw={600}>
            {record.kind}
          </Text>
          <Badge variant="light" color={color}>
            {label}
          </Badge>
          <Subject id={record.subject} />
          <When at={record.recorded_at} size="sm" c="dimmed" exact />
        </Group>
        <Text size="sm" component="div" c="dimmed">
          {record.actor_id ? (
            <>
              by <CustomerLink id={record.actor_id} />
            </>
          ) : (
            "by a workflow"
          )}
          {record.address && ` from ${record.address}`}
          {record.request_id && ` · request ${record.request_id}`}
        </Text>
        {record.code && <Text size="sm">Refused as {record.code}</Text>}
        {record.reason && <Text size="sm">Reason: {record.reason}</Text>}
        <Changes before={record.before} after={record.after} />
      </Stack>
    </Paper>
  );
}
