import { Alert, Badge, Group, Stack, Text } from "@mantine/core";
import { queryOptions, useQuery } from "@tanstack/react-query";
import { api, type Schemas } from "../../api/client";
import { answerTo } from "../../api/problem";
import { AGAIN_MS } from "../../ui/listQuery";
import { Section } from "../../ui/Section";
import { Nothing, Shown } from "../../ui/Shown";
import { When } from "../../ui/When";
import { TransferLink } from "../Names";
import { TemporalLink } from "../transactions/TransferFile";

const recoveryQuery = queryOptions({
  queryKey: ["recovery"],
  queryFn: () => answerTo(api.GET("/v1/admin/recovery")),
  refetchInterval: AGAIN_MS,
});

/** Whether recovery runs, when it comes next, and what its last sweeps did. */
export function Sweeps() {
  const recovery = useQuery(recoveryQuery);
  return (
    <Section title="Sweeps" says="The last ten, newest first, as Temporal has them.">
      <Shown query={recovery} rows={2}>
        {(found) => (
          <Stack gap="sm">
            <Standing recovery={found} />
            {found.sweeps.length === 0 && <Nothing says="No sweep has run yet." />}
            <ul className="list cards">
              {found.sweeps.map((sweep) => (
                <SweepRow key={sweep.workflow_id} sweep={sweep} />
              ))}
            </ul>
          </Stack>
        )}
      </Shown>
    </Section>
  );
}

function Standing({ recovery }: { recovery: Schemas["RecoveryOut"] }) {
  if (!recovery.is_scheduled)
    return (
      <Alert color="red" title="Recovery is not scheduled">
        Temporal has lost the schedule. The API registers it anew within a minute; look into its log if it does not.
      </Alert>
    );
  if (recovery.is_paused)
    return (
      <Alert color="red" title="Recovery is paused">
        <Text size="sm">
          {recovery.note && `“${recovery.note}” `}Nothing that lost its workflow is ended or resumed until somebody
          resumes it: <code>temporal schedule toggle --schedule-id recovery --unpause --reason 'ticket …'</code>
        </Text>
      </Alert>
    );
  return (
    <Text size="sm">
      The next sweep {recovery.next_sweep_at ? <When at={recovery.next_sweep_at} size="sm" exact /> : "is not planned"}.
    </Text>
  );
}

function SweepRow({ sweep }: { sweep: Schemas["SweepOut"] }) {
  const unanswered = Object.entries(sweep.unanswered);
  const isGood = sweep.status === "completed" && unanswered.length === 0;
  return (
    <li>
      <Group justify="space-between" gap="xs">
        <Group gap="xs">
          <Badge variant="light" color={isGood ? "green" : sweep.status === "running" ? "blue" : "red"}>
            {sweep.status.replaceAll("_", " ")}
          </Badge>
          <When at={sweep.started_at} size="sm" exact />
          <Text size="sm">{saidOf(sweep)}</Text>
        </Group>
        {sweep.temporal_url && <TemporalLink url={sweep.temporal_url} />}
      </Group>
      {[...sweep.abandoned, ...sweep.driven_on].map((id) => (
        <Text size="sm" key={id} component="div">
          <TransferLink id={id} /> {sweep.abandoned.includes(id) ? "ended" : "resumed"}
        </Text>
      ))}
      {unanswered.map(([id, why]) => (
        <Text size="sm" key={id} component="div">
          <TransferLink id={id} /> had no answer: {why}
        </Text>
      ))}
    </li>
  );
}

function saidOf(sweep: Schemas["SweepOut"]): string {
  if (sweep.looked_at === null) return "";
  const again = sweep.started_again > 0 ? `, ${sweep.started_again} others started again` : "";
  return `${sweep.looked_at} found${again}${sweep.more ? ", and there may be more" : ""}`;
}
