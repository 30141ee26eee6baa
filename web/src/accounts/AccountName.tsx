import { Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import type { Schemas } from "../api/client";
import { accountsQuery, grouped } from "./queries";

type AccountNameProps = { id: string; counterparty?: Schemas["CounterpartyOut"] | null };

/** One of the viewer's accounts by its name. Any other one by its number once they have exchanged money, or by its id. */
export function AccountName({ id, counterparty }: AccountNameProps) {
  const own = useQuery(accountsQuery).data?.find((account) => account.id === id);
  if (own) return <Text span>{`${own.name ?? `Your ${own.currency} account`} (${grouped(own.number)})`}</Text>;
  if (id === "world") return <Text span>Outside of Remit</Text>;
  return counterparty ? (
    <Text span>{`${counterparty.masked_name} (${grouped(counterparty.number)})`}</Text>
  ) : (
    <Text span className="code" size="sm">
      {id}
    </Text>
  );
}
