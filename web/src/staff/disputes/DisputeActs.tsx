import { Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { api } from "../../api/client";
import { answerTo } from "../../api/problem";
import { useMe } from "../../customers/queries";
import { ActButton } from "../ActButton";
import { transferFileQuery } from "../transactions/queries";
import { usePart } from "../transactions/ReverseButton";
import { DISPUTES } from "./filters";
import { type Dispute, READS } from "./queries";

type OneDispute = { dispute: Dispute };

const keyed = (dispute: Dispute, key: string) => ({
  path: { dispute_id: dispute.id },
  header: { "Idempotency-Key": key },
});

/** What staff who are no party can do with a dispute as it stands now. */
export function DisputeActs({ dispute }: OneDispute) {
  const me = useMe();
  const isOpen = dispute.state === "open";
  if (me && (dispute.payer_id === me.id || dispute.payee_id === me.id || dispute.payer_id === null))
    return (
      <Text size="sm" c="dimmed">
        You are a party of it: somebody else decides.
      </Text>
    );
  return (
    <>
      {isOpen && <Reverse dispute={dispute} />}
      {isOpen && <Reject dispute={dispute} />}
      {isOpen && <Hold dispute={dispute} />}
      {Boolean(dispute.held_amount) && <Release dispute={dispute} />}
    </>
  );
}

function Reverse({ dispute }: OneDispute) {
  const currency = useQuery(transferFileQuery(dispute.transfer_id)).data?.currency;
  const part = usePart(currency);
  return (
    <ActButton
      label="Reverse"
      isFirst
      title="Bring the money back to the payer?"
      says="All that is left of it, or a part. Both parties can read your reason. The decision is final."
      confirm="Reverse it"
      objection={part.objection}
      send={(reason, key) =>
        answerTo(
          api.POST("/v1/admin/disputes/{dispute_id}/decisions", {
            params: keyed(dispute, key),
            body: { ruling: "reverse", reason, amount: part.minor },
          }),
        )
      }
      effect={({ state }) => `The dispute: ${DISPUTES[state].toLowerCase()}.`}
      reads={READS}
    >
      {part.input}
    </ActButton>
  );
}

function Reject({ dispute }: OneDispute) {
  return (
    <ActButton
      label="Reject"
      title="Leave the money with the payee?"
      says="The transfer stays as it is, and what was held is free. Both parties can read your reason. It is final."
      confirm="Reject the dispute"
      isHard
      send={(reason, key) =>
        answerTo(
          api.POST("/v1/admin/disputes/{dispute_id}/decisions", {
            params: keyed(dispute, key),
            body: { ruling: "reject", reason },
          }),
        )
      }
      effect={() => "The dispute is rejected."}
      reads={READS}
    />
  );
}

function Hold({ dispute }: OneDispute) {
  return (
    <ActButton
      label={dispute.held_amount ? "Hold more" : "Hold the amount"}
      title="Hold the amount on the payee's account?"
      says="All that is left to reverse, or as much of it as is free. The payee cannot spend it until the decision."
      confirm="Hold it"
      send={(reason, key) =>
        answerTo(api.POST("/v1/admin/disputes/{dispute_id}/hold", { params: keyed(dispute, key), body: { reason } }))
      }
      effect={() => "The amount is held, as far as it is free."}
      reads={READS}
    />
  );
}

function Release({ dispute }: OneDispute) {
  return (
    <ActButton
      label="Release"
      title="Let the payee spend the amount again?"
      says="Nothing of it is held any more."
      confirm="Release it"
      send={(reason, key) =>
        answerTo(api.POST("/v1/admin/disputes/{dispute_id}/release", { params: keyed(dispute, key), body: { reason } }))
      }
      effect={() => "The amount is free."}
      reads={READS}
    />
  );
}
