import { Alert, Checkbox, Group, Loader, Progress, Stack, Text } from "@mantine/core";
import { useInterval } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { FormProblem } from "../../ui/FormProblem";
import { Section } from "../../ui/Section";
import { When } from "../../ui/When";
import { ActButton } from "../ActButton";
import { Subject } from "../Names";
import { useMay } from "../useMay";
import { type Asked, type Audited, audited, progressQuery } from "./queries";

/** Verify the books, and show for how long it has gone on and what it found. */
export function Verify() {
  const may = useMay();
  const [full, setFull] = useState(false);
  const [asked, setAsked] = useState<Asked | null>(null);
  const audit = useQuery({
    queryKey: ["audit", asked?.key],
    queryFn: ({ signal }) => audited(asked as Asked, signal),
    enabled: asked !== null,
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  });
  return (
    <Section
      title="Verify"
      says="Checks every invariant of the ledger. No transfer waits for it."
      action={
        may("run_audit") && (
          <ActButton
            label="Verify now"
            isFirst
            isDisabled={audit.isFetching}
            title="Verify the books?"
            says="It looks at what no earlier audit found clean, or at everything. On large books everything takes minutes."
            confirm="Verify"
            send={async (reason, key): Promise<Asked> => ({ reason, full, key })}
            effect={() => "The audit has begun."}
            reads={[]}
            onDone={setAsked}
          >
            <Checkbox
              label="Everything, also what earlier audits found clean"
              checked={full}
              onChange={(event) => setFull(event.currentTarget.checked)}
            />
          </ActButton>
        )
      }
    >
      {!may("run_audit") && (
        <Text size="sm" c="dimmed">
          An admin can verify the books.
        </Text>
      )}
      {may("run_audit") && asked === null && (
        <Text size="sm" c="dimmed">
          Nothing was verified from this page yet.
        </Text>
      )}
      {audit.isFetching && <Progressing />}
      <FormProblem error={audit.error} />
      {audit.data && <Outcome audit={audit.data} />}
    </Section>
  );
}

function Progressing() {
  const { data } = useQuery(progressQuery);
  const [seconds, setSeconds] = useState(0);
  useInterval(() => setSeconds((past) => past + 1), 1_000, { autoInvoke: true });
  const [done, total] = [data?.accounts_done ?? 0, data?.accounts_total ?? 0];
  return (
    <Stack gap="xs">
      <Group gap="sm" role="status" wrap="nowrap">
        <Loader size={18} style={{ flexShrink: 0 }} />
        <Text size="sm">
          Verifying for <span aria-hidden="true">{seconds}</span> s. It goes on if you leave; its record says how it
          ended.
        </Text>
      </Group>
      {data?.running && total > 0 && (
        <>
          <Progress value={(100 * done) / total} aria-label="Accounts verified" />
          <Text size="sm" c="dimmed">
            {done < total
              ? `${done.toLocaleString()} of ${total.toLocaleString()} accounts are looked at. Then come transfers.`
              : `All ${total.toLocaleString()} accounts are looked at. Now come transfers.`}
          </Text>
        </>
      )}
    </Stack>
  );
}

function Outcome({ audit }: { audit: Audited }) {
  return (
    <Alert
      color={audit.clean ? "green" : "red"}
      role="status"
      title={audit.clean ? "The books are clean" : `${audit.findings} invariants are broken`}
    >
      <Stack gap={4}>
        <Text size="sm">
          {audit.since ? (
            <>
              Looked at what was recorded since <When at={audit.since} exact size="sm" />.
            </>
          ) : (
            "Looked at everything."
          )}{" "}
          {Object.values(audit.transfers_by_state).reduce((sum, count) => sum + count, 0)} transfers,{" "}
          {audit.books.reduce((sum, totals) => sum + totals.entries, 0)} entries.
        </Text>
        {audit.broken.map((found) => (
          <Text size="sm" key={`${found.invariant} ${found.subject}`} component="div">
            <b>{found.invariant}</b>: <Subject id={found.subject} /> {found.detail}
          </Text>
        ))}
      </Stack>
    </Alert>
  );
}
