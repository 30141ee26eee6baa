import { api, type Schemas } from "../api/client";
import { answerTo } from "../api/problem";
import { listQuery, PAGE } from "../ui/listQuery";

export type AccountStatement = Schemas["AccountStatementOut"];

/** The files that say the same, by what they are good for. */
export const FORMATS: Record<Schemas["StatementFormat"], string> = {
  pdf: "PDF",
  csv: "CSV",
  xml: "camt.053",
  json: "JSON",
};

const WATCH_MS = 2_000;

/** The statements of an account, newest first. While one is being added up, they are read again and again. */
export const statementsQuery = (accountId: string) =>
  listQuery(
    ["statements", accountId],
    (cursor) =>
      answerTo(
        api.GET("/v1/accounts/{account_id}/statements", {
          params: { path: { account_id: accountId }, query: { limit: PAGE, cursor } },
        }),
      ),
    (items) => items.some(({ state }) => state === "summing") && WATCH_MS,
  );
