import { Group, Stack, Text } from "@mantine/core";
import { ListOf } from "../../ui/ListOf";
import { AGAIN_MS } from "../../ui/listQuery";
import { PageTitle } from "../../ui/PageTitle";
import { When } from "../../ui/When";
import { BAD } from "../colors";
import { Party } from "../Names";
import { AnyTransferRow } from "../transactions/AnyTransferRow";
import { type AnyTransfer, allTransfersQuery } from "../transactions/queries";
import { GiveBack, RetryNow } from "../transactions/TransferActs";
import { TemporalLink } from "../transactions/TransferFile";
import { Pending } from "./Pending";
import { stuckAt } from "./stuck";

const stuck = allTransfersQuery({ attention: true }, AGAIN_MS);

export function AttentionPage() {
  return (
    <>
      <PageTitle
        title="Needs attention"
        says="Transfers with a step that has been without an answer for too long. Remove the cause, or act on one."
      />
      <ListOf query={stuck} nothing="Nothing is stuck." label="Stuck transfers">
        {(transfer) => <StuckRow key={transfer.id} transfer={transfer} />}
      </ListOf>
    </>
  );
}

function StuckRow({ transfer }: { transfer: AnyTransfer }) {
  const { title, says, blocker } = stuckAt(transfer);
  return (
    <AnyTransferRow
      transfer={transfer}
      before={
        <Text fw={650} c={BAD}>
          {title}
        </Text>
      }
    >
      <Stack gap="xs" mt="xs">
        <Text size="sm">
          {says} No change since <When at={transfer.updated_at} size="sm" exact />.
        </Text>
        {/* Above what is read after them: a button that moves is missed, or another one is clicked for it. */}
        <Group gap="xs">
          <RetryNow transfer={transfer} isFirst />
          {transfer.state === "debited" && <GiveBack transfer={transfer} />}
          {transfer.temporal_url && <TemporalLink url={transfer.temporal_url} />}
        </Group>
        <Text size="sm" component="div">
          It waits for the row of <Party id={blocker} />
        </Text>
        <Pending transferId={transfer.id} />
      </Stack>
    </AnyTransferRow>
  );
}
