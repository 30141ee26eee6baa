import { Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { accountsQuery, grouped } from "./queries";

/** One of the viewer's accounts by its name, and any other one by its id: nobody reads whose it is. */
export function AccountName({ id }: { id: string }) {
  const own = useQuery(accountsQuery).data?.find((account) => account.id === id);
  if (own) return <Text span>{`${own.name ?? `Your ${own.currency} account`} (${grouped(own.number)})`}</Text>;
  return id === "world" ? (
    <Text span>Outside of Remit</Text>
  ) : (
    <Text span className="code" size="sm">
      {id}
    </Text>
  );
}
