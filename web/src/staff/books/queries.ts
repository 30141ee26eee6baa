import { queryOptions } from "@tanstack/react-query";
import { api, type Schemas } from "../../api/client";
import { answerTo, NoAnswer, Problem } from "../../api/problem";
import { listQuery, PAGE } from "../../ui/listQuery";

export type Audited = Schemas["AuditOut"];
export type Rebuild = Schemas["RebuildSummaryOut"];

const WATCH_MS = 5_000;
const AUDIT_AGAIN_MS = 10_000;

// As long as the service itself gives an audit.
const LONGEST_MS = 3_600_000;

export const booksQuery = queryOptions({
  queryKey: ["books"],
  queryFn: () => answerTo(api.GET("/v1/admin/books")),
});

/** How far an audit is, while somebody waits for it. */
export const progressQuery = queryOptions({
  queryKey: ["audit-progress"],
  queryFn: () => answerTo(api.GET("/v1/admin/audit")),
  refetchInterval: 2_000,
  gcTime: 0,
});

export const rebuildsQuery = listQuery(["rebuilds"], (cursor) =>
  answerTo(api.GET("/v1/admin/rebuilds", { params: { query: { limit: PAGE, cursor } } })),
);

/** One with what it has found. While it runs it is read again and again. */
export const rebuildQuery = (rebuildId: string) =>
  queryOptions({
    queryKey: ["rebuild", rebuildId],
    queryFn: () =>
      answerTo(api.GET("/v1/admin/rebuilds/{rebuild_id}", { params: { path: { rebuild_id: rebuildId } } })),
    refetchInterval: ({ state }) => (state.data?.state === "completed" ? false : WATCH_MS),
  });

export type Asked = { reason: string; full: boolean; key: string };

/**
 * The audit's result. A full one takes minutes on large books, longer than a page waits for one answer: the same
 * request under the same key asks again until the audit has ended, and begins no other one.
 */
export async function audited({ reason, full, key }: Asked, signal: AbortSignal): Promise<Audited> {
  const startedBy = Date.now();
  while (true) {
    try {
      return await answerTo(
        api.POST("/v1/admin/audit", {
          params: { header: { "Idempotency-Key": key } },
          body: { reason, full },
          signal,
        }),
      );
    } catch (error) {
      const goesOn = error instanceof NoAnswer || (error instanceof Problem && error.code === "audit_running");
      if (!goesOn || signal.aborted || Date.now() - startedBy > LONGEST_MS) throw error;
      await new Promise((resume) => setTimeout(resume, AUDIT_AGAIN_MS));
    }
  }
}
