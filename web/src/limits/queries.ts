import { queryOptions } from "@tanstack/react-query";
import { api, type Schemas } from "../api/client";
import { answerTo } from "../api/problem";
import { listQuery, PAGE } from "../ui/listQuery";

export type Limits = Schemas["LimitsOut"];
export type TierRequest = Schemas["TierRequestOut"];

export const LIMITS = {
  one_transaction: "One transaction",
  daily_total: "In a day",
  monthly_total: "In a month",
  highest_balance: "Balance",
} as const;

export const REQUESTS: Record<TierRequest["state"], { label: string; color: string }> = {
  open: { label: "Being looked at", color: "blue" },
  approved: { label: "Approved", color: "green" },
  rejected: { label: "Rejected", color: "red" },
  expired: { label: "Expired", color: "gray" },
};

const WATCH_MS = 10_000;

export const limitsQuery = (accountId: string) =>
  queryOptions({
    queryKey: ["limits", accountId],
    queryFn: () =>
      answerTo(api.GET("/v1/accounts/{account_id}/limits", { params: { path: { account_id: accountId } } })),
  });

/** What was asked for, newest first. While one is open, they are read again now and then. */
export const tierRequestsQuery = (accountId: string) =>
  listQuery(
    ["tier-requests", accountId],
    (cursor) =>
      answerTo(
        api.GET("/v1/accounts/{account_id}/tier-requests", {
          params: { path: { account_id: accountId }, query: { limit: PAGE, cursor } },
        }),
      ),
    (items) => items.some(({ state }) => state === "open") && WATCH_MS,
  );
