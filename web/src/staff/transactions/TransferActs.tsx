import { Group, Text } from "@mantine/core";
import { api } from "../../api/client";
import { answerTo } from "../../api/problem";
import { STATES } from "../../transactions/filters";
import { ActButton } from "../ActButton";
import { Decide } from "../reviews/Decide";
import { type AnyTransfer, hasEnded, MOVED } from "./queries";
import { ReverseButton } from "./ReverseButton";

/** What staff can do with a transfer as it stands now. Each act names what it does before it is done. */
export function TransferActs({ transfer }: { transfer: AnyTransfer }) {
  const { state } = transfer;
  return (
    <Group gap="xs">
      {state === "in_review" && <Decide transfer={transfer} />}
      {(state === "initiated" || state === "debited") && <RetryNow transfer={transfer} isFirst />}
      {state === "debited" && <GiveBack transfer={transfer} />}
      {(state === "failed" || state === "compensated") && <RetryTransfer transfer={transfer} />}
      {!hasEnded(transfer) && <Cancel transfer={transfer} />}
      {state === "completed" && transfer.kind !== "reversal" && <ReverseButton transfer={transfer} />}
      {state === "cancelled" && (
        <Text size="sm" c="dimmed">
          It is cancelled. There is nothing to do.
        </Text>
      )}
    </Group>
  );
}

type OneTransfer = { transfer: AnyTransfer; isFirst?: boolean };

const keyed = (transfer: AnyTransfer, key: string) => ({
  path: { transfer_id: transfer.id },
  header: { "Idempotency-Key": key },
});

export function RetryNow({ transfer, isFirst }: OneTransfer) {
  return (
    <ActButton
      label="Retry now"
      isFirst={isFirst}
      title="Try the stuck step again, now?"
      says="It is tried again by itself as well. This spares the pause."
      send={(reason, key) =>
        answerTo(
          api.POST("/v1/admin/transfers/{transfer_id}/retry-now", { params: keyed(transfer, key), body: { reason } }),
        )
      }
      effect={({ answer }) => answer}
      reads={MOVED}
    />
  );
}

export function GiveBack({ transfer }: OneTransfer) {
  return (
    <ActButton
      label="Give back"
      title="Give the amount back to where it came from?"
      says="It stops waiting for the credit and asks for the refund. If the credit is first, the amount stays delivered."
      confirm="Give it back"
      isHard
      send={(reason, key) =>
        answerTo(
          api.POST("/v1/admin/transfers/{transfer_id}/give-back", { params: keyed(transfer, key), body: { reason } }),
        )
      }
      effect={({ answer }) => answer}
      reads={MOVED}
    />
  );
}

function Cancel({ transfer }: OneTransfer) {
  return (
    <ActButton
      label="Cancel"
      title="Cancel this transfer?"
      says="Before its debit no money moves. After it, and until the credit, the amount goes back to its source."
      confirm="Cancel the transfer"
      isHard
      send={(reason, key) =>
        answerTo(
          api.POST("/v1/admin/transfers/{transfer_id}/cancel", { params: keyed(transfer, key), body: { reason } }),
        )
      }
      effect={({ state }) => `The transfer: ${STATES[state].toLowerCase()}.`}
      reads={MOVED}
    />
  );
}

function RetryTransfer({ transfer }: OneTransfer) {
  return (
    <ActButton
      label="Try again"
      isFirst
      title="Begin another attempt?"
      says="Under the same number and key, at most three attempts in all."
      send={(reason, key) =>
        answerTo(
          api.POST("/v1/admin/transfers/{transfer_id}/retry", {
            params: { ...keyed(transfer, key), header: { "Idempotency-Key": key, Prefer: "wait=5" } },
            body: { reason },
          }),
        )
      }
      effect={({ attempt, state }) => `Attempt ${attempt}: ${STATES[state].toLowerCase()}.`}
      reads={MOVED}
    />
  );
}
