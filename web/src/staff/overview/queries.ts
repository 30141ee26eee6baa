import { queryOptions } from "@tanstack/react-query";
import { api } from "../../api/client";
import { answerTo } from "../../api/problem";

const MOST = 50;

// Nine counts: 70 requests in 15 minutes, of the 500 that an address has.
const AGAIN_MS = 120_000;

type Counted = { items: unknown[]; next_cursor?: string | null };

/** How many, counted up to 50. The first word of its key is that of the list, so that acts change both. */
const count = (key: string, read: () => Promise<Counted>) =>
  queryOptions({
    queryKey: [key, "count"],
    queryFn: () => read().then(({ items, next_cursor }) => (next_cursor ? `${items.length}+` : String(items.length))),
    refetchInterval: AGAIN_MS,
  });

const first = { limit: MOST };

export const countQueries = {
  attention: count("all-transfers", () =>
    answerTo(api.GET("/v1/admin/transfers", { params: { query: { ...first, needs_attention: true } } })),
  ),
  reviews: count("reviews", () =>
    answerTo(api.GET("/v1/admin/transfers", { params: { query: { ...first, state: "in_review" } } })),
  ),
  disputes: count("disputes-of-all", () =>
    answerTo(api.GET("/v1/admin/disputes", { params: { query: { ...first, state: "open" } } })),
  ),
  cases: count("cases", () => answerTo(api.GET("/v1/admin/cases", { params: { query: { ...first, state: "open" } } }))),
  batches: count("all-batches", () =>
    answerTo(api.GET("/v1/admin/batches", { params: { query: { ...first, state: "held" } } })),
  ),
  documents: count("documents", () =>
    answerTo(api.GET("/v1/admin/documents", { params: { query: { ...first, state: "in_review" } } })),
  ),
  tiers: count("all-tier-requests", () =>
    answerTo(api.GET("/v1/admin/tier-requests", { params: { query: { ...first, state: "open" } } })),
  ),
  roles: count("role-requests", () => answerTo(api.GET("/v1/admin/role-requests", { params: { query: first } }))),
  letters: count("dead-letters", () =>
    answerTo(api.GET("/v1/admin/dead-letters", { params: { query: { ...first, state: "dead" } } })),
  ),
};
