import { Group, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { grouped } from "../../accounts/queries";
import { api, type Schemas } from "../../api/client";
import { answerTo } from "../../api/problem";
import { BatchState } from "../../batches/BatchesPage";
import { ItemRow } from "../../batches/ItemRow";
import { Progressed } from "../../batches/Progressed";
import { isOver, MODES } from "../../batches/queries";
import { TextLink } from "../../ui/ButtonLink";
import { Facts } from "../../ui/Facts";
import { ListOf } from "../../ui/ListOf";
import { PageTitle } from "../../ui/PageTitle";
import { Section } from "../../ui/Section";
import { Shown } from "../../ui/Shown";
import { When } from "../../ui/When";
import { ActButton } from "../ActButton";
import { AccountLink, CustomerLink, TransferLink } from "../Names";
import { type AnyBatch, anyBatchQuery, anyItemsQuery, BATCHES } from "./queries";

const route = getRouteApi("/customers/staff/batches/$batchId");

export function AnyBatchPage() {
  const { batchId } = route.useParams();
  const batch = useQuery(anyBatchQuery(batchId));
  return (
    <>
      <TextLink to="/staff/batches" size="sm">
        All batches
      </TextLink>
      <PageTitle title="Batch of a customer" says="Its payments, what became of them, and what staff can do.">
        {batch.data && <BatchState batch={batch.data} />}
      </PageTitle>
      <Shown query={batch} rows={5}>
        {(found) => <BatchFile batch={found} />}
      </Shown>
    </>
  );
}

const paymentsText = ({ total }: AnyBatch) => `${total} ${total === 1 ? "payment" : "payments"}`;

function BatchFile({ batch }: { batch: AnyBatch }) {
  return (
    <Stack gap="lg">
      <Section title={paymentsText(batch)} says={`${MODES[batch.mode].label}. ${MODES[batch.mode].says}`}>
        <Progressed batch={batch} />
        <Facts
          facts={[
            ["Owner", <CustomerLink key="owner" id={batch.owner_id} />],
            ["Sent", <When key="at" at={batch.created_at} exact />],
            ["Changed", <When key="changed" at={batch.updated_at} exact />],
            [
              "Approved by",
              batch.approved_by && (
                <span key="first">
                  <CustomerLink id={batch.approved_by} />, and waits for a second person
                </span>
              ),
            ],
            ["Decided by", batch.decided_by && <CustomerLink key="by" id={batch.decided_by} />],
            [
              "Workflow",
              <span key="workflow" className="code">
                {batch.workflow_id}
              </span>,
            ],
          ]}
        />
        {!isOver(batch) && (
          <Group gap="xs" mt="md">
            <BatchActs batch={batch} />
          </Group>
        )}
      </Section>
      <Section title="Payments" says="In the order of their lines.">
        <ListOf query={anyItemsQuery(batch.id, batch.posted)} nothing="It has no payments." label="Payments">
          {(item) => (
            <ItemRow
              key={item.line}
              item={item}
              payee={
                <>
                  From <HolderLink id={item.source_account_id} holder={item.from} /> to{" "}
                  <HolderLink id={item.destination_account_id} holder={item.to} />
                </>
              }
              link={
                <>
                  {item.review_rules.length > 0 && (
                    <Text size="sm">Held for a review by {item.review_rules.join(", ")}</Text>
                  )}
                  {item.transfer_id && <TransferLink id={item.transfer_id} />}
                </>
              }
            />
          )}
        </ListOf>
      </Section>
    </Stack>
  );
}

type HolderLinkProps = { id: string; holder: Schemas["AccountHolderOut"] | undefined };

function HolderLink({ id, holder }: HolderLinkProps) {
  if (!holder) return <AccountLink id={id} />;
  return (
    <TextLink to="/staff/accounts/$accountId" params={{ accountId: id }} title={id} size="sm">
      {holder.full_name} ({grouped(holder.number)})
    </TextLink>
  );
}

const keyed = (batch: AnyBatch, key: string) => ({
  path: { batch_id: batch.id },
  header: { "Idempotency-Key": key },
});

function BatchActs({ batch }: { batch: AnyBatch }) {
  const decide = (ruling: Schemas["BatchDecisionIn"]["ruling"]) => (reason: string, key: string) =>
    answerTo(
      api.POST("/v1/admin/batches/{batch_id}/decisions", { params: keyed(batch, key), body: { ruling, reason } }),
    );
  return (
    <>
      {batch.state === "held" && (
        <>
          <ActButton
            label="Approve"
            isFirst
            title="Approve all of this batch?"
            says="All of it is posted at once, without another review. What screening declines still refuses the batch."
            confirm={`Approve ${paymentsText(batch)}`}
            send={decide("approve")}
            effect={({ state }) =>
              state === "held"
                ? "Approved. A second person has to approve it, too."
                : "The batch is approved and goes on."
            }
            reads={BATCHES}
          />
          <ActButton
            label="Reject"
            title="Reject all of this batch?"
            says="Nothing of it is posted. Its customer reads that it was refused."
            confirm="Reject the batch"
            isHard
            send={decide("reject")}
            effect={() => "The batch is rejected."}
            reads={BATCHES}
          />
        </>
      )}
      <ActButton
        label="Cancel the rest"
        title="Cancel what is not posted?"
        says="What is posted stays. Nothing more of it is."
        confirm="Cancel the rest"
        isHard
        send={(reason, key) =>
          answerTo(api.POST("/v1/admin/batches/{batch_id}/cancel", { params: keyed(batch, key), body: { reason } }))
        }
        effect={() => "Nothing more of the batch is posted."}
        reads={BATCHES}
      />
    </>
  );
}
