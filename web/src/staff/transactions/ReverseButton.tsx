import { TextInput } from "@mantine/core";
import { useState } from "react";
import { useCurrency } from "../../accounts/queries";
import { api } from "../../api/client";
import { answerTo } from "../../api/problem";
import { readAmount } from "../../money/money";
import { STATES } from "../../transactions/filters";
import { ActButton } from "../ActButton";
import { useMay } from "../useMay";
import { type AnyTransfer, MOVED } from "./queries";

/** Bring all or a part of a completed transfer back. For admins. */
export function ReverseButton({ transfer }: { transfer: AnyTransfer }) {
  const may = useMay();
  const amount = usePart(transfer.currency);
  if (!may("reverse_transfer")) return null;
  return (
    <ActButton
      label="Reverse"
      title="Bring the amount back to its source?"
      says="A new transfer takes it from the payee, as far as the payee has it, and gives it to the payer."
      confirm="Reverse it"
      isHard
      objection={amount.objection}
      send={(reason, key) =>
        answerTo(
          api.POST("/v1/transfers/{transfer_id}/reversals", {
            params: { path: { transfer_id: transfer.id }, header: { "Idempotency-Key": key, Prefer: "wait=5" } },
            body: { reason, amount: amount.minor },
          }),
        )
      }
      effect={({ state }) => `The reversal: ${STATES[state].toLowerCase()}.`}
      reads={MOVED}
    >
      {amount.input}
    </ActButton>
  );
}

/** A part of an amount as somebody types it. Nothing: all that is left. */
export function usePart(code: string | undefined) {
  const currency = useCurrency(code);
  const [typed, setTyped] = useState("");
  const amount = typed.trim() === "" || !currency ? { minor: undefined } : readAmount(typed, currency);
  const objection = "objection" in amount ? amount.objection : null;
  return {
    minor: "minor" in amount ? amount.minor : undefined,
    objection,
    input: (
      <TextInput
        label={`Amount${code ? ` in ${code}` : ""}`}
        description="Empty: all that is left"
        inputMode="decimal"
        value={typed}
        onChange={(event) => setTyped(event.currentTarget.value)}
        error={objection}
      />
    ),
  };
}
