import { queryOptions } from "@tanstack/react-query";
import { api, type Schemas } from "../../api/client";
import { answerTo } from "../../api/problem";
import { isOver } from "../../batches/queries";
import { AGAIN_MS, listQuery, PAGE } from "../../ui/listQuery";

export type AnyBatch = Schemas["BatchFileOut"];

const WATCH_MS = 5_000;

export const allBatchesQuery = (state: Schemas["BatchState"] | undefined) =>
  listQuery(
    ["all-batches", state],
    (cursor) => answerTo(api.GET("/v1/admin/batches", { params: { query: { state, limit: PAGE, cursor } } })),
    AGAIN_MS,
  );

export const anyBatchQuery = (batchId: string) =>
  queryOptions({
    queryKey: ["any-batch", batchId],
    queryFn: () => answerTo(api.GET("/v1/admin/batches/{batch_id}", { params: { path: { batch_id: batchId } } })),
    refetchInterval: ({ state }) => (state.data && isOver(state.data) ? false : WATCH_MS),
  });

/** `posted` is in its key: the outcomes are read again when there are more of them. */
export const anyItemsQuery = (batchId: string, posted: number) =>
  listQuery(["any-batch-items", batchId, posted], async (cursor) => {
    const params = { path: { batch_id: batchId }, query: { limit: PAGE, cursor } };
    const { items, holders, next_cursor } = await answerTo(api.GET("/v1/admin/batches/{batch_id}/items", { params }));
    const payments = items.map((item) => ({
      ...item,
      from: holders[item.source_account_id],
      to: holders[item.destination_account_id],
    }));
    return { items: payments, next_cursor };
  });

/** What changes when staff act on a batch. */
export const BATCHES = ["all-batches", "any-batch", "any-batch-items"];
