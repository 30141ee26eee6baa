import { Box, Stack, Text } from "@mantine/core";
import { queryOptions, useQuery } from "@tanstack/react-query";
import { api, type Schemas } from "../../api/client";
import { answerTo } from "../../api/problem";
import { AGAIN_MS } from "../../ui/listQuery";
import { When } from "../../ui/When";
import { ageText } from "../ages";
import { BAD } from "../colors";
import { AccountLink } from "../Names";

const TWO_LINES = "2.8rem";

const pendingQuery = (transferId: string) =>
  queryOptions({
    queryKey: ["pending-step", transferId],
    queryFn: () =>
      answerTo(
        api.GET("/v1/admin/transfers/{transfer_id}/pending-step", { params: { path: { transfer_id: transferId } } }),
      ),
    refetchInterval: AGAIN_MS,
  });

/** Why the step has no answer, by its last failure, and who holds the row that it waits for. */
export function Pending({ transferId }: { transferId: string }) {
  const { data, isPending } = useQuery(pendingQuery(transferId));
  // The rows below stay where they are when it comes, most often.
  if (!data) return isPending ? <Box h={TWO_LINES} /> : null;
  return (
    <Stack gap={4} mih={TWO_LINES}>
      <Step pending={data.pending} />
      {data.holders.map((holder) => (
        <Text size="sm" key={`${holder.pid} ${holder.account_id}`} component="div" c={BAD}>
          Session {holder.pid} of “{holder.login}” ({holder.application || "no name"}) holds the row of{" "}
          <AccountLink id={holder.account_id} />
          {holder.seconds !== null && ` for ${ageText(holder.seconds)}`}
          {holder.waiting > 0 && `, ${holder.waiting} wait for it`}. To end it:{" "}
          <code>SELECT pg_terminate_backend({holder.pid})</code>
        </Text>
      ))}
    </Stack>
  );
}

function Step({ pending }: { pending: Schemas["StuckOut"]["pending"] }) {
  if (pending === null) return <Text size="sm">No workflow drives it: recovery finishes it at its next sweep.</Text>;
  if (pending.step === null) return null;
  return (
    <Text size="sm" component="div" style={{ overflowWrap: "anywhere" }}>
      <code>{pending.step}</code>, attempt {pending.attempt}
      {pending.is_paused && ", paused in Temporal"}
      {pending.failure && `: ${pending.failure}`}{" "}
      {pending.next_try_at && (
        <>
          It is tried again <When at={pending.next_try_at} size="sm" exact />.
        </>
      )}
    </Text>
  );
}
