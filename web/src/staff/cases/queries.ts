import { queryOptions } from "@tanstack/react-query";
import { api } from "../../api/client";
import { answerTo } from "../../api/problem";
import { AGAIN_MS, listQuery, PAGE } from "../../ui/listQuery";
import type { CaseFilters } from "./filters";

export const casesQuery = ({ state, account }: CaseFilters) =>
  listQuery(
    ["cases", state, account],
    (cursor) =>
      answerTo(api.GET("/v1/admin/cases", { params: { query: { state, account_id: account, limit: PAGE, cursor } } })),
    AGAIN_MS,
  );

export const caseQuery = (caseId: string) =>
  queryOptions({
    queryKey: ["case", caseId],
    queryFn: () => answerTo(api.GET("/v1/admin/cases/{case_id}", { params: { path: { case_id: caseId } } })),
  });
