import { queryOptions } from "@tanstack/react-query";
import { api } from "../../api/client";
import { answerTo } from "../../api/problem";
import type { Span } from "./periods";

const NOW_MS = 60_000;

/** What waits now, and what is in transit. */
export const nowQuery = queryOptions({
  queryKey: ["stats", "now"],
  queryFn: () => answerTo(api.GET("/v1/admin/stats")),
  refetchInterval: NOW_MS,
});

/** The figures of one span. What is over hardly changes: a transfer of then may still end. */
export const spanQuery = ({ from, to }: Pick<Span, "from" | "to">) =>
  queryOptions({
    queryKey: ["stats", "span", from, to],
    queryFn: () =>
      answerTo(
        // The present hour is not over: without an end the span goes until now.
        api.GET("/v1/admin/stats", { params: { query: { from, to: Date.parse(to) > Date.now() ? undefined : to } } }),
      ).then(({ period }) => period),
    staleTime: 5 * NOW_MS,
  });
