import { queryOptions } from "@tanstack/react-query";
import { api } from "../../api/client";
import { answerTo } from "../../api/problem";

const LATEST = 50;

/** How many must approve each of the latest reviews, by transfer. It stands in the audit trail. */
export const approvalsQuery = queryOptions({
  queryKey: ["audit-records", "review.opened"],
  queryFn: () =>
    answerTo(api.GET("/v1/admin/audit-records", { params: { query: { kind: "review.opened", limit: LATEST } } })).then(
      ({ items }) =>
        new Map(items.toReversed().map(({ transfer_id, after }) => [transfer_id, Number(after?.approvals)])),
    ),
});

/** Who has decided about the transfers of late, by transfer. */
export const decidedQuery = queryOptions({
  queryKey: ["actions", "latest"],
  queryFn: () =>
    answerTo(api.GET("/v1/admin/actions", { params: { query: { limit: LATEST } } })).then(({ items }) =>
      items.filter(({ action }) => action === "decide_review"),
    ),
});
