import { api, type Schemas } from "../../api/client";
import { answerTo } from "../../api/problem";
import { ActButton } from "../ActButton";
import { type AnyTransfer, MOVED } from "../transactions/queries";

export type Decisions = Schemas["DecisionsOut"];
type Ruling = Schemas["Ruling"];

const READS = [...MOVED, "reviews"];

/** Both decisions about one transfer in review. The first one of a person is final. */
export function Decide({ transfer }: { transfer: AnyTransfer }) {
  const decide = (ruling: Ruling) => (reason: string, key: string) =>
    answerTo(
      api.POST("/v1/admin/transfers/{transfer_id}/decisions", {
        params: { path: { transfer_id: transfer.id }, header: { "Idempotency-Key": key } },
        body: { ruling, reason },
      }),
    );
  return (
    <>
      <ActButton
        label="Approve"
        isFirst
        title="Approve this transfer?"
        says="It goes on, unless another person has to approve it as well. Your decision is final."
        send={decide("approve")}
        effect={({ answer }) => answer}
        reads={READS}
      />
      <ActButton
        label="Reject"
        title="Reject this transfer?"
        says="It fails, and no money moves. Your decision is final."
        isHard
        send={decide("reject")}
        effect={({ answer }) => answer}
        reads={READS}
      />
    </>
  );
}

type DecideManyProps = { ids: readonly string[]; onDone: (decisions: Decisions) => void };

/** One decision about all that is chosen. It names them, so nothing is decided that was not on the screen. */
export function DecideMany({ ids, onDone }: DecideManyProps) {
  const count = `${ids.length} ${ids.length === 1 ? "transfer" : "transfers"}`;
  const decide = (ruling: Ruling) => (reason: string, key: string) =>
    answerTo(
      api.POST("/v1/admin/reviews/decisions", {
        params: { header: { "Idempotency-Key": key } },
        body: { ruling, reason, transfer_ids: [...ids] },
      }),
    );
  const effect = ({ taken, total }: Decisions) => `Your decision is recorded for ${taken} of ${total}.`;
  return (
    <>
      <ActButton
        label={`Approve ${ids.length}`}
        isFirst
        isDisabled={ids.length === 0}
        title={`Approve ${count}?`}
        says="Those that are chosen on the screen, and no others. If you are a party of one of them, none is decided."
        confirm={`Approve ${count}`}
        send={decide("approve")}
        effect={effect}
        reads={READS}
        onDone={onDone}
      />
      <ActButton
        label={`Reject ${ids.length}`}
        isDisabled={ids.length === 0}
        title={`Reject ${count}?`}
        says="Those that are chosen on the screen, and no others. They fail, and no money moves."
        confirm={`Reject ${count}`}
        isHard
        send={decide("reject")}
        effect={effect}
        reads={READS}
        onDone={onDone}
      />
    </>
  );
}
