import { queryOptions } from "@tanstack/react-query";
import { api } from "../../api/client";
import { answerTo } from "../../api/problem";
import { AGAIN_MS, listQuery, PAGE } from "../../ui/listQuery";
import type { LetterFilters } from "./filters";

export const deadLettersQuery = (filters: LetterFilters) =>
  listQuery(
    ["dead-letters", filters],
    (cursor) => answerTo(api.GET("/v1/admin/dead-letters", { params: { query: { ...filters, limit: PAGE, cursor } } })),
    AGAIN_MS,
  );

export const letterQuery = (letterId: string) =>
  queryOptions({
    queryKey: ["dead-letter", letterId],
    queryFn: () =>
      answerTo(api.GET("/v1/admin/dead-letters/{letter_id}", { params: { path: { letter_id: letterId } } })),
  });
