import { Alert, Badge, Button, Checkbox, Group, Paper, Stack, Text } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { PageTitle } from "../../ui/PageTitle";
import { When } from "../../ui/When";
import { AGAIN_MS, ListOf } from "../ListOf";
import { CustomerLink, shortId } from "../Names";
import { AnyTransferRow } from "../transactions/AnyTransferRow";
import { type AnyTransfer, allTransfersQuery } from "../transactions/queries";
import { Verdicts } from "../transactions/Verdicts";
import { Decide, DecideMany, type Decisions } from "./Decide";
import { approvalsQuery, decidedQuery } from "./queries";

const waiting = allTransfersQuery({ state: "in_review" }, AGAIN_MS);

export function ReviewsPage() {
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [last, setLast] = useState<Decisions | null>(null);
  const shown = useInfiniteQuery(waiting).data?.pages.flatMap((page) => page.items) ?? [];
  // What has left the screen is not decided.
  const ids = shown.map(({ id }) => id).filter((id) => chosen.has(id));
  const isAll = ids.length > 0 && ids.length === shown.length;
  function choose(id: string, isChosen: boolean) {
    const next = new Set(chosen);
    if (isChosen) next.add(id);
    else next.delete(id);
    setChosen(next);
  }
  return (
    <>
      <PageTitle
        title="Reviews"
        says="Transfers that wait for a person before any money moves: approve or reject them."
      />
      <Stack>
        {shown.length > 0 && (
          <Paper withBorder p="sm" component="section" aria-label="Decide about many">
            <Group justify="space-between" gap="sm">
              <Checkbox
                label={`Choose all ${shown.length} on the screen`}
                checked={isAll}
                indeterminate={ids.length > 0 && !isAll}
                onChange={() => setChosen(new Set(isAll ? [] : shown.map(({ id }) => id)))}
              />
              <Group gap="xs">
                {ids.length > 0 && (
                  <Button size="xs" variant="subtle" onClick={() => setChosen(new Set())}>
                    Choose none
                  </Button>
                )}
                <DecideMany
                  ids={ids}
                  onDone={(decisions) => {
                    setLast(decisions);
                    setChosen(new Set());
                  }}
                />
              </Group>
            </Group>
          </Paper>
        )}
        {last && <Result decisions={last} close={() => setLast(null)} />}
        <ListOf query={waiting} nothing="Nothing waits for a review." label="Transfers in review">
          {(transfer) => (
            <ReviewRow
              key={transfer.id}
              transfer={transfer}
              isChosen={chosen.has(transfer.id)}
              choose={(isChosen) => choose(transfer.id, isChosen)}
            />
          )}
        </ListOf>
      </Stack>
    </>
  );
}

type ReviewRowProps = { transfer: AnyTransfer; isChosen: boolean; choose: (isChosen: boolean) => void };

function ReviewRow({ transfer, isChosen, choose }: ReviewRowProps) {
  return (
    <AnyTransferRow transfer={transfer}>
      <Stack gap="xs" mt="xs">
        <Text size="sm" fw={600}>
          In review since <When at={transfer.updated_at} size="sm" exact />, because:
        </Text>
        <Verdicts transfer={transfer} />
        <Eyes transfer={transfer} />
        <Group justify="space-between">
          <Checkbox
            label={`Choose ${shortId(transfer.id)}`}
            checked={isChosen}
            onChange={(event) => choose(event.currentTarget.checked)}
          />
          <Group gap="xs">
            <Decide transfer={transfer} />
          </Group>
        </Group>
      </Stack>
    </AnyTransferRow>
  );
}

/** How many people must approve it, and who has decided. */
function Eyes({ transfer }: { transfer: AnyTransfer }) {
  const needed = useQuery(approvalsQuery).data?.get(transfer.id);
  const decided = useQuery(decidedQuery).data?.filter(({ subject }) => subject === transfer.id) ?? [];
  return (
    <Group gap="xs">
      {needed !== undefined && (
        <Badge variant="light" color={needed > 1 ? "indigo" : "gray"}>
          {needed > 1 ? `Four eyes: ${needed} people must approve` : "One person approves"}
        </Badge>
      )}
      {decided.map((action) => (
        <Text size="sm" key={action.id} component="div">
          {String(action.asked?.ruling ?? action.answer)} by <CustomerLink id={action.actor_id} />: {action.reason}
        </Text>
      ))}
    </Group>
  );
}

function Result({ decisions, close }: { decisions: Decisions; close: () => void }) {
  return (
    <Alert
      color={decisions.refused.length > 0 ? "yellow" : "green"}
      role="status"
      title={`Recorded for ${decisions.taken} of ${decisions.total}`}
      withCloseButton
      closeButtonLabel="Close"
      onClose={close}
    >
      <Text size="sm">Their workflows go on within seconds.</Text>
      {decisions.refused.map(({ transfer_id, why }) => (
        <Text size="sm" key={transfer_id}>
          {shortId(transfer_id)} did not take it: {why}
        </Text>
      ))}
    </Alert>
  );
}
