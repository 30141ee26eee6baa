import { Button, NativeSelect, Paper, SimpleGrid, Stack, TextInput } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { accountsQuery } from "../accounts/queries";
import { ButtonLink } from "../ui/ButtonLink";
import { MoreRows } from "../ui/MoreRows";
import { PageTitle } from "../ui/PageTitle";
import { Rows } from "../ui/Rows";
import { Nothing, Shown } from "../ui/Shown";
import { KINDS, STATES, type TransferFilters, transferFilters } from "./filters";
import { transfersQuery } from "./queries";
import { TransferRow } from "./TransferRow";

const route = getRouteApi("/customers/transactions");

const ALL = { value: "", label: "All" };

const asOptions = (names: Record<string, string>) => [
  ALL,
  ...Object.entries(names).map(([value, label]) => ({ value, label })),
];

export function TransactionsPage() {
  const filters = route.useSearch();
  const navigate = route.useNavigate();
  const accounts = useQuery(accountsQuery);
  const pages = useInfiniteQuery(transfersQuery(filters));
  const own = new Set(accounts.data?.map(({ id }) => id));
  const isFiltered = Object.keys(filters).length > 0;
  function filter(changed: { [Name in keyof TransferFilters]: string }) {
    navigate({ search: transferFilters({ ...filters, ...changed }), replace: true });
  }
  return (
    <>
      <PageTitle title="Transactions" says="Everything that came in, went out, or is on its way." />
      <Paper withBorder p="md" mb="md" component="search" aria-label="Filters">
        <SimpleGrid cols={{ base: 2, sm: 3, lg: 6 }} spacing="sm" style={{ alignItems: "end" }}>
          {(accounts.data?.length ?? 0) > 1 && (
            <NativeSelect
              label="Account"
              data={[
                ALL,
                ...(accounts.data ?? []).map(({ id, name, currency }) => ({ value: id, label: name ?? currency })),
              ]}
              value={filters.account ?? ""}
              onChange={(event) => filter({ account: event.currentTarget.value })}
            />
          )}
          <NativeSelect
            label="State"
            data={asOptions(STATES)}
            value={filters.state ?? ""}
            onChange={(event) => filter({ state: event.currentTarget.value })}
          />
          <NativeSelect
            label="Kind"
            data={asOptions(KINDS)}
            value={filters.kind ?? ""}
            onChange={(event) => filter({ kind: event.currentTarget.value })}
          />
          <TextInput
            label="From"
            type="date"
            value={filters.from ?? ""}
            onChange={(event) => filter({ from: event.currentTarget.value })}
          />
          <TextInput
            label="To"
            type="date"
            value={filters.to ?? ""}
            onChange={(event) => filter({ to: event.currentTarget.value })}
          />
          {isFiltered && (
            <Button variant="subtle" onClick={() => navigate({ search: {}, replace: true })}>
              Show all
            </Button>
          )}
        </SimpleGrid>
      </Paper>
      <Shown query={pages} rows={8}>
        {(found) => {
          const items = found.pages.flatMap((page) => page.items);
          if (items.length === 0)
            return (
              <Nothing says={isFiltered ? "No transaction is like this." : "No money has moved yet."}>
                {!isFiltered && <ButtonLink to="/transfer">Send money</ButtonLink>}
              </Nothing>
            );
          return (
            <Stack>
              <Paper withBorder p="sm">
                <Rows items={items} label="Transactions">
                  {(transfer) => <TransferRow key={transfer.id} transfer={transfer} own={own} />}
                </Rows>
              </Paper>
              <MoreRows pages={pages} />
            </Stack>
          );
        }}
      </Shown>
    </>
  );
}
