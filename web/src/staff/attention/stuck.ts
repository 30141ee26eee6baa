// Which step of a stuck transfer has no answer, as far as its state tells. Temporal has the step's last failure.

import type { AnyTransfer } from "../transactions/queries";

export type Stuck = { title: string; says: string; blocker: string };

type Facts = Pick<AnyTransfer, "state" | "source_account_id" | "destination_account_id">;

export function stuckAt({ state, source_account_id: source, destination_account_id: destination }: Facts): Stuck {
  // Each step waits for one account: the outside world has no row to wait for.
  const isAccount = (id: string) => id.startsWith("acc_");
  if (state === "debited")
    return {
      title: "The credit has no answer",
      says: "The amount has left the source and is in transit.",
      blocker: isAccount(destination) ? destination : source,
    };
  return {
    title: "The debit has no answer",
    says: "No amount is known to have left the source.",
    blocker: isAccount(source) ? source : destination,
  };
}
