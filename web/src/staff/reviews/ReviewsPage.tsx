import { Alert, Badge, Button, Checkbox, Group, Paper, Stack, Text } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { ListOf } from "../../ui/ListOf";
import { PageTitle } from "../../ui/PageTitle";
import { When } from "../../ui/When";
import { CustomerLink, shortId } from "../Names";
import { AnyTransferRow } from "../transactions/AnyTransferRow";
import { verdictsQuery } from "../transactions/queries";
import { Verdicts } from "../transactions/Verdicts";
import { Decide, DecideMany, type Decisions } from "./Decide";
import { type OpenReview, reviewsQuery } from "./queries";

export function ReviewsPage() {
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [last, setLast] = useState<Decisions | null>(null);
  const shown =
    useInfiniteQuery(reviewsQuery).data?.pages.flatMap((page) => page.items.map(({ transfer }) => transfer)) ?? [];
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
        <ListOf query={reviewsQuery} nothing="Nothing waits for a review." label="Transfers in review">
          {(review) => (
            <ReviewRow
              key={review.transfer.id}
              review={review}
              isChosen={chosen.has(review.transfer.id)}
              choose={(isChosen) => choose(review.transfer.id, isChosen)}
            />
          )}
        </ListOf>
      </Stack>
    </>
  );
}

type ReviewRowProps = { review: OpenReview; isChosen: boolean; choose: (isChosen: boolean) => void };

function ReviewRow({ review, isChosen, choose }: ReviewRowProps) {
  const { transfer, began_at, deadline } = review;
  const { isPending } = useQuery(verdictsQuery(transfer.id));
  return (
    <AnyTransferRow transfer={transfer}>
      <Stack gap="xs" mt="xs">
        <Text size="sm" fw={600}>
          In review since <When at={began_at ?? transfer.updated_at} size="sm" exact />
          {deadline && (
            <>
              , fails by itself <When at={deadline} size="sm" exact />
            </>
          )}
          , because:
        </Text>
        <Verdicts transfer={transfer} />
        <Eyes review={review} />
        {/* Once the reasons are there: before, a button would move away under a click, and nobody could know better. */}
        {!isPending && (
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
        )}
      </Stack>
    </AnyTransferRow>
  );
}

/** How many people must approve it, and who has decided. */
function Eyes({ review: { approvals, decisions } }: { review: OpenReview }) {
  return (
    <Group gap="xs">
      {approvals !== null && (
        <Badge variant="light" color={approvals > 1 ? "indigo" : "gray"}>
          {approvals > 1 ? `Four eyes: ${approvals} people must approve` : "One person approves"}
        </Badge>
      )}
      {decisions.map(({ decided_by, ruling, reason }) => (
        <Text size="sm" key={decided_by} component="div">
          {ruling} by <CustomerLink id={decided_by} />: {reason}
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
