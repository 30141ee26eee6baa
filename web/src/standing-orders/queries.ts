import { queryOptions } from "@tanstack/react-query";
import { cache } from "../api/cache";
import { api, type Schemas } from "../api/client";
import { answerTo } from "../api/problem";
import { listQuery, PAGE } from "../ui/listQuery";
import type { StandingOrder } from "./terms";

export type Occurrence = Schemas["OccurrenceOut"];

export const STATES: Record<Schemas["StandingOrderState"], string> = {
  active: "Active",
  paused: "Paused",
  completed: "Ended",
  cancelled: "Cancelled",
};

export const STATE_COLORS: Record<Schemas["StandingOrderState"], string> = {
  active: "green",
  paused: "yellow",
  completed: "gray",
  cancelled: "gray",
};

export const OCCURRENCES: Record<Occurrence["state"], string> = {
  coming: "Coming",
  due: "Being tried",
  under_way: "On its way",
  paid: "Paid",
  missed: "Missed",
  failed: "Not paid",
  skipped: "Skipped",
};

export const OCCURRENCE_COLORS: Record<Occurrence["state"], string> = {
  coming: "blue",
  due: "yellow",
  under_way: "blue",
  paid: "green",
  missed: "red",
  failed: "red",
  skipped: "gray",
};

export const ordersQuery = listQuery(["standing-orders"], (cursor) =>
  answerTo(api.GET("/v1/standing-orders", { params: { query: { limit: PAGE, cursor } } })),
);

export const orderQuery = (orderId: string) =>
  queryOptions({
    queryKey: ["standing-order", orderId],
    queryFn: () => answerTo(api.GET("/v1/standing-orders/{order_id}", { params: { path: { order_id: orderId } } })),
  });

export const occurrencesQuery = (orderId: string, when: "past" | "coming") =>
  listQuery(["occurrences", orderId, when], (cursor) =>
    answerTo(
      api.GET("/v1/standing-orders/{order_id}/occurrences", {
        params: { path: { order_id: orderId }, query: { when, limit: PAGE, cursor } },
      }),
    ),
  );

/** Show an order as it is after a change. */
export function showOrder(order: StandingOrder): void {
  cache.setQueryData(orderQuery(order.id).queryKey, order);
  for (const key of ["standing-orders", "occurrences"]) cache.invalidateQueries({ queryKey: [key] });
}
