import { Alert, Group, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { AccountName } from "../accounts/AccountName";
import { api } from "../api/client";
import { answerTo } from "../api/problem";
import { useKeyed } from "../api/useOnce";
import { TextLink } from "../ui/ButtonLink";
import { ConfirmButton } from "../ui/ConfirmButton";
import { FormProblem } from "../ui/FormProblem";
import { ListOf } from "../ui/ListOf";
import { PageTitle } from "../ui/PageTitle";
import { Section } from "../ui/Section";
import { Shown } from "../ui/Shown";
import { BatchState } from "./BatchesPage";
import { ItemRow } from "./ItemRow";
import { Progressed } from "./Progressed";
import { type Batch, batchQuery, isOver, itemsQuery, MODES, showBatch } from "./queries";

const route = getRouteApi("/customers/batches/$batchId");

export function BatchPage() {
  const { batchId } = route.useParams();
  const batch = useQuery(batchQuery(batchId));
  return (
    <>
      <TextLink to="/batches" size="sm">
        All batches
      </TextLink>
      <PageTitle title="Batch" says="How far it is, and what became of each payment.">
        {batch.data && <BatchState batch={batch.data} />}
      </PageTitle>
      <Shown query={batch} rows={5}>
        {(found) => <Followed batch={found} />}
      </Shown>
    </>
  );
}

const OUTCOMES: Partial<Record<Batch["state"], { title: string; says: string; color: string }>> = {
  held: {
    title: "It waits for staff",
    says: "One of its payments needs a person to look at it. Nothing has moved. You need not do anything.",
    color: "yellow",
  },
  refused: {
    title: "Nothing was sent",
    says: "One of its payments could not be made, so none was. The list says which one. Mend it, and send the batch again.",
    color: "red",
  },
  cancelled: { title: "Cancelled", says: "What was posted before stays. Nothing more of it is sent.", color: "gray" },
};

function Followed({ batch }: { batch: Batch }) {
  const outcome = OUTCOMES[batch.state];
  return (
    <Stack gap="lg">
      {outcome && (
        <Alert color={outcome.color} title={outcome.title} role="status">
          {outcome.says}
        </Alert>
      )}
      <Section
        title={`${batch.total} ${batch.total === 1 ? "payment" : "payments"}`}
        says={`${MODES[batch.mode].label}. ${MODES[batch.mode].says}`}
      >
        <Progressed batch={batch} />
        {!isOver(batch) && <Cancel batch={batch} />}
      </Section>
      <Section title="Payments" says="In the order of their lines.">
        <ListOf query={itemsQuery(batch.id, batch.posted)} nothing="It has no payments." label="Payments">
          {(item) => (
            <ItemRow
              key={item.line}
              item={item}
              payee={
                <>
                  To <AccountName id={item.destination_account_id} counterparty={item.payee} />
                </>
              }
              link={
                item.transfer_id && (
                  <TextLink to="/transactions/$transferId" params={{ transferId: item.transfer_id }} size="sm">
                    See the transaction
                  </TextLink>
                )
              }
            />
          )}
        </ListOf>
      </Section>
    </Stack>
  );
}

function Cancel({ batch }: { batch: Batch }) {
  const cancel = useKeyed(
    (_: undefined, key) =>
      answerTo(
        api.POST("/v1/batches/{batch_id}/cancel", {
          params: { path: { batch_id: batch.id }, header: { "Idempotency-Key": key } },
        }),
      ),
    showBatch,
  );
  return (
    <Stack gap="xs" mt="md">
      <Group>
        <ConfirmButton label="Cancel the rest" confirm="Send nothing more" act={() => cancel.mutate(undefined)} />
        <Text size="sm" c="dimmed">
          What is posted stays.
        </Text>
      </Group>
      <FormProblem error={cancel.error} />
    </Stack>
  );
}
