import { Stack, Table, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Money } from "../../money/Money";
import { PageTitle } from "../../ui/PageTitle";
import { Section } from "../../ui/Section";
import { Nothing, Shown } from "../../ui/Shown";
import { BAD, GOOD } from "../colors";
import { booksQuery } from "./queries";
import { Rebuilds } from "./Rebuilds";
import { Verify } from "./Verify";

export function BooksPage() {
  return (
    <>
      <PageTitle
        title="Books"
        says="Whether every amount is where it should be: totals, audits, and rebuilt balances."
      />
      <Stack gap="lg">
        <TrialBalance />
        <Verify />
        <Rebuilds />
      </Stack>
    </>
  );
}

function TrialBalance() {
  const books = useQuery(booksQuery);
  return (
    <Section title="Trial balance" says="By all postings, in one snapshot. Each line must come to zero.">
      <Shown query={books}>
        {({ items }) =>
          items.length === 0 ? (
            <Nothing says="Nothing is posted yet." />
          ) : (
            <Table.ScrollContainer minWidth={640} type="native" tabIndex={0}>
              <Table verticalSpacing="xs">
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th scope="col">Currency</Table.Th>
                    <Table.Th scope="col">With customers</Table.Th>
                    <Table.Th scope="col">In transit</Table.Th>
                    <Table.Th scope="col">Outside of Remit</Table.Th>
                    <Table.Th scope="col">Together</Table.Th>
                    <Table.Th scope="col">Accounts</Table.Th>
                    <Table.Th scope="col">Entries</Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {items.map((totals) => {
                    const sum = totals.customers + totals.in_transit + totals.world;
                    return (
                      <Table.Tr key={totals.currency}>
                        <Table.Th scope="row">{totals.currency}</Table.Th>
                        <Table.Td>
                          <Money minor={totals.customers} code={totals.currency} />
                        </Table.Td>
                        <Table.Td>
                          <Money minor={totals.in_transit} code={totals.currency} />
                        </Table.Td>
                        <Table.Td>
                          <Money minor={totals.world} code={totals.currency} />
                        </Table.Td>
                        <Table.Td>
                          <Money minor={sum} code={totals.currency} c={sum === 0 ? GOOD : BAD} fw={650} />
                          <Text span size="sm">
                            {sum === 0 ? " balanced" : " NOT BALANCED"}
                          </Text>
                        </Table.Td>
                        <Table.Td>{totals.accounts}</Table.Td>
                        <Table.Td>{totals.entries}</Table.Td>
                      </Table.Tr>
                    );
                  })}
                </Table.Tbody>
              </Table>
            </Table.ScrollContainer>
          )
        }
      </Shown>
    </Section>
  );
}
