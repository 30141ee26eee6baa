import { Button, Group, NativeSelect, Stack, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { type Account, accountsQuery, grouped } from "../accounts/queries";
import { cache } from "../api/cache";
import { api } from "../api/client";
import { answerTo, fieldErrors } from "../api/problem";
import { useKeyed } from "../api/useOnce";
import { FormProblem } from "../ui/FormProblem";
import { ListOf } from "../ui/ListOf";
import { PageTitle } from "../ui/PageTitle";
import { Section } from "../ui/Section";
import { Nothing, Shown } from "../ui/Shown";
import { statementsQuery } from "./queries";
import { StatementRow } from "./StatementRow";

const route = getRouteApi("/customers/statements");

export function StatementsPage() {
  const accounts = useQuery(accountsQuery);
  const { account } = route.useSearch();
  const navigate = route.useNavigate();
  return (
    <>
      <PageTitle
        title="Statements"
        says="What moved on an account in a period, to keep, to print, or for your books."
      />
      <Shown query={accounts} rows={5}>
        {(found) => {
          const chosen = found.find(({ id }) => id === account) ?? found[0];
          if (chosen === undefined) return <Nothing says="You have no account." />;
          return (
            <Stack gap="lg">
              {found.length > 1 && (
                <NativeSelect
                  label="Account"
                  maw={420}
                  data={found.map(({ id, name, currency, number }) => ({
                    value: id,
                    label: `${name ?? currency} · ${grouped(number)}`,
                  }))}
                  value={chosen.id}
                  onChange={(event) => navigate({ search: { account: event.currentTarget.value }, replace: true })}
                />
              )}
              <NewStatement account={chosen} key={chosen.id} />
              <ListOf
                query={statementsQuery(chosen.id)}
                nothing="There is no statement yet. Each month has one when it is over, and you can make one for any period."
                label="Statements"
              >
                {(statement) => (
                  <StatementRow
                    key={statement.number}
                    statement={statement}
                    path={`/v1/accounts/${chosen.id}/statements`}
                  />
                )}
              </ListOf>
            </Stack>
          );
        }}
      </Shown>
    </>
  );
}

/** The first day of this month, and today, where the viewer is. */
function thisMonth(): { from: string; to: string } {
  const today = new Date();
  const day = (date: number) =>
    `${today.getFullYear()}-${String(today.getMonth() + 1).padStart(2, "0")}-${String(date).padStart(2, "0")}`;
  return { from: day(1), to: day(today.getDate()) };
}

function NewStatement({ account }: { account: Account }) {
  const [period, setPeriod] = useState(thisMonth);
  const make = useKeyed(
    (body: { from: string; to: string }, key) =>
      answerTo(
        api.POST("/v1/accounts/{account_id}/statements", {
          params: { path: { account_id: account.id }, header: { "Idempotency-Key": key } },
          body,
        }),
      ),
    () => cache.invalidateQueries({ queryKey: ["statements", account.id] }),
  );
  const errors = fieldErrors(make.error, ["from", "to"]);
  function submit(event: FormEvent) {
    event.preventDefault();
    make.mutate(period);
  }
  return (
    <Section title="New statement" says="Both days are in it. A period that is not over ends now.">
      <form onSubmit={submit} noValidate>
        <Stack>
          <Group align="flex-start" gap="sm">
            <TextInput
              label="From"
              type="date"
              value={period.from}
              onChange={(event) => setPeriod({ ...period, from: event.currentTarget.value })}
              error={errors.from}
            />
            <TextInput
              label="To"
              type="date"
              value={period.to}
              onChange={(event) => setPeriod({ ...period, to: event.currentTarget.value })}
              error={errors.to}
            />
            <Button
              type="submit"
              mt={{ base: 0, xs: 25 }}
              loading={make.isPending}
              disabled={!period.from || !period.to}
            >
              Make the statement
            </Button>
          </Group>
          <FormProblem error={make.error} shown={Object.keys(errors)} />
        </Stack>
      </form>
    </Section>
  );
}
