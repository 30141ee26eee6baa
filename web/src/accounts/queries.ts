import { queryOptions, useQuery } from "@tanstack/react-query";
import { cache } from "../api/cache";
import { api, type Schemas } from "../api/client";
import type { AccountChange } from "../api/live";
import { answerTo } from "../api/problem";
import type { Currency } from "../money/money";

export type Account = Schemas["AccountOut"];

export const accountsQuery = queryOptions({
  queryKey: ["accounts"],
  queryFn: () => answerTo(api.GET("/v1/accounts")).then((found) => found.items),
});

export const currenciesQuery = queryOptions({
  queryKey: ["currencies"],
  queryFn: () => answerTo(api.GET("/v1/currencies")),
  staleTime: Number.POSITIVE_INFINITY,
});

export const statisticsQuery = (accountId: string) =>
  queryOptions({
    queryKey: ["statistics", accountId],
    queryFn: () =>
      answerTo(api.GET("/v1/accounts/{account_id}/stats", { params: { path: { account_id: accountId } } })),
  });

/** The currency with this code: its digits come from the API, and are not known before its list is. */
export function useCurrency(code: string | undefined): Currency | undefined {
  const { data } = useQuery(currenciesQuery);
  return data?.items.find((currency) => currency.code === code);
}

/** Show a change at once; what else it changes is read after it. An older one than what is shown changes nothing. */
export function applyChange({ accountId, version, entry }: AccountChange): void {
  if (entry === null || version === null) return;
  cache.setQueryData(accountsQuery.queryKey, (accounts) =>
    accounts?.map((account) => {
      if (account.id !== accountId || version <= account.version) return account;
      const balance = entry.balanceAfter;
      return { ...account, version, balance, available: balance - account.held };
    }),
  );
}

/** An account's number as people read it: RM04 4040 4040 4040. */
export function grouped(number: string): string {
  return number.replace(/(.{4})(?=.)/g, "$1 ");
}
