import { queryOptions } from "@tanstack/react-query";
import { api, type Schemas } from "../../api/client";
import { answerTo } from "../../api/problem";
import { listQuery, PAGE } from "../../ui/listQuery";
import { type AllFilters, asQuery } from "./filters";

export type AnyTransfer = Schemas["AnyTransferOut"];
export type TransferFileFound = Schemas["TransferFileOut"];

// While a transfer is on its way its window is read again so often.
const WATCH_MS = 5_000;

const FINAL: ReadonlySet<Schemas["State"]> = new Set(["completed", "compensated", "failed", "cancelled"]);

export const hasEnded = ({ state }: { state: Schemas["State"] }) => FINAL.has(state);

export const allTransfersQuery = (filters: AllFilters, everyMs?: number) =>
  listQuery(
    ["all-transfers", filters],
    (cursor) =>
      answerTo(api.GET("/v1/admin/transfers", { params: { query: { ...asQuery(filters), limit: PAGE, cursor } } })),
    everyMs,
  );

export const transferFileQuery = (transferId: string) =>
  queryOptions({
    queryKey: ["transfer-file", transferId],
    queryFn: () =>
      answerTo(api.GET("/v1/admin/transfers/{transfer_id}", { params: { path: { transfer_id: transferId } } })),
    refetchInterval: ({ state }) => (state.data && !hasEnded(state.data) ? WATCH_MS : false),
  });

export const verdictsQuery = (transferId: string) =>
  queryOptions({
    queryKey: ["verdicts", transferId],
    queryFn: () =>
      answerTo(
        api.GET("/v1/admin/transfers/{transfer_id}/verdicts", { params: { path: { transfer_id: transferId } } }),
      ),
    staleTime: 60_000,
  });

export const recordsQuery = (transferId: string) =>
  listQuery(["audit-records", "of", transferId], (cursor) =>
    answerTo(
      api.GET("/v1/admin/audit-records", { params: { query: { transfer_id: transferId, limit: PAGE, cursor } } }),
    ),
  );

/** What changes when staff act on a transfer. */
export const MOVED = ["all-transfers", "transfer-file", "stats", "account", "verdicts", "books"];
