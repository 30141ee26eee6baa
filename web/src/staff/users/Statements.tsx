import { api } from "../../api/client";
import { answerTo } from "../../api/problem";
import { StatementRow } from "../../statements/StatementRow";
import { ListOf } from "../../ui/ListOf";
import { listQuery, PAGE } from "../../ui/listQuery";
import { Section } from "../../ui/Section";

const statementsOf = (accountId: string) =>
  listQuery(["statements-of", accountId], (cursor) =>
    answerTo(
      api.GET("/v1/admin/accounts/{account_id}/statements", {
        params: { path: { account_id: accountId }, query: { limit: PAGE, cursor } },
      }),
    ),
  );

/** The statements of an account, with their files. */
export function Statements({ accountId }: { accountId: string }) {
  return (
    <Section title="Statements" says="As their owner reads them. Newest first.">
      <ListOf query={statementsOf(accountId)} nothing="No statements." label="Statements">
        {(statement) => (
          <StatementRow
            key={statement.number}
            statement={statement}
            path={`/v1/admin/accounts/${accountId}/statements`}
          />
        )}
      </ListOf>
    </Section>
  );
}
