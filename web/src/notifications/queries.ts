import { queryOptions, useQuery } from "@tanstack/react-query";
import { api, type Schemas } from "../api/client";
import { answerTo } from "../api/problem";

export type Notification = Schemas["NotificationOut"];

export const newestQuery = queryOptions({
  queryKey: ["notifications", "newest"],
  queryFn: () => answerTo(api.GET("/v1/notifications", { params: { query: { limit: 5 } } })),
});

/** How many are unread, counted up to 100. */
export function useUnread(): number {
  return useQuery(newestQuery).data?.unread ?? 0;
}
