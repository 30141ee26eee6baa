import { Stack } from "@mantine/core";
import { api } from "../../api/client";
import { answerTo } from "../../api/problem";
import { ListOf } from "../../ui/ListOf";
import { AGAIN_MS, listQuery, PAGE } from "../../ui/listQuery";
import { PageTitle } from "../../ui/PageTitle";
import { Section } from "../../ui/Section";
import { RecordRow } from "../audit/RecordRow";
import { AnyTransferRow } from "../transactions/AnyTransferRow";
import { allTransfersQuery } from "../transactions/queries";
import { GiveBack, RetryNow } from "../transactions/TransferActs";
import { Sweeps } from "./Sweeps";

const ended = listQuery(["audit-records", "transfer.abandoned"], (cursor) =>
  answerTo(
    api.GET("/v1/admin/audit-records", { params: { query: { kind: "transfer.abandoned", limit: PAGE, cursor } } }),
  ),
);

// A sweep comes each minute, to what has not changed for half a minute.
const leftInTransit = allTransfersQuery({ state: "debited", unmoved: "600" }, AGAIN_MS);
const leftAtSource = allTransfersQuery({ state: "initiated", unmoved: "600" }, AGAIN_MS);

export function RecoveryPage() {
  return (
    <>
      <PageTitle
        title="Recovery"
        says="Each minute a sweep ends or resumes what has lost its workflow. This is what it ended, and what is left."
      />
      <Stack gap="lg">
        <Sweeps />
        <Section
          title="Left in transit"
          says="Unchanged for 10 minutes. Either a step is stuck, or the sweeps are paused or fail."
        >
          <ListOf query={leftInTransit} nothing="Nothing is left." label="Left in transit">
            {(transfer) => (
              <AnyTransferRow key={transfer.id} transfer={transfer}>
                <RetryNow transfer={transfer} isFirst /> <GiveBack transfer={transfer} />
              </AnyTransferRow>
            )}
          </ListOf>
        </Section>
        <Section title="Left before the debit" says="Unchanged for 10 minutes. No money has moved.">
          <ListOf query={leftAtSource} nothing="Nothing is left." label="Left before the debit">
            {(transfer) => (
              <AnyTransferRow key={transfer.id} transfer={transfer}>
                <RetryNow transfer={transfer} isFirst />
              </AnyTransferRow>
            )}
          </ListOf>
        </Section>
        <Section title="Ended by recovery" says="They had lost their workflow before any money moved. Newest first.">
          <ListOf query={ended} nothing="Recovery has ended nothing." label="Ended by recovery">
            {(record) => <RecordRow key={record.id} record={record} />}
          </ListOf>
        </Section>
      </Stack>
    </>
  );
}
