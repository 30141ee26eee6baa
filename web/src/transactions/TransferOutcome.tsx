import { Alert, Button, Group, Loader, Stack, Text } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { cache } from "../api/cache";
import { api } from "../api/client";
import { answerTo, NoAnswer } from "../api/problem";
import { retryKey } from "../transfer/intent";
import { FormProblem } from "../ui/FormProblem";
import type { State } from "./filters";
import { isFinal, MOST_ATTEMPTS, type Transfer, transferQuery } from "./queries";

const WORDS: Record<State, { title: string; says: string; color: string }> = {
  initiated: { title: "On its way", says: "You need not wait here: it goes on by itself.", color: "blue" },
  debited: {
    title: "On its way",
    says: "The amount has left the account. It arrives, or it comes back.",
    color: "blue",
  },
  in_review: {
    title: "In review",
    says: "Somebody looks at this transfer before any money moves. You need not do anything.",
    color: "yellow",
  },
  completed: { title: "Completed", says: "The money is there.", color: "green" },
  failed: { title: "Not sent", says: "No money has moved.", color: "red" },
  compensated: { title: "Returned", says: "The amount is back in the account it came from.", color: "yellow" },
  cancelled: { title: "Cancelled", says: "No money has moved.", color: "gray" },
};

// Staff have ended these: another attempt is theirs to make.
const ENDED_BY_STAFF = new Set<string>(["review_rejected", "cancelled"]);

const HEDGES = 8;

type TransferOutcomeProps = {
  transfer: Transfer;
  /** Whether the viewer asked for it, and may retry or cancel it. */
  isOwn: boolean;
  /** What to do where no attempt is left. */
  change?: ReactNode;
};

/** How a transfer stands, and what its customer can do about it. */
export function TransferOutcome({ transfer, isOwn, change }: TransferOutcomeProps) {
  const { title, says, color } = WORDS[transfer.state];
  const hasFailed = transfer.state === "failed" || transfer.state === "compensated";
  const left = MOST_ATTEMPTS - transfer.attempt;
  const mayRetry = isOwn && hasFailed && left > 0 && !ENDED_BY_STAFF.has(transfer.failure?.code ?? "");
  const path = { transfer_id: transfer.id };
  const show = (changed: Transfer) => {
    cache.setQueryData(transferQuery(transfer.id).queryKey, changed);
    cache.invalidateQueries({ queryKey: ["transfers"] });
    cache.invalidateQueries({ queryKey: ["timeline", transfer.id] });
  };
  const retry = useMutation({
    mutationFn: () =>
      answerTo(
        api.POST("/v1/transfers/{transfer_id}/retry", {
          params: { path, header: { "Idempotency-Key": retryKey(transfer.id, transfer.attempt) } },
        }),
      ),
    // Its key names the attempt: asking again begins no other one.
    retry: (failures, error) => error instanceof NoAnswer && failures < HEDGES,
    onSuccess: show,
  });
  const cancel = useMutation({
    mutationFn: () =>
      answerTo(
        api.POST("/v1/transfers/{transfer_id}/cancel", {
          params: { path, header: { "Idempotency-Key": `cancel/${transfer.id}/${transfer.attempt}` } },
        }),
      ),
    onSuccess: show,
  });
  return (
    <Alert
      color={color}
      title={title}
      role="status"
      aria-live="polite"
      icon={isFinal(transfer) || transfer.state === "in_review" ? undefined : <Loader size={18} />}
    >
      <Stack gap="sm">
        <Text size="sm">
          {hasFailed && transfer.failure ? `${transfer.failure.message} ` : ""}
          {says}
        </Text>
        {isOwn && hasFailed && (
          <Text size="sm">
            Attempt {transfer.attempt} of {MOST_ATTEMPTS}.
          </Text>
        )}
        {retry.isPending && retry.failureCount > 0 && <Text size="sm">Not known yet, asking again…</Text>}
        <FormProblem error={retry.error ?? cancel.error} />
        <Group gap="sm" className="acts">
          {mayRetry && (
            <Button size="xs" onClick={() => retry.mutate()} loading={retry.isPending}>
              Try again
            </Button>
          )}
          {isOwn && hasFailed && !mayRetry && change}
          {isOwn && (transfer.state === "in_review" || transfer.state === "initiated") && (
            <Button size="xs" variant="default" onClick={() => cancel.mutate()} loading={cancel.isPending}>
              Cancel the transfer
            </Button>
          )}
        </Group>
      </Stack>
    </Alert>
  );
}
