import { queryOptions } from "@tanstack/react-query";
import { cache } from "../api/cache";
import { api, type Schemas } from "../api/client";
import { answerTo } from "../api/problem";
import { listQuery } from "../ui/listQuery";

export type Batch = Schemas["BatchOut"];
export type BatchItem = Schemas["BatchItemOut"];
export type Payment = BatchItem & { payee?: Schemas["CounterpartyOut"] };

export const STATES: Record<Batch["state"], string> = {
  accepted: "On its way",
  in_progress: "On its way",
  held: "Waits for staff",
  completed: "Done",
  refused: "Refused",
  cancelled: "Cancelled",
};

export const STATE_COLORS: Record<Batch["state"], string> = {
  accepted: "blue",
  in_progress: "blue",
  held: "yellow",
  completed: "green",
  refused: "red",
  cancelled: "gray",
};

export const MODES: Record<Batch["mode"], { label: string; says: string }> = {
  best_effort: { label: "Each for itself", says: "What is refused is left out, and the others are paid." },
  atomic: { label: "All or nothing", says: "If one cannot be paid, none is." },
};

export const ITEMS: Record<BatchItem["state"], string> = {
  pending: "Waits",
  not_posted: "Not sent",
  initiated: "On its way",
  in_review: "In review",
  debited: "On its way",
  completed: "Completed",
  compensated: "Returned",
  failed: "Failed",
  cancelled: "Cancelled",
};

export const ITEM_COLORS: Record<BatchItem["state"], string> = {
  pending: "gray",
  not_posted: "gray",
  initiated: "blue",
  in_review: "yellow",
  debited: "blue",
  completed: "green",
  compensated: "gray",
  failed: "red",
  cancelled: "gray",
};

const WATCH_MS = 2_000;
const PAGE = 50;

export const isOver = ({ state }: Pick<Batch, "state">) =>
  state === "completed" || state === "refused" || state === "cancelled";

export const batchesQuery = listQuery(["batches"], (cursor) =>
  answerTo(api.GET("/v1/batches", { params: { query: { limit: 20, cursor } } })),
);

/** One batch. While it is being posted, it is read again and again; while people look at it, now and then. */
export const batchQuery = (batchId: string) =>
  queryOptions({
    queryKey: ["batch", batchId],
    queryFn: () => answerTo(api.GET("/v1/batches/{batch_id}", { params: { path: { batch_id: batchId } } })),
    refetchInterval: ({ state }) => {
      if (state.data && isOver(state.data)) return false;
      return state.data?.state === "held" ? 15 * WATCH_MS : WATCH_MS;
    },
  });

/** `posted` is in its key: the outcomes are read again when there are more of them. */
export const itemsQuery = (batchId: string, posted: number) =>
  listQuery(["batch-items", batchId, posted], async (cursor) => {
    const params = { path: { batch_id: batchId }, query: { limit: PAGE, cursor } };
    const found = await answerTo(api.GET("/v1/batches/{batch_id}/items", { params }));
    const items = found.items.map(
      (item): Payment => ({ ...item, payee: found.counterparties[item.destination_account_id] }),
    );
    return { items, next_cursor: found.next_cursor };
  });

export function showBatch(batch: Batch): void {
  cache.setQueryData(batchQuery(batch.id).queryKey, batch);
  cache.invalidateQueries({ queryKey: ["batches"] });
}
