import { queryOptions } from "@tanstack/react-query";
import { api, type Schemas } from "../../api/client";
import { answerTo } from "../../api/problem";
import { AGAIN_MS, listQuery, PAGE } from "../../ui/listQuery";
import type { DisputeState } from "./filters";

export type Dispute = Schemas["DisputeOut"];
export const disputesQuery = (state: DisputeState | undefined) =>
  listQuery(
    ["disputes-of-all", state],
    (cursor) => answerTo(api.GET("/v1/admin/disputes", { params: { query: { state, limit: PAGE, cursor } } })),
    AGAIN_MS,
  );

/** One with its statements. */
export const disputeQuery = (disputeId: string) =>
  queryOptions({
    queryKey: ["dispute", disputeId],
    queryFn: () => answerTo(api.GET("/v1/disputes/{dispute_id}", { params: { path: { dispute_id: disputeId } } })),
  });

export const READS = ["disputes-of-all", "dispute", "all-transfers", "transfer-file", "account"];
