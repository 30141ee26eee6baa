import { Badge, Group, Paper, Stack, Text } from "@mantine/core";
import type { Schemas } from "../../api/client";
import { When } from "../../ui/When";
import { Changes } from "../Changes";
import { CustomerLink } from "../Names";

type Act = Schemas["ActionOut"];

const OUTCOMES: Record<Act["outcome"], [string, string]> = {
  taken: ["Done", "green"],
  refused: ["Refused", "red"],
  unknown: ["Not known yet", "yellow"],
};

/** One act of staff: who, what, why, how it ended, and what it changed. */
export function ActionRow({ action }: { action: Act }) {
  const [label, color] = OUTCOMES[action.outcome];
  return (
    <Paper withBorder p="sm" component="li">
      <Stack gap={4}>
        <Group gap="xs">
          <Text size="sm" fw={600}>
            {action.action.replaceAll("_", " ")}
          </Text>
          <Badge variant="light" color={color}>
            {label}
          </Badge>
          <Text size="sm" component="div">
            by <CustomerLink id={action.actor_id} /> ({action.actor_role}, by the {action.channel})
          </Text>
          <When at={action.recorded_at} size="sm" c="dimmed" exact />
        </Group>
        <Text size="sm">Reason: {action.reason}</Text>
        {action.answer && <Text size="sm">Answer: {action.answer}</Text>}
        <Changes before={action.before} after={action.after} />
      </Stack>
    </Paper>
  );
}

export function ActionRows({ actions }: { actions: Act[] }) {
  if (actions.length === 0)
    return (
      <Text size="sm" c="dimmed">
        Nothing was done.
      </Text>
    );
  return (
    <ul className="list cards">
      {actions.map((action) => (
        <ActionRow key={action.id} action={action} />
      ))}
    </ul>
  );
}
