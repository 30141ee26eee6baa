import { SegmentedControl, SimpleGrid, Stack, Table, Text } from "@mantine/core";
import { useQueries, useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useMemo } from "react";
import { useCurrency } from "../../accounts/queries";
import type { Schemas } from "../../api/client";
import { Money } from "../../money/Money";
import { moneyText } from "../../money/money";
import { STATES, type State } from "../../transactions/filters";
import { PageTitle } from "../../ui/PageTitle";
import { Section } from "../../ui/Section";
import { CannotRead, Nothing, Shown } from "../../ui/Shown";
import { ageText } from "../ages";
import { asOptions } from "../search";
import { Columns } from "./Columns";
import { PERIODS, type PeriodName, type Span, spans } from "./periods";
import { nowQuery, spanQuery } from "./queries";

type Figures = Schemas["PeriodStatsOut"];

const route = getRouteApi("/customers/staff/stats");

const COLORS: Record<State, string> = {
  completed: "var(--mantine-color-green-7)",
  failed: "var(--mantine-color-red-7)",
  compensated: "var(--mantine-color-orange-5)",
  cancelled: "var(--mantine-color-gray-6)",
  in_review: "var(--mantine-color-yellow-5)",
  initiated: "var(--mantine-color-blue-4)",
  debited: "var(--mantine-color-blue-7)",
};

const PERCENTILES = { p50: "Half of them", p95: "95 of 100", p99: "99 of 100" } as const;

export function StatsPage() {
  const { period = "day" } = route.useSearch();
  const navigate = route.useNavigate();
  return (
    <>
      <PageTitle title="Statistics" says="How much moved, how it ended, how long it took, and what is on its way now.">
        <SegmentedControl
          aria-label="Period"
          data={asOptions(PERIODS)}
          value={period}
          onChange={(chosen) => navigate({ search: { period: chosen as PeriodName }, replace: true })}
        />
      </PageTitle>
      <Stack gap="lg">
        <Now />
        <OverTime key={period} period={period} />
      </Stack>
    </>
  );
}

/** What is not final at this moment. */
function Now() {
  const now = useQuery(nowQuery);
  return (
    <Section title="Now" says="Read again each minute.">
      <Shown query={now} rows={2}>
        {({ waiting, in_transit }) => (
          <SimpleGrid cols={{ base: 1, sm: 2 }}>
            <Stack gap={4}>
              <Text fw={600} size="sm">
                Not final
              </Text>
              {waiting.every(({ transfers }) => transfers === 0) && <Text size="sm">Everything has ended.</Text>}
              {waiting
                .filter(({ transfers }) => transfers > 0)
                .map(({ state, transfers, longest_seconds }) => (
                  <Text size="sm" key={state}>
                    {STATES[state]}: <b>{transfers}</b>, unchanged for {ageText(longest_seconds)} at most
                  </Text>
                ))}
            </Stack>
            <Stack gap={4}>
              <Text fw={600} size="sm">
                In transit
              </Text>
              {in_transit.length === 0 && <Text size="sm">No amount is in transit.</Text>}
              {in_transit.map(({ currency, transfers, amount, oldest_seconds }) => (
                <Text size="sm" key={currency}>
                  <Money minor={amount} code={currency} fw={650} size="sm" /> in {transfers}, the oldest for{" "}
                  {ageText(oldest_seconds)}
                </Text>
              ))}
            </Stack>
          </SimpleGrid>
        )}
      </Shown>
    </Section>
  );
}

function OverTime({ period }: { period: PeriodName }) {
  const columns = useMemo(() => spans(period, new Date()), [period]);
  const read = useQueries({ queries: columns.map(spanQuery) });
  const whole = useQuery(spanQuery({ from: columns[0]?.from ?? "", to: columns.at(-1)?.to ?? "" }));
  const again = () => {
    for (const each of read) if (each.isError) each.refetch();
  };
  const failed = read.find(({ isError }) => isError);
  if (failed) return <CannotRead error={failed.error} again={again} />;
  const figures = read.flatMap(({ data }) => (data ? [data] : []));
  return (
    <Shown query={whole} rows={6}>
      {(found) =>
        found && figures.length === columns.length ? (
          <Charts columns={columns} figures={figures} whole={found} />
        ) : (
          <Text role="status" aria-label="Loading">
            Reading…
          </Text>
        )
      }
    </Shown>
  );
}

type ChartsProps = { columns: Span[]; figures: Figures[]; whole: Figures };

function Charts({ columns, figures, whole }: ChartsProps) {
  const labels = columns.map(({ label }) => label);
  const count = (value: number) => new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 }).format(value);
  const states = (Object.keys(COLORS) as State[]).filter((state) => whole.by_state[state]);
  const failures = Object.entries(whole.failures).sort(([, one], [, other]) => other - one);
  const latency = whole.latency_ms;
  return (
    <>
      <Section
        title="Transfers"
        says={`${count(whole.transfers)} in the period, ${count(whole.customers)} new customers.`}
      >
        {whole.transfers === 0 ? (
          <Nothing says="No transfer was created in this period." />
        ) : (
          <Columns
            title="Transfers by the state that they have now"
            labels={labels}
            text={count}
            series={states.map((state) => ({
              name: STATES[state],
              color: COLORS[state],
              values: figures.map(({ by_state }) => by_state[state] ?? 0),
            }))}
          />
        )}
      </Section>
      {whole.volume.map(({ currency }) => (
        <Volume key={currency} currency={currency} labels={labels} figures={figures} whole={whole} />
      ))}
      <SimpleGrid cols={{ base: 1, lg: 2 }}>
        <Section title="Failures" says="Failed or returned, by the reason.">
          {failures.length === 0 ? (
            <Nothing says="None has failed." />
          ) : (
            <Table verticalSpacing={4}>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th scope="col">Reason</Table.Th>
                  <Table.Th scope="col">Transfers</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {failures.map(([code, transfers]) => (
                  <Table.Tr key={code}>
                    <Table.Th scope="row">{code}</Table.Th>
                    <Table.Td>
                      <Share part={transfers / (failures[0]?.[1] ?? 1)} /> {count(transfers)}
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          )}
        </Section>
        <Section
          title="How long they took"
          says={
            latency
              ? `${PERCENTILES.p50}: ${ageOf(latency.p50)}. ${PERCENTILES.p95}: ${ageOf(latency.p95)}. ${PERCENTILES.p99}: ${ageOf(latency.p99)}.`
              : "None has ended."
          }
        >
          {latency && (
            <Columns
              title="95 of 100 transfers took no longer"
              labels={labels}
              text={ageOf}
              series={[
                {
                  name: "95 of 100 took at most",
                  color: "var(--mantine-color-indigo-5)",
                  values: figures.map(({ latency_ms }) => latency_ms?.p95 ?? 0),
                },
              ]}
            />
          )}
        </Section>
      </SimpleGrid>
    </>
  );
}

const ageOf = (milliseconds: number) =>
  milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : ageText(milliseconds / 1000);

function Share({ part }: { part: number }) {
  return (
    <svg width={80} height={10} viewBox="0 0 80 10" aria-hidden="true">
      <rect width={80 * part} height={10} rx={2} fill="var(--mantine-color-red-7)" />
    </svg>
  );
}

type VolumeProps = { currency: string; labels: string[]; figures: Figures[]; whole: Figures };

function Volume({ currency, labels, figures, whole }: VolumeProps) {
  const known = useCurrency(currency);
  const of = (found: Figures) => found.volume.find((each) => each.currency === currency)?.amount ?? 0;
  return (
    <Section
      title={`Volume in ${currency}`}
      says="What was completed."
      action={<Money minor={of(whole)} code={currency} fw={650} />}
    >
      <Columns
        title={`Completed volume in ${currency}`}
        labels={labels}
        text={(value) => (known ? moneyText(Math.round(value), known).replace(/[.,]00$/, "") : "…")}
        series={[{ name: currency, color: "var(--mantine-color-indigo-6)", values: figures.map(of) }]}
      />
    </Section>
  );
}
