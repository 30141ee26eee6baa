import { Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { TextLink } from "../ui/ButtonLink";
import { BAD } from "./colors";
import { accountQuery } from "./users/queries";

const SHOWN = 12;

/** As much of an id as tells it from the others on the screen. The whole of it stands on hover. */
export const shortId = (id: string) => (id.length > SHOWN + 2 ? `${id.slice(0, SHOWN)}…` : id);

/** Opens the window of a transfer over the page that one is on. */
export function TransferLink({ id, children = shortId(id) }: { id: string; children?: React.ReactNode }) {
  return (
    <TextLink to="." search={(found: object) => ({ ...found, open: id }) as never} title={id} size="sm">
      {children}
    </TextLink>
  );
}

export function CustomerLink({ id }: { id: string }) {
  return (
    <TextLink to="/staff/users/$customerId" params={{ customerId: id }} title={id} size="sm" className="code">
      {shortId(id)}
    </TextLink>
  );
}

export function AccountLink({ id }: { id: string }) {
  if (!id.startsWith("acc_")) return <Text span>{id === "world" ? "Outside of Remit" : "In transit"}</Text>;
  return (
    <TextLink to="/staff/accounts/$accountId" params={{ accountId: id }} title={id} size="sm" className="code">
      {shortId(id)}
    </TextLink>
  );
}

/** Whatever an id of a record names, with the way to it where there is a page. */
export function Subject({ id }: { id: string }) {
  if (id.startsWith("trf_")) return <TransferLink id={id} />;
  if (id.startsWith("cus_")) return <CustomerLink id={id} />;
  if (id.startsWith("acc_")) return <AccountLink id={id} />;
  return (
    <Text span size="sm" className="code" title={id}>
      {shortId(id)}
    </Text>
  );
}

const FROZEN = { debits: "sends nothing", credits: "receives nothing", both: "frozen" } as const;

/** An account, and whether something of it stands in the way of money. */
export function Party({ id }: { id: string }) {
  const account = useQuery({ ...accountQuery(id), enabled: id.startsWith("acc_") }).data;
  const says = account?.status === "closed" ? "closed" : account?.frozen && FROZEN[account.frozen];
  return (
    <>
      <AccountLink id={id} />
      {account && (
        <Text span size="sm" c={says ? BAD : "dimmed"}>
          {" "}
          ({says ?? "active"})
        </Text>
      )}
    </>
  );
}
