import { queryOptions } from "@tanstack/react-query";
import { api, type Schemas } from "../../api/client";
import { answerTo } from "../../api/problem";
import { listQuery, PAGE } from "../../ui/listQuery";
import type { UserFilters } from "./filters";

export type CustomerFile = Schemas["CustomerFileOut"];
export type MarkedAccount = Schemas["MarkedAccountOut"];

/** The beginning of an address is sent in the body: what is in a URL stays in logs. */
export const usersQuery = (email: string, filters: UserFilters) =>
  listQuery(["users", email, filters], (cursor) =>
    answerTo(
      api.POST("/v1/admin/customers/search", {
        body: {
          email,
          role: filters.role,
          verification: filters.verification,
          account_status: filters.account,
          disabled: filters.disabled,
          limit: PAGE,
          cursor,
        },
      }),
    ),
  );

export const userQuery = (customerId: string) =>
  queryOptions({
    queryKey: ["user", customerId],
    queryFn: () =>
      answerTo(api.GET("/v1/admin/customers/{customer_id}", { params: { path: { customer_id: customerId } } })),
  });

export const accountQuery = (accountId: string) =>
  queryOptions({
    queryKey: ["account", accountId],
    queryFn: () =>
      answerTo(api.GET("/v1/admin/accounts/{account_id}", { params: { path: { account_id: accountId } } })),
    staleTime: 15_000,
  });

export const entriesQuery = (accountId: string) =>
  listQuery(["entries", accountId], (cursor) =>
    answerTo(
      api.GET("/v1/admin/accounts/{account_id}/entries", {
        params: { path: { account_id: accountId }, query: { limit: PAGE, cursor } },
      }),
    ),
  );

export const limitsQuery = (accountId: string) =>
  queryOptions({
    queryKey: ["limits", accountId],
    queryFn: () =>
      answerTo(api.GET("/v1/admin/accounts/{account_id}/limits", { params: { path: { account_id: accountId } } })),
  });

/** What staff did with a customer or an account. */
export const actionsOn = (subject: string) =>
  listQuery(["actions", subject], (cursor) =>
    answerTo(api.GET("/v1/admin/actions", { params: { query: { subject, limit: PAGE, cursor } } })),
  );

/** What changes when staff act on a customer or an account. */
export const USERS = ["users", "user", "account", "limits"];
