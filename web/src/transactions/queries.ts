import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, type Schemas } from "../api/client";
import { answerTo } from "../api/problem";
import { asQuery, type State, type TransferFilters } from "./filters";

export type Transfer = Schemas["TransferOut"];
export type Counterparty = Schemas["CounterpartyOut"];
export type ListedTransfer = Transfer & { counterparty?: Counterparty };

const FINAL: ReadonlySet<State> = new Set(["completed", "compensated", "failed", "cancelled"]);

export const isFinal = (transfer: Transfer) => FINAL.has(transfer.state);

export const MOST_ATTEMPTS = 3;

const PAGE = 30;
const POLL_MS = 1_500;

export const transfersQuery = (filters: TransferFilters, limit = PAGE) =>
  infiniteQueryOptions({
    queryKey: ["transfers", filters, limit],
    queryFn: async ({ pageParam }) => {
      const query = { ...asQuery(filters), limit, cursor: pageParam };
      const { items, counterparties, next_cursor } = await answerTo(api.GET("/v1/transfers", { params: { query } }));
      return { items: items.map((transfer) => withCounterparty(transfer, counterparties)), next_cursor };
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next_cursor ?? undefined,
  });

function withCounterparty(transfer: Transfer, known: Record<string, Counterparty>): ListedTransfer {
  return { ...transfer, counterparty: known[transfer.source_account_id] ?? known[transfer.destination_account_id] };
}

/** One transfer. While it is on its way, it is read again and again. */
export const transferQuery = (transferId: string) =>
  queryOptions({
    queryKey: ["transfer", transferId],
    queryFn: () => answerTo(api.GET("/v1/transfers/{transfer_id}", { params: { path: { transfer_id: transferId } } })),
    refetchInterval: ({ state }) => (state.data && isFinal(state.data) ? false : POLL_MS),
  });

export const timelineQuery = (transferId: string) =>
  queryOptions({
    queryKey: ["timeline", transferId],
    queryFn: () =>
      answerTo(api.GET("/v1/transfers/{transfer_id}/status", { params: { path: { transfer_id: transferId } } })),
  });

export const receiptQuery = (transferId: string) =>
  queryOptions({
    queryKey: ["receipt", transferId],
    queryFn: () =>
      answerTo(api.GET("/v1/transfers/{transfer_id}/receipt", { params: { path: { transfer_id: transferId } } })),
  });

/** Which way the money went, for somebody with these accounts. Between two of their own accounts: neither. */
export function direction(transfer: Transfer, own: ReadonlySet<string>): "in" | "out" | undefined {
  const [isPayer, isPayee] = [own.has(transfer.source_account_id), own.has(transfer.destination_account_id)];
  if (isPayer === isPayee) return undefined;
  return isPayer ? "out" : "in";
}

/** The key of a transfer, for its customer alone: a part of its workflow's name, unless it was too long for that. */
export function keyOf({ workflow_id }: Pick<Transfer, "workflow_id">): string | null {
  const key = workflow_id?.split("/").slice(2).join("/").replace(/ #\d$/, "");
  if (!key || key.includes("%~")) return null;
  return key.replaceAll("%23", "#").replaceAll("%25", "%");
}
