import { queryOptions } from "@tanstack/react-query";
import { cache } from "../api/cache";
import { api, type Schemas } from "../api/client";
import { answerTo } from "../api/problem";
import { listQuery, PAGE } from "../ui/listQuery";

export type Dispute = Schemas["DisputeOut"];

export const STATES: Record<Dispute["state"], { label: string; says: string; color: string }> = {
  open: { label: "Open", says: "Both of you may say what happened. Staff read it and decide.", color: "yellow" },
  reversing: { label: "Money on its way back", says: "It was decided for the payer.", color: "blue" },
  reversed: { label: "Money came back", says: "It was decided for the payer.", color: "green" },
  reversal_failed: {
    label: "Money could not come back",
    says: "It was decided for the payer. Staff look for another way.",
    color: "red",
  },
  rejected: { label: "Rejected", says: "The payment stays as it is.", color: "gray" },
  expired: { label: "Expired", says: "Nobody decided in time. The payment stays as it is.", color: "gray" },
};

const WATCH_MS = 15_000;

export const disputesQuery = listQuery(["disputes"], (cursor) =>
  answerTo(api.GET("/v1/disputes", { params: { query: { limit: PAGE, cursor } } })),
);

/** One dispute. While it may change without the viewer, it is read again now and then. */
export const disputeQuery = (disputeId: string) =>
  queryOptions({
    queryKey: ["dispute", disputeId],
    queryFn: () => answerTo(api.GET("/v1/disputes/{dispute_id}", { params: { path: { dispute_id: disputeId } } })),
    refetchInterval: ({ state }) =>
      state.data?.state === "open" || state.data?.state === "reversing" ? WATCH_MS : false,
  });

export function showDispute(dispute: Dispute): void {
  cache.setQueryData(disputeQuery(dispute.id).queryKey, dispute);
  cache.invalidateQueries({ queryKey: ["disputes"] });
}
