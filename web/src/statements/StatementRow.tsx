import { Group, Loader, Paper, SimpleGrid, Stack, Text } from "@mantine/core";
import { Money } from "../money/Money";
import { When } from "../ui/When";
import { Downloads } from "./Downloads";
import type { AccountStatement } from "./queries";

/** A statement: its period, its sums, and its files. `path`: where its account's statements are. */
export function StatementRow({ statement, path }: { statement: AccountStatement; path: string }) {
  const { number, month, begins_at, ends_at, time_zone, currency, lines, lines_summed } = statement;
  return (
    <Paper withBorder p="md" component="li">
      <Stack gap="xs">
        <Group justify="space-between" gap="xs">
          <Text fw={600}>
            {number}. {month === null ? <Period from={begins_at} to={ends_at} zone={time_zone} /> : monthText(month)}
          </Text>
          <Text size="sm" c="dimmed">
            made <When at={statement.made_at} size="sm" />
          </Text>
        </Group>
        {statement.state === "ready" ? (
          <>
            <SimpleGrid cols={{ base: 2, sm: 4 }} spacing="xs">
              <Sum title="Opening" minor={statement.opening} code={currency} />
              <Sum title={`In, ${statement.credit_count}`} minor={statement.credits ?? 0} code={currency} />
              <Sum title={`Out, ${statement.debit_count}`} minor={statement.debits ?? 0} code={currency} />
              <Sum title="Closing" minor={statement.closing} code={currency} />
            </SimpleGrid>
            <Downloads path={`${path}/${number}`} number={number} />
          </>
        ) : (
          <Group gap="xs" role="status">
            <Loader size={16} />
            <Text size="sm">
              Being added up: {lines_summed} of {lines} entries. You get a message when it is ready.
            </Text>
          </Group>
        )}
      </Stack>
    </Paper>
  );
}

function Sum({ title, minor, code }: { title: string; minor: number; code: string }) {
  return (
    <Stack gap={0}>
      <Text size="sm" c="dimmed">
        {title}
      </Text>
      <Money minor={minor} code={code} fw={600} size="sm" />
    </Stack>
  );
}

/** A period ends where the next one begins: its last day is the one of the moment before. */
function Period({ from, to, zone }: { from: string; to: string; zone: string }) {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: zone });
  return <>{format.formatRange(new Date(from), new Date(Date.parse(to) - 1))}</>;
}

function monthText(month: string): string {
  return new Intl.DateTimeFormat(undefined, { month: "long", year: "numeric", timeZone: "UTC" }).format(
    new Date(`${month.slice(0, 7)}-01T00:00:00Z`),
  );
}
